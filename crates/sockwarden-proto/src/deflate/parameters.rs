//! The parameters of permessage-deflate as they are written (RFC 7692 §7.1).

use super::{Extension, NAME, OfferError, WindowBits};

/// The four parameters as they stand in an offer or an answer; of the last one, a missing value is told.
#[derive(Default)]
pub(super) struct Parameters {
    pub(super) server_no_context_takeover: bool,
    pub(super) client_no_context_takeover: bool,
    pub(super) server_max_window_bits: Option<WindowBits>,
    pub(super) client_max_window_bits: Option<Option<WindowBits>>,
}

impl Parameters {
    pub(super) fn read(extension: &Extension) -> Result<Self, OfferError> {
        if extension.name != NAME {
            return Err(OfferError::OtherExtension);
        }
        let mut read = Self::default();
        for parameter in &extension.parameters {
            let value = parameter.value.as_deref();
            let bits =
                || value.map(|value| WindowBits::parse(value).ok_or(OfferError::WrongValue)).transpose();
            let repeated = match parameter.name.as_str() {
                "server_no_context_takeover" => set(&mut read.server_no_context_takeover, value)?,
                "client_no_context_takeover" => set(&mut read.client_no_context_takeover, value)?,
                "server_max_window_bits" => {
                    let bits = bits()?.ok_or(OfferError::WrongValue)?;
                    read.server_max_window_bits.replace(bits).is_some()
                }
                "client_max_window_bits" => read.client_max_window_bits.replace(bits()?).is_some(),
                _ => return Err(OfferError::UnknownParameter),
            };
            if repeated {
                return Err(OfferError::RepeatedParameter);
            }
        }
        Ok(read)
    }
}

impl std::fmt::Display for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            f.write_str("; server_no_context_takeover")?;
        }
        if self.client_no_context_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; server_max_window_bits={bits}")?;
        }
        match self.client_max_window_bits {
            None => Ok(()),
            Some(None) => f.write_str("; client_max_window_bits"),
            Some(Some(bits)) => write!(f, "; client_max_window_bits={bits}"),
        }
    }
}

/// Sets a parameter that has no value and tells whether it was set before.
fn set(flag: &mut bool, value: Option<&str>) -> Result<bool, OfferError> {
    if value.is_some() { Err(OfferError::WrongValue) } else { Ok(std::mem::replace(flag, true)) }
}

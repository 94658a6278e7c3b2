//! What a client proposes (RFC 7692 §5.1, §7.1).

use super::{Agreement, AnswerViolation, Extension, Parameters, WindowBits, Wishes};

/// A valid offer of permessage-deflate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Offer {
    /// Whether the server must compress each message on its own (§7.1.1.1).
    pub server_no_context_takeover: bool,
    /// Whether the client hints that it will do so itself (§7.1.1.2).
    pub client_no_context_takeover: bool,
    /// The largest window that the server may use, where it is limited (§7.1.2.1).
    pub server_max_window_bits: Option<WindowBits>,
    /// The largest window that the client would use; where this is absent the server may not limit it (§7.1.2.2). An offer
    /// of the parameter without a value is one of 15.
    pub client_max_window_bits: Option<WindowBits>,
}

/// Why an offer is declined (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum OfferError {
    /// It is another extension.
    #[error("the extension is not permessage-deflate")]
    OtherExtension,
    /// It has a parameter that is not defined.
    #[error("a parameter of permessage-deflate is unknown")]
    UnknownParameter,
    /// It names a parameter twice.
    #[error("a parameter of permessage-deflate is named twice")]
    RepeatedParameter,
    /// A parameter has a value that is not allowed, or lacks one.
    #[error("a parameter of permessage-deflate has a wrong value")]
    WrongValue,
}

/// Gives the valid offers among the extensions of a request, in the client's order of preference.
pub fn offers(extensions: &[Extension]) -> Vec<Offer> {
    extensions.iter().filter_map(|extension| Offer::read(extension).ok()).collect()
}

impl Offer {
    /// Reads an extension as an offer.
    ///
    /// # Errors
    /// It is declined, and why.
    pub fn read(extension: &Extension) -> Result<Self, OfferError> {
        let read = Parameters::read(extension)?;
        Ok(Self {
            server_no_context_takeover: read.server_no_context_takeover,
            client_no_context_takeover: read.client_no_context_takeover,
            server_max_window_bits: read.server_max_window_bits,
            client_max_window_bits: read.client_max_window_bits.map(|bits| bits.unwrap_or(WindowBits::MAX)),
        })
    }

    /// Gives the agreement that accepts this offer and comes as near to a server's wishes as the offer lets it.
    ///
    /// A client that did not offer to limit its own window is left with 32 KiB (§7.1.2.2).
    pub fn accept(&self, wishes: &Wishes) -> Agreement {
        let limited = |bits: WindowBits| Some(bits).filter(|bits| *bits < WindowBits::MAX);
        Agreement {
            server_no_context_takeover: self.server_no_context_takeover || wishes.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover || wishes.client_no_context_takeover,
            server_max_window_bits: match self.server_max_window_bits {
                Some(offered) => Some(offered.min(wishes.server_max_window_bits)),
                None => limited(wishes.server_max_window_bits),
            },
            client_max_window_bits: self
                .client_max_window_bits
                .and_then(|offered| limited(offered.min(wishes.client_max_window_bits))),
        }
    }

    /// Tells whether an agreement answers this offer.
    ///
    /// # Errors
    /// What of the answer the offer does not allow: the client must fail the connection (§5.1).
    pub fn allows(&self, answer: &Agreement) -> Result<(), AnswerViolation> {
        if self.server_no_context_takeover && !answer.server_no_context_takeover {
            return Err(AnswerViolation::ServerContextKept);
        }
        let stated = answer.server_max_window_bits;
        if self.server_max_window_bits.is_some_and(|offered| stated.is_none_or(|stated| stated > offered)) {
            return Err(AnswerViolation::ServerWindowTooLarge);
        }
        match (self.client_max_window_bits, answer.client_max_window_bits) {
            (_, None) => Ok(()),
            (None, Some(_)) => Err(AnswerViolation::ClientWindowNotOffered),
            (Some(offered), Some(answered)) if answered > offered => {
                Err(AnswerViolation::ClientWindowTooLarge)
            }
            (Some(_), Some(_)) => Ok(()),
        }
    }
}

impl std::fmt::Display for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let client = self.client_max_window_bits;
        let parameters = Parameters {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits,
            client_max_window_bits: client.map(|bits| Some(bits).filter(|bits| *bits < WindowBits::MAX)),
        };
        parameters.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::extensions, *};

    fn read(text: &str) -> Result<Offer, OfferError> {
        let found = extensions([text.as_bytes()]).unwrap();
        assert_eq!(found.len(), 1);
        Offer::read(&found[0])
    }

    #[test]
    fn a_valid_offer_is_read_and_written() {
        let check = |text: &str, written: &str| {
            let offer = read(text).unwrap();
            assert_eq!(offer.to_string(), written);
            assert_eq!(read(written), Ok(offer));
        };
        check("permessage-deflate", "permessage-deflate");
        // What browsers send.
        check("permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits");
        check("permessage-deflate;client_max_window_bits=15", "permessage-deflate; client_max_window_bits");
        check(
            "permessage-deflate; client_max_window_bits=\"8\"; server_max_window_bits=9",
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=8",
        );
        check(
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        );
        check(
            "permessage-deflate; server_max_window_bits=15",
            "permessage-deflate; server_max_window_bits=15",
        );
    }

    #[test]
    fn an_offer_that_is_not_understood_is_declined_by_name() {
        use OfferError as E;
        let check = |text: &str, expected| assert_eq!(read(text), Err(expected), "{text}");
        check("x-webkit-deflate-frame", E::OtherExtension);
        check("Permessage-Deflate", E::OtherExtension);
        check("permessage-deflate; x", E::UnknownParameter);
        check("permessage-deflate; Server_no_context_takeover", E::UnknownParameter);
        check("permessage-deflate; server_no_context_takeover=1", E::WrongValue);
        check("permessage-deflate; client_no_context_takeover=true", E::WrongValue);
        check("permessage-deflate; server_max_window_bits", E::WrongValue);
        for value in ["7", "16", "08", "0", "x", "+9"] {
            check(&format!("permessage-deflate; server_max_window_bits={value}"), E::WrongValue);
            check(&format!("permessage-deflate; client_max_window_bits={value}"), E::WrongValue);
        }
        for name in ["server_no_context_takeover", "client_no_context_takeover", "client_max_window_bits"] {
            check(&format!("permessage-deflate; {name}; {name}"), E::RepeatedParameter);
        }
        check("permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", E::RepeatedParameter);
        check("permessage-deflate; client_max_window_bits; client_max_window_bits=9", E::RepeatedParameter);
    }

    #[test]
    fn declined_offers_leave_the_others_in_their_order() {
        let found = extensions([
            &b"x, permessage-deflate; nonsense, permessage-deflate; server_max_window_bits=9"[..],
            b"permessage-deflate",
        ])
        .unwrap();
        let written: Vec<String> = offers(&found).iter().map(ToString::to_string).collect();
        assert_eq!(written, ["permessage-deflate; server_max_window_bits=9", "permessage-deflate"]);
    }
}

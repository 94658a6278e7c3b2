//! Where something listens.

use std::{fmt, net::SocketAddr, str::FromStr};

/// An address to listen on, or a socket that listens already and is handed over by whoever starts the program (systemd's
/// socket activation, `sd_listen_fds(3)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address with its port.
    Address(SocketAddr),
    /// `fd:` with the socket's name or its number: `fd:web`, `fd:3`.
    Inherited(String),
}

impl ListenAddress {
    /// The longest name of a socket (`sd_pid_notify_with_fds(3)`).
    const NAME: usize = 255;

    /// Tells whether two listeners cannot both have it; each takes a port of its own where the system chooses.
    pub fn excludes(&self, other: &Self) -> bool {
        self == other && !matches!(self, Self::Address(address) if address.port() == 0)
    }

    /// Tells whether it is on this machine only; `None` where that shows when the socket is there.
    pub fn is_loopback(&self) -> Option<bool> {
        match self {
            Self::Address(address) => Some(address.ip().to_canonical().is_loopback()),
            Self::Inherited(_) => None,
        }
    }
}

/// Says that a text is no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is no address with a port, such as 127.0.0.1:8443 or [::]:8443, nor an inherited socket, such as fd:web"
)]
pub struct NoListenAddress;

impl FromStr for ListenAddress {
    type Err = NoListenAddress;

    fn from_str(text: &str) -> Result<Self, NoListenAddress> {
        match text.strip_prefix("fd:") {
            Some(name) => {
                let is_name = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
                if name.is_empty() || name.len() > Self::NAME || !is_name {
                    return Err(NoListenAddress);
                }
                Ok(Self::Inherited(name.to_owned()))
            }
            None => text.parse().map(Self::Address).map_err(|_| NoListenAddress),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Inherited(name) => write!(f, "fd:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_a_name_is_read_and_nothing_else() {
        let check = |text: &str, loopback: Option<Option<bool>>| {
            let read = text.parse::<ListenAddress>().ok();
            assert_eq!(read.as_ref().map(ListenAddress::is_loopback), loopback, "{text}");
            assert!(read.is_none_or(|address| address.to_string() == text));
        };
        check("127.0.0.1:0", Some(Some(true)));
        check("[::1]:80", Some(Some(true)));
        check("0.0.0.0:80", Some(Some(false)));
        check("fd:web", Some(None));
        check("fd:3", Some(None));
        check("fd:", None);
        check("fd:a b", None);
        check("fd:a:b", None);
        check(&format!("fd:{}", "x".repeat(256)), None);
        check("localhost:80", None);
        check("127.0.0.1", None);
    }
}

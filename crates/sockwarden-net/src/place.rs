//! Where a server listens.

use std::{fmt, net::SocketAddr, path::PathBuf};

/// Where a server listens: an address with a port, or a socket in the file system.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A unix socket's path.
    Unix(PathBuf),
}

impl Place {
    /// Tells whether what is sent there stays on this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_unix_sockets_are_local() {
        let check = |address: &str, expected| {
            assert_eq!(Place::Tcp(address.parse().unwrap()).is_local(), expected, "{address}");
        };
        check("127.9.9.9:1", true);
        check("[::1]:1", true);
        check("[::ffff:127.0.0.1]:1", true);
        check("10.0.0.1:1", false);
        let unix = Place::Unix("/run/app.sock".into());
        assert_eq!((unix.is_local(), unix.to_string()), (true, "unix:/run/app.sock".to_owned()));
    }
}

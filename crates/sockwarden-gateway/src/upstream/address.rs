//! Where an operator says that an application is.

use std::{fmt, net::SocketAddr, path::PathBuf};

use sockwarden_net::Place;
use sockwarden_proto::WsUrl;

/// The longest path of a unix socket: what the system's own structure holds, its closing zero left out.
const LONGEST_PATH: usize = 107;

/// An address as it is written: a place, or a name that stands for places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Place(Place),
    Name { host: String, port: u16 },
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    /// Neither a host with a port nor a unix socket.
    #[error("an address is `HOST:PORT` or `unix:/PATH`")]
    Form,
    /// A scheme, path or user name: those are said once, in the upstream's URL.
    #[error("an address has no scheme and no path: the route's `upstream` says them for all")]
    Url,
    /// The socket's path depends on where the gateway was started.
    #[error("the path of a unix socket is absolute, as in `unix:/run/app.sock`")]
    Relative,
    /// The system takes no longer ones.
    #[error("the path of a unix socket has at most {LONGEST_PATH} bytes")]
    LongPath,
}

impl Address {
    /// Gives the address that a URL names itself.
    pub(crate) fn of_url(url: &WsUrl) -> Self {
        match url.host.parse() {
            Ok(ip) => Self::Place(Place::Tcp(SocketAddr::new(ip, url.port))),
            Err(_) => Self::Name { host: url.host.clone(), port: url.port },
        }
    }

    /// Tells whether it is on this machine, as far as can be told without asking for names.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Place(place) => place.is_local(),
            Self::Name { host, .. } => host == "localhost",
        }
    }
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if !path.is_absolute() {
                Err(AddressError::Relative)
            } else if path.as_os_str().len() > LONGEST_PATH {
                Err(AddressError::LongPath)
            } else {
                Ok(Self::Place(Place::Unix(path)))
            };
        }
        if text.contains(['/', '@', '?']) {
            return Err(AddressError::Url);
        }
        let has_port =
            text.rsplit_once(':').is_some_and(|(host, _)| !host.is_empty() && !host.ends_with(':'));
        // A host and port are read as those of a URL are, so that both accept the same names.
        let url: WsUrl = format!("ws://{text}").parse().map_err(|_| AddressError::Form)?;
        if has_port { Ok(Self::of_url(&url)) } else { Err(AddressError::Form) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(place) => place.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_with_a_port_or_a_unix_socket() {
        let check = |text: &str, local: bool| {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.to_string().as_str(), address.is_local()), (text, local));
        };
        check("10.0.0.1:8443", false);
        check("127.0.0.1:80", true);
        check("[::1]:8443", true);
        check("app-1.internal:8443", false);
        check("localhost:1", true);
        check("unix:/run/app.sock", true);
    }

    #[test]
    fn anything_else_is_refused() {
        let check = |text: &str, expected| assert_eq!(text.parse::<Address>(), Err(expected), "{text}");
        check("app.internal", AddressError::Form);
        check("10.0.0.1", AddressError::Form);
        check("::1", AddressError::Form);
        check("[::1]", AddressError::Form);
        check("app:0", AddressError::Form);
        check("app:70000", AddressError::Form);
        check(":8443", AddressError::Form);
        check("", AddressError::Form);
        check("wss://app:1", AddressError::Url);
        check("app:1/ws", AddressError::Url);
        check("unix:run/app.sock", AddressError::Relative);
        check(&format!("unix:/{}", "a".repeat(107)), AddressError::LongPath);
    }
}

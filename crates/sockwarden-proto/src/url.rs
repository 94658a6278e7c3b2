//! The address of a WebSocket endpoint (RFC 6455 §3).

/// A `ws:` or `wss:` URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WsUrl {
    /// Whether the connection runs over TLS (`wss:`).
    pub tls: bool,
    /// The host, lower case; an IPv6 address without brackets.
    pub host: String,
    /// The port, 80 or 443 where the URL names none.
    pub port: u16,
    /// The request target: path and query, at least `/`.
    pub target: String,
}

/// Why a text is no WebSocket URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No scheme, or one other than ws, wss, http and https.
    #[error("a URL begins with ws:// or wss://")]
    Scheme,
    /// A name or password before the host.
    #[error("a user name or password in the URL is not supported: use a header")]
    UserInfo,
    /// No host, or one that is neither a DNS name in ASCII nor an address.
    #[error("the host is missing or malformed (write an international name in its xn-- form)")]
    Host,
    /// A port that is no number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// A fragment, which RFC 6455 §3 forbids.
    #[error("a WebSocket URL has no fragment (`#`)")]
    Fragment,
    /// A byte that a URL must percent-encode.
    #[error("the path holds a blank or another character that must be percent-encoded")]
    Target,
}

impl WsUrl {
    /// Gives the value of the Host header: the port only where it is not the scheme's own.
    pub fn authority(&self) -> String {
        let host = self.bracketed_host();
        if self.port == default_port(self.tls) { host } else { format!("{host}:{}", self.port) }
    }

    /// Gives the scheme's name, `ws` or `wss`.
    pub const fn scheme(&self) -> &'static str {
        if self.tls { "wss" } else { "ws" }
    }

    /// Gives the origin of a page that the same server would serve, such as `https://app.example`.
    pub fn web_origin(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }

    /// Tells whether the host is the loopback by its name or address.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
    }

    fn bracketed_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl std::str::FromStr for WsUrl {
    type Err = UrlError;

    /// Reads a URL; `http:` and `https:` are taken as `ws:` and `wss:`.
    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ => return Err(UrlError::Scheme),
        };
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let (authority, target) = match rest.find(['/', '?']) {
            Some(at) if rest.as_bytes()[at] == b'?' => (&rest[..at], format!("/{}", &rest[at..])),
            Some(at) => (&rest[..at], rest[at..].to_owned()),
            None => (rest, "/".to_owned()),
        };
        if !target.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(UrlError::Target);
        }
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        Ok(Self { tls, host, port: port.unwrap_or(default_port(tls)), target })
    }
}

impl std::fmt::Display for WsUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority(), self.target)
    }
}

const fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

/// Splits an authority into a host in lower case, without brackets, and a port.
pub(crate) fn split_port(authority: &str) -> Result<(String, Option<u16>), UrlError> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or(UrlError::Host)?;
        // One address has many spellings; two origins are compared by one of them.
        let address = address.parse::<std::net::Ipv6Addr>().map_err(|_| UrlError::Host)?.to_string();
        match after.strip_prefix(':') {
            Some(port) => (address, Some(port)),
            None if after.is_empty() => (address, None),
            None => return Err(UrlError::Host),
        }
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let label =
            |l: &str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        if !host.strip_suffix('.').unwrap_or(host).split('.').all(label) || host.len() > 253 {
            return Err(UrlError::Host);
        }
        (host.to_ascii_lowercase(), port)
    };
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse::<u16>().ok().filter(|&p| p != 0).ok_or(UrlError::Port)?)
        }
        Some(_) => return Err(UrlError::Port),
    };
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_written() {
        let check = |text: &str, expected: &str| {
            assert_eq!(text.parse::<WsUrl>().map(|u| u.to_string()), Ok(expected.to_owned()), "{text}");
        };
        check("ws://Example.COM", "ws://example.com/");
        check("wss://example.com:443/a?b=c", "wss://example.com/a?b=c");
        check("http://127.0.0.1:8080", "ws://127.0.0.1:8080/");
        check("https://[::1]:9/x", "wss://[::1]:9/x");
        check("https://[0:0:0::0001]/", "wss://[::1]/");
        check("ws://h?q", "ws://h/?q");
    }

    #[test]
    fn a_wrong_url_says_what_is_wrong() {
        let check = |text: &str, expected| assert_eq!(text.parse::<WsUrl>(), Err(expected), "{text}");
        check("example.com", UrlError::Scheme);
        check("ftp://h/", UrlError::Scheme);
        check("ws://", UrlError::Host);
        check("ws://a..b/", UrlError::Host);
        check("ws://h:0/", UrlError::Port);
        check("ws://h:99999/", UrlError::Port);
        check("ws://h:/", UrlError::Port);
        check("ws://u:p@h/", UrlError::UserInfo);
        check("ws://h/#f", UrlError::Fragment);
        check("ws://h/a b", UrlError::Target);
        check("ws://h/\r\nX: y", UrlError::Target);
        check("ws://[::1/", UrlError::Host);
        check("ws://h\u{e9}/", UrlError::Host);
    }

    #[test]
    fn a_host_has_at_most_253_bytes() {
        let check = |length: usize, expected| {
            let host = "a".repeat(length);
            assert_eq!(format!("ws://{host}/").parse::<WsUrl>().map(|url| url.host), expected);
        };
        check(253, Ok("a".repeat(253)));
        check(254, Err(UrlError::Host));
    }

    #[test]
    fn loopback_is_known_by_name_and_address() {
        let check = |text: &str, expected| assert_eq!(text.parse::<WsUrl>().unwrap().is_loopback(), expected);
        check("ws://localhost", true);
        check("ws://127.9.9.9", true);
        check("ws://[::1]", true);
        check("ws://[::ffff:127.0.0.1]", true);
        check("ws://localhost.evil.example", false);
        check("ws://10.0.0.1", false);
    }
}

//! The Origin header (RFC 6454 §7): where a browser says the page came from, and what any other client makes up.

use crate::url::split_port;

/// A scheme, a host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The scheme, lower case.
    pub scheme: String,
    /// The host, lower case; an IPv6 address without brackets.
    pub host: String,
    /// The port; that of the scheme where none is written.
    pub port: u16,
}

/// What an Origin header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginHeader {
    /// One origin.
    Origin(Origin),
    /// `null`: a sandboxed frame, a `data:` page, a redirect across origins.
    Null,
    /// Something no browser sends.
    Malformed,
}

impl OriginHeader {
    /// Reads a header's value.
    pub fn parse(value: &[u8]) -> Self {
        match std::str::from_utf8(value) {
            Ok("null") => Self::Null,
            Ok(text) => text.parse().map_or(Self::Malformed, Self::Origin),
            Err(_) => Self::Malformed,
        }
    }
}

/// Why a text is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an origin is a scheme, a host and perhaps a port, such as https://app.example:8443, and nothing after"
)]
pub struct OriginError;

impl std::str::FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let (scheme, authority) = text.split_once("://").ok_or(OriginError)?;
        let scheme = scheme.to_ascii_lowercase();
        let named = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        if !named || !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(OriginError);
        }
        let (host, port) = split_port(authority).map_err(|_| OriginError)?;
        let port = match (port, scheme.as_str()) {
            (Some(port), _) => port,
            (None, "http" | "ws") => 80,
            (None, "https" | "wss") => 443,
            (None, _) => 0,
        };
        Ok(Self { scheme, host, port })
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "{}://{host}", self.scheme)?;
        match (self.scheme.as_str(), self.port) {
            ("http" | "ws", 80) | ("https" | "wss", 443) | (_, 0) => Ok(()),
            (_, port) => write!(f, ":{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_compared_by_scheme_host_and_port() {
        let check = |a: &str, b: &str, same: bool| {
            assert_eq!(a.parse::<Origin>().unwrap() == b.parse::<Origin>().unwrap(), same, "{a} {b}");
        };
        check("https://app.example", "HTTPS://APP.example:443", true);
        check("https://app.example", "http://app.example", false);
        check("https://app.example", "https://app.example:8443", false);
        check("https://app.example", "https://app.example.", false);
        check("https://[::1]", "https://[0:0::1]", true);
    }

    #[test]
    fn only_what_a_browser_sends_is_an_origin() {
        let check = |value: &[u8], expected: &str| {
            let text = match OriginHeader::parse(value) {
                OriginHeader::Origin(origin) => origin.to_string(),
                OriginHeader::Null => "null".to_owned(),
                OriginHeader::Malformed => "malformed".to_owned(),
            };
            assert_eq!(text, expected);
        };
        check(b"https://app.example:8443", "https://app.example:8443");
        check(b"https://[::1]:1", "https://[::1]:1");
        check(b"null", "null");
        check(b"NULL", "malformed");
        check(b"", "malformed");
        check(b"https://app.example/", "malformed");
        check(b"https://app.example https://evil.example", "malformed");
        check(b"https://user@app.example", "malformed");
        check(b"https://app.example\xff", "malformed");
        check(b"app.example", "malformed");
    }
}

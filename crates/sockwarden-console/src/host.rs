//! By which names the listener may be asked for, and by which pages.
//!
//! A page whose name was made to resolve to this machine (DNS rebinding) sends its own name as Host; a page of any other
//! site sends its Origin.

use std::net::SocketAddr;

/// The names of one listener.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    tls: bool,
    allowed: Vec<String>,
}

impl Names {
    /// Gives the names of a connection that came to `local`, and those that the configuration adds.
    pub(crate) fn new(local: SocketAddr, tls: bool, configured: &[String]) -> Self {
        let local = SocketAddr::new(local.ip().to_canonical(), local.port());
        let mut allowed = vec![local.to_string()];
        if local.ip().is_loopback() {
            let port = local.port();
            allowed.extend(["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}:{port}")));
        }
        allowed.extend_from_slice(configured);
        Self { tls, allowed }
    }

    /// Tells whether a Host header names the listener.
    pub(crate) fn includes(&self, host: &str) -> bool {
        let standard = if self.tls { ":443" } else { ":80" };
        let is = |name: &String| {
            name.eq_ignore_ascii_case(host)
                || name.strip_suffix(standard).is_some_and(|bare| bare.eq_ignore_ascii_case(host))
        };
        self.allowed.iter().any(is)
    }

    /// Tells whether an Origin header is that of a page which the listener itself serves under `host`.
    pub(crate) fn is_own_origin(&self, origin: &str, host: &str) -> bool {
        let scheme = if self.tls { "https://" } else { "http://" };
        origin
            .split_at_checked(scheme.len())
            .is_some_and(|(s, rest)| s.eq_ignore_ascii_case(scheme) && rest.eq_ignore_ascii_case(host))
    }
}

/// Tells whether a text is a host name or an address with an optional port.
pub(crate) fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        Some(_) | None => (text, None),
    };
    let host_ok = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
        }
    };
    host_ok && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// Tells whether a path is spelled in the one way in which ours are: no escapes, no empty or dotted segments.
pub(crate) fn is_plain_path(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|segment| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_listeners_own_names_are_answered() {
        let configured = ["admin.example".to_owned(), "other.example:9443".to_owned()];
        let check = |local: &str, tls, host, expected| {
            let names = Names::new(local.parse().unwrap(), tls, &configured);
            assert_eq!(names.includes(host), expected, "{local} {host}");
        };
        check("127.0.0.1:9443", false, "127.0.0.1:9443", true);
        check("127.0.0.1:9443", false, "localhost:9443", true);
        check("127.0.0.1:9443", false, "LOCALHOST:9443", true);
        check("[::1]:9443", false, "[::1]:9443", true);
        check("[::ffff:127.0.0.1]:9443", false, "127.0.0.1:9443", true);
        check("127.0.0.1:9443", false, "127.0.0.1:9444", false);
        check("127.0.0.1:9443", false, "127.0.0.1", false);
        check("127.0.0.1:9443", false, "localhost", false);
        check("127.0.0.1:80", false, "localhost", true);
        check("127.0.0.1:80", true, "localhost", false);
        check("127.0.0.1:443", true, "localhost", true);
        check("127.0.0.1:9443", false, "evil.example:9443", false);
        check("127.0.0.1:9443", false, "localhost.evil.example:9443", false);
        check("127.0.0.1:9443", false, "", false);
        check("192.0.2.1:9443", true, "192.0.2.1:9443", true);
        check("192.0.2.1:9443", true, "localhost:9443", false);
        check("192.0.2.1:9443", true, "admin.example", true);
        check("192.0.2.1:9443", true, "other.example:9443", true);
        check("192.0.2.1:9443", true, "other.example", false);
    }

    #[test]
    fn only_a_page_of_the_same_host_and_scheme_is_its_own() {
        let check = |tls, origin, expected| {
            let names = Names::new("127.0.0.1:9443".parse().unwrap(), tls, &[]);
            assert_eq!(names.is_own_origin(origin, "localhost:9443"), expected, "{origin}");
        };
        check(false, "http://localhost:9443", true);
        check(true, "https://localhost:9443", true);
        check(true, "http://localhost:9443", false);
        check(false, "https://localhost:9443", false);
        check(false, "http://127.0.0.1:9443", false);
        check(false, "http://localhost:9444", false);
        check(false, "http://localhost:9443.evil.example", false);
        check(false, "null", false);
        check(false, "", false);
    }

    #[test]
    fn an_authority_is_a_name_or_an_address() {
        let check = |text, expected| assert_eq!(is_authority(text), expected, "{text}");
        check("admin.example", true);
        check("admin.example:9443", true);
        check("[::1]:1", true);
        check("[::1]", true);
        check("admin.example:", false);
        check("admin.example:99999", false);
        check("https://admin.example", false);
        check("*.example", false);
        check("a b", false);
        check("", false);
    }

    #[test]
    fn a_path_has_one_spelling() {
        let check = |path, expected| assert_eq!(is_plain_path(path), expected, "{path}");
        check("/livez", true);
        check("/api/v1/openapi.json", true);
        check("/api/v1/sessions/0123456789", true);
        check("", false);
        check("/", false);
        check("*", false);
        check("//livez", false);
        check("/api/v1//sessions", false);
        check("/api/v1/sessions/", false);
        check("/api/v1/../v1/sessions", false);
        check("/api/v1/./sessions", false);
        check("/api/v1/%73essions", false);
        check("/api/v1/sessions%2f", false);
        check("/api/v1/..%2f", false);
        check("/api/v1;x/sessions", false);
        check("/api\\v1", false);
    }
}

//! Which pages may open the socket.

use hyper::HeaderMap;
use hyper::header::{HOST, ORIGIN};

use crate::app::Transport;

/// Decides whether the `Origin` of a request is one of ours: the very server that is asked, or one on the list.
///
/// A request without `Origin` is let in: browsers always send one with a WebSocket handshake and with a POST,
/// so that it comes from a program, which holds no cookie but its owner's. `null`, two of them, or anything
/// unreadable is foreign.
pub(crate) fn is_ours(headers: &HeaderMap, transport: Transport, allowed: &[String]) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let origin = match (origins.next(), origins.next()) {
        (None, _) => return true,
        (Some(origin), None) => origin,
        (Some(_), Some(_)) => return false,
    };
    let Ok(origin) = origin.to_str() else { return false };
    let own = headers.get(HOST).and_then(|host| host.to_str().ok()).is_some_and(|host| {
        origin
            .split_once("://")
            .is_some_and(|(scheme, rest)| scheme == transport.scheme() && rest.eq_ignore_ascii_case(host))
    });
    own || allowed.iter().any(|allowed| allowed == origin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn only_the_own_and_the_listed_origins_are_ours() {
        for (origins, expected) in [
            (&[][..], true),
            (&["https://localhost:8443"], true),
            (&["https://LOCALHOST:8443"], true),
            (&["https://gateway.example"], true),
            (&["http://localhost:8443"], false),
            (&["https://localhost"], false),
            (&["https://localhost:8443.evil.example"], false),
            (&["https://evil.example/localhost:8443"], false),
            (&["https://localhost:8443", "https://evil.example"], false),
            (&["https://gateway.example.evil.example"], false),
            (&["https://gateway.example/"], false),
            (&["null"], false),
            (&[""], false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("localhost:8443"));
            for origin in origins {
                headers.append(ORIGIN, HeaderValue::from_static(origin));
            }
            let allowed = ["https://gateway.example".to_owned()];
            assert_eq!(is_ours(&headers, Transport::Tls, &allowed), expected, "{origins:?}");
        }
    }

    #[test]
    fn without_a_host_only_the_list_counts() {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, HeaderValue::from_static("https://"));
        assert!(!is_ours(&headers, Transport::Tls, &[]));
    }
}

//! Judging a client's handshake (RFC 6455 §4.1, §4.2.1).

use super::{RequestHead, is_token, is_valid_key};
use crate::deflate::{self, Offer};

/// What is wrong with a client's handshake.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RequestViolation {
    /// The method is not GET (§4.1 item 2).
    #[error("the method is not GET")]
    Method,
    /// The version is below HTTP/1.1 (§4.1 item 2).
    #[error("the version is below HTTP/1.1")]
    HttpVersion,
    /// The target is not a path (§4.1 item 3, RFC 9112 §3.2.1).
    #[error("the request target is not a path")]
    Target,
    /// There is no Host header (§4.1 item 4).
    #[error("there is no Host header")]
    HostMissing,
    /// There is more than one Host header (RFC 9112 §3.2).
    #[error("there is more than one Host header")]
    HostRepeated,
    /// The Host header is no host and port (RFC 9110 §7.2).
    #[error("the Host header is malformed")]
    HostMalformed,
    /// The Upgrade header does not name websocket (§4.1 item 5).
    #[error("the Upgrade header does not name websocket")]
    UpgradeMissing,
    /// The Upgrade header names another protocol besides.
    #[error("the Upgrade header offers another protocol besides websocket")]
    UpgradeAmbiguous,
    /// The Connection header does not name Upgrade (§4.1 item 6).
    #[error("the Connection header does not name Upgrade")]
    ConnectionMissing,
    /// There is no Sec-WebSocket-Key (§4.1 item 7).
    #[error("there is no Sec-WebSocket-Key")]
    KeyMissing,
    /// There is more than one Sec-WebSocket-Key (§11.3.1).
    #[error("there is more than one Sec-WebSocket-Key")]
    KeyRepeated,
    /// The key is not 16 bytes in base 64 (§4.2.1 item 5).
    #[error("Sec-WebSocket-Key is not 16 bytes in base64")]
    KeyMalformed,
    /// There is no Sec-WebSocket-Version (§4.1 item 9).
    #[error("there is no Sec-WebSocket-Version")]
    VersionMissing,
    /// There is more than one Sec-WebSocket-Version (§11.3.5).
    #[error("there is more than one Sec-WebSocket-Version")]
    VersionRepeated,
    /// The version is not 13 (§4.2.1 item 6).
    #[error("Sec-WebSocket-Version is not 13")]
    VersionUnsupported,
    /// There is more than one Origin header (RFC 6454 §7.2).
    #[error("there is more than one Origin header")]
    OriginRepeated,
    /// A sub-protocol is no token, or is offered twice (§4.1 item 10).
    #[error("Sec-WebSocket-Protocol is malformed or names a sub-protocol twice")]
    ProtocolMalformed,
    /// Sec-WebSocket-Extensions does not conform to its grammar (§9.1).
    #[error("Sec-WebSocket-Extensions is malformed")]
    ExtensionsMalformed,
    /// A body is announced, which a GET for an upgrade has no use for (RFC 9112 §6).
    #[error("the request announces a body")]
    Body,
    /// Bytes follow the head before the handshake is answered (§4.1: the client must wait).
    #[error("bytes follow the request before it is answered")]
    EarlyData,
}

impl RequestViolation {
    /// Tells whether nothing can be upgraded without guessing what was meant; such a request is refused even by those
    /// who are lenient about the rest.
    pub const fn is_fatal(&self) -> bool {
        match self {
            Self::Method
            | Self::Target
            | Self::HostMissing
            | Self::HostRepeated
            | Self::HostMalformed
            | Self::UpgradeMissing
            | Self::ConnectionMissing
            | Self::KeyMissing
            | Self::KeyRepeated
            | Self::VersionRepeated
            | Self::VersionUnsupported
            | Self::OriginRepeated
            | Self::Body => true,
            Self::HttpVersion
            | Self::UpgradeAmbiguous
            | Self::KeyMalformed
            | Self::VersionMissing
            | Self::ProtocolMalformed
            | Self::ExtensionsMalformed
            | Self::EarlyData => false,
        }
    }

    /// Gives the HTTP status that answers it: 426 where another version or an upgrade at all would do, else 400.
    pub const fn status(&self) -> u16 {
        match self {
            Self::UpgradeMissing | Self::VersionUnsupported | Self::VersionMissing => 426,
            Self::Method => 405,
            Self::HttpVersion
            | Self::Target
            | Self::HostMissing
            | Self::HostRepeated
            | Self::HostMalformed
            | Self::UpgradeAmbiguous
            | Self::ConnectionMissing
            | Self::KeyMissing
            | Self::KeyRepeated
            | Self::KeyMalformed
            | Self::VersionRepeated
            | Self::OriginRepeated
            | Self::ProtocolMalformed
            | Self::ExtensionsMalformed
            | Self::Body
            | Self::EarlyData => 400,
        }
    }
}

/// A request to upgrade, with everything that was wrong about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpgradeRequest {
    /// The head as it came.
    pub head: RequestHead,
    /// What the head breaks, in the order of RFC 6455 §4.2.1.
    pub violations: Vec<RequestViolation>,
}

impl UpgradeRequest {
    /// Judges a head; `early` tells how many bytes followed it before it was answered.
    pub fn judge(head: RequestHead, early: usize) -> Self {
        let violations = violations(&head, early);
        Self { head, violations }
    }

    /// Tells whether the request is an ordinary one that never asked for a WebSocket.
    pub fn is_plain_http(&self) -> bool {
        !self.head.headers.list_has("upgrade", "websocket")
            && self.head.headers.count("sec-websocket-key") == 0
    }

    /// Gives the key, perhaps malformed, perhaps empty.
    pub fn key(&self) -> &[u8] {
        self.head.headers.first("sec-websocket-key").unwrap_or_default()
    }

    /// Gives the sub-protocols that are offered, those that are tokens only.
    pub fn protocols(&self) -> Vec<String> {
        self.head
            .headers
            .list("sec-websocket-protocol")
            .filter(|p| is_token(p))
            .map(|p| p.iter().copied().map(char::from).collect())
            .collect()
    }

    /// Gives the valid offers of permessage-deflate, the preferred one first; none where the header is malformed.
    pub fn deflate_offers(&self) -> Vec<Offer> {
        deflate::extensions(self.head.headers.all("sec-websocket-extensions"))
            .map(|extensions| deflate::offers(&extensions))
            .unwrap_or_default()
    }
}

fn violations(head: &RequestHead, early: usize) -> Vec<RequestViolation> {
    use RequestViolation as V;
    let headers = &head.headers;
    let mut found = Vec::new();
    let mut note = |wrong: bool, violation| {
        if wrong {
            found.push(violation);
        }
    };
    note(head.method != "GET", V::Method);
    note(head.minor_version < 1, V::HttpVersion);
    note(!head.target.starts_with('/') || head.target.contains('#'), V::Target);
    match headers.count("host") {
        0 => note(true, V::HostMissing),
        1 => note(
            headers.text("host").is_none_or(|host| crate::url::split_port(host).is_err()),
            V::HostMalformed,
        ),
        _ => note(true, V::HostRepeated),
    }
    let upgrades = headers.list("upgrade").count();
    if !headers.list_has("upgrade", "websocket") {
        note(true, V::UpgradeMissing);
    } else {
        note(upgrades > 1, V::UpgradeAmbiguous);
    }
    note(!headers.list_has("connection", "upgrade"), V::ConnectionMissing);
    match headers.count("sec-websocket-key") {
        0 => note(true, V::KeyMissing),
        1 => note(!headers.first("sec-websocket-key").is_some_and(is_valid_key), V::KeyMalformed),
        _ => note(true, V::KeyRepeated),
    }
    match headers.count("sec-websocket-version") {
        0 => note(true, V::VersionMissing),
        1 => note(headers.first("sec-websocket-version") != Some(b"13"), V::VersionUnsupported),
        _ => note(true, V::VersionRepeated),
    }
    note(headers.count("origin") > 1, V::OriginRepeated);
    let protocols: Vec<&[u8]> = headers.list("sec-websocket-protocol").collect();
    let named_twice = protocols.iter().enumerate().any(|(i, p)| protocols[..i].contains(p));
    let empty = headers.count("sec-websocket-protocol") > 0 && protocols.is_empty();
    note(empty || named_twice || !protocols.iter().all(|p| is_token(p)), V::ProtocolMalformed);
    note(deflate::extensions(headers.all("sec-websocket-extensions")).is_err(), V::ExtensionsMalformed);
    let length_is_zero =
        headers.count("content-length") == 1 && headers.first("content-length") == Some(b"0");
    let announces = headers.count("content-length") > 0 && !length_is_zero;
    note(announces || headers.count("transfer-encoding") > 0, V::Body);
    note(early > 0, V::EarlyData);
    found
}

#[cfg(test)]
mod tests {
    use super::{super::HeadLimits, *};

    const GOOD: &str = "GET /chat HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

    fn judge(head: &str) -> Vec<RequestViolation> {
        let (head, _) = RequestHead::parse(head.as_bytes(), HeadLimits::default()).unwrap().unwrap();
        UpgradeRequest::judge(head, 0).violations
    }

    #[test]
    fn each_departure_from_a_good_handshake_is_named() {
        use RequestViolation as V;
        assert_eq!(judge(GOOD), []);
        let check = |from: &str, to: &str, expected: &[V]| {
            assert!(GOOD.contains(from));
            assert_eq!(judge(&GOOD.replacen(from, to, 1)), expected, "{from:?} -> {to:?}");
        };
        check("GET", "POST", &[V::Method]);
        check("HTTP/1.1", "HTTP/1.0", &[V::HttpVersion]);
        check("/chat", "http://evil/chat", &[V::Target]);
        check("Host: a.example\r\n", "", &[V::HostMissing]);
        check("Host: a.example\r\n", "Host: a.example\r\nhost: evil\r\n", &[V::HostRepeated]);
        check("a.example", "a b", &[V::HostMalformed]);
        check("Upgrade: websocket\r\n", "", &[V::UpgradeMissing]);
        check("Upgrade: websocket", "Upgrade: h2c", &[V::UpgradeMissing]);
        check("Upgrade: websocket", "Upgrade: websocket, h2c", &[V::UpgradeAmbiguous]);
        check("Upgrade: websocket", "Upgrade: WebSocket", &[]);
        check("keep-alive, Upgrade", "keep-alive", &[V::ConnectionMissing]);
        check("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", &[V::KeyMissing]);
        check("dGhlIHNhbXBsZSBub25jZQ==", "abc", &[V::KeyMalformed]);
        check("Sec-WebSocket-Version: 13\r\n", "", &[V::VersionMissing]);
        check("Version: 13", "Version: 8", &[V::VersionUnsupported]);
        check("Version: 13", "Version: 13\r\nSec-WebSocket-Version: 8", &[V::VersionRepeated]);
        check("\r\n\r\n", "\r\nOrigin: a\r\nOrigin: b\r\n\r\n", &[V::OriginRepeated]);
        check("\r\n\r\n", "\r\nSec-WebSocket-Protocol: a, b\r\n\r\n", &[]);
        check("\r\n\r\n", "\r\nSec-WebSocket-Protocol: a, a\r\n\r\n", &[V::ProtocolMalformed]);
        check("\r\n\r\n", "\r\nSec-WebSocket-Protocol: a b\r\n\r\n", &[V::ProtocolMalformed]);
        check("\r\n\r\n", "\r\nSec-WebSocket-Protocol: \r\n\r\n", &[V::ProtocolMalformed]);
        check("\r\n\r\n", "\r\nSec-WebSocket-Protocol: a,, b\r\nSec-WebSocket-Protocol: c\r\n\r\n", &[]);
        let malformed = &[V::ExtensionsMalformed];
        check("\r\n\r\n", "\r\nSec-WebSocket-Extensions: a; b=\"1\", c\r\n\r\n", &[]);
        check("\r\n\r\n", "\r\nSec-WebSocket-Extensions: a b\r\n\r\n", malformed);
        check("\r\n\r\n", "\r\nSec-WebSocket-Extensions: \r\n\r\n", malformed);
        check("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n", &[]);
        check("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n", &[V::Body]);
        check("\r\n\r\n", "\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", &[V::Body]);
        check("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n", &[V::Body]);
    }

    #[test]
    fn the_offers_of_all_fields_are_given_in_order_and_only_the_valid_ones() {
        let check = |fields: &str, expected: &[&str]| {
            let text = GOOD.replacen("\r\n\r\n", &format!("\r\n{fields}\r\n"), 1);
            let (head, _) = RequestHead::parse(text.as_bytes(), HeadLimits::default()).unwrap().unwrap();
            let offers = UpgradeRequest::judge(head, 0).deflate_offers();
            assert_eq!(offers.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
        };
        let (name, bare) = ("Sec-WebSocket-Extensions", "permessage-deflate");
        check("", &[]);
        check(
            &format!("{name}: x; y=1, {bare}; client_max_window_bits\r\n"),
            &["permessage-deflate; client_max_window_bits"],
        );
        check(
            &format!("{name}: {bare}; server_max_window_bits=9\r\n{name}: {bare}\r\n"),
            &["permessage-deflate; server_max_window_bits=9", bare],
        );
        check(&format!("{name}: {bare}; nonsense\r\n"), &[]);
        check(&format!("{name}: {bare}\r\n{name}: a b\r\n"), &[]);
    }

    #[test]
    fn bytes_before_the_answer_are_early() {
        let (head, _) = RequestHead::parse(GOOD.as_bytes(), HeadLimits::default()).unwrap().unwrap();
        assert_eq!(UpgradeRequest::judge(head, 1).violations, [RequestViolation::EarlyData]);
    }
}

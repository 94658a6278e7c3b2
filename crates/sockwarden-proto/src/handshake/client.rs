//! Building a client's handshake (RFC 6455 §4.1).

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// A client's handshake. Values are written as they are: who takes them from elsewhere keeps line breaks out of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHandshake {
    /// The Host header.
    pub host: String,
    /// The request target, beginning with `/`.
    pub target: String,
    /// The value of Sec-WebSocket-Key.
    pub key: String,
    /// The sub-protocols to offer, the preferred one first.
    pub protocols: Vec<String>,
    /// The extensions to offer, with their parameters.
    pub extensions: Vec<String>,
    /// Further header fields, such as Origin and Cookie, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl ClientHandshake {
    /// Makes a handshake without sub-protocols, extensions and further fields.
    pub fn new(host: &str, target: &str, key: &str) -> Self {
        Self {
            host: host.to_owned(),
            target: target.to_owned(),
            key: key.to_owned(),
            protocols: Vec::new(),
            extensions: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Makes a key from 16 random bytes.
    pub fn key_from_random(random: [u8; 16]) -> String {
        STANDARD.encode(random)
    }

    /// Adds a header field.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Writes the request.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\n",
            self.target, self.host, self.key
        )
        .into_bytes();
        let mut field = |name: &str, value: &[u8]| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        };
        if !self.protocols.is_empty() {
            field("Sec-WebSocket-Protocol", self.protocols.join(", ").as_bytes());
        }
        if !self.extensions.is_empty() {
            field("Sec-WebSocket-Extensions", self.extensions.join(", ").as_bytes());
        }
        for (name, value) in &self.headers {
            field(name, value);
        }
        out.extend_from_slice(b"\r\n");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{HeadLimits, RequestHead, UpgradeRequest},
        *,
    };

    #[test]
    fn what_we_write_is_what_we_accept() {
        let key = ClientHandshake::key_from_random([7; 16]);
        let mut handshake =
            ClientHandshake::new("a.example", "/chat?x=1", &key).with_header("Origin", "https://a.example");
        handshake.protocols = vec!["chat".into(), "mqtt".into()];
        let bytes = handshake.encode();
        let (head, length) = RequestHead::parse(&bytes, HeadLimits::default()).unwrap().unwrap();
        let request = UpgradeRequest::judge(head, bytes.len() - length);
        assert_eq!(request.violations, []);
        assert_eq!(request.protocols(), ["chat", "mqtt"]);
        assert_eq!(request.key(), key.as_bytes());
    }
}

//! The proof that a server speaks WebSocket (RFC 6455 §4.2.2).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest as _, Sha1};

/// Computes Sec-WebSocket-Accept from the value of Sec-WebSocket-Key.
pub fn accept_value(key: &[u8]) -> String {
    let digest =
        Sha1::new().chain_update(key).chain_update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    STANDARD.encode(digest)
}

/// Tells whether a value of Sec-WebSocket-Key is 16 bytes in base 64.
pub fn is_valid_key(key: &[u8]) -> bool {
    STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_6455_1_3() {
        assert_eq!(accept_value(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_is_sixteen_bytes_in_base_64() {
        let check = |key: &[u8], expected| assert_eq!(is_valid_key(key), expected);
        check(b"dGhlIHNhbXBsZSBub25jZQ==", true);
        check(b"dGhlIHNhbXBsZSBub25jZQ", false);
        check(b"abc", false);
        check(b"", false);
        check(b"dGhlIHNhbXBsZSBub25jZSE=", false);
    }
}

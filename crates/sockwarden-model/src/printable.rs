//! Bytes of a peer, made harmless for a person's eyes.

use std::fmt::Write as _;

/// Escapes `bytes` so that they can be shown on a terminal or in a log: printable ASCII stays, everything else becomes
/// `\n`, `\r`, `\t`, `\\` or `\xHH`. At most `limit` input bytes are shown, and what was cut is counted.
pub fn printable(bytes: &[u8], limit: usize) -> String {
    let shown = &bytes[..bytes.len().min(limit)];
    let mut out = String::with_capacity(shown.len() + 16);
    for &byte in shown {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x20..=0x7e => out.push(char::from(byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    if bytes.len() > limit {
        let _ = write!(out, "… ({} bytes more)", bytes.len() - limit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn what_a_peer_sends_cannot_move_the_cursor() {
        let check = |input: &[u8], limit, expected: &str| assert_eq!(printable(input, limit), expected);
        check(b"plain", 10, "plain");
        check(b"\x1b[2J", 10, "\\x1b[2J");
        check(b"a\r\nb\\", 10, "a\\r\\nb\\\\");
        check("é".as_bytes(), 10, "\\xc3\\xa9");
        check(b"abcdef", 2, "ab… (4 bytes more)");
    }
}

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

/// Escapes a text so that a person can read it where it stands: letters of every language stay, and so does a backslash; what is
/// not seen, moves the cursor or turns the direction of writing becomes `\n`, `\t`, `\r` or `\u{…}`. At most `limit` characters
/// are given; where more follow, the last one is `…`.
pub fn printable_text(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    let mut written = 0;
    // What is cut off to make room for the mark.
    let mut room = 0;
    for letter in text.chars() {
        let start = out.len();
        match letter {
            '\\' | '\'' | '"' => out.push(letter),
            other => out.extend(other.escape_debug()),
        }
        written += out[start..].chars().count();
        if written < limit {
            room = out.len();
        } else if written > limit {
            out.truncate(room);
            out.push('…');
            return out;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{printable, printable_text};

    #[test]
    fn a_text_stays_readable_and_is_cut_to_its_width() {
        let check = |text: &str, limit, expected: &str| assert_eq!(printable_text(text, limit), expected);
        check("äöü 漢字 \"'\\", 99, "äöü 漢字 \"'\\");
        check(
            "a\u{1b}[2J\n\u{9b}\u{202e}\u{200b}\u{feff}",
            99,
            r"a\u{1b}[2J\n\u{9b}\u{202e}\u{200b}\u{feff}",
        );
        check("abcdef", 6, "abcdef");
        check("abcdef", 5, "abcd…");
        check("abc\u{1b}", 5, "abc…");
        check("abc\u{1b}", 4, "abc…");
        check("", 0, "");
        check("abc", 0, "…");
    }

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

//! Base64 (RFC 4648) of either alphabet, padded or not, with line ends between; in `data:` URLs (RFC 2397), in JSON Web Tokens
//! (RFC 7519) and behind `Bearer` or `Basic`.

use super::{cbor, message_pack, percent};
use crate::{Format, Marks, content, walk::Walk};

/// The fewest characters that are looked at: of fewer, too many names decode to something.
pub(crate) const SHORTEST: usize = 12;

/// How much is decoded before it is asked whether that can become anything.
const GLIMPSE: usize = 16;

/// What base64 is made of. `?` has the mark of `=`.
const ALPHABET: Marks = Marks::LETTER
    .and(Marks::DIGIT)
    .and(Marks::PLUS)
    .and(Marks::SLASH)
    .and(Marks::DASH)
    .and(Marks::UNDERSCORE)
    .and(Marks::QUERY)
    .and(Marks::LINE);

/// Tells whether a text can be one in base64 or in hexadecimal digits, also behind the name of a scheme; of a sentence most often not.
#[inline]
pub(crate) fn may_be(bytes: &[u8], marks: Marks) -> bool {
    marks.only(ALPHABET | Marks::DOT | Marks::BACKSLASH)
        || marks.any(Marks::SPACE | Marks::COMMA) && matches!(bytes.first(), Some(b'B' | b'b' | b'D' | b'd'))
}

/// Reads what a text in base64 stands for; `false` where that is nothing that one could read on in.
pub(crate) fn whole(walk: &mut Walk<'_>, bytes: &[u8], marks: Marks) -> bool {
    if marks.any(Marks::COMMA) && bytes.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"data:")) {
        return data(walk, bytes);
    }
    if marks.any(Marks::SPACE) {
        let Some(token) = credentials(bytes) else { return false };
        return whole(walk, token, Marks::of(token));
    }
    if bytes.len() < SHORTEST {
        return false;
    }
    if marks.only(ALPHABET) {
        return run(walk, bytes, |walk, plain| {
            walk.inside(Format::Base64, |walk| content::decoded(walk, plain));
        });
    }
    if marks.any(Marks::DOT) && marks.only(ALPHABET | Marks::DOT) && bytes.starts_with(b"eyJ") {
        return token(walk, bytes);
    }
    false
}

/// Gives what follows the name of a scheme of authentication.
fn credentials(bytes: &[u8]) -> Option<&[u8]> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let (scheme, token) = bytes.split_at(space);
    let known = scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"basic");
    let token = token.trim_ascii();
    (known && !token.contains(&b' ')).then_some(token)
}

/// Reads the parts of a JSON Web Token that are texts: its header and, where it is not encrypted, its claims.
fn token(walk: &mut Walk<'_>, bytes: &[u8]) -> bool {
    let mut any = false;
    for (number, part) in (0..).zip(bytes.split(|byte| *byte == b'.').take(5)) {
        any |= run(walk, part, |walk, plain| {
            walk.inside(Format::Base64, |walk| walk.at_index(number, |walk| content::decoded(walk, plain)));
        });
    }
    any
}

/// Reads what a `data:` URL holds.
fn data(walk: &mut Walk<'_>, bytes: &[u8]) -> bool {
    let Some(comma) = bytes.iter().position(|byte| *byte == b',') else { return false };
    let (kind, held) = bytes.split_at(comma);
    let held = held.get(1..).unwrap_or_default();
    if kind.to_ascii_lowercase().ends_with(b";base64") {
        return run(walk, held, |walk, plain| {
            walk.inside(Format::Base64, |walk| content::decoded(walk, plain));
        });
    }
    let escaped = percent::is_likely(held);
    if escaped {
        percent::whole(walk, held);
    } else if !held.is_empty() {
        walk.inside(Format::Text, |walk| content::decoded(walk, held));
    }
    true
}

/// Decodes, and hands on what can be read on in: text, or a format that is known.
fn run(walk: &mut Walk<'_>, bytes: &[u8], read: impl FnOnce(&mut Walk<'_>, &[u8])) -> bool {
    let mut plain = walk.buffer();
    let known = decode(bytes, &mut plain)
        && !plain.is_empty()
        && (content::is_text(&plain) || message_pack::begins(&plain) || cbor::begins(&plain));
    if known && walk.decoded(plain.len()) {
        read(walk, &plain);
    }
    walk.give(plain);
    known
}

/// Decodes; `false` where it is no base64, or early where it begins as nothing that one could read on in.
fn decode(bytes: &[u8], plain: &mut Vec<u8>) -> bool {
    let (mut held, mut bits) = (0_u32, 0_u32);
    let mut characters = bytes.iter().filter(|byte| !matches!(byte, b'\r' | b'\n'));
    let mut count = 0_usize;
    for &character in characters.by_ref() {
        let Some(six) = six(character) else {
            if character == b'=' && padding(count) > 0 {
                return characters.all(|byte| *byte == b'=');
            }
            return false;
        };
        count += 1;
        held = (held << 6 | u32::from(six)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            plain.push((held >> bits) as u8);
        }
        if count == GLIMPSE && !is_promising(plain) {
            return false;
        }
    }
    // One character alone is not even a byte.
    count % 4 != 1
}

/// Tells how much padding so many characters need.
fn padding(count: usize) -> usize {
    match count % 4 {
        2 => 2,
        3 => 1,
        _ => 0,
    }
}

/// Tells whether what begins like this may be worth the rest.
fn is_promising(plain: &[u8]) -> bool {
    plain.iter().all(|byte| content::is_readable(*byte))
        || matches!(plain.first(), Some(0x80..=0xbf | 0xd9 | 0xdc..=0xdf))
}

/// Gives the six bits that a character stands for, in either alphabet.
pub(crate) fn six(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Notes, check_values};

    fn notes(text: &str) -> Notes {
        let (client, kind) = (sockwarden_model::Direction::Client, sockwarden_proto::MessageKind::Text);
        crate::testing::read(None, &[(client, kind, text.as_bytes())])
    }

    #[test]
    fn the_test_vectors_decode() {
        // RFC 4648 §10, and the two characters in which the alphabets differ.
        for (encoded, expected) in [
            ("", "".as_bytes()),
            ("Zg==", b"f"),
            ("Zm8=", b"fo"),
            ("Zm8", b"fo"),
            ("Zm9v", b"foo"),
            ("Zm9vYg==", b"foob"),
            ("Zm9v\r\nYmE=", b"fooba"),
            ("Zm9vYmFy", b"foobar"),
            ("fn9+", b"~\x7f~"),
            ("Pz8/", b"???"),
            ("Pz8_", b"???"),
        ] {
            let mut plain = Vec::new();
            assert!(decode(encoded.as_bytes(), &mut plain), "{encoded}");
            assert_eq!(plain, expected, "{encoded}");
        }
        for encoded in ["Z", "Zg==Zg", "Zg=x", "=", "Zm9v=", "Zm9vY", "Zm 9v"] {
            assert!(!decode(encoded.as_bytes(), &mut Vec::new()), "{encoded}");
        }
    }

    #[test]
    fn what_decodes_to_text_is_followed() {
        check_values(
            "PHNjcmlwdD5hPC9zY3JpcHQ+",
            &[
                " encoded PHNjcmlwdD5hPC9zY3JpcHQ+",
                "|base64 markup <script>a</script>",
                "|base64|xml/script key script",
                "|base64|xml/script identifier a",
            ],
        );
        check_values("JyBvciAxPTEgLS0", &[" identifier JyBvciAxPTEgLS0", r"|base64 text \' or 1=1 --"]);
        check_values(
            "Basic YWRtaW46aHVudGVyMg==",
            &[" text Basic YWRtaW46aHVudGVyMg==", "|base64 identifier admin:hunter2"],
        );
        // MessagePack: {"user": "x y"}.
        let notes = notes("gaR1c2Vyo3ggeQ==");
        assert_eq!(notes.values[2..], ["|base64|msgpack/user key user", "|base64|msgpack/user text x y"]);
    }

    #[test]
    fn header_and_claims_of_a_token_are_followed() {
        let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";
        for text in [token.to_owned(), format!("Bearer {token}")] {
            let notes = notes(&text);
            assert_eq!(
                notes.values[1..],
                [
                    r#"|base64/0 json {\"alg\":\"HS256\",\"typ\":\"JWT\"}"#,
                    "|base64/0|json/alg key alg",
                    "|base64/0|json/alg identifier HS256",
                    "|base64/0|json/typ key typ",
                    "|base64/0|json/typ identifier JWT",
                    r#"|base64/1 json {\"sub\":\"1234567890\"}"#,
                    "|base64/1|json/sub key sub",
                    "|base64/1|json/sub number 1234567890",
                ]
            );
            assert_eq!(notes.said, Vec::<String>::new());
        }
    }

    #[test]
    fn data_urls_are_followed() {
        let values = |text: &str| notes(text).values[1..].join("; ");
        assert_eq!(values("data:text/plain;base64,YSBi"), "|base64 text a b");
        assert_eq!(values("data:text/html,%3Cb%3E"), "|percent markup <b>; |percent|xml/b key b");
        assert_eq!(values("data:,x y and z"), "|text text x y and z");
        assert_eq!(values("data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB"), "");
    }

    #[test]
    fn names_and_tokens_are_left_alone() {
        for text in [
            "getUserAccountDetails",
            "550e8400-e29b-41d4-a716-446655440000",
            "com.example.application.Service",
            "3f2504e04f8911d39a0c0305e82c3301",
            "sk_live_51HqJ2eKZvTqYb9AbCdEfGh",
            "application/vnd.github+json",
            "x7Gh2kLmQp9sRt4v",
            "internationalization",
            "2024-05-17T10:00:00Z",
        ] {
            let notes = notes(text);
            assert_eq!(notes.values.len(), 1, "{:?}", notes.values);
            assert_eq!(notes.said, Vec::<String>::new());
        }
    }
}

//! Pairs of hexadecimal digits that stand for a text.

use crate::{Format, Marks, content, walk::Walk};

/// The fewest digits that are looked at: fewer are a number or a name.
const SHORTEST: usize = 16;

/// Reads what the digits stand for; `false` where that is no text, as of most identifiers and hashes.
pub(crate) fn whole(walk: &mut Walk<'_>, bytes: &[u8], marks: Marks) -> bool {
    let digits = bytes.strip_prefix(b"0x").or(bytes.strip_prefix(b"\\x")).unwrap_or(bytes);
    // What has no letter is a number in decimal.
    let may = marks.only(Marks::LETTER | Marks::DIGIT | Marks::BACKSLASH)
        && digits.len() >= SHORTEST
        && digits.len().is_multiple_of(2)
        && digits.iter().any(u8::is_ascii_alphabetic);
    if !may {
        return false;
    }
    let mut plain = walk.buffer();
    let readable = decode(digits, &mut plain) && content::is_text(&plain);
    if readable && walk.decoded(plain.len()) {
        walk.inside(Format::Hex, |walk| content::decoded(walk, &plain));
    }
    walk.give(plain);
    readable
}

/// Decodes; stops early at what is neither a digit nor readable.
fn decode(digits: &[u8], plain: &mut Vec<u8>) -> bool {
    let (pairs, _) = digits.as_chunks::<2>();
    pairs.iter().all(|[high, low]| {
        let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16)) else {
            return false;
        };
        let byte = (high << 4 | low) as u8;
        plain.push(byte);
        content::is_readable(byte)
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::check_values;

    #[test]
    fn digits_that_stand_for_a_text_are_followed() {
        check_values(
            "3c7363726970743e",
            &[" identifier 3c7363726970743e", "|hex markup <script>", "|hex|xml/script key script"],
        );
        check_values("0x27206F7220313D3120", &[" identifier 0x27206F7220313D3120", r"|hex text \' or 1=1 "]);
        check_values(
            r"\x7b2261223a5b315d7d",
            &[
                r" text \\x7b2261223a5b315d7d",
                r#"|hex json {\"a\":[1]}"#,
                "|hex|json/a key a",
                "|hex|json/a/0 number 1",
            ],
        );
    }

    #[test]
    fn names_numbers_and_hashes_are_not() {
        for text in [
            "4242424242424242",
            "deadbeef",
            "d41d8cd98f00b204e9800998ecf8427e",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "3c7363726970743",
            "3c736372697074zz",
        ] {
            let notes = crate::testing::read(
                None,
                &[(
                    sockwarden_model::Direction::Client,
                    sockwarden_proto::MessageKind::Text,
                    text.as_bytes(),
                )],
            );
            assert_eq!(notes.values.len(), 1, "{:?}", notes.values);
        }
    }
}

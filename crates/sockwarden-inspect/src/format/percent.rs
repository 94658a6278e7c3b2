//! Percent-encoding (RFC 3986 §2.1), alone in a text. A form has names, too: `form`.

use crate::{Format, content, walk::Walk};

/// Tells whether a text holds an escape that can be resolved.
pub(crate) fn is_likely(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|three| escape(three).is_some())
}

/// Reads what a text says once its escapes are resolved. A `%` that begins none stands for itself: no one promised that it does.
pub(crate) fn whole(walk: &mut Walk<'_>, bytes: &[u8]) {
    let mut plain = walk.buffer();
    decode(bytes, b'%', &mut plain);
    if walk.decoded(plain.len()) {
        walk.inside(Format::Percent, |walk| content::decoded(walk, &plain));
    }
    walk.give(plain);
}

/// Resolves the escapes, and `+` to a space where `space` is that; tells where the first `%` is that begins none.
pub(crate) fn decode(bytes: &[u8], space: u8, plain: &mut Vec<u8>) -> Option<usize> {
    let (mut at, mut bad) = (0, None);
    while let Some(&byte) = bytes.get(at) {
        let resolved = bytes.get(at..at + 3).and_then(escape);
        if let Some(resolved) = resolved {
            plain.push(resolved);
            at += 3;
            continue;
        }
        if byte == b'%' {
            bad = bad.or(Some(at));
        }
        plain.push(if byte == b'+' && space == b'+' { b' ' } else { byte });
        at += 1;
    }
    bad
}

/// Gives the byte that `%XX` stands for.
fn escape(three: &[u8]) -> Option<u8> {
    let &[b'%', high, low] = three else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use crate::testing::check_values;

    #[test]
    fn escapes_are_resolved() {
        check_values("a%20b", &[" text a%20b", "|percent text a b"]);
        check_values("/a/%2e%2E/b", &[" path /a/%2e%2E/b", "|percent path /a/../b"]);
        check_values(
            "%3Cb%3E100%%3C/b%3E",
            &[
                " text %3Cb%3E100%%3C/b%3E",
                "|percent markup <b>100%</b>",
                "|percent|xml/b key b",
                "|percent|xml/b text 100%",
            ],
        );
    }

    #[test]
    fn a_percent_sign_is_no_escape() {
        for text in ["100%", "5 % of it", "%", "%%", "%4", "%zz", "100%-ig"] {
            assert_eq!(check_values(text, &[&format!(" text {text}")]).anomalies, [], "{text}");
        }
    }

    #[test]
    fn escapes_in_escapes_are_followed_to_the_bound() {
        let notes = check_values(
            "%252525252541 x",
            &[
                " text %252525252541 x",
                "|percent text %2525252541 x",
                "|percent|percent text %25252541 x",
                "|percent|percent|percent text %252541 x",
                "|percent|percent|percent|percent text %2541 x",
            ],
        );
        assert_eq!(notes.said, ["! beyond the bound `layers`"]);
    }

    #[test]
    fn what_is_no_text_is_told_as_bytes() {
        check_values(
            "%ff%3Cscript%3E",
            &[
                " text %ff%3Cscript%3E",
                "|percent binary \\xff<script>",
                "|percent|text/0 markup <script>",
                "|percent|text/0|xml/script key script",
            ],
        );
    }
}

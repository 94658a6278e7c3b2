//! JSON that a terminal can be shown.

use std::{borrow::Cow, fmt::Write as _};

/// Escapes in written JSON what is not seen, moves the cursor or turns the direction of writing, as JSON itself escapes characters;
/// it means the same after.
pub(crate) fn harmless_json(json: &str) -> Cow<'_, str> {
    if json.bytes().all(|byte| byte < 0x7f) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for letter in json.chars() {
        // Beyond ASCII only characters of strings are left, and what JSON must escape it has escaped.
        if letter > '~' && letter.escape_debug().len() > 1 {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(letter);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_means_the_same() {
        let check = |text: &str, expected: &str| {
            let json = serde_json::to_string(text).unwrap();
            let shown = harmless_json(&json);
            assert_eq!(shown, expected);
            assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        };
        check("plain \n\u{1b}[2J", r#""plain \n\u001b[2J""#);
        check("ü 漢字 🦀", "\"ü 漢字 🦀\"");
        check("\u{7f}\u{9b}2J\u{202e}\u{feff}\u{e0041}", r#""\u007f\u009b2J\u202e\ufeff\udb40\udc41""#);
    }
}

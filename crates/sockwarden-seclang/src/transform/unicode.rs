//! Characters outside of ASCII as `%uHHHH`.

use std::io::Write as _;

/// Writes each well-formed character of two bytes and more as `%u` and its code point; what is not well-formed stays.
pub(super) fn escape(input: &[u8], out: &mut Vec<u8>) {
    for chunk in input.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_ascii() {
                out.push(letter as u8);
            } else {
                // Writing to a Vec cannot fail.
                let _ = write!(out, "%u{:04x}", u32::from(letter));
            }
        }
        out.extend_from_slice(chunk.invalid());
    }
}

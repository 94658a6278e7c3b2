//! Names that fit into a word: where one ends, what it is made of and what is compared of it is told from that word.

use crate::Marks;

/// A name of less than eight bytes that stands for itself, as most do.
pub(super) struct ShortName {
    /// Its bytes, the first one lowest, and zeros.
    pub(super) word: u64,
    pub(super) length: usize,
    pub(super) marks: Marks,
}

impl ShortName {
    /// Reads the name that begins at `at`, where it is such a one.
    #[inline(always)]
    pub(super) fn read(bytes: &[u8], at: usize) -> Option<Self> {
        const EACH: u64 = 0x0101_0101_0101_0101;
        const HIGHEST: u64 = 0x80 * EACH;
        let word = u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
        // The lowest bit that is set is that of the first quote.
        let others = word ^ (EACH * b'"' as u64);
        let quotes = others.wrapping_sub(EACH) & !others & HIGHEST;
        if quotes == 0 {
            return None;
        }
        let behind = quotes & quotes.wrapping_neg();
        let length = behind.trailing_zeros() as usize / 8;
        let within = (behind >> 7) - 1;
        let word = word & within;
        // Of a letter, small or not, the highest bit says so; no sum here reaches the next byte.
        let small = (word | (0x20 * EACH)) & !HIGHEST;
        let after_z = small + EACH * (0x7f - b'z' as u64);
        let letters = (small + EACH * (0x80 - b'a' as u64)) & !after_z & !word & HIGHEST;
        if letters == within & HIGHEST && length > 0 {
            return Some(Self { word, length, marks: Marks::LETTER });
        }
        let bytes = word.to_le_bytes();
        let name = bytes.iter().take(length);
        let marks = name.fold(Marks::NONE, |marks, byte| marks | Marks::of_byte(*byte));
        // Where something may have to be resolved the long way is gone.
        let plain = !marks.any(Marks::BACKSLASH | Marks::CONTROL | Marks::LINE);
        plain.then_some(Self { word, length, marks })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_short_name_is_what_stands_before_the_quote(
            name in prop::collection::vec(prop_oneof![any::<u8>(), b'a'..=b'z', b'A'..=b'_'], 0..10),
            rest in prop::collection::vec(any::<u8>(), 8),
        ) {
            let text = [b"\"", name.as_slice(), b"\"", &rest].concat();
            let length = text[1..].iter().position(|byte| *byte == b'"').unwrap();
            let name = &text[1..=length];
            let marks = Marks::of(name);
            let plain = length < 8 && !marks.any(Marks::BACKSLASH | Marks::CONTROL | Marks::LINE);
            let mut word = [0; 8];
            let read = ShortName::read(&text, 1).map(|name| (name.word, name.length, name.marks));
            if plain {
                word[..length].copy_from_slice(name);
            }
            prop_assert_eq!(read, plain.then_some((u64::from_le_bytes(word), length, marks)));
        }
    }
}

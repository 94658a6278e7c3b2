//! Many words, looked for in one pass.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// Words with what each weighs.
pub(crate) type Words = &'static [(&'static str, u8)];

/// A list of words and what finds them; it is built when it is used first.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) words: Words,
    search: LazyLock<Option<AhoCorasick>>,
}

impl Table {
    /// Takes what builds the search of these words, which is `|| build(WORDS)`: a static has no other way.
    pub(crate) const fn new(words: Words, search: fn() -> Option<AhoCorasick>) -> Self {
        Self { words, search: LazyLock::new(search) }
    }

    /// Tells of each place where a word stands, in capitals or not: its number in the list, and where it begins.
    pub(crate) fn find(&self, bytes: &[u8], mut found: impl FnMut(usize, usize)) {
        if let Some(search) = &*self.search {
            for one in search.find_overlapping_iter(bytes) {
                found(one.pattern().as_usize(), one.start());
            }
        }
    }

    /// Tells which words are in it, where each stands first: the number in the list, and the place. At most 128 words are told apart.
    pub(crate) fn first(&self, bytes: &[u8], mut found: impl FnMut(usize, usize)) {
        let mut seen = 0_u128;
        self.find(bytes, |number, at| {
            let bit = 1_u128.checked_shl(u32::try_from(number).unwrap_or(u32::MAX)).unwrap_or_default();
            if seen & bit == 0 {
                seen |= bit;
                found(number, at);
            }
        });
    }

    /// Gives the words that are in it, a bit each.
    pub(crate) fn set(&self, bytes: &[u8]) -> u128 {
        let mut seen = 0_u128;
        self.first(bytes, |number, _| {
            seen |= 1_u128.checked_shl(u32::try_from(number).unwrap_or(u32::MAX)).unwrap_or_default()
        });
        seen
    }

    /// Tells whether any of the words is in it.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        self.search.as_ref().is_some_and(|search| search.is_match(bytes))
    }
}

/// Builds a search of these words.
pub(crate) fn build(words: Words) -> Option<AhoCorasick> {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .kind(Some(AhoCorasickKind::DFA))
        .build(words.iter().map(|(word, _)| word))
        .ok()
}

/// Declares tables: `NAME = [("word", weight), …];`
macro_rules! tables {
    ($($(#[$text:meta])* $name:ident = [$($entry:expr),* $(,)?];)*) => {
        $($(#[$text])* static $name: $crate::table::Table = {
            const WORDS: $crate::table::Words = &[$($entry),*];
            $crate::table::Table::new(WORDS, || $crate::table::build(WORDS))
        };)*
    };
}
pub(crate) use tables;

#[cfg(test)]
mod tests {
    tables! {
        WORDS = [("ab", 1), ("abc", 2), ("b", 3)];
    }

    #[test]
    fn every_word_is_found_where_it_stands_first() {
        let mut found = Vec::new();
        WORDS.first(b"xABCab", |number, at| found.push((WORDS.words[number].0, at)));
        assert_eq!(found, [("ab", 1), ("b", 2), ("abc", 1)]);
        assert_eq!(WORDS.set(b"ab"), 0b101);
        assert!(!WORDS.is_in(b"a c") && WORDS.is_in(b"a B"));
    }
}

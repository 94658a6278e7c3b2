//! Bytes and words, as all detectors read them.

/// Tells whether a byte is part of a name in most languages.
#[inline]
pub(crate) const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Gives the name that begins at `at`; empty where none does.
#[inline]
pub(crate) fn name_at(bytes: &[u8], at: usize) -> &[u8] {
    let rest = bytes.get(at..).unwrap_or_default();
    let length = rest.iter().position(|byte| !is_name(*byte)).unwrap_or(rest.len());
    rest.get(..length).unwrap_or_default()
}

/// Gives the first place from `at` on that holds no blank.
#[inline]
pub(crate) fn skip_blanks(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(rest.len())
}

/// Tells whether `bytes` goes on with `word` at `at`, in capitals or not.
#[inline]
pub(crate) fn is_at(bytes: &[u8], at: usize, word: &[u8]) -> bool {
    at.checked_add(word.len())
        .and_then(|end| bytes.get(at..end))
        .is_some_and(|part| part.eq_ignore_ascii_case(word))
}

/// Finds `word`, in capitals or not, from `at` on.
pub(crate) fn find(bytes: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    let Some(first) = word.first() else { return (at <= bytes.len()).then_some(at) };
    let (small, capital) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
    let mut at = at;
    loop {
        at += memchr::memchr2(small, capital, bytes.get(at..)?)?;
        if is_at(bytes, at, word) {
            return Some(at);
        }
        at += 1;
    }
}

/// Finds the last `word`, in capitals or not.
pub(crate) fn find_last(bytes: &[u8], word: &[u8]) -> Option<usize> {
    let mut last = None;
    while let Some(found) = find(bytes, last.map_or(0, |at| at + 1), word) {
        last = Some(found);
    }
    last
}

/// Tells whether `word` is in it, in capitals or not.
pub(crate) fn holds(bytes: &[u8], word: &[u8]) -> bool {
    find(bytes, 0, word).is_some()
}

/// Tells whether any of `words` is in it, in capitals or not.
pub(crate) fn holds_any(bytes: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| holds(bytes, word.as_bytes()))
}

/// Tells whether a sorted list of small words has this one, in capitals or not. No word of a list is longer than 24 bytes.
pub(crate) fn is_one_of(sorted: &[&str], word: &[u8]) -> bool {
    let mut small = [0_u8; 24];
    let Some(small) = small.get_mut(..word.len()) else { return false };
    for (to, from) in small.iter_mut().zip(word) {
        *to = from.to_ascii_lowercase();
    }
    // Words differ in their first bytes; comparing them one by one is faster than a call that compares many.
    sorted.binary_search_by(|entry| entry.bytes().cmp(small.iter().copied())).is_ok()
}

#[cfg(test)]
pub(crate) fn is_sorted(list: &[&str]) -> bool {
    list.is_sorted() && list.iter().all(|word| word.len() <= 24 && word.to_ascii_lowercase() == **word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_capitals_or_not() {
        assert_eq!(find(b"a UNION b", 0, b"union"), Some(2));
        assert_eq!(find(b"a UNION b", 3, b"union"), None);
        assert_eq!(find(b"", 9, b"union"), None);
        assert!(is_at(b"xABC", 1, b"abc") && !is_at(b"xAB", 1, b"abc"));
        assert_eq!(name_at(b"-user_1 x", 1), b"user_1");
        assert!(is_one_of(&["and", "or"], b"OR") && !is_one_of(&["and", "or"], b"nor"));
    }
}

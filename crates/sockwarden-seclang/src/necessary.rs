//! What a value must hold for an expression to be found in it: the ground of the prefilter.
//!
//! Two conditions are taken from an expression, both necessary and neither sufficient: one byte of a set, and one text of a list,
//! whatever the case of its letters. A value that fails one of them is not searched. Sound by construction: of a sequence any part's
//! condition holds, of alternatives all of theirs together, of what may be left out none.

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::bytes::ByteSet;

/// What must be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Necessary {
    /// One of these bytes.
    pub(crate) bytes: Option<ByteSet>,
    /// One of these texts, in lower case.
    pub(crate) texts: Option<Vec<Vec<u8>>>,
}

/// How many texts a condition may list.
const TEXTS: usize = 96;

/// How long they are followed.
const LENGTH: usize = 16;

impl Necessary {
    /// Finds what a parsed expression needs.
    pub(crate) fn of(hir: &Hir) -> Self {
        let found = look(hir);
        let bytes = found.bytes.filter(|set| weight(set) < 2_000);
        let texts = found.best().filter(|texts| texts.iter().all(|text| text.len() > 1));
        Self { bytes, texts }
    }

    /// Of words that are looked for as they are.
    pub(crate) fn words(words: &[Vec<u8>]) -> Self {
        let mut rarest = ByteSet::EMPTY;
        for word in words {
            if let Some(byte) = word.iter().copied().min_by_key(|byte| commonness(*byte)) {
                rarest.insert(byte.to_ascii_lowercase());
                rarest.insert(byte.to_ascii_uppercase());
            }
        }
        let texts = words.iter().map(|word| word.to_ascii_lowercase()).collect();
        Self { bytes: (weight(&rarest) < 2_000).then_some(rarest), texts: Some(texts) }
    }
}

/// What is known of a part of an expression.
#[derive(Clone, Default)]
struct Part {
    /// All that it can match, in lower case, where that is a short list.
    exact: Option<Vec<Vec<u8>>>,
    bytes: Option<ByteSet>,
    /// Texts of which it must hold one, where `exact` does not say it.
    texts: Option<Vec<Vec<u8>>>,
}

impl Part {
    fn best(&self) -> Option<Vec<Vec<u8>>> {
        better(self.exact.clone().filter(|exact| useful(exact)), self.texts.clone())
    }
}

fn useful(texts: &[Vec<u8>]) -> bool {
    !texts.is_empty() && texts.iter().all(|text| !text.is_empty())
}

/// The more selective of two conditions: longer texts first, then fewer.
fn better(one: Option<Vec<Vec<u8>>>, other: Option<Vec<Vec<u8>>>) -> Option<Vec<Vec<u8>>> {
    let worth = |texts: &Vec<Vec<u8>>| {
        let shortest = texts.iter().map(Vec::len).min().unwrap_or(0).min(5);
        (shortest, usize::MAX - texts.len())
    };
    match (one, other) {
        (Some(one), Some(other)) => Some(if worth(&one) >= worth(&other) { one } else { other }),
        (one, other) => one.or(other),
    }
}

fn look(hir: &Hir) -> Part {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Part { exact: Some(vec![Vec::new()]), ..Part::default() },
        HirKind::Literal(literal) => {
            let text = literal.0.to_ascii_lowercase();
            let rarest = text.iter().copied().min_by_key(|byte| commonness(*byte));
            let bytes = rarest.map(|byte| ByteSet::of(&[byte, byte.to_ascii_uppercase()]));
            if text.len() <= LENGTH {
                Part { exact: Some(vec![text]), bytes, texts: None }
            } else {
                Part { exact: None, bytes, texts: Some(vec![text[..LENGTH].to_vec()]) }
            }
        }
        HirKind::Class(class) => of_class(class),
        HirKind::Capture(capture) => look(&capture.sub),
        HirKind::Repetition(repetition) => {
            let inner = look(&repetition.sub);
            match (repetition.min, repetition.max) {
                (0, Some(1)) => {
                    let exact = inner.exact.filter(|exact| exact.len() < TEXTS).map(|mut exact| {
                        exact.push(Vec::new());
                        exact
                    });
                    Part { exact, ..Part::default() }
                }
                (0, _) => Part::default(),
                (1, Some(1)) => inner,
                (least, most) => {
                    let mut exact = inner.exact.clone().filter(|_| most == Some(least) && least <= 4);
                    for _ in 1..least {
                        exact = exact
                            .and_then(|so_far| product(&so_far, inner.exact.as_deref().unwrap_or_default()));
                    }
                    Part { exact, bytes: inner.bytes, texts: inner.best() }
                }
            }
        }
        HirKind::Concat(parts) => sequence(parts),
        HirKind::Alternation(parts) => alternatives(parts),
    }
}

fn of_class(class: &Class) -> Part {
    let mut set = ByteSet::EMPTY;
    match class {
        Class::Bytes(class) => {
            for range in class.ranges() {
                set = set.union(&ByteSet::range(range.start(), range.end()));
            }
        }
        Class::Unicode(class) => {
            for range in class.ranges() {
                match (u8::try_from(u32::from(range.start())), u8::try_from(u32::from(range.end()))) {
                    (Ok(first), Ok(last)) if last < 0x80 => set = set.union(&ByteSet::range(first, last)),
                    // More than a byte each: nothing is known.
                    (_, _) => return Part::default(),
                }
            }
        }
    }
    let mut letters: Vec<Vec<u8>> = set.iter().map(|byte| vec![byte.to_ascii_lowercase()]).collect();
    letters.sort();
    letters.dedup();
    Part { exact: (letters.len() <= 8).then_some(letters), bytes: Some(set), texts: None }
}

fn sequence(parts: &[Hir]) -> Part {
    let mut bytes: Option<ByteSet> = None;
    let mut texts = None;
    let mut run = vec![Vec::new()];
    let mut whole = true;
    for part in parts {
        let part = look(part);
        bytes = match (bytes, part.bytes) {
            (Some(one), Some(other)) => Some(if weight(&other) < weight(&one) { other } else { one }),
            (one, other) => one.or(other),
        };
        let longer = part.exact.as_deref().and_then(|exact| product(&run, exact));
        if let Some(longer) = longer {
            run = longer;
            continue;
        }
        whole = false;
        texts = better(texts, Some(std::mem::take(&mut run)).filter(|run| useful(run)));
        texts = better(texts, part.best());
        // What follows begins anew; where the part is a list itself it may begin there.
        run = match part.exact {
            Some(exact) => exact,
            None => vec![Vec::new()],
        };
    }
    if whole {
        return Part { exact: Some(run), bytes, texts };
    }
    texts = better(texts, Some(run).filter(|run| useful(run)));
    Part { exact: None, bytes, texts }
}

fn alternatives(parts: &[Hir]) -> Part {
    let parts: Vec<Part> = parts.iter().map(look).collect();
    let bytes = parts.iter().try_fold(ByteSet::EMPTY, |all, part| part.bytes.map(|set| all.union(&set)));
    let union = |of: &dyn Fn(&Part) -> Option<Vec<Vec<u8>>>| {
        let mut all: Vec<Vec<u8>> = Vec::new();
        for part in &parts {
            all.extend(of(part)?);
            if all.len() > TEXTS * 16 {
                return None;
            }
        }
        all.sort();
        all.dedup();
        Some(all)
    };
    let exact = union(&|part| part.exact.clone()).filter(|all| all.len() <= TEXTS);
    let texts = union(&Part::best);
    Part { exact, bytes, texts }
}

/// All texts of one list followed by all of another; nothing where they become too many or too long.
fn product(one: &[Vec<u8>], other: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if other.is_empty() || one.len().checked_mul(other.len())? > TEXTS {
        return None;
    }
    let mut all = Vec::with_capacity(one.len() * other.len());
    for first in one {
        for second in other {
            if first.len() + second.len() > LENGTH {
                return None;
            }
            all.push([first.as_slice(), second].concat());
        }
    }
    Some(all)
}

/// How often a byte is met in messages, roughly, in thousandths.
fn commonness(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 300,
        b'a'..=b'z' => 150,
        b' ' => 300,
        b'0'..=b'9' => 150,
        b'.' | b'-' | b'_' | b',' => 100,
        b':' | b'/' => 60,
        b'\n' | b'\'' | b'"' | b'(' | b')' | b'=' => 20,
        0x80.. => 20,
        _ => 5,
    }
}

fn weight(set: &ByteSet) -> u32 {
    set.iter().map(commonness).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pattern: &str) -> Necessary {
        let mut parser = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build();
        Necessary::of(&parser.parse(pattern).unwrap())
    }

    #[test]
    fn the_texts_are_those_of_which_one_must_be_there() {
        let check = |pattern: &str, expected: &[&str]| {
            let texts = of(pattern).texts.unwrap_or_default();
            let texts: Vec<String> = texts.iter().map(|text| text.escape_ascii().to_string()).collect();
            assert_eq!(texts, expected, "{pattern}");
        };
        check("union", &["union"]);
        check("(?i)UniOn", &["union"]);
        check("a+b*union.*x", &["union"]);
        check(r"(?i:sleep\(\s*?\d*?\s*?\)|benchmark\(.*?,.*?\))", &["benchmark(", "sleep("]);
        check("x(ab|cd)?y", &["xaby", "xcdy", "xy"]);
        check("a|bcd", &[]);
        check("(abc)*", &[]);
        check(".*", &[]);
        check("(?:abc){2}", &["abcabc"]);
        check("(?:abc){2,}", &["abc"]);
    }

    #[test]
    fn the_bytes_are_those_of_which_one_must_be_there() {
        let check = |pattern: &str, expected: Option<&[u8]>| {
            assert_eq!(of(pattern).bytes, expected.map(ByteSet::of), "{pattern}");
        };
        check(r"sleep\(", Some(b"("));
        check(r"<a|b>", Some(b"<>"));
        check(r"<?a*", None);
        check(r"[<>]x", Some(b"<>"));
        check(r"\w", None);
    }

    mod property {
        use proptest::prelude::*;
        use regex::bytes::RegexBuilder;

        use super::*;

        proptest! {
            #![proptest_config(ProptestConfig::with_cases(2_000))]
            #[test]
            fn no_value_that_matches_lacks_what_is_necessary(
                pattern in "[ab<(|)?*+c.]{1,12}",
                value in "[abc<(A]{0,12}",
                folded in any::<bool>(),
            ) {
                let pattern = if folded { format!("(?i){pattern}") } else { pattern };
                let Ok(regex) = RegexBuilder::new(&pattern).unicode(false).build() else { return Ok(()) };
                let necessary = of(&pattern);
                if regex.is_match(value.as_bytes()) {
                    if let Some(bytes) = necessary.bytes {
                        prop_assert!(ByteSet::held(value.as_bytes()).meets(&bytes), "{:?}", bytes);
                    }
                    if let Some(texts) = necessary.texts {
                        let lower = value.to_ascii_lowercase().into_bytes();
                        let there = |text: &Vec<u8>| lower.windows(text.len()).any(|part| part == text);
                        prop_assert!(texts.iter().any(there), "{:?}", texts);
                    }
                }
            }
        }
    }
}

//! Operators, compiled: the question that is asked of a value.

use std::net::IpAddr;

use aho_corasick::AhoCorasick;
use regex::bytes::Regex;

use crate::bytes::ByteSet;
use crate::necessary::Necessary;
use crate::operator::{NumberTest, TextTest};
use crate::tx::leading_number;

/// What is asked of a value.
#[derive(Debug)]
pub(crate) enum Test {
    Pattern(Regex),
    Phrases(AhoCorasick),
    Sqli,
    Xss,
    Text(TextTest, Filled),
    Number(NumberTest, Filled),
    ByteRange(Box<[bool; 256]>),
    UrlEncoding,
    Utf8Encoding,
    Address(Vec<(IpAddr, u8)>),
    Always,
    Never,
}

/// A template with the names of variables by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// Nothing is to be filled in.
    Constant(Vec<u8>),
    Pieces(Vec<Part>),
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Text(Vec<u8>),
    Tx(u32),
    MatchedVar,
    MatchedVarName,
    RuleId,
}

impl Test {
    /// Answers for a value. `argument` is what was filled in, where something is.
    pub(crate) fn holds(&self, value: &[u8], argument: &[u8]) -> bool {
        match self {
            Self::Pattern(regex) => regex.is_match(value),
            Self::Phrases(words) => words.is_match(value),
            Self::Sqli => !is_one_word(value) && libinjectionrs::detect_sqli(value).is_injection(),
            Self::Xss => libinjectionrs::detect_xss(value).is_injection(),
            Self::Text(test, _) => text(*test, value, argument),
            Self::Number(test, _) => test.holds(leading_number(value), leading_number(argument)),
            Self::ByteRange(allowed) => value.iter().any(|byte| !allowed[usize::from(*byte)]),
            Self::UrlEncoding => has_broken_percent(value),
            Self::Utf8Encoding => std::str::from_utf8(value).is_err(),
            Self::Address(networks) => {
                let address = std::str::from_utf8(value).ok().and_then(|text| text.parse::<IpAddr>().ok());
                address.is_some_and(|address| networks.iter().any(|network| within(address, *network)))
            }
            Self::Always => true,
            Self::Never => false,
        }
    }

    /// Tells what is to be filled in before it is asked.
    pub(crate) fn argument(&self) -> Option<&Filled> {
        match self {
            Self::Text(_, filled) | Self::Number(_, filled) => Some(filled),
            Self::Pattern(_)
            | Self::Phrases(_)
            | Self::Sqli
            | Self::Xss
            | Self::ByteRange(_)
            | Self::UrlEncoding
            | Self::Utf8Encoding
            | Self::Address(_)
            | Self::Always
            | Self::Never => None,
        }
    }

    /// Tells what a value must hold for the answer to be yes; `known` is what the expression or the words say.
    pub(crate) fn necessary(&self, known: Option<&Necessary>) -> Necessary {
        const WORD: ByteSet = ByteSet::range(b'a', b'z')
            .union(&ByteSet::range(b'A', b'Z'))
            .union(&ByteSet::range(b'0', b'9'))
            .union(&ByteSet::of(b"_"));
        match self {
            Self::Pattern(_) | Self::Phrases(_) => known.cloned().unwrap_or_default(),
            // A tag or an attribute with a value.
            Self::Xss => Necessary { bytes: Some(ByteSet::of(b"<=")), texts: None },
            // A name alone is one token, and no fingerprint is that.
            Self::Sqli => {
                Necessary { bytes: Some(WORD.complement().union(&ByteSet::range(b'0', b'9'))), texts: None }
            }
            Self::ByteRange(allowed) => {
                let mut refused = ByteSet::EMPTY;
                for byte in 0..=u8::MAX {
                    if !allowed[usize::from(byte)] {
                        refused.insert(byte);
                    }
                }
                Necessary { bytes: Some(refused), texts: None }
            }
            Self::UrlEncoding => Necessary { bytes: Some(ByteSet::of(b"%")), texts: None },
            Self::Utf8Encoding => Necessary { bytes: Some(ByteSet::range(0x80, 0xff)), texts: None },
            Self::Text(
                TextTest::Contains | TextTest::ContainsWord | TextTest::Begins | TextTest::Ends,
                Filled::Constant(text),
            ) if !text.is_empty() => Necessary::words(std::slice::from_ref(text)),
            Self::Text(..) | Self::Number(..) | Self::Address(_) | Self::Always | Self::Never => {
                Necessary::default()
            }
        }
    }
}

/// A value that SQL reads as one name or one number.
fn is_one_word(value: &[u8]) -> bool {
    let word = value.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    word && (value.first().is_none_or(|first| !first.is_ascii_digit())
        || value.iter().all(u8::is_ascii_digit))
}

fn text(test: TextTest, value: &[u8], argument: &[u8]) -> bool {
    match test {
        TextTest::Contains => find(value, argument, 0).is_some(),
        TextTest::ContainsWord => contains_word(value, argument),
        TextTest::Equal => value == argument,
        TextTest::Begins => value.starts_with(argument),
        TextTest::Ends => value.ends_with(argument),
        TextTest::Within => find(argument, value, 0).is_some(),
    }
}

fn find(value: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    if wanted.is_empty() {
        return Some(from);
    }
    value.get(from..)?.windows(wanted.len()).position(|part| part == wanted).map(|at| at + from)
}

fn contains_word(value: &[u8], word: &[u8]) -> bool {
    let edge = |at: Option<&u8>| at.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
    let mut from = 0;
    while let Some(at) = find(value, word, from) {
        let before = at.checked_sub(1).and_then(|before| value.get(before));
        if edge(before) && edge(value.get(at + word.len())) {
            return true;
        }
        if word.is_empty() {
            return true;
        }
        from = at + 1;
    }
    false
}

fn has_broken_percent(value: &[u8]) -> bool {
    let mut rest = value;
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
            (b'%', _) => return true,
            (_, tail) => tail,
        };
    }
    false
}

fn within(address: IpAddr, (network, length): (IpAddr, u8)) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let ((address, kind), (network, other)) = (bits(address), bits(network));
    kind == other && (length == 0 || (address ^ network) >> (128 - u32::from(length)) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_as_seclang_says() {
        let check = |test, value: &str, argument: &str, expected| {
            assert_eq!(
                text(test, value.as_bytes(), argument.as_bytes()),
                expected,
                "{test:?} {value} {argument}"
            );
        };
        check(TextTest::Contains, "abc", "b", true);
        check(TextTest::Contains, "abc", "B", false);
        check(TextTest::ContainsWord, "a bc d", "bc", true);
        check(TextTest::ContainsWord, "abc bc_", "bc", false);
        check(TextTest::Equal, "a", "a", true);
        check(TextTest::Begins, "abc", "ab", true);
        check(TextTest::Ends, "abc", "bc", true);
        check(TextTest::Within, "b", "abc", true);
        check(TextTest::Within, "", "abc", true);
    }

    #[test]
    fn encodings_are_held_against_their_rules() {
        for (value, expected) in [("a%20b", false), ("%", true), ("%2", true), ("%zz", true), ("%41%4", true)]
        {
            assert_eq!(has_broken_percent(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn an_address_is_in_a_network() {
        let check = |address: &str, network: &str, length, expected| {
            let test = Test::Address(vec![(network.parse().unwrap(), length)]);
            assert_eq!(test.holds(address.as_bytes(), b""), expected, "{address} {network}/{length}");
        };
        check("10.1.2.3", "10.0.0.0", 8, true);
        check("11.1.2.3", "10.0.0.0", 8, false);
        check("11.1.2.3", "0.0.0.0", 0, true);
        check("::1", "::1", 128, true);
        check("x", "::1", 0, false);
    }

    #[test]
    fn injections_are_found_and_words_are_none() {
        assert!(Test::Sqli.holds(b"1' OR '1'='1", b""));
        assert!(Test::Xss.holds(b"<script>alert(1)</script>", b""));
        for word in ["union", "select1", "42", "", "a_b"] {
            assert!(!Test::Sqli.holds(word.as_bytes(), b""), "{word}");
            assert!(!libinjectionrs::detect_sqli(word.as_bytes()).is_injection(), "{word}");
        }
    }
}

//! Operators as they are written: what a value is held against.

use crate::error::Fault;
use crate::macros::Template;

/// What a value is held against.
#[derive(Clone, Debug)]
pub(crate) enum Operator {
    /// A regular expression of PCRE.
    Pattern(String),
    /// One of these words, whatever their case (`@pm`).
    Phrases(Vec<Vec<u8>>),
    /// One of the words of a data file.
    PhrasesFrom(Vec<String>),
    Sqli,
    Xss,
    /// Comparison with a text.
    Text(TextTest, Template),
    /// Comparison of numbers.
    Number(NumberTest, Template),
    /// Holds a byte that is none of these.
    ByteRange(Box<[bool; 256]>),
    UrlEncoding,
    Utf8Encoding,
    /// Addresses, as they were written.
    Address(Vec<(std::net::IpAddr, u8)>),
    Always,
    Never,
    /// Known, but not applied here.
    Foreign(&'static str, &'static str),
}

/// How a value is compared with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextTest {
    Contains,
    ContainsWord,
    Equal,
    Begins,
    Ends,
    /// The value is part of the text.
    Within,
}

/// How a number is compared with another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberTest {
    Equal,
    AtLeast,
    More,
    AtMost,
    Less,
}

impl NumberTest {
    pub(crate) fn holds(self, value: i64, other: i64) -> bool {
        match self {
            Self::Equal => value == other,
            Self::AtLeast => value >= other,
            Self::More => value > other,
            Self::AtMost => value <= other,
            Self::Less => value < other,
        }
    }
}

const OUTSIDE: &str = "asks for something outside of a message";
const NOT_BUILT_IN: &str = "is not built in";

impl Operator {
    /// Reads an operator with its argument; tells whether it is turned round (`!`). Without `@` it is a regular expression.
    pub(crate) fn read(text: &str) -> Result<(bool, Self), Fault> {
        let trimmed = text.trim_start();
        let (negated, rest) = match trimmed.strip_prefix('!') {
            Some(rest) if rest.trim_start().starts_with('@') => (true, rest.trim_start()),
            Some(rest) if !trimmed.starts_with("!@") => (true, rest),
            Some(_) | None => (false, trimmed),
        };
        let Some(named) = rest.strip_prefix('@') else {
            return Ok((negated, Self::Pattern(if negated { rest.to_owned() } else { text.to_owned() })));
        };
        let (name, argument) = named.split_once(char::is_whitespace).unwrap_or((named, ""));
        Ok((negated, Self::named(name, argument)?))
    }

    fn named(name: &str, argument: &str) -> Result<Self, Fault> {
        let trimmed = argument.trim();
        let template = || Template::read(trimmed);
        Ok(match name.to_ascii_lowercase().as_str() {
            "rx" => Self::Pattern(argument.to_owned()),
            "pm" => Self::Phrases(phrases(trimmed)?),
            "pmf" | "pmfromfile" => {
                Self::PhrasesFrom(trimmed.split_whitespace().map(str::to_owned).collect())
            }
            "detectsqli" => Self::Sqli,
            "detectxss" => Self::Xss,
            "contains" | "strmatch" => Self::Text(TextTest::Contains, template()),
            "containsword" => Self::Text(TextTest::ContainsWord, template()),
            "streq" => Self::Text(TextTest::Equal, template()),
            "beginswith" => Self::Text(TextTest::Begins, template()),
            "endswith" => Self::Text(TextTest::Ends, template()),
            "within" => Self::Text(TextTest::Within, template()),
            "eq" => Self::Number(NumberTest::Equal, number("eq", trimmed)?),
            "ge" => Self::Number(NumberTest::AtLeast, number("ge", trimmed)?),
            "gt" => Self::Number(NumberTest::More, number("gt", trimmed)?),
            "le" => Self::Number(NumberTest::AtMost, number("le", trimmed)?),
            "lt" => Self::Number(NumberTest::Less, number("lt", trimmed)?),
            "validatebyterange" => Self::ByteRange(byte_range(trimmed)?),
            "validateurlencoding" => Self::UrlEncoding,
            "validateutf8encoding" => Self::Utf8Encoding,
            "ipmatch" => Self::Address(addresses(trimmed)?),
            "unconditionalmatch" => Self::Always,
            "nomatch" => Self::Never,
            "ipmatchf" | "ipmatchfromfile" => Self::Foreign("ipMatchFromFile", NOT_BUILT_IN),
            "rxglobal" => Self::Foreign("rxGlobal", NOT_BUILT_IN),
            "rsub" => Self::Foreign("rsub", NOT_BUILT_IN),
            "validatehash" => Self::Foreign("validateHash", NOT_BUILT_IN),
            "validateschema" => Self::Foreign("validateSchema", NOT_BUILT_IN),
            "validatedtd" => Self::Foreign("validateDTD", NOT_BUILT_IN),
            "verifycc" => Self::Foreign("verifyCC", NOT_BUILT_IN),
            "verifycpf" => Self::Foreign("verifyCPF", NOT_BUILT_IN),
            "verifyssn" => Self::Foreign("verifySSN", NOT_BUILT_IN),
            "verifysvnr" => Self::Foreign("verifySVNR", NOT_BUILT_IN),
            "fuzzyhash" => Self::Foreign("fuzzyHash", NOT_BUILT_IN),
            "geolookup" => Self::Foreign("geoLookup", OUTSIDE),
            "gsblookup" => Self::Foreign("gsbLookup", OUTSIDE),
            "inspectfile" => Self::Foreign("inspectFile", OUTSIDE),
            "rbl" => Self::Foreign("rbl", OUTSIDE),
            _ => return Err(Fault::UnknownOperator(name.to_owned())),
        })
    }
}

fn number(operator: &'static str, text: &str) -> Result<Template, Fault> {
    let template = Template::read(text);
    match template.constant() {
        Some(constant) if constant.parse::<i64>().is_err() => Err(Fault::Argument {
            operator,
            given: text.to_owned(),
            expected: "a whole number or %{TX.name}",
        }),
        Some(_) | None => Ok(template),
    }
}

/// Splits the words of `@pm`; bytes between bars are hexadecimal: `a|20|b`.
fn phrases(text: &str) -> Result<Vec<Vec<u8>>, Fault> {
    let fail = || Fault::Argument {
        operator: "pm",
        given: text.to_owned(),
        expected: "words with blanks between them, bytes as |0a 0d|",
    };
    // Blanks within bars separate no words.
    let mut words = vec![Vec::new()];
    let mut digits: Option<Vec<u8>> = None;
    for byte in text.bytes() {
        match (&mut digits, byte) {
            (None, b'|') => digits = Some(Vec::new()),
            (Some(held), b'|') => {
                if held.len() % 2 != 0 {
                    return Err(fail());
                }
                let last = words.last_mut().ok_or_else(fail)?;
                for two in held.chunks_exact(2) {
                    let two = std::str::from_utf8(two).map_err(|_| fail())?;
                    last.push(u8::from_str_radix(two, 16).map_err(|_| fail())?);
                }
                digits = None;
            }
            (Some(_), b' ') => {}
            (Some(held), _) => held.push(byte),
            (None, byte) if byte.is_ascii_whitespace() => words.push(Vec::new()),
            (None, _) => words.last_mut().ok_or_else(fail)?.push(byte),
        }
    }
    if digits.is_some() {
        return Err(fail());
    }
    words.retain(|word| !word.is_empty());
    if words.is_empty() { Err(fail()) } else { Ok(words) }
}

fn byte_range(text: &str) -> Result<Box<[bool; 256]>, Fault> {
    let fail = || Fault::Argument {
        operator: "validateByteRange",
        given: text.to_owned(),
        expected: "ranges such as 10, 32-126",
    };
    let mut allowed = Box::new([false; 256]);
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let first: u8 = first.trim().parse().map_err(|_| fail())?;
        let last: u8 = last.trim().parse().map_err(|_| fail())?;
        for byte in first..=last {
            allowed[usize::from(byte)] = true;
        }
    }
    Ok(allowed)
}

fn addresses(text: &str) -> Result<Vec<(std::net::IpAddr, u8)>, Fault> {
    let fail = || Fault::Argument {
        operator: "ipMatch",
        given: text.to_owned(),
        expected: "addresses or networks such as 10.0.0.0/8,::1",
    };
    let mut found = Vec::new();
    for one in text.split(',').map(str::trim).filter(|one| !one.is_empty()) {
        let (address, length) =
            one.split_once('/').map_or((one, None), |(address, length)| (address, Some(length)));
        let address: std::net::IpAddr = address.parse().map_err(|_| fail())?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(whole), |length| length.parse().map_err(|_| fail()))?;
        if length > whole {
            return Err(fail());
        }
        found.push((address, length));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_is_read_with_its_argument() {
        let check = |text: &str, expected: &str| {
            assert_eq!(format!("{:?}", Operator::read(text).unwrap()), expected, "{text}");
        };
        check("@rx  ^a b$", r#"(false, Pattern(" ^a b$"))"#);
        check("!@rx a", r#"(true, Pattern("a"))"#);
        check("^x", r#"(false, Pattern("^x"))"#);
        check("@PM a |20 41|b", "(false, Phrases([[97], [32, 65, 98]]))");
        check("@detectSQLi", "(false, Sqli)");
        check("@geoLookup", r#"(false, Foreign("geoLookup", "asks for something outside of a message"))"#);
        check("@ipMatch 10.0.0.0/8", "(false, Address([(10.0.0.0, 8)]))");
    }

    #[test]
    fn what_is_no_operator_says_what_would_be() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Operator::read(text).unwrap_err().to_string(), expected, "{text}");
        };
        check("@foo x", "unknown operator `@foo`; expected one such as @rx, @pm, @detectSQLi");
        check("@eq x", "`x` is no argument for @eq; expected a whole number or %{TX.name}");
        check(
            "@validateByteRange 1-300",
            "`1-300` is no argument for @validateByteRange; expected ranges such as 10, 32-126",
        );
        check(
            "@pm |4|",
            "`|4|` is no argument for @pm; expected words with blanks between them, bytes as |0a 0d|",
        );
        check(
            "@ipMatch 1.2.3.4/33",
            "`1.2.3.4/33` is no argument for @ipMatch; expected addresses or networks such as 10.0.0.0/8,::1",
        );
    }
}

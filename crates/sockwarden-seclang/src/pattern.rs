//! Regular expressions of PCRE, in the words of a matcher that needs linear time.
//!
//! Both mean the same by most of what rules use. What differs is rewritten: escapes of punctuation, `\h`, `\v`, `\R`, a `[` or `&&` in
//! a class, a `{` that begins no count. What needs backtracking is refused with its reason.

use std::fmt::Write as _;

/// What an expression uses that cannot be matched in linear time, or that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untranslatable {
    /// `(?=`, `(?!`, `(?<=`, `(?<!`.
    #[error("look-around; the expression cannot be matched in linear time")]
    LookAround,
    /// `(?>`.
    #[error("an atomic group; the expression cannot be matched in linear time")]
    Atomic,
    /// `*+`, `++`, `?+`, `}+`.
    #[error("a possessive quantifier; the expression cannot be matched in linear time")]
    Possessive,
    /// `\1`, `\k<name>`, `(?P=name)`.
    #[error("a back-reference; the expression cannot be matched in linear time")]
    BackReference,
    /// `(?(`, `(?R)`, `(?|`, `(*VERB)`, `\K`, `\G`, `\C`, `\X`.
    #[error("a recursion, condition or verb of PCRE")]
    Verb,
    /// It ends within an escape, a class or a comment.
    #[error("the expression ends too early")]
    Unfinished,
}

/// An expression in other words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Translated {
    pub(crate) text: String,
    /// A possessive quantifier became a greedy one: what matches is no less, and may be more.
    pub(crate) relaxed: bool,
}

/// Rewrites an expression so that it matches the same.
pub(crate) fn translate(pattern: &str) -> Result<String, Untranslatable> {
    let translated = translate_wider(pattern)?;
    if translated.relaxed { Err(Untranslatable::Possessive) } else { Ok(translated.text) }
}

/// Rewrites an expression so that it matches no less.
pub(crate) fn translate_wider(pattern: &str) -> Result<Translated, Untranslatable> {
    let mut reader = Reader {
        bytes: pattern.as_bytes(),
        at: 0,
        out: String::with_capacity(pattern.len() + 16),
        quantified: false,
        relaxed: false,
    };
    while let Some(byte) = reader.next() {
        reader.step(byte)?;
    }
    Ok(Translated { text: reader.out, relaxed: reader.relaxed })
}

/// Says in one line why an expression was not built.
pub(crate) fn short(error: &regex::Error) -> String {
    if let regex::Error::CompiledTooBig(limit) = error {
        return format!("it needs more than {limit} bytes");
    }
    error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    out: String,
    /// The last thing written was a quantifier.
    quantified: bool,
    relaxed: bool,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn step(&mut self, byte: u8) -> Result<(), Untranslatable> {
        let quantified = std::mem::take(&mut self.quantified);
        match byte {
            b'\\' => self.escape(false)?,
            b'[' => self.class()?,
            b'(' => self.group()?,
            b'+' if quantified => self.relaxed = true,
            // Lazy.
            b'?' if quantified => self.out.push('?'),
            b'*' | b'+' | b'?' => {
                self.out.push(char::from(byte));
                self.quantified = true;
            }
            b'{' => match count(self.rest()) {
                Some(length) => {
                    self.out.push('{');
                    for _ in 0..length {
                        let digit = self.next().unwrap_or_default();
                        self.out.push(char::from(digit));
                    }
                    self.quantified = true;
                }
                None => self.literal(b'{'),
            },
            b'}' | b']' => self.literal(byte),
            b'|' | b')' | b'^' | b'$' | b'.' => self.out.push(char::from(byte)),
            _ => self.literal(byte),
        }
        Ok(())
    }

    /// Writes a byte that stands for itself.
    fn literal(&mut self, byte: u8) {
        if byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'_' | b' ' | b'"' | b'\'' | b'/' | b',' | b':' | b';' | b'=' | b'@' | b'%' | b'!' | b'`'
            )
        {
            self.out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(self.out, "\\x{byte:02x}");
        }
    }

    fn escape(&mut self, in_class: bool) -> Result<(), Untranslatable> {
        let byte = self.next().ok_or(Untranslatable::Unfinished)?;
        match byte {
            b'd' | b'D' | b's' | b'S' | b'w' | b'W' => {
                self.out.push('\\');
                self.out.push(char::from(byte));
            }
            b'b' if in_class => self.literal(8),
            b'b' | b'B' | b'A' | b'z' if !in_class => {
                self.out.push('\\');
                self.out.push(char::from(byte));
            }
            b'Z' if !in_class => self.out.push_str("(?:\\n?\\z)"),
            b'h' => self.out.push_str(if in_class { "\\t \\xa0" } else { "[\\t \\xa0]" }),
            b'v' => self.out.push_str(if in_class { "\\n-\\r\\x85" } else { "[\\n-\\r\\x85]" }),
            b'H' if !in_class => self.out.push_str("[^\\t \\xa0]"),
            b'V' if !in_class => self.out.push_str("[^\\n-\\r\\x85]"),
            b'N' if !in_class => self.out.push_str("[^\\n]"),
            b'R' if !in_class => self.out.push_str("(?:\\r\\n|[\\n-\\r\\x85])"),
            b'a' => self.literal(7),
            b'e' => self.literal(0x1b),
            b'f' => self.literal(0x0c),
            b'n' => self.literal(b'\n'),
            b'r' => self.literal(b'\r'),
            b't' => self.literal(b'\t'),
            b'x' => self.hexadecimal()?,
            b'c' => {
                let letter = self.next().ok_or(Untranslatable::Unfinished)?;
                self.literal(letter.to_ascii_uppercase() ^ 0x40);
            }
            b'0' => self.octal(0),
            b'1'..=b'9' if in_class => {
                if byte < b'8' {
                    self.octal(byte - b'0');
                } else {
                    self.literal(byte);
                }
            }
            b'1'..=b'9' => {
                // Three octal digits are a byte; fewer refer to a group.
                let digits = self.rest();
                if byte < b'4'
                    && digits.len() >= 2
                    && digits[..2].iter().all(|digit| (b'0'..b'8').contains(digit))
                {
                    self.octal(byte - b'0');
                } else {
                    return Err(Untranslatable::BackReference);
                }
            }
            b'k' | b'g' => return Err(Untranslatable::BackReference),
            b'Q' => {
                while let Some(byte) = self.next() {
                    if byte == b'\\' && self.rest().first() == Some(&b'E') {
                        self.at += 1;
                        break;
                    }
                    self.literal(byte);
                }
            }
            b'E' => {}
            b'K' | b'G' | b'C' | b'X' | b'p' | b'P' => return Err(Untranslatable::Verb),
            other => self.literal(other),
        }
        Ok(())
    }

    fn hexadecimal(&mut self) -> Result<(), Untranslatable> {
        let braces = self.rest().first() == Some(&b'{');
        if braces {
            self.at += 1;
        }
        let limit = if braces { 8 } else { 2 };
        let digits = self.rest().iter().take(limit).take_while(|byte| byte.is_ascii_hexdigit()).count();
        let mut value = 0u32;
        for _ in 0..digits {
            let digit = self.next().unwrap_or_default();
            value = value.wrapping_mul(16).wrapping_add(char::from(digit).to_digit(16).unwrap_or_default());
        }
        if braces && self.next() != Some(b'}') {
            return Err(Untranslatable::Unfinished);
        }
        self.literal(u8::try_from(value).map_err(|_| Untranslatable::Verb)?);
        Ok(())
    }

    /// Reads up to two more octal digits.
    fn octal(&mut self, first: u8) {
        let mut value = u32::from(first);
        for _ in 0..2 {
            match self.rest().first() {
                Some(digit @ b'0'..=b'7') => {
                    value = value * 8 + u32::from(digit - b'0');
                    self.at += 1;
                }
                Some(_) | None => break,
            }
        }
        self.literal(u8::try_from(value & 0xff).unwrap_or_default());
    }

    fn class(&mut self) -> Result<(), Untranslatable> {
        self.out.push('[');
        if self.rest().first() == Some(&b'^') {
            self.at += 1;
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let byte = self.next().ok_or(Untranslatable::Unfinished)?;
            match byte {
                b']' if !first => {
                    self.out.push(']');
                    return Ok(());
                }
                b'\\' => self.escape(true)?,
                b'[' => match posix(self.rest()) {
                    Some(length) => {
                        let name = String::from_utf8_lossy(&self.rest()[..length]).into_owned();
                        self.out.push('[');
                        self.out.push_str(&name);
                        self.at += length;
                    }
                    None => self.literal(b'['),
                },
                b'-' => {
                    // At an edge or beside a class it stands for itself.
                    let after_class = {
                        let tail = self.out.as_bytes();
                        tail.len() >= 2
                            && tail[tail.len() - 2] == b'\\'
                            && matches!(tail[tail.len() - 1], b'd' | b'D' | b's' | b'S' | b'w' | b'W')
                    };
                    let before_class =
                        matches!(self.rest(), [b'\\', b'd' | b'D' | b's' | b'S' | b'w' | b'W', ..]);
                    let at_edge = first || self.rest().first() == Some(&b']');
                    if at_edge || after_class || before_class {
                        self.literal(b'-');
                    } else {
                        self.out.push('-');
                    }
                }
                other => self.literal(other),
            }
            first = false;
        }
    }

    fn group(&mut self) -> Result<(), Untranslatable> {
        let rest = self.rest();
        let refused = match rest {
            [b'*', ..] => Some(Untranslatable::Verb),
            [b'?', b'=' | b'!', ..] | [b'?', b'<', b'=' | b'!', ..] => Some(Untranslatable::LookAround),
            [b'?', b'>', ..] => Some(Untranslatable::Atomic),
            [b'?', b'P', b'=' | b'>', ..] => Some(Untranslatable::BackReference),
            [b'?', b'|' | b'(' | b'R' | b'&' | b'+' | b'C' | b'0'..=b'9', ..] => Some(Untranslatable::Verb),
            _ => None,
        };
        if let Some(refused) = refused {
            return Err(refused);
        }
        if rest.starts_with(b"?#") {
            let end = rest.iter().position(|byte| *byte == b')').ok_or(Untranslatable::Unfinished)?;
            self.at += end + 1;
            return Ok(());
        }
        self.out.push('(');
        if rest.first() == Some(&b'?') {
            // Flags, a name or `?:`, up to what ends them.
            let end = rest
                .iter()
                .position(|byte| matches!(byte, b':' | b')' | b'>'))
                .ok_or(Untranslatable::Unfinished)?;
            self.out.extend(rest[..=end].iter().copied().map(char::from));
            self.at += end + 1;
        }
        Ok(())
    }
}

/// Gives the length of what follows a `{` where that is a count: `2}`, `2,}` or `2,3}`.
fn count(rest: &[u8]) -> Option<usize> {
    let end = rest.iter().position(|byte| *byte == b'}')?;
    let text = &rest[..end];
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let good = digits > 0
        && match text.get(digits) {
            None => true,
            Some(b',') => text[digits + 1..].iter().all(u8::is_ascii_digit),
            Some(_) => false,
        };
    good.then_some(end + 1)
}

/// Gives the length of what follows a `[` where that is `:name:]`.
fn posix(rest: &[u8]) -> Option<usize> {
    const NAMES: &[&[u8]] = &[
        b":alnum:]",
        b":alpha:]",
        b":ascii:]",
        b":blank:]",
        b":cntrl:]",
        b":digit:]",
        b":graph:]",
        b":lower:]",
        b":print:]",
        b":punct:]",
        b":space:]",
        b":upper:]",
        b":word:]",
        b":xdigit:]",
        b":^alnum:]",
        b":^alpha:]",
        b":^digit:]",
        b":^space:]",
        b":^word:]",
    ];
    NAMES.iter().find(|name| rest.starts_with(name)).map(|name| name.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_says_the_same_in_other_words() {
        let check = |pattern: &str, expected: &str| {
            assert_eq!(translate(pattern).as_deref(), Ok(expected), "{pattern}")
        };
        check("a.b*?c+$", "a.b*?c+$");
        check(r"\<a\>\-\_\/", r"\x3ca\x3e\x2d_/");
        check(r"[-a[\]&&~~]", r"[\x2da\x5b\x5d\x26\x26\x7e\x7e]");
        check(r"[]a]", r"[\x5da]");
        check(r"[^\w-.]", r"[^\w\x2d\x2e]");
        check(r"[[:alpha:]\x5c]", r"[[:alpha:]\x5c]");
        check(r"a{2,3}{x}{,4}", r"a{2,3}\x7bx\x7d\x7b,4\x7d");
        check(r"(?i:a)(?P<n>b)(?#c)(d)", r"(?i:a)(?P<n>b)(d)");
        check(r"\h\x{41}\101\0", r"[\t \xa0]AA\x00");
        check(r"\Qa.b\Ec", r"a\x2ebc");
        check("ä", r"\xc3\xa4");
    }

    #[test]
    fn what_needs_backtracking_is_refused_with_its_reason() {
        let check = |pattern: &str, expected| assert_eq!(translate(pattern), Err(expected), "{pattern}");
        check("(?=a)", Untranslatable::LookAround);
        check("(?<!a)", Untranslatable::LookAround);
        check("(?>a)", Untranslatable::Atomic);
        check("a++", Untranslatable::Possessive);
        check("a{2}+", Untranslatable::Possessive);
        check(r"(a)\1", Untranslatable::BackReference);
        check("(*ANY)a", Untranslatable::Verb);
        check("[a", Untranslatable::Unfinished);
        check("a\\", Untranslatable::Unfinished);
    }
}

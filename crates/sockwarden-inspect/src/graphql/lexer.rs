//! The tokens of a GraphQL document (GraphQL specification, October 2021, §2.1).

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `! $ & ( ) : = @ [ ] { | }`.
    Mark(u8),
    /// `...`.
    Spread,
    Name(&'a str),
    /// An integer or a float, as it is written.
    Number(&'a str),
    /// What stands between the quotes, with its escapes.
    Text(&'a str),
    /// What stands between three quotes, with its escapes and indentation.
    Block(&'a str),
    End,
}

/// Reads tokens one after the other.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// Passes over bytes as long as they are `wanted`; gives where they end.
    fn while_is(&self, mut at: usize, wanted: impl Fn(u8) -> bool) -> usize {
        while self.byte(at).is_some_and(&wanted) {
            at += 1;
        }
        at
    }

    /// Takes the next token; tells where it begins, or where there is none.
    pub(super) fn next(&mut self) -> Result<(usize, Token<'a>), usize> {
        self.ignored();
        let start = self.at;
        let Some(byte) = self.byte(start) else { return Ok((start, Token::End)) };
        let token = match byte {
            b'!' | b'$' | b'&' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'|' | b'}' => {
                self.at += 1;
                Token::Mark(byte)
            }
            b'.' if self.text[start..].starts_with("...") => {
                self.at += 3;
                Token::Spread
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => {
                self.at = self.while_is(start, is_name);
                Token::Name(self.slice(start, self.at))
            }
            b'-' | b'0'..=b'9' => self.number(start)?,
            b'"' if self.text[start..].starts_with("\"\"\"") => self.block(start + 3)?,
            b'"' => self.string(start + 1)?,
            _ => return Err(start),
        };
        Ok((start, token))
    }

    /// Passes over what means nothing: blanks, commas, comments, a byte order mark.
    fn ignored(&mut self) {
        loop {
            match self.byte(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r' | b',') => self.at += 1,
                Some(b'#') => self.at = self.while_is(self.at, |byte| byte != b'\n' && byte != b'\r'),
                Some(0xef) if self.text[self.at..].starts_with('\u{feff}') => self.at += 3,
                _ => return,
            }
        }
    }

    fn number(&mut self, start: usize) -> Result<Token<'a>, usize> {
        let digits = |at| self.while_is(at, |byte| byte.is_ascii_digit());
        let whole = start + usize::from(self.byte(start) == Some(b'-'));
        let mut at = digits(whole);
        if at == whole || at - whole > 1 && self.byte(whole) == Some(b'0') {
            return Err(start);
        }
        if self.byte(at) == Some(b'.') {
            let end = digits(at + 1);
            if end == at + 1 {
                return Err(start);
            }
            at = end;
        }
        if let Some(b'e' | b'E') = self.byte(at) {
            let sign = usize::from(matches!(self.byte(at + 1), Some(b'+' | b'-')));
            let end = digits(at + 1 + sign);
            if end == at + 1 + sign {
                return Err(start);
            }
            at = end;
        }
        if self.byte(at).is_some_and(|byte| is_name(byte) || byte == b'.') {
            return Err(start);
        }
        self.at = at;
        Ok(Token::Number(self.slice(start, at)))
    }

    fn string(&mut self, start: usize) -> Result<Token<'a>, usize> {
        let mut at = start;
        loop {
            match self.byte(at) {
                Some(b'"') => break,
                Some(b'\\') => at = self.escape(at).ok_or(at)?,
                Some(b'\n' | b'\r') | None => return Err(at),
                Some(_) => at += 1,
            }
        }
        self.at = at + 1;
        Ok(Token::Text(self.slice(start, at)))
    }

    /// Passes over an escape that exists.
    fn escape(&self, at: usize) -> Option<usize> {
        match self.byte(at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
            b'u' if self.byte(at + 2) == Some(b'{') => {
                let end = self.while_is(at + 3, |byte| byte.is_ascii_hexdigit());
                (end > at + 3 && self.byte(end) == Some(b'}')).then_some(end + 1)
            }
            b'u' => {
                let digits = self.text.as_bytes().get(at + 2..at + 6)?;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(at + 6)
            }
            _ => None,
        }
    }

    fn block(&mut self, start: usize) -> Result<Token<'a>, usize> {
        let mut at = start;
        loop {
            at = self.while_is(at, |byte| byte != b'"' && byte != b'\\');
            let rest = self.text.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return Err(at);
            } else if rest.starts_with("\"\"\"") {
                self.at = at + 3;
                return Ok(Token::Block(self.slice(start, at)));
            }
            at += if rest.starts_with("\\\"\"\"") { 4 } else { 1 };
        }
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Resolves the escapes of a string into `out`.
pub(super) fn unescaped(text: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        let Some(letter) = rest.bytes().next() else { return };
        let mut taken = 1;
        let plain = match letter {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (c, length) = unicode(rest);
                taken = length;
                c
            }
            other => char::from(other),
        };
        let mut utf8 = [0; 4];
        out.extend_from_slice(plain.encode_utf8(&mut utf8).as_bytes());
        rest = rest.get(taken..).unwrap_or_default();
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Reads `uXXXX`, of a surrogate pair both halves, or `u{X…}`; gives also how long it is.
fn unicode(text: &str) -> (char, usize) {
    let number =
        |from: usize, to: usize| text.get(from..to).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    if text.starts_with("u{") {
        let end = text.find('}').unwrap_or(text.len());
        let c = number(2, end).and_then(char::from_u32);
        return (c.unwrap_or(char::REPLACEMENT_CHARACTER), end + 1);
    }
    let low = || text.get(5..7).filter(|next| *next == "\\u").and_then(|_| number(7, 11));
    match number(1, 5) {
        Some(high @ 0xd800..=0xdbff) => match low() {
            Some(low @ 0xdc00..=0xdfff) => {
                let c = char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
                (c.unwrap_or(char::REPLACEMENT_CHARACTER), 11)
            }
            _ => (char::REPLACEMENT_CHARACTER, 5),
        },
        Some(unit) => (char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), 5),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Result<Vec<Token<'_>>, usize> {
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        loop {
            let (_, token) = lexer.next()?;
            if token == Token::End {
                return Ok(tokens);
            }
            tokens.push(token);
        }
    }

    #[test]
    fn tokens_are_read_one_after_the_other() {
        use Token::{Block, Mark, Name, Number, Spread, Text};
        let check =
            |text: &str, expected: &[Token<'_>]| assert_eq!(tokens(text).as_deref(), Ok(expected), "{text}");
        check("\u{feff} {a,b}# c\n!", &[Mark(b'{'), Name("a"), Name("b"), Mark(b'}'), Mark(b'!')]);
        check("...F -1.5e+3 0", &[Spread, Name("F"), Number("-1.5e+3"), Number("0")]);
        check(r#""" "a\"\u00e9\u{1F600}" "#, &[Text(""), Text(r#"a\"\u00e9\u{1F600}"#)]);
        check(r#""""a "b" \""" c""""#, &[Block(r#"a "b" \""" c"#)]);
        check("# only", &[]);
    }

    #[test]
    fn what_is_no_token_is_told_with_its_place() {
        let check = |text: &str, at: usize| assert_eq!(tokens(text), Err(at), "{text}");
        check("a ?", 2);
        check("..", 0);
        check("01", 0);
        check("1.", 0);
        check("1x", 0);
        check("\"a\nb\"", 2);
        check("\"a", 2);
        check(r#""\q""#, 1);
        check(r#""\u12""#, 1);
        check("\"\"\"a", 4);
        check("é", 0);
    }

    #[test]
    fn escapes_are_resolved() {
        let check = |text: &str, expected: &str| {
            let mut out = Vec::new();
            unescaped(text, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{text}");
        };
        check(r#"a\"\\\/\n"#, "a\"\\/\n");
        check(r"\u00e9\u{1F600}\ud83d\ude00x", "é😀😀x");
        check(r"\ud83dx\u{110000}", "\u{fffd}x\u{fffd}");
        check("plain", "plain");
    }
}

//! Sec-WebSocket-Extensions, read strictly (RFC 6455 §9.1).

use crate::handshake::is_token;

/// One member of the header: an extension with its parameters in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The name, a token.
    pub name: String,
    /// The parameters, repeated ones included.
    pub parameters: Vec<Parameter>,
}

/// One parameter of an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The name, a token.
    pub name: String,
    /// The value, a token, taken out of its quotes where it had some.
    pub value: Option<String>,
}

/// Why a value of Sec-WebSocket-Extensions does not conform to the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ExtensionError {
    /// A name or an unquoted value is missing or no token.
    #[error("a name or a value is no token")]
    NotAToken,
    /// A quoted value does not end, or what it holds is no token.
    #[error("a quoted value is no token")]
    Quoted,
    /// Something other than `;` or `,` follows.
    #[error("something other than a separator follows")]
    Separator,
    /// A header field names no extension at all.
    #[error("no extension is named")]
    Empty,
}

/// Reads the values of every Sec-WebSocket-Extensions field, in order; empty members of a list are passed over (RFC 9110
/// §5.6.1.2), a field without any member is not.
///
/// # Errors
/// The first departure from the grammar: who receives it must fail the connection.
pub fn extensions<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Extension>, ExtensionError> {
    let mut found = Vec::new();
    for value in values {
        let before = found.len();
        let mut rest = Cursor(value);
        loop {
            rest.blanks();
            if !matches!(rest.peek(), None | Some(b',')) {
                found.push(rest.extension()?);
            }
            if rest.peek().is_none() {
                break;
            }
            rest.separator(b',')?;
        }
        if found.len() == before {
            return Err(ExtensionError::Empty);
        }
    }
    Ok(found)
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn blanks(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    fn separator(&mut self, wanted: u8) -> Result<(), ExtensionError> {
        if self.next() == Some(wanted) { Ok(()) } else { Err(ExtensionError::Separator) }
    }

    fn extension(&mut self) -> Result<Extension, ExtensionError> {
        let name = self.token()?;
        let mut parameters = Vec::new();
        loop {
            self.blanks();
            if matches!(self.peek(), None | Some(b',')) {
                return Ok(Extension { name, parameters });
            }
            self.separator(b';')?;
            self.blanks();
            parameters.push(self.parameter()?);
        }
    }

    fn parameter(&mut self) -> Result<Parameter, ExtensionError> {
        let name = self.token()?;
        self.blanks();
        if self.peek() != Some(b'=') {
            return Ok(Parameter { name, value: None });
        }
        self.next();
        self.blanks();
        let value = if self.peek() == Some(b'"') { self.quoted()? } else { self.token()? };
        Ok(Parameter { name, value: Some(value) })
    }

    fn token(&mut self) -> Result<String, ExtensionError> {
        let length = self.0.iter().take_while(|&&byte| is_token(&[byte])).count();
        let (token, rest) = self.0.split_at(length);
        self.0 = rest;
        if token.is_empty() { Err(ExtensionError::NotAToken) } else { Ok(ascii(token)) }
    }

    /// Reads a quoted string, which after its escapes are undone must be a token (RFC 6455 §9.1).
    fn quoted(&mut self) -> Result<String, ExtensionError> {
        self.next();
        let mut value = Vec::new();
        loop {
            match self.next().ok_or(ExtensionError::Quoted)? {
                b'"' if is_token(&value) => return Ok(ascii(&value)),
                b'"' => return Err(ExtensionError::Quoted),
                b'\\' => value.push(self.next().ok_or(ExtensionError::Quoted)?),
                byte => value.push(byte),
            }
        }
    }
}

/// Copies bytes that were checked to be a token.
fn ascii(token: &[u8]) -> String {
    token.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes what was read in one canonical form.
    fn read(values: &[&str]) -> Result<String, ExtensionError> {
        let found = extensions(values.iter().map(|value| value.as_bytes()))?;
        let write = |extension: &Extension| {
            extension.parameters.iter().fold(extension.name.clone(), |text, parameter| {
                let value = parameter.value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
                format!("{text};{}{value}", parameter.name)
            })
        };
        Ok(found.iter().map(write).collect::<Vec<_>>().join(","))
    }

    #[test]
    fn what_conforms_is_read() {
        let check = |values: &[&str], expected: &str| {
            assert_eq!(read(values).as_deref(), Ok(expected), "{values:?}");
        };
        check(&[], "");
        check(&["permessage-deflate"], "permessage-deflate");
        check(&["a; b=1;c , d"], "a;b=1;c,d");
        check(&["a", "b"], "a,b");
        check(&["a ;\tb = 10 "], "a;b=10");
        check(&["a; b=\"10\"; c=\"\\1\\5\""], "a;b=10;c=15");
        check(&["a; b; b; b=1"], "a;b;b;b=1");
        check(&[",, a ,,\t, b,"], "a,b");
    }

    #[test]
    fn what_does_not_conform_is_named() {
        use ExtensionError as E;
        let check = |value: &str, expected| assert_eq!(read(&["a", value]), Err(expected), "{value:?}");
        check("", E::Empty);
        check(" ", E::Empty);
        check(",", E::Empty);
        check("a b", E::Separator);
        check("a; b c", E::Separator);
        check("a; b=1=2", E::Separator);
        check("a; b=\"1\"2", E::Separator);
        check("a;", E::NotAToken);
        check("a;;b", E::NotAToken);
        check(";", E::NotAToken);
        check("a; =1", E::NotAToken);
        check("a; b=", E::NotAToken);
        check("a; b=,", E::NotAToken);
        check("a; b=\u{e9}", E::NotAToken);
        check("\"a\"", E::NotAToken);
        check("a; b=\"", E::Quoted);
        check("a; b=\"1", E::Quoted);
        check("a; b=\"1\\", E::Quoted);
        check("a; b=\"\"", E::Quoted);
        check("a; b=\"1 0\"", E::Quoted);
        check("a; b=\"1,0\"", E::Quoted);
        check("a; b=\"x\\\"\"", E::Quoted);
    }
}

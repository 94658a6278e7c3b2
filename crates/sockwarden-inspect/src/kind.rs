//! What a value looks like.

use crate::{Marks, Shape};

/// What a value looks like; what counts as an attack differs from kind to kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nothing: an empty text, or null.
    Empty,
    /// A number, also one that is written as a text.
    Number,
    /// True or false.
    Boolean,
    /// One word of letters, digits, `_`, `-`, `.` and `:`, such as programs name things with.
    Identifier,
    /// A URL with its scheme.
    Url,
    /// A path: `/a/b`, `a/b/c.txt`, `C:\x`.
    Path,
    /// An e-mail address.
    Email,
    /// A date, a time or both (ISO 8601).
    Date,
    /// HTML or XML.
    Markup,
    /// Something a program would read: statements, expressions, queries, commands.
    Code,
    /// JSON in a text.
    Json,
    /// Base64 of either alphabet, or hexadecimal digits, too long to be a name.
    Encoded,
    /// Text for people.
    Text,
    /// Bytes that are no text.
    Binary,
}

impl Kind {
    /// Its name, as people read it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Identifier => "identifier",
            Self::Url => "url",
            Self::Path => "path",
            Self::Email => "email",
            Self::Date => "date",
            Self::Markup => "markup",
            Self::Code => "code",
            Self::Json => "json",
            Self::Encoded => "encoded",
            Self::Text => "text",
            Self::Binary => "binary",
        }
    }

    /// Tells what a value of this shape looks like.
    pub(crate) fn of(shape: Shape, bytes: &[u8], marks: Marks) -> Self {
        match shape {
            Shape::Number => Self::Number,
            Shape::Boolean => Self::Boolean,
            Shape::Null => Self::Empty,
            Shape::Bytes if std::str::from_utf8(bytes).is_err() => Self::Binary,
            Shape::String | Shape::Bytes => of_text(bytes, marks),
        }
    }
}

fn of_text(bytes: &[u8], marks: Marks) -> Kind {
    if bytes.is_empty() {
        return Kind::Empty;
    }
    if marks.any(Marks::CONTROL) {
        return Kind::Binary;
    }
    if marks.only(Marks::WORD | Marks::DOT | Marks::COLON) {
        return Kind::Identifier;
    }
    Kind::Text
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

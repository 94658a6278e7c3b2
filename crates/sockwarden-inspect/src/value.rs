//! One value of a message.

use crate::{Kind, Marks, Place};

/// One key, string, number or run of bytes, as the receiver will understand it: escapes are resolved.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    /// What it holds. UTF-8 unless its shape is [`Shape::Bytes`].
    pub bytes: &'a [u8],
    /// Whether it names a value or is one.
    pub role: Role,
    /// What its format says it is.
    pub shape: Shape,
    /// Which kinds of bytes it holds.
    pub marks: Marks,
    /// Where it stands. A key has the place of the member that it names.
    pub place: Place<'a>,
}

impl<'a> Value<'a> {
    /// Gives its text; `None` where it is not UTF-8.
    pub fn text(&self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes).ok()
    }

    /// Tells what it looks like. Found out when it is asked for.
    #[inline]
    pub fn kind(&self) -> Kind {
        Kind::of(self.shape, self.bytes, self.marks)
    }
}

/// Whether a value names another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It is the name of a member, field, header or parameter.
    Key,
    /// It is a value.
    Value,
}

impl Role {
    /// Its name, as programs read it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Value => "value",
        }
    }
}

/// What a value's format says it is, before anyone looks into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Text.
    String,
    /// A number, as it is written (of a binary format: in decimal).
    Number,
    /// `true` or `false`.
    Boolean,
    /// Nothing: `null`, `nil`, `undefined`.
    Null,
    /// Bytes that no one promised to be text.
    Bytes,
}

impl Shape {
    /// Its name, as programs read it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Null => "null",
            Self::Bytes => "bytes",
        }
    }
}

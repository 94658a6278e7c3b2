//! One line of input: a message and what is said about it.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};
use sockwarden_model::Direction;
use sockwarden_proto::MessageKind;

/// A message of the input.
#[derive(Debug, PartialEq)]
pub(crate) struct Line {
    /// `payload` is a text message, `payload_base64` a binary one.
    pub(crate) kind: MessageKind,
    pub(crate) bytes: Vec<u8>,
    /// Who sent it, where the line says so.
    pub(crate) direction: Option<Direction>,
    /// Which connection it belongs to, where the line says so.
    pub(crate) connection: Option<String>,
    /// All other members.
    pub(crate) rest: Map<String, Value>,
}

/// Why a line cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("line {number}, column {column}: {why}")]
pub(crate) struct LineError {
    pub(crate) number: u64,
    /// In bytes, from 1.
    pub(crate) column: usize,
    pub(crate) why: String,
}

impl Line {
    /// Reads the line of this number.
    ///
    /// # Errors
    /// It is no JSON object, or holds no message or two.
    pub(crate) fn read(number: u64, bytes: &[u8]) -> Result<Self, LineError> {
        serde_json::from_slice(bytes).map_err(|error| {
            let (text, column) = (error.to_string(), error.column());
            let why =
                text.strip_suffix(&format!(" at line {} column {column}", error.line())).unwrap_or(&text);
            LineError { number, column: column.max(1), why: why.to_owned() }
        })
    }
}

/// What a line must be.
const FORM: &str = "an object that holds a message: {\"payload\": TEXT} or {\"payload_base64\": …}";

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LineVisitor)
    }
}

struct LineVisitor;

impl<'de> Visitor<'de> for LineVisitor {
    type Value = Line;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FORM)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Line, A::Error> {
        let (mut message, mut direction, mut connection, mut rest) = (None, None, None, Map::new());
        while let Some(name) = members.next_key::<String>()? {
            let known = match name.as_str() {
                "payload" | "payload_base64" => message.is_some(),
                "direction" => direction.is_some(),
                "connection" => connection.is_some(),
                _ => false,
            };
            if known {
                return Err(A::Error::custom(format!("a second `{name}`: a line holds one message")));
            }
            match name.as_str() {
                "payload" => {
                    message = Some((MessageKind::Text, members.next_value::<String>()?.into_bytes()))
                }
                "payload_base64" => {
                    let text: String = members.next_value()?;
                    let bytes = STANDARD.decode(&text).map_err(|error| {
                        A::Error::custom(format!(
                            "`payload_base64` is no padded base64 (RFC 4648 §4): {error}"
                        ))
                    })?;
                    message = Some((MessageKind::Binary, bytes));
                }
                "direction" => {
                    direction = Some(match members.next_value::<String>()?.as_str() {
                        "client" => Direction::Client,
                        "server" => Direction::Server,
                        _ => return Err(A::Error::custom("`direction` is \"client\" or \"server\"")),
                    });
                }
                "connection" => {
                    connection = Some(match members.next_value()? {
                        Value::String(text) => text,
                        Value::Number(number) => number.to_string(),
                        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                            return Err(A::Error::custom("`connection` is a text or a number"));
                        }
                    });
                }
                _ => drop(rest.insert(name, members.next_value()?)),
            }
        }
        let Some((kind, bytes)) = message else {
            return Err(A::Error::custom("the line holds neither `payload` nor `payload_base64`"));
        };
        Ok(Line { kind, bytes, direction, connection, rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_message_and_what_else_is_said() {
        let check = |text: &str, kind, bytes: &[u8], direction, connection: Option<&str>, rest: &str| {
            let line = Line::read(1, text.as_bytes()).unwrap();
            assert_eq!(
                (line.kind, line.bytes.as_slice(), line.direction),
                (kind, bytes, direction),
                "{text}"
            );
            assert_eq!(
                (line.connection.as_deref(), Value::Object(line.rest).to_string().as_str()),
                (connection, rest)
            );
        };
        check(r#"{"payload":"hi"}"#, MessageKind::Text, b"hi", None, None, "{}");
        check(
            r#"{"id":1,"payload_base64":"/w==","direction":"server","connection":7,"label":["x"]}"#,
            MessageKind::Binary,
            b"\xff",
            Some(Direction::Server),
            Some("7"),
            r#"{"id":1,"label":["x"]}"#,
        );
        check(r#"{"payload":"","connection":"a"}"#, MessageKind::Text, b"", None, Some("a"), "{}");
    }

    #[test]
    fn a_wrong_line_says_where_and_why() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Line::read(3, text.as_bytes()).unwrap_err().to_string(), expected, "{text}");
        };
        check("nonsense", "line 3, column 2: expected ident");
        check(
            "[1]",
            "line 3, column 1: invalid type: sequence, expected an object that holds a message: {\"payload\": TEXT} or {\"payload_base64\": …}",
        );
        check("{}", "line 3, column 2: the line holds neither `payload` nor `payload_base64`");
        check(r#"{"payload":1}"#, "line 3, column 12: invalid type: integer `1`, expected a string");
        check(
            r#"{"payload":"a","payload":"b"}"#,
            "line 3, column 24: a second `payload`: a line holds one message",
        );
        check(
            r#"{"payload":"a","payload_base64":""}"#,
            "line 3, column 31: a second `payload_base64`: a line holds one message",
        );
        check(
            r#"{"payload_base64":"*"}"#,
            "line 3, column 22: `payload_base64` is no padded base64 (RFC 4648 §4): Invalid symbol 42, offset 0.",
        );
        check(
            r#"{"payload":"a","direction":"up"}"#,
            "line 3, column 32: `direction` is \"client\" or \"server\"",
        );
        check(
            r#"{"payload":"a","connection":null}"#,
            "line 3, column 33: `connection` is a text or a number",
        );
        check(r#"{"payload":"a"} x"#, "line 3, column 17: trailing characters");
        check(
            "{\"payload\":\"\u{1}\"}",
            "line 3, column 13: control character (\\u0000-\\u001F) found while parsing a string",
        );
    }
}

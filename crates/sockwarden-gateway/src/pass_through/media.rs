//! What the head of a request or an answer says of how its body is read.

use sockwarden_inspect::Format;
use sockwarden_proto::handshake::Headers;

/// How a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// As what it is said to be.
    Declared(Format),
    /// As what it looks like: nothing is said of it.
    Unstated,
    /// Not at all: it is compressed, in letters that are not known, or several things are said.
    Encoded,
}

impl Media {
    /// Finds out by a head's fields.
    pub(super) fn of(headers: &Headers) -> Self {
        let is_plain =
            headers.list("content-encoding").all(|coding| coding.eq_ignore_ascii_case(b"identity"));
        if !is_plain || headers.count("content-type") > 1 {
            return Self::Encoded;
        }
        let Some(stated) = headers.first("content-type") else { return Self::Unstated };
        let stated = String::from_utf8_lossy(stated).to_ascii_lowercase();
        let (kind, parameters) = stated.split_once(';').unwrap_or((&stated, ""));
        let format = format(kind.trim());
        match (format, letters(parameters)) {
            (Format::Bytes | Format::MessagePack | Format::Cbor, _) | (_, Letters::Utf8) => {
                Self::Declared(format)
            }
            (Format::Text, Letters::OneByte) => Self::Declared(Format::Bytes),
            (_, Letters::OneByte) => Self::Declared(format),
            (_, Letters::Other) => Self::Encoded,
        }
    }
}

/// Tells whether an answer's body is of a kind that is read: data, and text that is not a page or a part of one.
pub(super) fn is_data(headers: &Headers) -> bool {
    let stated =
        headers.first("content-type").map(String::from_utf8_lossy).unwrap_or_default().to_ascii_lowercase();
    let kind = stated.split(';').next().unwrap_or_default().trim();
    match format(kind) {
        Format::Text => !matches!(
            kind,
            "text/html" | "text/css" | "text/javascript" | "text/ecmascript" | "text/event-stream"
        ),
        Format::Xml => !matches!(kind, "image/svg+xml" | "application/xhtml+xml"),
        Format::Json | Format::Form | Format::MessagePack | Format::Cbor => true,
        Format::Percent | Format::Base64 | Format::Hex | Format::GraphQl | Format::Bytes => false,
    }
}

/// Gives the format of a media type, in small letters.
fn format(kind: &str) -> Format {
    match kind {
        "application/json" | "text/json" => Format::Json,
        "application/xml" | "text/xml" => Format::Xml,
        "application/x-www-form-urlencoded" => Format::Form,
        "application/msgpack" | "application/x-msgpack" | "application/vnd.msgpack" => Format::MessagePack,
        "application/cbor" => Format::Cbor,
        other if other.ends_with("+json") => Format::Json,
        other if other.ends_with("+xml") => Format::Xml,
        other if other.ends_with("+cbor") => Format::Cbor,
        other if other.starts_with("text/") => Format::Text,
        _ => Format::Bytes,
    }
}

/// In what letters a text is written.
enum Letters {
    Utf8,
    /// Such in which every byte of ASCII is itself.
    OneByte,
    Other,
}

fn letters(parameters: &str) -> Letters {
    let mut found = Letters::Utf8;
    for parameter in parameters.split(';') {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        if name.trim() == "charset" {
            found = match value.trim().trim_matches('"') {
                "utf-8" | "utf8" | "us-ascii" | "ascii" => found,
                name if name.starts_with("iso-8859-") || name.starts_with("windows-125") => Letters::OneByte,
                _ => return Letters::Other,
            };
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use sockwarden_proto::handshake::{HeadLimits, ResponseHead};

    use super::*;

    fn headers(lines: &str) -> Headers {
        let text = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        ResponseHead::parse(text.as_bytes(), HeadLimits::default()).unwrap().unwrap().0.headers
    }

    #[test]
    fn a_body_is_what_its_head_says() {
        let check = |lines: &str, expected: Media, read: bool| {
            let headers = headers(lines);
            assert_eq!((Media::of(&headers), is_data(&headers)), (expected, read), "{lines:?}");
        };
        let of = |kind: &str, expected, read| check(&format!("Content-Type: {kind}\r\n"), expected, read);
        check("", Media::Unstated, false);
        of("application/json", Media::Declared(Format::Json), true);
        of("Application/JSON; charset=UTF-8", Media::Declared(Format::Json), true);
        of("application/problem+json", Media::Declared(Format::Json), true);
        of("application/json; charset=utf-16", Media::Encoded, true);
        of("text/plain", Media::Declared(Format::Text), true);
        of("text/plain; charset=\"ISO-8859-1\"", Media::Declared(Format::Bytes), true);
        of("text/plain; charset=utf-7", Media::Encoded, true);
        of("text/html; charset=utf-8", Media::Declared(Format::Text), false);
        of("text/event-stream", Media::Declared(Format::Text), false);
        of("application/javascript", Media::Declared(Format::Bytes), false);
        of("image/png", Media::Declared(Format::Bytes), false);
        of("image/svg+xml", Media::Declared(Format::Xml), false);
        of("application/x-www-form-urlencoded", Media::Declared(Format::Form), true);
        of("multipart/form-data; boundary=x", Media::Declared(Format::Bytes), false);
        check("Content-Type: text/plain\r\nContent-Type: text/html\r\n", Media::Encoded, true);
        check("Content-Encoding: gzip\r\n", Media::Encoded, false);
        check("Content-Encoding: identity\r\n", Media::Unstated, false);
        check("Content-Encoding: identity, br\r\n", Media::Encoded, false);
    }
}

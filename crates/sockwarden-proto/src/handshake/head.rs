//! Reading the head of an HTTP/1 message so strictly that no two readers could disagree about it (RFC 9112).

use super::header::{Header, Headers, is_token};

/// How large a head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the whole head, its last line break included.
    pub bytes: usize,
    /// Header fields.
    pub fields: usize,
    /// Bytes of the request target.
    pub target: usize,
}

impl Default for HeadLimits {
    /// 8 KiB, 64 fields, a target of 2 KiB.
    fn default() -> Self {
        Self { bytes: 8 * 1024, fields: 64, target: 2 * 1024 }
    }
}

/// Why a head cannot be read without guessing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HeadViolation {
    /// The head exceeds the limit.
    #[error("the head is too large")]
    TooLarge,
    /// There are more header fields than the limit.
    #[error("the head has too many fields")]
    TooManyFields,
    /// The request target exceeds the limit.
    #[error("the request target is too long")]
    TargetTooLong,
    /// The request line is not method, target and version, each one blank apart (RFC 9112 §3).
    #[error("the request line is malformed")]
    RequestLine,
    /// The status line is not version, status and reason (RFC 9112 §4).
    #[error("the status line is malformed")]
    StatusLine,
    /// A line ends in a line feed alone (RFC 9112 §2.2).
    #[error("a line ends without a carriage return")]
    BareLineFeed,
    /// A carriage return stands alone (RFC 9112 §2.2).
    #[error("a carriage return stands alone")]
    BareCarriageReturn,
    /// A field is folded over lines (RFC 9112 §5.2).
    #[error("a header field is folded")]
    ObsoleteFold,
    /// A blank stands before a colon (RFC 9112 §5.1).
    #[error("a blank stands before a colon")]
    SpaceBeforeColon,
    /// A field's name is missing or no token (RFC 9110 §5.1).
    #[error("a header field has no valid name")]
    FieldName,
    /// A field's value holds a control character (RFC 9110 §5.5).
    #[error("a header field holds a control character")]
    FieldValue,
}

impl HeadViolation {
    /// Gives the HTTP status that answers it.
    pub const fn status(self) -> u16 {
        match self {
            Self::TooLarge | Self::TooManyFields => 431,
            Self::TargetTooLong => 414,
            Self::RequestLine
            | Self::StatusLine
            | Self::BareLineFeed
            | Self::BareCarriageReturn
            | Self::ObsoleteFold
            | Self::SpaceBeforeColon
            | Self::FieldName
            | Self::FieldValue => 400,
        }
    }
}

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The method, such as `GET`.
    pub method: String,
    /// The target as it was written: visible ASCII.
    pub target: String,
    /// The minor version: 1 of HTTP/1.1.
    pub minor_version: u8,
    /// The header fields.
    pub headers: Headers,
}

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The minor version: 1 of HTTP/1.1.
    pub minor_version: u8,
    /// The status, three digits.
    pub status: u16,
    /// The reason phrase, perhaps empty.
    pub reason: Vec<u8>,
    /// The header fields.
    pub headers: Headers,
}

/// Finds where a head ends: after its first empty line, however its lines are ended.
pub fn find_end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut line_is_empty = false;
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' if line_is_empty => return Some(at + 1),
            b'\n' => line_is_empty = true,
            b'\r' => {}
            _ => line_is_empty = false,
        }
    }
    None
}

impl RequestHead {
    /// Reads a request's head from the start of `bytes` and tells how many bytes it took; `None` while it is incomplete.
    ///
    /// # Errors
    /// The head is malformed, ambiguous or too large.
    pub fn parse(bytes: &[u8], limits: HeadLimits) -> Result<Option<(Self, usize)>, HeadViolation> {
        let Some((first, headers, length)) = parse_head(bytes, limits)? else { return Ok(None) };
        let mut words = first.split(|&b| b == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(HeadViolation::RequestLine);
        };
        if !is_token(method) || target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
            return Err(HeadViolation::RequestLine);
        }
        if target.len() > limits.target {
            return Err(HeadViolation::TargetTooLong);
        }
        let minor_version = minor_version(version).ok_or(HeadViolation::RequestLine)?;
        let head = Self { method: ascii(method), target: ascii(target), minor_version, headers };
        Ok(Some((head, length)))
    }
}

impl ResponseHead {
    /// Reads a response's head from the start of `bytes` and tells how many bytes it took; `None` while it is incomplete.
    ///
    /// # Errors
    /// The head is malformed, ambiguous or too large.
    pub fn parse(bytes: &[u8], limits: HeadLimits) -> Result<Option<(Self, usize)>, HeadViolation> {
        let Some((first, headers, length)) = parse_head(bytes, limits)? else { return Ok(None) };
        let mut words = first.splitn(3, |&b| b == b' ');
        let (Some(version), Some(status)) = (words.next(), words.next()) else {
            return Err(HeadViolation::StatusLine);
        };
        let minor_version = minor_version(version).ok_or(HeadViolation::StatusLine)?;
        let &[a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = status else {
            return Err(HeadViolation::StatusLine);
        };
        let status = [a, b, c].iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
        let reason = words.next().unwrap_or_default().to_vec();
        if !reason.iter().all(|&b| is_field_byte(b)) {
            return Err(HeadViolation::StatusLine);
        }
        Ok(Some((Self { minor_version, status, reason, headers }, length)))
    }
}

/// A head's first line, its fields, and how many bytes all of it took.
type Lines<'a> = (&'a [u8], Headers, usize);

/// Reads the first line and the fields; `None` while the head is incomplete.
fn parse_head(bytes: &[u8], limits: HeadLimits) -> Result<Option<Lines<'_>>, HeadViolation> {
    let Some(length) = find_end_of_head(&bytes[..bytes.len().min(limits.bytes)]) else {
        return if bytes.len() >= limits.bytes { Err(HeadViolation::TooLarge) } else { Ok(None) };
    };
    let mut lines = Vec::new();
    for line in bytes[..length].split_inclusive(|&b| b == b'\n') {
        let line = line.strip_suffix(b"\r\n").ok_or(HeadViolation::BareLineFeed)?;
        if line.contains(&b'\r') {
            return Err(HeadViolation::BareCarriageReturn);
        }
        lines.push(line);
    }
    // The last line is the empty one.
    lines.pop();
    let Some((first, fields)) = lines.split_first() else {
        return Ok(Some((&[], Headers::default(), length)));
    };
    if fields.len() > limits.fields {
        return Err(HeadViolation::TooManyFields);
    }
    let headers = fields.iter().map(|line| parse_field(line)).collect::<Result<_, _>>()?;
    Ok(Some((first, Headers(headers), length)))
}

fn parse_field(line: &[u8]) -> Result<Header, HeadViolation> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(HeadViolation::ObsoleteFold);
    }
    let colon = line.iter().position(|&b| b == b':').ok_or(HeadViolation::FieldName)?;
    let (name, value) = (&line[..colon], trim_blanks(&line[colon + 1..]));
    if matches!(name.last(), Some(b' ' | b'\t')) {
        return Err(HeadViolation::SpaceBeforeColon);
    }
    if !is_token(name) {
        return Err(HeadViolation::FieldName);
    }
    if !value.iter().all(|&b| is_field_byte(b)) {
        return Err(HeadViolation::FieldValue);
    }
    Ok(Header { name: ascii(name), value: value.to_vec() })
}

/// Cuts blanks and tabs off both ends, and nothing else: a form feed is no blank (RFC 9110 §5.6.3).
fn trim_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Tells whether a byte may stand in a field's value: visible, blank, tab, obsolete text.
const fn is_field_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x20..=0x7e | 0x80..=0xff)
}

/// Reads `HTTP/1.x`.
fn minor_version(version: &[u8]) -> Option<u8> {
    match version {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', digit @ b'0'..=b'9'] => Some(digit - b'0'),
        _ => None,
    }
}

/// Copies bytes that were checked to be ASCII.
fn ascii(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ambiguous_head_is_refused_by_name() {
        let check = |head: &str, expected| {
            let limits = HeadLimits { bytes: 200, fields: 3, target: 20 };
            assert_eq!(
                RequestHead::parse(head.as_bytes(), limits).map(|h| h.is_some()),
                expected,
                "{head:?}"
            );
        };
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(true));
        check("GET / HTTP/1.1\r\nHost: a\r\n", Ok(false));
        check("GET / HTTP/1.1\nHost: a\n\n", Err(HeadViolation::BareLineFeed));
        check("GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", Err(HeadViolation::BareCarriageReturn));
        check("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", Err(HeadViolation::FieldValue));
        check("GET / HTTP/1.1\r\nX: a\r\r\n\r\n", Err(HeadViolation::BareCarriageReturn));
        check("GET / HTTP/1.1\r\nX: a\r\n\r\r\n", Err(HeadViolation::BareCarriageReturn));
        check("GET / HTTP/1.1\r\nX: \t a \t\r\n\r\n", Ok(true));
        check("GET / HTTP/1.1\r\nX: a\x0c\r\n\r\n", Err(HeadViolation::FieldValue));
        check("GET / HTTP/1.1\r\nX:\x0ca\r\n\r\n", Err(HeadViolation::FieldValue));
        check("GET / HTTP/1.1\r\nX : a\r\n\r\n", Err(HeadViolation::SpaceBeforeColon));
        check("GET / HTTP/1.1\r\nX:\r\n a\r\n\r\n", Err(HeadViolation::ObsoleteFold));
        check("GET / HTTP/1.1\r\n: a\r\n\r\n", Err(HeadViolation::FieldName));
        check("GET / HTTP/1.1\r\nno colon\r\n\r\n", Err(HeadViolation::FieldName));
        check("GET  / HTTP/1.1\r\n\r\n", Err(HeadViolation::RequestLine));
        check("GET / HTTP/1.1 \r\n\r\n", Err(HeadViolation::RequestLine));
        check("GET / HTTP/2.0\r\n\r\n", Err(HeadViolation::RequestLine));
        check("G@T / HTTP/1.1\r\n\r\n", Err(HeadViolation::RequestLine));
        check("\r\n\r\n", Err(HeadViolation::RequestLine));
        check("GET /aaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n\r\n", Err(HeadViolation::TargetTooLong));
        check("GET / HTTP/1.1\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\n\r\n", Err(HeadViolation::TooManyFields));
        check(&format!("GET / HTTP/1.1\r\na: {}", "x".repeat(200)), Err(HeadViolation::TooLarge));
    }

    #[test]
    fn a_value_has_no_blanks_around_it() {
        let check = |written: &str, expected: &str| {
            let head = format!("GET / HTTP/1.1\r\nX:{written}\r\n\r\n");
            let (head, _) = RequestHead::parse(head.as_bytes(), HeadLimits::default()).unwrap().unwrap();
            assert_eq!(head.headers.first("x"), Some(expected.as_bytes()), "{written:?}");
        };
        check("a", "a");
        check(" \t a \t b \t ", "a \t b");
        check(" \t ", "");
        check("", "");
    }

    #[test]
    fn a_limit_is_kept_to_the_byte() {
        let good = "GET /abc HTTP/1.1\r\na: 1\r\nb: 2\r\n\r\n";
        let exact = HeadLimits { bytes: good.len(), fields: 2, target: 4 };
        let check = |bytes: &str, limits, expected: Result<Option<usize>, HeadViolation>| {
            let read = RequestHead::parse(bytes.as_bytes(), limits);
            assert_eq!(read.map(|head| head.map(|(_, length)| length)), expected, "{limits:?}");
        };
        check(good, exact, Ok(Some(good.len())));
        check(&format!("{good}what follows does not count"), exact, Ok(Some(good.len())));
        check(good, HeadLimits { fields: 1, ..exact }, Err(HeadViolation::TooManyFields));
        check(good, HeadLimits { target: 3, ..exact }, Err(HeadViolation::TargetTooLong));
        // One byte less can hold no end: it is too large as soon as the limit is reached, and not before.
        let less = HeadLimits { bytes: good.len() - 1, ..exact };
        check(good, less, Err(HeadViolation::TooLarge));
        check(&good[..good.len() - 1], less, Err(HeadViolation::TooLarge));
        check(&good[..good.len() - 2], less, Ok(None));
        check(&good[..good.len() - 1], exact, Ok(None));
    }

    #[test]
    fn a_status_line_is_read() {
        let check = |line: &str, expected: Result<u16, HeadViolation>| {
            let head = ResponseHead::parse(format!("{line}\r\n\r\n").as_bytes(), HeadLimits::default());
            assert_eq!(head.map(|h| h.unwrap().0.status), expected, "{line}");
        };
        check("HTTP/1.1 101 Switching Protocols", Ok(101));
        check("HTTP/1.1 101", Ok(101));
        check("HTTP/1.0 404 ", Ok(404));
        check("HTTP/1.1 0101 x", Err(HeadViolation::StatusLine));
        check("HTTP/1.1  101", Err(HeadViolation::StatusLine));
        check("ICY 200 OK", Err(HeadViolation::StatusLine));
    }
}

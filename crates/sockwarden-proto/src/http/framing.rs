//! What a head says of the body after it (RFC 9112 §6), and whether a request can be passed on at all.

use crate::handshake::{Headers, RequestHead, ResponseHead};

/// How a message's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// After this many bytes.
    Length(u64),
    /// With the last chunk (RFC 9112 §7.1).
    Chunked,
    /// With the connection; a response only.
    UntilClose,
}

/// Why a request or a response cannot be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HttpViolation {
    /// The method opens a tunnel or asks for its own request back (RFC 9110 §9.3.6, §9.3.8).
    #[error("the method is CONNECT or TRACE")]
    Method,
    /// The target is not a path (RFC 9112 §3.2.1).
    #[error("the request target is not a path")]
    Target,
    /// There is no Host header (RFC 9112 §3.2).
    #[error("there is no Host header")]
    HostMissing,
    /// There is more than one Host header (RFC 9112 §3.2).
    #[error("there is more than one Host header")]
    HostRepeated,
    /// The Host header is no host and port (RFC 9110 §7.2).
    #[error("the Host header is malformed")]
    HostMalformed,
    /// There is more than one Origin header (RFC 6454 §7.2).
    #[error("there is more than one Origin header")]
    OriginRepeated,
    /// Something else than 100-continue is expected (RFC 9110 §10.1.1).
    #[error("the Expect header is not 100-continue")]
    Expectation,
    /// Both Content-Length and Transfer-Encoding are there (RFC 9112 §6.3 item 3).
    #[error("there are both Content-Length and Transfer-Encoding")]
    LengthAndCoding,
    /// There is more than one Content-Length, equal or not (RFC 9112 §6.3 item 5).
    #[error("there is more than one Content-Length")]
    LengthRepeated,
    /// Content-Length is not a number in decimal digits (RFC 9110 §8.6).
    #[error("Content-Length is no number")]
    LengthMalformed,
    /// Transfer-Encoding is not `chunked` alone, once (RFC 9112 §6.1).
    #[error("Transfer-Encoding is not chunked alone")]
    Coding,
    /// Transfer-Encoding stands in a message of HTTP/1.0, which does not know it (RFC 9112 §6.1).
    #[error("Transfer-Encoding is sent with HTTP/1.0")]
    CodingBeforeItsTime,
    /// The protocol is switched though nobody asked for it (RFC 9110 §15.2.2).
    #[error("the answer is 101, which nobody asked for")]
    SwitchingProtocols,
}

impl HttpViolation {
    /// Gives the HTTP status that answers a request with it; a response with it is answered 502 in its place.
    pub const fn status(self) -> u16 {
        match self {
            Self::Method => 405,
            Self::Expectation => 417,
            Self::Target
            | Self::HostMissing
            | Self::HostRepeated
            | Self::HostMalformed
            | Self::OriginRepeated
            | Self::LengthAndCoding
            | Self::LengthRepeated
            | Self::LengthMalformed
            | Self::Coding
            | Self::CodingBeforeItsTime => 400,
            Self::SwitchingProtocols => 502,
        }
    }
}

/// Judges a request that asks for no upgrade, and tells how its body ends.
///
/// # Errors
/// The request could be read in two ways, or is none that is passed on.
pub fn judge_request(head: &RequestHead) -> Result<Framing, HttpViolation> {
    use HttpViolation as V;
    let headers = &head.headers;
    if matches!(head.method.as_str(), "CONNECT" | "TRACE") {
        return Err(V::Method);
    }
    if !head.target.starts_with('/') || head.target.contains('#') {
        return Err(V::Target);
    }
    match headers.count("host") {
        0 => return Err(V::HostMissing),
        1 if headers.text("host").is_none_or(|host| crate::url::split_port(host).is_err()) => {
            return Err(V::HostMalformed);
        }
        1 => {}
        _ => return Err(V::HostRepeated),
    }
    if headers.count("origin") > 1 {
        return Err(V::OriginRepeated);
    }
    let mut expected = headers.all("expect");
    if !(expected.next().is_none_or(|e| e.eq_ignore_ascii_case(b"100-continue")) && expected.next().is_none())
    {
        return Err(V::Expectation);
    }
    Ok(announced(headers, head.minor_version)?.unwrap_or(Framing::None))
}

impl Framing {
    /// Tells how the body of a response to a request of `method` ends.
    ///
    /// # Errors
    /// The head says more than one thing about it, or nothing that is certain.
    pub fn of_response(head: &ResponseHead, method: &str) -> Result<Self, HttpViolation> {
        if head.status == 101 {
            return Err(HttpViolation::SwitchingProtocols);
        }
        let announced = announced(&head.headers, head.minor_version)?;
        // Whatever they announce, these have none (RFC 9112 §6.3 item 1).
        if method == "HEAD" || matches!(head.status, 100..=199 | 204 | 304) {
            return Ok(Self::None);
        }
        Ok(announced.unwrap_or(Self::UntilClose))
    }
}

/// Reads Content-Length and Transfer-Encoding; `None` where neither is there.
fn announced(headers: &Headers, minor_version: u8) -> Result<Option<Framing>, HttpViolation> {
    use HttpViolation as V;
    let (mut lengths, mut codings) = (headers.all("content-length"), headers.all("transfer-encoding"));
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(V::LengthAndCoding),
        (Some(_), None) if lengths.next().is_some() => Err(V::LengthRepeated),
        (Some(length), None) => number(length).map(|n| Some(Framing::Length(n))).ok_or(V::LengthMalformed),
        (None, Some(_)) if minor_version == 0 => Err(V::CodingBeforeItsTime),
        (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none() => {
            Ok(Some(Framing::Chunked))
        }
        (None, Some(_)) => Err(V::Coding),
    }
}

/// Reads decimal digits and nothing else.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::HeadLimits;

    #[test]
    fn a_request_is_framed_in_one_way_or_refused() {
        use HttpViolation as V;
        let check = |first: &str, lines: &str, expected: Result<Framing, V>| {
            let text = format!("{first}\r\n{lines}\r\n");
            let (head, _) = RequestHead::parse(text.as_bytes(), HeadLimits::default()).unwrap().unwrap();
            assert_eq!(judge_request(&head), expected, "{text:?}");
        };
        let get = "GET / HTTP/1.1";
        let with =
            |lines: &str, expected| check("POST /a HTTP/1.1", &format!("Host: a\r\n{lines}"), expected);
        check(get, "Host: a\r\n", Ok(Framing::None));
        check("GET / HTTP/1.0", "Host: a\r\n", Ok(Framing::None));
        check("CONNECT a:1 HTTP/1.1", "Host: a\r\n", Err(V::Method));
        check("TRACE / HTTP/1.1", "Host: a\r\n", Err(V::Method));
        check("OPTIONS * HTTP/1.1", "Host: a\r\n", Err(V::Target));
        check("GET http://b/ HTTP/1.1", "Host: a\r\n", Err(V::Target));
        check("GET /#a HTTP/1.1", "Host: a\r\n", Err(V::Target));
        check(get, "", Err(V::HostMissing));
        check("GET / HTTP/1.0", "", Err(V::HostMissing));
        check(get, "Host: a\r\nHost: a\r\n", Err(V::HostRepeated));
        check(get, "Host: a b\r\n", Err(V::HostMalformed));
        with("Origin: http://a\r\nOrigin: http://b\r\n", Err(V::OriginRepeated));
        with("Expect: 100-Continue\r\nContent-Length: 3\r\n", Ok(Framing::Length(3)));
        with("Expect: 200-ok\r\n", Err(V::Expectation));
        with("Expect: 100-continue\r\nExpect: 100-continue\r\n", Err(V::Expectation));
        with("Content-Length: 0\r\n", Ok(Framing::Length(0)));
        with("Content-Length: 18446744073709551615\r\n", Ok(Framing::Length(u64::MAX)));
        for wrong in ["", "+5", "-5", "5, 5", "0x5", "5 5", "5a", "\u{ff15}", "18446744073709551616"] {
            with(&format!("Content-Length: {wrong}\r\n"), Err(V::LengthMalformed));
        }
        with("Content-Length: 5\r\nContent-Length: 5\r\n", Err(V::LengthRepeated));
        with("Content-Length: 5\r\ncontent-length: 6\r\n", Err(V::LengthRepeated));
        with("Transfer-Encoding: Chunked\r\n", Ok(Framing::Chunked));
        for wrong in
            ["", "identity", "gzip, chunked", "chunked, chunked", "chunked;q=1", "xchunked", "\"chunked\""]
        {
            with(&format!("Transfer-Encoding: {wrong}\r\n"), Err(V::Coding));
        }
        with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(V::Coding));
        with("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", Err(V::Coding));
        with("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", Err(V::LengthAndCoding));
        with("Transfer-Encoding: x\r\nContent-Length: 4\r\n", Err(V::LengthAndCoding));
        check("POST / HTTP/1.0", "Host: a\r\nTransfer-Encoding: chunked\r\n", Err(V::CodingBeforeItsTime));
    }

    #[test]
    fn a_response_is_framed_in_one_way_or_refused() {
        use HttpViolation as V;
        let check = |method: &str, first: &str, lines: &str, expected: Result<Framing, V>| {
            let text = format!("{first}\r\n{lines}\r\n");
            let (head, _) = ResponseHead::parse(text.as_bytes(), HeadLimits::default()).unwrap().unwrap();
            assert_eq!(Framing::of_response(&head, method), expected, "{method} {text:?}");
        };
        let ok = "HTTP/1.1 200 OK";
        check("GET", ok, "", Ok(Framing::UntilClose));
        check("GET", ok, "Content-Length: 7\r\n", Ok(Framing::Length(7)));
        check("GET", ok, "Transfer-Encoding: chunked\r\n", Ok(Framing::Chunked));
        check("HEAD", ok, "Content-Length: 7\r\n", Ok(Framing::None));
        check("HEAD", ok, "Content-Length: x\r\n", Err(V::LengthMalformed));
        check("GET", "HTTP/1.1 304 Not Modified", "Content-Length: 7\r\n", Ok(Framing::None));
        check("GET", "HTTP/1.1 204 No Content", "", Ok(Framing::None));
        check(
            "GET",
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket\r\n",
            Err(V::SwitchingProtocols),
        );
        check("GET", "HTTP/1.0 200 OK", "Transfer-Encoding: chunked\r\n", Err(V::CodingBeforeItsTime));
        check("GET", ok, "Content-Length: 7\r\nContent-Length: 7\r\n", Err(V::LengthRepeated));
        check("GET", ok, "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n", Err(V::LengthAndCoding));
        check("GET", ok, "Transfer-Encoding: gzip\r\n", Err(V::Coding));
    }
}

//! Judging a server's answer (RFC 6455 §4.1, items 1 to 6 on the response) and building one.

use super::{ClientHandshake, ResponseHead, accept_value};
use crate::deflate::{self, Agreement, AnswerViolation, Extension, Offer};

/// What is wrong with a server's answer to a handshake.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ResponseViolation {
    /// The status is not 101.
    #[error("the status is {0}, not 101")]
    Status(u16),
    /// The version is below HTTP/1.1.
    #[error("the version is below HTTP/1.1")]
    HttpVersion,
    /// The Upgrade header is not websocket (item 2).
    #[error("the Upgrade header is not websocket")]
    Upgrade,
    /// The Connection header does not name Upgrade (item 3).
    #[error("the Connection header does not name Upgrade")]
    Connection,
    /// There is no Sec-WebSocket-Accept (item 4).
    #[error("there is no Sec-WebSocket-Accept")]
    AcceptMissing,
    /// There is more than one Sec-WebSocket-Accept (§11.3.3).
    #[error("there is more than one Sec-WebSocket-Accept")]
    AcceptRepeated,
    /// Sec-WebSocket-Accept does not follow from the key (item 4).
    #[error("Sec-WebSocket-Accept does not follow from the key")]
    AcceptWrong,
    /// An extension is answered that was not offered (item 5).
    #[error("an extension is answered that was not offered")]
    ExtensionNotOffered,
    /// Sec-WebSocket-Extensions does not conform to its grammar (§9.1).
    #[error("Sec-WebSocket-Extensions is malformed")]
    ExtensionsMalformed,
    /// The answer to permessage-deflate does not suit what was offered (RFC 7692 §5.1).
    #[error("{0}")]
    Deflate(AnswerViolation),
    /// A sub-protocol is answered that was not offered (item 6).
    #[error("a sub-protocol is answered that was not offered")]
    ProtocolNotOffered,
    /// There is more than one Sec-WebSocket-Protocol (§11.3.4).
    #[error("there is more than one Sec-WebSocket-Protocol")]
    ProtocolRepeated,
    /// A body is announced, which a 101 cannot have (RFC 9110 §15.2).
    #[error("the answer announces a body")]
    Body,
}

/// What a server agreed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcceptedUpgrade {
    /// The sub-protocol that it chose among those offered.
    pub protocol: Option<String>,
    /// What it agreed to of permessage-deflate, where it was offered.
    pub deflate: Option<Agreement>,
}

impl ClientHandshake {
    /// Judges a server's answer to this handshake.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of RFC 6455 §4.1. A status other than 101 stands alone.
    pub fn verify(&self, answer: &ResponseHead) -> Result<AcceptedUpgrade, Vec<ResponseViolation>> {
        use ResponseViolation as V;
        if answer.status != 101 {
            return Err(vec![V::Status(answer.status)]);
        }
        let headers = &answer.headers;
        let mut found = Vec::new();
        let mut note = |wrong: bool, violation| {
            if wrong {
                found.push(violation);
            }
        };
        note(answer.minor_version < 1, V::HttpVersion);
        let mut upgrades = headers.list("upgrade");
        let only_websocket = upgrades.next().is_some_and(|u| u.eq_ignore_ascii_case(b"websocket"));
        note(!only_websocket || upgrades.next().is_some(), V::Upgrade);
        note(!headers.list_has("connection", "upgrade"), V::Connection);
        match headers.count("sec-websocket-accept") {
            0 => note(true, V::AcceptMissing),
            1 => {
                let expected = accept_value(self.key.as_bytes());
                note(headers.first("sec-websocket-accept") != Some(expected.as_bytes()), V::AcceptWrong);
            }
            _ => note(true, V::AcceptRepeated),
        }
        let deflate = match self.verify_extensions(answer) {
            Ok(deflate) => deflate,
            Err(violation) => {
                note(true, violation);
                None
            }
        };
        note(headers.count("sec-websocket-protocol") > 1, V::ProtocolRepeated);
        let chosen = headers.first("sec-websocket-protocol");
        let protocol = chosen.and_then(|c| self.protocols.iter().find(|p| p.as_bytes() == c)).cloned();
        note(chosen.is_some() && protocol.is_none(), V::ProtocolNotOffered);
        let has_length = headers.all("content-length").any(|length| length != b"0");
        note(has_length || headers.count("transfer-encoding") > 0, V::Body);
        if found.is_empty() { Ok(AcceptedUpgrade { protocol, deflate }) } else { Err(found) }
    }

    fn verify_extensions(&self, answer: &ResponseHead) -> Result<Option<Agreement>, ResponseViolation> {
        let answered = deflate::extensions(answer.headers.all("sec-websocket-extensions"))
            .map_err(|_| ResponseViolation::ExtensionsMalformed)?;
        let offered = deflate::extensions(self.extensions.iter().map(String::as_bytes)).unwrap_or_default();
        let was_offered = |extension: &Extension| offered.iter().any(|o| o.name == extension.name);
        if !answered.iter().all(was_offered) {
            return Err(ResponseViolation::ExtensionNotOffered);
        }
        let offers: Vec<Offer> = deflate::offers(&offered);
        Agreement::verify(&offers, &answered).map_err(ResponseViolation::Deflate)
    }
}

/// Builds the answer that opens a WebSocket for the client's `key`; `protocol` must be one that it offered.
pub fn switching_protocols(key: &[u8], protocol: Option<&str>) -> Vec<u8> {
    let mut out = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n",
        accept_value(key)
    );
    if let Some(protocol) = protocol {
        out.push_str("Sec-WebSocket-Protocol: ");
        out.push_str(protocol);
        out.push_str("\r\n");
    }
    out.push_str("\r\n");
    out.into_bytes()
}

/// Builds an answer of our own that ends the connection, with a body of this content type.
///
/// `headers` are whole lines without their line break, from trusted sources only.
pub fn http_response(status: u16, headers: &[&str], content_type: &str, body: &str) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    };
    let mut out = format!("HTTP/1.1 {status} {reason}\r\n");
    for header in headers {
        out.push_str(header);
        out.push_str("\r\n");
    }
    out.push_str(&format!(
        "Connection: close\r\nContent-Type: {content_type}\r\nX-Content-Type-Options: nosniff\r\n\
         Cache-Control: no-store\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::{super::HeadLimits, *};

    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    #[test]
    fn each_departure_from_a_good_answer_is_named() {
        use ResponseViolation as V;
        let mut handshake = ClientHandshake::new("a.example", "/", "dGhlIHNhbXBsZSBub25jZQ==");
        handshake.protocols = vec!["chat".into(), "mqtt".into()];
        let judge = |text: &str| {
            let (head, _) = ResponseHead::parse(text.as_bytes(), HeadLimits::default()).unwrap().unwrap();
            handshake.verify(&head)
        };
        assert_eq!(judge(GOOD), Ok(AcceptedUpgrade::default()));
        let check = |from: &str, to: &str, expected: &[V]| {
            assert_eq!(
                judge(&GOOD.replacen(from, to, 1)).err().unwrap_or_default(),
                expected,
                "{from:?} -> {to:?}"
            );
        };
        check("101 Switching", "426 Upgrade", &[V::Status(426)]);
        check("HTTP/1.1", "HTTP/1.0", &[V::HttpVersion]);
        check("Upgrade: websocket", "Upgrade: h2c", &[V::Upgrade]);
        check("Upgrade: websocket", "Upgrade: websocket, h2c", &[V::Upgrade]);
        check("Connection: Upgrade", "Connection: close", &[V::Connection]);
        check("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", "", &[V::AcceptMissing]);
        check("s3pPL", "S3pPL", &[V::AcceptWrong]);
        check("\r\n\r\n", "\r\nSec-WebSocket-Accept: x\r\n\r\n", &[V::AcceptRepeated]);
        check("\r\n\r\n", "\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n", &[]);
        check("\r\n\r\n", "\r\nSec-WebSocket-Protocol: MQTT\r\n\r\n", &[V::ProtocolNotOffered]);
        check(
            "\r\n\r\n",
            "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
            &[V::ExtensionNotOffered],
        );
        check("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n", &[V::Body]);
        check("\r\n\r\n", "\r\nContent-Length: 2\r\n\r\n", &[V::Body]);
        check("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n", &[]);
        check(
            "\r\n\r\n",
            "\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
            &[V::ProtocolRepeated],
        );
    }

    #[test]
    fn an_answer_to_permessage_deflate_is_told_or_each_departure_named() {
        use ResponseViolation as V;
        let judge = |offered: &[&str], fields: &str| {
            let mut handshake = ClientHandshake::new("a.example", "/", "dGhlIHNhbXBsZSBub25jZQ==");
            handshake.extensions = offered.iter().map(|&offer| offer.to_owned()).collect();
            let text = GOOD.replacen("\r\n\r\n", &format!("\r\n{fields}\r\n"), 1);
            let (head, _) = ResponseHead::parse(text.as_bytes(), HeadLimits::default()).unwrap().unwrap();
            handshake.verify(&head).map(|accepted| accepted.deflate.map(|agreement| agreement.to_string()))
        };
        let check = |offered: &[&str], answer: &str, expected: Result<Option<&str>, V>| {
            let expected = expected.map(|told| told.map(str::to_owned)).map_err(|violation| vec![violation]);
            assert_eq!(judge(offered, answer), expected, "{offered:?} {answer:?}");
        };
        let bare = "permessage-deflate";
        check(&[bare], "", Ok(None));
        check(&[bare], "Sec-WebSocket-Extensions: permessage-deflate\r\n", Ok(Some(bare)));
        let limited = "permessage-deflate; server_max_window_bits=10";
        check(&[bare], &format!("Sec-WebSocket-Extensions: {limited}\r\n"), Ok(Some(limited)));
        check(&[limited, bare], &format!("Sec-WebSocket-Extensions: {bare}\r\n"), Ok(Some(bare)));
        let wrong = |violation| Err(V::Deflate(violation));
        check(
            &[limited],
            &format!("Sec-WebSocket-Extensions: {bare}\r\n"),
            wrong(AnswerViolation::ServerWindowTooLarge),
        );
        check(
            &[bare],
            &format!("Sec-WebSocket-Extensions: {bare}\r\nSec-WebSocket-Extensions: {bare}\r\n"),
            wrong(AnswerViolation::Repeated),
        );
        check(
            &[bare],
            "Sec-WebSocket-Extensions: permessage-deflate; x\r\n",
            wrong(AnswerViolation::UnknownParameter),
        );
        check(&[], "Sec-WebSocket-Extensions: permessage-deflate\r\n", Err(V::ExtensionNotOffered));
        check(&[bare], "Sec-WebSocket-Extensions: permessage-deflate, x\r\n", Err(V::ExtensionNotOffered));
        check(&[bare], "Sec-WebSocket-Extensions: permessage-deflate;\r\n", Err(V::ExtensionsMalformed));
        check(&[bare], "Sec-WebSocket-Extensions: \r\n", Err(V::ExtensionsMalformed));
    }

    #[test]
    fn the_chosen_sub_protocol_is_told() {
        let mut handshake = ClientHandshake::new("a.example", "/", "dGhlIHNhbXBsZSBub25jZQ==");
        handshake.protocols = vec!["chat".into(), "mqtt".into()];
        let answer = switching_protocols(b"dGhlIHNhbXBsZSBub25jZQ==", Some("mqtt"));
        let (head, length) = ResponseHead::parse(&answer, HeadLimits::default()).unwrap().unwrap();
        assert_eq!(length, answer.len());
        assert_eq!(handshake.verify(&head).unwrap().protocol.as_deref(), Some("mqtt"));
    }
}

//! Heads that are written anew: what the application is asked, and what the client is answered. No byte of a head is copied
//! that was not parsed and judged.

use std::fmt::Write as _;

use sockwarden_proto::{
    WsUrl,
    handshake::{Headers, RequestHead, ResponseHead},
    http::Framing,
};

use crate::upstream::{Told, passed_on};

/// What of an answer is never passed on: what belongs to one hop (RFC 9110 §7.6.1), and what we say ourselves.
const HELD_BACK: [&str; 10] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Writes the head of the request to the application. Its connection serves for this request only: an answer can never be
/// taken for that to another one. Whoever is to read the answer wants it `plain`.
pub(super) fn request(
    url: &WsUrl,
    head: &RequestHead,
    framing: Framing,
    told: &Told<'_>,
    plain: bool,
) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\n", head.method, head.target);
    let host = told.from.host.as_deref().unwrap_or_default();
    let _ = write!(text, "Host: {}\r\n", if host.is_empty() { url.authority() } else { host.to_owned() });
    let mut out = text.into_bytes();
    // What is expected of us was done by us: the application is not asked for it.
    let is_passed_on = |name: &str| {
        !(name.eq_ignore_ascii_case("expect") || plain && name.eq_ignore_ascii_case("accept-encoding"))
    };
    let own = passed_on(&head.headers, told.added).into_iter().filter(|(name, _)| is_passed_on(name));
    for (name, value) in own.chain(told.headers()) {
        field(&mut out, &name, &value);
    }
    if plain {
        field(&mut out, "Accept-Encoding", b"identity");
    }
    finish(out, framing, true)
}

/// How an answer is sent to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    /// How its body ends on the client's connection.
    pub(super) framing: Framing,
    /// Whether the client may use its connection again.
    pub(super) keep: bool,
    /// A line about `Strict-Transport-Security`, for where the application says nothing about that.
    pub(super) hsts: Option<&'static str>,
}

impl Manner {
    /// Chooses how an answer with `framing` is sent to a client of HTTP/1.`minor_version`.
    pub(super) const fn new(framing: Framing, minor_version: u8, keep: bool) -> Self {
        let (framing, keep) = match framing {
            Framing::UntilClose | Framing::Chunked if minor_version == 0 => (Framing::UntilClose, false),
            Framing::UntilClose | Framing::Chunked => (Framing::Chunked, keep),
            Framing::None | Framing::Length(_) => (framing, keep),
        };
        Self { framing, keep, hsts: None }
    }
}

/// Writes the head of the answer to the client.
pub(super) fn response(head: &ResponseHead, manner: Manner) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {} ", head.status).into_bytes();
    out.extend_from_slice(&head.reason);
    out.extend_from_slice(b"\r\n");
    for header in head.headers.0.iter().filter(|header| is_end_to_end(&head.headers, &header.name)) {
        field(&mut out, &header.name, &header.value);
    }
    if let Some(line) = manner.hsts.filter(|_| head.headers.count("strict-transport-security") == 0) {
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    // An answer without body may tell how long one would have been (RFC 9110 §8.6); it was judged.
    if let (Framing::None, Some(length)) = (manner.framing, head.headers.first("content-length"))
        && head.status != 204
    {
        field(&mut out, "Content-Length", length);
    }
    finish(out, manner.framing, !manner.keep)
}

fn is_end_to_end(headers: &Headers, name: &str) -> bool {
    !HELD_BACK.iter().any(|held| held.eq_ignore_ascii_case(name)) && !headers.list_has("connection", name)
}

fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn finish(mut out: Vec<u8>, framing: Framing, closes: bool) -> Vec<u8> {
    match framing {
        Framing::Length(length) => field(&mut out, "Content-Length", length.to_string().as_bytes()),
        Framing::Chunked => field(&mut out, "Transfer-Encoding", b"chunked"),
        Framing::None | Framing::UntilClose => {}
    }
    if closes {
        field(&mut out, "Connection", b"close");
    }
    out.extend_from_slice(b"\r\n");
    out
}

#[cfg(test)]
mod tests {
    use sockwarden_config::Hidden;
    use sockwarden_proto::{handshake::HeadLimits, http::judge_request};

    use super::*;
    use crate::{client_address::ClientAddress, upstream::AddedHeader};

    #[test]
    fn a_request_is_written_anew_and_says_what_only_we_may_say() {
        let text = "POST /a?b=c HTTP/1.0\r\nHost: app.example\r\nConnection: keep-alive, X-Hop, Upgrade\r\nX-Hop: 1\r\n\
            Upgrade: h2c\r\nKeep-Alive: 5\r\nTE: trailers\r\nExpect: 100-continue\r\nCookie: a=b\r\nX-Tenant: evil\r\n\
            X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nSockwarden-User: admin\r\nContent-Length: 05\r\n\
            Proxy-Authorization: x\r\nOrigin: https://app.example\r\nAccept-Encoding: gzip\r\n\r\n";
        let (head, _) = RequestHead::parse(text.as_bytes(), HeadLimits::default()).unwrap().unwrap();
        let framing = judge_request(&head).unwrap();
        let from =
            ClientAddress { ip: [192, 0, 2, 1].into(), tls: true, host: Some("app.example".to_owned()) };
        let added = [AddedHeader { name: "X-Tenant".to_owned(), value: Hidden::new("acme".to_owned()) }];
        let mara = sockwarden_model::Identity::of_user("mara");
        let told = Told { from: &from, identity: &mara, token: None, added: &added };
        let written = |plain| {
            let written = request(&"ws://127.0.0.1:1".parse().unwrap(), &head, framing, &told, plain);
            String::from_utf8(written).unwrap()
        };
        assert!(written(true).contains("\r\nAccept-Encoding: identity\r\n"));
        assert!(!written(true).contains("gzip"));
        assert_eq!(
            written(false),
            "POST /a?b=c HTTP/1.1\r\nHost: app.example\r\nCookie: a=b\r\nOrigin: https://app.example\r\nAccept-Encoding: gzip\r\n\
             X-Tenant: acme\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Host: app.example\r\nSockwarden-User: mara\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn an_answer_is_written_anew_for_the_client_that_gets_it() {
        let check = |lines: &str, method: &str, minor_version, keep, expected: &str| {
            let text = format!("HTTP/1.1 200 OK\r\nServer: x\r\n{lines}\r\n");
            let (head, _) = ResponseHead::parse(text.as_bytes(), HeadLimits::default()).unwrap().unwrap();
            let framing = Framing::of_response(&head, method).unwrap();
            let written = response(&head, Manner::new(framing, minor_version, keep));
            let expected = format!("HTTP/1.1 200 OK\r\nServer: x\r\n{expected}\r\n");
            assert_eq!(String::from_utf8(written).unwrap(), expected, "{lines:?}");
        };
        let chunked = "Transfer-Encoding: chunked\r\n";
        check("Content-Length: 007\r\n", "GET", 1, true, "Content-Length: 7\r\n");
        check("Content-Length: 7\r\n", "GET", 1, false, "Content-Length: 7\r\nConnection: close\r\n");
        check("Content-Length: 7\r\n", "HEAD", 1, true, "Content-Length: 7\r\n");
        check(chunked, "GET", 1, true, chunked);
        check("", "GET", 1, true, chunked);
        check(chunked, "GET", 0, true, "Connection: close\r\n");
        check("", "GET", 0, true, "Connection: close\r\n");
        check(
            "Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\nTrailer: A\r\n\
             Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 0\r\n",
            "GET",
            1,
            true,
            "Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 0\r\n",
        );
    }

    #[test]
    fn what_the_application_says_of_tls_stays() {
        let check = |lines: &str, expected: &str| {
            let text = format!("HTTP/1.1 204 No Content\r\n{lines}\r\n");
            let (head, _) = ResponseHead::parse(text.as_bytes(), HeadLimits::default()).unwrap().unwrap();
            let hsts = Some("Strict-Transport-Security: max-age=1");
            let manner = Manner { hsts, ..Manner::new(Framing::None, 1, true) };
            let written = String::from_utf8(response(&head, manner)).unwrap();
            let told: Vec<_> = written.lines().filter(|line| line.contains("max-age")).collect();
            assert_eq!(told, [format!("Strict-Transport-Security: {expected}")]);
        };
        check("", "max-age=1");
        check("Strict-Transport-Security: max-age=2\r\n", "max-age=2");
    }
}

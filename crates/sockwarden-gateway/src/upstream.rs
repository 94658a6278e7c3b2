//! The handshake with the application.

use std::time::Duration;

use sockwarden_net::{DialOptions, Stream, dial, random_array};
use sockwarden_proto::{
    WsUrl,
    handshake::{ClientHandshake, HeadLimits, Headers, ResponseHead, UpgradeRequest},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client_address::ClientAddress;

/// What of a client's request is never passed on: what belongs to one hop, what we say ourselves, and what only we may say.
const HELD_BACK: [&str; 14] = [
    "connection",
    "content-length",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-real-ip",
];
const HELD_BACK_PREFIXES: [&str; 3] = ["sec-websocket-", "sockwarden-", "x-forwarded-"];

/// An application that has agreed to the upgrade.
pub(crate) struct Upstream {
    pub(crate) stream: Stream,
    pub(crate) protocol: Option<String>,
    /// Cookies that the application sets with its answer.
    pub(crate) cookies: Vec<Vec<u8>>,
    /// What it sent right after its answer.
    pub(crate) early: Vec<u8>,
}

/// Why the application did not agree.
pub(crate) enum Refused {
    /// It answered another status.
    Status(u16),
    /// It answered wrongly or not at all; the text is for the operator.
    Broken(String),
}

/// Who asks, as the application is told.
pub(crate) struct Caller<'a> {
    pub(crate) request: &'a UpgradeRequest,
    pub(crate) from: &'a ClientAddress,
    pub(crate) user: Option<&'a str>,
}

/// Connects to the application; certificates are verified unless `options` say otherwise.
pub(crate) async fn connect(url: &WsUrl, options: &DialOptions) -> Result<Stream, sockwarden_net::DialError> {
    dial(url, options).await
}

/// Does the handshake on a connection to the application and verifies its answer.
pub(crate) async fn upgrade(
    mut stream: Stream,
    url: &WsUrl,
    caller: &Caller<'_>,
    timeout: Duration,
) -> Result<Upstream, Refused> {
    let handshake = handshake(url, caller);
    let exchange = async {
        let broken = |error: std::io::Error| {
            Refused::Broken(format!("the connection to the application broke: {error}"))
        };
        stream.write_all(&handshake.encode()).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        let mut buffer = Vec::new();
        loop {
            match ResponseHead::parse(&buffer, HeadLimits::default()) {
                Ok(Some((head, length))) => return Ok((head, buffer.split_off(length))),
                Ok(None) => {}
                Err(violation) => {
                    return Err(Refused::Broken(format!(
                        "the application's answer is malformed: {violation}"
                    )));
                }
            }
            if stream.read_buf(&mut buffer).await.map_err(broken)? == 0 {
                return Err(Refused::Broken(
                    "the application ended the connection without an answer".to_owned(),
                ));
            }
        }
    };
    let (head, early) = tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| {
        Err(Refused::Broken(format!("the application did not answer within {timeout:?}")))
    })?;
    if head.status != 101 {
        return Err(Refused::Status(head.status));
    }
    let accepted = handshake.verify(&head).map_err(|violations| {
        let list: Vec<String> = violations.iter().map(ToString::to_string).collect();
        Refused::Broken(format!("the application's answer is wrong: {}", list.join("; ")))
    })?;
    let cookies = head.headers.all("set-cookie").map(<[u8]>::to_vec).collect();
    Ok(Upstream { stream, protocol: accepted.protocol, cookies, early })
}

/// Builds our own handshake from the client's: its sub-protocols and end-to-end headers, no extensions.
fn handshake(url: &WsUrl, caller: &Caller<'_>) -> ClientHandshake {
    let head = &caller.request.head;
    let host = caller.from.host.as_deref().unwrap_or_default();
    let key = ClientHandshake::key_from_random(random_array());
    let mut handshake = ClientHandshake::new(host, &target(url, &head.target), &key);
    handshake.protocols = caller.request.protocols();
    handshake.headers = passed_on(&head.headers);
    let mut add =
        |name: &str, value: &str| handshake.headers.push((name.to_owned(), value.as_bytes().to_vec()));
    add("X-Forwarded-For", &caller.from.ip.to_string());
    add("X-Forwarded-Proto", if caller.from.tls { "https" } else { "http" });
    add("X-Forwarded-Host", host);
    if let Some(user) = caller.user.filter(|user| user.bytes().all(|b| matches!(b, 0x20..=0x7e))) {
        add("Sockwarden-User", user);
    }
    handshake
}

fn passed_on(headers: &Headers) -> Vec<(String, Vec<u8>)> {
    // A client may name further headers of its hop in Connection (RFC 9110 §7.6.1).
    headers
        .0
        .iter()
        .filter(|header| {
            let name = header.name.to_ascii_lowercase();
            !HELD_BACK.contains(&name.as_str())
                && !HELD_BACK_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
                && !headers.list_has("connection", &name)
        })
        .map(|header| (header.name.clone(), header.value.clone()))
        .collect()
}

/// Gives the target to ask for: the client's own, or the upstream's path with the client's query.
fn target(url: &WsUrl, asked: &str) -> String {
    if url.target == "/" {
        return asked.to_owned();
    }
    match asked.split_once('?') {
        Some((_, query)) if url.target.contains('?') => format!("{}&{query}", url.target),
        Some((_, query)) => format!("{}?{query}", url.target),
        None => url.target.clone(),
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_proto::handshake::RequestHead;

    use super::*;

    #[test]
    fn the_query_of_the_client_follows_the_upstreams_path() {
        let check = |url: &str, asked: &str, expected: &str| {
            assert_eq!(target(&url.parse().unwrap(), asked), expected);
        };
        check("ws://h", "/a?b", "/a?b");
        check("ws://h/ws", "/a", "/ws");
        check("ws://h/ws", "/a?b", "/ws?b");
        check("ws://h/ws?x=1", "/a?b", "/ws?x=1&b");
    }

    #[test]
    fn a_client_cannot_speak_for_the_gateway() {
        let text = "GET /chat HTTP/1.1\r\nHost: app.example\r\nUpgrade: websocket\r\nConnection: Upgrade, X-Hop\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\
            Cookie: a=b\r\nOrigin: https://app.example\r\nX-Hop: 1\r\nX-Real-IP: 6.6.6.6\r\n\
            X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nSockwarden-User: admin\r\n\r\n";
        let (head, _) = RequestHead::parse(text.as_bytes(), HeadLimits::default()).unwrap().unwrap();
        let request = UpgradeRequest::judge(head, 0);
        let from =
            ClientAddress { ip: [192, 0, 2, 1].into(), tls: true, host: Some("app.example".to_owned()) };
        let caller = Caller { request: &request, from: &from, user: Some("mara") };
        let ours = handshake(&"ws://127.0.0.1:1".parse().unwrap(), &caller);
        let sent: Vec<String> =
            ours.headers.iter().map(|(n, v)| format!("{n}: {}", String::from_utf8_lossy(v))).collect();
        assert_eq!(
            sent,
            [
                "Cookie: a=b",
                "Origin: https://app.example",
                "X-Forwarded-For: 192.0.2.1",
                "X-Forwarded-Proto: https",
                "X-Forwarded-Host: app.example",
                "Sockwarden-User: mara",
            ]
        );
        assert_eq!(
            (ours.host.as_str(), ours.protocols.as_slice()),
            ("app.example", &["chat".to_owned()][..])
        );
        assert!(ours.extensions.is_empty() && ours.key != "dGhlIHNhbXBsZSBub25jZQ==");
    }
}

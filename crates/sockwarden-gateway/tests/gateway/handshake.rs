//! Nothing but a right upgrade, rightly answered, opens a tunnel.

use std::time::Duration;

use sockwarden_config::HumanDuration;
use sockwarden_gateway::LimitsConfig;
use sockwarden_net::ClientError;
use sockwarden_proto::handshake::accept_value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::stage::{App, GOOD, Seen, Stage, read_out, route_to, soon, status};

#[tokio::test]
async fn a_malformed_handshake_is_refused_and_the_connection_closed() {
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let app = App::start().await;
    let stage = Stage::plain(route_to(app.address)).await;
    let with = |extra: &str| format!("{GOOD}{extra}\r\n");
    let instead = |from: &str, to: &str| format!("{}\r\n", GOOD.replacen(from, to, 1));
    let table: [(&str, String, u16); 24] = [
        ("another version", instead("Version: 13", "Version: 1337"), 426),
        ("no version", instead("Sec-WebSocket-Version: 13\r\n", ""), 426),
        ("no key", instead(KEY, ""), 400),
        ("short key", instead("dGhlIHNhbXBsZSBub25jZQ==", "abc"), 400),
        ("two keys", with(KEY), 400),
        ("post", instead("GET", "POST"), 405),
        ("http/1.0", instead("HTTP/1.1", "HTTP/1.0"), 400),
        ("a body", format!("{GOOD}Content-Length: 5\r\n\r\nhello"), 400),
        ("chunked", format!("{GOOD}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400),
        (
            "length and chunked",
            format!("{GOOD}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            400,
        ),
        ("folded field", with("X:\r\n chunked\r\n"), 400),
        ("blank before colon", with("Content-Length : 0\r\n"), 400),
        ("bare line feeds", with("").replace("\r\n", "\n"), 400),
        ("bare carriage return", with("X: a\rb\r\n"), 400),
        ("NUL", with("X: a\0b\r\n"), 400),
        ("two hosts", with("Host: evil\r\n"), 400),
        ("no host", instead("Host: app.example\r\n", ""), 400),
        ("absolute target", instead("GET /", "GET http://evil/"), 400),
        ("two lengths", with("Content-Length: 0\r\nContent-Length: 5\r\n"), 400),
        ("h2c besides", instead("websocket", "websocket, h2c"), 400),
        ("connection without upgrade", instead("Connection: Upgrade", "Connection: keep-alive"), 400),
        ("a frame before the answer", format!("{GOOD}\r\n\u{1}"), 400),
        ("a head without end", format!("{GOOD}X: {}", "x".repeat(9000)), 431),
        ("plain http", "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 426),
    ];
    for (what, bytes, expected) in table {
        let mut tcp = TcpStream::connect(stage.address).await.unwrap();
        tcp.write_all(bytes.as_bytes()).await.unwrap();
        let answer = read_out(&mut tcp).await;
        let text = String::from_utf8_lossy(&answer);
        assert_eq!(status(&answer), expected, "{what}: {text}");
        assert!(text.contains("Connection: close"), "{what}: {text}");
        // A request that is smuggled behind a refused one is never answered.
        let _ = tcp.write_all(b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(read_out(&mut tcp).await, b"", "{what}: a second request was answered");
    }
    assert_eq!(app.seen(), [], "something reached the application");
}

#[tokio::test]
async fn what_can_be_upgraded_all_the_same_is_let_in_where_strictness_is_off() {
    let app = App::start().await;
    let mut route = route_to(app.address);
    route.strict_handshake.mode = sockwarden_model::Mode::Off;
    let stage = Stage::plain(route).await;
    let check = |bytes: String, expected: u16| {
        let stage = &stage;
        async move { assert_eq!(status(&stage.raw(bytes.as_bytes()).await), expected, "{bytes}") }
    };
    check(format!("{}\r\n", GOOD.replacen("dGhlIHNhbXBsZSBub25jZQ==", "abc", 1)), 101).await;
    check(format!("{GOOD}Host: evil\r\n\r\n"), 400).await;
    check(format!("{GOOD}Content-Length: 5\r\n\r\nhello"), 400).await;
}

/// An application that answers `answer` to every request and records what follows.
async fn scripted(answer: String) -> (std::net::SocketAddr, tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                if tcp.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            let key =
                text.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap_or_default();
            let _ = tcp.write_all(answer.replace("{accept}", &accept_value(key.as_bytes())).as_bytes()).await;
            let _ = sender.send(read_out(&mut tcp).await);
        }
    });
    (address, receiver)
}

#[tokio::test]
async fn only_a_right_answer_of_the_application_opens_a_tunnel() {
    const RIGHT: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n";
    let table = [
        (format!("{RIGHT}\r\n"), 101),
        (format!("{}\r\n", RIGHT.replace("{accept}", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")), 502),
        (format!("{}\r\n", RIGHT.replace("Upgrade: websocket\r\n", "")), 502),
        (format!("{RIGHT}Sec-WebSocket-Protocol: surprise\r\n\r\n"), 502),
        (format!("{RIGHT}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"), 502),
        (format!("{}\r\n", RIGHT.replace("101 Switching Protocols", "200 OK")), 502),
        ("HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\n\r\n".to_owned(), 502),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_owned(), 403),
        ("HTTP/1.1 503 Busy\r\n\r\n".to_owned(), 503),
        ("nonsense\r\n\r\n".to_owned(), 502),
    ];
    for (answer, expected) in table {
        let (application, mut followed) = scripted(answer.clone()).await;
        let stage = Stage::plain(route_to(application)).await;
        let mut tcp = TcpStream::connect(stage.address).await.unwrap();
        tcp.write_all(format!("{GOOD}\r\n").as_bytes()).await.unwrap();
        assert_eq!(status(&read_out(&mut tcp).await), expected, "{answer}");
        let _ = tcp.write_all(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n").await;
        drop(tcp);
        let followed = soon(followed.recv()).await.unwrap();
        assert!(!followed.windows(8).any(|w| w == b"smuggled"), "{answer}");
    }
}

#[tokio::test]
async fn a_silent_client_and_a_silent_application_are_not_waited_for_forever() {
    let limits = LimitsConfig {
        handshake_timeout: HumanDuration::from_millis(200),
        upstream_timeout: HumanDuration::from_millis(200),
        ..LimitsConfig::default()
    };
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stage = Stage::start(route_to(silent.local_addr().unwrap()), false, limits).await;
    let mut slow = TcpStream::connect(stage.address).await.unwrap();
    slow.write_all(b"GET / HT").await.unwrap();
    assert_eq!(soon(slow.read(&mut [0; 100])).await.unwrap_or(0), 0);
    let answer = soon(stage.raw(format!("{GOOD}\r\n").as_bytes())).await;
    assert_eq!(status(&answer), 504);
}

#[tokio::test]
async fn an_application_that_is_down_is_a_bad_gateway_with_an_event() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let stage = Stage::plain(route_to(free)).await;
    let Err(ClientError::Refused { status, body }) = stage.connect("/", |_| ()).await else { panic!() };
    let verdict = stage.verdict().await;
    assert_eq!((status, verdict.rule.as_str()), (502, "gateway"));
    assert!(String::from_utf8(body).unwrap().contains(&verdict.id.to_string()));
}

#[tokio::test]
async fn sub_protocol_cookies_and_headers_pass_and_the_gateways_own_do_not() {
    let app = App::start().await;
    let stage = Stage::plain(route_to(app.address)).await;
    let request = format!(
        "{GOOD}Sec-WebSocket-Protocol: one, two\r\nSec-WebSocket-Extensions: x, permessage-deflate\r\n\
         Cookie: session=1\r\nX-Forwarded-For: 6.6.6.6\r\nSockwarden-User: admin\r\n\r\n"
    );
    let answer = String::from_utf8_lossy(&stage.raw(request.as_bytes()).await).into_owned();
    assert!(answer.contains("Sec-WebSocket-Protocol: two\r\n"), "{answer}");
    assert!(answer.contains("Set-Cookie: app=1\r\n") && !answer.contains("permessage-deflate"));
    let headers = app
        .wait_for(|seen| match seen {
            Seen::Headers(headers) => Some(headers.clone()),
            Seen::Text(_) | Seen::Binary(_) | Seen::Close(_) | Seen::Vanished => None,
        })
        .await;
    let value = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(value("cookie"), Some("session=1"));
    assert_eq!(value("host"), Some("app.example"));
    assert_eq!(value("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(value("sec-websocket-extensions"), Some("permessage-deflate"));
    assert_eq!(value("sockwarden-user"), None);
    assert_ne!(value("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
}

#[tokio::test]
async fn more_connections_than_allowed_are_dropped_and_room_is_made_again() {
    let app = App::start().await;
    let limits = LimitsConfig { connections: 2, ..LimitsConfig::default() };
    let stage = Stage::start(route_to(app.address), false, limits).await;
    let first = stage.greeted().await;
    let _second = stage.greeted().await;
    assert!(stage.connect("/", |_| ()).await.is_err());
    drop(first);
    soon(async {
        while stage.connect("/", |_| ()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

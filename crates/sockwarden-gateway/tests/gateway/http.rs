//! Ordinary HTTP through a route that passes it on: what an application gets is what was judged, written anew.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use sockwarden_config::{ByteSize, HumanDuration};
use sockwarden_gateway::{
    Auth, DrainConfig, HttpKind, HttpLimitsConfig, LimitsConfig, ListenerConfig, RouteConfig,
};
use sockwarden_model::{Event, Mode, RequestEvent, StatusClass};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::stage::{App, GOOD, Stage, read_out, route_to, soon, status};

/// An application that answers every connection with the same bytes, once `enough` of the request has come.
pub(crate) struct Script {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Script {
    /// Answers `answer` after the request's head, or after its body where that has a length or chunks.
    pub(crate) async fn start(answer: &'static [u8]) -> Self {
        Self::slowly(answer, Duration::ZERO).await
    }

    async fn slowly(answer: &'static [u8], delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((mut tcp, _)) = listener.accept().await {
                let record = Arc::clone(&record);
                tokio::spawn(async move {
                    let place = {
                        let mut seen = record.lock().unwrap();
                        seen.push(String::new());
                        seen.len() - 1
                    };
                    let mut bytes = Vec::new();
                    while !is_whole(&bytes) {
                        if !matches!(tcp.read_buf(&mut bytes).await, Ok(n) if n > 0) {
                            break;
                        }
                        record.lock().unwrap()[place] = String::from_utf8_lossy(&bytes).into_owned();
                    }
                    tokio::time::sleep(delay).await;
                    let _ = tcp.write_all(answer).await;
                });
            }
        });
        Self { address, seen }
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// Tells whether a request as the gateway writes them is there to its end.
pub(crate) fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
    match length {
        Some(length) => body.len() >= length,
        None if head.contains("Transfer-Encoding: chunked") => body.ends_with("0\r\n\r\n"),
        None => true,
    }
}

pub(crate) const PAGE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\npage";

pub(crate) fn passing(app: SocketAddr) -> RouteConfig {
    RouteConfig { http: HttpKind::Pass, ..route_to(app) }
}

/// A route on which the defences that read bodies are in this mode.
pub(crate) fn reading(mode: Mode, mut route: RouteConfig) -> RouteConfig {
    (route.message_format.mode, route.graphql_limits.mode, route.cdp_refused.mode) = (mode, mode, mode);
    (route.injection.mode, route.active_content.mode) = (mode, mode);
    route
}

fn limited(app: SocketAddr, limits: HttpLimitsConfig) -> RouteConfig {
    RouteConfig { http_limits: limits, ..passing(app) }
}

pub(crate) fn requests(events: Vec<Event>) -> Vec<RequestEvent> {
    let request = |event| if let Event::Request(request) = event { Some(request) } else { None };
    events.into_iter().filter_map(request).collect()
}

/// Sends one request as the last one of its connection, and gives the answer to its end.
pub(crate) async fn ask(stage: &Stage, request: &[u8]) -> Vec<u8> {
    let end = request.windows(2).position(|bytes| bytes == b"\r\n").unwrap() + 2;
    let request = [&request[..end], b"Connection: close\r\n", &request[end..]].concat();
    let mut tcp = TcpStream::connect(stage.address).await.unwrap();
    tcp.write_all(&request).await.unwrap();
    let mut told = Vec::new();
    // What was sent for nothing may break the connection behind the answer.
    let _ = soon(tcp.read_to_end(&mut told)).await;
    told
}

/// Reads one answer with a length.
async fn answer(tcp: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    soon(async {
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length =
                    head.lines().find_map(|l| l.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
                if length.is_none_or(|length| body.len() >= length) {
                    return text;
                }
            }
            let mut byte = [0];
            assert_eq!(tcp.read(&mut byte).await.unwrap(), 1, "it ended after {text:?}");
            bytes.extend_from_slice(&byte);
        }
    })
    .await
}

#[tokio::test]
async fn requests_follow_each_other_on_one_connection_and_an_upgrade_follows_them() {
    let (script, app) = (Script::start(PAGE).await, App::start().await);
    let sockets =
        RouteConfig { path: "/socket".to_owned(), name: "sockets".to_owned(), ..route_to(app.address) };
    let listener = ListenerConfig::new("127.0.0.1:0");
    let stage = Stage::routing(listener, &[passing(script.address), sockets], LimitsConfig::default()).await;
    let mut tcp = TcpStream::connect(stage.address).await.unwrap();
    for turn in 0..3 {
        tcp.write_all(format!("GET /{turn}?secret HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
        let text = answer(&mut tcp).await;
        assert!(text.ends_with("\r\n\r\npage") && !text.contains("Connection: close"), "{text}");
    }
    // Pipelined: both are answered, in order.
    tcp.write_all(
        b"GET /3 HTTP/1.1\r\nHost: a\r\n\r\nPOST /4 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
    )
    .await
    .unwrap();
    answer(&mut tcp).await;
    answer(&mut tcp).await;
    tcp.write_all(format!("{}\r\n", GOOD.replace("GET /", "GET /socket")).as_bytes()).await.unwrap();
    let text = answer(&mut tcp).await;
    assert!(text.starts_with("HTTP/1.1 101 "), "{text}");
    let seen = script.seen();
    assert_eq!(seen.len(), 5, "a connection each: {seen:?}");
    assert!(
        seen[4].starts_with("POST /4 HTTP/1.1\r\nHost: a\r\n") && seen[4].ends_with("\r\n\r\nhi"),
        "{seen:?}"
    );
    assert!(seen.iter().all(|request| request.contains("\r\nConnection: close\r\n")), "{seen:?}");
    assert!(seen[0].contains("\r\nX-Forwarded-For: 127.0.0.1\r\n"), "{seen:?}");
    let counters = stage.control().counters();
    assert_eq!(counters.routes[0].requests, [(StatusClass::Success, 5)]);
    let records = requests(stage.stop().await);
    let told: Vec<_> =
        records.iter().map(|r| (r.method.as_str(), r.path.as_str(), r.status, r.complete)).collect();
    assert_eq!(
        told,
        [
            ("GET", "/0", 200, true),
            ("GET", "/1", 200, true),
            ("GET", "/2", 200, true),
            ("GET", "/3", 200, true),
            ("POST", "/4", 200, true)
        ]
    );
    assert_eq!((records[4].bytes_from_client, records[4].bytes_from_server), (2, 4));
}

#[tokio::test]
async fn a_route_that_says_nothing_passes_nothing_on() {
    let script = Script::start(PAGE).await;
    let stage = Stage::plain(route_to(script.address)).await;
    let told = stage.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(status(&told), 426);
    assert!(script.seen().is_empty());
}

#[tokio::test]
async fn what_two_readers_could_read_differently_reaches_nobody() {
    let script = Script::start(PAGE).await;
    let stage = Stage::plain(passing(script.address)).await;
    let post = |lines: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}");
    let chunked = |body: &str| post("Transfer-Encoding: chunked\r\n", body);
    let table = [
        ("length and coding", post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400),
        ("two lengths", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), 400),
        ("a list of lengths", post("Content-Length: 5, 5\r\n", "hello"), 400),
        ("a signed length", post("Content-Length: +5\r\n", "hello"), 400),
        ("no length at all", post("Content-Length: \r\n", "hello"), 400),
        ("another coding", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 400),
        ("xchunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 400),
        ("two codings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n"), 400),
        ("a vertical tab", post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), 400),
        ("a folded coding", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), 400),
        ("a blank before the colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400),
        ("bare line feeds", chunked("0\r\n\r\n").replace("\r\n", "\n"), 400),
        ("a bare carriage return", post("X: a\rContent-Length: 3\r\n", ""), 400),
        ("NUL", post("X: a\0\r\n", ""), 400),
        ("coding in HTTP/1.0", chunked("0\r\n\r\n").replace("HTTP/1.1", "HTTP/1.0"), 400),
        ("a chunk's extension", chunked("5;a=b\r\nhello\r\n0\r\n\r\n"), 400),
        ("a blank after a size", chunked("5 \r\nhello\r\n0\r\n\r\n"), 400),
        ("a size in 0x", chunked("0x5\r\nhello\r\n0\r\n\r\n"), 400),
        ("a size too large", chunked("fffffffffffffffff\r\nhello\r\n0\r\n\r\n"), 400),
        ("a line feed after a size", chunked("5\nhello\r\n0\r\n\r\n"), 400),
        ("a chunk too long", chunked("5\r\nhello!\r\n0\r\n\r\n"), 400),
        ("a malformed trailer", chunked("0\r\nA : b\r\n\r\n"), 400),
        ("two Hosts", post("Host: b\r\n", ""), 400),
        ("no Host", "GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("an absolute target", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("another expectation", post("Expect: x\r\n", ""), 417),
        ("CONNECT", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 405),
        ("TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 405),
        ("our own path", "GET /.well-known/sockwarden/ticket HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 404),
        (
            "our own path, encoded",
            "GET /%2Ewell-known/sockwarden HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            404,
        ),
    ];
    let behind = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for (what, bytes, expected) in &table {
        let told = stage.raw(format!("{bytes}{behind}").as_bytes()).await;
        let text = String::from_utf8_lossy(&told);
        assert_eq!(status(&told), *expected, "{what}: {text}");
        assert!(
            text.contains("Connection: close") && text.matches("HTTP/1.1 ").count() == 1,
            "{what}: {text}"
        );
    }
    assert_eq!(script.seen(), [""; 0], "nothing of that reached the application");
    let verdicts = stage.stop().await.iter().filter(|event| matches!(event, Event::Verdict(_))).count();
    assert_eq!(verdicts, table.len(), "each is told of");
}

#[tokio::test]
async fn a_body_that_turns_out_malformed_later_is_cut_off_or_never_begun() {
    for is_read in [false, true] {
        let script = Script::start(PAGE).await;
        let route = passing(script.address);
        let stage = Stage::plain(reading(if is_read { Mode::Block } else { Mode::Off }, route)).await;
        let mut tcp = TcpStream::connect(stage.address).await.unwrap();
        tcp.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        tcp.write_all(b"5;x\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let told = read_out(&mut tcp).await;
        assert_eq!(status(&told), 400, "{}", String::from_utf8_lossy(&told));
        let seen = script.seen();
        if is_read {
            assert_eq!(seen, [""; 0], "nothing of it went on");
        } else {
            assert!(
                seen.len() == 1 && seen[0].ends_with("\r\n\r\n5\r\nhello\r\n"),
                "the end never comes: {seen:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_chunked_body_arrives_whole_and_an_expectation_is_met() {
    for is_read in [false, true] {
        let script = Script::start(PAGE).await;
        let route = passing(script.address);
        let stage = Stage::plain(reading(if is_read { Mode::Block } else { Mode::Off }, route)).await;
        let mut tcp = TcpStream::connect(stage.address).await.unwrap();
        tcp.write_all(
            b"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
        )
        .await
        .unwrap();
        assert_eq!(answer(&mut tcp).await, "HTTP/1.1 100 Continue\r\n\r\n");
        tcp.write_all(b"3\r\nabc\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        tcp.write_all(b"4\r\ndefg\r\n0\r\nX: trailer\r\n\r\n").await.unwrap();
        let text = answer(&mut tcp).await;
        assert!(text.ends_with("page") && !text.contains("Connection: close"), "{text}");
        let seen = script.seen();
        let chunks = if is_read { "7\r\nabcdefg" } else { "3\r\nabc\r\n4\r\ndefg" };
        assert!(seen[0].ends_with(&format!("\r\n\r\n{chunks}\r\n0\r\n\r\n")), "{seen:?}");
        assert!(!seen[0].contains("Expect"), "{seen:?}");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_framed_is_replaced() {
    let table: [(&str, &[u8]); 10] = [
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\npage"),
        (
            "length and coding",
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("another coding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\npage"),
        (
            "a chunk's extension",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;a\r\npage\r\n0\r\n\r\n",
        ),
        ("a folded field", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 4\r\n\r\npage"),
        ("bare line feeds", b"HTTP/1.1 200 OK\nContent-Length: 4\n\npage"),
        (
            "101",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\0",
        ),
        ("no HTTP", b"ICY 200 OK\r\n\r\n"),
        ("nothing", b""),
        ("half a head", b"HTTP/1.1 200 OK\r\nContent-Le"),
    ];
    for (what, bytes) in table {
        let script = Script::start(bytes).await;
        let stage = Stage::plain(passing(script.address)).await;
        let told = stage.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let text = String::from_utf8_lossy(&told);
        assert_eq!(status(&told), 502, "{what}: {text}");
        assert!(
            text.contains("Connection: close") && text.matches("HTTP/1.1 ").count() == 1,
            "{what}: {text}"
        );
        assert_eq!(script.seen().len(), 1, "{what}: it is asked once");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_looks_broken_to_the_client() {
    let table: [(&str, &[u8], bool); 4] = [
        ("a length", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npage", false),
        ("chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\npage", false),
        ("a chunk too many", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npage\r\n", false),
        ("until it ends", b"HTTP/1.1 200 OK\r\n\r\npage", true),
    ];
    for (what, bytes, complete) in table {
        let script = Script::start(bytes).await;
        let stage = Stage::plain(passing(script.address)).await;
        let text = String::from_utf8(stage.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await).unwrap();
        assert!(text.contains("page"), "{what}: {text}");
        let chunks = text.contains("Transfer-Encoding: chunked");
        assert_eq!(text.ends_with("0\r\n\r\n"), chunks && complete, "{what}: {text}");
        assert_eq!(requests(stage.stop().await)[0].complete, complete, "{what}");
    }
}

#[tokio::test]
async fn limits_are_kept() {
    let limits = HttpLimitsConfig {
        body: ByteSize::kib(1),
        body_timeout: HumanDuration::from_millis(150),
        response_timeout: HumanDuration::from_millis(300),
        idle_timeout: HumanDuration::from_millis(300),
        keep_alive: HumanDuration::from_millis(150),
        ..HttpLimitsConfig::default()
    };
    let script = Script::start(PAGE).await;
    let stage = Stage::plain(limited(script.address, limits.clone())).await;
    let post = |lines: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}");
    let announced = stage.raw(post("Content-Length: 1025\r\nExpect: 100-continue\r\n", "").as_bytes()).await;
    assert_eq!(status(&announced), 413);
    let chunk = format!("400\r\n{}\r\n1\r\nx\r\n0\r\n\r\n", "x".repeat(1024));
    assert_eq!(status(&stage.raw(post("Transfer-Encoding: chunked\r\n", &chunk).as_bytes()).await), 413);
    let exact = format!("400\r\n{}\r\n0\r\n\r\n", "x".repeat(1024));
    assert_eq!(status(&stage.raw(post("Transfer-Encoding: chunked\r\n", &exact).as_bytes()).await), 200);
    assert_eq!(status(&stage.raw(post("Content-Length: 5\r\n", "hell").as_bytes()).await), 408);
    // A connection that is kept ends when nothing more is asked.
    let mut tcp = TcpStream::connect(stage.address).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    answer(&mut tcp).await;
    assert_eq!(soon(tcp.read(&mut [0])).await.unwrap(), 0);
    let late = Script::slowly(PAGE, Duration::from_secs(5)).await;
    let stage = Stage::plain(limited(late.address, limits.clone())).await;
    assert_eq!(status(&stage.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await), 504);
    let large =
        Script::start(b"HTTP/1.1 200 OK\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n").await;
    let limits = HttpLimitsConfig { response_head: ByteSize::bytes(40), ..limits };
    let stage = Stage::plain(limited(large.address, limits)).await;
    assert_eq!(status(&stage.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await), 502);
}

#[tokio::test]
async fn pages_of_other_origins_may_read_but_not_send() {
    let script = Script::start(PAGE).await;
    let stage = Stage::plain(passing(script.address)).await;
    let check = async |method: &str, origin: &str, expected: u16| {
        let request =
            format!("{method} / HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(status(&stage.raw(request.as_bytes()).await), expected, "{method} from {origin}");
    };
    check("POST", "http://a", 200).await;
    check("POST", "http://evil", 403).await;
    check("DELETE", "null", 403).await;
    check("GET", "http://evil", 200).await;
    assert_eq!(stage.verdict().await.rule, "origin-policy");
}

#[tokio::test]
async fn cleartext_is_sent_to_tls_where_there_is_tls() {
    let script = Script::start(PAGE).await;
    let stage = Stage::tls(passing(script.address)).await;
    let told = stage.raw(b"GET /a?b HTTP/1.1\r\nHost: app.example\r\n\r\n").await;
    let text = String::from_utf8(told).unwrap();
    assert!(
        text.starts_with("HTTP/1.1 308 ") && text.contains("\r\nLocation: https://app.example/a?b\r\n"),
        "{text}"
    );
    let told = stage.raw(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").await;
    assert_eq!(status(&told), 403);
    assert!(script.seen().is_empty());
}

#[tokio::test]
async fn every_request_is_asked_about_where_the_route_says_so() {
    let script = Script::start(PAGE).await;
    let asked = Script::start(b"HTTP/1.1 200 OK\r\nX-User: mara\r\nContent-Length: 0\r\n\r\n").await;
    let denied = Script::start(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n").await;
    for (whom, expected) in [(&asked, 200), (&denied, 401)] {
        let mut forward = sockwarden_gateway::ForwardAuthConfig::new(&format!("http://{}/who", whom.address));
        forward.user_header = Some("X-User".to_owned());
        let route = RouteConfig {
            auth: Auth::by(sockwarden_defend::Way::Forward),
            forward_auth: Some(forward),
            ..passing(script.address)
        };
        let stage = Stage::plain(route).await;
        let mut tcp = TcpStream::connect(stage.address).await.unwrap();
        tcp.write_all(b"GET /1 HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(status(&read_out(&mut tcp).await), expected);
    }
    assert_eq!((asked.seen().len(), denied.seen().len()), (2, 1), "a refused client asks no more");
    assert!(asked.seen()[0].contains("cookie: a=b"), "{:?}", asked.seen());
    let seen = script.seen();
    assert!(seen.len() == 2 && seen.iter().all(|s| s.contains("\r\nSockwarden-User: mara\r\n")), "{seen:?}");
}

#[tokio::test]
async fn a_trusted_proxy_brings_many_clients_on_one_connection() {
    let script = Script::start(PAGE).await;
    let mut listener = ListenerConfig::new("127.0.0.1:0");
    listener.proxies.trusted = vec!["127.0.0.0/8".parse().unwrap()];
    let stage = Stage::listening(listener, passing(script.address), LimitsConfig::default()).await;
    let mut tcp = TcpStream::connect(stage.address).await.unwrap();
    for client in ["192.0.2.1", "192.0.2.2"] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n");
        tcp.write_all(request.as_bytes()).await.unwrap();
        answer(&mut tcp).await;
    }
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    answer(&mut tcp).await;
    let seen = script.seen();
    for (request, client) in seen.iter().zip(["192.0.2.1", "192.0.2.2", "127.0.0.1"]) {
        assert!(request.contains(&format!("\r\nX-Forwarded-For: {client}\r\n")), "{request}");
    }
    let clients: Vec<_> = requests(stage.stop().await).into_iter().map(|r| r.client).collect();
    assert_eq!(clients[..2], ["192.0.2.1:0", "192.0.2.2:0"]);
}

#[tokio::test]
async fn a_drain_waits_for_requests_and_keeps_no_connection() {
    let script = Script::slowly(PAGE, Duration::from_millis(600)).await;
    let stage = Stage::plain(passing(script.address)).await;
    let mut tcp = TcpStream::connect(stage.address).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    while script.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let draining = tokio::spawn(stage.drain(DrainConfig::default()));
    let text = answer(&mut tcp).await;
    assert!(text.ends_with("page") && text.contains("Connection: close"), "{text}");
    assert_eq!(soon(tcp.read(&mut [0])).await.unwrap(), 0);
    soon(draining).await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_is_answered_no_more() {
    let script = Script::slowly(PAGE, Duration::from_secs(60)).await;
    let stage = Stage::plain(passing(script.address)).await;
    let mut tcp = TcpStream::connect(stage.address).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    while script.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(tcp);
    // Well before the application would have answered, nobody waits any more: the stop is quick.
    let begun = std::time::Instant::now();
    tokio::time::sleep(Duration::from_millis(100)).await;
    stage.drain(DrainConfig::default()).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_slow_client_is_not_run_over_and_gets_every_byte() {
    const LENGTH: usize = 8 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let written = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&written);
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !is_whole(&head) {
            tcp.read_buf(&mut head).await.unwrap();
        }
        tcp.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let piece: Vec<u8> = (0..=255).cycle().take(1 << 16).collect();
        for _ in 0..LENGTH >> 16 {
            tcp.write_all(&piece).await.unwrap();
            count.fetch_add(piece.len(), std::sync::atomic::Ordering::Relaxed);
        }
    });
    let stage = Stage::plain(passing(address)).await;
    let mut tcp = TcpStream::connect(stage.address).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let held = written.load(std::sync::atomic::Ordering::Relaxed);
    assert!(held < LENGTH, "the gateway holds all of it for a client that reads nothing");
    let mut bytes = Vec::new();
    soon(tcp.read_to_end(&mut bytes)).await.unwrap();
    let at = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(bytes.len() - at, LENGTH);
    assert!(bytes[at..].iter().zip((0..=255u8).cycle()).all(|(byte, expected)| *byte == expected));
}

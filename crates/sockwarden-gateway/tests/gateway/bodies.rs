//! Bodies of ordinary requests and answers are judged before they go on: what no WebSocket would let through finds no other way.

use std::net::SocketAddr;

use sockwarden_config::ByteSize;
use sockwarden_defend::defences::OperationConfig;
use sockwarden_gateway::{FailKind, RouteConfig};
use sockwarden_model::{Decision, Direction, Event, Mode, Uninspected};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    http::{PAGE, Script, ask, passing, reading, requests},
    stage::{Stage, soon, status},
};

const BOUND: u64 = 2000;

fn bounded(app: SocketAddr, mode: Mode, fail: FailKind) -> RouteConfig {
    let mut route = reading(mode, passing(app));
    route.inspect.depth = 8;
    (route.http_limits.inspected_body, route.http_limits.fail) = (ByteSize::bytes(BOUND), fail);
    route
}

fn post(lines: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{lines}\r\n");
    [head.as_bytes(), body].concat()
}

fn of_type(kind: &str, body: &[u8]) -> Vec<u8> {
    post(&format!("Content-Type: {kind}\r\n"), body)
}

#[tokio::test]
async fn a_request_whose_body_cannot_be_judged_reaches_nobody() {
    let (json, form) = ("application/json", "application/x-www-form-urlencoded");
    let deep = b"[[[[[[[[[1]]]]]]]]]".as_slice();
    let twice = br#"{"role":"user","role":"admin"}"#.as_slice();
    let long = vec![b'x'; BOUND as usize + 1];
    let chunked = [
        b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7d1\r\n".as_slice(),
        &long,
        b"\r\n0\r\n\r\n",
    ]
    .concat();
    let query = br#"GET /a?x=%7B%22a%22:1,%22a%22:2%7D HTTP/1.1"#;
    let table = [
        ("a good object", of_type(json, br#"{"role":"user"}"#), 200),
        ("a name twice", of_type(json, twice), 400),
        ("a name twice, in text", of_type("text/plain", twice), 400),
        ("a name twice, of no type", post("", twice), 400),
        ("a name twice, in a form", of_type(form, b"a=1&b=%7B%22a%22:1,%22a%22:2%7D"), 400),
        ("a name twice, in the query", [query, b"\r\nHost: a\r\n\r\n".as_slice()].concat(), 400),
        ("no JSON", of_type(json, b"{\"a\":"), 400),
        ("no JSON, and none stated", of_type("text/plain", b"{\"a\":"), 200),
        ("no form", of_type(form, b"a=%zz&b=1"), 400),
        ("no UTF-8", of_type(json, b"\"\xff\""), 400),
        ("old letters", of_type("text/plain; charset=iso-8859-1", b"gr\xfc\xdfe"), 200),
        ("bytes", of_type("image/png", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"), 200),
        ("parts", of_type("multipart/form-data; boundary=x", b"--x\r\n\r\nhello\r\n--x--\r\n"), 200),
        ("too deep", of_type(json, deep), 413),
        (
            "compressed",
            post("Content-Type: application/json\r\nContent-Encoding: gzip\r\n", b"\x1f\x8b\x08"),
            415,
        ),
        ("in other letters", of_type("application/json; charset=utf-16", b"\0{\0}"), 415),
        ("of two types", post("Content-Type: text/plain\r\nContent-Type: application/json\r\n", twice), 415),
        ("too long", of_type("text/plain", &long), 413),
        ("too long, in chunks", chunked, 413),
        ("as long as may be", of_type("text/plain", &long[1..]), 200),
        ("a query that is none", b"GET /a?%zz&%ff HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 200),
    ];
    for mode in [Mode::Block, Mode::Observe, Mode::Off] {
        let script = Script::start(PAGE).await;
        let stage = Stage::plain(bounded(script.address, mode, FailKind::Closed)).await;
        for (what, request, expected) in &table {
            let before = script.seen().len();
            let told = ask(&stage, request).await;
            let text = String::from_utf8_lossy(&told);
            let expected = if mode == Mode::Block { *expected } else { 200 };
            assert_eq!(status(&told), expected, "{what}, {mode}: {text}");
            assert_eq!(script.seen().len() - before, usize::from(expected == 200), "{what}, {mode}");
            if expected != 200 {
                let verdict = stage.verdict().await;
                assert_eq!(verdict.decision, Decision::Refuse(expected), "{what}");
                assert!(text.contains(&verdict.id.to_string()), "{what}: {text}");
            }
        }
    }
}

/// Asks for what the application has, and tells the status and what came.
async fn answered(answer: &'static [u8], method: &str, mode: Mode, fail: FailKind) -> (u16, String, Stage) {
    let script = Script::start(answer).await;
    let stage = Stage::plain(bounded(script.address, mode, fail)).await;
    let request = format!("{method} /a HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    let told = ask(&stage, request.as_bytes()).await;
    let asked = script.seen().join("");
    let plainly = asked.contains("Accept-Encoding: identity") && !asked.contains("gzip");
    assert_eq!(plainly, mode != Mode::Off, "{asked}");
    (status(&told), String::from_utf8_lossy(&told).into_owned(), stage)
}

#[tokio::test]
async fn an_answer_that_cannot_be_judged_does_not_leave() {
    const LONG: &[u8] = &{
        let mut answer = [b'x'; 2100];
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n";
        let mut at = 0;
        while at < head.len() {
            answer[at] = head[at];
            at += 1;
        }
        answer
    };
    let table: [(&str, &[u8], Option<Uninspected>, u16); 11] = [
        ("text", PAGE, None, 200),
        ("an object", b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"a\":1}", None, 200),
        (
            "too deep",
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[[[[[[[[[1]]]]]]]]]",
            Some(Uninspected::Bound),
            502,
        ),
        (
            "compressed",
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08",
            Some(Uninspected::Encoding),
            502,
        ),
        ("too long", LONG, Some(Uninspected::Bound), 502),
        (
            "too long, as it says",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2001\r\n\r\n",
            Some(Uninspected::Bound),
            502,
        ),
        (
            "a page",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b",
            Some(Uninspected::MediaType),
            200,
        ),
        (
            "events",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npage\r\n",
            Some(Uninspected::MediaType),
            200,
        ),
        ("of no type", b"HTTP/1.1 200 OK\r\n\r\npage", Some(Uninspected::MediaType), 200),
        (
            "a part",
            b"HTTP/1.1 206 Partial Content\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n\"a\":",
            Some(Uninspected::Bound),
            502,
        ),
        ("nothing", b"HTTP/1.1 204 No Content\r\nContent-Type: application/json\r\n\r\n", None, 204),
    ];
    for (what, answer, why, expected) in table {
        for (mode, fail) in
            [(Mode::Block, FailKind::Closed), (Mode::Observe, FailKind::Closed), (Mode::Off, FailKind::Open)]
        {
            let (came, text, stage) = answered(answer, "GET", mode, fail).await;
            let own = if what == "a part" { 206 } else { 200 };
            let expected = if mode == Mode::Block || expected == 204 { expected } else { own };
            assert_eq!(came, expected, "{what}, {mode}: {text}");
            if expected == 502 {
                let verdict = stage.verdict().await;
                assert!(text.contains(&verdict.id.to_string()) && !text.contains("[["), "{what}: {text}");
                continue;
            }
            if text.ends_with("\r\n\r\n") && expected == 200 {
                // The application's answer breaks off here.
                continue;
            }
            let counted = stage.control().counters().routes[0].uninspected.clone();
            let why = if mode == Mode::Off { Some(Uninspected::DefenceOff) } else { why };
            let why = why.filter(|_| expected != 204);
            let expected: Vec<_> = why.map(|why| (Direction::Server, why, 1)).into_iter().collect();
            assert_eq!(counted, expected, "{what}, {mode}");
        }
    }
    let (came, text, _) = answered(PAGE, "HEAD", Mode::Block, FailKind::Closed).await;
    assert!(came == 200 && text.contains("Content-Length: 4"), "{text}");
    let (came, text, _) = answered(LONG, "GET", Mode::Block, FailKind::Open).await;
    assert_eq!(
        (came, text.matches('x').count()),
        (200, LONG.iter().filter(|byte| **byte == b'x').count()),
        "whole, where it may be"
    );
}

#[tokio::test]
async fn a_part_of_a_page_stays_compressed_and_lends_no_way_to_data() {
    let script =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/javascript\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b";
    let data = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b";
    for (answer, expected) in [(script.as_slice(), 200), (data, 502)] {
        let app = Script::start(answer).await;
        let stage = Stage::plain(passing(app.address)).await;
        let asks = b"GET /a HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nSec-Fetch-Dest: script\r\n\r\n";
        assert_eq!(status(&ask(&stage, asks).await), expected);
        assert!(app.seen()[0].contains("\r\nAccept-Encoding: gzip\r\n"), "{:?}", app.seen());
    }
}

#[tokio::test]
async fn what_was_looked_at_is_recorded_and_what_was_not_is_told_once() {
    let page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\npage";
    let script = Script::start(page).await;
    let stage = Stage::plain(passing(script.address)).await;
    let mut tcp = TcpStream::connect(stage.address).await.unwrap();
    tcp.write_all(&post("", b"hello").repeat(2)).await.unwrap();
    tcp.write_all(&post("Connection: close\r\n", b"hello")).await.unwrap();
    soon(tcp.read_to_end(&mut Vec::new())).await.unwrap();
    let counters = stage.control().counters();
    assert_eq!(counters.routes[0].uninspected, [(Direction::Server, Uninspected::MediaType, 3)]);
    let events = stage.stop().await;
    let noted: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Verdict(verdict) => {
                Some((verdict.rule.as_str(), verdict.decision, verdict.reason.as_str()))
            }
            Event::Open(_) | Event::Close(_) | Event::Request(_) | Event::Notice(_) | Event::Audit(_) => None,
        })
        .collect();
    assert_eq!(noted, [("gateway", Decision::Note, "not wholly looked at: media-type")]);
    let records = requests(events);
    assert_eq!(records.len(), 3);
    for record in records {
        assert_eq!((record.bytes_from_client, record.inspected_from_client), (5, 5));
        assert_eq!((record.bytes_from_server, record.inspected_from_server), (4, 0));
    }
}

#[tokio::test]
async fn an_operation_that_is_not_allowed_finds_no_way_by_http() {
    let script = Script::start(PAGE).await;
    let mut route = passing(script.address);
    let sum = OperationConfig { name: Some("sum".to_owned()), ..OperationConfig::default() };
    route.operation_policy.allow = vec![sum];
    let stage = Stage::plain(route).await;
    let call = |method: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
    for (body, expected) in [(call("sum"), 200), (call("wipe"), 403), ("hello".to_owned(), 403)] {
        let told = ask(&stage, &of_type("text/plain", body.as_bytes())).await;
        assert_eq!(status(&told), expected, "{body}: {}", String::from_utf8_lossy(&told));
    }
    assert_eq!(status(&ask(&stage, b"GET /?a=b HTTP/1.1\r\nHost: a\r\n\r\n").await), 200);
    assert_eq!(script.seen().len(), 2);
}

//! What is forwarded, and that it is what was inspected.

use sockwarden_model::{Direction, Mode};
use sockwarden_proto::{FrameHeader, Opcode, RawFrame};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::stage::{App, GOOD, Seen, Stage, closed, read_out, route_to, soon, text};

/// Upgrades by hand, so that any bytes can follow.
async fn upgraded(stage: &Stage) -> TcpStream {
    let mut tcp = TcpStream::connect(stage.address).await.unwrap();
    tcp.write_all(format!("{GOOD}\r\n").as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.windows(7).any(|w| w == b"\x81\x05hello") {
        assert_ne!(soon(tcp.read_buf(&mut head)).await.unwrap(), 0, "{}", String::from_utf8_lossy(&head));
    }
    tcp
}

fn frame(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader { fin, ..FrameHeader::new(opcode, payload.len() as u64) }.masked([1, 2, 3, 4]);
    let mut out = Vec::new();
    RawFrame { header, payload: payload.to_vec() }.encode(&mut out);
    out
}

#[tokio::test]
async fn text_comes_back_as_it_was_sent() {
    let app = App::start().await;
    let stage = Stage::plain(route_to(app.address)).await;
    let mut client = stage.greeted().await;
    for message in ["", "a", "κόσμε 𐍈", &"x".repeat(65_536)] {
        client.send_text(message).await.unwrap();
        assert_eq!(text(&mut client).await, message);
    }
}

#[tokio::test]
async fn a_fragmented_message_reaches_the_application_whole_and_pings_are_answered_meanwhile() {
    let app = App::start().await;
    let stage = Stage::plain(route_to(app.address)).await;
    let mut tcp = upgraded(&stage).await;
    tcp.write_all(&frame(Opcode::Text, false, b"one ")).await.unwrap();
    tcp.write_all(&frame(Opcode::Ping, true, b"?")).await.unwrap();
    let mut pong = [0; 3];
    soon(tcp.read_exact(&mut pong)).await.unwrap();
    assert_eq!(&pong, b"\x8a\x01?");
    assert!(
        !app.seen().iter().any(|seen| matches!(seen, Seen::Text(_))),
        "an incomplete message was forwarded"
    );
    tcp.write_all(&frame(Opcode::Continuation, true, b"message")).await.unwrap();
    let mut echo = [0; 13];
    soon(tcp.read_exact(&mut echo)).await.unwrap();
    assert_eq!(&echo, b"\x81\x0bone message");
}

#[tokio::test]
async fn what_came_before_an_offence_is_answered_before_the_close() {
    let app = App::start().await;
    let stage = Stage::plain(route_to(app.address)).await;
    let mut tcp = upgraded(&stage).await;
    let mut bytes = frame(Opcode::Text, true, b"before");
    bytes.extend(frame(Opcode::Reserved(3), true, b""));
    bytes.extend(frame(Opcode::Text, true, b"after"));
    tcp.write_all(&bytes).await.unwrap();
    let answer = read_out(&mut tcp).await;
    assert!(answer.starts_with(b"\x81\x06before\x88"), "{answer:?}");
    assert_eq!(&answer[10..12], &1002u16.to_be_bytes());
    let verdict = stage.verdict().await;
    assert_eq!((verdict.rule.as_str(), verdict.direction), ("protocol-rules", Some(Direction::Client)));
    assert!(!app.seen().contains(&Seen::Text("after".into())));
}

#[tokio::test]
async fn a_violation_is_answered_with_its_code_and_never_forwarded() {
    let unmasked = b"\x81\x02hi".to_vec();
    let mut bad_utf8 = frame(Opcode::Text, false, b"ok \xce\xba");
    bad_utf8.extend(frame(Opcode::Continuation, false, b"\xf4\x90"));
    let table: [(&str, Vec<u8>, u16); 6] = [
        ("unmasked", unmasked, 1002),
        (
            "rsv1 without an extension",
            {
                let mut f = frame(Opcode::Text, true, b"hi");
                f[0] |= 0x40;
                f
            },
            1002,
        ),
        ("fragmented ping", frame(Opcode::Ping, false, b""), 1002),
        ("continuation of nothing", frame(Opcode::Continuation, true, b"hi"), 1002),
        ("text that is not UTF-8, not even complete", bad_utf8, 1007),
        ("close with a code that may not be sent", frame(Opcode::Close, true, &1006u16.to_be_bytes()), 1002),
    ];
    let app = App::start().await;
    for (what, bytes, code) in table {
        let stage = Stage::plain(route_to(app.address)).await;
        let mut tcp = upgraded(&stage).await;
        tcp.write_all(&bytes).await.unwrap();
        let answer = read_out(&mut tcp).await;
        assert_eq!((answer[0], &answer[2..4]), (0x88, &code.to_be_bytes()[..]), "{what}");
        let verdict = stage.verdict().await;
        assert!(
            String::from_utf8_lossy(&answer).contains(&verdict.id.to_string()),
            "{what}: the peer is not told the id"
        );
    }
    assert!(app.seen().iter().all(|seen| !matches!(seen, Seen::Text(_) | Seen::Binary(_))));
}

#[tokio::test]
async fn an_oversize_message_is_refused_by_its_header_and_let_through_where_the_defence_is_off() {
    let big = "x".repeat(200_000);
    for (mode, stopped) in [(Mode::Block, true), (Mode::Observe, false), (Mode::Off, false)] {
        let app = App::start().await;
        let mut route = route_to(app.address);
        route.frame_limits.mode = mode;
        let limits = &mut route.frame_limits;
        (limits.server_frame, limits.server_message) = (limits.frame, limits.message);
        let stage = Stage::plain(route).await;
        let mut client = stage.greeted().await;
        client.send_text(&big).await.unwrap();
        if stopped {
            let (code, reason) = closed(&mut client).await;
            assert_eq!(code, 1009);
            let verdict = stage.verdict().await;
            assert_eq!(verdict.rule, "frame-limits");
            assert!(reason.contains(&verdict.id.to_string()));
            assert_eq!(app.close_seen().await.map(|(code, _)| code), Some(1001));
            assert!(!app.seen().contains(&Seen::Text(big.clone())));
        } else {
            assert_eq!(text(&mut client).await, big);
            let noted = stage.events().len();
            assert_eq!(noted, 3, "open, and a note for each direction");
        }
    }
}

#[tokio::test]
async fn memory_is_bounded_where_the_defence_is_off() {
    let app = App::start().await;
    let mut route = route_to(app.address);
    route.frame_limits.mode = Mode::Off;
    let limits = sockwarden_gateway::LimitsConfig {
        message_memory: sockwarden_config::ByteSize::kib(100),
        ..sockwarden_gateway::LimitsConfig::default()
    };
    let stage = Stage::start(route, false, limits).await;
    let mut client = stage.greeted().await;
    client.send_text(&"x".repeat(200_000)).await.unwrap();
    assert_eq!(closed(&mut client).await.0, 1009);
}

#[tokio::test]
async fn many_messages_keep_their_order_both_ways() {
    let app = App::start().await;
    let stage = Stage::tls(route_to(app.address)).await;
    let mut client = stage.greeted().await;
    for i in 0..500 {
        client.send_text(&format!("{i} {}", "y".repeat(i * 7))).await.unwrap();
    }
    for i in 0..500 {
        assert!(text(&mut client).await.starts_with(&format!("{i} ")));
    }
}

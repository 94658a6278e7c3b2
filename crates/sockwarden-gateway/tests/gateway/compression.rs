//! permessage-deflate through the gateway: what is agreed, what is forwarded, and that it hides nothing.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use sockwarden_config::{ByteSize, HumanDuration};
use sockwarden_gateway::{CompressionKind, LimitsConfig, RouteConfig};
use sockwarden_model::{Decision, Limit, Mode};
use sockwarden_proto::{
    Fact, Flow, FrameHeader, Limits, MessageKind, Opcode, RawFrame, Role, Session,
    deflate::{Agreement, InflateLimits},
    handshake::{HeadLimits, RequestHead, UpgradeRequest, switching_protocols},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::stage::{GOOD, Stage, closed, read_out, route_to, soon, text};

const BARE: &str = "permessage-deflate";
const BROWSER: &str = "permessage-deflate; client_max_window_bits";

/// An echo server that answers an offer of compression as it is told to, and keeps what it saw.
struct Echo {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    offered: Vec<String>,
    /// The payload of each message as it was on the wire, and what it held.
    messages: Vec<(Option<Vec<u8>>, Vec<u8>)>,
}

impl Echo {
    async fn answering(answer: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let record = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(echo(tcp, answer, Arc::clone(&record)));
            }
        });
        Self { address, seen }
    }

    fn offered(&self) -> Vec<String> {
        self.seen.lock().unwrap().offered.clone()
    }

    /// Counts the messages that came compressed and the others.
    fn counts(&self) -> (usize, usize) {
        let messages = &self.seen.lock().unwrap().messages;
        let compressed = messages.iter().filter(|(payload, _)| payload.is_some()).count();
        (compressed, messages.len() - compressed)
    }
}

async fn echo(mut tcp: TcpStream, answer: Option<&'static str>, record: Arc<Mutex<Seen>>) {
    let mut buffer = Vec::new();
    let request = loop {
        if let Some((head, _)) = RequestHead::parse(&buffer, HeadLimits::default()).unwrap() {
            break UpgradeRequest::judge(head, 0);
        }
        if tcp.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
            return;
        }
    };
    record.lock().unwrap().offered = request.deflate_offers().iter().map(ToString::to_string).collect();
    let mut head = switching_protocols(request.key(), None);
    let roomy = Limits { frame: 1 << 26, message: 1 << 26 };
    let mut session = Session::new(Role::Server, roomy, || [0; 4]);
    if let Some(answer) = answer {
        head.truncate(head.len() - 2);
        head.extend_from_slice(format!("Sec-WebSocket-Extensions: {answer}\r\n\r\n").as_bytes());
        if let Some(agreement) = agreed(answer) {
            let limits = InflateLimits { output: 1 << 26, ratio: 2000, ratio_floor: 0, overhead: 1 << 26 };
            session = session
                .with_inflater(agreement.inflater(Role::Server, limits))
                .with_deflater(agreement.deflater(Role::Server));
        }
    }
    session.send(MessageKind::Text, b"hello");
    head.append(session.output());
    let mut bytes = vec![0; 64 * 1024];
    let (mut original, mut held) = (None::<Vec<u8>>, Vec::new());
    loop {
        if tcp.write_all(&head).await.is_err() {
            return;
        }
        let Ok(length @ 1..) = tcp.read(&mut bytes).await else { return };
        let mut whole = Vec::new();
        let mut closing = None;
        session.receive(&mut bytes[..length], |fact| {
            match fact {
                Fact::Data(data) => {
                    held.extend_from_slice(data.bytes);
                    if let Some(piece) = data.compressed {
                        original.get_or_insert_default().extend_from_slice(piece);
                    }
                    if data.ends {
                        whole.push((data.kind, original.take(), std::mem::take(&mut held)));
                    }
                }
                Fact::Close(close) => closing = Some(close.code),
                Fact::Violation(violation) => panic!("the gateway forwarded a violation: {violation}"),
                Fact::Frame(_) | Fact::Ping(_) | Fact::Pong(_) => {}
            }
            Flow::Continue
        });
        for (kind, original, held) in whole {
            session.send(kind, &held);
            record.lock().unwrap().messages.push((original, held));
        }
        if let Some(code) = closing {
            session.close(code, "");
        }
        head = std::mem::take(session.output());
    }
}

fn agreed(answer: &str) -> Option<Agreement> {
    let found = sockwarden_proto::deflate::extensions([answer.as_bytes()]).ok()?;
    Agreement::read(found.first()?).ok()?
}

fn route(echo: &Echo, compression: CompressionKind) -> RouteConfig {
    RouteConfig { compression, ..route_to(echo.address) }
}

/// Upgrades by hand with an offer; gives the answered extension and what followed the head.
async fn upgraded(stage: &Stage, offer: &str) -> (TcpStream, Option<String>) {
    let mut tcp = TcpStream::connect(stage.address).await.unwrap();
    let head = format!("{GOOD}Sec-WebSocket-Extensions: {offer}\r\n\r\n");
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(soon(tcp.read_u8()).await.unwrap());
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    let extension = answer.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    (tcp, extension.map(str::to_owned))
}

fn compressed(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader { fin, rsv: 4, ..FrameHeader::new(opcode, payload.len() as u64) };
    let mut out = Vec::new();
    RawFrame { header: header.masked([1, 2, 3, 4]), payload: payload.to_vec() }.encode(&mut out);
    out
}

fn deflated(message: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    Agreement::default().deflater(Role::Client).deflate(message, &mut payload);
    payload
}

#[tokio::test]
async fn both_sides_agree_on_the_same_and_originals_pass_in_one_context() {
    for answer in [
        BARE,
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10",
    ] {
        let app = Echo::answering(Some(answer)).await;
        let stage = Stage::plain(route(&app, CompressionKind::Inspect)).await;
        let (_, told) = upgraded(&stage, &format!("{BARE}; nonsense, {BROWSER}")).await;
        assert_eq!(told.as_deref(), Some(answer));
        assert_eq!(app.offered(), [BROWSER], "only valid offers are passed on");
        let mut client = stage.connect("/", |h| h.extensions.push(BROWSER.into())).await.unwrap();
        assert_eq!(text(&mut client).await, "hello");
        let mut mine = agreed(answer).unwrap().deflater(Role::Client);
        for i in 0..300 {
            let message = format!("{{\"number\":{i},\"text\":\"{}\"}}", "κόσμε ".repeat(i % 50 * 20));
            client.send_text(&message).await.unwrap();
            assert_eq!(text(&mut client).await, message);
            let mut payload = Vec::new();
            mine.deflate(message.as_bytes(), &mut payload);
            let seen = app.seen.lock().unwrap().messages.pop();
            assert_eq!(seen, Some((Some(payload), message.into_bytes())), "message {i} of {answer}");
        }
    }
}

#[tokio::test]
async fn where_the_application_declines_or_the_client_does_not_ask_nothing_is_compressed() {
    let app = Echo::answering(None).await;
    let stage = Stage::plain(route(&app, CompressionKind::Inspect)).await;
    assert_eq!(upgraded(&stage, BROWSER).await.1, None);
    let mut client = stage.connect("/", |h| h.extensions.push(BROWSER.into())).await.unwrap();
    assert_eq!(text(&mut client).await, "hello");
    client.send_text("plain").await.unwrap();
    assert_eq!(text(&mut client).await, "plain");
    assert_eq!((app.counts(), app.offered()), ((0, 1), vec![BROWSER.to_owned()]));
    let mut client = stage.greeted().await;
    client.send_text("plain").await.unwrap();
    assert_eq!(text(&mut client).await, "plain");
    assert!(app.offered().is_empty());
}

#[tokio::test]
async fn an_answer_that_does_not_suit_the_offer_is_refused() {
    for answer in ["permessage-deflate; client_max_window_bits=9", "permessage-deflate; x", "x"] {
        let app = Echo::answering(Some(answer)).await;
        let stage = Stage::plain(route(&app, CompressionKind::Inspect)).await;
        let refused = stage.raw(format!("{GOOD}Sec-WebSocket-Extensions: {BARE}\r\n\r\n").as_bytes()).await;
        assert!(refused.starts_with(b"HTTP/1.1 502"), "{answer}");
    }
}

#[tokio::test]
async fn strip_takes_the_offer_out() {
    let app = Echo::answering(None).await;
    let stage = Stage::plain(route(&app, CompressionKind::Strip)).await;
    let (mut tcp, told) = upgraded(&stage, BROWSER).await;
    assert_eq!((told, app.offered()), (None, Vec::new()));
    tcp.write_all(&compressed(Opcode::Text, true, &deflated(b"Hello"))).await.unwrap();
    let answer = read_out(&mut tcp).await;
    assert_eq!(&answer[..7], b"\x81\x05hello");
    assert_eq!(&answer[9..11], &1002u16.to_be_bytes());
    assert_eq!(app.counts(), (0, 0));
}

#[tokio::test]
async fn terminate_agrees_with_each_side_by_itself() {
    const APART: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    for answer in [None, Some(APART)] {
        for offer in [None, Some("permessage-deflate; server_max_window_bits=9")] {
            let app = Echo::answering(answer).await;
            let stage = Stage::plain(route(&app, CompressionKind::Terminate)).await;
            let prepare = |h: &mut sockwarden_proto::handshake::ClientHandshake| {
                h.extensions.extend(offer.map(str::to_owned));
            };
            let mut client = stage.connect("/", prepare).await.unwrap();
            assert_eq!(text(&mut client).await, "hello");
            for i in 0..20 {
                let message = format!("{i} {}", "xyz".repeat(i * i));
                client.send_text(&message).await.unwrap();
                assert_eq!(text(&mut client).await, message);
            }
            assert_eq!(app.counts(), if answer.is_some() { (20, 0) } else { (0, 20) });
            assert_eq!(app.offered(), [APART]);
            if let Some(offer) = offer {
                let told = upgraded(&stage, offer).await.1;
                assert_eq!(told, Some(format!("{APART}; server_max_window_bits=9")));
            }
        }
    }
}

#[tokio::test]
async fn fragments_of_a_compressed_message_arrive_whole_and_pings_are_answered_meanwhile() {
    let app = Echo::answering(Some(BARE)).await;
    let stage = Stage::plain(route(&app, CompressionKind::Inspect)).await;
    let (mut tcp, _) = upgraded(&stage, BARE).await;
    let payload = deflated(b"one message");
    let plain = |opcode, fin, payload: &[u8]| {
        let mut frame = compressed(opcode, fin, payload);
        frame[0] &= !0x40;
        frame
    };
    tcp.write_all(&compressed(Opcode::Text, false, &payload[..4])).await.unwrap();
    tcp.write_all(&plain(Opcode::Ping, true, b"?")).await.unwrap();
    tcp.write_all(&plain(Opcode::Continuation, false, &payload[4..])).await.unwrap();
    tcp.write_all(&plain(Opcode::Continuation, true, b"")).await.unwrap();
    let answer = read_out(&mut tcp).await;
    assert!(answer.windows(3).any(|w| w == b"\x8a\x01?"), "{answer:02x?}");
    assert_eq!(app.seen.lock().unwrap().messages, [(Some(payload), b"one message".to_vec())]);
}

#[tokio::test]
async fn compression_hides_nothing_from_the_rules() {
    let bomb = deflated(&vec![0; 10 << 20]);
    assert!(bomb.len() < 50_000);
    let rsv1 = |opcode| compressed(opcode, true, b"");
    let text = |message: &[u8]| compressed(Opcode::Text, true, &deflated(message));
    let table: [(&str, Vec<u8>, u16, &str); 9] = [
        ("illegal UTF-8", text(b"ok \xf4\x90"), 1007, "protocol-rules"),
        ("incomplete UTF-8", text(b"ok \xe2\x82"), 1007, "protocol-rules"),
        ("oversize", text(&[b"x\n".repeat(20_000), b"y z".repeat(10_000)].concat()), 1009, "frame-limits"),
        ("a bomb", compressed(Opcode::Binary, true, &bomb), 1009, "frame-limits"),
        ("corrupt", compressed(Opcode::Binary, true, b"\x06"), 1007, "protocol-rules"),
        ("no payload", compressed(Opcode::Binary, true, b""), 1007, "protocol-rules"),
        (
            "data after the final block",
            compressed(Opcode::Binary, true, b"\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00"),
            1007,
            "protocol-rules",
        ),
        ("RSV1 on a ping", rsv1(Opcode::Ping), 1002, "protocol-rules"),
        ("RSV1 on a continuation", rsv1(Opcode::Continuation), 1002, "protocol-rules"),
    ];
    for (kind, answer) in [(CompressionKind::Inspect, Some(BARE)), (CompressionKind::Terminate, None)] {
        for (name, bytes, code, rule) in &table {
            let app = Echo::answering(answer).await;
            let mut config = route(&app, kind);
            config.inflate.max_ratio = 5000;
            let stage = Stage::plain(config).await;
            let (mut tcp, told) = upgraded(&stage, BARE).await;
            assert!(told.is_some());
            tcp.write_all(bytes).await.unwrap();
            let verdict = stage.verdict().await;
            assert_eq!(verdict.rule, *rule, "{name}: {}", verdict.reason);
            let answer = read_out(&mut tcp).await;
            let close = answer.iter().rposition(|&b| b == 0x88).unwrap();
            assert_eq!(answer[close + 2..close + 4], code.to_be_bytes(), "{name}: {answer:02x?}");
            assert_eq!(app.counts(), (0, 0), "{name} reached the application");
        }
    }
}

#[tokio::test]
async fn a_bomb_is_stopped_by_memory_and_ratio_where_no_defence_limits_messages() {
    let bomb = compressed(Opcode::Binary, true, &deflated(&vec![0; 10 << 20]));
    for (max_ratio, memory, reason) in [
        (5000, ByteSize::kib(100), "holds more than the limit of 102400 bytes"),
        (100, ByteSize::mib(16), "expands to more than 100 times its size"),
    ] {
        let app = Echo::answering(Some(BARE)).await;
        let mut config = route(&app, CompressionKind::Inspect);
        config.frame_limits.mode = Mode::Off;
        config.inflate.max_ratio = max_ratio;
        let limits = LimitsConfig { message_memory: memory, ..LimitsConfig::default() };
        let stage = Stage::start(config, false, limits).await;
        let (mut tcp, _) = upgraded(&stage, BARE).await;
        tcp.write_all(&bomb).await.unwrap();
        let verdict = stage.verdict().await;
        assert_eq!(verdict.rule, "protocol-rules");
        assert!(verdict.reason.contains(reason), "{}", verdict.reason);
        let answer = read_out(&mut tcp).await;
        assert!(answer.windows(2).any(|w| w == 1009u16.to_be_bytes()));
        assert_eq!(app.counts(), (0, 0));
    }
}

#[tokio::test]
async fn work_without_an_outcome_is_limited_in_amount_and_in_time() {
    // Blocks that say nothing: some milliseconds of work.
    let empty = [[0, 0, 0, 0xff, 0xff].repeat(200_000), vec![0]].concat();
    let (roomy, patient) = (ByteSize::mib(2), HumanDuration::from_secs(600));
    let table = [
        (roomy, patient, None),
        (ByteSize::kib(16), patient, Some(("protocol-rules", "longer than what it holds"))),
        (roomy, HumanDuration::from_millis(1), Some(("gateway", "inflating a message took longer than 1ms"))),
    ];
    for (overhead, time, expected) in table {
        let app = Echo::answering(Some(BARE)).await;
        let mut config = route(&app, CompressionKind::Inspect);
        (config.inflate.overhead, config.inflate.time) = (overhead, time);
        (config.frame_limits.frame, config.frame_limits.message) = (ByteSize::mib(1), ByteSize::mib(1));
        let stage = Stage::plain(config).await;
        let (mut tcp, _) = upgraded(&stage, BARE).await;
        tcp.write_all(&compressed(Opcode::Binary, true, &empty)).await.unwrap();
        match expected {
            None => {
                let answer = read_out(&mut tcp).await;
                assert!(answer.ends_with(&[0xc2, 1, 0]), "an empty message comes back: {answer:02x?}");
                assert_eq!(app.counts(), (1, 0));
            }
            Some((rule, reason)) => {
                let verdict = stage.verdict().await;
                assert_eq!(verdict.rule, rule, "{}", verdict.reason);
                assert!(verdict.reason.contains(reason), "{}", verdict.reason);
                let answer = read_out(&mut tcp).await;
                assert!(answer.windows(2).any(|w| w == 1009u16.to_be_bytes()), "{answer:02x?}");
                assert_eq!(app.counts(), (0, 0));
            }
        }
    }
}

#[tokio::test]
async fn a_limit_that_is_only_observed_is_noted_once_and_the_message_passes() {
    let app = Echo::answering(Some(BARE)).await;
    let mut config = route(&app, CompressionKind::Inspect);
    config.frame_limits.mode = Mode::Observe;
    config.inflate.max_ratio = 5000;
    let stage = Stage::plain(config).await;
    let mut client = stage.connect("/", |h| h.extensions.push(BARE.into())).await.unwrap();
    assert_eq!(text(&mut client).await, "hello");
    let message = "x".repeat(1 << 20);
    client.send_text(&message).await.unwrap();
    // The client itself does not take a ratio like this: what matters is that the application did.
    let _ = soon(client.next()).await;
    assert_eq!(app.counts(), (1, 0));
    let noted = stage.events().iter().filter(|e| matches!(e, sockwarden_model::Event::Verdict(_))).count();
    assert!((1..=2).contains(&noted), "{noted} notes: one for each direction that has passed so far");
}

#[tokio::test]
async fn what_the_application_compresses_is_judged_as_well() {
    let app = Echo::answering(Some(BARE)).await;
    let mut config = route(&app, CompressionKind::Inspect);
    config.frame_limits.server_message = ByteSize::bytes(4);
    let stage = Stage::plain(config).await;
    let mut client = stage.connect("/", |h| h.extensions.push(BARE.into())).await.unwrap();
    // Its greeting has five bytes.
    let (code, _) = closed(&mut client).await;
    assert_eq!(code, 1001);
    assert_eq!(stage.verdict().await.rule, "frame-limits");
}

#[tokio::test]
async fn inflating_many_messages_that_each_may_be_inflated_takes_no_more_of_a_second_than_it_may() {
    const MESSAGES: usize = 50;
    let empty = [[0, 0, 0, 0xff, 0xff].repeat(200_000), vec![0]].concat();
    let message = compressed(Opcode::Binary, true, &empty);
    for (per_second, stopped) in
        [(HumanDuration::from_secs(600), false), (HumanDuration::from_millis(1), true)]
    {
        let app = Echo::answering(Some(BARE)).await;
        let mut config = route(&app, CompressionKind::Inspect);
        config.inflate.overhead = ByteSize::mib(2);
        (config.inflate.time, config.inflate.time_per_second) = (HumanDuration::from_secs(600), per_second);
        (config.frame_limits.frame, config.frame_limits.message) = (ByteSize::mib(1), ByteSize::mib(1));
        let stage = Stage::plain(config).await;
        let (mut tcp, _) = upgraded(&stage, BARE).await;
        for _ in 0..MESSAGES {
            if tcp.write_all(&message).await.is_err() {
                break;
            }
        }
        if stopped {
            let verdict = stage.verdict().await;
            assert_eq!(verdict.limit, Some(Limit::InflateRate), "{}", verdict.reason);
            assert_eq!(verdict.decision, Decision::Close(1008));
            assert!(app.counts().0 < MESSAGES);
        } else {
            soon(async {
                while app.counts().0 < MESSAGES {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
            .await;
        }
    }
}

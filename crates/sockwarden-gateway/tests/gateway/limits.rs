//! Limits on who comes, how often and how slowly: each attack succeeds where the limit is far away and fails where it is near, while
//! those who are there go on.

use std::{net::SocketAddr, time::Duration};

use sockwarden_config::{ByteSize, HumanDuration};
use sockwarden_gateway::{
    HeadLimitsConfig, LimitsConfig, ListenerConfig, PerAddressConfig, ProxiesConfig, RouteConfig,
};
use sockwarden_model::{Decision, Event, Limit, Mode, Notice, VerdictEvent};
use sockwarden_net::{Client, ClientError};
use sockwarden_proto::{Opcode, RawFrame};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::Instant,
};

use crate::{
    sessions::{by_token, now, token},
    stage::{App, GOOD, Seen, Stage, read_out, route_to, soon, status, text},
};

const FAR: u32 = 1_000_000;

fn per_address(connections: u32, connections_per_second: u32, handshakes_per_second: u32) -> LimitsConfig {
    let per_address = PerAddressConfig { connections, connections_per_second, handshakes_per_second };
    LimitsConfig { per_address, ..LimitsConfig::default() }
}

/// Gives how often `limit` was exceeded, on a route or before one was reached.
fn exceeded(stage: &Stage, limit: Limit) -> u64 {
    let counters = stage.control().counters();
    let all = counters.routes.into_iter().flat_map(|route| route.limits).chain(counters.limits_without_route);
    all.filter(|(exceeded, _)| *exceeded == limit).map(|(_, count)| count).sum()
}

/// Waits until `limit` was exceeded.
async fn until_exceeded(stage: &Stage, limit: Limit) {
    soon(async {
        while exceeded(stage, limit) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Opens so many connections, and gives those that were let in.
async fn crowd(stage: &Stage, count: usize) -> Vec<Client> {
    let mut let_in = Vec::new();
    for _ in 0..count {
        let_in.extend(stage.connect("/", |_| ()).await.ok());
    }
    let_in
}

fn told_of(events: &[Event], limit: Limit) -> bool {
    events.iter().any(|event| match event {
        Event::Notice(told) => told.notice == Notice::TurningAway && told.detail.starts_with(limit.label()),
        Event::Verdict(verdict) => verdict.limit == Some(limit),
        Event::Open(_) | Event::Close(_) | Event::Request(_) | Event::Audit(_) => false,
    })
}

#[tokio::test]
async fn one_address_cannot_have_all_connections() {
    let app = App::start().await;
    let stage = Stage::start(route_to(app.address), false, per_address(FAR, FAR, FAR)).await;
    assert_eq!(crowd(&stage, 10).await.len(), 10);

    let stage = Stage::start(route_to(app.address), false, per_address(3, FAR, FAR)).await;
    let mut let_in = crowd(&stage, 10).await;
    assert_eq!((let_in.len(), exceeded(&stage, Limit::AddressConnections)), (3, 7));
    assert!(told_of(&stage.events(), Limit::AddressConnections));
    for client in &mut let_in {
        assert_eq!(text(client).await, "hello");
        client.send_text("still here").await.unwrap();
        assert_eq!(text(client).await, "still here");
    }
    // However they end, their places are free again.
    drop(let_in);
    soon(async {
        while stage.connect("/", |_| ()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn one_address_cannot_come_ever_so_often() {
    let app = App::start().await;
    let check = async |limits: LimitsConfig, limit: Limit, let_in: usize, last: u16| {
        let stage = Stage::start(route_to(app.address), false, limits).await;
        let (mut good, mut answer) = (0, Vec::new());
        for _ in 0..8 {
            let mut tcp = TcpStream::connect(stage.address).await.unwrap();
            let _ = tcp.write_all(format!("{GOOD}\r\n").as_bytes()).await;
            answer = vec![0; 1000];
            let length = soon(tcp.read(&mut answer)).await.unwrap_or_default();
            answer.truncate(length);
            good += usize::from(status(&answer) == 101);
        }
        assert_eq!((good, status(&answer)), (let_in, last), "{limit:?}");
        assert_eq!(exceeded(&stage, limit), 8 - let_in as u64, "{limit:?}");
        assert_eq!(let_in == 8, !told_of(&stage.events(), limit));
        answer
    };
    // As many at once as there may be at once, which is more than ever are here.
    check(per_address(100, 1, 1), Limit::AddressConnectionRate, 8, 101).await;
    let mut few = per_address(8, 1, 1);
    check(few.clone(), Limit::AddressHandshakeRate, 8, 101).await;
    few.per_address.connections = 5;
    // Each ends at once, so that there are never as many as five.
    check(few.clone(), Limit::AddressConnectionRate, 5, 0).await;
    few.per_address.connections_per_second = FAR;
    // The burst is what may be there at once.
    few.per_address.connections = 5;
    let answer = check(few, Limit::AddressHandshakeRate, 5, 429).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.contains("\r\nRetry-After: 1\r\n"), "{answer}");
}

fn behind(proxies: ProxiesConfig) -> ListenerConfig {
    ListenerConfig { proxies, ..ListenerConfig::new("127.0.0.1:0") }
}

#[tokio::test]
async fn behind_a_trusted_proxy_its_clients_are_counted_and_not_itself() {
    let app = App::start().await;
    let loopback = vec!["127.0.0.0/8".parse().unwrap()];
    let proxies = ProxiesConfig { trusted: loopback, ..ProxiesConfig::default() };
    let stage = Stage::listening(behind(proxies), route_to(app.address), per_address(2, FAR, FAR)).await;
    let mut kept = Vec::new();
    let mut ask = async |client: &str| {
        let mut tcp = TcpStream::connect(stage.address).await.unwrap();
        let head = if client.is_empty() { String::new() } else { format!("X-Forwarded-For: {client}\r\n") };
        tcp.write_all(format!("{GOOD}{head}\r\n").as_bytes()).await.unwrap();
        let mut answer = vec![0; 1000];
        let length = soon(tcp.read(&mut answer)).await.unwrap();
        kept.push(tcp);
        status(&answer[..length])
    };
    assert_eq!([ask("192.0.2.1").await, ask("192.0.2.1").await], [101, 101]);
    assert_eq!([ask("192.0.2.1").await, ask("192.0.2.2").await], [429, 101]);
    assert_eq!([ask("2001:db8::1").await, ask("2001:db8::2").await], [101, 101]);
    assert_eq!([ask("2001:db8::3").await, ask("2001:db8:0:1::3").await], [429, 101]);
    for _ in 0..4 {
        assert_eq!(ask("").await, 101);
    }
    assert_eq!(exceeded(&stage, Limit::AddressConnections), 2);
    assert!(told_of(&stage.events(), Limit::AddressConnections));
}

#[tokio::test]
async fn for_whom_a_proxy_connects_is_counted_before_anything_is_read() {
    let app = App::start().await;
    let loopback = vec!["127.0.0.0/8".parse().unwrap()];
    let proxies = ProxiesConfig { proxy_protocol: loopback, ..ProxiesConfig::default() };
    let stage = Stage::listening(behind(proxies), route_to(app.address), per_address(2, FAR, FAR)).await;
    let mut kept = Vec::new();
    for (client, expected) in [(7, true), (7, true), (7, false), (8, true)] {
        let mut tcp = TcpStream::connect(stage.address).await.unwrap();
        let header = format!("PROXY TCP4 192.0.2.{client} 198.51.100.1 5 443\r\n");
        tcp.write_all(header.as_bytes()).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_millis(200), tcp.read_u8()).await;
        assert_eq!(ended.is_err(), expected, "{client}");
        kept.push(tcp);
    }
    assert_eq!(exceeded(&stage, Limit::AddressConnections), 1);
}

/// Connects as a user, all at once, and gives how many were let in and the other statuses.
async fn rush(stage: &Stage, users: &[&str]) -> (Vec<Client>, Vec<u16>) {
    let attempts = users.iter().map(async |user| {
        let claims = serde_json::json!({ "sub": user, "aud": "chat", "exp": now() + 60 });
        let header = ("Authorization".to_owned(), format!("Bearer {}", token(&claims)).into_bytes());
        stage.connect("/", |handshake| handshake.headers.push(header)).await
    });
    let (mut let_in, mut refused) = (Vec::new(), Vec::new());
    for outcome in futures_util::future::join_all(attempts).await {
        match outcome {
            Ok(client) => let_in.push(client),
            Err(ClientError::Refused { status, .. }) => refused.push(status),
            Err(other) => panic!("{other}"),
        }
    }
    (let_in, refused)
}

#[tokio::test]
async fn of_sockets_that_one_user_opens_at_once_exactly_so_many_are_let_in() {
    let app = App::start().await;
    let mut route = by_token(&app);
    route.connection_limits.per_user = 3;
    let stage = Stage::plain(route).await;
    let (maras, refused) = rush(&stage, &["mara"; 12]).await;
    assert_eq!((maras.len(), refused), (3, vec![429; 9]));
    assert_eq!(exceeded(&stage, Limit::UserConnections), 9);
    assert!(told_of(&stage.events(), Limit::UserConnections));
    // Nobody else has to suffer for it.
    let (_nils, refused) = rush(&stage, &["nils"; 3]).await;
    assert!(refused.is_empty(), "{refused:?}");
    drop(maras);
    soon(async {
        while stage.control().counters().routes[0].active > 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(rush(&stage, &["mara"; 12]).await.0.len(), 3);
}

#[tokio::test]
async fn a_user_whose_upgrade_fails_holds_no_place() {
    let app = App::start().await;
    // Nobody listens there any more.
    let mut route = RouteConfig { upstream: "ws://127.0.0.1:1".to_owned(), ..by_token(&app) };
    route.connection_limits.per_user = 1;
    let stage = Stage::plain(route).await;
    for _ in 0..3 {
        assert_ne!(rush(&stage, &["mara"]).await.1, [429]);
    }
    assert_eq!(exceeded(&stage, Limit::UserConnections), 0);
}

#[tokio::test]
async fn a_route_has_no_more_sessions_than_it_may() {
    let app = App::start().await;
    let mut route = route_to(app.address);
    route.connection_limits.connections = Some(2);
    let stage = Stage::plain(route).await;
    let _two = crowd(&stage, 2).await;
    let Err(ClientError::Refused { status, .. }) = stage.connect("/", |_| ()).await else { panic!() };
    assert_eq!((status, exceeded(&stage, Limit::RouteConnections)), (503, 1));
    assert!(told_of(&stage.events(), Limit::RouteConnections));
}

#[tokio::test]
async fn an_application_has_no_more_connections_than_it_may_and_others_wait_their_turn() {
    let app = App::start().await;
    let mut route = route_to(app.address);
    assert_eq!(crowd(&Stage::plain(route.clone()).await, 4).await.len(), 4);

    (route.upstreams.connections, route.upstreams.queue) = (Some(2), 1);
    route.upstreams.queue_timeout = HumanDuration::from_millis(400);
    let stage = Stage::plain(route).await;
    let mut two = crowd(&stage, 2).await;
    let begun = Instant::now();
    // One waits in vain, and the other not at all.
    let refused = |outcome: Result<Client, ClientError>| match outcome {
        Err(ClientError::Refused { status, .. }) => (status, begun.elapsed() > Duration::from_millis(350)),
        Ok(_) | Err(_) => (0, false),
    };
    let connect = || async { refused(stage.connect("/", |_| ()).await) };
    let mut answers = <[_; 2]>::from(tokio::join!(connect(), connect()));
    answers.sort_unstable();
    assert_eq!(answers, [(503, false), (503, true)]);
    assert_eq!(exceeded(&stage, Limit::UpstreamConnections), 2);
    assert!(told_of(&stage.events(), Limit::UpstreamConnections));
    // One waits, and one who is there goes.
    let (third, ()) = tokio::join!(stage.connect("/", |_| ()), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(two.pop());
    });
    assert_eq!(text(&mut third.unwrap()).await, "hello");
    assert_eq!(text(&mut two[0]).await, "hello");
}

/// Sends one byte of `bytes` each 20 ms, and gives after how long the gateway ended it.
async fn trickle(address: SocketAddr, bytes: &[u8]) -> Duration {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let begun = Instant::now();
    for byte in bytes.iter().cycle() {
        let mut one = [0];
        let ended = tokio::time::timeout(Duration::from_millis(20), tcp.read(&mut one)).await;
        if ended.is_ok() || tcp.write_all(&[*byte]).await.is_err() || begun.elapsed() > Duration::from_secs(5)
        {
            break;
        }
    }
    begun.elapsed()
}

#[tokio::test]
async fn slow_heads_and_slow_tls_end_in_time() {
    let app = App::start().await;
    let header = b"X-Slow: 1\r\n".repeat(20);
    let head = [GOOD.as_bytes(), &header].concat();
    let hello = [&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], &[0; 32]].concat();
    for (tls, bytes) in [(false, head.clone()), (true, head), (true, hello)] {
        let limits = |time| LimitsConfig { handshake_timeout: time, ..LimitsConfig::default() };
        let stage = Stage::start(route_to(app.address), tls, limits(HumanDuration::from_millis(300))).await;
        let lasted = trickle(stage.address, &bytes).await;
        assert!((250..1500).contains(&lasted.as_millis()), "{tls}: {lasted:?}");
        assert_eq!(exceeded(&stage, Limit::HandshakeTime), 1);
        assert!(told_of(&stage.events(), Limit::HandshakeTime));
        // Others get in meanwhile and afterwards.
        assert_eq!(echo(&stage).await, "still here");
        let patient = Stage::start(route_to(app.address), tls, limits(HumanDuration::from_secs(60))).await;
        let waiting = tokio::time::timeout(Duration::from_secs(1), trickle(patient.address, &bytes[..30]));
        assert!(waiting.await.is_err(), "it is not the limit that ended it");
    }
}

#[tokio::test]
async fn tls_handshakes_under_way_are_limited() {
    let app = App::start().await;
    for (most, gets_in) in [(3, true), (2, false)] {
        let limits = LimitsConfig { tls_handshakes: most, ..LimitsConfig::default() };
        let stage = Stage::start(route_to(app.address), true, limits).await;
        let mut slow = Vec::new();
        for _ in 0..2 {
            let mut tcp = TcpStream::connect(stage.address).await.unwrap();
            tcp.write_all(&[22, 3, 1, 2, 0]).await.unwrap();
            slow.push(tcp);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(stage.connect("/", |_| ()).await.is_ok(), gets_in);
        assert_eq!(exceeded(&stage, Limit::TlsHandshakes), u64::from(!gets_in));
        drop(slow);
        soon(async {
            while stage.connect("/", |_| ()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_head_may_be_as_large_as_is_configured() {
    let app = App::start().await;
    let large = HeadLimitsConfig { bytes: ByteSize::kib(64), fields: 500, target: ByteSize::kib(16) };
    let check = async |head: &str, expected: [u16; 2], limit: Limit| {
        for (config, expected) in [(HeadLimitsConfig::default(), expected[0]), (large.clone(), expected[1])] {
            let limits = LimitsConfig { head: config, ..LimitsConfig::default() };
            let stage = Stage::start(route_to(app.address), false, limits).await;
            assert_eq!(status(&stage.raw(head.as_bytes()).await), expected);
            assert_eq!(exceeded(&stage, limit), u64::from(expected != 101));
            assert_eq!(told_of(&stage.events(), limit), expected != 101);
        }
    };
    let fields = "X-More: 1\r\n".repeat(100);
    check(&format!("{GOOD}{fields}\r\n"), [431, 101], Limit::HeadFields).await;
    let cookie = "c".repeat(10_000);
    check(&format!("{GOOD}Cookie: {cookie}\r\n\r\n"), [431, 101], Limit::HeadBytes).await;
    let query = format!("GET /?{} ", "q".repeat(4000));
    check(&format!("{}\r\n", GOOD.replacen("GET / ", &query, 1)), [414, 101], Limit::HeadTarget).await;
}

/// Opens a socket by hand, with little room for what it is sent.
async fn upgraded(stage: &Stage) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut tcp = socket.connect(stage.address).await.unwrap();
    tcp.write_all(format!("{GOOD}\r\n").as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(tcp.read_u8()).await.unwrap());
    }
    tcp
}

fn frame(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let frame = RawFrame::client(opcode, payload, &mut || [1, 2, 3, 4]);
    frame.encode(&mut out);
    if !fin {
        out[0] &= 0x7f;
    }
    out
}

/// Sends `bytes`, and gives the close code that came back, if one did, and the verdict.
async fn closed_for(route: RouteConfig, bytes: &[u8]) -> (Option<u16>, Option<VerdictEvent>, Stage) {
    let stage = Stage::plain(route).await;
    let mut tcp = upgraded(&stage).await;
    let _ = tcp.write_all(bytes).await;
    let answer = read_out(&mut tcp).await;
    let close = answer.windows(2).position(|w| w[0] == 0x88 && w[1] >= 2);
    let code = close.and_then(|at| Some(u16::from_be_bytes([*answer.get(at + 2)?, *answer.get(at + 3)?])));
    let verdict = stage.events().into_iter().find_map(|event| match event {
        Event::Verdict(verdict) if verdict.decision != Decision::Note => Some(verdict),
        Event::Verdict(_)
        | Event::Open(_)
        | Event::Close(_)
        | Event::Notice(_)
        | Event::Request(_)
        | Event::Audit(_) => None,
    });
    (code, verdict, stage)
}

#[tokio::test]
async fn floods_of_frames_are_closed_where_they_are_limited_and_pass_where_they_are_not() {
    let empty = [
        frame(false, Opcode::Text, b"a"),
        frame(false, Opcode::Continuation, b"").repeat(50),
        frame(true, Opcode::Continuation, b"z"),
    ]
    .concat();
    let many = frame(true, Opcode::Binary, b"").repeat(200);
    let large = frame(true, Opcode::Binary, &[b'x'; 70_000]);
    for (bytes, limit, code) in [
        (&empty, Limit::EmptyFragments, 1008),
        (&many, Limit::FrameRate, 1008),
        (&large, Limit::FrameSize, 1009),
    ] {
        let app = App::start().await;
        let mut route = route_to(app.address);
        route.frame_limits.frames_per_second = 10;
        let (told, verdict, stage) = closed_for(route.clone(), bytes).await;
        let verdict = verdict.unwrap();
        assert_eq!((told, verdict.limit), (Some(code), Some(limit)));
        assert_eq!((verdict.rule.as_str(), verdict.decision), (limit.rule(), Decision::Close(code)));
        assert_eq!(exceeded(&stage, limit), 1);
        assert_eq!(app.close_seen().await.map(|(code, _)| code), Some(1001));

        let app = App::start().await;
        route.upstream = format!("ws://{}", app.address);
        route.frame_limits.mode = Mode::Off;
        let (told, verdict, stage) = closed_for(route, bytes).await;
        assert_eq!((told, verdict.map(|verdict| verdict.limit)), (None, None), "{limit:?}");
        assert_eq!(exceeded(&stage, limit), 0);
        let got_through = |seen: &Seen| matches!(seen, Seen::Text(_) | Seen::Binary(_)).then_some(());
        app.wait_for(got_through).await;
    }
}

#[tokio::test]
async fn the_application_may_send_what_a_client_may_not() {
    let app = App::start().await;
    // The application sends back what it gets: its own limit is that of the answer.
    let mut route = route_to(app.address);
    (route.frame_limits.frame, route.frame_limits.message) = (ByteSize::mib(4), ByteSize::mib(4));
    let stage = Stage::plain(route.clone()).await;
    let mut client = stage.greeted().await;
    client.send_text(&"x".repeat(1 << 20)).await.unwrap();
    assert_eq!(text(&mut client).await.len(), 1 << 20);
    client.send_text(&"x".repeat((1 << 20) + 1)).await.unwrap();
    assert_eq!(crate::stage::closed(&mut client).await.0, 1001);
    assert_eq!(app.close_seen().await.map(|(code, _)| code), Some(1009));
    assert_eq!(exceeded(&stage, Limit::FrameSize), 1);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_closed_after_a_while() {
    let app = App::start().await;
    let route = |stalled_write| {
        let mut route = route_to(app.address);
        route.timeouts.ping_interval = None;
        route.timeouts.stalled_write = stalled_write;
        (route.frame_limits.frame, route.frame_limits.message) = (ByteSize::mib(1), ByteSize::mib(1));
        route
    };
    for stalled_write in [None, Some(HumanDuration::from_millis(400))] {
        let stage = Stage::plain(route(stalled_write)).await;
        let mut slow = upgraded(&stage).await;
        // Each comes back; nothing of it is read.
        let large = frame(true, Opcode::Binary, &[b'x'; 1 << 20]);
        let _ = tokio::time::timeout(Duration::from_secs(1), async {
            for _ in 0..20 {
                if slow.write_all(&large).await.is_err() {
                    break;
                }
            }
        })
        .await;
        let mut lively = stage.greeted().await;
        if stalled_write.is_some() {
            until_exceeded(&stage, Limit::StalledWrite).await;
            assert!(told_of(&stage.events(), Limit::StalledWrite));
            assert_eq!(app.close_seen().await.map(|(code, _)| code), Some(1001));
        } else {
            tokio::time::sleep(Duration::from_millis(600)).await;
            assert_eq!(stage.control().counters().routes[0].active, 2);
        }
        lively.send_text("nobody else notices").await.unwrap();
        assert_eq!(text(&mut lively).await, "nobody else notices");
    }
}

/// Gives what the application sends back to a new client.
async fn echo(stage: &Stage) -> String {
    let mut client = stage.greeted().await;
    client.send_text("still here").await.unwrap();
    text(&mut client).await
}

#[tokio::test]
async fn what_readers_choke_on_is_closed_where_it_is_limited_and_passes_where_it_is_not() {
    let names: String = (0..6000).map(|name| format!("\"{name}\":0,")).collect();
    let cases = [
        (format!("[{}]", "9".repeat(200)), Limit::Digits),
        (format!("[{}0]", "0,".repeat(11_000)), Limit::Items),
        (format!("{{{names}\"last\":0}}"), Limit::Keys),
        (format!("{}1{}", "[".repeat(100), "]".repeat(100)), Limit::Depth),
        (format!("[\"{}\"]", "x".repeat(2000)), Limit::Text),
    ];
    for (message, limit) in cases {
        let bytes = frame(true, Opcode::Text, message.as_bytes());
        let app = App::start().await;
        let mut route = route_to(app.address);
        (route.frame_limits.frame, route.frame_limits.message) = (ByteSize::mib(1), ByteSize::mib(1));
        route.inspect.text = ByteSize::kib(1);
        let (told, verdict, stage) = closed_for(route.clone(), &bytes).await;
        assert_eq!((told, verdict.and_then(|verdict| verdict.limit)), (Some(1009), Some(limit)));
        assert_eq!(exceeded(&stage, limit), 1);

        (route.inspect.digits, route.inspect.items, route.inspect.keys) = (FAR, FAR, FAR);
        (route.inspect.depth, route.inspect.values, route.inspect.text) = (1000, FAR, ByteSize::mib(1));
        let (told, verdict, stage) = closed_for(route, &bytes).await;
        assert_eq!((told, verdict.map(|verdict| verdict.reason)), (None, None), "{limit:?}");
        assert_eq!(exceeded(&stage, limit), 0);
        assert!(app.seen().contains(&Seen::Text(message)), "{limit:?}");
    }
}

//! Applications at several addresses: whole, broken in every way, and back again.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sockwarden_config::HumanDuration;
use sockwarden_gateway::{
    Auth, Balance, CheckConfig, HealthConfig, LimitsConfig, ListenerConfig, ProxiesConfig, RouteConfig,
};
use sockwarden_model::{AddressHealth, Event, Notice};
use sockwarden_net::{ClientError, DevCertificate, Stream, read_proxy_header};
use sockwarden_proto::handshake::accept_value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixListener},
    task::AbortHandle,
};

use crate::stage::{App, GOOD, PATIENCE, Seen, Stage, echo, route_to, soon, status, text};

const MS: fn(u64) -> HumanDuration = HumanDuration::from_millis;

/// How a server of these tests behaves once it has read a request's head.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    /// Answers rightly and keeps the connection.
    Right,
    /// Answers rightly, in ten parts, over so many milliseconds.
    Slow(u64),
    /// Never answers.
    Hung,
    Nonsense,
    /// Half an answer, then the end.
    Half,
    /// Ends the connection without an answer.
    Silent,
    Status(u16),
}

/// A server that counts the upgrades it was asked for; `/healthz` is answered with a status of its own.
struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    health: Arc<AtomicU16>,
    accepting: AbortHandle,
}

impl Server {
    async fn start(manner: Manner) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), manner).await
    }

    async fn start_at(address: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, health) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU16::new(200)));
        let (count, healthy) = (Arc::clone(&asked), Arc::clone(&health));
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                connections.spawn(behave(tcp, manner, Arc::clone(&count), Arc::clone(&healthy)));
            }
        });
        Self { address, asked, health, accepting: accepting.abort_handle() }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Ends the listener and every connection.
    async fn kill(self) -> SocketAddr {
        self.accepting.abort();
        soon(async {
            while TcpStream::connect(self.address).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        self.address
    }
}

async fn behave(mut tcp: TcpStream, manner: Manner, asked: Arc<AtomicUsize>, health: Arc<AtomicU16>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if tcp.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    if request.starts_with("GET /healthz ") {
        let answer =
            format!("HTTP/1.1 {} Health\r\nContent-Length: 0\r\n\r\n", health.load(Ordering::Relaxed));
        let _ = tcp.write_all(answer.as_bytes()).await;
        return;
    }
    asked.fetch_add(1, Ordering::Relaxed);
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap_or_default();
    let right = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept_value(key.as_bytes())
    );
    let answer = match manner {
        Manner::Right | Manner::Slow(_) => right,
        Manner::Hung | Manner::Silent => String::new(),
        Manner::Nonsense => "\u{0}\u{1} who are you?\r\n\r\n".to_owned(),
        Manner::Half => right[..right.len() / 2].to_owned(),
        Manner::Status(status) => format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n"),
    };
    if let Manner::Slow(milliseconds) = manner {
        for part in answer.as_bytes().chunks(answer.len() / 9) {
            tokio::time::sleep(Duration::from_millis(milliseconds) / 10).await;
            if tcp.write_all(part).await.is_err() {
                return;
            }
        }
    } else {
        let _ = tcp.write_all(answer.as_bytes()).await;
    }
    if matches!(manner, Manner::Right | Manner::Slow(_) | Manner::Hung) {
        while tcp.read_buf(&mut Vec::with_capacity(1024)).await.is_ok_and(|n| n > 0) {}
    }
}

/// An address where nothing listens.
async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn route_over(addresses: &[SocketAddr]) -> RouteConfig {
    let mut route = RouteConfig::new("app", "ws://app.internal", Auth::NONE);
    route.upstreams.addresses = addresses.iter().map(ToString::to_string).collect();
    // Longer than any test, where it does not say otherwise.
    route.upstreams.health.eject = HumanDuration::from_secs(60);
    route
}

fn impatient() -> LimitsConfig {
    LimitsConfig { upstream_timeout: MS(500), ..LimitsConfig::default() }
}

/// Asks for an upgrade; gives the status, and the connection, so that it stays.
async fn ask(stage: &Stage) -> (u16, TcpStream) {
    let mut tcp = TcpStream::connect(stage.address).await.unwrap();
    tcp.write_all(format!("{GOOD}\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        if soon(tcp.read_buf(&mut answer)).await.unwrap_or(0) == 0 {
            break;
        }
    }
    (status(&answer), tcp)
}

fn notices(events: &[Event]) -> Vec<Notice> {
    let noticed = events.iter().filter_map(|event| match event {
        Event::Notice(notice) => Some(notice.notice),
        Event::Open(_) | Event::Close(_) | Event::Request(_) | Event::Verdict(_) | Event::Audit(_) => None,
    });
    noticed.collect()
}

#[tokio::test]
async fn every_failure_of_an_application_has_its_status_and_ends_in_time() {
    // Long enough for a busy machine to tell the slow from the hung.
    let limits = LimitsConfig { upstream_timeout: MS(2_000), ..LimitsConfig::default() };
    let check = async |manner, expected: u16| {
        let server = Server::start(manner).await;
        let stage = Stage::start(route_to(server.address), false, limits.clone()).await;
        let begun = Instant::now();
        assert_eq!(ask(&stage).await.0, expected, "{manner:?}");
        assert!(begun.elapsed() < Duration::from_secs(6), "{manner:?}");
        assert_eq!(server.asked(), 1, "{manner:?}");
    };
    check(Manner::Right, 101).await;
    check(Manner::Slow(100), 101).await;
    check(Manner::Slow(20_000), 504).await;
    check(Manner::Hung, 504).await;
    check(Manner::Nonsense, 502).await;
    check(Manner::Half, 502).await;
    check(Manner::Silent, 502).await;
    check(Manner::Status(503), 503).await;
    check(Manner::Status(302), 502).await;
}

#[tokio::test]
async fn an_application_that_was_killed_is_found_again() {
    let server = Server::start(Manner::Right).await;
    let mut route = route_to(server.address);
    route.upstreams.health = HealthConfig { failures: 3, eject: MS(100), eject_at_most: MS(200) };
    let stage = Stage::start(route, false, impatient()).await;
    assert_eq!(ask(&stage).await.0, 101);
    let address = server.kill().await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(ask(&stage).await.0);
    }
    // Once it is known to be down the client is told so, and it is tried all the same.
    assert_eq!(statuses, [502, 502, 502, 503, 503]);
    assert_eq!(notices(&stage.events()), [Notice::UpstreamEjected]);
    let shown = || stage.control().routes().remove(0).addresses.remove(0);
    // The first session ends in its own time.
    soon(async {
        while shown().active > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let ejected = shown();
    assert_eq!((ejected.address, ejected.health), (address.to_string(), AddressHealth::Ejected));
    assert_eq!((ejected.failures, ejected.active), (5, 0));
    let server = Server::start_at(address, Manner::Right).await;
    assert_eq!(ask(&stage).await.0, 101, "an application's only address is never left alone");
    assert_eq!((ask(&stage).await.0, server.asked()), (101, 2));
    assert_eq!(notices(&stage.events()), [Notice::UpstreamBack]);
    let back = shown();
    assert!(back.health == AddressHealth::Healthy && back.since_ms >= ejected.since_ms, "{back:?}");
    let counted = stage.control().counters().routes.remove(0).upstream;
    assert_eq!((counted.healthy, counted.ejected, counted.ejections), (1, 0, 1));
}

#[tokio::test]
async fn an_address_that_takes_no_connection_is_followed_by_the_next() {
    let server = Server::start(Manner::Right).await;
    let dead = [nowhere().await, nowhere().await];
    let stage = Stage::plain(route_over(&[dead[0], dead[1], server.address])).await;
    for _ in 0..20 {
        assert_eq!(ask(&stage).await.0, 101);
    }
    assert_eq!(server.asked(), 20);
    let mut route = route_over(&[dead[0], dead[1], server.address]);
    route.upstreams.attempts = 1;
    let stage = Stage::plain(route).await;
    let mut statuses = Vec::new();
    for _ in 0..200 {
        statuses.push(ask(&stage).await.0);
    }
    let failed = statuses.iter().filter(|status| **status == 502).count();
    assert_eq!(failed, 6, "three failures eject each, and then only what works is left: {statuses:?}");
}

#[tokio::test]
async fn a_request_is_never_sent_twice() {
    for manner in [Manner::Silent, Manner::Half, Manner::Nonsense, Manner::Hung] {
        let [bad, good] = [Server::start(manner).await, Server::start(Manner::Right).await];
        let stage = Stage::start(route_over(&[bad.address, good.address]), false, impatient()).await;
        let mut failed = 0;
        for _ in 0..100 {
            failed += usize::from(ask(&stage).await.0 != 101);
        }
        assert_eq!((bad.asked(), good.asked()), (failed, 100 - failed), "{manner:?}");
        assert_eq!(failed, 3, "{manner:?}: three failures in a row eject it");
    }
}

#[tokio::test]
async fn a_no_of_the_application_is_a_sign_of_life() {
    let [no, good] = [Server::start(Manner::Status(500)).await, Server::start(Manner::Right).await];
    let stage = Stage::plain(route_over(&[no.address, good.address])).await;
    for _ in 0..60 {
        ask(&stage).await;
    }
    assert!(no.asked() > 10, "asked {} times", no.asked());
    assert_eq!(notices(&stage.events()), []);
}

#[tokio::test]
async fn an_address_comes_back_when_its_time_is_over() {
    let [one, other] = [Server::start(Manner::Right).await, Server::start(Manner::Right).await];
    let mut route = route_over(&[one.address, other.address]);
    route.upstreams.health = HealthConfig { failures: 1, eject: MS(300), eject_at_most: MS(300) };
    let stage = Stage::plain(route).await;
    let address = one.kill().await;
    let mut open = Vec::new();
    for _ in 0..10 {
        open.push(ask(&stage).await);
    }
    assert!(open.iter().all(|(status, _)| *status == 101), "nobody notices");
    let one = Server::start_at(address, Manner::Right).await;
    soon(async {
        while one.asked() == 0 {
            open.push(ask(&stage).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn connections_go_where_the_fewest_are_or_always_to_the_same() {
    let spread = async |balance| {
        let servers = [(); 3].map(|()| Server::start(Manner::Right));
        let [a, b, c] = servers;
        let servers = [a.await, b.await, c.await];
        let mut route = route_over(&servers.each_ref().map(|server| server.address));
        route.upstreams.balance = balance;
        let stage = Stage::plain(route).await;
        let mut open = Vec::new();
        for _ in 0..12 {
            open.push(ask(&stage).await);
        }
        let mut counts = servers.each_ref().map(Server::asked);
        counts.sort_unstable();
        counts
    };
    assert_eq!(spread(Balance::LeastConnections).await, [4, 4, 4]);
    assert_eq!(spread(Balance::HashAddress).await, [0, 0, 12]);
    assert_eq!(spread(Balance::HashUser).await, [0, 0, 12], "without a user by address");
}

#[tokio::test]
async fn a_failed_check_takes_an_address_out_and_a_passed_one_brings_it_back() {
    let [one, other] = [Server::start(Manner::Right).await, Server::start(Manner::Right).await];
    one.health.store(500, Ordering::Relaxed);
    let mut route = route_over(&[one.address, other.address]);
    let path = Some("/healthz".to_owned());
    route.upstreams.check = Some(CheckConfig { path, interval: MS(20), timeout: MS(500) });
    let stage = Stage::plain(route).await;
    let asked_within = async |rounds: usize| {
        let before = one.asked();
        for _ in 0..rounds {
            assert_eq!(ask(&stage).await.0, 101);
        }
        one.asked() - before
    };
    soon(async { while asked_within(20).await > 0 {} }).await;
    one.health.store(204, Ordering::Relaxed);
    soon(async { while asked_within(20).await == 0 {} }).await;
    assert_eq!(notices(&stage.events()), [Notice::UpstreamEjected, Notice::UpstreamBack]);
}

#[tokio::test]
async fn a_unix_socket_is_as_safe_as_loopback() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let record = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&record);
    tokio::spawn(async move {
        let (unix, _) = listener.accept().await.unwrap();
        echo(Stream::Unix(unix), &record).await;
    });
    let mut route = RouteConfig::new("app", "ws://app.internal", Auth::NONE);
    route.upstreams.addresses = vec![format!("unix:{}", path.display())];
    let stage = Stage::plain(route).await;
    let mut client = stage.greeted().await;
    client.send_text("ahoy").await.unwrap();
    assert_eq!(text(&mut client).await, "ahoy");
    assert!(seen.lock().unwrap().contains(&Seen::Text("ahoy".to_owned())));
}

#[tokio::test]
async fn the_name_in_the_certificate_is_that_of_the_url() {
    let dev = DevCertificate::generate().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &dev.authority).unwrap();
    let app = App::start_tls(&dev).await;
    let through = async |url: &str| {
        let mut route = RouteConfig::new("app", url, Auth::NONE);
        route.upstreams.addresses = vec![app.address.to_string()];
        route.upstream_ca = Some(ca.clone());
        let stage = Stage::plain(route).await;
        match stage.connect("/", |_| ()).await {
            Ok(_) => (101, String::new()),
            Err(ClientError::Refused { status, .. }) => (status, stage.verdict().await.rule),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(through("wss://localhost:1").await, (101, String::new()));
    assert_eq!(through("wss://app.internal").await, (502, "upstream-tls".to_owned()));
}

#[tokio::test]
async fn an_application_that_asks_for_a_certificate_is_shown_it() {
    use tokio_rustls::rustls::{
        RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::WebPkiClientVerifier,
    };
    let dev = DevCertificate::generate().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        Some(folder.path().join(name))
    };
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(dev.authority.as_bytes()).unwrap()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(dev.certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(dev.key.as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut route = RouteConfig::new("app", &format!("wss://{}", listener.local_addr().unwrap()), Auth::NONE);
    route.upstream_ca = file("ca.pem", &dev.authority);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            if let Ok(tls) = acceptor.accept(tcp).await {
                tokio::spawn(async move { echo(Stream::Server(Box::new(tls)), &Mutex::default()).await });
            }
        }
    });
    let stage = Stage::plain(route.clone()).await;
    assert_eq!(ask(&stage).await.0, 502, "without a certificate");
    route.upstream_certificate = file("cert.pem", &dev.certificate);
    route.upstream_key = file("key.pem", &dev.key);
    let stage = Stage::plain(route).await;
    assert_eq!(ask(&stage).await.0, 101);
}

#[tokio::test]
async fn the_application_is_told_whose_connection_it_is_handed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut route = route_to(listener.local_addr().unwrap());
    route.upstream_proxy_protocol = true;
    let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            told.send(read_proxy_header(&mut tcp).await.unwrap()).unwrap();
            tokio::spawn(async move { echo(Stream::Plain(tcp), &Mutex::default()).await });
        }
    });
    let proxies =
        ProxiesConfig { trusted: vec!["127.0.0.1/32".parse().unwrap()], ..ProxiesConfig::default() };
    let door = ListenerConfig { proxies, ..ListenerConfig::new("127.0.0.1:0") };
    let stage = Stage::listening(door, route, LimitsConfig::default()).await;
    let (status, direct) = ask(&stage).await;
    assert_eq!(status, 101);
    assert_eq!(soon(tells.recv()).await.unwrap(), Some(direct.local_addr().unwrap()));
    let _client = stage
        .connect("/", |h| h.headers.push(("X-Forwarded-For".into(), b"192.0.2.7".to_vec())))
        .await
        .unwrap();
    let client = soon(tells.recv()).await.unwrap().unwrap();
    assert_eq!(client, "192.0.2.7:0".parse().unwrap(), "the port is the proxy's");
}

#[tokio::test]
async fn a_name_is_asked_for_and_one_that_stands_for_nothing_is_not_waited_for() {
    let server = Server::start(Manner::Right).await;
    let route = RouteConfig::new("app", &format!("ws://localhost:{}", server.address.port()), Auth::NONE);
    let stage = Stage::plain(route).await;
    for _ in 0..10 {
        assert_eq!(ask(&stage).await.0, 101);
    }
    let mut route = RouteConfig::new("app", "wss://nobody.invalid", Auth::NONE);
    route.upstreams.connect_timeout = MS(1_000);
    let stage = Stage::plain(route).await;
    let begun = Instant::now();
    assert_eq!(ask(&stage).await.0, 502);
    assert!(begun.elapsed() < PATIENCE / 2);
    assert!(stage.verdict().await.reason.contains("`nobody.invalid` does not resolve"));
}

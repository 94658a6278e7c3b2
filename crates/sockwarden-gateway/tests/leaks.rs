//! Nothing is left behind, however often and in whatever way an application fails. Alone in its process, whose open files and
//! tasks it counts.
//!
//! `SOCKWARDEN_REPETITIONS` says how many connections are made; 200 where it is not set.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use sockwarden_config::HumanDuration;
use sockwarden_gateway::{
    Auth, ChangedRoutes, CheckConfig, Gateway, HealthConfig, LimitsConfig, ListenerConfig, ReloadConfig,
    RouteConfig, build,
};
use sockwarden_model::event_channel;
use sockwarden_proto::handshake::accept_value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// How many connections are made at once.
const AT_ONCE: usize = 8;

/// The most memory that may be held more than before: what allocators and threads keep for themselves.
const MOST_GROWTH: usize = 24 << 20;

const MS: fn(u64) -> HumanDuration = HumanDuration::from_millis;

/// What a server does with a connection once it has read a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    Hung,
    Slow,
    Nonsense,
    Half,
    Reset,
    /// Agrees, and vanishes in the middle of a frame.
    Killed,
    /// Agrees and stays.
    Right,
}

const MANNERS: [Manner; 6] =
    [Manner::Hung, Manner::Slow, Manner::Nonsense, Manner::Half, Manner::Reset, Manner::Killed];

async fn server(manner: Manner) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(behave(tcp, manner));
        }
    });
    address
}

async fn behave(mut tcp: TcpStream, manner: Manner) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if tcp.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let request = String::from_utf8_lossy(&request);
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap_or_default();
    let right = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept_value(key.as_bytes())
    );
    match manner {
        Manner::Right => {
            let _ = tcp.write_all(right.as_bytes()).await;
            while tcp.read_buf(&mut Vec::with_capacity(1024)).await.is_ok_and(|n| n > 0) {}
        }
        Manner::Hung => while tcp.read_buf(&mut Vec::with_capacity(1024)).await.is_ok_and(|n| n > 0) {},
        Manner::Slow => {
            for byte in right.bytes() {
                tokio::time::sleep(Duration::from_millis(5)).await;
                if tcp.write_all(&[byte]).await.is_err() {
                    return;
                }
            }
        }
        Manner::Nonsense => tcp.write_all(b"\0\x01nonsense\r\n\r\n").await.unwrap_or_default(),
        Manner::Half => tcp.write_all(&right.as_bytes()[..40]).await.unwrap_or_default(),
        Manner::Reset => tcp.set_zero_linger().unwrap(),
        Manner::Killed => {
            let _ = tcp.write_all(&[right.as_bytes(), &[0x81, 10, b'h', b'a']].concat()).await;
            tcp.set_zero_linger().unwrap();
        }
    }
}

/// The routes: one to an address where nothing listens, one to each manner of failing, one to all of them, and last one to an address that works.
async fn routes() -> Vec<RouteConfig> {
    let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut addresses = vec![("Refusing".to_owned(), refusing)];
    for manner in MANNERS {
        addresses.push((format!("{manner:?}"), server(manner).await));
    }
    let route = |name: &str, addresses: Vec<String>| {
        let mut route = RouteConfig::new(name, "ws://app.internal", Auth::NONE);
        route.path = format!("/{name}");
        route.upstreams.addresses = addresses;
        route.upstreams.health = HealthConfig { failures: 3, eject: MS(20), eject_at_most: MS(50) };
        route.upstreams.check = Some(CheckConfig { path: None, interval: MS(50), timeout: MS(20) });
        route
    };
    let all = addresses.iter().map(|(_, address)| address.to_string()).collect();
    let mut routes: Vec<_> =
        addresses.iter().map(|(name, address)| route(name, vec![address.to_string()])).collect();
    routes.push(route("All", all));
    routes.push(RouteConfig {
        path: "/Nameless".to_owned(),
        ..RouteConfig::new("Nameless", "wss://nobody.invalid", Auth::NONE)
    });
    routes.push(route("Right", vec![server(Manner::Right).await.to_string()]));
    routes
}

/// Asks for an upgrade and reads until the end; gives the status.
async fn ask(gateway: SocketAddr, path: &str) -> u16 {
    let mut tcp = TcpStream::connect(gateway).await.unwrap();
    tcp.write_all(request(path).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), tcp.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "{path}: the gateway keeps a connection whose application is gone");
    String::from_utf8_lossy(&answer).get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0)
}

fn request(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// How much memory is resident, in bytes of pages of 4 KiB.
fn memory() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// How many files are open and how many tasks live.
fn held() -> (usize, usize) {
    let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
    (files, tokio::runtime::Handle::current().metrics().num_alive_tasks())
}

/// How much is held between two rounds of health checks.
async fn least_held() -> (usize, usize) {
    let mut least = held();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = held();
        least = (least.0.min(now.0), least.1.min(now.1));
    }
    least
}

/// Waits until no more is held than `before`, or gives what is.
async fn settles(before: (usize, usize)) -> (usize, usize) {
    for _ in 0..400 {
        let now = held();
        if now.0 <= before.0 && now.1 <= before.1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    held()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_of_applications_leave_no_socket_and_no_task_behind() {
    let repetitions: usize =
        std::env::var("SOCKWARDEN_REPETITIONS").ok().map_or(200, |text| text.parse().unwrap());
    let mut routes = routes().await;
    let limits =
        LimitsConfig { upstream_timeout: MS(250), close_timeout: MS(100), ..LimitsConfig::default() };
    let before_gateway = held();
    let listener = ListenerConfig::new("127.0.0.1:0");
    let keep = ReloadConfig { changed_routes: ChangedRoutes::Keep, ..ReloadConfig::default() };
    let built = build(std::slice::from_ref(&listener), &routes, &limits).unwrap();
    let (sender, events) = event_channel(1_000);
    let mut gateway = Gateway::start(built, sender).await.unwrap();
    let address = gateway.listening()[0].address;
    let idle = least_held().await;
    let memory_before = memory();
    let mut asking = JoinSet::new();
    let mut statuses: BTreeMap<String, Vec<u16>> = BTreeMap::new();
    let failing = routes.len() - 1;
    for round in 0..repetitions {
        if asking.len() >= AT_ONCE {
            let (path, status) = asking.join_next().await.unwrap().unwrap();
            statuses.entry(path).or_default().push(status);
        }
        let path = routes[round % failing].path.clone();
        asking.spawn(async move {
            let status = ask(address, &path).await;
            (path, status)
        });
        let _ = events.try_iter().count();
    }
    while let Some(done) = asking.join_next().await {
        let (path, status) = done.unwrap();
        statuses.entry(path).or_default().push(status);
    }
    for (path, statuses) in &statuses {
        let fits: &[u16] = match path.as_str() {
            // A busy machine may be late; how failures are told is shown elsewhere.
            "/Killed" => &[101, 504],
            "/Hung" | "/Slow" => &[504],
            "/Refusing" => &[502, 503],
            "/Nameless" => &[502],
            "/All" => &[101, 502, 504],
            _ => &[502, 504],
        };
        assert!(statuses.iter().all(|status| fits.contains(status)), "{path}: {statuses:?}");
    }
    assert_eq!(statuses.values().map(Vec::len).sum::<usize>(), repetitions);
    let after = settles(idle).await;
    let grown = memory().saturating_sub(memory_before);
    assert!(grown < MOST_GROWTH, "{grown} bytes more than before");
    assert!(after.0 <= idle.0 && after.1 <= idle.1, "files and tasks: {after:?}, and {idle:?} before");
    // A session that goes on keeps its route's past alive, but nothing that runs beside it.
    let mut session = TcpStream::connect(address).await.unwrap();
    session.write_all(request("/Right").as_bytes()).await.unwrap();
    assert!(session.read_buf(&mut Vec::with_capacity(1024)).await.unwrap() > 0);
    for times in 1..=5 {
        routes.iter_mut().for_each(|route| route.upstreams.connect_timeout = MS(1_000 + times));
        let built = build(std::slice::from_ref(&listener), &routes, &limits).unwrap();
        assert_eq!(gateway.reload(built, &keep).await.unwrap().changed, routes.len());
    }
    // Two sockets and the tasks of a session here and at the application.
    let after = settles((idle.0 + 4, idle.1 + 2)).await;
    assert!(after.0 <= idle.0 + 4 && after.1 <= idle.1 + 2, "{after:?} after reloads, and {idle:?} before");
    drop(session);
    gateway.stop().await;
    assert_eq!(settles(before_gateway).await, before_gateway, "files and tasks, with the gateway gone");
}

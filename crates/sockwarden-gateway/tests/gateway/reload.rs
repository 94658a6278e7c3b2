//! New configurations under live sockets, and ends in order.

use std::time::{Duration, Instant};

use sockwarden_config::{ByteSize, HumanDuration};
use sockwarden_defend::defences::RateLimitConfig;
use sockwarden_gateway::{
    Built, ChangedRoutes, DrainCode, DrainConfig, Gateway, LimitsConfig, ListenerConfig, ReloadConfig,
    RouteConfig, build,
};
use sockwarden_model::{Readiness, Reloaded, event_channel};
use sockwarden_net::{Client, ClientTls, DialOptions};
use sockwarden_proto::Limits;

use crate::stage::{App, PATIENCE, closed, route_to, soon, text};

fn at(path: &str, app: &App) -> RouteConfig {
    let rate_limit = RateLimitConfig::relaxed();
    RouteConfig { name: path.to_owned(), path: path.to_owned(), rate_limit, ..route_to(app.address) }
}

fn built(address: &str, routes: &[RouteConfig]) -> Built {
    build(&[ListenerConfig::new(address)], routes, &LimitsConfig::default()).unwrap()
}

async fn connect(address: std::net::SocketAddr, path: &str) -> Client {
    let options = DialOptions { tls: ClientTls::insecure().unwrap(), timeout: PATIENCE, connect_to: None };
    let url = format!("ws://{address}{path}").parse().unwrap();
    let mut client = soon(Client::connect(&url, &options, Limits::default(), |_| ())).await.unwrap();
    assert_eq!(text(&mut client).await, "hello");
    client
}

async fn echoes(client: &mut Client, message: &str) {
    client.send_text(message).await.unwrap();
    assert_eq!(text(client).await, message);
}

#[tokio::test]
async fn sessions_of_unchanged_routes_live_on_and_new_rules_hold_for_new_ones() {
    let app = App::start().await;
    let routes = [at("/same", &app), at("/tighter", &app), at("/gone", &app)];
    let (sender, _events) = event_channel(10_000);
    let mut gateway = Gateway::start(built("127.0.0.1:0", &routes), sender).await.unwrap();
    let address = gateway.listening()[0].address;
    let mut same = connect(address, "/same").await;
    let mut tighter = connect(address, "/tighter").await;
    let mut gone = connect(address, "/gone").await;

    let mut changed = at("/tighter", &app);
    changed.frame_limits.message = ByteSize::bytes(10);
    let next = [at("/same", &app), changed, at("/new", &app)];
    let keep = ReloadConfig::default();
    let reloaded = gateway.reload(built("127.0.0.1:0", &next), &keep).await.unwrap();
    assert_eq!(reloaded, Reloaded { unchanged: 1, changed: 2, removed: 1, closing: 0 });
    assert_eq!(gateway.listening()[0].address, address, "the socket was given up");
    for client in [&mut same, &mut tighter, &mut gone] {
        echoes(client, "longer than ten bytes").await;
    }
    let mut late = connect(address, "/tighter").await;
    late.send_text("longer than ten bytes").await.unwrap();
    assert_eq!(closed(&mut late).await.0, 1009);
    echoes(&mut connect(address, "/new").await, "hi").await;

    let close =
        ReloadConfig { changed_routes: ChangedRoutes::Close, window: HumanDuration::from_millis(300) };
    let reloaded = gateway.reload(built("127.0.0.1:0", &[at("/same", &app)]), &close).await.unwrap();
    assert_eq!((reloaded.unchanged, reloaded.removed), (1, 2));
    assert_eq!(closed(&mut tighter).await.0, 1012);
    echoes(&mut same, "still the first session").await;
    // What was gone before this reload is no longer this reload's affair.
    echoes(&mut gone, "forgotten").await;
}

#[tokio::test]
async fn a_handshake_under_way_does_not_outlive_the_route_that_it_began_with() {
    let app = App::start().await;
    let door = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow = RouteConfig { upstream: format!("ws://{}", door.local_addr().unwrap()), ..at("/slow", &app) };
    let (sender, _events) = event_channel(100);
    let mut gateway = Gateway::start(built("127.0.0.1:0", &[slow]), sender).await.unwrap();
    let address = gateway.listening()[0].address;
    let knocking = tokio::spawn(connect(address, "/slow"));
    let (mut knock, _) = soon(door.accept()).await.unwrap();

    let close = ReloadConfig { changed_routes: ChangedRoutes::Close, window: HumanDuration::from_millis(10) };
    gateway.reload(built("127.0.0.1:0", &[at("/slow", &app)]), &close).await.unwrap();
    let mut inside = tokio::net::TcpStream::connect(app.address).await.unwrap();
    let relaying = async {
        let _ = tokio::io::copy_bidirectional(&mut knock, &mut inside).await;
    };
    let dismissed = async {
        let mut client = soon(knocking).await.unwrap();
        assert_eq!(closed(&mut client).await, (1012, "the configuration changed".to_owned()));
    };
    tokio::join!(relaying, dismissed);
}

#[tokio::test]
async fn ten_reloads_under_traffic_lose_and_reorder_nothing() {
    let app = App::start().await;
    let (sender, _events) = event_channel(10_000);
    let mut gateway = Gateway::start(built("127.0.0.1:0", &[at("/same", &app)]), sender).await.unwrap();
    let address = gateway.listening()[0].address;
    let talkers: Vec<_> = (0..20)
        .map(|_| {
            tokio::spawn(async move {
                let mut client = connect(address, "/same").await;
                for number in 0..200 {
                    echoes(&mut client, &format!("message {number}")).await;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            })
        })
        .collect();
    for round in 0..10 {
        tokio::time::sleep(Duration::from_millis(40)).await;
        let other = at(&format!("/other{round}"), &app);
        let close = ReloadConfig { changed_routes: ChangedRoutes::Close, ..ReloadConfig::default() };
        let reloaded =
            gateway.reload(built("127.0.0.1:0", &[at("/same", &app), other]), &close).await.unwrap();
        assert_eq!(reloaded.unchanged, 1);
    }
    for talker in talkers {
        soon(talker).await.unwrap();
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_had_changes_nothing() {
    let app = App::start().await;
    let (sender, _events) = event_channel(100);
    let mut gateway = Gateway::start(built("127.0.0.1:0", &[at("/same", &app)]), sender).await.unwrap();
    let address = gateway.listening()[0].address;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let next = built(&taken.local_addr().unwrap().to_string(), &[at("/new", &app)]);
    assert!(gateway.reload(next, &ReloadConfig::default()).await.is_err());
    echoes(&mut connect(address, "/same").await, "as before").await;
}

#[tokio::test]
async fn listeners_come_and_go_and_connections_outlive_their_listener() {
    let app = App::start().await;
    let (sender, _events) = event_channel(100);
    let mut gateway = Gateway::start(built("127.0.0.1:0", &[at("/same", &app)]), sender).await.unwrap();
    let old = gateway.listening()[0].address;
    let mut client = connect(old, "/same").await;
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    gateway.reload(built(&free.to_string(), &[at("/same", &app)]), &ReloadConfig::default()).await.unwrap();
    assert_eq!(gateway.listening().iter().map(|l| l.address).collect::<Vec<_>>(), [free]);
    echoes(&mut connect(free, "/same").await, "by the new one").await;
    echoes(&mut client, "by the old one").await;
    soon(async {
        while tokio::net::TcpStream::connect(old).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_drain_withdraws_readiness_and_closes_all_within_the_window() {
    let app = App::start().await;
    let (sender, _events) = event_channel(1000);
    let gateway = Gateway::start(built("127.0.0.1:0", &[at("/", &app)]), sender).await.unwrap();
    let address = gateway.listening()[0].address;
    let mut clients = Vec::new();
    for _ in 0..40 {
        clients.push(connect(address, "/").await);
    }
    let control = gateway.control();
    let config = DrainConfig {
        delay: HumanDuration::from_millis(100),
        window: HumanDuration::from_secs(1),
        code: DrainCode::ServiceRestart,
        grace: HumanDuration::from_secs(2),
    };
    let begun = Instant::now();
    let draining = tokio::spawn(async move { gateway.drain(&config).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(control.readiness(), Readiness::Draining);
    let _during_the_delay = connect(address, "/").await;
    let mut moments = Vec::new();
    for client in clients {
        moments.push(tokio::spawn(async move {
            let mut client = client;
            let (code, _) = closed(&mut client).await;
            (code, begun.elapsed())
        }));
    }
    let mut quarters = [0; 4];
    for moment in moments {
        let (code, at) = soon(moment).await.unwrap();
        assert_eq!(code, 1012);
        let quarter = at.saturating_sub(Duration::from_millis(100)).as_millis() / 250;
        quarters[usize::try_from(quarter).unwrap().min(3)] += 1;
    }
    assert!(quarters.iter().all(|count| (5..=15).contains(count)), "not evenly spread: {quarters:?}");
    soon(draining).await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn who_does_not_close_is_cut_off_after_the_grace() {
    let app = App::start().await;
    let (sender, _events) = event_channel(1000);
    let gateway = Gateway::start(built("127.0.0.1:0", &[at("/", &app)]), sender).await.unwrap();
    let _deaf = connect(gateway.listening()[0].address, "/").await;
    let config = DrainConfig {
        window: HumanDuration::from_millis(10),
        grace: HumanDuration::from_millis(100),
        ..DrainConfig::default()
    };
    soon(gateway.drain(&config)).await;
}

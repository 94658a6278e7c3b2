//! Connections that are silent, slow or old.

use std::time::Duration;

use sockwarden_config::HumanDuration;
use sockwarden_gateway::{RouteConfig, TimeoutsConfig};
use sockwarden_model::{Event, Initiator};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::stage::{App, GOOD, Seen, Stage, closed, read_out, route_to, soon, text};

fn route(app: &App, change: impl FnOnce(&mut TimeoutsConfig)) -> RouteConfig {
    let mut timeouts = TimeoutsConfig { ping_interval: None, ..TimeoutsConfig::default() };
    change(&mut timeouts);
    RouteConfig { timeouts, ..route_to(app.address) }
}

const SHORT: Option<HumanDuration> = Some(HumanDuration::from_millis(300));

#[tokio::test]
async fn a_peer_that_answers_pings_stays_and_one_that_does_not_is_given_up() {
    let app = App::start().await;
    let stage = Stage::plain(route(&app, |t| {
        t.ping_interval = Some(HumanDuration::from_millis(100));
        t.pong = HumanDuration::from_millis(200);
    }))
    .await;
    let mut lively = stage.greeted().await;
    let waiting = tokio::time::timeout(Duration::from_secs(1), lively.next()).await;
    assert!(waiting.is_err(), "a client that answers pings was not left alone: {waiting:?}");
    lively.send_text("still here").await.unwrap();
    assert_eq!(text(&mut lively).await, "still here");

    let mut dead = tokio::net::TcpStream::connect(stage.address).await.unwrap();
    dead.write_all(format!("{GOOD}\r\n").as_bytes()).await.unwrap();
    assert_eq!(app.close_seen().await.map(|(code, _)| code), Some(1001));
    let answer = read_out(&mut dead).await;
    assert!(answer.windows(2).any(|w| w == b"\x89\x00"), "no ping came before: {answer:?}");
}

#[tokio::test]
async fn a_message_that_trickles_is_ended_and_told_why() {
    let app = App::start().await;
    let stage = Stage::plain(route(&app, |t| t.message = SHORT)).await;
    let mut tcp = tokio::net::TcpStream::connect(stage.address).await.unwrap();
    tcp.write_all(format!("{GOOD}\r\n").as_bytes()).await.unwrap();
    let mut head = [0; 4096];
    assert!(soon(tcp.read(&mut head)).await.unwrap() > 0);
    // A text of 100 bytes, of which one comes every 50 ms.
    tcp.write_all(&[0x81, 0x80 | 100, 0, 0, 0, 0]).await.unwrap();
    for _ in 0..20 {
        if tcp.write_all(b"x").await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let verdict = stage.verdict().await;
    assert!(verdict.reason.contains("longer than 300ms"), "{}", verdict.reason);
    assert_eq!(app.close_seen().await.map(|(code, _)| code), Some(1001));
    assert!(!app.seen().iter().any(|seen| matches!(seen, Seen::Text(_))));
}

#[tokio::test]
async fn idle_and_old_connections_are_closed_with_1001_on_both_sides() {
    for (what, change) in
        [("idle", (|t| t.idle = SHORT) as fn(&mut TimeoutsConfig)), ("open", |t| t.lifetime = SHORT)]
    {
        let app = App::start().await;
        let stage = Stage::plain(route(&app, change)).await;
        let mut client = stage.greeted().await;
        let (code, reason) = closed(&mut client).await;
        assert_eq!((code, reason), (1001, format!("{what} for 300ms")));
        assert_eq!(app.close_seen().await.map(|(code, _)| code), Some(1001));
        let ended = stage.events().into_iter().find_map(|event| match event {
            Event::Close(close) => Some(close.initiator),
            Event::Open(_) | Event::Verdict(_) | Event::Notice(_) | Event::Request(_) | Event::Audit(_) => {
                None
            }
        });
        assert_eq!(ended.unwrap_or(Initiator::Gateway), Initiator::Gateway);
    }
}

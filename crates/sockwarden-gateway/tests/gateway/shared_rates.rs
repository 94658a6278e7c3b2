//! Two gateways on one Redis hold a user to its rate, and lose nobody when it is gone.

use std::time::{Duration, Instant};

use sockwarden_config::HumanDuration;
use sockwarden_defend::defences::{BanConfig, OverdueKind, RateLimitConfig};
use sockwarden_gateway::{ListenerConfig, RouteConfig};
use sockwarden_model::{Event, Notice, StateCounters};
use sockwarden_net::{Client, ClientError};
use sockwarden_state::StateConfig;
use sockwarden_testkit::RedisServer;

use crate::stage::{App, Stage, closed, route_to, soon, text};

const RATE: u32 = 100;
const BURST: u32 = 50;

/// What one gateway asks ahead for: a tenth of a second's worth.
const LEASE: u32 = 10;

fn limits() -> RateLimitConfig {
    RateLimitConfig {
        messages_per_second: RATE,
        messages_burst: BURST,
        ban: BanConfig { after: 0, ..BanConfig::default() },
        ..RateLimitConfig::default()
    }
}

/// Starts a gateway that is up. All who connect come from one address, so they are one user.
async fn replica(app: &App, server: &RedisServer, rate_limit: RateLimitConfig) -> Stage {
    let url = format!("redis://127.0.0.1:{}", server.port).parse().unwrap();
    let state = sockwarden_state::build(&StateConfig { url, ..StateConfig::default() }).unwrap();
    let route = RouteConfig { rate_limit, ..route_to(app.address) };
    let stage = Stage::sharing(ListenerConfig::new("127.0.0.1:0"), route, state).await;
    wait_until(|| counters(&stage).up).await;
    stage
}

fn counters(stage: &Stage) -> StateCounters {
    stage.control().counters().state
}

async fn wait_until(is_so: impl Fn() -> bool) {
    soon(async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

async fn send(client: &mut Client, count: u32) {
    for number in 0..count {
        client.send_text(&format!("message {number}")).await.unwrap();
    }
}

async fn echoes(client: &mut Client, from: u32, to: u32) {
    for number in from..to {
        assert_eq!(text(client).await, format!("message {number}"));
    }
}

fn notices(events: &[Event]) -> Vec<Notice> {
    let noticed = events.iter().filter_map(|event| match event {
        Event::Notice(notice) => Some(notice.notice),
        Event::Open(_) | Event::Close(_) | Event::Request(_) | Event::Verdict(_) | Event::Audit(_) => None,
    });
    noticed.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_on_two_gateways_is_held_to_one_rate() {
    let (app, server) = (App::start().await, RedisServer::start());
    let (one, other) = (replica(&app, &server, limits()).await, replica(&app, &server, limits()).await);
    let (mut first, mut second) = (one.greeted().await, other.greeted().await);
    let begun = Instant::now();
    tokio::join!(send(&mut first, 150), send(&mut second, 150));
    tokio::join!(echoes(&mut first, 0, 150), echoes(&mut second, 0, 150));
    let took = begun.elapsed();
    let least = Duration::from_secs(1) * (300 - BURST - 2 * LEASE) / RATE;
    assert!(took >= least && took < least * 3, "{took:?}");
    for stage in [&one, &other] {
        let counters = counters(stage);
        assert!(counters.leases > 0 && counters.leases_unanswered == 0, "{counters:?}");
    }
    // Alone each would have been done long before.
    let (one, other) = (
        replica(&app, &server, RateLimitConfig { shared: false, ..limits() }).await,
        replica(&app, &server, RateLimitConfig { shared: false, ..limits() }).await,
    );
    let (mut first, mut second) = (one.greeted().await, other.greeted().await);
    let begun = Instant::now();
    tokio::join!(send(&mut first, 150), send(&mut second, 150));
    tokio::join!(echoes(&mut first, 0, 150), echoes(&mut second, 0, 150));
    assert!(begun.elapsed() < least, "{:?}", begun.elapsed());
    assert_eq!(counters(&one).leases, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_loses_no_connection_and_each_gateway_keeps_to_the_rates_by_itself() {
    let (app, mut server) = (App::start().await, RedisServer::start());
    let stages = [replica(&app, &server, limits()).await, replica(&app, &server, limits()).await];
    let (mut first, mut second) = (stages[0].greeted().await, stages[1].greeted().await);
    tokio::join!(send(&mut first, 300), send(&mut second, 300));
    tokio::join!(echoes(&mut first, 0, 30), echoes(&mut second, 0, 30));
    server.kill();
    let begun = Instant::now();
    tokio::join!(echoes(&mut first, 30, 300), echoes(&mut second, 30, 300));
    let took = begun.elapsed();
    // What was under way when it was killed is little; of the rest each lets pass a burst and its rate.
    let least = Duration::from_secs(1) * (270 - BURST - 2 * LEASE - 30) / RATE;
    assert!(took >= least && took < least * 3, "{took:?}");
    assert!(stages.iter().all(|stage| counters(stage).rates_alone == 1));

    server.restart();
    wait_until(|| stages.iter().all(|stage| counters(stage).rates_alone == 0)).await;
    tokio::join!(send(&mut first, 20), send(&mut second, 20));
    tokio::join!(echoes(&mut first, 0, 20), echoes(&mut second, 0, 20));
    for stage in stages {
        let told = notices(&stage.events());
        assert_eq!(told, [Notice::RatesAlone, Notice::RatesShared]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_shut_out_by_one_gateway_is_shut_out_by_the_other_within_a_second() {
    let (app, server) = (App::start().await, RedisServer::start());
    let ban = BanConfig {
        after: 2,
        within: HumanDuration::from_secs(60),
        first: HumanDuration::from_secs(30),
        most: HumanDuration::from_secs(60),
    };
    let config = RateLimitConfig {
        queue_timeout: HumanDuration::from_millis(100),
        overdue: OverdueKind::Drop,
        ban,
        ..limits()
    };
    let (one, other) = (replica(&app, &server, config.clone()).await, replica(&app, &server, config).await);
    let (mut bad, mut elsewhere) = (one.greeted().await, other.greeted().await);
    elsewhere.send_text("before").await.unwrap();
    assert_eq!(text(&mut elsewhere).await, "before");
    send(&mut bad, 150).await;
    wait_until(|| one.control().counters().routes[0].rates.shut_out == 1).await;
    let begun = Instant::now();
    soon(async {
        while other.control().counters().routes[0].rates.shut_out == 0 {
            elsewhere.send_text("still here").await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    elsewhere.send_text("now?").await.unwrap();
    assert_eq!(closed(&mut elsewhere).await.0, 1008);
    assert!(matches!(other.connect("/", |_| ()).await, Err(ClientError::Refused { status: 429, .. })));
}

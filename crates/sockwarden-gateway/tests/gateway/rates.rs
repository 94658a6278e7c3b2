//! Who sends more than its share waits, in its order; honest users do not; and what has waited too long is told so.

use std::time::{Duration, Instant};

use sockwarden_config::HumanDuration;
use sockwarden_defend::defences::{
    BanConfig, OperationConfig, OperationRateConfig, OverdueKind, PerKind, RateLimitConfig, SharedRateConfig,
};
use sockwarden_gateway::RouteConfig;
use sockwarden_model::{Decision, Event, Mode, ModeChange, ModeScope, Requester, Role};
use sockwarden_net::{Client, ClientError, Heard};
use sockwarden_proto::CloseCode;

use crate::{
    http::{Script, passing},
    stage::{App, Seen, Stage, closed, route_to, soon, text},
};

fn limits(rate: u32, burst: u32) -> RateLimitConfig {
    RateLimitConfig {
        messages_per_second: rate,
        messages_burst: burst,
        ban: BanConfig { after: 0, ..BanConfig::default() },
        ..RateLimitConfig::default()
    }
}

fn limited(app: &App, rate_limit: RateLimitConfig) -> RouteConfig {
    RouteConfig { rate_limit, ..route_to(app.address) }
}

async fn send(client: &mut Client, count: usize) {
    for number in 0..count {
        client.send_text(&format!("message {number}")).await.unwrap();
    }
}

/// Reads so many echoes, which must come in their order.
async fn echoes(client: &mut Client, count: usize) {
    for number in 0..count {
        assert_eq!(text(client).await, format!("message {number}"));
    }
}

fn texts(app: &App) -> usize {
    app.seen().iter().filter(|seen| matches!(seen, Seen::Text(_))).count()
}

/// Gives what `rate-limit` reported: mode, decision and reason.
fn reported(events: &[Event]) -> Vec<(Mode, Decision, String)> {
    let of_rates = |event: &Event| match event {
        Event::Verdict(verdict) if verdict.rule == "rate-limit" => {
            Some((verdict.mode, verdict.decision, verdict.reason.clone()))
        }
        Event::Verdict(_)
        | Event::Open(_)
        | Event::Close(_)
        | Event::Notice(_)
        | Event::Request(_)
        | Event::Audit(_) => None,
    };
    events.iter().filter_map(of_rates).collect()
}

#[tokio::test]
async fn a_burst_beyond_the_rate_is_delayed_and_arrives_whole_and_in_order() {
    let app = App::start().await;
    let stage = Stage::plain(limited(&app, limits(100, 20))).await;
    let mut client = stage.greeted().await;
    let begun = Instant::now();
    send(&mut client, 120).await;
    echoes(&mut client, 120).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(990) && took < Duration::from_secs(4), "{took:?}");
    client.send_text("quiet again").await.unwrap();
    assert_eq!(text(&mut client).await, "quiet again");
    let reported = reported(&stage.stop().await);
    assert_eq!(
        reported.iter().map(|(mode, decision, _)| (*mode, *decision)).collect::<Vec<_>>(),
        [(Mode::Block, Decision::Note)]
    );
}

#[tokio::test]
async fn what_is_observed_or_off_is_not_delayed() {
    for mode in [Mode::Observe, Mode::Off] {
        let app = App::start().await;
        let stage = Stage::plain(limited(&app, RateLimitConfig { mode, ..limits(1, 5) })).await;
        let mut client = stage.greeted().await;
        let begun = Instant::now();
        send(&mut client, 50).await;
        echoes(&mut client, 50).await;
        assert!(begun.elapsed() < Duration::from_secs(5));
        let expected: &[(Mode, Decision)] =
            if mode == Mode::Observe { &[(Mode::Observe, Decision::Drop)] } else { &[] };
        let reported = reported(&stage.stop().await);
        assert_eq!(
            reported.iter().map(|(mode, decision, _)| (*mode, *decision)).collect::<Vec<_>>(),
            expected
        );
    }
}

#[tokio::test]
async fn sockets_of_one_user_share_a_bucket_and_others_do_not_wait_for_it() {
    let check = async |per: PerKind, together: bool| {
        let app = App::start().await;
        let stage = Stage::plain(limited(&app, RateLimitConfig { per, ..limits(50, 10) })).await;
        let (mut flooding, mut other) = (stage.greeted().await, stage.greeted().await);
        send(&mut flooding, 110).await;
        // By now the bucket is empty.
        echoes(&mut flooding, 10).await;
        let begun = Instant::now();
        other.send_text("hello there").await.unwrap();
        assert_eq!(text(&mut other).await, "hello there");
        let waited = begun.elapsed() > Duration::from_millis(15);
        assert_eq!(waited, together, "{per:?} {:?}", begun.elapsed());
        // Of one user's sockets each has its turn: the other does not wait for the whole queue.
        assert!(begun.elapsed() < Duration::from_millis(700), "{:?}", begun.elapsed());
    };
    check(PerKind::User, true).await;
    check(PerKind::Address, true).await;
    check(PerKind::Connection, false).await;
}

#[tokio::test]
async fn users_of_an_application_take_turns() {
    let app = App::start().await;
    let application = SharedRateConfig {
        messages_per_second: Some(100),
        messages_burst: Some(5),
        ..SharedRateConfig::default()
    };
    let config = RateLimitConfig { per: PerKind::Connection, application, ..limits(1000, 1000) };
    let stage = Stage::plain(limited(&app, config)).await;
    let (mut heavy, mut light) = (stage.greeted().await, stage.greeted().await);
    send(&mut heavy, 300).await;
    for number in 0..10 {
        let begun = Instant::now();
        light.send_text(&format!("light {number}")).await.unwrap();
        assert_eq!(text(&mut light).await, format!("light {number}"));
        assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    }
    assert!(texts(&app) < 200, "the heavy one still waits");
    echoes(&mut heavy, 300).await;
}

#[tokio::test]
async fn what_has_waited_too_long_closes_with_1013_and_says_when_to_come_back() {
    let app = App::start().await;
    let config = RateLimitConfig { queue_timeout: HumanDuration::from_millis(300), ..limits(10, 5) };
    let stage = Stage::plain(limited(&app, config)).await;
    let mut client = stage.greeted().await;
    send(&mut client, 100).await;
    let (code, reason) = closed(&mut client).await;
    assert_eq!(code, 1013);
    assert!(
        reason.starts_with("too many messages, try again in ") && reason.contains(" s (event "),
        "{reason}"
    );
    assert_eq!(app.close_seen().await.map(|(code, _)| code), Some(1001));
    assert!((5..=10).contains(&texts(&app)), "{}", texts(&app));
    let reported = reported(&stage.stop().await);
    assert_eq!(
        reported.last().map(|(mode, decision, _)| (*mode, *decision)),
        Some((Mode::Block, Decision::Close(1013)))
    );
}

#[tokio::test]
async fn what_has_waited_too_long_is_left_out_where_the_route_says_so() {
    let app = App::start().await;
    let config = RateLimitConfig {
        queue_timeout: HumanDuration::from_millis(300),
        overdue: OverdueKind::Drop,
        ..limits(10, 5)
    };
    let stage = Stage::plain(limited(&app, config)).await;
    let mut client = stage.greeted().await;
    send(&mut client, 50).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    client.send_text("the last").await.unwrap();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "the last") {
        seen.push(text(&mut client).await);
    }
    assert!((6..=16).contains(&seen.len()), "{seen:?}");
    let numbers: Vec<usize> =
        seen.iter().filter_map(|text| text.strip_prefix("message ")?.parse().ok()).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    assert_eq!(texts(&app), seen.len(), "nothing arrived that was not sent on");
}

#[tokio::test]
async fn a_client_that_says_goodbye_after_a_burst_is_heard_out() {
    let app = App::start().await;
    let stage = Stage::plain(limited(&app, limits(100, 10))).await;
    let mut client = stage.greeted().await;
    send(&mut client, 60).await;
    client.close(CloseCode(4321), "done").await.unwrap();
    assert_eq!(app.close_seen().await, Some((4321, "done".to_owned())));
    assert_eq!(texts(&app), 60);
    // And one that vanishes, too.
    let mut client = stage.greeted().await;
    send(&mut client, 40).await;
    drop(client);
    app.wait_for(|_| (texts(&app) == 100).then_some(())).await;
}

#[tokio::test]
async fn control_frames_are_answered_while_messages_wait() {
    let app = App::start().await;
    let stage = Stage::plain(limited(&app, limits(5, 1))).await;
    let mut client = stage.greeted().await;
    send(&mut client, 4).await;
    let begun = Instant::now();
    client.ping(b"are you there").await.unwrap();
    soon(async { while !matches!(client.hear().await.unwrap(), Heard::Pong(_)) {} }).await;
    assert!(begun.elapsed() < Duration::from_millis(150), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_operation_has_a_limit_of_its_own() {
    let app = App::start().await;
    let search = OperationRateConfig {
        operation: OperationConfig { name: Some("search".to_owned()), ..OperationConfig::default() },
        messages_per_second: 10,
        messages_burst: Some(2),
    };
    let mut route = limited(&app, RateLimitConfig { operations: vec![search], ..limits(1000, 1000) });
    route.inspect.protocol = "json-rpc".to_owned();
    let stage = Stage::plain(route).await;
    let mut client = stage.greeted().await;
    let time = async |client: &mut Client, method: &str| {
        let begun = Instant::now();
        for id in 0..7 {
            let call = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#);
            client.send_text(&call).await.unwrap();
        }
        for _ in 0..7 {
            text(client).await;
        }
        begun.elapsed()
    };
    let (other, search) = (time(&mut client, "list").await, time(&mut client, "search").await);
    assert!(search >= Duration::from_millis(490), "{search:?}");
    assert!(other < search, "{other:?} {search:?}");
}

#[tokio::test]
async fn who_is_rejected_again_and_again_is_shut_out_for_a_while() {
    let app = App::start().await;
    let ban = BanConfig {
        after: 2,
        within: HumanDuration::from_secs(60),
        first: HumanDuration::from_secs(1),
        most: HumanDuration::from_secs(60),
    };
    let config = RateLimitConfig {
        queue_timeout: HumanDuration::from_millis(100),
        overdue: OverdueKind::Drop,
        ban,
        ..limits(10, 5)
    };
    let stage = Stage::plain(limited(&app, config)).await;
    let mut client = stage.greeted().await;
    send(&mut client, 20).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    client.send_text("one more").await.unwrap();
    let (code, reason) = closed(&mut client).await;
    assert_eq!(code, 1008);
    assert!(reason.starts_with("too many messages, come back later"), "{reason}");
    assert!(matches!(stage.connect("/", |_| ()).await, Err(ClientError::Refused { status: 429, .. })));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    stage.greeted().await;
}

#[tokio::test]
async fn what_waits_leaves_at_once_when_the_defence_is_switched_off() {
    let app = App::start().await;
    let stage = Stage::plain(limited(&app, limits(1, 1))).await;
    let mut client = stage.greeted().await;
    send(&mut client, 30).await;
    echoes(&mut client, 1).await;
    let change = ModeChange {
        scope: ModeScope { route: None, rule: Some("rate-limit".to_owned()) },
        mode: Mode::Off,
        time: Duration::from_secs(60),
    };
    let by = Requester { role: Role::Operator, from: None, name: None };
    stage.control().set_mode(&change, &by).unwrap();
    let begun = Instant::now();
    for number in 1..30 {
        assert_eq!(text(&mut client).await, format!("message {number}"));
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_the_application_sends_may_be_limited_too() {
    let app = App::start().await;
    let server = SharedRateConfig {
        messages_per_second: Some(50),
        messages_burst: Some(5),
        ..SharedRateConfig::default()
    };
    let stage = Stage::plain(limited(&app, RateLimitConfig { server, ..limits(1000, 1000) })).await;
    let mut client = stage.greeted().await;
    let begun = Instant::now();
    send(&mut client, 34).await;
    echoes(&mut client, 34).await;
    assert!(begun.elapsed() >= Duration::from_millis(590), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn requests_that_bring_something_count_as_messages() {
    let app = Script::start(crate::http::PAGE).await;
    let mut route = passing(app.address);
    route.rate_limit = RateLimitConfig { queue_timeout: HumanDuration::from_millis(150), ..limits(2, 2) };
    let stage = Stage::plain(route).await;
    let ask = async |request: &[u8]| {
        let answer = crate::http::ask(&stage, request).await;
        String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
    };
    let post = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    let get = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(ask(post).await.contains("200") && ask(post).await.contains("200"));
    let answer = crate::http::ask(&stage, post).await;
    let answer = String::from_utf8_lossy(&answer).to_lowercase();
    assert!(answer.starts_with("http/1.1 429") && answer.contains("retry-after: "), "{answer}");
    assert!(ask(get).await.contains("200"), "a page brings nothing");
}

#[tokio::test]
async fn who_fills_its_queue_is_not_read_from_and_loses_nothing() {
    let app = App::start().await;
    let config = RateLimitConfig { queue_messages: 20, ..limits(400, 10) };
    let stage = Stage::plain(limited(&app, config)).await;
    let mut client = stage.greeted().await;
    let mut most = 0;
    for number in 0..800 {
        client.send_text(&format!("message {number:01000}")).await.unwrap();
        most = most.max(stage.control().counters().routes[0].rates.waiting);
    }
    for number in 0..800 {
        assert_eq!(text(&mut client).await, format!("message {number:01000}"));
    }
    assert_eq!(stage.control().counters().routes[0].rates.waiting, 0);
    // What one read brings is queued, though it be more than may wait: 64 KiB.
    assert!((20..20 + 66).contains(&most), "{most}");
}

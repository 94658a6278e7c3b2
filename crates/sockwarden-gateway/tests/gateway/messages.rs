//! Defences that read what messages hold: the attack succeeds without them and fails with them.

use sockwarden_defend::defences::AnswerKind;
use sockwarden_gateway::CompressionKind;
use sockwarden_model::{Decision, Direction, Event, Mode, Uninspected};

use crate::stage::{App, Seen, Stage, closed, route_to, text};

/// What a filter takes for `user` and an application that takes the last member for `admin`.
const TWICE: &str = r#"{"role":"user","role":"admin"}"#;

#[tokio::test]
async fn a_message_that_two_readers_understand_differently_ends_the_connection() {
    for compression in [CompressionKind::Inspect, CompressionKind::Strip] {
        for mode in [Mode::Block, Mode::Observe, Mode::Off] {
            let app = App::start().await;
            let mut route = route_to(app.address);
            route.message_format.mode = mode;
            route.compression = compression;
            let stage = Stage::plain(route).await;
            let mut client = stage.greeted().await;
            client.send_text(TWICE).await.unwrap();
            let forwarded = || app.seen().contains(&Seen::Text(TWICE.to_owned()));
            if mode == Mode::Block {
                let (code, reason) = closed(&mut client).await;
                assert_eq!(code, 1007, "{reason}");
                let verdict = stage.verdict().await;
                assert_eq!(
                    (verdict.rule.as_str(), verdict.decision),
                    ("message-format", Decision::Close(1007))
                );
                assert_eq!(verdict.reason, "a name stands twice in one object, at /role");
                assert!(reason.contains(&verdict.id.to_string()), "{reason}");
                assert!(!forwarded());
            } else {
                assert_eq!(text(&mut client).await, TWICE);
                assert!(forwarded());
                let noted: Vec<_> = stage.events().iter().filter_map(rule_and_decision).collect();
                let expected = if mode == Mode::Observe {
                    vec![("message-format".to_owned(), Decision::Close(1007))]
                } else {
                    // That a defence is off is said once for each side.
                    vec![("gateway".to_owned(), Decision::Note); 2]
                };
                assert_eq!(noted, expected);
            }
        }
    }
}

fn rule_and_decision(event: &Event) -> Option<(String, Decision)> {
    match event {
        Event::Verdict(verdict) => Some((verdict.rule.clone(), verdict.decision)),
        Event::Open(_) | Event::Close(_) | Event::Request(_) | Event::Notice(_) | Event::Audit(_) => None,
    }
}

#[tokio::test]
async fn a_message_can_be_dropped_while_the_connection_lives() {
    let app = App::start().await;
    let mut route = route_to(app.address);
    route.message_format.answer = AnswerKind::Drop;
    let stage = Stage::plain(route).await;
    let mut client = stage.greeted().await;
    for message in [TWICE, "after"] {
        client.send_text(message).await.unwrap();
    }
    assert_eq!(text(&mut client).await, "after");
    assert_eq!(stage.verdict().await.decision, Decision::Drop);
    assert!(!app.seen().contains(&Seen::Text(TWICE.to_owned())));
}

#[tokio::test]
async fn what_lies_beyond_a_bound_is_not_forwarded_or_counted_as_not_looked_at() {
    let deep = format!("{}1{}", "[".repeat(9), "]".repeat(9));
    for mode in [Mode::Block, Mode::Observe] {
        let app = App::start().await;
        let mut route = route_to(app.address);
        route.message_format.mode = mode;
        route.inspect.depth = 8;
        let stage = Stage::plain(route).await;
        let mut client = stage.greeted().await;
        client.send_text(&deep).await.unwrap();
        if mode == Mode::Block {
            assert_eq!(closed(&mut client).await.0, 1009);
            assert_eq!(stage.control().counters().routes[0].uninspected, []);
        } else {
            assert_eq!(text(&mut client).await, deep);
            let counted = stage.control().counters().routes[0].uninspected.clone();
            let bound = |from| (from, Uninspected::Bound, 1);
            assert_eq!(counted, [bound(Direction::Client), bound(Direction::Server)]);
        }
    }
}

#[tokio::test]
async fn the_access_record_names_the_sub_protocol_and_how_it_was_recognised() {
    let app = App::start().await;
    let stage = Stage::plain(route_to(app.address)).await;
    let mut client = stage.greeted().await;
    client.send_text(r#"{"jsonrpc":"2.0","method":"status"}"#).await.unwrap();
    text(&mut client).await;
    drop(client);
    app.wait_for(|seen| (*seen == Seen::Vanished).then_some(())).await;
    let events = stage.stop().await;
    let close = events.iter().find_map(|event| match event {
        Event::Close(close) => Some(close),
        Event::Open(_) | Event::Request(_) | Event::Verdict(_) | Event::Notice(_) | Event::Audit(_) => None,
    });
    let close = close.unwrap();
    assert_eq!(close.protocol.as_deref(), Some("json-rpc"));
    assert_eq!(close.protocol_by.as_deref(), Some("first messages"));
}

//! Defences over what messages do: what is forbidden arrives without them, does not with them, and the session lives on.

use sockwarden_defend::defences::{AnswerKind, OperationConfig, WinnerKind};
use sockwarden_gateway::RouteConfig;
use sockwarden_model::{Decision, Mode};
use sockwarden_net::Client;
use sockwarden_proto::MessageKind;

use crate::stage::{App, Seen, Stage, closed, route_to, soon, text};

/// Sends a message that is forbidden and one that is not, and tells what of them arrives; the session outlives both.
async fn arriving(route: impl FnOnce(&mut RouteConfig), messages: [&str; 2]) -> Vec<String> {
    let app = App::start().await;
    let mut config = route_to(app.address);
    route(&mut config);
    let stage = Stage::plain(config).await;
    let mut client = stage.greeted().await;
    for message in messages {
        client.send_text(message).await.unwrap();
    }
    // The last one is allowed, so its echo comes when all is judged.
    while text(&mut client).await != messages[1] {}
    let texts = app.seen().into_iter().filter_map(|seen| match seen {
        Seen::Text(text) => Some(text),
        Seen::Headers(_) | Seen::Binary(_) | Seen::Close(_) | Seen::Vanished => None,
    });
    texts.collect()
}

#[tokio::test]
async fn an_operation_that_is_not_listed_is_left_out() {
    let messages =
        [r#"{"jsonrpc":"2.0","method":"admin.grant","id":1}"#, r#"{"jsonrpc":"2.0","method":"chat.say"}"#];
    for mode in [Mode::Off, Mode::Observe, Mode::Block] {
        let arrived = arriving(
            |route| {
                route.operation_policy.mode = mode;
                let allow = OperationConfig { name: Some("chat.*".into()), ..OperationConfig::default() };
                route.operation_policy.allow = vec![allow];
            },
            messages,
        );
        let expected = if mode == Mode::Block { &messages[1..] } else { &messages[..] };
        assert_eq!(arrived.await, expected, "{mode}");
    }
}

#[tokio::test]
async fn a_message_that_its_sender_may_not_send_is_left_out() {
    let messages = [r#"{"type":"admin.delete"}"#, r#"{"type":"say","room":"a"}"#];
    for mode in [Mode::Off, Mode::Observe, Mode::Block] {
        let arrived = arriving(
            |route| {
                let rules = serde_json::json!({"mode": mode, "default": "deny", "rules": [
                    {"field": {"at": "/type", "is": "admin.*"}, "roles": ["admin"], "allow": true},
                    {"field": {"at": "/type", "is": "say"}, "when": [{"field": "/room", "one_of": ["a"]}], "allow": true},
                ]});
                route.authorize = serde_json::from_value(rules).unwrap();
            },
            messages,
        );
        let expected = if mode == Mode::Block { &messages[1..] } else { &messages[..] };
        assert_eq!(arrived.await, expected, "{mode}");
    }
}

#[tokio::test]
async fn an_operation_can_end_the_session() {
    let app = App::start().await;
    let mut route = route_to(app.address);
    let deny = OperationConfig { name: Some("admin.*".into()), ..OperationConfig::default() };
    route.operation_policy.deny = vec![deny];
    route.operation_policy.answer = AnswerKind::Close;
    let stage = Stage::plain(route).await;
    let mut client = stage.greeted().await;
    client.send_text(r#"{"jsonrpc":"2.0","method":"admin.grant"}"#).await.unwrap();
    assert_eq!(closed(&mut client).await.0, 1008);
    let verdict = stage.verdict().await;
    assert_eq!((verdict.rule.as_str(), verdict.decision), ("operation-policy", Decision::Close(1008)));
    assert_eq!(verdict.reason, "json-rpc: event `admin.grant` is in `deny`");
}

#[tokio::test]
async fn a_sender_is_told_in_its_own_words_what_was_left_out() {
    let app = App::start().await;
    let mut route = route_to(app.address);
    let deny = OperationConfig { name: Some("admin.*".into()), ..OperationConfig::default() };
    route.operation_policy.deny = vec![deny];
    route.operation_policy.answer = AnswerKind::Error;
    let stage = Stage::plain(route).await;
    let mut client = stage.greeted().await;
    client.send_text(r#"{"jsonrpc":"2.0","method":"admin.grant","id":41}"#).await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&text(&mut client).await).unwrap();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&41.into(), &(-32001).into()));
    let told = answer["error"]["message"].as_str().unwrap();
    assert!(told.starts_with("refused by operation-policy (event "), "{told}");
    let allowed = r#"{"jsonrpc":"2.0","method":"chat.say","id":42}"#;
    client.send_text(allowed).await.unwrap();
    assert_eq!(text(&mut client).await, allowed, "the session lives on");
    let event = stage.verdict().await;
    assert!(event.decision == Decision::Drop && told.contains(&event.id.to_string()));
}

#[tokio::test]
async fn an_attack_does_not_reach_the_application() {
    let attacks = [
        r#"{"type":"search","text":"x' UNION SELECT password FROM users-- "}"#,
        r#"{"type":"chat","text":"<img src=x onerror=alert(document.cookie)>"}"#,
        r#"{"type":"settings","value":{"__proto__":{"admin":true}}}"#,
    ];
    for attack in attacks {
        for mode in [Mode::Off, Mode::Observe, Mode::Block] {
            let messages =
                [attack, r#"{"type":"chat","text":"Did you select * from the menu, or <b>not</b>?"}"#];
            let arrived = arriving(
                |route| {
                    (route.injection.mode, route.injection.answer) = (mode, AnswerKind::Drop);
                    route.active_content.mode = Mode::Off;
                },
                messages,
            );
            let expected = if mode == Mode::Block { &messages[1..] } else { &messages[..] };
            assert_eq!(arrived.await, expected, "{mode}");
        }
    }
}

#[tokio::test]
async fn script_that_an_application_sends_does_not_reach_pages() {
    let script = r#"{"type":"chat","text":"<img src=x onerror=alert(document.cookie)>"}"#;
    for mode in [Mode::Observe, Mode::Block] {
        let app = App::start().await;
        let mut route = route_to(app.address);
        (route.injection.mode, route.active_content.mode) = (Mode::Off, mode);
        let stage = Stage::plain(route).await;
        let mut client = stage.greeted().await;
        client.send_text(script).await.unwrap();
        client.send_text("harmless").await.unwrap();
        let first = text(&mut client).await;
        assert_eq!(first, if mode == Mode::Block { "harmless" } else { script }, "{mode}");
    }
}

#[tokio::test]
async fn a_topic_that_is_not_listed_is_left_out() {
    let messages = [r#"["1","1","room:staff","phx_join",{}]"#, r#"["2","2","room:lobby","phx_join",{}]"#];
    for mode in [Mode::Off, Mode::Block] {
        let arrived = arriving(
            |route| {
                route.inspect.protocol = "phoenix".into();
                route.topic_policy.mode = mode;
                route.topic_policy.subscribe = Some(vec!["room:lobby".into()]);
            },
            messages,
        );
        let expected = if mode == Mode::Block { &messages[1..] } else { &messages[..] };
        assert_eq!(arrived.await, expected, "{mode}");
    }
}

const CONNECT: &[u8] = b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01c";
/// PUBLISH of `xy` to the topics `a` and `b`.
const TO_A: &[u8] = b"0\x05\0\x01axy";
const TO_B: &[u8] = b"0\x05\0\x01bxy";

/// A client of MQTT that may publish to `a`.
async fn publisher(app: &App) -> (Stage, Client) {
    let mut route = route_to(app.address);
    route.inspect.protocol = "mqtt".into();
    route.topic_policy.publish = Some(vec!["a".into()]);
    let stage = Stage::plain(route).await;
    let client = stage.greeted().await;
    (stage, client)
}

fn binaries(app: &App) -> Vec<usize> {
    let lengths = app.seen().into_iter().filter_map(|seen| match seen {
        Seen::Binary(length) => Some(length),
        Seen::Headers(_) | Seen::Text(_) | Seen::Close(_) | Seen::Vanished => None,
    });
    lengths.collect()
}

#[tokio::test]
async fn a_whole_packet_is_left_out_and_a_piece_that_is_allowed_passes() {
    let app = App::start().await;
    let (_stage, mut client) = publisher(&app).await;
    let (begin, end) = TO_A.split_at(3);
    for packet in [CONNECT, TO_B, begin, end] {
        client.send(MessageKind::Binary, packet).await.unwrap();
    }
    for _ in 0..3 {
        soon(client.next()).await.unwrap();
    }
    assert_eq!(binaries(&app), [CONNECT.len(), begin.len(), end.len()]);
}

#[tokio::test]
async fn a_piece_of_a_packet_is_never_left_out_alone() {
    // What follows would be taken for the rest of it, and what was judged as one packet read as others.
    let (begin, end) = TO_B.split_at(3);
    let more = [TO_B, &TO_A[..3]].concat();
    for messages in [[CONNECT, begin, end], [CONNECT, &more, &TO_A[3..]]] {
        let app = App::start().await;
        let (stage, mut client) = publisher(&app).await;
        for message in messages {
            // The gateway may have closed already.
            let _ = client.send(MessageKind::Binary, message).await;
        }
        assert_eq!(closed(&mut client).await.0, 1008);
        let verdict = stage.verdict().await;
        assert_eq!((verdict.rule.as_str(), verdict.decision), ("topic-policy", Decision::Close(1008)));
        assert!(verdict.reason.ends_with("a packet goes on beyond it"), "{}", verdict.reason);
    }
}

#[tokio::test]
async fn a_document_that_asks_for_too_much_is_left_out() {
    let begin = r#"{"type":"connection_init"}"#;
    let deep = format!("{}a{}", "{ a ".repeat(20), " }".repeat(20));
    let subscribe =
        |document: &str| format!(r#"{{"id":"1","type":"subscribe","payload":{{"query":"{document}"}}}}"#);
    for forbidden in [deep.as_str(), "{ __schema { types { name } } }"] {
        let (forbidden, good) = (subscribe(forbidden), subscribe("{ me { id } }"));
        for mode in [Mode::Off, Mode::Block] {
            let app = App::start().await;
            let mut route = route_to(app.address);
            route.inspect.protocol = "graphql-transport-ws".into();
            route.graphql_limits.mode = mode;
            // The application here answers with what it gets, which no server of GraphQL does.
            route.message_format.mode = Mode::Off;
            let stage = Stage::plain(route).await;
            let mut client = stage.greeted().await;
            for message in [begin, &forbidden, &good] {
                client.send_text(message).await.unwrap();
            }
            while text(&mut client).await != good {}
            let arrived = app.seen().contains(&Seen::Text(forbidden.clone()));
            assert_eq!(arrived, mode == Mode::Off, "{forbidden}");
        }
    }
}

#[tokio::test]
async fn a_browser_is_not_remote_controlled() {
    let evaluate = r#"{"id":1,"method":"Runtime.evaluate","params":{"expression":"1"}}"#;
    for mode in [Mode::Off, Mode::Block] {
        let app = App::start().await;
        let mut route = route_to(app.address);
        route.cdp_refused.mode = mode;
        let stage = Stage::plain(route).await;
        assert_eq!(stage.connect("/devtools/page/A", |_| ()).await.is_ok(), mode == Mode::Off);
        let mut client = stage.greeted().await;
        client.send_text(evaluate).await.unwrap();
        if mode == Mode::Off {
            assert_eq!(text(&mut client).await, evaluate);
        } else {
            assert_eq!(closed(&mut client).await.0, 1008);
            assert!(!app.seen().contains(&Seen::Text(evaluate.to_owned())));
        }
    }
}

#[tokio::test]
async fn commands_of_a_browser_can_be_limited_to_domains() {
    let messages = [r#"{"id":1,"method":"Runtime.evaluate"}"#, r#"{"id":2,"method":"Page.enable"}"#];
    let arrived = arriving(|route| route.cdp_refused.domains = vec!["Page".into()], messages);
    assert_eq!(arrived.await, messages[1..]);
}

#[tokio::test]
async fn a_station_has_one_connection() {
    for (mode, wins) in
        [(Mode::Off, WinnerKind::Older), (Mode::Block, WinnerKind::Older), (Mode::Block, WinnerKind::Newer)]
    {
        let app = App::start().await;
        let mut route = route_to(app.address);
        route.inspect.protocol = "ocpp".into();
        (route.ocpp_session.mode, route.ocpp_session.wins) = (mode, wins);
        let stage = Stage::plain(route).await;
        let heartbeat = r#"[2,"1","Heartbeat",{}]"#;
        let mut first = stage.connect("/ocpp/CP1", |_| ()).await.unwrap();
        assert_eq!(text(&mut first).await, "hello");
        let mut second = stage.connect("/ocpp/CP1", |_| ()).await.unwrap();
        if wins == WinnerKind::Newer {
            assert_eq!(text(&mut second).await, "hello");
        }
        let (winner, loser) = match wins {
            WinnerKind::Older => (&mut first, &mut second),
            WinnerKind::Newer => (&mut second, &mut first),
        };
        // The one that was closed may be so before it says anything.
        let _ = loser.send_text(heartbeat).await;
        winner.send_text(heartbeat).await.unwrap();
        while text(winner).await != heartbeat {}
        if mode == Mode::Off {
            while text(loser).await != heartbeat {}
        } else {
            let (code, reason) = closed(loser).await;
            assert_eq!(code, 1008, "{wins:?} {reason}");
        }
    }
}

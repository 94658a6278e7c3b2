//! Defences over what messages do: what is forbidden arrives without them, does not with them, and the session lives on.

use sockwarden_defend::defences::{AnswerKind, OperationConfig};
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

//! GraphQL over WebSocket as the library graphql-ws has it (sub-protocol `graphql-transport-ws`); see
//! [how requests are told](super::graphql_socket).

use sockwarden_model::Direction;

use super::{
    Declaration, Protocol,
    graphql_socket::{Dialect, Needs, Phase, Session, Type},
    hint, no_target,
};
use crate::{Action, Message, format::json};

pub(super) static DECLARATION: Declaration = Declaration {
    protocol: Protocol::GraphQlTransportWs,
    name: "graphql-transport-ws",
    tokens: &["graphql-transport-ws"],
    target: no_target,
    message: is_one,
    speaker: || Box::new(Session::new(&DIALECT)),
};

static DIALECT: Dialect = Dialect {
    protocol: Protocol::GraphQlTransportWs,
    waits: true,
    types: &[
        Type {
            name: "connection_init",
            client: Some(Action::Connect),
            server: None,
            needs: Needs::Nothing,
            phase: Phase::Begin,
        },
        Type {
            name: "connection_ack",
            client: None,
            server: Some(Action::Connected),
            needs: Needs::Nothing,
            phase: Phase::Accept,
        },
        Type {
            name: "ping",
            client: Some(Action::KeepAlive),
            server: Some(Action::KeepAlive),
            needs: Needs::Nothing,
            phase: Phase::Any,
        },
        Type {
            name: "pong",
            client: Some(Action::KeepAlive),
            server: Some(Action::KeepAlive),
            needs: Needs::Nothing,
            phase: Phase::Any,
        },
        Type {
            name: "subscribe",
            client: Some(Action::Call),
            server: None,
            needs: Needs::Request,
            phase: Phase::Session,
        },
        Type {
            name: "next",
            client: None,
            server: Some(Action::Deliver),
            needs: Needs::Payload,
            phase: Phase::Session,
        },
        Type {
            name: "error",
            client: None,
            server: Some(Action::Error),
            needs: Needs::Payload,
            phase: Phase::Session,
        },
        Type {
            name: "complete",
            client: Some(Action::Unsubscribe),
            server: Some(Action::Acknowledge),
            needs: Needs::Id,
            phase: Phase::Session,
        },
    ],
};

/// Tells whether a message asks for an operation: how sessions begin is the same in the older protocol.
fn is_one(message: &Message<'_>) -> bool {
    message.direction == Direction::Client
        && json::begins(message.bytes)
        && hint::says(message.bytes, "type", "\"subscribe\"")
        && hint::says(message.bytes, "payload", "{")
        && hint::says(message.bytes, "query", "\"")
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Direction::{self, Client, Server};
    use sockwarden_proto::MessageKind;

    use super::*;
    use crate::{
        Conversation, InspectLimits, Opening, Reader,
        testing::{Notes, read},
    };

    /// Reads messages of a session that has begun.
    #[track_caller]
    fn check(messages: &[(Direction, &str)], expected: &str) {
        let begin = [(Client, r#"{"type":"connection_init"}"#), (Server, r#"{"type":"connection_ack"}"#)];
        let said = from_the_start(&[&begin, messages].concat());
        assert_eq!(said.strip_prefix("connect connection_init; connected connection_ack; "), Some(expected));
    }

    fn from_the_start(messages: &[(Direction, &str)]) -> String {
        let (mut notes, mut reader) = (Notes::default(), Reader::default());
        let opening = Opening { subprotocol: Some("graphql-transport-ws"), target: "/" };
        let mut conversation = Conversation::new(None, &opening);
        for &(direction, text) in messages {
            let message = Message { direction, kind: MessageKind::Text, bytes: text.as_bytes() };
            conversation.message(&mut reader, &InspectLimits::default(), &message, &mut notes);
        }
        notes.said.join("; ")
    }

    #[test]
    fn a_request_is_what_it_asks_for() {
        let asks = |payload: &str, expected: &str| {
            check(&[(Client, &format!(r#"{{"id":"1","type":"subscribe","payload":{payload}}}"#))], expected);
        };
        asks(r#"{"query":"{ me { id } }"}"#, "call query.me id 1");
        asks(
            r#"{"query":"subscription OnMessage { messageAdded { text } }","operationName":"OnMessage"}"#,
            "subscribe subscription.messageAdded on OnMessage id 1",
        );
        asks(
            r#"{"query":"query A { a b } mutation B { c }","operationName":"A","variables":{"x":1}}"#,
            "call query.a on A id 1; call query.b on A id 1",
        );
        asks(r#"{"query":"{ x: a ...F } fragment F on Q { b }"}"#, "call query.a id 1; call query.b id 1");
        asks(r#"{"query":"","operationName":"Kept","extensions":{}}"#, "call on Kept id 1");
        asks(
            r#"{"query":"query A { a } query B { b }"}"#,
            "! a field has a value that it cannot have; call query.a on A id 1; call query.b on B id 1",
        );
        asks(
            r#"{"query":"query A { a }","operationName":"C"}"#,
            "! a field has a value that it cannot have; call query.a on A id 1",
        );
        asks(
            r#"{"query":"{ a ...F } fragment F on Q { b ...F }"}"#,
            "! a field has a value that it cannot have; call query.a id 1; call query.b id 1",
        );
        asks(r#"{"query":"nonsense"}"#, "! no well-formed graphql from byte 0 on; call id 1");
        asks(r#"{"query":{"kind":"Document"}}"#, "! a field has a value that it cannot have; call id 1");
        asks("7", "! a field has a value that it cannot have; call id 1");
    }

    #[test]
    fn literals_of_a_request_are_values() {
        let text = br#"{"id":"1","type":"subscribe","payload":{"query":"{user(name:\"o\\u0027x y\",f:{n:[1,null]}){id}}"}}"#;
        let notes = read(Some(Protocol::GraphQlTransportWs), &[(Client, MessageKind::Text, text)]);
        let inside: Vec<&str> =
            notes.values.iter().filter_map(|value| value.strip_prefix("/payload/query|graphql")).collect();
        assert_eq!(
            inside,
            [
                "/user key user",
                "/user/name key name",
                "/user/name text o\\'x y",
                "/user/f key f",
                "/user/f/n key n",
                "/user/f/n/0 number 1",
                "/user/f/n/1 empty null",
                "/user/id key id",
            ]
        );
    }

    #[test]
    fn messages_are_told_as_what_they_do() {
        check(
            &[
                (Server, r#"{"id":"1","type":"next","payload":{"data":{}}}"#),
                (Server, r#"{"id":"1","type":"error","payload":[]}"#),
                (Server, r#"{"id":"1","type":"complete"}"#),
                (Client, r#"{"type":"complete","id":"2"}"#),
                (Client, r#"{"type":"ping"}"#),
            ],
            "deliver next id 1; error error id 1; acknowledge complete id 1; unsubscribe complete id 2; keep-alive ping",
        );
    }

    #[test]
    fn what_breaks_the_protocol_is_told() {
        let (side, missing) =
            ("! sent by the side that must not send it", "! a field that it must have is missing");
        let order = "! sent before the session began or after it ended";
        check(&[(Client, r#"{"id":"1","type":"next","payload":{}}"#)], &format!("{side}; deliver next id 1"));
        check(&[(Client, r#"{"type":"start","id":"1"}"#)], "! a type that the protocol does not have");
        check(&[(Client, r#"{"id":"1"}"#)], missing);
        check(&[(Client, r#"{"type":7}"#)], "! a field has a value that it cannot have");
        check(&[(Client, r#"{"type":"complete"}"#)], &format!("{missing}; unsubscribe complete"));
        check(&[(Client, r#"{"type":"complete","id":""}"#)], &format!("{missing}; unsubscribe complete id "));
        check(&[(Client, r#"{"type":"subscribe","id":"1"}"#)], &format!("{missing}; call id 1"));
        check(&[(Client, r#"{"type":"connection_init"}"#)], &format!("{order}; connect connection_init"));
        check(&[(Client, "hello")], "! no message of the protocol");
        let subscribe = r#"{"id":"1","type":"subscribe","payload":{"query":"{a}"}}"#;
        assert_eq!(from_the_start(&[(Client, subscribe)]), format!("{order}; call query.a id 1"));
        assert_eq!(
            from_the_start(&[(Server, r#"{"type":"connection_ack"}"#)]),
            format!("{order}; connected connection_ack")
        );
    }
}

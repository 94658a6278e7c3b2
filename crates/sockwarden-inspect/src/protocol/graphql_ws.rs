//! GraphQL over WebSocket as the older library subscriptions-transport-ws has it (sub-protocol `graphql-ws`), with what AWS AppSync adds;
//! see [how requests are told](super::graphql_socket).

use sockwarden_model::Direction;

use super::{
    Declaration, Protocol,
    graphql_socket::{Dialect, Needs, Phase, Session, Type},
    hint, no_target,
};
use crate::{Action, Message, format::json};

pub(super) static DECLARATION: Declaration = Declaration {
    protocol: Protocol::GraphQlWs,
    name: "graphql-ws",
    tokens: &["graphql-ws"],
    target: no_target,
    message: is_one,
    speaker: || Box::new(Session::new(&DIALECT)),
};

/// What the client sends.
const fn client(name: &'static str, action: Action, needs: Needs, phase: Phase) -> Type {
    Type { name, client: Some(action), server: None, needs, phase }
}

/// What the server sends.
const fn server(name: &'static str, action: Action, needs: Needs, phase: Phase) -> Type {
    Type { name, client: None, server: Some(action), needs, phase }
}

static DIALECT: Dialect = Dialect {
    protocol: Protocol::GraphQlWs,
    waits: false,
    types: &[
        client("connection_init", Action::Connect, Needs::Nothing, Phase::Begin),
        client("connection_terminate", Action::Disconnect, Needs::Nothing, Phase::Any),
        client("start", Action::Call, Needs::Request, Phase::Session),
        client("stop", Action::Unsubscribe, Needs::Id, Phase::Session),
        server("connection_ack", Action::Connected, Needs::Nothing, Phase::Accept),
        server("connection_error", Action::Error, Needs::Nothing, Phase::Any),
        server("ka", Action::KeepAlive, Needs::Nothing, Phase::Any),
        server("start_ack", Action::Acknowledge, Needs::Id, Phase::Session),
        server("data", Action::Deliver, Needs::Payload, Phase::Session),
        // An error may be about a message that has no id.
        server("error", Action::Error, Needs::Nothing, Phase::Any),
        server("complete", Action::Acknowledge, Needs::Id, Phase::Session),
    ],
};

/// Tells whether a message asks for an operation: how sessions begin is the same in the newer protocol.
fn is_one(message: &Message<'_>) -> bool {
    message.direction == Direction::Client
        && json::begins(message.bytes)
        && hint::says(message.bytes, "type", "\"start\"")
        && hint::says(message.bytes, "payload", "{")
        && hint::says(message.bytes, "query", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_protocol;

    #[test]
    fn messages_are_told_as_what_they_do() {
        let check = |text: &str, expected: &str| check_protocol(Protocol::GraphQlWs, text, expected);
        check(r#"{"type":"connection_init","payload":{}}"#, "connect connection_init");
        let order = "! sent before the session began or after it ended";
        check(
            r#"{"id":"1","type":"start","payload":{"query":"subscription S { s }"}}"#,
            &format!("{order}; subscribe subscription.s on S id 1"),
        );
        check(r#"{"id":"1","type":"stop"}"#, &format!("{order}; unsubscribe stop id 1"));
        check(r#"{"type":"connection_terminate"}"#, "disconnect connection_terminate");
        check(r#"{"type":"ka"}"#, "! sent by the side that must not send it; keep-alive ka");
        check(r#"{"type":"subscribe"}"#, "! a type that the protocol does not have");
    }
}

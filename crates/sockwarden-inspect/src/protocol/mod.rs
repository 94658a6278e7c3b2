//! The sub-protocols: one file each, parser pure, table-tested. [`ALL`] is the one list of them.

mod action_cable;
mod body;
#[cfg(test)]
mod broker_samples;
mod cdp;
mod elements;
mod engine_io;
mod envelope;
mod graphql_socket;
mod graphql_transport_ws;
mod graphql_ws;
mod hint;
mod json_rpc;
mod kubernetes;
mod memory;
mod mqtt;
mod ocpp;
pub(crate) mod payload;
mod phoenix;
#[cfg(test)]
mod sample_tests;
#[cfg(test)]
mod samples;
mod signalr;
mod signalr_pack;
mod socket_io;
mod socket_io_pack;
mod sockjs;
mod stomp;
mod wamp;

use sockwarden_model::Direction;

use crate::{Chosen, Message, Opening, walk::Walk};

/// What one file says of its protocol.
pub(crate) struct Declaration {
    /// Which it is.
    protocol: Protocol,
    /// Its name, as people and configurations write it.
    name: &'static str,
    /// What `Sec-WebSocket-Protocol` calls it.
    tokens: &'static [&'static str],
    /// Tells whether the target of a handshake can belong to nothing else.
    target: fn(&str) -> bool,
    /// Tells whether a message, one of the first of its connection, can be nothing else.
    message: fn(&Message<'_>) -> bool,
    /// Makes what reads its messages.
    speaker: fn() -> Box<dyn Speaker>,
}

/// Reads the messages of one connection, in both directions.
pub(crate) trait Speaker: Send {
    /// Reads a message: tells its values, then its operations.
    fn message(&mut self, message: &Message<'_>, walk: &mut Walk<'_>);

    /// Takes note of what the handshake said, before the first message, where the protocol was known from it.
    fn open(&mut self, _opening: &Opening<'_>) {}

    /// Reads the body of an HTTP message by which the protocol goes where there is no WebSocket: one message, where nothing else is said.
    fn body(&mut self, body: &[u8], walk: &mut Walk<'_>) {
        self.message(&Message::of_body(walk.direction, body), walk);
    }

    /// Tells whether this side has begun a packet whose rest is awaited in a message to come.
    fn is_within(&self, _direction: Direction) -> bool {
        false
    }

    /// Gives the protocol that is spoken inside of this one.
    fn inner(&self) -> Option<(Protocol, Chosen)> {
        None
    }
}

/// A sub-protocol whose messages are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// JSON-RPC 2.0.
    JsonRpc,
    /// Engine.IO with anything but Socket.IO on it.
    EngineIo,
    /// Socket.IO, on Engine.IO.
    SocketIo,
    /// GraphQL over WebSocket, the protocol of the library graphql-ws.
    GraphQlTransportWs,
    /// GraphQL over WebSocket, the older protocol of the library subscriptions-transport-ws.
    GraphQlWs,
    /// The hubs of ASP.NET Core SignalR.
    SignalR,
    /// Phoenix channels.
    Phoenix,
    /// Action Cable of Rails.
    ActionCable,
    /// SockJS, with whatever is spoken inside of it.
    SockJs,
    /// MQTT 3.1, 3.1.1 and 5.
    Mqtt,
    /// OCPP-J 1.6, 2.0.1 and 2.1.
    Ocpp,
    /// The channels of Kubernetes.
    Kubernetes,
    /// The Chrome DevTools Protocol.
    Cdp,
    /// STOMP 1.0 to 1.2.
    Stomp,
    /// WAMP 2.
    Wamp,
}

/// Every protocol, in the order in which they are looked for: what can be told with certainty first.
static ALL: [&Declaration; 15] = [
    &json_rpc::DECLARATION,
    &engine_io::DECLARATION,
    &socket_io::DECLARATION,
    &graphql_transport_ws::DECLARATION,
    &graphql_ws::DECLARATION,
    &signalr::DECLARATION,
    &phoenix::DECLARATION,
    &action_cable::DECLARATION,
    &sockjs::DECLARATION,
    &mqtt::DECLARATION,
    &ocpp::DECLARATION,
    &stomp::DECLARATION,
    &wamp::DECLARATION,
    &kubernetes::DECLARATION,
    &cdp::DECLARATION,
];

impl Protocol {
    /// Gives every protocol.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.iter().map(|declared| declared.protocol)
    }

    /// Finds a protocol by its name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|declared| declared.name == name).map(|declared| declared.protocol)
    }

    /// Its name, as people and configurations write it.
    pub fn name(self) -> &'static str {
        self.declaration().map_or("", |declared| declared.name)
    }

    pub(crate) fn speaker(self) -> Option<Box<dyn Speaker>> {
        self.declaration().map(|declared| (declared.speaker)())
    }

    fn declaration(self) -> Option<&'static Declaration> {
        ALL.into_iter().find(|declared| declared.protocol == self)
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Tells which protocol a handshake begins.
pub(crate) fn of_opening(opening: &Opening<'_>) -> Option<(Protocol, Chosen)> {
    let token = |declared: &&&Declaration| {
        opening
            .subprotocol
            .is_some_and(|agreed| declared.tokens.iter().any(|token| token.eq_ignore_ascii_case(agreed)))
    };
    let by_token = ALL.iter().find(token).map(|declared| (declared.protocol, Chosen::Subprotocol));
    let by_target = || {
        let found = ALL.iter().find(|declared| (declared.target)(opening.target));
        found.map(|declared| (declared.protocol, Chosen::Target))
    };
    by_token.or_else(by_target)
}

/// Tells which protocol a message belongs to that is one of the first.
pub(crate) fn of_message(message: &Message<'_>) -> Option<Protocol> {
    ALL.iter().find(|declared| (declared.message)(message)).map(|declared| declared.protocol)
}

/// For protocols that no target names.
fn no_target(_: &str) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sockwarden_model::Direction::{Client, Server};
    use sockwarden_proto::MessageKind;

    use super::*;
    use crate::testing::read;

    #[test]
    fn every_protocol_is_listed_once_with_a_name_of_its_own() {
        for declared in ALL {
            assert_eq!(Protocol::named(declared.name), Some(declared.protocol), "{}", declared.name);
            assert_eq!(declared.protocol.name(), declared.name);
        }
    }

    #[test]
    fn no_token_belongs_to_two() {
        let mut tokens: Vec<&str> = ALL.iter().flat_map(|declared| declared.tokens.iter().copied()).collect();
        tokens.sort_unstable();
        let all = tokens.len();
        tokens.dedup();
        assert_eq!(tokens.len(), all);
    }

    /// What each protocol says around a piece of JSON, and where that stands then.
    const ENVELOPES: &[(Protocol, Direction, &str, &str)] = &[
        (Protocol::JsonRpc, Client, r#"{"jsonrpc":"2.0","method":"m","params":$}"#, "/params"),
        (Protocol::EngineIo, Client, "4$", ""),
        (Protocol::SocketIo, Client, r#"42/n,7["e",$]"#, "/1"),
        (Protocol::GraphQlTransportWs, Server, r#"{"id":"1","type":"next","payload":$}"#, "/payload"),
        (Protocol::GraphQlWs, Server, r#"{"id":"1","type":"data","payload":$}"#, "/payload"),
        (Protocol::SignalR, Client, "{\"type\":1,\"target\":\"t\",\"arguments\":[$]}\x1e", "/arguments/0"),
        (Protocol::Phoenix, Client, r#"["1","2","t","e",$]"#, "/4"),
        (Protocol::Phoenix, Client, r#"{"topic":"t","event":"e","payload":$,"ref":"1"}"#, "/payload"),
        (Protocol::ActionCable, Server, r#"{"identifier":"{\"channel\":\"C\"}","message":$}"#, "/message"),
        (Protocol::SockJs, Client, "[$]", "/0|text"),
    ];

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let text = || "[ -~]{0,12}";
        let leaf = prop_oneof![
            any::<i32>().prop_map(Into::into),
            any::<bool>().prop_map(Into::into),
            text().prop_map(Into::into)
        ];
        let inner = leaf.prop_recursive(4, 20, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::vec((text(), inner), 0..4)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        });
        inner.prop_map(|inner| serde_json::json!({ "v": inner }))
    }

    fn said() -> impl Strategy<Value = (Direction, MessageKind, Vec<u8>)> {
        let text = prop_oneof![
            any::<String>(),
            "[0-9]{0,2}[0-9\\-/,{}\\[\\]\":a-z\u{1e}]{0,30}",
            prop::sample::select(
                samples::exchanges().flat_map(|exchange| exchange.messages).collect::<Vec<_>>()
            )
            .prop_map(|said| String::from_utf8_lossy(said.2).into_owned()),
        ];
        let content = prop_oneof![
            text.prop_map(|text| (MessageKind::Text, text.into_bytes())),
            any::<Vec<u8>>().prop_map(|bytes| (MessageKind::Binary, bytes)),
        ];
        (any::<bool>(), content)
            .prop_map(|(client, (kind, bytes))| (if client { Client } else { Server }, kind, bytes))
    }

    proptest! {
        #[test]
        fn any_messages_are_read_by_every_protocol(messages in prop::collection::vec(said(), 0..6)) {
            let messages: Vec<_> =
                messages.iter().map(|(direction, kind, bytes)| (*direction, *kind, bytes.as_slice())).collect();
            for protocol in Protocol::all().map(Some).chain([None]) {
                read(protocol, &messages);
            }
        }

        #[test]
        fn an_envelope_changes_no_value_inside(inner in json()) {
            let inner = inner.to_string();
            let alone = read(None, &[(Client, MessageKind::Text, inner.as_bytes())]).values;
            let quoted = serde_json::to_string(&inner).unwrap();
            for (protocol, direction, envelope, place) in ENVELOPES {
                // SockJS carries texts.
                let piece = if *protocol == Protocol::SockJs { &quoted } else { &inner };
                let text = envelope.replace('$', piece);
                let values = read(Some(*protocol), &[(*direction, MessageKind::Text, text.as_bytes())]).values;
                let inside: Vec<&str> = values
                    .iter()
                    .filter_map(|value| value.strip_prefix(place))
                    .filter(|value| value.starts_with("/v"))
                    .collect();
                prop_assert_eq!(&inside, &alone, "{}", text);
            }
        }
    }
}

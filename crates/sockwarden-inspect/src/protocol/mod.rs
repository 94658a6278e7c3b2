//! The sub-protocols: one file each, parser pure, table-tested. [`ALL`] is the one list of them.

mod body;
#[cfg(test)]
mod broker_samples;
mod cdp;
mod elements;
mod envelope;
mod json_rpc;
mod kubernetes;
mod memory;
mod mqtt;
mod ocpp;
mod stomp;
mod wamp;

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
    /// Is told of the handshake, where the protocol was known from the beginning.
    fn opened(&mut self, _opening: &Opening<'_>) {}

    /// Reads a message: tells its values, then its operations.
    fn message(&mut self, message: &Message<'_>, walk: &mut Walk<'_>);
}

/// A sub-protocol whose messages are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// JSON-RPC 2.0.
    JsonRpc,
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
static ALL: [&Declaration; 7] = [
    &json_rpc::DECLARATION,
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
    use super::*;

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
}

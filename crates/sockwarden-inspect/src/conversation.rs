//! The messages of one connection, one after the other.

use sockwarden_model::Direction;
use sockwarden_proto::MessageKind;

use crate::{
    InspectLimits, Protocol, Sink, content,
    protocol::{self, Speaker},
    walk::{State, Walk},
};

/// How many messages are looked at to recognise a protocol that the handshake did not name.
const FIRST: u8 = 8;

/// A complete message, inflated.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Who sent it.
    pub direction: Direction,
    /// Whether it is a text.
    pub kind: MessageKind,
    /// What it holds; of a text UTF-8.
    pub bytes: &'a [u8],
}

/// What the handshake says of what will be spoken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opening<'a> {
    /// The sub-protocol that was agreed.
    pub subprotocol: Option<&'a str>,
    /// The request target: the path and the query.
    pub target: &'a str,
}

/// How it became known which protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Chosen {
    /// The configuration says so.
    Configured,
    /// The handshake agreed on it (`Sec-WebSocket-Protocol`).
    Subprotocol,
    /// The path or the query of the handshake names it.
    Target,
    /// One of the first messages can be nothing else.
    FirstMessages,
}

impl Chosen {
    /// Its name, as people read it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Subprotocol => "sub-protocol",
            Self::Target => "target",
            Self::FirstMessages => "first messages",
        }
    }
}

/// The buffers that messages are read with; one serves all connections of a thread.
#[derive(Debug, Default)]
pub struct Reader {
    state: State,
}

/// What is known of what is spoken on one connection.
#[derive(Default)]
pub struct Conversation {
    protocol: Option<(Protocol, Chosen)>,
    speaker: Option<Box<dyn Speaker>>,
    /// How many messages were heard before the protocol was known.
    heard: u8,
}

impl Conversation {
    /// Begins a conversation. What is configured is not looked for.
    pub fn new(configured: Option<Protocol>, opening: &Opening<'_>) -> Self {
        let mut conversation = Self::default();
        let known = configured.map(|protocol| (protocol, Chosen::Configured));
        if let Some((protocol, chosen)) = known.or_else(|| protocol::of_opening(opening)) {
            conversation.choose(protocol, chosen);
        }
        if let Some(speaker) = &mut conversation.speaker {
            speaker.opened(opening);
        }
        conversation
    }

    /// Begins a conversation in which no protocol is looked for.
    pub fn of_no_protocol() -> Self {
        Self { heard: FIRST, ..Self::default() }
    }

    /// Gives the protocol that is spoken, and how that became known.
    pub fn protocol(&self) -> Option<(Protocol, Chosen)> {
        self.protocol
    }

    /// Reads a message and tells `sink` what it holds.
    pub fn message(
        &mut self,
        reader: &mut Reader,
        limits: &InspectLimits,
        message: &Message<'_>,
        sink: &mut dyn Sink,
    ) {
        if self.protocol.is_none() && self.heard < FIRST {
            self.heard += 1;
            if let Some(protocol) = protocol::of_message(message) {
                self.choose(protocol, Chosen::FirstMessages);
            }
        }
        reader.state.begin();
        let mut walk = Walk::new(&mut reader.state, limits, message.direction, sink);
        match &mut self.speaker {
            Some(speaker) => speaker.message(message, &mut walk),
            None => content::message(&mut walk, message),
        }
    }

    fn choose(&mut self, protocol: Protocol, chosen: Chosen) {
        self.protocol = Some((protocol, chosen));
        self.speaker = protocol.speaker();
    }
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversation").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

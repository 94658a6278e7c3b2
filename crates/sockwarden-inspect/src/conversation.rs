//! The messages of one connection, one after the other.

use sockwarden_model::Direction;
use sockwarden_proto::MessageKind;

use crate::{
    Format, InspectLimits, Protocol, Sink, content,
    protocol::{self, Speaker},
    walk::{State, Walk},
};

/// How many messages are looked at to recognise a protocol that the handshake did not name.
const FIRST: u8 = 8;

/// The longest of them: what begins a protocol is short, and every recogniser looks through all of it.
const LONGEST: usize = 4096;

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

impl<'a> Message<'a> {
    /// Takes the body of an HTTP message for one: a text where it is UTF-8.
    pub fn of_body(direction: Direction, bytes: &'a [u8]) -> Self {
        let is_text = std::str::from_utf8(bytes).is_ok();
        Self { direction, kind: if is_text { MessageKind::Text } else { MessageKind::Binary }, bytes }
    }
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

impl Reader {
    /// Reads something whose format is known, as a `Content-Type` says it, and tells `sink` what it holds: what is not well-formed
    /// then is an anomaly from the first byte on. Texts in an encoding, such as base64, are read as texts that may be in one.
    pub fn read_as(
        &mut self,
        format: Format,
        limits: &InspectLimits,
        direction: Direction,
        bytes: &[u8],
        sink: &mut dyn Sink,
    ) {
        self.state.begin();
        content::declared(&mut Walk::new(&mut self.state, limits, direction, sink), format, bytes);
    }
}

/// What is known of what is spoken on one connection.
#[derive(Debug, Default)]
pub struct Conversation(Spoken);

impl Conversation {
    /// Begins a conversation. What is configured is not looked for.
    pub fn new(configured: Option<Protocol>, opening: &Opening<'_>) -> Self {
        let mut spoken = Spoken::default();
        let known = configured.map(|protocol| (protocol, Chosen::Configured));
        if let Some((protocol, chosen)) = known.or_else(|| protocol::of_opening(opening)) {
            spoken.choose(protocol, chosen);
            if let Some(speaker) = &mut spoken.speaker {
                speaker.open(opening);
            }
        }
        Self(spoken)
    }

    /// Begins a conversation in which no protocol is looked for.
    pub fn of_no_protocol() -> Self {
        Self(Spoken { heard: FIRST, ..Spoken::default() })
    }

    /// Gives the protocol that is spoken, and how that became known.
    pub fn protocol(&self) -> Option<(Protocol, Chosen)> {
        self.0.protocol
    }

    /// Gives the protocol that is spoken inside the other one, where that one carries messages of another, and how it became known.
    pub fn inner(&self) -> Option<(Protocol, Chosen)> {
        self.0.speaker.as_ref().and_then(|speaker| speaker.inner())
    }

    /// Tells whether this side is within a packet: it has begun one whose rest is awaited in a message to come. The packets of some
    /// protocols need not begin or end together with messages, so who leaves out such a message leaves out a part of a packet.
    pub fn is_within(&self, direction: Direction) -> bool {
        self.0.is_within(direction)
    }

    /// Reads a message and tells `sink` what it holds.
    pub fn message(
        &mut self,
        reader: &mut Reader,
        limits: &InspectLimits,
        message: &Message<'_>,
        sink: &mut dyn Sink,
    ) {
        reader.state.begin();
        let mut walk = Walk::new(&mut reader.state, limits, message.direction, sink);
        self.0.message(message, &mut walk);
    }

    /// Reads the body of an HTTP request (`Direction::Client`) or response by which the protocol goes where there is no WebSocket, and
    /// tells `sink` what its messages hold. Places are those in each message.
    ///
    /// Long polling of Engine.IO and Socket.IO is known, by its packets; what else is spoken says one message in a body. A body of which
    /// no protocol is known is read as the `format` that it is declared to be, if it is, and held to it.
    pub fn body(
        &mut self,
        reader: &mut Reader,
        limits: &InspectLimits,
        (direction, format): (Direction, Option<Format>),
        bytes: &[u8],
        sink: &mut dyn Sink,
    ) {
        reader.state.begin();
        let mut walk = Walk::new(&mut reader.state, limits, direction, sink);
        self.0.recognise(&Message::of_body(direction, bytes));
        match (&mut self.0.speaker, format) {
            (Some(speaker), _) => speaker.body(bytes, &mut walk),
            (None, Some(format)) => content::declared(&mut walk, format, bytes),
            (None, None) => content::body(&mut walk, bytes),
        }
    }
}

/// What is known of what is spoken, on a connection or inside of another protocol.
#[derive(Default)]
pub(crate) struct Spoken {
    protocol: Option<(Protocol, Chosen)>,
    speaker: Option<Box<dyn Speaker>>,
    /// How many messages were heard before the protocol was known.
    heard: u8,
    /// The protocol that it is spoken inside of.
    outer: Option<Protocol>,
}

impl Spoken {
    /// Begins what is spoken inside of `outer`.
    pub(crate) fn inside(outer: Protocol) -> Self {
        Self { outer: Some(outer), ..Self::default() }
    }

    /// Gives the protocol, and how it became known.
    pub(crate) fn protocol(&self) -> Option<(Protocol, Chosen)> {
        self.protocol
    }

    /// Looks for a protocol in one of the first messages, where none is known.
    fn recognise(&mut self, message: &Message<'_>) {
        if self.protocol.is_none() && self.heard < FIRST && message.bytes.len() <= LONGEST {
            self.heard += 1;
            if let Some(protocol) = protocol::of_message(message).filter(|found| Some(*found) != self.outer) {
                self.choose(protocol, Chosen::FirstMessages);
            }
        }
    }

    /// Reads a message.
    pub(crate) fn message(&mut self, message: &Message<'_>, walk: &mut Walk<'_>) {
        self.recognise(message);
        match &mut self.speaker {
            Some(speaker) => speaker.message(message, walk),
            None => content::message(walk, message),
        }
    }

    pub(crate) fn is_within(&self, direction: Direction) -> bool {
        self.speaker.as_ref().is_some_and(|speaker| speaker.is_within(direction))
    }

    fn choose(&mut self, protocol: Protocol, chosen: Chosen) {
        self.protocol = Some((protocol, chosen));
        self.speaker = protocol.speaker();
    }
}

impl std::fmt::Debug for Spoken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spoken").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Notes;

    #[test]
    fn a_side_is_within_a_packet_until_its_rest_has_come() {
        let check = |protocol: Protocol, pieces: &[(&[u8], bool)]| {
            let mut conversation = Conversation::new(Some(protocol), &Opening::default());
            let (mut reader, mut notes) = (Reader::default(), Notes::default());
            for (bytes, expected) in pieces {
                let message = Message { direction: Direction::Client, kind: MessageKind::Binary, bytes };
                conversation.message(&mut reader, &InspectLimits::default(), &message, &mut notes);
                let within = [Direction::Client, Direction::Server].map(|side| conversation.is_within(side));
                assert_eq!(within, [*expected, false], "{protocol} {}", bytes.escape_ascii());
            }
        };
        // PINGREQ is two bytes long.
        check(Protocol::Mqtt, &[(b"\xc0\0", false), (b"\xc0\0\xc0", true), (b"\0", false)]);
        check(Protocol::Stomp, &[(b"SEND\ndesti", true), (b"nation:/a\n\n\0", false), (b"\n", false)]);
        check(Protocol::JsonRpc, &[(b"{", false)]);
    }
}

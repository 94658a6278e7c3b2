//! Engine.IO, revisions 3 and 4: packets of one letter and what follows, over WebSocket or in bodies of HTTP requests.
//!
//! Packets that belong to Engine.IO itself are operations named as its documentation names them; what a `message` packet carries is
//! for whom it is spoken: [Socket.IO](super::socket_io), or anyone.

use sockwarden_model::Direction;
use sockwarden_proto::MessageKind;

use super::{Declaration, Protocol, Speaker, payload};
use crate::{
    Action, Anomaly, Breach, Marks, Message, Opening, Operation, Role, Shape, content,
    format::{json, percent},
    walk::Walk,
};

pub(super) static DECLARATION: Declaration = Declaration {
    protocol: Protocol::EngineIo,
    name: "engine-io",
    tokens: &[],
    // A server of Socket.IO answers to all paths that begin with its own.
    target: |target| {
        target
            .split('?')
            .next()
            .is_some_and(|path| path.contains("/engine.io/") && !path.contains("/socket.io/"))
    },
    // What opens a session of its own opens one of Socket.IO too, which is what nearly all of them are.
    message: |_| false,
    speaker: || Box::new(EngineIo::new(Protocol::EngineIo, Plain)),
};

/// Takes what `message` packets carry.
pub(super) trait Carried: Send {
    /// Reads what one packet carries.
    fn message(&mut self, message: &Message<'_>, walk: &mut Walk<'_>);
}

/// Carries anything.
struct Plain;

impl Carried for Plain {
    fn message(&mut self, message: &Message<'_>, walk: &mut Walk<'_>) {
        content::message(walk, message);
    }
}

/// The packets of one session.
pub(super) struct EngineIo<C> {
    protocol: Protocol,
    carried: C,
    revision: Option<Revision>,
    /// Who closed it: what the other side had sent by then still comes.
    closed: Option<Direction>,
}

/// Which revision is spoken. They differ in who sends pings, and in how packets stand in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Revision {
    /// The client sends pings (Socket.IO 1 and 2).
    Three,
    /// The server sends pings (Socket.IO 3 and 4).
    Four,
}

/// Tells whether a target is one of Engine.IO: its usual paths, or one that says which revision it speaks, or that it polls, as every
/// request of a session must that is known already.
pub(super) fn is_target(target: &str) -> bool {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    path.contains("/socket.io/")
        || path.contains("/engine.io/")
        || decoded(query).any(|pair| pair.starts_with(b"EIO=") || pair == b"transport=polling")
}

/// Tells which revision a server takes a target to mean: anything but one plain `4` is the older one.
fn revision(target: &str) -> Revision {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let mut revisions = revisions(query);
    match (revisions.next().as_deref(), revisions.next()) {
        (Some(b"4"), None) => Revision::Four,
        _ => Revision::Three,
    }
}

/// Gives the values of every `EIO` in a query.
fn revisions(query: &str) -> impl Iterator<Item = Vec<u8>> {
    decoded(query).filter_map(|pair| pair.strip_prefix(b"EIO=").map(<[u8]>::to_vec))
}

/// Gives the names and values of a query, decoded.
fn decoded(query: &str) -> impl Iterator<Item = Vec<u8>> {
    query.split('&').map(|pair| {
        let mut decoded = Vec::new();
        percent::decode(pair.as_bytes(), b'+', &mut decoded);
        decoded
    })
}

/// Tells whether a message opens a session: only Engine.IO begins JSON with a digit.
pub(super) fn opens(message: &Message<'_>) -> bool {
    message.direction == Direction::Server
        && message.kind == MessageKind::Text
        && message.bytes.starts_with(b"0{\"sid\":\"")
}

impl<C: Carried> EngineIo<C> {
    pub(super) fn new(protocol: Protocol, carried: C) -> Self {
        Self { protocol, carried, revision: None, closed: None }
    }

    fn breach(&self, walk: &mut Walk<'_>, breach: Breach) {
        walk.anomaly(Anomaly::Breach(self.protocol, breach));
    }

    /// Reads a packet.
    fn packet(&mut self, kind: MessageKind, bytes: &[u8], walk: &mut Walk<'_>) {
        match (kind, bytes.split_first()) {
            (MessageKind::Binary, first) => {
                // Revision 3 says the packet's type before the bytes, revision 4 does not: they are a message.
                let bytes = match (self.revision, first) {
                    (Some(Revision::Three), Some((4, rest))) => rest,
                    (Some(Revision::Three), _) => return self.unknown(kind, bytes, walk),
                    (Some(Revision::Four) | None, _) => bytes,
                };
                self.carried(MessageKind::Binary, bytes, walk);
            }
            (MessageKind::Text, Some((b'b', base64))) => self.base64(base64, walk),
            (MessageKind::Text, Some((letter, data))) => self.lettered(*letter, data, bytes, walk),
            (MessageKind::Text, None) => self.breach(walk, Breach::NotOfTheProtocol),
        }
    }

    fn carried(&mut self, kind: MessageKind, bytes: &[u8], walk: &mut Walk<'_>) {
        if self.closed == Some(walk.direction) {
            self.breach(walk, Breach::OutOfOrder);
        }
        self.carried.message(&Message { direction: walk.direction, kind, bytes }, walk);
    }

    fn unknown(&mut self, kind: MessageKind, bytes: &[u8], walk: &mut Walk<'_>) {
        self.breach(walk, Breach::UnknownType);
        content::message(walk, &Message { direction: walk.direction, kind, bytes });
    }

    /// Reads a packet of bytes that is written as text; receivers take it on a WebSocket too.
    fn base64(&mut self, base64: &[u8], walk: &mut Walk<'_>) {
        let base64 = match (self.revision, base64.split_first()) {
            (Some(Revision::Three), Some((b'4', rest))) => rest,
            (Some(Revision::Three), _) => return self.unknown(MessageKind::Text, base64, walk),
            (Some(Revision::Four) | None, _) => base64,
        };
        let mut bytes = walk.buffer();
        match payload::base64_decoded(base64, &mut bytes) {
            Ok(()) if walk.decoded(bytes.len()) => self.carried(MessageKind::Binary, &bytes, walk),
            Ok(()) => content::rest(walk, base64),
            Err(at) => {
                walk.anomaly(Anomaly::Malformed { format: crate::Format::Base64, at });
                content::rest(walk, base64);
            }
        }
        walk.give(bytes);
    }

    fn lettered(&mut self, letter: u8, data: &[u8], whole: &[u8], walk: &mut Walk<'_>) {
        let client = walk.direction == Direction::Client;
        let probe = data == b"probe";
        let (action, name, fits) = match letter {
            b'0' => (Action::Connected, "open", !client),
            b'1' => (Action::Disconnect, "close", true),
            // Whoever probes a new transport is the client, in either revision.
            b'2' => (Action::KeepAlive, "ping", if probe { client } else { self.beats(client) }),
            b'3' => (Action::KeepAlive, "pong", if probe { !client } else { self.beats(!client) }),
            b'4' => return self.carried(MessageKind::Text, data, walk),
            b'5' => (Action::Connect, "upgrade", client),
            b'6' => (Action::KeepAlive, "noop", !client),
            _ => return self.unknown(MessageKind::Text, whole, walk),
        };
        if !fits {
            self.breach(walk, Breach::WrongDirection);
        }
        if letter == b'1' {
            self.closed = Some(walk.direction);
        }
        if letter == b'0' && json::begins(data) {
            walk.json(data);
        } else if !data.is_empty() {
            walk.value(Role::Value, Shape::String, data, Marks::of(data));
            content::follow(walk, data, Marks::of(data));
        }
        if letter == b'0' && !data.starts_with(b"{")
            || matches!(letter, b'1' | b'5' | b'6') && !data.is_empty()
        {
            self.breach(walk, Breach::BadField);
        }
        walk.operation(&Operation {
            protocol: self.protocol,
            action,
            name: Some(name),
            subject: None,
            id: None,
        });
    }

    /// Tells whether it is this side that pings, and learns it from the first ping or pong.
    fn beats(&mut self, client: bool) -> bool {
        let revision = if client { Revision::Three } else { Revision::Four };
        *self.revision.get_or_insert(revision) == revision
    }
}

impl<C: Carried> Speaker for EngineIo<C> {
    fn message(&mut self, message: &Message<'_>, walk: &mut Walk<'_>) {
        self.packet(message.kind, message.bytes, walk);
    }

    fn open(&mut self, opening: &Opening<'_>) {
        if is_target(opening.target) {
            self.revision = Some(revision(opening.target));
        }
    }

    fn body(&mut self, body: &[u8], walk: &mut Walk<'_>) {
        let mut script = walk.buffer();
        let (body, clean) = payload::unwrapped(body, &mut script, walk);
        if !clean {
            self.breach(walk, Breach::NotOfTheProtocol);
        }
        let mut rest = body;
        while !rest.is_empty() {
            let packet;
            (packet, rest) = payload::next(rest);
            match packet {
                Ok((MessageKind::Text, bytes)) if std::str::from_utf8(bytes).is_err() => {
                    walk.anomaly(Anomaly::InvalidUtf8);
                    content::bytes(walk, bytes);
                }
                Ok((kind, bytes)) => self.packet(kind, bytes, walk),
                Err(bytes) => {
                    self.breach(walk, Breach::BadLength);
                    content::body(walk, bytes);
                }
            }
        }
        walk.give(script);
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Direction::{Client, Server};

    use super::*;
    use crate::{Conversation, InspectLimits, Reader, testing::Notes};

    /// Reads packets of a session of revision 4, `>` before what the client sends, `<` before what the server sends.
    #[track_caller]
    fn check(target: &str, packets: &[&str], expected: &str) {
        let (mut notes, mut reader) = (Notes::default(), Reader::default());
        let mut conversation = Conversation::new(None, &Opening { subprotocol: None, target });
        assert_eq!(conversation.protocol().map(|found| found.0), Some(Protocol::EngineIo), "{target}");
        for packet in packets {
            let direction = if packet.starts_with('>') { Client } else { Server };
            let message = Message { direction, kind: MessageKind::Text, bytes: &packet.as_bytes()[1..] };
            conversation.message(&mut reader, &InspectLimits::default(), &message, &mut notes);
        }
        assert_eq!(notes.said.join("; "), expected, "{packets:?}");
    }

    const FOUR: &str = "/engine.io/?EIO=4&transport=websocket";
    const THREE: &str = "/engine.io/?transport=websocket&EIO=3";

    #[test]
    fn packets_are_told_as_what_they_do() {
        check(
            FOUR,
            &[r#"<0{"sid":"x","upgrades":[],"pingInterval":1}"#, "<2", ">3"],
            "connected open; keep-alive ping; keep-alive pong",
        );
        check(THREE, &[">2", "<3", ">1"], "keep-alive ping; keep-alive pong; disconnect close");
        check(
            FOUR,
            &[">2probe", "<3probe", ">5", "<6"],
            "keep-alive ping; keep-alive pong; connect upgrade; keep-alive noop",
        );
        check(FOUR, &[">4hello", "<4{\"a\":1}"], "");
    }

    #[test]
    fn what_breaks_the_protocol_is_told() {
        check(FOUR, &[">2"], "! sent by the side that must not send it; keep-alive ping");
        check(FOUR, &["<3"], "! sent by the side that must not send it; keep-alive pong");
        check(THREE, &["<2"], "! sent by the side that must not send it; keep-alive ping");
        check(FOUR, &[">0{}"], "! sent by the side that must not send it; connected open");
        check(FOUR, &["<0"], "! a field has a value that it cannot have; connected open");
        check(FOUR, &[">1x"], "! a field has a value that it cannot have; disconnect close");
        check(FOUR, &[">7"], "! a type that the protocol does not have");
        check(FOUR, &[">"], "! no message of the protocol");
        check(FOUR, &[">1", ">4x"], "disconnect close; ! sent before the session began or after it ended");
        check(FOUR, &[">b?"], "! no well-formed base64 from byte 0 on");
    }

    #[test]
    fn a_target_says_the_revision_that_a_server_reads_in_it() {
        let of_opening = |target| Conversation::new(None, &Opening { subprotocol: None, target }).protocol();
        assert_eq!(
            of_opening("/socket.io/engine.io/?EIO=4"),
            Some((Protocol::SocketIo, crate::Chosen::Target)),
            "a server of Socket.IO takes it for its own"
        );
        let check = |target: &str, expected: Option<Revision>| {
            assert_eq!(is_target(target).then(|| revision(target)), expected, "{target}");
        };
        check("/socket.io/?EIO=4&transport=websocket", Some(Revision::Four));
        check("/x?transport=websocket&E%49O=%34", Some(Revision::Four));
        check("/socket.io/?EIO=3", Some(Revision::Three));
        check("/socket.io/?EIO=4&EIO=4", Some(Revision::Three));
        check("/socket.io/", Some(Revision::Three));
        check("/x?MEIO=4", None);
        check("/x?transport=%70olling&sid=a", Some(Revision::Three));
        check("/x?transport=websocket", None);
        check("/socket.iox?a=/socket.io/", None);
    }

    #[test]
    fn bytes_written_as_text_are_read() {
        let (mut notes, mut reader) = (Notes::default(), Reader::default());
        let mut conversation = Conversation::new(None, &Opening { subprotocol: None, target: FOUR });
        let message = Message { direction: Client, kind: MessageKind::Text, bytes: b"bPGI+" };
        conversation.message(&mut reader, &InspectLimits::default(), &message, &mut notes);
        assert!(notes.values[0].ends_with(" <b>"), "{:?}", notes.values);
    }
}

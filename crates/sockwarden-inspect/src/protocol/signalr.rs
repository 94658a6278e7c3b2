//! The hub protocol of ASP.NET Core SignalR: a handshake in JSON, then records of JSON that a separator ends, or of MessagePack that a length
//! begins. A message may hold several; places are those in each.
//!
//! The name is the method that is invoked, the id the invocation's. An invocation that wants no answer is an [`Action::Event`].

use sockwarden_model::Direction;
use sockwarden_proto::MessageKind;

use super::{Declaration, Protocol, Speaker, envelope::Envelope, hint, no_target, signalr_pack};
use crate::{Action, Anomaly, Breach, Message, Operation, Sink, Value, content, format::json, walk::Walk};

pub(super) static DECLARATION: Declaration = Declaration {
    protocol: Protocol::SignalR,
    name: "signalr",
    tokens: &[],
    target: no_target,
    message: is_one,
    speaker: || Box::new(SignalR::default()),
};

/// Ends each record of JSON.
const SEPARATOR: u8 = 0x1e;

const MEMBERS: [&str; 9] =
    ["type", "target", "invocationId", "arguments", "item", "result", "error", "sequenceId", "protocol"];
const TYPE: usize = 0;
const TARGET: usize = 1;
const ID: usize = 2;
const ARGUMENTS: usize = 3;
const ITEM: usize = 4;
const RESULT: usize = 5;
const ERROR: usize = 6;
const SEQUENCE: usize = 7;
const PROTOCOL: usize = 8;

/// What one connection has agreed on.
#[derive(Default)]
struct SignalR {
    /// Which encoding the client asked for, once it has.
    encoding: Option<Encoding>,
    /// Whether the server has answered the handshake.
    answered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Json,
    MessagePack,
}

impl Speaker for SignalR {
    fn message(&mut self, message: &Message<'_>, walk: &mut Walk<'_>) {
        let mut rest = message.bytes;
        let mut first = true;
        while first || !rest.is_empty() {
            first = false;
            if self.encoding == Some(Encoding::MessagePack) && self.shook(walk.direction) {
                if message.kind == MessageKind::Text {
                    breach(walk, Breach::WrongKind);
                }
                return signalr_pack::records(rest, walk);
            }
            // The handshake goes in either kind: clients of MessagePack send it as bytes.
            if message.kind == MessageKind::Binary && self.shook(walk.direction) {
                breach(walk, Breach::WrongKind);
            }
            let end = rest.iter().position(|byte| *byte == SEPARATOR);
            let record = &rest[..end.unwrap_or(rest.len())];
            rest = end.map_or(&[], |end| &rest[end + 1..]);
            if end.is_none() {
                breach(walk, Breach::Incomplete);
            }
            self.record(record, walk);
        }
    }
}

pub(super) fn breach(walk: &mut Walk<'_>, breach: Breach) {
    walk.anomaly(Anomaly::Breach(Protocol::SignalR, breach));
}

impl SignalR {
    /// Tells whether this side is done with its part of the handshake.
    fn shook(&self, direction: Direction) -> bool {
        match direction {
            Direction::Client => self.encoding.is_some(),
            Direction::Server => self.answered,
        }
    }

    /// Reads a record of JSON.
    fn record(&mut self, record: &[u8], walk: &mut Walk<'_>) {
        if !json::begins(record) || std::str::from_utf8(record).is_err() {
            breach(walk, Breach::NotOfTheProtocol);
            return content::body(walk, record);
        }
        let mut envelope = Envelope::at(walk, MEMBERS);
        let mut tap = |value: &Value<'_>, _: &mut dyn Sink| envelope.tap(value);
        walk.tapped(&mut tap, |walk| walk.json(record));
        if !self.shook(walk.direction) {
            self.handshake(&envelope, walk);
        } else {
            hub(&envelope, walk);
        }
        envelope.release(walk);
    }

    fn handshake(&mut self, envelope: &Envelope<9>, walk: &mut Walk<'_>) {
        if envelope.has(TYPE) {
            breach(walk, Breach::OutOfOrder);
            // What comes now is not the handshake, and what comes later is no more likely to be.
            match walk.direction {
                Direction::Client => self.encoding = Some(Encoding::Json),
                Direction::Server => self.answered = true,
            }
            return hub(envelope, walk);
        }
        let (action, name) = match walk.direction {
            Direction::Client => {
                let encoding = match envelope.string(PROTOCOL) {
                    Some("json") => Some(Encoding::Json),
                    Some("messagepack") => Some(Encoding::MessagePack),
                    Some(_) | None => None,
                };
                if encoding.is_none() {
                    breach(
                        walk,
                        if envelope.has(PROTOCOL) { Breach::BadField } else { Breach::MissingField },
                    );
                }
                self.encoding = Some(encoding.unwrap_or(Encoding::Json));
                (Action::Connect, envelope.string(PROTOCOL))
            }
            Direction::Server => {
                if self.encoding.is_none() {
                    breach(walk, Breach::OutOfOrder);
                }
                self.answered = true;
                let failed = envelope.has(ERROR) && !envelope.is_null(ERROR);
                (if failed { Action::Error } else { Action::Connected }, None)
            }
        };
        walk.operation(&Operation { protocol: Protocol::SignalR, action, name, subject: None, id: None });
    }
}

/// Reads what a hub or its client says after the handshake.
fn hub(envelope: &Envelope<9>, walk: &mut Walk<'_>) {
    let Some(kind) = envelope.text(TYPE) else {
        return breach(walk, if envelope.has(TYPE) { Breach::BadField } else { Breach::MissingField });
    };
    let id = envelope.string(ID);
    let failed = envelope.has(ERROR) && !envelope.is_null(ERROR);
    let (action, needs): (Action, &[usize]) = match kind {
        "1" if id.is_none() => (Action::Event, &[TARGET, ARGUMENTS]),
        "1" => (Action::Call, &[TARGET, ARGUMENTS]),
        "2" => (Action::Stream, &[ID, ITEM]),
        "3" if failed => (Action::Error, &[ID]),
        "3" => (Action::Reply, &[ID]),
        "4" => (Action::Call, &[ID, TARGET, ARGUMENTS]),
        "5" => (Action::Unsubscribe, &[ID]),
        "6" => (Action::KeepAlive, &[]),
        "7" => (Action::Disconnect, &[]),
        "8" | "9" => (Action::Acknowledge, &[SEQUENCE]),
        _ => return breach(walk, Breach::UnknownType),
    };
    let is_bad_text =
        |number| envelope.has(number) && !envelope.is_null(number) && envelope.string(number).is_none();
    if needs.iter().any(|number| !envelope.has(*number)) {
        breach(walk, Breach::MissingField);
    } else if [TARGET, ID, ERROR].into_iter().any(is_bad_text)
        || needs.contains(&TARGET) && envelope.string(TARGET).is_none()
        || needs.contains(&ID) && id.is_none()
        || needs.contains(&ARGUMENTS) && !envelope.is_container(ARGUMENTS)
        || kind == "3" && failed && envelope.has(RESULT) && !envelope.is_null(RESULT)
    {
        breach(walk, Breach::BadField);
    }
    tell(kind.parse().unwrap_or_default(), action, envelope.string(TARGET), id, walk);
}

/// Tells what a message of a hub does.
pub(super) fn tell(kind: u8, action: Action, target: Option<&str>, id: Option<&str>, walk: &mut Walk<'_>) {
    let name = match kind {
        1 | 4 => target,
        6 => Some("ping"),
        7 => Some("close"),
        8 => Some("ack"),
        9 => Some("sequence"),
        _ => None,
    };
    walk.operation(&Operation { protocol: Protocol::SignalR, action, name, subject: None, id });
}

/// Tells whether a message is the handshake of a client.
fn is_one(message: &Message<'_>) -> bool {
    let end = message.bytes.iter().position(|byte| *byte == SEPARATOR).unwrap_or_default();
    let first = &message.bytes[..end];
    message.direction == Direction::Client
        && json::begins(first)
        && hint::says(first, "protocol", "\"")
        && hint::says(first, "version", "")
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Direction::{Client, Server};

    use super::*;
    use crate::testing::read;

    /// Reads records of a client after the handshake.
    #[track_caller]
    fn check(records: &str, expected: &str) {
        let shake: &[(Direction, MessageKind, &[u8])] = &[
            (Client, MessageKind::Text, b"{\"protocol\":\"json\",\"version\":1}\x1e"),
            (Server, MessageKind::Text, b"{}\x1e"),
        ];
        let records = [(Client, MessageKind::Text, records.as_bytes())];
        let said = read(Some(Protocol::SignalR), &[shake, &records].concat()).said.join("; ");
        assert_eq!(said.strip_prefix("connect json; connected; "), Some(expected), "{records:?}");
    }

    #[test]
    fn records_are_told_as_what_they_do() {
        check("{\"type\":1,\"target\":\"Send\",\"arguments\":[42,\"x\"]}\x1e", "event Send");
        check(
            "{\"type\":1,\"invocationId\":\"123\",\"target\":\"Send\",\"arguments\":[]}\x1e",
            "call Send id 123",
        );
        check(
            "{\"type\":4,\"invocationId\":\"1\",\"target\":\"Count\",\"arguments\":[5]}\x1e",
            "call Count id 1",
        );
        check("{\"type\":2,\"invocationId\":\"1\",\"item\":null}\x1e", "stream id 1");
        check(
            "{\"type\":3,\"invocationId\":\"1\"}\x1e{\"type\":3,\"invocationId\":\"2\",\"error\":\"no\"}\x1e",
            "reply id 1; error id 2",
        );
        check("{\"type\":5,\"invocationId\":\"1\"}\x1e", "unsubscribe id 1");
        check(
            "{\"type\":6}\x1e{\"type\":7,\"allowReconnect\":true}\x1e",
            "keep-alive ping; disconnect close",
        );
        check(
            "{\"type\":8,\"sequenceId\":3}\x1e{\"type\":9,\"sequenceId\":1}\x1e",
            "acknowledge ack; acknowledge sequence",
        );
    }

    #[test]
    fn what_breaks_the_protocol_is_told() {
        let (missing, bad) =
            ("! a field that it must have is missing", "! a field has a value that it cannot have");
        check("{\"type\":6}", "! its end is missing; keep-alive ping");
        check("", "! its end is missing; ! no message of the protocol");
        check("\x1e", "! no message of the protocol");
        check("{\"type\":10}\x1e", "! a type that the protocol does not have");
        check("{\"target\":\"x\"}\x1e", missing);
        check("{\"type\":1,\"arguments\":[]}\x1e", &format!("{missing}; event"));
        check("{\"type\":1,\"target\":7,\"arguments\":[]}\x1e", &format!("{bad}; event"));
        check("{\"type\":1,\"target\":\"x\",\"arguments\":1}\x1e", &format!("{bad}; event x"));
        check("{\"type\":2,\"invocationId\":1,\"item\":1}\x1e", &format!("{bad}; stream"));
        check(
            "{\"type\":3,\"invocationId\":\"1\",\"result\":1,\"error\":\"e\"}\x1e",
            &format!("{bad}; error id 1"),
        );
        check("{\"type\":8}\x1e", &format!("{missing}; acknowledge ack"));
    }

    #[test]
    fn a_session_begins_with_its_handshake() {
        let check = |messages: &[(Direction, MessageKind, &[u8])], expected: &str| {
            assert_eq!(read(Some(Protocol::SignalR), messages).said.join("; "), expected);
        };
        let order = "! sent before the session began or after it ended";
        let text = MessageKind::Text;
        check(&[(Client, text, b"{\"type\":6}\x1e")], &format!("{order}; keep-alive ping"));
        check(&[(Server, text, b"{}\x1e")], &format!("{order}; connected"));
        check(
            &[(Client, text, b"{\"protocol\":\"xml\",\"version\":1}\x1e")],
            "! a field has a value that it cannot have; connect xml",
        );
        check(
            &[
                (Client, text, b"{\"protocol\":\"json\",\"version\":1}\x1e{\"type\":6}\x1e"),
                (Server, text, b"{\"error\":\"no\"}\x1e"),
                (Client, MessageKind::Binary, b"{\"type\":6}\x1e"),
            ],
            "connect json; keep-alive ping; error; ! text where it must be binary, or the reverse; keep-alive ping",
        );
    }
}

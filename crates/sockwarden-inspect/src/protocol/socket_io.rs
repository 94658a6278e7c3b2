//! Socket.IO, protocols 4 and 5, on Engine.IO: connect, disconnect, events, their acknowledgements, and binary attachments.
//!
//! An event is an [`Action::Event`], or an [`Action::Call`] where an acknowledgement is asked for; its name is the event's, its subject the
//! namespace, its id the number by which the acknowledgement is joined to it. Arguments stand at the places that they have in the
//! packet's array, `/1` being the first; attachments stand where Engine.IO's message holds them, and are [`Action::Stream`] with the
//! name and subject of what they are attached to. Packets in MessagePack are told by [`socket_io_pack`].

use sockwarden_model::Direction;
use sockwarden_proto::MessageKind;

use super::{
    Declaration, Protocol,
    engine_io::{self, Carried, EngineIo},
    envelope::Envelope,
    socket_io_pack,
};
use crate::{
    Action, Anomaly, Breach, Marks, Message, Operation, Role, Shape, Sink, Step, Value, content,
    format::json, walk::Walk,
};

pub(super) static DECLARATION: Declaration = Declaration {
    protocol: Protocol::SocketIo,
    name: "socket-io",
    tokens: &[],
    target: engine_io::is_target,
    message: engine_io::opens,
    speaker: || Box::new(EngineIo::new(Protocol::SocketIo, SocketIo::default())),
};

/// Names that the libraries keep for themselves: a packet with one would look to the application like something that happened.
pub(super) const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// The most bytes of names that are kept of what attachments belong to.
const KEPT: usize = 1024;

/// What is awaited in each direction.
#[derive(Default)]
struct SocketIo {
    /// How packets are written: as the first one is.
    written: Option<Written>,
    client: Awaited,
    server: Awaited,
}

/// How packets are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    /// In text, with attachments of bytes.
    Text,
    /// In MessagePack, which has bytes of its own (socket.io-msgpack-parser).
    Packed,
}

/// Attachments that were announced and did not come yet.
#[derive(Default)]
struct Awaited {
    left: u32,
    name: Option<String>,
    namespace: Option<String>,
}

impl SocketIo {
    fn awaited(&mut self, direction: Direction) -> &mut Awaited {
        match direction {
            Direction::Client => &mut self.client,
            Direction::Server => &mut self.server,
        }
    }
}

impl Carried for SocketIo {
    fn message(&mut self, message: &Message<'_>, walk: &mut Walk<'_>) {
        let packed = message.kind == MessageKind::Binary && socket_io_pack::is_packet(message.bytes);
        let first = if packed { Written::Packed } else { Written::Text };
        match (message.kind, *self.written.get_or_insert(first)) {
            (MessageKind::Binary, Written::Text) => self.attachment(message.bytes, walk),
            (MessageKind::Binary, Written::Packed) => socket_io_pack::packet(message.bytes, walk),
            (MessageKind::Text, written) => {
                if written == Written::Packed {
                    breach(walk, Breach::WrongKind);
                }
                if std::mem::take(&mut self.awaited(walk.direction).left) > 0 {
                    breach(walk, Breach::BadAttachments);
                }
                self.packet(message.bytes, walk);
            }
        }
    }
}

impl SocketIo {
    fn attachment(&mut self, bytes: &[u8], walk: &mut Walk<'_>) {
        let awaited = self.awaited(walk.direction);
        let Some(left) = awaited.left.checked_sub(1) else {
            breach(walk, Breach::BadAttachments);
            return content::bytes(walk, bytes);
        };
        awaited.left = left;
        content::bytes(walk, bytes);
        walk.operation(&Operation {
            protocol: Protocol::SocketIo,
            action: Action::Stream,
            name: awaited.name.as_deref(),
            subject: awaited.namespace.as_deref(),
            id: None,
        });
    }

    fn packet(&mut self, bytes: &[u8], walk: &mut Walk<'_>) {
        let Some(head) = Head::read(bytes) else {
            breach(walk, if bytes.is_empty() { Breach::NotOfTheProtocol } else { Breach::UnknownType });
            return content::text(walk, bytes);
        };
        if let Some(namespace) = head.namespace {
            let namespace = namespace.as_bytes();
            walk.at_key(b"namespace", |walk| {
                walk.value(Role::Value, Shape::String, namespace, Marks::of(namespace));
            });
        }
        if head.attachments.is_none() && head.kind.is_binary() || !head.clean {
            breach(walk, Breach::BadField);
        }
        let mut envelope = Envelope::<1>::elements(walk);
        let mut places = Placeholders::new(head.attachments.unwrap_or(0));
        let mut tap = |value: &Value<'_>, _: &mut dyn Sink| {
            envelope.tap(value);
            places.tap(value);
        };
        if json::begins(head.data) || head.data.starts_with(b"\"") {
            walk.tapped(&mut tap, |walk| walk.json(head.data));
        } else {
            content::rest(walk, head.data);
        }
        if let Some(wrong) = head.wrong(&envelope) {
            breach(walk, wrong);
        }
        let id = head.id.filter(|id| !id.is_empty());
        let name = if head.kind.is_event() { envelope.text(0) } else { head.kind.name() };
        if head.kind.is_binary() {
            if places.wrong || head.attachments == Some(0) {
                breach(walk, Breach::BadAttachments);
            }
            let awaited = self.awaited(walk.direction);
            awaited.left = head.attachments.unwrap_or(0);
            let keep = |text: &str| (text.len() <= KEPT).then(|| text.to_owned());
            (awaited.name, awaited.namespace) = (name.and_then(keep), keep(head.subject()));
        }
        tell(walk, head.kind, name, head.subject(), id);
        envelope.release(walk);
    }
}

/// Tells what a packet does.
pub(super) fn tell(walk: &mut Walk<'_>, kind: Kind, name: Option<&str>, namespace: &str, id: Option<&str>) {
    if kind == Kind::ConnectError && walk.direction == Direction::Client {
        breach(walk, Breach::WrongDirection);
    }
    let action = match (kind, walk.direction) {
        (Kind::Connect, Direction::Client) => Action::Connect,
        (Kind::Connect, Direction::Server) => Action::Connected,
        (Kind::Disconnect, _) => Action::Disconnect,
        (Kind::Event | Kind::BinaryEvent, _) if id.is_some() => Action::Call,
        (Kind::Event | Kind::BinaryEvent, _) => Action::Event,
        (Kind::Ack | Kind::BinaryAck, _) => Action::Reply,
        (Kind::ConnectError, _) => Action::Error,
    };
    let protocol = Protocol::SocketIo;
    walk.operation(&Operation { protocol, action, name, subject: Some(namespace), id });
}

pub(super) fn breach(walk: &mut Walk<'_>, breach: Breach) {
    walk.anomaly(Anomaly::Breach(Protocol::SocketIo, breach));
}

/// A packet's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
    BinaryEvent,
    BinaryAck,
}

impl Kind {
    fn is_binary(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }

    pub(super) fn is_event(self) -> bool {
        matches!(self, Self::Event | Self::BinaryEvent)
    }

    /// The name of what it does, where that is not an event's.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Connect => Some("connect"),
            Self::Disconnect => Some("disconnect"),
            Self::ConnectError => Some("connect_error"),
            Self::Event | Self::BinaryEvent | Self::Ack | Self::BinaryAck => None,
        }
    }
}

/// What stands before a packet's JSON: `type [attachments -] [namespace ,] [id]`.
struct Head<'a> {
    kind: Kind,
    attachments: Option<u32>,
    namespace: Option<&'a str>,
    id: Option<&'a str>,
    data: &'a [u8],
    /// Whether every part of it is as it must be.
    clean: bool,
}

impl<'a> Head<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (kind, mut rest) = bytes.split_first()?;
        let kind = match kind {
            b'0' => Kind::Connect,
            b'1' => Kind::Disconnect,
            b'2' => Kind::Event,
            b'3' => Kind::Ack,
            b'4' => Kind::ConnectError,
            b'5' => Kind::BinaryEvent,
            b'6' => Kind::BinaryAck,
            _ => return None,
        };
        let mut clean = true;
        let mut attachments = None;
        if kind.is_binary() {
            let (digits, after) = digits(rest);
            if let (Ok(count), Some(after)) = (digits.parse(), after.strip_prefix(b"-")) {
                (attachments, rest) = (Some(count), after);
            }
        }
        let mut namespace = None;
        if rest.starts_with(b"/") {
            let end = rest.iter().position(|byte| *byte == b',');
            let name = &rest[..end.unwrap_or(rest.len())];
            rest = end.map_or(&[], |end| &rest[end + 1..]);
            namespace = std::str::from_utf8(name).ok();
            clean &= namespace.is_some();
        }
        let (id, data) = digits(rest);
        // Numbers are the packet's before they are the data's.
        let id = (!id.is_empty()).then_some(id);
        Some(Self { kind, attachments, namespace, id, data, clean })
    }

    fn subject(&self) -> &'a str {
        self.namespace.unwrap_or("/")
    }

    /// Tells what is wrong with the data of its kind.
    fn wrong(&self, envelope: &Envelope<1>) -> Option<Breach> {
        let data = self.data.trim_ascii_start().first();
        let fits = match self.kind {
            Kind::Connect => matches!(data, None | Some(b'{')),
            Kind::Disconnect => data.is_none(),
            Kind::ConnectError => matches!(data, Some(b'{' | b'"')),
            Kind::Event | Kind::BinaryEvent | Kind::Ack | Kind::BinaryAck => data == Some(&b'['),
        };
        if !fits {
            return Some(if data.is_none() { Breach::MissingField } else { Breach::BadField });
        }
        match self.kind {
            Kind::Event | Kind::BinaryEvent => match envelope.text(0) {
                Some(name) if RESERVED.contains(&name) => Some(Breach::BadField),
                Some(_) => None,
                None if envelope.has(0) => Some(Breach::BadField),
                None => Some(Breach::MissingField),
            },
            Kind::Ack | Kind::BinaryAck => self.id.is_none().then_some(Breach::MissingField),
            Kind::Connect | Kind::Disconnect | Kind::ConnectError => {
                self.id.is_some().then_some(Breach::BadField)
            }
        }
    }
}

/// Splits digits off the front.
fn digits(bytes: &[u8]) -> (&str, &[u8]) {
    let count = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = bytes.split_at(count);
    (std::str::from_utf8(digits).unwrap_or_default(), rest)
}

/// Looks for places of attachments, `{"_placeholder":true,"num":0}` in either order, that no attachment is announced for.
struct Placeholders {
    announced: u32,
    wrong: bool,
    /// The value before this one, if it is a part of such a place: how many steps lead to it, and whether its number is wrong.
    before: Option<(usize, Part)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Mark,
    Number { announced: bool },
}

impl Placeholders {
    fn new(announced: u32) -> Self {
        Self { announced, wrong: false, before: None }
    }

    fn tap(&mut self, value: &Value<'_>) {
        if value.role == Role::Key {
            return;
        }
        let part = match (value.place.last(), value.shape) {
            (Some(Step::Key(b"_placeholder")), Shape::Boolean) if value.bytes == b"true" => Some(Part::Mark),
            (Some(Step::Key(b"num")), _) => {
                let number = value.text().and_then(|text| text.parse::<u32>().ok());
                Some(Part::Number { announced: number.is_some_and(|number| number < self.announced) })
            }
            (Some(Step::Key(_) | Step::Index(_) | Step::Inside(_)) | None, _) => None,
        };
        let depth = value.place.len();
        if let (Some(part), Some((before, other))) = (part, self.before)
            && depth == before
        {
            let not_announced = Part::Number { announced: false };
            self.wrong |=
                part == Part::Mark && other == not_announced || part == not_announced && other == Part::Mark;
        }
        self.before = part.map(|part| (depth, part));
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Direction::{self, Client, Server};

    use super::*;
    use crate::{
        Conversation, InspectLimits, Opening, Reader,
        testing::{Notes, check_protocol, read},
    };

    #[track_caller]
    fn check(text: &str, expected: &str) {
        check_protocol(Protocol::SocketIo, text, expected);
    }

    #[test]
    fn packets_are_told_as_what_they_do() {
        check("40", "connect connect on /");
        check(r#"40{"token":"123"}"#, "connect connect on /");
        check("40/admin,", "connect connect on /admin");
        check(r#"40/admin?token=a,{"t":1}"#, "connect connect on /admin?token=a");
        check("41", "disconnect disconnect on /");
        check("41/admin,", "disconnect disconnect on /admin");
        check(r#"42["hello",1]"#, "event hello on /");
        check(r#"42/admin,456["project:delete",123]"#, "call project:delete on /admin id 456");
        check(r#"42[7,{}]"#, "event 7 on /");
        check("43/admin,456[]", "reply on /admin id 456");
        check(r#"451-["baz",{"_placeholder":true,"num":0}]"#, "event baz on /");
        check(r#"451-/admin,12["up",{"_placeholder":true,"num":0}]"#, "call up on /admin id 12");
        check(r#"461-/admin,456[{"_placeholder":true,"num":0}]"#, "reply on /admin id 456");
    }

    #[test]
    fn what_breaks_the_protocol_is_told() {
        let bad = "! a field has a value that it cannot have";
        check(r#"44{"message":"no"}"#, "! sent by the side that must not send it; error connect_error on /");
        check("4", "! no message of the protocol");
        check("49[]", "! a type that the protocol does not have");
        check("42", "! a field that it must have is missing; event on /");
        check("42[]", "! a field that it must have is missing; event on /");
        check(r#"42["connect"]"#, &format!("{bad}; event connect on /"));
        check(r#"42["disconnecting"]"#, &format!("{bad}; event disconnecting on /"));
        check(r#"42[{"a":1}]"#, &format!("{bad}; event on /"));
        check(r#"42{"a":1}"#, &format!("{bad}; event on /"));
        check("40[]", &format!("{bad}; connect connect on /"));
        check("41{}", &format!("{bad}; disconnect disconnect on /"));
        check("43[1]", "! a field that it must have is missing; reply on /");
        check(r#"45["a"]"#, &format!("{bad}; event a on /"));
        check(r#"450-["a"]"#, "! its attachments are not those that it announced; event a on /");
        for place in [
            r#"{"_placeholder":true,"num":1}"#,
            r#"{"num":1,"_placeholder":true}"#,
            r#"{"_placeholder":true,"num":"x"}"#,
        ] {
            check(
                &format!("451-[\"a\",{place}]"),
                "! its attachments are not those that it announced; event a on /",
            );
        }
        check(r#"451-["a",{"num":5},{"_placeholder":false,"num":5}]"#, "event a on /");
        check("42[\"a\"", "! no well-formed json from byte 4 on; event a on /");
        check("42/a", "! a field that it must have is missing; event on /a");
    }

    #[test]
    fn arguments_stand_where_the_packet_has_them() {
        let of = |text: &'static str| {
            read(Some(Protocol::SocketIo), &[(Client, MessageKind::Text, text.as_bytes())]).values
        };
        assert_eq!(
            of(r#"42/n,["e",{"a":"b c"}]"#),
            ["/namespace path /n", "/0 identifier e", "/1/a key a", "/1/a text b c"]
        );
        assert_eq!(of(r#"42garbage"#), [" identifier garbage"]);
    }

    #[test]
    fn attachments_belong_to_the_packet_before_them() {
        let check = |messages: &[(Direction, MessageKind, &[u8])], expected: &str| {
            assert_eq!(read(Some(Protocol::SocketIo), messages).said.join("; "), expected);
        };
        let two = br#"452-/n,["up",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#.as_slice();
        let (text, binary) = (MessageKind::Text, MessageKind::Binary);
        let ping = (Server, text, b"2".as_slice());
        check(
            &[(Client, text, two), (Client, binary, b"\0"), ping, (Client, binary, b"\x01")],
            "event up on /n; stream up on /n; keep-alive ping; stream up on /n",
        );
        check(&[(Client, binary, b"\0")], "! its attachments are not those that it announced");
        check(
            &[(Client, text, two), (Client, text, b"b/w=="), (Client, binary, b""), (Client, binary, b"")],
            "event up on /n; stream up on /n; stream up on /n; ! its attachments are not those that it announced",
        );
        check(
            &[(Client, text, two), (Client, text, br#"42["a"]"#)],
            "event up on /n; ! its attachments are not those that it announced; event a on /",
        );
        check(
            &[(Client, text, two), (Server, binary, b"\0")],
            "event up on /n; ! its attachments are not those that it announced",
        );
    }

    #[test]
    fn long_polling_says_the_same() {
        let check = |target: &str, direction, body: &[u8], expected: &str| {
            let (mut notes, mut reader) = (Notes::default(), Reader::default());
            let mut conversation = Conversation::new(None, &Opening { subprotocol: None, target });
            conversation.body(&mut reader, &InspectLimits::default(), (direction, None), body, &mut notes);
            assert_eq!(notes.said.join("; "), expected, "{}", body.escape_ascii());
        };
        let four = "/socket.io/?EIO=4&transport=polling&sid=x";
        check(four, Client, br#"40{"token":1}"#, "connect connect on /");
        check(
            four,
            Server,
            b"40{\"sid\":\"a\"}\x1e42[\"a\"]\x1e451-[\"b\",{\"_placeholder\":true,\"num\":0}]\x1ebAQID\x1e2",
            "connected connect on /; event a on /; event b on /; stream b on /; keep-alive ping",
        );
        check(four, Client, b"d=42%5B%22a%22%2C%22%5C%5Cn%22%5D", "event a on /");
        check(four, Server, br#"___eio[0]("42[\"a\"]");"#, "event a on /");
        check(four, Server, b"___eio[0](42);", "! no message of the protocol");
        check(four, Client, b"42[\"a\"]\x1e\xff", "event a on /; ! text that is not UTF-8");
        let three = "/socket.io/?EIO=3&transport=polling";
        check(three, Client, br#"7:42["a"]1:2"#, "event a on /; keep-alive ping");
        check(
            three,
            Server,
            b"\x00\x03\x09\xff451-[\"b\",{\"_placeholder\":true,\"num\":0}]\x01\x02\xff\x04\x01",
            "event b on /; stream b on /",
        );
        check(three, Client, b"99:4", "! its length is not what it states");
    }
}

//! Packets of Socket.IO in MessagePack, as its other parser (socket.io-msgpack-parser) writes them: one map of `type`, `nsp`, `data` and
//! `id`. They are the same operations; values stand where the map has them, the first argument at `/data/1`.

use super::{
    envelope::Envelope,
    hint,
    socket_io::{Kind, RESERVED, breach, tell},
};
use crate::{Breach, Role, Shape, Sink, Step, Value, content, format::message_pack, walk::Walk};

const MEMBERS: [&str; 4] = ["type", "nsp", "data", "id"];
const TYPE: usize = 0;
const NAMESPACE: usize = 1;
const DATA: usize = 2;
const ID: usize = 3;

/// Tells whether bytes are a packet: no attachment is a map with just these members.
pub(super) fn is_packet(bytes: &[u8]) -> bool {
    message_pack::is_map(bytes)
        && hint::find(bytes, b"\xa4type").is_some()
        && hint::find(bytes, b"\xa3nsp").is_some()
        && message_pack::begins(bytes)
}

/// Reads a packet.
pub(super) fn packet(bytes: &[u8], walk: &mut Walk<'_>) {
    if !message_pack::is_map(bytes) {
        breach(walk, Breach::NotOfTheProtocol);
        return content::bytes(walk, bytes);
    }
    let mut envelope = Envelope::at(walk, MEMBERS);
    let mut data = Data::new(walk);
    let mut tap = |value: &Value<'_>, _: &mut dyn Sink| {
        envelope.tap(value);
        data.tap(value);
    };
    walk.tapped(&mut tap, |walk| message_pack::whole(walk, bytes));
    match kind(&envelope) {
        Ok(kind) => judge(kind, &envelope, &data, walk),
        Err(wrong) => breach(walk, wrong),
    }
    envelope.release(walk);
    walk.give(data.first);
}

fn judge(kind: Kind, envelope: &Envelope<4>, data: &Data, walk: &mut Walk<'_>) {
    if let Some(wrong) = wrong(kind, envelope, data) {
        breach(walk, wrong);
    }
    let name = if kind.is_event() { data.name() } else { kind.name() };
    let namespace = envelope.string(NAMESPACE).unwrap_or("/");
    tell(walk, kind, name, namespace, id(envelope));
}

/// Gives the id, where it is a whole number.
fn id(envelope: &Envelope<4>) -> Option<&str> {
    envelope.text(ID).filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
}

fn kind(envelope: &Envelope<4>) -> Result<Kind, Breach> {
    let Some(number) = envelope.text(TYPE) else {
        return Err(if envelope.has(TYPE) { Breach::BadField } else { Breach::MissingField });
    };
    Ok(match number {
        "0" => Kind::Connect,
        "1" => Kind::Disconnect,
        "2" => Kind::Event,
        "3" => Kind::Ack,
        "4" => Kind::ConnectError,
        _ => return Err(Breach::UnknownType),
    })
}

/// Tells what is wrong with a packet of this kind.
fn wrong(kind: Kind, envelope: &Envelope<4>, data: &Data) -> Option<Breach> {
    if envelope.string(NAMESPACE).is_none() {
        return Some(if envelope.has(NAMESPACE) { Breach::BadField } else { Breach::MissingField });
    }
    // JavaScript's `undefined` is written as nil, or as an extension.
    let is_absent = |number| !envelope.has(number) || envelope.is_null(number) || envelope.is_bytes(number);
    let (absent, container) = (is_absent(DATA), envelope.is_container(DATA));
    let fits = match kind {
        Kind::Connect => absent || container && !data.is_array,
        Kind::Disconnect => absent,
        Kind::ConnectError => envelope.string(DATA).is_some() || container && !data.is_array,
        // Of an empty container nothing tells what it is.
        Kind::Event | Kind::Ack | Kind::BinaryEvent | Kind::BinaryAck => container && !data.is_map,
    };
    if !fits {
        return Some(if absent { Breach::MissingField } else { Breach::BadField });
    }
    let numbered = id(envelope).is_some();
    match kind {
        Kind::Event | Kind::BinaryEvent if !data.is_array => Some(Breach::MissingField),
        Kind::Event | Kind::BinaryEvent => match data.name() {
            Some(name) if RESERVED.contains(&name) => Some(Breach::BadField),
            Some(_) if !numbered && !is_absent(ID) => Some(Breach::BadField),
            Some(_) => None,
            None => Some(Breach::BadField),
        },
        Kind::Ack | Kind::BinaryAck => (!numbered).then_some(Breach::MissingField),
        Kind::Connect | Kind::Disconnect | Kind::ConnectError => numbered.then_some(Breach::BadField),
    }
}

/// What stands in `data`, caught while its values go by.
struct Data {
    base: usize,
    is_array: bool,
    is_map: bool,
    /// The first element, where it is a text or a number.
    first: Vec<u8>,
    named: bool,
}

impl Data {
    fn new(walk: &mut Walk<'_>) -> Self {
        Self {
            base: walk.state.path.len(),
            is_array: false,
            is_map: false,
            first: walk.buffer(),
            named: false,
        }
    }

    fn tap(&mut self, value: &Value<'_>) {
        if value.place.step(self.base) != Some(Step::Key(b"data")) {
            return;
        }
        match value.place.step(self.base + 1) {
            Some(Step::Index(number)) => {
                self.is_array = true;
                let is_name = number == 0
                    && value.role == Role::Value
                    && value.place.len() == self.base + 2
                    && matches!(value.shape, Shape::String | Shape::Number);
                if is_name {
                    self.named = true;
                    self.first.clear();
                    self.first.extend_from_slice(value.bytes);
                }
            }
            Some(Step::Key(_)) => self.is_map = true,
            Some(Step::Inside(_)) | None => {}
        }
    }

    fn name(&self) -> Option<&str> {
        std::str::from_utf8(&self.first).ok().filter(|_| self.named)
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Direction::{self, Client, Server};
    use sockwarden_proto::MessageKind::{Binary, Text};

    use crate::{Protocol, testing::read};

    fn written(json: &str) -> Vec<u8> {
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        let mut out = Vec::new();
        rmpv::encode::write_value(&mut out, &crate::testing::packed(&json)).unwrap();
        out
    }

    /// Reads a packet after one that connects.
    #[track_caller]
    fn check(direction: Direction, bytes: &[u8], expected: &str) {
        let connect = written(r#"{"type":0,"nsp":"/"}"#);
        let said =
            read(Some(Protocol::SocketIo), &[(Client, Binary, &connect), (direction, Binary, bytes)]).said;
        assert_eq!(
            said.join("; ").strip_prefix("connect connect on /; "),
            Some(expected),
            "{}",
            bytes.escape_ascii()
        );
    }

    #[test]
    fn packets_are_told_as_those_in_text() {
        for (json, text) in [
            (r#"{"type":0,"data":{"token":"1"},"nsp":"/admin"}"#, r#"40/admin,{"token":"1"}"#),
            (r#"{"type":1,"nsp":"/"}"#, "41"),
            (r#"{"type":2,"data":["hello",1],"options":{"compress":true},"nsp":"/"}"#, r#"42["hello",1]"#),
            (
                r#"{"type":2,"data":["project:delete",123],"id":456,"nsp":"/admin"}"#,
                r#"42/admin,456["project:delete",123]"#,
            ),
            (r#"{"type":2,"data":[7,{}],"nsp":"/"}"#, "42[7,{}]"),
            (r#"{"type":3,"data":[],"id":456,"nsp":"/admin"}"#, "43/admin,456[]"),
            (r#"{"type":2,"data":["connect"],"nsp":"/"}"#, r#"42["connect"]"#),
            (r#"{"type":2,"data":[{"a":1}],"nsp":"/"}"#, r#"42[{"a":1}]"#),
            (r#"{"type":2,"data":{"a":1},"nsp":"/"}"#, r#"42{"a":1}"#),
            (r#"{"type":2,"data":[],"nsp":"/"}"#, "42[]"),
            (r#"{"type":2,"nsp":"/"}"#, "42"),
            (r#"{"type":3,"data":[1],"nsp":"/"}"#, "43[1]"),
            (r#"{"type":4,"data":{"message":"no"},"nsp":"/"}"#, r#"44{"message":"no"}"#),
        ] {
            let said = read(Some(Protocol::SocketIo), &[(Client, Text, text.as_bytes())]).said;
            check(Client, &written(json), &said.join("; "));
        }
        check(Server, &written(r#"{"type":0,"data":{"sid":"x"},"nsp":"/"}"#), "connected connect on /");
        check(Client, b"\x83\xa4type\x00\xa4data\xd4\0\0\xa3nsp\xa1/", "connect connect on /");
    }

    #[test]
    fn what_breaks_the_protocol_is_told() {
        let (missing, bad) =
            ("! a field that it must have is missing", "! a field has a value that it cannot have");
        check(Client, &written(r#"{"type":5,"nsp":"/"}"#), "! a type that the protocol does not have");
        check(Client, &written(r#"{"type":"a","nsp":"/"}"#), "! a type that the protocol does not have");
        check(Client, &written(r#"{"nsp":"/"}"#), missing);
        check(Client, &written(r#"{"type":[],"nsp":"/"}"#), bad);
        check(Client, &written(r#"{"type":1}"#), &format!("{missing}; disconnect disconnect on /"));
        check(Client, &written(r#"{"type":1,"nsp":7}"#), &format!("{bad}; disconnect disconnect on /"));
        check(
            Client,
            &written(r#"{"type":2,"data":["a"],"id":"x","nsp":"/"}"#),
            &format!("{bad}; event a on /"),
        );
        check(Client, &written(r#"["a"]"#), "! no message of the protocol");
        check(
            Client,
            b"\x82\xa4type\x01\xa3nsp\xa1",
            "! no well-formed msgpack from byte 11 on; ! a field has a value that it cannot have; disconnect disconnect on /",
        );
        let connect = written(r#"{"type":0,"nsp":"/"}"#);
        let both =
            read(Some(Protocol::SocketIo), &[(Client, Binary, &connect), (Client, Text, b"42[\"a\"]")]);
        assert_eq!(both.said[1..], ["! text where it must be binary, or the reverse", "event a on /"]);
        let both = read(Some(Protocol::SocketIo), &[(Client, Text, b"40"), (Client, Binary, &connect)]);
        assert_eq!(both.said[1..], ["! its attachments are not those that it announced"]);
    }

    #[test]
    fn arguments_stand_where_the_map_has_them() {
        let event = written(r#"{"type":2,"data":["e",{"a":"b c"}],"nsp":"/n"}"#);
        let values = read(Some(Protocol::SocketIo), &[(Client, Binary, &event)]).values;
        assert_eq!(values[3..6], ["/data/0 identifier e", "/data/1/a key a", "/data/1/a text b c"]);
    }
}

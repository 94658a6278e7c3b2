//! Phoenix channels: arrays `[join_ref, ref, topic, event, payload]` (serializer 2), objects with these members (serializer 1), and
//! binary pushes, replies and broadcasts (serializer 2).
//!
//! The subject is the topic, the name the event, the id the `ref`. What a client pushes to a channel is an [`Action::Publish`], what comes from
//! it an [`Action::Deliver`].

use sockwarden_model::Direction;
use sockwarden_proto::MessageKind;

use super::{
    Declaration, Protocol, Speaker,
    envelope::{self, Envelope},
    hint,
};
use crate::{
    Action, Anomaly, Breach, Marks, Message, Operation, Role, Shape, Sink, Value, content, format::json,
    walk::Walk,
};

pub(super) static DECLARATION: Declaration = Declaration {
    protocol: Protocol::Phoenix,
    name: "phoenix",
    tokens: &[],
    target: is_target,
    message: is_one,
    speaker: || Box::new(Phoenix),
};

/// The members, in the order of serializer 2.
const MEMBERS: [&str; 5] = ["join_ref", "ref", "topic", "event", "payload"];
const JOIN_REF: usize = 0;
const REF: usize = 1;
const TOPIC: usize = 2;
const EVENT: usize = 3;
const PAYLOAD: usize = 4;

struct Phoenix;

impl Speaker for Phoenix {
    fn message(&mut self, message: &Message<'_>, walk: &mut Walk<'_>) {
        if message.kind == MessageKind::Binary {
            return binary(message.bytes, walk);
        }
        if !envelope::is_json(walk, Protocol::Phoenix, message) {
            return;
        }
        let is_array = message.bytes.trim_ascii_start().starts_with(b"[");
        let mut envelope = if is_array { Envelope::elements(walk) } else { Envelope::at(walk, MEMBERS) };
        let mut tap = |value: &Value<'_>, _: &mut dyn Sink| envelope.tap(value);
        walk.tapped(&mut tap, |walk| walk.json(message.bytes));
        judge(&envelope, is_array.then_some(message.bytes), walk);
        if let (Some(topic), Some(event)) = (envelope.string(TOPIC), envelope.string(EVENT)) {
            tell(topic, event, envelope.text(REF), walk);
        }
        envelope.release(walk);
    }
}

fn breach(walk: &mut Walk<'_>, breach: Breach) {
    walk.anomaly(Anomaly::Breach(Protocol::Phoenix, breach));
}

/// Judges the members of a message, where it is one the array that they stand in.
fn judge(envelope: &Envelope<5>, array: Option<&[u8]>, walk: &mut Walk<'_>) {
    let is_reference =
        |number| !envelope.has(number) || envelope.is_null(number) || envelope.text(number).is_some();
    if !envelope.has(TOPIC) || !envelope.has(EVENT) || !has_payload(envelope, array) {
        breach(walk, Breach::MissingField);
    } else if envelope.string(TOPIC).is_none()
        || envelope.string(EVENT).is_none()
        || !is_reference(REF)
        || !is_reference(JOIN_REF)
    {
        breach(walk, Breach::BadField);
    }
    if array.is_some() && envelope.count() > 5 {
        breach(walk, Breach::TrailingData);
    }
}

/// Tells whether there is a payload: in an array it may be an empty object, which tells of no value, so the event must not be the last.
fn has_payload(envelope: &Envelope<5>, array: Option<&[u8]>) -> bool {
    let Some(array) = array else { return envelope.has(PAYLOAD) };
    let within = array.trim_ascii_end().strip_suffix(b"]").map(<[u8]>::trim_ascii_end);
    envelope.has(PAYLOAD) || within.is_some_and(|within| !within.ends_with(b"\""))
}

/// Tells what a message does.
fn tell(topic: &str, event: &str, id: Option<&str>, walk: &mut Walk<'_>) {
    let (action, side) = match event {
        "phx_join" => (Action::Subscribe, Some(Direction::Client)),
        "phx_leave" => (Action::Unsubscribe, Some(Direction::Client)),
        "heartbeat" if topic == "phoenix" => (Action::KeepAlive, Some(Direction::Client)),
        "phx_reply" => (Action::Reply, Some(Direction::Server)),
        "phx_error" => (Action::Error, Some(Direction::Server)),
        "phx_close" => (Action::Disconnect, Some(Direction::Server)),
        _ => match walk.direction {
            Direction::Client => (Action::Publish, None),
            Direction::Server => (Action::Deliver, None),
        },
    };
    if side.is_some_and(|side| side != walk.direction) {
        breach(walk, Breach::WrongDirection);
    }
    walk.operation(&Operation {
        protocol: Protocol::Phoenix,
        action,
        name: Some(event),
        subject: Some(topic),
        id,
    });
}

/// Reads a binary message: its kind, the lengths of its parts, the parts, and the payload to its end.
fn binary(bytes: &[u8], walk: &mut Walk<'_>) {
    let parts: &[usize] = match (bytes.first(), walk.direction) {
        (Some(0), Direction::Client) => &[JOIN_REF, REF, TOPIC, EVENT],
        (Some(0), Direction::Server) => &[JOIN_REF, TOPIC, EVENT],
        (Some(1), Direction::Server) => &[JOIN_REF, REF, TOPIC, EVENT],
        (Some(2), Direction::Server) => &[TOPIC, EVENT],
        (kind, _) => {
            breach(
                walk,
                match kind {
                    Some(1 | 2) => Breach::WrongDirection,
                    Some(_) => Breach::UnknownType,
                    None => Breach::NotOfTheProtocol,
                },
            );
            return content::bytes(walk, bytes);
        }
    };
    let is_reply = bytes.first() == Some(&1);
    let Some((lengths, mut rest)) = bytes[1..].split_at_checked(parts.len()) else {
        breach(walk, Breach::BadLength);
        return content::bytes(walk, bytes);
    };
    let mut read: [Option<&str>; 4] = [None; 4];
    for (&part, &length) in parts.iter().zip(lengths) {
        let Some((text, after)) = rest.split_at_checked(usize::from(length)) else {
            breach(walk, Breach::BadLength);
            break;
        };
        rest = after;
        // The event of a reply is its status.
        let name = if is_reply && part == EVENT { "status" } else { MEMBERS[part] };
        walk.at_key(name.as_bytes(), |walk| match std::str::from_utf8(text) {
            Ok(_) => walk.value(Role::Value, Shape::String, text, Marks::of(text)),
            Err(_) => {
                walk.anomaly(Anomaly::InvalidUtf8);
                content::bytes(walk, text);
            }
        });
        read[part] = std::str::from_utf8(text).ok();
    }
    walk.at_key(MEMBERS[PAYLOAD].as_bytes(), |walk| content::bytes(walk, rest));
    let event = if is_reply { Some("phx_reply") } else { read[EVENT] };
    if let (Some(topic), Some(event)) = (read[TOPIC], event) {
        tell(topic, event, read[REF].filter(|id| !id.is_empty()), walk);
    }
}

/// Tells whether a target is the one of a socket of Phoenix, which states its serializer.
fn is_target(target: &str) -> bool {
    let Some((path, query)) = target.split_once('?') else { return false };
    path.ends_with("/websocket") && query.split('&').any(|pair| pair.starts_with("vsn="))
}

/// Tells whether a message joins a channel or is a heartbeat.
fn is_one(message: &Message<'_>) -> bool {
    if message.direction != Direction::Client || message.kind != MessageKind::Text {
        return false;
    }
    let text = message.bytes;
    let joins = hint::find(text, b",\"phx_join\"").is_some();
    json::begins(text)
        && (text.starts_with(b"[") && (joins || text.ends_with(b",\"phoenix\",\"heartbeat\",{}]"))
            || hint::says(text, "event", "\"phx_join\"") && hint::says(text, "topic", "\""))
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Direction::{Client, Server};

    use super::*;
    use crate::testing::{check_protocol, read};

    #[test]
    fn messages_are_told_as_what_they_do() {
        let check = |text: &str, expected: &str| check_protocol(Protocol::Phoenix, text, expected);
        check(r#"["3","3","room:lobby","phx_join",{}]"#, "subscribe phx_join on room:lobby id 3");
        check(r#"["3","9","room:lobby","phx_leave",{}]"#, "unsubscribe phx_leave on room:lobby id 9");
        check(r#"[null,"4","phoenix","heartbeat",{}]"#, "keep-alive heartbeat on phoenix id 4");
        check(r#"["3","5","room:lobby","shout",{"body":"hi"}]"#, "publish shout on room:lobby id 5");
        check(r#"["3","5","room:lobby","shout",["a"]]"#, "publish shout on room:lobby id 5");
        check(
            r#"{"topic":"room:1","event":"new_msg","payload":{},"ref":"2","join_ref":"1"}"#,
            "publish new_msg on room:1 id 2",
        );
    }

    #[test]
    fn what_breaks_the_protocol_is_told() {
        let check = |text: &str, expected: &str| check_protocol(Protocol::Phoenix, text, expected);
        let (missing, bad) =
            ("! a field that it must have is missing", "! a field has a value that it cannot have");
        check(r#"["3","5","t","e"]"#, &format!("{missing}; publish e on t id 5"));
        check(r#"["3","5","t"]"#, missing);
        check(r#"["3","5",7,"e",{}]"#, bad);
        check(r#"["3",{"a":1},"t","e",{}]"#, &format!("{bad}; publish e on t"));
        check(r#"["3","5","t","e",{},1]"#, "! something follows its end; publish e on t id 5");
        check(r#"{"topic":"t","event":"e","ref":"1"}"#, &format!("{missing}; publish e on t id 1"));
        check(
            r#"[null,"1","t","phx_reply",{}]"#,
            "! sent by the side that must not send it; reply phx_reply on t id 1",
        );
        check("hello", "! no message of the protocol");
    }

    #[test]
    fn binary_messages_have_the_same_parts() {
        let check = |direction, bytes: &[u8], said: &str, values: &[&str]| {
            let notes = read(Some(Protocol::Phoenix), &[(direction, MessageKind::Binary, bytes)]);
            assert_eq!(notes.said.join("; "), said, "{}", bytes.escape_ascii());
            // What a value looks like is not the matter here.
            let told: Vec<String> = notes.values.iter().map(|value| without_kind(value)).collect();
            assert_eq!(told, values, "{}", bytes.escape_ascii());
        };
        check(
            Client,
            b"\0\x01\x01\x03\x0212tople\x01\x80",
            "publish le on top id 2",
            &["/join_ref 1", "/ref 2", "/topic top", "/event le", "/payload \\x01\\x80"],
        );
        check(
            Server,
            b"\0\x01\x03\x021topev",
            "deliver ev on top",
            &["/join_ref 1", "/topic top", "/event ev", "/payload "],
        );
        check(
            Server,
            b"\x01\x01\x01\x03\x0212topok",
            "reply phx_reply on top id 2",
            &["/join_ref 1", "/ref 2", "/topic top", "/status ok", "/payload "],
        );
        check(
            Server,
            b"\x02\x03\x02topev\xff",
            "deliver ev on top",
            &["/topic top", "/event ev", "/payload \\xff"],
        );
        check(Client, b"\x02\x01\x01te", "! sent by the side that must not send it", &[" \\x02\\x01\\x01te"]);
        check(Client, b"\x07abc", "! a type that the protocol does not have", &[" \\x07abc"]);
        check(Client, b"\0\x01", "! its length is not what it states", &[" \\x00\\x01"]);
        check(Server, b"\x02\x03\x09top", "! its length is not what it states", &["/topic top", "/payload "]);
        check(Client, b"", "! no message of the protocol", &[" "]);
    }

    fn without_kind(value: &str) -> String {
        let mut words = value.splitn(3, ' ');
        let (place, text) = (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default());
        format!("{place} {text}")
    }
}

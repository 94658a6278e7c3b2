//! SignalR's messages in MessagePack: arrays, each behind its length. Their values stand at the places that they have in the array.

use super::{
    elements::{Elements, Is},
    signalr::{breach, tell},
};
use crate::{Action, Breach, Role, Shape, Step, Value, content, format::message_pack, walk::Walk};

/// The most elements that are asked for.
const MOST: usize = 5;

/// Reads records until the end of a message.
pub(super) fn records(mut rest: &[u8], walk: &mut Walk<'_>) {
    while !rest.is_empty() {
        let Some((length, after)) = length(rest) else {
            breach(walk, Breach::BadLength);
            return content::bytes(walk, rest);
        };
        if after.len() < length {
            breach(walk, Breach::Incomplete);
        }
        let (one, after) = after.split_at(length.min(after.len()));
        rest = after;
        record(one, walk);
    }
}

fn record(bytes: &[u8], walk: &mut Walk<'_>) {
    if !message_pack::is_array(bytes) {
        breach(walk, Breach::NotOfTheProtocol);
        return content::bytes(walk, bytes);
    }
    let (base, mut plain) = (walk.state.path.len(), true);
    let elements = Elements::<MOST>::read(walk, message_pack::whole, bytes, |value| {
        plain &= !is_bad_header(value, base);
    });
    match Head::of(&elements, plain) {
        Ok(head) => tell(head.kind, head.action, head.target, head.id, walk),
        Err(wrong) => breach(walk, wrong),
    }
    elements.release(walk);
}

/// Tells whether a value is a header that is no text.
fn is_bad_header(value: &Value<'_>, base: usize) -> bool {
    value.place.step(base) == Some(Step::Index(1))
        && value.role == Role::Value
        && match value.place.step(base + 2) {
            None => value.shape != Shape::String,
            Some(Step::Inside(_)) => false,
            Some(Step::Key(_) | Step::Index(_)) => true,
        }
        && value.place.len() > base + 1
}

/// Reads a length: seven bits a byte, the lowest first, five bytes and 2^31 - 1 at most.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0_u64;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return usize::try_from(length)
                .ok()
                .filter(|length| *length <= 0x7fff_ffff)
                .zip(bytes.get(at + 1..));
        }
    }
    None
}

/// What an array says of its message.
struct Head<'a> {
    kind: u8,
    action: Action,
    target: Option<&'a str>,
    id: Option<&'a str>,
}

impl<'a> Head<'a> {
    /// Judges `[type, headers, invocation id, …]`, of some types only the type; `plain` tells whether all headers are texts.
    fn of(elements: &'a Elements<MOST>, plain: bool) -> Result<Self, Breach> {
        let number = |at: usize| elements.digits(at).and_then(|digits| digits.parse::<u8>().ok());
        let missing = |at: usize| elements.is(at).is_none();
        if missing(0) {
            return Err(Breach::MissingField);
        }
        let kind = number(0).ok_or(Breach::BadField)?;
        let least = match kind {
            1 | 4 => 5,
            2 | 3 => 4,
            5 => 3,
            7..=9 => 2,
            6 => 1,
            _ => return Err(Breach::UnknownType),
        };
        if elements.count() < least {
            return Err(Breach::MissingField);
        }
        let said = |action| Ok(Self { kind, action, target: None, id: None });
        match kind {
            6 => return said(Action::KeepAlive),
            7 => return said(Action::Disconnect),
            8 | 9 if elements.digits(1).is_some() => return said(Action::Acknowledge),
            8 | 9 => return Err(Breach::BadField),
            _ => {}
        }
        let (id, target) = (elements.text(2), elements.text(3));
        if elements.is(1) != Some(Is::Object) || !plain || id.is_none() && !elements.is_null(2) {
            return Err(Breach::BadField);
        }
        if id.is_none() && kind != 1 {
            return Err(Breach::MissingField);
        }
        let action = match kind {
            1 | 4 if target.is_none() || elements.is(4) != Some(Is::Array) => return Err(Breach::BadField),
            1 | 4 if id.is_none() => Action::Event,
            1 | 4 => Action::Call,
            2 => Action::Stream,
            3 => match (number(3), missing(4)) {
                (Some(1), false) => Action::Error,
                (Some(2), _) | (Some(3), false) => Action::Reply,
                (Some(1 | 3), true) => return Err(Breach::MissingField),
                (Some(_) | None, _) => return Err(Breach::BadField),
            },
            _ => Action::Unsubscribe,
        };
        let target = target.filter(|_| matches!(kind, 1 | 4));
        Ok(Self { kind, action, target, id })
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Direction::{Client, Server};
    use sockwarden_proto::MessageKind;

    use crate::{Protocol, testing::read};

    #[track_caller]
    fn check(bytes: &[u8], expected: &str) {
        let messages: [(_, _, &[u8]); 3] = [
            (Client, MessageKind::Text, b"{\"protocol\":\"messagepack\",\"version\":1}\x1e"),
            (Server, MessageKind::Binary, b"{}\x1e"),
            (Client, MessageKind::Binary, bytes),
        ];
        let said = read(Some(Protocol::SignalR), &messages).said.join("; ");
        let expected = format!("connect messagepack; connected; {expected}");
        assert_eq!(said, expected, "{}", bytes.escape_ascii());
    }

    #[test]
    fn records_are_told_as_what_they_do() {
        check(b"\x11\x96\x01\x80\xa3xyz\xa6method\x91\x2a\x90", "call method id xyz");
        check(b"\x0e\x96\x01\x80\xc0\xa6method\x91\x2a\x90", "event method");
        check(b"\x19\x96\x01\x82\xa1x\xa1y\xa1z\xa1z\xa3xyz\xa6method\x91\x2a\x90", "call method id xyz");
        check(b"\x11\x96\x04\x80\xa3xyz\xa6method\x91\x2a\x90", "call method id xyz");
        check(b"\x08\x94\x02\x80\xa3xyz\x2a", "stream id xyz");
        check(b"\x0e\x95\x03\x80\xa3xyz\x01\xa5Error", "error id xyz");
        check(b"\x08\x94\x03\x80\xa3xyz\x02\x09\x95\x03\x80\xa3xyz\x03\x2a", "reply id xyz; reply id xyz");
        check(b"\x07\x93\x05\x80\xa3xyz", "unsubscribe id xyz");
        check(b"\x02\x91\x06\x02\x91\x06", "keep-alive ping; keep-alive ping");
        check(b"\x06\x92\x07\xa3xyz", "disconnect close");
        check(b"\x04\x92\x08\xcc\x24\x04\x92\x09\xcc\x13", "acknowledge ack; acknowledge sequence");
        check(b"\x82\x00\x91\x06", "keep-alive ping");
    }

    #[test]
    fn values_stand_where_the_array_has_them() {
        let of = |bytes: &[u8]| {
            let shake = b"{\"protocol\":\"messagepack\",\"version\":1}\x1e".as_slice();
            let messages = [(Client, MessageKind::Text, shake), (Client, MessageKind::Binary, bytes)];
            read(Some(Protocol::SignalR), &messages).values.split_off(4)
        };
        assert_eq!(
            of(b"\x1a\x96\x01\x80\xc0\xa4Send\x92\x81\xa4text\xa6<b>x y\x2a\x90"),
            [
                "/0 number 1",
                "/2 empty null",
                "/3 identifier Send",
                "/4/0/text key text",
                "/4/0/text markup <b>x y",
                "/4/0/text|xml/b key b",
                "/4/0/text|xml/b text x y",
                "/4/1 number 42"
            ]
        );
        // What is cut off is seen all the same.
        assert_eq!(of(b"\x06\x91\xa9<b>x"), [r" binary \xa9<b>x"]);
    }

    #[test]
    fn what_breaks_the_protocol_is_told() {
        check(b"\x03\x91\x06", "! its end is missing; keep-alive ping");
        check(b"\xff\xff\xff\xff\x0f\x91", "! its length is not what it states");
        check(b"\x80", "! its length is not what it states");
        check(b"\x00", "! no message of the protocol");
        check(b"\x01\x80", "! no message of the protocol");
        check(b"\x02\x91\x0a", "! a type that the protocol does not have");
        check(b"\x02\x91\x01", "! a field that it must have is missing");
        check(b"\x06\x95\x01\x80\xc0\xc0\x90", "! a field has a value that it cannot have");
        check(b"\x07\x94\x03\x80\xa1x\x01", "! its end is missing; ! a field that it must have is missing");
        check(
            b"\x07\x93\x05\xdf\xff\xff\xff\xff",
            "! no well-formed msgpack from byte 7 on; ! a field that it must have is missing",
        );
    }
}

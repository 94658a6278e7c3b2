//! SignalR's messages in MessagePack: arrays, each behind its length. The parts that say what a message does are read; all of it is told
//! as bytes.

use super::signalr::{breach, tell};
use crate::{Action, Breach, content, walk::Walk};

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
        let (record, after) = after.split_at(length.min(after.len()));
        rest = after;
        content::bytes(walk, record);
        match Head::read(&mut Reader(record)) {
            Ok(head) => tell(head.kind, head.action, head.target, head.id, walk),
            Err(wrong) => breach(walk, wrong),
        }
    }
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
    /// Reads `[type, headers, invocation id, …]`, of some types only the type.
    fn read(reader: &mut Reader<'a>) -> Result<Self, Breach> {
        let elements = reader.array().ok_or(Breach::NotOfTheProtocol)?;
        let kind = reader.number().ok_or(Breach::BadField)?;
        let least = match kind {
            1 | 4 => 5,
            2 | 3 => 4,
            5 => 3,
            7..=9 => 2,
            6 => 1,
            _ => return Err(Breach::UnknownType),
        };
        if elements < least {
            return Err(Breach::MissingField);
        }
        let plain = |action| Ok(Self { kind, action, target: None, id: None });
        match kind {
            6 => return plain(Action::KeepAlive),
            7 => return plain(Action::Disconnect),
            8 | 9 => {
                reader.number_of_any_size().ok_or(Breach::BadField)?;
                return plain(Action::Acknowledge);
            }
            _ => {}
        }
        reader.skip_headers().ok_or(Breach::BadField)?;
        let id = reader.text_or_nil().ok_or(Breach::BadField)?;
        if id.is_none() && kind != 1 {
            return Err(Breach::MissingField);
        }
        let mut target = None;
        let action = match kind {
            1 | 4 => {
                target = reader.text_or_nil().ok_or(Breach::BadField)?;
                if target.is_none() || reader.array().is_none() {
                    return Err(Breach::BadField);
                }
                if id.is_none() { Action::Event } else { Action::Call }
            }
            2 => Action::Stream,
            3 => match (reader.number(), elements) {
                (Some(1), 5..) => Action::Error,
                (Some(2), _) | (Some(3), 5..) => Action::Reply,
                (Some(1 | 3), _) => return Err(Breach::MissingField),
                (Some(_) | None, _) => return Err(Breach::BadField),
            },
            _ => Action::Unsubscribe,
        };
        Ok(Self { kind, action, target, id })
    }
}

/// Reads the few forms of MessagePack that stand in a head.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// Reads a big-endian number of so many bytes.
    fn big_endian(&mut self, bytes: usize) -> Option<u64> {
        let (number, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn number_of_any_size(&mut self) -> Option<u64> {
        match self.byte()? {
            small @ 0..=0x7f => Some(small.into()),
            0xcc | 0xd0 => self.big_endian(1),
            0xcd | 0xd1 => self.big_endian(2),
            0xce | 0xd2 => self.big_endian(4),
            0xcf | 0xd3 => self.big_endian(8),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<u8> {
        self.number_of_any_size().and_then(|number| u8::try_from(number).ok())
    }

    fn array(&mut self) -> Option<u64> {
        match self.byte()? {
            short @ 0x90..=0x9f => Some((short & 0x0f).into()),
            0xdc => self.big_endian(2),
            0xdd => self.big_endian(4),
            _ => None,
        }
    }

    /// Passes over a map of texts to texts.
    fn skip_headers(&mut self) -> Option<()> {
        let members = match self.byte()? {
            short @ 0x80..=0x8f => (short & 0x0f).into(),
            0xde => self.big_endian(2)?,
            0xdf => self.big_endian(4)?,
            _ => return None,
        };
        // Each text takes a byte at least, so this ends with the record.
        (0..members.saturating_mul(2)).try_for_each(|_| self.text_or_nil().flatten().map(|_| ()))
    }

    fn text_or_nil(&mut self) -> Option<Option<&'a str>> {
        let length = match self.byte()? {
            0xc0 => return Some(None),
            short @ 0xa0..=0xbf => (short & 0x1f).into(),
            0xd9 => self.big_endian(1)?,
            0xda => self.big_endian(2)?,
            0xdb => self.big_endian(4)?,
            _ => return None,
        };
        let (text, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        std::str::from_utf8(text).ok().map(Some)
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
    fn what_breaks_the_protocol_is_told() {
        check(b"\x03\x91\x06", "! its end is missing; keep-alive ping");
        check(b"\xff\xff\xff\xff\x0f\x91", "! its length is not what it states");
        check(b"\x80", "! its length is not what it states");
        check(b"\x00", "! no message of the protocol");
        check(b"\x01\x80", "! no message of the protocol");
        check(b"\x02\x91\x0a", "! a type that the protocol does not have");
        check(b"\x02\x91\x01", "! a field that it must have is missing");
        check(b"\x07\x95\x01\x80\xc0\xc0\x90\x90", "! a field has a value that it cannot have");
        check(b"\x07\x94\x03\x80\xa1x\x01", "! its end is missing; ! a field that it must have is missing");
        check(b"\x07\x93\x05\xdf\xff\xff\xff\xff", "! a field has a value that it cannot have");
    }
}

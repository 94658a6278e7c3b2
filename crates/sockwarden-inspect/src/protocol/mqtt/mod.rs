//! MQTT 3.1, 3.1.1 and 5: packets in binary messages, which need not begin or end together with them (5 §6.0).
//!
//! The subject of an operation is the topic or the filter, also where an alias stands for it; its id the packet identifier. Of CONNECT
//! the id is the client's and the name the user's. A SUBSCRIBE is one operation for each filter, and a will is a publication,
//! told with the CONNECT that leaves it: the server will publish it in the client's name.

mod fields;
mod kinds;
mod packets;
mod properties;
mod topics;

use sockwarden_model::Direction;
use sockwarden_proto::MessageKind;

use self::{
    fields::{Variable, variable},
    packets::Session,
};
use super::{Declaration, Protocol, Speaker, no_target};
use crate::{Anomaly, Bound, Breach, Message, content, walk::Walk};

pub(super) static DECLARATION: Declaration = Declaration {
    protocol: Protocol::Mqtt,
    name: "mqtt",
    tokens: &["mqtt", "mqttv3.1", "mqttv3.1.1", "mqttv5"],
    target: no_target,
    message: is_first,
    speaker: || Box::<Mqtt>::default(),
};

#[derive(Default)]
struct Mqtt {
    session: Session,
    client: Stream,
    server: Stream,
}

/// What one side has sent.
#[derive(Default)]
struct Stream {
    /// The beginning of a packet.
    pending: Vec<u8>,
    /// How much is still to come of a packet that is too long to be kept.
    skip: usize,
    /// Whether it is not known where the next packet begins.
    lost: bool,
}

impl Speaker for Mqtt {
    fn is_within(&self, direction: Direction) -> bool {
        let stream = match direction {
            Direction::Client => &self.client,
            Direction::Server => &self.server,
        };
        !stream.pending.is_empty() || stream.skip > 0
    }

    fn message(&mut self, message: &Message<'_>, walk: &mut Walk<'_>) {
        if message.kind == MessageKind::Text {
            broken(walk, Breach::WrongKind);
        }
        let Self { session, client, server } = self;
        let stream = match message.direction {
            Direction::Client => client,
            Direction::Server => server,
        };
        if stream.lost {
            broken(walk, Breach::NotOfTheProtocol);
            return content::bytes(walk, message.bytes);
        }
        let (skipped, rest) = message.bytes.split_at(stream.skip.min(message.bytes.len()));
        if !skipped.is_empty() {
            stream.skip -= skipped.len();
            walk.anomaly(Anomaly::Bound(Bound::Pending));
            content::bytes(walk, skipped);
        }
        if stream.pending.is_empty() {
            let end = stream.packets(session, walk, rest);
            stream.keep(walk, &rest[end..]);
            return;
        }
        let mut bytes = std::mem::take(&mut stream.pending);
        bytes.extend_from_slice(rest);
        let end = stream.packets(session, walk, &bytes);
        if end == 0 && !stream.is_too_long(walk, &bytes) {
            stream.pending = bytes;
        } else {
            stream.keep(walk, &bytes[end..]);
        }
    }
}

impl Stream {
    /// Reads all packets that are complete, and tells where the first one begins that is not.
    fn packets(&mut self, session: &mut Session, walk: &mut Walk<'_>, bytes: &[u8]) -> usize {
        let mut start = 0;
        while let Some(length) = self.length(walk, &bytes[start..]) {
            let Some(packet) = bytes.get(start..start + length) else { break };
            packets::read(session, walk, packet);
            start += length;
        }
        if self.lost { bytes.len() } else { start }
    }

    /// Tells how long the packet is that `bytes` begin with; `None` where that is not known yet, or never will be.
    fn length(&mut self, walk: &mut Walk<'_>, bytes: &[u8]) -> Option<usize> {
        match variable(bytes.get(1..)?) {
            Variable::Complete { number, length, .. } => Some(1 + length + number as usize),
            Variable::Incomplete => None,
            Variable::TooLong => {
                self.lost = true;
                broken(walk, Breach::BadLength);
                content::bytes(walk, bytes);
                None
            }
        }
    }

    /// Tells whether a packet that is not complete is not going to be kept.
    fn is_too_long(&mut self, walk: &mut Walk<'_>, bytes: &[u8]) -> bool {
        self.length(walk, bytes).is_some_and(|length| length > walk.limits.pending)
    }

    /// Keeps the beginning of a packet, if its rest is worth waiting for.
    fn keep(&mut self, walk: &mut Walk<'_>, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match self.length(walk, bytes) {
            Some(length) if length > walk.limits.pending => {
                self.skip = length - bytes.len();
                walk.anomaly(Anomaly::Bound(Bound::Pending));
                content::bytes(walk, bytes);
            }
            Some(_) | None => self.pending = bytes.to_vec(),
        }
    }
}

/// Tells whether a message is the first of a client: a CONNECT.
fn is_first(message: &Message<'_>) -> bool {
    let [0x10, rest @ ..] = message.bytes else { return false };
    let Variable::Complete { length, .. } = variable(rest) else { return false };
    let name = rest.get(length..).unwrap_or_default();
    let known = [b"\x00\x04MQTT".as_slice(), b"\x00\x06MQIsdp"];
    message.direction == Direction::Client
        && message.kind == MessageKind::Binary
        && known.iter().any(|known| name.starts_with(known))
}

fn broken(walk: &mut Walk<'_>, breach: Breach) {
    walk.anomaly(Anomaly::Breach(Protocol::Mqtt, breach));
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Notes, read};

    const CLIENT: Direction = Direction::Client;
    const SERVER: Direction = Direction::Server;
    const BAD: &str = "! a field has a value that it cannot have";
    const LENGTH: &str = "! its length is not what it states";

    fn told(messages: &[(Direction, &[u8])]) -> Notes {
        let messages: Vec<_> =
            messages.iter().map(|(direction, bytes)| (*direction, MessageKind::Binary, *bytes)).collect();
        read(Some(Protocol::Mqtt), &messages)
    }

    /// Puts a length in front of what follows the first byte.
    fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
        let length = u8::try_from(rest.len()).ok().filter(|length| *length < 0x80);
        [&[first, length.expect("short packets only")], rest].concat()
    }

    fn connect(level: u8, flags: u8, properties: &[u8], rest: &[u8]) -> Vec<u8> {
        let level_5 = [&[u8::try_from(properties.len()).unwrap()], properties].concat();
        let properties = if level == 5 { level_5.as_slice() } else { &[] };
        packet(0x10, &[b"\0\x04MQTT", [level, flags, 0, 60].as_slice(), properties, rest].concat())
    }

    /// Compares what is said after a session of this version began, in which both sides may use ten aliases.
    #[track_caller]
    fn check(level: u8, packets: &[(Direction, u8, &[u8])], expected: &[&str]) -> Notes {
        let aliases = b"\x22\0\x0a";
        let begin = connect(level, 2, aliases, b"\0\x01c");
        let accept = if level == 5 { packet(0x20, b"\0\0\x03\x22\0\x0a") } else { packet(0x20, b"\0\0") };
        let mut messages = vec![(CLIENT, begin), (SERVER, accept)];
        messages.extend(packets.iter().map(|(direction, first, rest)| (*direction, packet(*first, rest))));
        let messages: Vec<_> =
            messages.iter().map(|(direction, bytes)| (*direction, bytes.as_slice())).collect();
        let notes = told(&messages);
        assert_eq!(notes.said, [&["connect id c", "connected"], expected].concat(), "{packets:x?}");
        notes
    }

    #[test]
    fn packets_are_told_as_what_they_do() {
        check(
            4,
            &[
                (CLIENT, 0x82, b"\0\x01\0\x03a/+\0\0\x01#\x02"),
                (SERVER, 0x90, b"\0\x01\0\x80"),
                (CLIENT, 0x30, b"\0\x03a/bhello"),
                (CLIENT, 0x3d, b"\0\x03a/b\0\x07x"),
                (SERVER, 0x33, b"\0\x03a/b\0\x08x"),
                (SERVER, 0x40, b"\0\x07"),
                (SERVER, 0x50, b"\0\x07"),
                (CLIENT, 0x62, b"\0\x07"),
                (SERVER, 0x70, b"\0\x07"),
                (CLIENT, 0xa2, b"\0\x09\0\x03a/+"),
                (SERVER, 0xb0, b"\0\x09"),
                (CLIENT, 0xc0, b""),
                (SERVER, 0xd0, b""),
                (CLIENT, 0xe0, b""),
            ],
            &[
                "subscribe on a/+ id 1",
                "subscribe on # id 1",
                "error id 1",
                "publish on a/b",
                "publish on a/b id 7",
                "deliver on a/b id 8",
                "acknowledge id 7",
                "acknowledge id 7",
                "acknowledge id 7",
                "acknowledge id 7",
                "unsubscribe on a/+ id 9",
                "acknowledge id 9",
                "keep-alive",
                "keep-alive",
                "disconnect",
            ],
        );
    }

    #[test]
    fn packets_of_5_have_properties_and_reasons() {
        let notes = check(
            5,
            &[
                (CLIENT, 0x82, b"\0\x01\x02\x0b\x05\0\x0c$share/g/a/#\x2a"),
                (SERVER, 0x90, b"\0\x01\0\x02"),
                (
                    CLIENT,
                    0x32,
                    b"\0\x01t\0\x02\x1c\x01\x01\x03\0\x10application/json\x26\0\x01k\0\x01v{\"u\":1}",
                ),
                (SERVER, 0x40, b"\0\x02\x10"),
                (SERVER, 0x40, b"\0\x03\x87\x05\x1f\0\x02no"),
                (SERVER, 0x30, b"\0\x01t\x04\x0b\x01\x0b\x02x"),
                (SERVER, 0xb0, b"\0\x04\0\x11"),
                (SERVER, 0xe0, b"\x8b"),
            ],
            &[
                "subscribe on $share/g/a/# id 1",
                "acknowledge id 1",
                "publish on t id 2",
                "acknowledge id 2",
                "error id 3",
                "deliver on t",
                "acknowledge id 4",
                "disconnect",
            ][..],
        );
        let published = [
            "/topic identifier t",
            "/properties/payload-format-indicator number 1",
            "/properties/content-type text application/json",
            "/properties/user-property/k key k",
            "/properties/user-property/k identifier v",
            "/payload/u key u",
            "/payload/u number 1",
        ];
        let start = notes.values.iter().position(|value| value == published[0]).unwrap();
        assert_eq!(&notes.values[start..start + published.len()], published);
    }

    #[test]
    fn a_connect_tells_who_and_the_will_is_a_publication() {
        let begin = connect(4, 0xce, &[], b"\0\x02id\0\x01w\0\x03bye\0\x01u\0\x02pw");
        let notes = told(&[(CLIENT, &begin)]);
        assert_eq!(notes.said, ["connect u id id", "publish on w"]);
        assert_eq!(
            notes.values,
            [
                "/client-id identifier id",
                "/will/topic identifier w",
                "/will/payload identifier bye",
                "/user identifier u",
                "/password identifier pw",
            ]
        );
        let old = packet(0x10, b"\0\x06MQIsdp\x03\x02\0\x3c\0\x01c");
        assert_eq!(told(&[(CLIENT, &old)]).said, ["connect id c"]);
        let will_of_5 = connect(5, 6, &[], b"\0\0\x05\x18\0\0\0\x01\0\x01w\0\x01x");
        assert_eq!(told(&[(CLIENT, &will_of_5)]).said, ["connect id ", "publish on w"]);
        let refused = packet(0x20, b"\0\x05");
        let said = told(&[(CLIENT, &begin), (SERVER, &refused)]).said;
        assert_eq!(said.last().map(String::as_str), Some("error"));
    }

    #[test]
    fn an_alias_stands_for_its_topic() {
        check(
            5,
            &[
                (CLIENT, 0x30, b"\0\x06secret\x03\x23\0\x01x"),
                (SERVER, 0x30, b"\0\x05other\x03\x23\0\x01x"),
                (CLIENT, 0x30, b"\0\0\x03\x23\0\x01y"),
                (SERVER, 0x30, b"\0\0\x03\x23\0\x01y"),
                (CLIENT, 0x30, b"\0\x03new\x03\x23\0\x01x"),
                (CLIENT, 0x30, b"\0\0\x03\x23\0\x01y"),
                (CLIENT, 0x30, b"\0\0\x03\x23\0\x02y"),
                (CLIENT, 0x30, b"\0\x01t\x03\x23\0\x0by"),
                (CLIENT, 0x30, b"\0\0\0y"),
            ],
            &[
                "publish on secret",
                "deliver on other",
                "publish on secret",
                "deliver on other",
                "publish on new",
                "publish on new",
                BAD,
                "publish",
                BAD,
                "publish on t",
                BAD,
                "publish",
            ],
        );
    }

    #[test]
    fn what_breaks_the_protocol_is_told() {
        let one = |level, direction, first, rest: &[u8], expected: &[&str]| {
            check(level, &[(direction, first, rest)], expected);
        };
        one(4, CLIENT, 0x00, b"", &["! a type that the protocol does not have"]);
        one(4, CLIENT, 0xf0, b"", &["! a type that the protocol does not have"]);
        one(4, CLIENT, 0x36, b"\0\x01a\0\x01", &["publish on a id 1", BAD]);
        one(4, CLIENT, 0x38, b"\0\x01a", &["publish on a", BAD]);
        one(4, CLIENT, 0x80, b"\0\x01\0\x01a\0", &["subscribe on a id 1", BAD]);
        one(4, CLIENT, 0x32, b"\0\x01a\0\0", &[BAD, "publish on a id 0"]);
        one(4, CLIENT, 0x30, b"\0\x03a/#", &[BAD, "publish on a/#"]);
        one(4, CLIENT, 0x30, b"\0\0", &[BAD, "publish"]);
        one(4, CLIENT, 0x30, b"\0\x02a\0", &["! a NUL character in a text", BAD, "publish on a\0"]);
        one(4, CLIENT, 0x30, b"\0\x01\xff", &["! text that is not UTF-8", "publish"]);
        one(4, CLIENT, 0x30, b"\0\x05a", &[LENGTH]);
        one(4, CLIENT, 0x82, b"\0\x01", &["! a field that it must have is missing"]);
        one(4, CLIENT, 0x82, b"\0\x01\0\x03a/b", &[LENGTH]);
        one(4, CLIENT, 0x82, b"\0\x01\0\x01a\x03", &[BAD, "subscribe on a id 1"]);
        one(4, CLIENT, 0x82, b"\0\x01\0\x02a#\0", &[BAD, "subscribe on a# id 1"]);
        one(5, CLIENT, 0x82, b"\0\x01\0\0\x08$share/g\0", &[BAD, "subscribe on $share/g id 1"]);
        one(5, CLIENT, 0x82, b"\0\x01\0\0\x0a$share/g/a\x04", &[BAD, "subscribe on $share/g/a id 1"]);
        one(
            4,
            SERVER,
            0x82,
            b"\0\x01\0\x01a\0",
            &["! sent by the side that must not send it", "subscribe on a id 1"],
        );
        one(4, SERVER, 0xe0, b"", &["! sent by the side that must not send it", "disconnect"]);
        one(4, CLIENT, 0xc0, b"x", &["keep-alive", "! something follows its end"]);
        one(4, SERVER, 0x90, b"\0\x01\x03", &[BAD, "acknowledge id 1"]);
        one(4, SERVER, 0x40, b"\0\x01\0", &["acknowledge id 1", "! something follows its end"]);
        one(5, SERVER, 0x40, b"\0\x01\x01", &[BAD, "acknowledge id 1"]);
        one(5, CLIENT, 0x30, b"\0\x01a\x02\x0b\x01x", &[BAD, "publish on a"]);
        one(5, CLIENT, 0x30, b"\0\x01a\x02\x01\x02x", &[BAD, "publish on a"]);
        one(
            5,
            CLIENT,
            0x30,
            b"\0\x01a\x02\x7f\x02x",
            &["! a type that the protocol does not have", "publish on a"],
        );
        one(
            5,
            CLIENT,
            0x30,
            b"\0\x01a\x04\x01\0\x01\0x",
            &["! a name stands twice in one object", "publish on a"],
        );
        one(5, CLIENT, 0x30, b"\0\x01a\x02\x01\x01\xff", &["! text that is not UTF-8", "publish on a"]);
        one(5, CLIENT, 0x30, b"\0\x01a\x06\x08\0\x03b/#x", &[BAD, "publish on a"]);
        one(5, CLIENT, 0xf0, b"\x19", &["! sent before the session began or after it ended", "event AUTH"]);
        let again = packet(0x10, b"\0\x04MQTT\x04\x02\0\x3c\0\x01c");
        one(
            4,
            CLIENT,
            0x10,
            &again[2..],
            &["! sent before the session began or after it ended", "connect id c"],
        );
        let check = |bytes: &[u8], expected: &[&str]| assert_eq!(told(&[(CLIENT, bytes)]).said, expected);
        check(&packet(0xc0, b""), &["! sent before the session began or after it ended", "keep-alive"]);
        check(&connect(6, 2, &[], b"\0\0\x01c"), &[BAD, "connect id c"]);
        check(&connect(4, 3, &[], b"\0\x01c"), &[BAD, "connect id c"]);
        check(&connect(4, 0x0a, &[], b"\0\x01c"), &[BAD, "connect id c"]);
        check(&connect(4, 0x42, &[], b"\0\x01c\0\x01p"), &[BAD, "connect id c"]);
        check(&connect(5, 0x42, &[], b"\0\x01c\0\x01p"), &["connect id c"]);
        check(&connect(4, 0, &[], b"\0\0"), &[BAD, "connect id "]);
        check(&connect(5, 0, &[], b"\0\0"), &["connect id "]);
    }

    #[test]
    fn a_packet_after_the_last_one_is_out_of_order() {
        check(
            4,
            &[(CLIENT, 0xe0, b""), (CLIENT, 0x30, b"\0\x01a")],
            &["disconnect", "! sent before the session began or after it ended", "publish on a"],
        );
    }

    #[test]
    fn a_text_message_is_a_breach_and_read_all_the_same() {
        let begin = connect(4, 2, &[], b"\0\x01c");
        let notes = read(
            Some(Protocol::Mqtt),
            &[(CLIENT, MessageKind::Binary, &begin), (CLIENT, MessageKind::Text, b"0\x04\0\x01ab")],
        );
        assert_eq!(
            notes.said,
            ["connect id c", "! text where it must be binary, or the reverse", "publish on a"]
        );
    }

    #[test]
    fn lengths_must_be_short_and_end() {
        let begin = connect(4, 2, &[], b"\0\x01c");
        let said = |bytes: &[u8]| {
            told(&[(CLIENT, &begin), (CLIENT, bytes), (CLIENT, b"\xc0\0")]).said[1..].join("; ")
        };
        assert_eq!(said(b"\xc0\x80\0"), format!("{LENGTH}; keep-alive; keep-alive"));
        assert_eq!(said(b"0\xff\xff\xff\xff\x01"), format!("{LENGTH}; ! no message of the protocol"));
    }

    #[test]
    fn a_packet_too_long_to_be_kept_is_passed_over() {
        let begin = connect(4, 2, &[], b"\0\x01c");
        let big = [b"0\x84\x80\x80\x01\0\x01a".as_slice(), &vec![b'x'; (1 << 21) + 1]].concat();
        let (first, rest) = big.split_at(1000);
        let rest = [rest, b"\xc0\0"].concat();
        let notes = told(&[(CLIENT, &begin), (CLIENT, first), (CLIENT, &rest)]);
        assert_eq!(
            notes.said,
            ["connect id c", "! beyond the bound `pending`", "! beyond the bound `pending`", "keep-alive"]
        );
    }

    #[test]
    fn a_connect_is_recognised() {
        let check = |bytes: &[u8], expected: bool| {
            let message = Message { direction: CLIENT, kind: MessageKind::Binary, bytes };
            assert_eq!(is_first(&message), expected, "{bytes:x?}");
        };
        check(&connect(5, 2, &[], b"\0\x01c"), true);
        check(b"\x10\x0f\0\x06MQIsdp", true);
        check(b"\x10\x0f\0\x04MQXX", false);
        check(b"\x10", false);
        check(b"\x20\x02\0\0", false);
    }

    /// A packet of a client, made by another implementation, and what is told of it.
    fn others_packet() -> impl Strategy<Value = (Vec<u8>, Vec<String>)> {
        use mqttbytes::{
            QoS::{self, AtLeastOnce, AtMostOnce, ExactlyOnce},
            v4,
        };
        let quality = prop_oneof![Just(AtMostOnce), Just(AtLeastOnce), Just(ExactlyOnce)];
        let publish =
            ("[a-z/é]{1,12}", quality.clone(), prop::collection::vec(any::<u8>(), 0..200), 1..=u16::MAX);
        let publish = publish.prop_map(|(topic, quality, payload, id)| {
            let told = if quality == AtMostOnce { String::new() } else { format!(" id {id}") };
            let mut publish = v4::Publish::new(&topic, quality, payload);
            publish.pkid = id;
            (written(|out| publish.write(out)), vec![format!("publish on {topic}{told}")])
        });
        let filters = prop::collection::vec(("([a-z]{1,3}|\\+)(/([a-z]{1,3}|\\+)){0,3}(/#)?", quality), 1..4);
        let subscribe = (filters, 1..=u16::MAX).prop_map(|(filters, id)| {
            let told = filters.iter().map(|(filter, _)| format!("subscribe on {filter} id {id}")).collect();
            let filter = |(path, quality): (String, QoS)| v4::SubscribeFilter::new(path, quality);
            let mut subscribe = v4::Subscribe::new_many(filters.into_iter().map(filter));
            subscribe.pkid = id;
            (written(|out| subscribe.write(out)), told)
        });
        let unsubscribe = ("[a-z]{1,9}", 1..=u16::MAX).prop_map(|(filter, id)| {
            let mut unsubscribe = v4::Unsubscribe::new(&filter);
            unsubscribe.pkid = id;
            (written(|out| unsubscribe.write(out)), vec![format!("unsubscribe on {filter} id {id}")])
        });
        let ack = (1..=u16::MAX).prop_map(|id| {
            (written(|out| v4::PubAck::new(id).write(out)), vec![format!("acknowledge id {id}")])
        });
        let ping = Just((written(|out| v4::PingReq.write(out)), vec!["keep-alive".to_owned()]));
        prop_oneof![publish, subscribe, unsubscribe, ack, ping]
    }

    fn written(write: impl FnOnce(&mut BytesMut) -> Result<usize, mqttbytes::Error>) -> Vec<u8> {
        let mut out = BytesMut::new();
        write(&mut out).unwrap();
        out.to_vec()
    }

    proptest! {
        #[test]
        fn any_split_into_messages_tells_what_another_implementation_wrote(
            packets in prop::collection::vec(others_packet(), 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut stream = written(|out| mqttbytes::v4::Connect::new("me").write(out));
            let mut expected = vec!["connect id me".to_owned()];
            for (bytes, told) in packets {
                stream.extend(bytes);
                expected.extend(told);
            }
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut start = 0;
            for cut in cuts.into_iter().chain([stream.len()]) {
                pieces.push((CLIENT, &stream[start..cut]));
                start = cut;
            }
            let whole = told(&[(CLIENT, &stream)]);
            let breaches = |notes: &Notes| notes.anomalies.iter().any(|(anomaly, _)| matches!(anomaly, Anomaly::Breach(..)));
            prop_assert!(!breaches(&whole), "{:?}", whole.said);
            let mut operations = whole.said.clone();
            operations.retain(|said| !said.starts_with('!'));
            prop_assert_eq!(operations, expected);
            let split = told(&pieces);
            prop_assert_eq!((split.values, split.said), (whole.values, whole.said));
        }

        #[test]
        fn what_another_implementation_refuses_is_told(
            packet in others_packet(), at: prop::sample::Index, byte: u8,
        ) {
            let mut bytes = packet.0;
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let mut copy = BytesMut::from(&bytes[..]);
            let theirs = mqttbytes::v4::read(&mut copy, 1 << 20);
            let begin = connect(4, 2, &[], b"\0\x01c");
            let ours = told(&[(CLIENT, &begin), (CLIENT, &bytes)]);
            let refused = theirs.is_err() && !matches!(theirs, Err(mqttbytes::Error::InsufficientBytes(_)));
            prop_assert!(!refused || ours.said.iter().any(|said| said.starts_with('!')), "{:?} {:?}", theirs, ours.said);
        }

        #[test]
        fn no_bytes_panic(level in 3..6_u8, messages in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(any::<u8>(), 0..60)), 0..6,
        )) {
            let begin = connect(level, 2, &[], b"\0\x01c");
            let mut all = vec![(CLIENT, begin)];
            all.extend(messages.into_iter().map(|(client, bytes)| (if client { CLIENT } else { SERVER }, bytes)));
            let all: Vec<_> = all.iter().map(|(direction, bytes)| (*direction, bytes.as_slice())).collect();
            told(&all);
        }
    }

    #[test]
    fn an_empty_payload_is_no_value() {
        let empty = mqttbytes::v4::Publish::from_bytes("t", mqttbytes::QoS::AtMostOnce, Bytes::new());
        let stream = written(|out| empty.write(out));
        let notes = check(4, &[(CLIENT, 0x30, &stream[2..])], &["publish on t"]);
        assert!(!notes.values.iter().any(|value| value.starts_with("/payload")));
    }
}

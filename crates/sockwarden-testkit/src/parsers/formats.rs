//! The formats that messages are read as: any bytes are told in bounded words, the same each time.

use sockwarden_inspect::{
    Anomaly, Conversation, Format, InspectLimits, Message, Opening, Operation, Place, Reader, Shape, Sink,
    Value,
};
use sockwarden_model::Direction;
use sockwarden_proto::MessageKind;

/// Any bytes read as JSON.
pub fn json(bytes: &[u8]) {
    declared(Format::Json, bytes);
}

/// Any bytes read as MessagePack.
pub fn message_pack(bytes: &[u8]) {
    declared(Format::MessagePack, bytes);
}

/// Any bytes read as CBOR.
pub fn cbor(bytes: &[u8]) {
    declared(Format::Cbor, bytes);
}

/// Any bytes read as XML.
pub fn xml(bytes: &[u8]) {
    declared(Format::Xml, bytes);
}

/// Any bytes read as a form.
pub fn form(bytes: &[u8]) {
    declared(Format::Form, bytes);
}

/// A text of which no one says what it is, as the messages of a conversation are.
pub fn text_message(bytes: &[u8]) {
    if std::str::from_utf8(bytes).is_ok() {
        guessed(MessageKind::Text, bytes);
    }
}

/// Bytes of which no one says what they are.
pub fn binary_message(bytes: &[u8]) {
    guessed(MessageKind::Binary, bytes);
}

fn declared(format: Format, bytes: &[u8]) {
    same_each_time(bytes, |reader, limits, told| {
        reader.read_as(format, limits, Direction::Client, bytes, told);
    });
}

fn guessed(kind: MessageKind, bytes: &[u8]) {
    same_each_time(bytes, |reader, limits, told| {
        let message = Message { direction: Direction::Client, kind, bytes };
        Conversation::new(None, &Opening::default()).message(reader, limits, &message, told);
    });
}

/// What is told is bounded, and depends neither on what was read before nor on how often.
fn same_each_time(bytes: &[u8], read: impl Fn(&mut Reader, &InspectLimits, &mut Told)) {
    let limits = InspectLimits {
        depth: 32,
        values: 1000,
        layers: 3,
        decoded: 1 << 20,
        pending: 1 << 16,
        ..InspectLimits::default()
    };
    let mut reader = Reader::default();
    let mut first = Told::default();
    read(&mut reader, &limits, &mut first);
    let mut again = Told::default();
    read(&mut reader, &limits, &mut again);
    assert!(first == again, "read twice, it is the same");
    assert!(first.values <= 1000);
    // Each layer tells what it holds, bytes that are no text twice; a name that is no text in words longer than its code.
    let most = (bytes.len() + 8) * 2 * usize::from(limits.layers + 1) * 5;
    assert!(first.bytes <= most, "{} bytes were told of {}", first.bytes, bytes.len());
    assert!(first.anomalies <= bytes.len() * 4 + 8, "{} anomalies in {} bytes", first.anomalies, bytes.len());
}

/// How much was told, and a hash of all of it.
#[derive(Default, PartialEq)]
struct Told {
    values: usize,
    bytes: usize,
    anomalies: usize,
    hash: u64,
}

impl Told {
    fn add(&mut self, bytes: impl IntoIterator<Item = u8>) {
        self.hash = bytes.into_iter().fold(self.hash.rotate_left(5) ^ 0x9e37_79b9, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    }

    fn add_place(&mut self, place: Place<'_>) {
        self.add(place.len().to_le_bytes());
        assert!(place.last().is_some() || place.is_empty());
    }
}

impl Sink for Told {
    fn value(&mut self, value: &Value<'_>) {
        self.values += 1;
        self.bytes += value.bytes.len();
        assert!(value.shape == Shape::Bytes || value.text().is_some(), "what is no bytes is text");
        self.add(value.bytes.iter().copied());
        self.add([value.kind() as u8]);
        self.add_place(value.place);
    }

    fn operation(&mut self, operation: &Operation<'_>) {
        self.add(operation.name.unwrap_or_default().bytes());
    }

    fn anomaly(&mut self, anomaly: Anomaly, place: Place<'_>) {
        self.anomalies += 1;
        self.add(format!("{anomaly}").into_bytes());
        self.add_place(place);
    }
}

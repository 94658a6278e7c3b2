//! What the tables of all parsers share: a message in, what was told of it out, as text.

use proptest::prelude::prop;
use sockwarden_model::Direction;
use sockwarden_proto::MessageKind;

use crate::{
    Anomaly, Conversation, InspectLimits, Message, Opening, Operation, Place, Protocol, Reader, Role, Shape,
    Sink, Step, Value,
    walk::{State, Walk},
};

/// Writes down all that it is told.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// `place kind text` of each value; a key is `place key text`.
    pub(crate) values: Vec<String>,
    /// Operations, and anomalies behind a `!`.
    pub(crate) said: Vec<String>,
    /// Anomalies with their places.
    pub(crate) anomalies: Vec<(Anomaly, String)>,
}

impl Sink for Notes {
    fn value(&mut self, value: &Value<'_>) {
        let what = if value.role == Role::Key { "key".to_owned() } else { value.kind().to_string() };
        self.values.push(format!("{} {what} {}", value.place, value.bytes.escape_ascii()));
    }

    fn operation(&mut self, operation: &Operation<'_>) {
        let mut words = operation.action.name().to_owned();
        for (before, part) in [("", operation.name), (" on", operation.subject), (" id", operation.id)] {
            if let Some(part) = part {
                words += &format!("{before} {part}");
            }
        }
        self.said.push(words);
    }

    fn anomaly(&mut self, anomaly: Anomaly, place: Place<'_>) {
        let words = if let Anomaly::Breach(_, breach) = anomaly {
            breach.words().to_owned()
        } else {
            anomaly.to_string()
        };
        self.said.push(format!("! {words}"));
        self.anomalies.push((anomaly, place.to_string()));
    }
}

/// Reads messages of one connection in turn, from the client where nothing else is said.
pub(crate) fn read(protocol: Option<Protocol>, messages: &[(Direction, MessageKind, &[u8])]) -> Notes {
    let mut notes = Notes::default();
    let mut conversation = Conversation::new(protocol, &Opening::default());
    let mut reader = Reader::default();
    for &(direction, kind, bytes) in messages {
        let message = Message { direction, kind, bytes };
        conversation.message(&mut reader, &InspectLimits::default(), &message, &mut notes);
    }
    notes
}

/// Reads a text of the client and compares the operations and anomalies, joined by `; `.
#[track_caller]
pub(crate) fn check_protocol(protocol: Protocol, text: &str, expected: &str) {
    let notes = read(Some(protocol), &[(Direction::Client, MessageKind::Text, text.as_bytes())]);
    assert_eq!(notes.said.join("; "), expected, "{text}");
}

/// Reads a text that belongs to no protocol and compares the values.
#[track_caller]
pub(crate) fn check_values(text: &str, expected: &[&str]) -> Notes {
    let notes = read(None, &[(Direction::Client, MessageKind::Text, text.as_bytes())]);
    assert_eq!(notes.values, expected, "{text}");
    notes
}

/// The values of one format and its anomalies; what is encoded inside the values is left out.
#[derive(Debug, Default)]
pub(crate) struct Flat {
    /// `place shape bytes` of each.
    pub(crate) values: Vec<String>,
    pub(crate) anomalies: Vec<Anomaly>,
}

impl Sink for Flat {
    fn value(&mut self, value: &Value<'_>) {
        assert!(value.shape == Shape::Bytes || value.text().is_some(), "a text is UTF-8");
        if !is_inside(value.place) {
            let shape = if value.role == Role::Key { "key".to_owned() } else { format!("{:?}", value.shape) };
            self.values.push(format!("{} {shape} {}", value.place, value.bytes.escape_ascii()));
        }
    }

    fn operation(&mut self, _: &Operation<'_>) {}

    fn anomaly(&mut self, anomaly: Anomaly, place: Place<'_>) {
        if !is_inside(place) {
            self.anomalies.push(anomaly);
        }
    }
}

fn is_inside(place: Place<'_>) -> bool {
    place.steps().any(|step| matches!(step, Step::Inside(_)))
}

/// Lets one format read bytes, whatever they look like.
pub(crate) fn flat(read: fn(&mut Walk<'_>, &[u8]), bytes: &[u8]) -> Flat {
    let (mut flat, mut state) = (Flat::default(), State::default());
    let limits = InspectLimits { depth: 200, ..InspectLimits::default() };
    read(&mut Walk::new(&mut state, &limits, Direction::Client, &mut flat), bytes);
    flat
}

/// A name as a place writes it.
pub(crate) fn step(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1").replace('|', "~2")
}

/// Reads texts of a conversation, `>` in front of the client's and `<` in front of the server's, and compares operations and anomalies.
#[track_caller]
pub(crate) fn check_talk(protocol: Protocol, texts: &[&str], expected: &[&str]) -> Notes {
    let messages: Vec<_> = texts
        .iter()
        .map(|text| {
            let (side, text) = text.split_at(1);
            let direction = if side == ">" { Direction::Client } else { Direction::Server };
            (direction, MessageKind::Text, text.as_bytes())
        })
        .collect();
    let notes = read(Some(protocol), &messages);
    assert_eq!(notes.said, expected, "{texts:?}");
    notes
}

/// Takes valid bytes and changes one of them, or cuts them there.
pub(crate) fn spoilt(mut bytes: Vec<u8>, at: prop::sample::Index, byte: u8, cut: bool) -> Vec<u8> {
    let at = at.index(bytes.len());
    if cut {
        bytes.truncate(at);
    } else {
        bytes[at] = byte;
    }
    bytes
}

/// The same in MessagePack; of numbers only whole ones without a sign.
pub(crate) fn packed(json: &serde_json::Value) -> rmpv::Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => rmpv::Value::Nil,
        Json::Bool(is) => (*is).into(),
        Json::Number(number) => number.as_u64().unwrap().into(),
        Json::String(text) => text.as_str().into(),
        Json::Array(elements) => rmpv::Value::Array(elements.iter().map(packed).collect()),
        Json::Object(members) => rmpv::Value::Map(
            members.iter().map(|(name, member)| (name.as_str().into(), packed(member))).collect(),
        ),
    }
}

/// Tells whether an anomaly may be told of well-formed input of a binary format.
pub(crate) fn is_of_valid_input(anomaly: &Anomaly) -> bool {
    matches!(anomaly, Anomaly::NulCharacter | Anomaly::BigNumber | Anomaly::DuplicateKey)
}

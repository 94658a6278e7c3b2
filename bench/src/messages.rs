//! The messages that are read in a benchmark, and the reading of them.

use std::hint::black_box;

use serde_json::Value as Tree;
use sockwarden_inspect::{
    Anomaly, Conversation, InspectLimits, Message, Opening, Operation, Place, Protocol, Reader, Sink, Value,
};
use sockwarden_model::Direction;
use sockwarden_proto::MessageKind;

/// Makes what reads a message of this name and size again and again, and tells how many bytes that has.
pub(crate) fn reading(way: &str, what: &str, size: usize) -> Option<(usize, Box<dyn FnMut()>)> {
    let (kind, bytes) = message(what, size)?;
    let length = bytes.len();
    let protocol = match (way, what) {
        ("values", _) => None,
        ("operation", "event") => Some(Protocol::SocketIo),
        ("operation", "call") => Some(Protocol::JsonRpc),
        ("tree", _) => return Some((length, tree(bytes))),
        _ => return None,
    };
    // The packet's type is what makes an event of an array.
    let bytes =
        if what == "event" && protocol.is_some() { [b"42", bytes.as_slice()].concat() } else { bytes };
    Some((length, read(protocol, kind, bytes)))
}

fn message(what: &str, size: usize) -> Option<(MessageKind, Vec<u8>)> {
    let packed = |form: &Form| (MessageKind::Binary, pack(form, &json(size)));
    Some(match what {
        "json" => (MessageKind::Text, json(size)),
        "call" => (MessageKind::Text, call(size)),
        "event" => (MessageKind::Text, event(size)),
        "text" => (MessageKind::Text, chat(size)),
        "nested" => (MessageKind::Text, nested(size)),
        "binary" => (MessageKind::Binary, noise(size)),
        "messagepack" => packed(&MESSAGE_PACK),
        "cbor" => packed(&CBOR),
        _ => return None,
    })
}

/// All values of a message with their kinds and places, and its operation where a protocol is spoken.
fn read(protocol: Option<Protocol>, kind: MessageKind, bytes: Vec<u8>) -> Box<dyn FnMut()> {
    let mut conversation = match protocol {
        Some(protocol) => Conversation::new(Some(protocol), &Opening::default()),
        None => Conversation::of_no_protocol(),
    };
    let (mut reader, limits) = (Reader::default(), InspectLimits::default());
    Box::new(move || {
        let message = Message { direction: Direction::Client, kind, bytes: black_box(&bytes) };
        let mut count = Count::default();
        conversation.message(&mut reader, &limits, &message, &mut count);
        assert_eq!(count.operations, usize::from(protocol.is_some()), "the sample is one operation");
        black_box((count.values, count.anomalies));
    })
}

/// What reading a message costs who makes a tree of it: a yardstick.
fn tree(bytes: Vec<u8>) -> Box<dyn FnMut()> {
    Box::new(move || {
        let tree: Tree = serde_json::from_slice(black_box(&bytes)).expect("the sample is JSON");
        black_box(&tree);
    })
}

/// Counts what it is told.
#[derive(Default)]
struct Count {
    values: usize,
    operations: usize,
    anomalies: usize,
}

impl Sink for Count {
    fn value(&mut self, value: &Value<'_>) {
        black_box(value.kind());
        self.values += 1;
    }

    fn operation(&mut self, operation: &Operation<'_>) {
        black_box(operation);
        self.operations += 1;
    }

    fn anomaly(&mut self, _: Anomaly, _: Place<'_>) {
        self.anomalies += 1;
    }
}

/// Harmless JSON that compresses as such text does.
pub(crate) fn ascii(size: usize) -> Vec<u8> {
    const WORDS: [&str; 8] = ["anchor", "berth", "captain", "dock", "eastern", "ferry", "harbour", "island"];
    let mut state = 1u32;
    let mut number = |end: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % end
    };
    let mut text = String::new();
    while text.len() < size {
        let (unit, x, y) = (number(100_000), number(10_000), number(10_000));
        let (what, whence) = (WORDS[number(8) as usize], WORDS[number(8) as usize]);
        text.push_str(&format!(
            r#"{{"unit":{unit},"to":[{x}.5,-{y}],"note":"the {what} at noon, from the {whence}"}},"#
        ));
    }
    text.truncate(size);
    text.into_bytes()
}

/// What stands between two texts, filled up to exactly this size with an array of objects and a sentence.
fn filled(begin: &str, between: &str, end: &str, size: usize) -> Vec<u8> {
    let whole = ascii(size);
    let items = String::from_utf8_lossy(&whole);
    let room = size.saturating_sub(begin.len() + between.len() + end.len());
    let length = items.get(..room).and_then(|items| items.rfind("},")).map_or(0, |at| at + 1);
    let note = chat(room - length);
    [begin.as_bytes(), items[..length].as_bytes(), between.as_bytes(), &note, end.as_bytes()].concat()
}

/// One JSON object of that size, as applications send them.
fn json(size: usize) -> Vec<u8> {
    filled(r#"{"type":"update","channel":"harbour","id":4711,"items":["#, r#"],"tail":""#, r#""}"#, size)
}

/// A call of JSON-RPC.
fn call(size: usize) -> Vec<u8> {
    let begin = r#"{"jsonrpc":"2.0","method":"harbour.update","id":4711,"params":["#;
    filled(begin, r#",""#, r#""]}"#, size)
}

/// The array of a Socket.IO event.
fn event(size: usize) -> Vec<u8> {
    filled(r#"["update",{"channel":"harbour","items":["#, r#"]},""#, r#""]"#, size)
}

/// A sentence of a chat.
pub(crate) fn chat(size: usize) -> Vec<u8> {
    let words = "well, the ferry (the new one) leaves at noon; don't wait for us. ";
    words.bytes().cycle().take(size).collect()
}

/// JSON in strings of JSON, with escapes in every one: each byte is looked at once for each layer.
fn nested(size: usize) -> Vec<u8> {
    let mut text = String::from(r#"{"a":"<b>"}"#);
    while text.len() < size / 2 {
        let escaped = text.replace('\\', r"\\").replace('"', r#"\""#);
        text = format!(r#"{{"a":"{escaped}","b":"{escaped}"}}"#);
    }
    text.into_bytes()
}

/// Bytes without any order.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 7u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..size).map(|_| next()).collect()
}

/// How a binary format begins what it holds.
struct Form {
    text: Begin,
    array: Begin,
    map: Begin,
    /// A number without a sign, of 32 bits.
    number: u8,
    double: u8,
}

/// The first byte, to which a length below the limit is added, and the one before a length of 16 bits.
struct Begin(u8, usize, u8);

const MESSAGE_PACK: Form = Form {
    text: Begin(0xa0, 32, 0xda),
    array: Begin(0x90, 16, 0xdc),
    map: Begin(0x80, 16, 0xde),
    number: 0xce,
    double: 0xcb,
};
const CBOR: Form = Form {
    text: Begin(0x60, 24, 0x79),
    array: Begin(0x80, 24, 0x99),
    map: Begin(0xa0, 24, 0xb9),
    number: 0x1a,
    double: 0xfb,
};

/// Writes what a text of JSON holds in a binary format.
fn pack(form: &Form, text: &[u8]) -> Vec<u8> {
    let tree = serde_json::from_slice(text).expect("the sample is JSON");
    let mut out = Vec::new();
    packed(form, &tree, &mut out);
    out
}

fn packed(form: &Form, tree: &Tree, out: &mut Vec<u8>) {
    let begin = |out: &mut Vec<u8>, Begin(short, limit, long): &Begin, length: usize| {
        let length = u16::try_from(length).expect("the sample is small");
        if usize::from(length) < *limit {
            out.push(short + length as u8);
        } else {
            out.push(*long);
            out.extend_from_slice(&length.to_be_bytes());
        }
    };
    let named = |out: &mut Vec<u8>, text: &str| {
        begin(out, &form.text, text.len());
        out.extend_from_slice(text.as_bytes());
    };
    match tree {
        Tree::String(text) => named(out, text),
        Tree::Array(elements) => {
            begin(out, &form.array, elements.len());
            elements.iter().for_each(|element| packed(form, element, out));
        }
        Tree::Object(members) => {
            begin(out, &form.map, members.len());
            for (name, member) in members {
                named(out, name);
                packed(form, member, out);
            }
        }
        Tree::Number(number) => match number.as_u64().and_then(|number| u32::try_from(number).ok()) {
            Some(number) => {
                out.push(form.number);
                out.extend_from_slice(&number.to_be_bytes());
            }
            None => {
                out.push(form.double);
                out.extend_from_slice(&number.as_f64().unwrap_or_default().to_be_bytes());
            }
        },
        Tree::Null | Tree::Bool(_) => unreachable!("the samples have none"),
    }
}

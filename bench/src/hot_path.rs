//! What the gateway does for each message, one piece of work at a time: the benchmark times them, callgrind counts their
//! instructions.

use std::{hint::black_box, time::Duration};

use sockwarden_defend::{Chain, Fact as Seen, HandshakeFact, Report, defences::Defences};
use sockwarden_inspect::{
    Anomaly, Conversation, InspectLimits, Marks, Message, Operation, Place, Reader, Sink, Value,
};
use sockwarden_model::Direction;
use sockwarden_proto::{
    FrameHeader, Limits, MessageKind, Opcode, Receiver, Role, Transmitter, Utf8Validator, apply_mask,
    deflate::{Deflater, InflateLimits, Inflater, WindowBits},
    handshake::{HeadLimits, RequestHead, UpgradeRequest},
};

const LIMITS: Limits = Limits { frame: 1 << 30, message: 1 << 30 };
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const HANDSHAKE: &str = "GET /chat HTTP/1.1\r\nHost: app.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: https://app.example\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef\r\n\r\n";

/// Every piece of work.
pub(crate) const NAMES: [&str; 29] = [
    "receive-text-16-x32",
    "receive-text-125",
    "receive-text-200-json",
    "receive-text-1k",
    "receive-text-16k",
    "receive-text-256k",
    "receive-text-16k-cyrillic",
    "receive-binary-16k",
    "receive-deflated-1k",
    "receive-deflated-16k",
    "send-masked-1k",
    "send-masked-16k",
    "mask-16k",
    "utf8-16k",
    "utf8-16k-cyrillic",
    "classify-16k",
    "values-json-200",
    "values-json-4k",
    "values-text-200",
    "values-nested-4k",
    "values-binary-16k",
    "chain-frame",
    "chain-handshake",
    "defence-tls-required",
    "defence-strict-handshake",
    "defence-origin-policy",
    "defence-upstream-tls",
    "defence-protocol-rules",
    "defence-frame-limits",
];

/// One piece of work, to be done again and again.
pub(crate) struct Work {
    /// How many bytes of payload it handles; one where it handles no payload.
    pub(crate) bytes: usize,
    run: Box<dyn FnMut()>,
}

impl Work {
    /// Prepares the work of this name; `None` where there is none.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let words: Vec<&str> = name.split('-').collect();
        let size = || words.iter().find_map(|word| size(word));
        Some(match words[..] {
            ["receive", "text", _, "x32"] => receive(Opcode::Text, &ascii(size()?), 32),
            ["receive", "text", _, "cyrillic"] => receive(Opcode::Text, &cyrillic(size()?), 1),
            ["receive", "text", ..] => receive(Opcode::Text, &ascii(size()?), 1),
            ["receive", "binary", ..] => receive(Opcode::Binary, &ascii(size()?), 1),
            ["receive", "deflated", ..] => receive_deflated(&ascii(size()?)),
            ["send", ..] => send(&ascii(size()?)),
            ["mask", ..] => {
                let mut bytes = ascii(size()?);
                Self::new(bytes.len(), move || apply_mask(KEY, 0, black_box(&mut bytes)))
            }
            ["utf8", _, "cyrillic"] => validate(cyrillic(size()?)),
            ["utf8", ..] => validate(ascii(size()?)),
            ["classify", _] => {
                let text = ascii(size()?);
                Self::new(text.len(), move || {
                    black_box(Marks::of(black_box(&text)));
                })
            }
            ["values", "json", _] => values(MessageKind::Text, json(size()?)),
            ["values", "text", _] => values(MessageKind::Text, chat(size()?)),
            ["values", "nested", _] => values(MessageKind::Text, nested(size()?)),
            ["values", "binary", _] => values(MessageKind::Binary, noise(size()?)),
            ["chain", fact] => {
                let mut chain =
                    Chain::new(&Defences::default().build().expect("the defaults mean something"));
                observe(fact == "frame", move |seen| {
                    let mut report = Report::default();
                    black_box(chain.observe(seen, Duration::from_secs(1), &mut report));
                })?
            }
            ["defence", ..] => {
                let id = name.strip_prefix("defence-")?;
                let all = Defences::default().build().expect("the defaults mean something");
                let mut guard = all.iter().find(|link| link.defence.rule().id == id)?.defence.guard();
                observe(matches!(id, "protocol-rules" | "frame-limits"), move |seen| {
                    black_box(guard.observe(seen, Duration::from_secs(1)));
                })?
            }
            _ => return None,
        })
    }

    fn new(bytes: usize, run: impl FnMut() + 'static) -> Self {
        Self { bytes, run: Box::new(run) }
    }

    pub(crate) fn run(&mut self) {
        (self.run)();
    }
}

fn size(word: &str) -> Option<usize> {
    match word.strip_suffix('k') {
        Some(kilo) => kilo.parse::<usize>().ok().map(|kilo| kilo * 1024),
        None => word.parse().ok(),
    }
}

/// Harmless JSON that compresses as such text does.
fn ascii(size: usize) -> Vec<u8> {
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

/// One JSON object of about that size, as applications send them.
fn json(size: usize) -> Vec<u8> {
    let mut text = String::from(r#"{"type":"update","channel":"harbour","id":4711,"items":["#);
    let whole = ascii(size);
    let items = String::from_utf8_lossy(&whole);
    let room = size.saturating_sub(text.len() + 2);
    let end = items.get(..room).and_then(|items| items.rfind("},")).map_or(0, |at| at + 1);
    text.push_str(&items[..end]);
    text.push_str("]}");
    text.into_bytes()
}

/// A sentence of a chat.
fn chat(size: usize) -> Vec<u8> {
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

/// Counts what it is told.
#[derive(Default)]
struct Count(usize);

impl Sink for Count {
    fn value(&mut self, value: &Value<'_>) {
        black_box(value.kind());
        self.0 += 1;
    }

    fn operation(&mut self, _: &Operation<'_>) {
        self.0 += 1;
    }

    fn anomaly(&mut self, _: Anomaly, _: Place<'_>) {
        self.0 += 1;
    }
}

/// All values of a message with their kinds and places, no sub-protocol being spoken.
fn values(kind: MessageKind, bytes: Vec<u8>) -> Work {
    let mut conversation = Conversation::of_no_protocol();
    let (mut reader, limits) = (Reader::default(), InspectLimits::default());
    Work::new(bytes.len(), move || {
        let message = Message { direction: Direction::Client, kind, bytes: black_box(&bytes) };
        let mut count = Count::default();
        conversation.message(&mut reader, &limits, &message, &mut count);
        black_box(count.0);
    })
}

/// Text of two bytes for each letter.
fn cyrillic(size: usize) -> Vec<u8> {
    "привет".bytes().cycle().take(size / 2 * 2).collect()
}

/// Frames from a client are received as they come from the socket: they are unmasked in place, so each run copies them first.
fn receive(opcode: Opcode, payload: &[u8], frames: usize) -> Work {
    let mut wire = Vec::new();
    for _ in 0..frames {
        let header = FrameHeader { mask: Some(KEY), ..FrameHeader::new(opcode, payload.len() as u64) };
        header.encode(&mut wire);
        let start = wire.len();
        wire.extend_from_slice(payload);
        apply_mask(KEY, 0, &mut wire[start..]);
    }
    receive_wire(Receiver::new(Role::Server, LIMITS), wire, payload.len() * frames)
}

/// Each message stands by itself, so that it can be received again and again.
fn receive_deflated(message: &[u8]) -> Work {
    let mut payload = Vec::new();
    Deflater::new(false, WindowBits::MAX).deflate(message, &mut payload);
    let mut wire = Vec::new();
    Transmitter::new(Role::Client).compressed(MessageKind::Text, &payload, &mut || KEY, &mut wire);
    let limits = InflateLimits { output: LIMITS.message, ..InflateLimits::default() };
    let receiver = Receiver::new(Role::Server, LIMITS).with_inflater(Inflater::new(false, limits));
    receive_wire(receiver, wire, message.len())
}

fn receive_wire(mut receiver: Receiver, wire: Vec<u8>, bytes: usize) -> Work {
    let mut buffer = wire.clone();
    Work::new(bytes, move || {
        buffer.copy_from_slice(&wire);
        let taken = receiver.receive(black_box(&mut buffer), |fact| {
            black_box(fact);
            sockwarden_proto::Flow::Continue
        });
        assert!(taken == wire.len() && !receiver.is_finished(), "the sample is received whole and legal");
    })
}

fn send(payload: &[u8]) -> Work {
    let payload = payload.to_vec();
    let mut out = Vec::new();
    Work::new(payload.len(), move || {
        out.clear();
        Transmitter::new(Role::Client).message(MessageKind::Text, black_box(&payload), &mut || KEY, &mut out);
    })
}

fn validate(text: Vec<u8>) -> Work {
    Work::new(text.len(), move || {
        let mut validator = Utf8Validator::default();
        assert!(black_box(validator.push(black_box(&text))).is_ok(), "the sample is text");
    })
}

/// The same fact is judged again and again: a frame's header, or a handshake.
fn observe(frame: bool, mut judge: impl FnMut(&Seen<'_>) + 'static) -> Option<Work> {
    let (head, _) = RequestHead::parse(HANDSHAKE.as_bytes(), HeadLimits::default()).ok()??;
    let request = UpgradeRequest::judge(head, 0);
    let header = FrameHeader { mask: Some(KEY), ..FrameHeader::new(Opcode::Text, 200) };
    Some(Work::new(1, move || {
        let seen = if frame {
            Seen::Frame { direction: Direction::Client, header: &header }
        } else {
            let host = Some("app.example");
            Seen::Handshake(HandshakeFact { request: &request, tls: true, tls_offered: true, host })
        };
        judge(black_box(&seen));
    }))
}

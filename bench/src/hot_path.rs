//! What the gateway does for each message, one piece of work at a time: the benchmark times them, callgrind counts their
//! instructions.

// The path holds also where this file is a part of the benchmark.
#[path = "messages.rs"]
mod messages;

use std::{hint::black_box, time::Duration};

use sockwarden_defend::{Chain, Content, Fact as Seen, HandshakeFact, Report, defences::Defences};
use sockwarden_inspect::{Action, Marks, Operation, Protocol};
use sockwarden_model::Direction;
use sockwarden_proto::{
    FrameHeader, Limits, MessageKind, Opcode, Receiver, Role, Transmitter, Utf8Validator, apply_mask,
    deflate::{Deflater, InflateLimits, Inflater, WindowBits},
    handshake::{HeadLimits, RequestHead, UpgradeRequest},
};

use messages::ascii;

const LIMITS: Limits = Limits { frame: 1 << 30, message: 1 << 30 };
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const HANDSHAKE: &str = "GET /chat HTTP/1.1\r\nHost: app.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: https://app.example\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef\r\n\r\n";

/// Every piece of work.
pub(crate) const NAMES: [&str; 45] = [
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
    "values-messagepack-4k",
    "values-cbor-4k",
    "values-call-200",
    "values-event-200",
    "operation-call-200",
    "operation-event-200",
    "chain-frame",
    "chain-handshake",
    "defence-tls-required",
    "defence-strict-handshake",
    "defence-origin-policy",
    "defence-upstream-tls",
    "defence-protocol-rules",
    "defence-frame-limits",
    "defence-message-format",
    "defence-operation-policy",
    "defence-message-authorization",
    "defence-topic-policy",
    "defence-graphql-limits",
    "defence-cdp-refused",
    "defence-ocpp-session",
    "defence-injection",
    "defence-active-content",
    "defence-rate-limit",
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
            [way @ ("values" | "operation" | "tree"), what, _] => {
                let (bytes, run) = messages::reading(way, what, size()?)?;
                Self { bytes, run }
            }
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
                if guards_content(id) {
                    return Some(hear(move |seen| {
                        black_box(guard.observe(seen, Duration::from_secs(1)));
                    }));
                }
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

/// Tells whether a defence judges what messages hold.
fn guards_content(id: &str) -> bool {
    matches!(
        id,
        "message-format"
            | "operation-policy"
            | "message-authorization"
            | "topic-policy"
            | "graphql-limits"
            | "cdp-refused"
            | "ocpp-session"
            | "injection"
            | "active-content"
            | "rate-limit"
    )
}

/// The same operation is heard again and again.
fn hear(mut judge: impl FnMut(&Seen<'_>) + 'static) -> Work {
    let operation = Operation {
        protocol: Protocol::JsonRpc,
        action: Action::Call,
        name: Some("subtract"),
        subject: None,
        id: Some("1"),
    };
    Work::new(1, move || {
        let content = Content::Operation(&operation);
        judge(black_box(&Seen::Content { direction: Direction::Client, content }));
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

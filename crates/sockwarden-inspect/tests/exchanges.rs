//! Exchanges of real libraries, changed in a few places: none of very many breaks a promise, hangs, or lets anything grow.

#[path = "../src/protocol/broker_samples.rs"]
mod broker_samples;
#[path = "../src/protocol/samples.rs"]
mod samples;

use std::time::{Duration, Instant};

use sockwarden_inspect::{
    Anomaly, Conversation, InspectLimits, Message, Opening, Operation, Place, Protocol, Reader, Shape, Sink,
    Value,
};
use sockwarden_model::Direction::{self, Client, Server};
use sockwarden_proto::MessageKind;
use sockwarden_testkit::Random;

/// The most bytes that all values of an exchange hold, for each byte of it: each encoding inside another one is told by itself, and a name
/// may be told again as what it names.
const TOLD: usize = 16;

/// How many messages an exchange has at most.
const MOST: usize = 40;

/// How long one exchange may take on a machine that has much else to do.
const LONGEST: Duration = Duration::from_secs(5);

/// What means something to one protocol or another.
const TOKENS: [&[u8]; 40] = [
    b"\x1e",
    b"\0",
    b"\n",
    b"\r\n",
    b"\n\n",
    b":",
    b",",
    b"[",
    b"]",
    b"{",
    b"}",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\"id\":",
    b"\"type\":",
    b"\"method\":",
    b"null",
    b"-1",
    b"0",
    b"4",
    b"42",
    b"451-",
    b"/n,",
    b"{\"_placeholder\":true,\"num\":9}",
    b"\"jsonrpc\":\"2.0\"",
    b"content-length:9\n",
    b"a[",
    b"\x10",
    b"\x30\xff\xff\xff\x7f",
    b"\x80",
    b"\x91",
    b"\x93\x01",
    b"\xc0",
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xa3nsp",
    b"\xff",
    b"\xff\xff\xff\xff\x0f",
    b"\xe2\x82\xac",
];

/// A message as it is changed; its bytes are kept for the next exchange.
struct Changed {
    direction: Direction,
    kind: MessageKind,
    /// Whether it is the body of an HTTP message instead.
    body: bool,
    bytes: Vec<u8>,
}

/// An exchange as it is changed, in buffers that are used again.
#[derive(Default)]
struct Exchange {
    messages: Vec<Changed>,
    used: usize,
    scratch: Vec<u8>,
}

impl Exchange {
    /// Begins with what a library says.
    fn begin(&mut self, sample: &samples::Exchange) {
        self.used = 0;
        for said in sample.messages {
            self.add(*said);
        }
    }

    fn add(&mut self, (direction, kind, bytes): samples::Said) {
        if self.used == self.messages.len() {
            self.messages.push(Changed { direction, kind, body: false, bytes: Vec::new() });
        }
        let message = &mut self.messages[self.used];
        (message.direction, message.kind, message.body) = (direction, kind, false);
        message.bytes.clear();
        message.bytes.extend_from_slice(bytes);
        self.used += 1;
    }

    /// Changes it in one place.
    fn change(&mut self, random: &mut Random, samples: &[&'static samples::Exchange]) {
        let (at, other) = (random.below(self.used), random.below(self.used));
        match random.below(12) {
            0 => self.messages[..self.used].swap(at, other),
            1 if self.used > 1 => {
                self.messages[at..self.used].rotate_left(1);
                self.used -= 1;
            }
            2 if self.used < MOST => {
                let sample = random.pick(samples);
                let said = random.pick(sample.messages);
                self.add(said);
                self.messages[at..self.used].rotate_right(1);
            }
            3 if self.used < MOST => {
                let Changed { direction, kind, .. } = self.messages[at];
                self.scratch.clear();
                self.scratch.extend_from_slice(&self.messages[at].bytes);
                self.add((direction, kind, b""));
                self.messages[self.used - 1].bytes.extend_from_slice(&self.scratch);
            }
            4 => {
                let message = &mut self.messages[at];
                match random.below(4) {
                    0 => message.direction = if message.direction == Client { Server } else { Client },
                    1 => message.kind = MessageKind::Text,
                    2 => message.kind = MessageKind::Binary,
                    _ => message.body = true,
                }
            }
            _ => change_bytes(&mut self.messages[at].bytes, &mut self.scratch, random),
        }
    }
}

fn change_bytes(bytes: &mut Vec<u8>, scratch: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = (at + random.below(8)).min(bytes.len());
    match random.below(7) {
        0 if at < bytes.len() => bytes[at] = (random.bits() & 0xff) as u8,
        1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..end)),
        4 if bytes.len() < 4096 => {
            scratch.clear();
            scratch.extend_from_slice(&bytes[at..end]);
            for _ in 0..=random.below(3) {
                bytes.splice(at..at, scratch.iter().copied());
            }
        }
        5 if bytes.len() < 2048 => {
            scratch.clear();
            scratch.extend_from_slice(bytes);
            bytes.extend_from_slice(scratch);
        }
        _ => drop(bytes.splice(at..at, random.pick(&TOKENS).iter().copied())),
    }
}

/// Holds against what is promised all that it is told, and keeps a digest of it.
#[derive(Default, PartialEq, Eq, Debug)]
struct Told {
    bytes: usize,
    operations: usize,
    digest: u64,
}

impl Told {
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.digest = (self.digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl Sink for Told {
    fn value(&mut self, value: &Value<'_>) {
        assert!(value.shape == Shape::Bytes || value.text().is_some(), "{value:?}");
        self.bytes += value.bytes.len();
        self.take(value.bytes);
        self.take(value.kind().name().as_bytes());
        self.take(&[value.place.len() as u8]);
    }

    fn operation(&mut self, operation: &Operation<'_>) {
        self.operations += 1;
        for part in [operation.name, operation.subject, operation.id].into_iter().flatten() {
            self.take(part.as_bytes());
        }
    }

    fn anomaly(&mut self, anomaly: Anomaly, place: Place<'_>) {
        self.take(anomaly.id().as_bytes());
        self.take(&[place.len() as u8]);
    }
}

/// Reads an exchange as one connection.
fn read(protocol: Option<Protocol>, opening: &Opening<'_>, exchange: &Exchange, reader: &mut Reader) -> Told {
    let limits = InspectLimits { pending: 64 << 10, ..InspectLimits::default() };
    let mut conversation = Conversation::new(protocol, opening);
    let (mut told, mut sent) = (Told::default(), 0);
    for Changed { direction, kind, body, bytes } in &exchange.messages[..exchange.used] {
        sent += bytes.len() + 64;
        let is_text = *kind == MessageKind::Text && std::str::from_utf8(bytes).is_ok();
        let kind = if is_text { MessageKind::Text } else { MessageKind::Binary };
        if *body {
            conversation.body(reader, &limits, (*direction, None), bytes, &mut told);
        } else {
            let message = Message { direction: *direction, kind, bytes };
            conversation.message(reader, &limits, &message, &mut told);
        }
        assert!(told.bytes <= TOLD * sent, "{} of {sent}", told.bytes);
        assert!(told.operations <= sent, "{} of {sent}", told.operations);
    }
    told
}

/// How many pages of memory this process has in use; none where nobody tells.
fn resident() -> Option<usize> {
    std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()
}

/// Runs so many exchanges.
fn run(count: usize, seed: u64) {
    let samples: Vec<&'static samples::Exchange> = samples::exchanges().collect();
    let protocols: Vec<Protocol> = Protocol::all().collect();
    let (mut random, mut reader, mut exchange) = (Random::new(seed), Reader::default(), Exchange::default());
    let mut before = None;
    for number in 0..count {
        let sample = random.pick(&samples);
        exchange.begin(sample);
        for _ in 0..=random.below(6) {
            exchange.change(&mut random, &samples);
        }
        let named = Opening { subprotocol: sample.subprotocol, target: sample.target };
        let (protocol, opening) = match random.below(8) {
            0 => (Some(random.pick(&protocols)), Opening::default()),
            1 if sample.recognised => (None, Opening::default()),
            1 | 2 => (Some(sample.protocol), Opening::default()),
            _ => (None, named),
        };
        let began = Instant::now();
        let kept = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let told = read(protocol, &opening, &exchange, &mut reader);
            // What was read before leaves no trace.
            if number % 8 == 0 {
                assert_eq!(told, read(protocol, &opening, &exchange, &mut Reader::default()));
            }
        }));
        let took = began.elapsed();
        assert!(
            kept.is_ok() && took < LONGEST,
            "{} in {took:?}, exchange {number} of seed {seed}",
            sample.protocol
        );
        // All buffers have their size by then.
        if number == count / 10 {
            before = resident();
        }
    }
    if let (Some(before), Some(after)) = (before, resident()) {
        assert!(after <= before + (16 << 20) / 4096, "{before} pages, then {after}");
    }
}

/// More of them: `SOCKWARDEN_INPUTS=10000000 SOCKWARDEN_SEED=7 cargo test --release -p sockwarden-inspect --test exchanges`
#[test]
fn no_hostile_exchange_breaks_a_promise() {
    let number = |name: &str, else_it_is: u64| {
        std::env::var(name).map_or(else_it_is, |value| value.parse().expect("it is a number"))
    };
    run(number("SOCKWARDEN_INPUTS", 20_000) as usize, number("SOCKWARDEN_SEED", 1));
}

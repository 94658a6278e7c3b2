//! What is sent: harmless messages of an exact size, framed once and sent many times.

use std::ops::Range;

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush};

use crate::{
    random::Random,
    wire::{self, Header},
};

/// How many bytes of distinct messages a script holds at least, but no more than [`MOST`] messages.
const DISTINCT: usize = 1 << 20;
const FEWEST: usize = 4;
const MOST: usize = 64;

const WORDS: [&str; 48] = [
    "anchor",
    "berth",
    "cargo",
    "dock",
    "eastern",
    "ferry",
    "gate",
    "harbour",
    "island",
    "jetty",
    "keel",
    "lighthouse",
    "manifest",
    "north",
    "office",
    "pilot",
    "quay",
    "rudder",
    "ship",
    "tide",
    "upper",
    "vessel",
    "water",
    "yard",
    "arrives",
    "leaves",
    "waits",
    "is",
    "was",
    "and",
    "the",
    "at",
    "from",
    "to",
    "with",
    "before",
    "after",
    "noon",
    "today",
    "two",
    "three",
    "seven",
    "crew",
    "captain",
    "order",
    "weight",
    "tons",
    "signal",
];

/// Messages that go round, ready to be sent: their frames as a client sends them, and the payloads that come back.
pub(crate) struct Script {
    /// The frames of messages 0, 1, …, and so many of the first once more that a whole window is always in one piece.
    bytes: Vec<u8>,
    starts: Vec<usize>,
    payloads: Vec<Vec<u8>>,
    compressed: bool,
}

impl Script {
    /// Writes messages of `size` bytes each, of which up to `window` are sent at once.
    pub(crate) fn new(size: usize, window: usize, compressed: bool) -> Self {
        let mut random = Random::new(size as u64 + 1);
        let count = (DISTINCT / size.max(1)).clamp(FEWEST, MOST);
        let mut payloads: Vec<Vec<u8>> = (0..count).map(|seq| message(seq, size, &mut random)).collect();
        if compressed {
            for payload in &mut payloads {
                *payload = deflated(payload);
            }
        }
        let mut bytes = Vec::new();
        let mut starts = vec![0];
        for payload in payloads.iter().cycle().take(count + window) {
            let mask = Some((random.next() as u32).to_ne_bytes());
            let header = Header { mask, rsv1: compressed, ..Header::whole(wire::TEXT, payload.len()) };
            wire::frame(header, payload, &mut bytes);
            starts.push(bytes.len());
        }
        Self { bytes, starts, payloads, compressed }
    }

    /// Where the frames of `count` messages from message `first` on stand; `count` is at most the window.
    pub(crate) fn frames(&self, first: u64, count: usize) -> Range<usize> {
        let first = self.index(first);
        self.starts[first]..self.starts[first + count]
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The payload of a message as it is on the wire.
    pub(crate) fn payload(&self, message: u64) -> &[u8] {
        &self.payloads[self.index(message)]
    }

    pub(crate) const fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// The mean size of a payload on the wire.
    pub(crate) fn size_on_the_wire(&self) -> usize {
        self.payloads.iter().map(Vec::len).sum::<usize>() / self.payloads.len()
    }

    const fn index(&self, message: u64) -> usize {
        (message % self.payloads.len() as u64) as usize
    }
}

/// A message of exactly `size` bytes: a JSON object where there is room for one.
pub(crate) fn message(seq: usize, size: usize, random: &mut Random) -> Vec<u8> {
    let mut text = format!("{{\"seq\":{seq},\"text\":\"");
    const END: &str = "\"}";
    if size < text.len() + END.len() {
        let mut digits = format!("{seq:>size$}").into_bytes();
        digits.truncate(size);
        return digits;
    }
    while text.len() + END.len() < size {
        let word = WORDS[random.below(WORDS.len())];
        text.push_str(word);
        if random.below(8) == 0 {
            text.push_str(&format!(" {}", random.below(100_000)));
        }
        text.push(' ');
    }
    text.truncate(size - END.len());
    text.push_str(END);
    text.into_bytes()
}

/// Compresses one message by itself (RFC 7692 §7.2.1).
pub(crate) fn deflated(message: &[u8]) -> Vec<u8> {
    let config = DeflateConfig { window_bits: -15, ..DeflateConfig::default() };
    let mut stream = Deflate::new_with_config(config);
    let mut out = vec![0; message.len() + message.len() / 8 + 64];
    // There is room for everything, so one call does it.
    let done = stream.compress(message, &mut out, DeflateFlush::SyncFlush);
    debug_assert!(done.is_ok() && stream.total_in() as usize == message.len());
    out.truncate((stream.total_out() as usize).saturating_sub(4));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_exactly_its_size_and_is_text() {
        let mut random = Random::new(1);
        for size in [0, 1, 16, 17, 18, 19, 20, 125, 1024, 16_384] {
            let message = message(63, size, &mut random);
            assert_eq!(message.len(), size);
            assert!(message.is_ascii());
        }
    }

    #[test]
    fn a_window_is_always_in_one_piece() {
        let script = Script::new(16, 32, false);
        for first in 0..200 {
            let mut bytes = script.bytes()[script.frames(first, 32)].to_vec();
            let mut found = Vec::new();
            let take = |piece: wire::Piece<'_>| {
                assert!(piece.ends);
                found.push(piece.bytes.to_vec());
                Ok(())
            };
            wire::FrameReader::default().read(&mut bytes, take).unwrap();
            let expected: Vec<Vec<u8>> = (first..first + 32).map(|n| script.payload(n).to_vec()).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn text_of_words_shrinks_but_not_absurdly() {
        let text = message(1, 16_384, &mut Random::new(7));
        let ratio = text.len() as f64 / deflated(&text).len() as f64;
        assert!((1.5..10.0).contains(&ratio), "{ratio}");
    }
}

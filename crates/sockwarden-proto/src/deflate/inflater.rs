//! The capped decoder (RFC 7692 §7.2.2): the only place where anything is inflated.

#![expect(clippy::disallowed_types, reason = "this is the capped decoder that everything else goes through")]

use zlib_rs::{Inflate, InflateFlush, Status};

use super::spare;

/// What a sender has cut off the end of a message (RFC 7692 §7.2.1): an empty block without compression, but for its header.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// The tail, and a byte that must not be needed.
const PROBE: [u8; 5] = [0x00, 0x00, 0xff, 0xff, 0x00];

/// After how much payload the overhead is judged: at places that do not depend on how the payload arrives.
const STRIDE: u64 = 4 * 1024;

/// How far compressed messages may expand, and how much work may be in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InflateLimits {
    /// The most bytes that a message may hold once it is inflated.
    pub output: u64,
    /// The most bytes per byte of payload that the frames so far have announced.
    pub ratio: u32,
    /// Bytes up to which a message may expand at any ratio.
    pub ratio_floor: u64,
    /// The most bytes by which the payload may be longer than what it holds, judged at every 4 KiB and at the end. More are
    /// blocks that say nothing (empty ones, codes that are not used): work without an outcome, which no other limit stops.
    pub overhead: u64,
}

impl Default for InflateLimits {
    /// Messages of 64 KiB, a ratio of 100, judged above 64 KiB, an overhead of 16 KiB.
    fn default() -> Self {
        Self { output: 64 * 1024, ratio: 100, ratio_floor: 64 * 1024, overhead: 16 * 1024 }
    }
}

/// What became of some payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inflated<'a> {
    /// It was inflated, as far as the buffer reached.
    Bytes {
        /// How many bytes of the payload were taken.
        taken: usize,
        /// What they hold; perhaps nothing.
        bytes: &'a [u8],
        /// Whether all of the payload was taken and nothing of it waits for room.
        done: bool,
    },
    /// The message holds more than [`InflateLimits::output`].
    TooBig,
    /// The message expands beyond [`InflateLimits::ratio`].
    RatioExceeded,
    /// The payload is longer than what it holds by more than [`InflateLimits::overhead`].
    OverheadExceeded,
    /// The message is no whole sequence of DEFLATE blocks, or looks back to before its window.
    Corrupt,
    /// Something follows a block that says it is the final one; readers disagree about whether it is part of the message.
    AfterFinalBlock,
}

/// Inflates the messages of one peer, in the order in which they are on the wire.
///
/// - It writes to the buffer that it is lent and holds nothing but its window: none before the first compressed message and,
///   without context takeover, none between messages.
/// - The window is always 32 KiB. A peer that looks back further than it promised is inflated as what it wrote, so that the
///   outcome does not depend on how the payload is cut.
/// - A final block (BFINAL, RFC 7692 §7.2.3.4) must be followed by one octet of zero and the end of the message. Implementations
///   differ in whether they read on after it, so what one of them would not see is refused. The context ends with it.
/// - After anything but [`Inflated::Bytes`] it says the same for ever.
pub struct Inflater {
    takeover: bool,
    limits: InflateLimits,
    stream: Option<Box<Inflate>>,
    phase: Phase,
    /// Payload that the frames of the message have announced.
    announced: u64,
    /// Payload that was read.
    taken: u64,
    /// What the message has held so far.
    produced: u64,
    /// After how much payload the overhead is judged next.
    judged_at: u64,
    failure: Option<Failure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Blocks are read.
    Blocks,
    /// The final block has ended; whether the octet after it has come.
    Ended { octet: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    TooBig,
    RatioExceeded,
    OverheadExceeded,
    Corrupt,
    AfterFinalBlock,
}

impl Inflater {
    /// Makes the decoder of one direction.
    pub const fn new(takeover: bool, limits: InflateLimits) -> Self {
        Self {
            takeover,
            limits,
            stream: None,
            phase: Phase::Blocks,
            announced: 0,
            taken: 0,
            produced: 0,
            judged_at: STRIDE,
            failure: None,
        }
    }

    /// Gives the limits that it was made with.
    pub const fn limits(&self) -> InflateLimits {
        self.limits
    }

    /// Takes note that the next `length` bytes of payload belong to the message: the ratio is judged by what is announced,
    /// which does not depend on how it arrives.
    pub const fn announce(&mut self, length: u64) {
        self.announced = self.announced.saturating_add(length);
    }

    /// Inflates `payload` into `buffer`; `last` tells whether the message ends with it.
    ///
    /// Until it is done, it wants to be called again with what it has not taken, even when that is nothing. An empty buffer
    /// makes no progress.
    pub fn inflate<'b>(&mut self, payload: &[u8], last: bool, buffer: &'b mut [u8]) -> Inflated<'b> {
        if let Some(failure) = self.failure {
            return failure.told();
        }
        let by_ratio = self.limits.ratio_floor.max(self.announced.saturating_mul(self.limits.ratio.into()));
        let room = self.limits.output.min(by_ratio).saturating_sub(self.produced);
        let mut probe = [0];
        let out = if room == 0 {
            // One byte more is one too many.
            &mut probe[..]
        } else {
            let most = buffer.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            &mut buffer[..most]
        };
        let (mut taken, mut written) = (0, 0);
        let step = loop {
            let rest = &payload[taken..];
            let until = usize::try_from(self.judged_at - self.taken).unwrap_or(usize::MAX);
            let piece = &rest[..rest.len().min(until)];
            let is_rest = piece.len() == rest.len();
            let (read, made, step) = self.step(piece, last && is_rest, &mut out[written..]);
            (taken, written) = (taken + read, written + made);
            (self.taken, self.produced) = (self.taken + read as u64, self.produced + made as u64);
            match step {
                Step::Done if self.has_overhead(last && is_rest) => {
                    break Step::Failed(Failure::OverheadExceeded);
                }
                Step::Done if !is_rest => {}
                Step::Done | Step::Full | Step::Failed(_) => break step,
            }
        };
        if room == 0 && written > 0 {
            let exceeded =
                if by_ratio < self.limits.output { Failure::RatioExceeded } else { Failure::TooBig };
            return self.fail(exceeded);
        }
        let done = match step {
            Step::Done => true,
            Step::Full => false,
            Step::Failed(failure) if written == 0 => return self.fail(failure),
            Step::Failed(failure) => {
                self.failure = Some(failure);
                false
            }
        };
        if done && last {
            (self.announced, self.taken, self.produced) = (0, 0, 0);
            (self.judged_at, self.phase) = (STRIDE, Phase::Blocks);
            if !self.takeover
                && let Some(stream) = self.stream.take()
            {
                spare::give(stream);
            }
        }
        Inflated::Bytes { taken, bytes: &buffer[..if room == 0 { 0 } else { written }], done }
    }

    /// Judges the overhead where it is to be judged: all that was read is inflated and told.
    const fn has_overhead(&mut self, is_end: bool) -> bool {
        let is_due = self.taken == self.judged_at;
        if is_due {
            self.judged_at += STRIDE;
        }
        (is_due || is_end) && self.taken > self.produced.saturating_add(self.limits.overhead)
    }

    /// Reads payload until it is used up, `out` is full or something is wrong; tells how much was taken and written.
    fn step(&mut self, payload: &[u8], last: bool, out: &mut [u8]) -> (usize, usize, Step) {
        let stream = self.stream.get_or_insert_with(spare::stream);
        let (mut taken, mut written) = (0, 0);
        if self.phase == Phase::Blocks {
            let run = run(stream, payload, out, InflateFlush::NoFlush);
            (taken, written) = (run.taken, run.written);
            match run.end {
                End::Wrong => return (taken, written, Step::Failed(Failure::Corrupt)),
                End::Stream => self.phase = Phase::Ended { octet: false },
                End::Paused if written == out.len() => return (taken, written, Step::Full),
                End::Paused if taken < payload.len() => {
                    return (taken, written, Step::Failed(Failure::Corrupt));
                }
                End::Paused => {
                    let whole = !last || ends_between_blocks(stream, &mut out[written..]);
                    let step = if whole { Step::Done } else { Step::Failed(Failure::Corrupt) };
                    return (taken, written, step);
                }
            }
        }
        let step = self.after_final_block(&payload[taken..], last);
        (payload.len(), written, step)
    }

    fn after_final_block(&mut self, rest: &[u8], last: bool) -> Step {
        let octet = match (self.phase, rest) {
            (Phase::Ended { octet }, []) => octet,
            (Phase::Ended { octet: false }, [0]) => true,
            (Phase::Ended { .. } | Phase::Blocks, _) => return Step::Failed(Failure::AfterFinalBlock),
        };
        self.phase = Phase::Ended { octet };
        match (last, octet) {
            (false, _) => Step::Done,
            (true, false) => Step::Failed(Failure::Corrupt),
            (true, true) => {
                self.stream = None;
                Step::Done
            }
        }
    }

    const fn fail<'b>(&mut self, failure: Failure) -> Inflated<'b> {
        self.failure = Some(failure);
        failure.told()
    }
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflater")
            .field("takeover", &self.takeover)
            .field("limits", &self.limits)
            .field("produced", &self.produced)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl Failure {
    const fn told<'b>(self) -> Inflated<'b> {
        match self {
            Self::TooBig => Inflated::TooBig,
            Self::RatioExceeded => Inflated::RatioExceeded,
            Self::OverheadExceeded => Inflated::OverheadExceeded,
            Self::Corrupt => Inflated::Corrupt,
            Self::AfterFinalBlock => Inflated::AfterFinalBlock,
        }
    }
}

enum Step {
    Done,
    Full,
    Failed(Failure),
}

struct Run {
    taken: usize,
    written: usize,
    end: End,
}

enum End {
    /// It wants more input or more room.
    Paused,
    /// A final block has ended.
    Stream,
    Wrong,
}

fn run(stream: &mut Inflate, input: &[u8], out: &mut [u8], flush: InflateFlush) -> Run {
    let (before_in, before_out) = (stream.total_in(), stream.total_out());
    let status = stream.decompress(input, out, flush);
    // Neither difference is larger than the slice that it counts.
    let taken = (stream.total_in() - before_in) as usize;
    let written = (stream.total_out() - before_out) as usize;
    let end = match status {
        Ok(Status::Ok | Status::BufError) => End::Paused,
        Ok(Status::StreamEnd) => End::Stream,
        Err(_) => End::Wrong,
    };
    Run { taken, written, end }
}

/// Puts back what the sender cut off and tells whether the message ends where a block does.
///
/// The decoder is told to pause at the end of a block: it must do so after exactly the four octets, with the one that follows
/// them left and nothing written.
fn ends_between_blocks(stream: &mut Inflate, out: &mut [u8]) -> bool {
    let tail = run(stream, &PROBE, out, InflateFlush::Block);
    if tail.taken != TAIL.len() || tail.written != 0 || matches!(tail.end, End::Wrong) {
        return false;
    }
    // The last block may have been a final one without content.
    if matches!(tail.end, End::Stream)
        || matches!(run(stream, &[], out, InflateFlush::NoFlush).end, End::Stream)
    {
        stream.reset(false);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{super::WindowBits, *};

    const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";

    fn roomy() -> Inflater {
        Inflater::new(true, InflateLimits { output: 1 << 20, ..InflateLimits::default() })
    }

    /// Inflates a message that arrives in pieces of `cut` bytes into a buffer of `room`; gives what it held, or how it failed
    /// after which bytes.
    fn inflate(inflater: &mut Inflater, payload: &[u8], cut: usize, room: usize) -> Result<Vec<u8>, String> {
        inflater.announce(payload.len() as u64);
        let (mut held, mut buffer, mut at) = (Vec::new(), vec![0; room], 0);
        loop {
            let end = (at + cut).min(payload.len());
            match inflater.inflate(&payload[at..end], end == payload.len(), &mut buffer) {
                Inflated::Bytes { taken, bytes, done } => {
                    held.extend_from_slice(bytes);
                    at += taken;
                    if done && at == payload.len() {
                        return Ok(held);
                    }
                }
                failure @ (Inflated::TooBig
                | Inflated::RatioExceeded
                | Inflated::OverheadExceeded
                | Inflated::Corrupt
                | Inflated::AfterFinalBlock) => {
                    return Err(format!("{failure:?} after {:?}", String::from_utf8_lossy(&held)));
                }
            }
        }
    }

    /// Checks messages in one context, however they are cut and whatever room there is.
    fn check(messages: &[&[u8]], expected: &[Result<&[u8], &str>]) {
        for cut in [1, 2, 3, 1000] {
            for room in [1, 2, 1000] {
                let mut inflater = roomy();
                for (payload, expected) in messages.iter().zip(expected) {
                    let expected = expected.map(<[u8]>::to_vec).map_err(str::to_owned);
                    assert_eq!(
                        inflate(&mut inflater, payload, cut, room),
                        expected,
                        "{payload:02x?} {cut}/{room}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_examples_of_rfc_7692_7_2_3() {
        let hello: Result<&[u8], &str> = Ok(b"Hello");
        check(&[HELLO], &[hello]);
        // §7.2.3.2: the second message looks back into the first.
        check(&[HELLO, b"\xf2\x00\x11\x00\x00"], &[hello, hello]);
        check(&[b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"], &[hello]);
        check(&[b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"], &[hello]);
        check(&[b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"], &[hello]);
        check(&[b"\x00", HELLO, b"\x00"], &[Ok(b""), hello, Ok(b"")]);
    }

    #[test]
    fn a_context_ends_where_it_must() {
        let second: &[u8] = b"\xf2\x00\x11\x00\x00";
        let mut apart = Inflater::new(false, InflateLimits::default());
        assert_eq!(inflate(&mut apart, HELLO, 9, 9).as_deref(), Ok(&b"Hello"[..]));
        // Its first byte stands for itself; then it looks back to before the message.
        assert_eq!(inflate(&mut apart, second, 9, 9), Err("Corrupt after \"H\"".into()));
        // A final block ends the context, with content or without.
        let hello: Result<&[u8], &str> = Ok(b"Hello");
        let fails = Err("Corrupt after \"H\"");
        check(&[b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", second], &[hello, fails]);
        check(&[HELLO, b"\x01", second], &[hello, Ok(b""), fails]);
        check(&[b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", HELLO, second], &[hello, hello, hello]);
    }

    #[test]
    fn what_is_no_whole_sequence_of_blocks_is_corrupt() {
        let corrupt = |payload: &[u8], before: &str| {
            check(&[payload], &[Err(&format!("Corrupt after {before:?}"))]);
        };
        // Without payload there is not even the header of the block that was cut off.
        corrupt(b"", "");
        // Cut inside a block of each kind.
        corrupt(&HELLO[..4], "Hel");
        corrupt(b"\x00\x05\x00\xfa\xff\x48\x65\x6c", "Hel");
        corrupt(b"\x00\x05\x00", "");
        corrupt(b"\x04\x00", "");
        // The block that is cut off must be an empty one, its header the last thing that stands there.
        corrupt(b"\x00\x00\x00\xff\xff", "");
        corrupt(b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f", "Hello");
        // A reserved type of block; lengths that do not agree; a distance before the window.
        corrupt(b"\x06", "");
        corrupt(b"\x00\x05\x00\x00\x00", "");
        corrupt(b"\xf2\x00\x11\x00\x00", "H");
        // A final block without the octet after it.
        corrupt(&b"\xf3\x48\xcd\xc9\xc9\x07\x00"[..7], "Hello");
    }

    #[test]
    fn what_follows_a_final_block_is_refused() {
        let end = b"\xf3\x48\xcd\xc9\xc9\x07\x00";
        for after in [HELLO, b"\x00\x00", b"\x01", b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"] {
            check(&[&[end, after].concat()], &[Err("AfterFinalBlock after \"Hello\"")]);
        }
    }

    #[test]
    fn each_limit_is_exact_and_a_failure_is_for_ever() {
        let payload = |length: usize| {
            let mut out = Vec::new();
            crate::deflate::Deflater::new(true, WindowBits::MAX).deflate(&vec![b'x'; length], &mut out);
            out
        };
        let check = |length: usize, limits: InflateLimits, expected: Result<usize, Inflated<'static>>| {
            let payload = payload(length);
            for (cut, room) in [(1, 7), (1, 4096), (1000, 7), (1000, 4096)] {
                let mut inflater = Inflater::new(true, limits);
                let found = inflate(&mut inflater, &payload, cut, room).map(|held| held.len());
                match expected {
                    Ok(length) => assert_eq!(found, Ok(length)),
                    Err(failure) => {
                        assert!(found.unwrap_err().starts_with(&format!("{failure:?} after")));
                        assert_eq!(inflater.inflate(HELLO, true, &mut [0; 9]), failure);
                    }
                }
            }
        };
        let limits = |output, ratio, ratio_floor| InflateLimits {
            output,
            ratio,
            ratio_floor,
            ..InflateLimits::default()
        };
        check(1000, limits(1000, 1, 1000), Ok(1000));
        check(1001, limits(1000, 1, 1001), Err(Inflated::TooBig));
        check(1001, limits(1001, 1, 1000), Err(Inflated::RatioExceeded));
        // 20,000 bytes in fewer than 200: the ratio is above 100.
        assert!(payload(20_000).len() < 200 && payload(20_000).len() > 20);
        check(20_000, limits(1 << 20, 100, 0), Err(Inflated::RatioExceeded));
        check(20_000, limits(1 << 20, 1000, 0), Ok(20_000));
        check(20_000, limits(1 << 20, 100, 20_000), Ok(20_000));
        check(20_000, limits(19_999, u32::MAX, 0), Err(Inflated::TooBig));
        check(1, limits(0, 100, 0), Err(Inflated::TooBig));
    }

    #[test]
    fn work_without_an_outcome_is_limited_however_it_arrives() {
        let check = |payload: &[u8], overhead: u64, expected: Result<usize, &str>| {
            for (cut, room) in [(1, 1), (7, 4096), (4096, 3), (5000, 4096), (1 << 20, 1 << 20)] {
                let limits = InflateLimits { output: 1 << 20, overhead, ..InflateLimits::default() };
                let found = inflate(&mut Inflater::new(true, limits), payload, cut, room);
                let found = found.as_ref().map(Vec::len).map_err(String::as_str);
                assert_eq!(found, expected, "{} of {overhead}, {cut}/{room}", payload.len());
            }
        };
        // Empty blocks without compression, as a flush writes them; the last one is cut off behind its header.
        let empty = |count: usize| [[0, 0, 0, 0xff, 0xff].repeat(count), vec![0]].concat();
        check(&empty(12_000), u64::MAX, Ok(0));
        check(&empty(12_000), 60_001, Ok(0));
        check(&empty(12_000), 60_000, Err("OverheadExceeded after \"\""));
        check(&empty(12_000), 4096, Err("OverheadExceeded after \"\""));
        check(&empty(800), 4001, Ok(0));
        check(&empty(800), 4000, Err("OverheadExceeded after \"\""));
        // Codes that are described and not used: a dynamic block with nothing but its end, a flush behind it.
        let header = b"\x04\xc0\x81\x00\x00\x00\x00\x00\x90\xff\x6b\x00\x00\x00\xff\xff";
        let codes = |count: usize| [header.repeat(count), vec![0]].concat();
        check(&codes(3500), u64::MAX, Ok(0));
        check(&codes(3500), 16 * 1024, Err("OverheadExceeded after \"\""));
        // What says something makes up for it, as long as it comes in time.
        let mut text = Vec::new();
        crate::deflate::Deflater::new(true, WindowBits::MAX).deflate(&vec![b'x'; 50_000], &mut text);
        let before = |count: usize| [&empty(count)[..count * 5], &text].concat();
        check(&before(800), 4096, Ok(50_000));
        check(&before(1700), 8192, Ok(50_000));
        check(&before(2500), 8192, Err("OverheadExceeded after \"\""));
    }
}

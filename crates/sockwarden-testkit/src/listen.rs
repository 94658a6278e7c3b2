//! Driving a receiver through any cuts and stops.

use sockwarden_proto::{Fact, Flow, Limits, Receiver, Role};

use crate::{Random, Transcript};

/// How bytes are cut into reads.
#[derive(Clone, Debug)]
pub enum Cuts {
    /// One read.
    Whole,
    /// Reads of so many bytes each; 0 counts as 1.
    Every(usize),
    /// Two reads, the second from this byte on.
    At(usize),
    /// Reads of 0 to so many bytes, from a generator.
    Random(Random, usize),
}

impl Cuts {
    /// Gives the length of the next read of at most `left` bytes.
    fn next(&mut self, left: usize) -> usize {
        let length = match self {
            Self::Whole => left,
            Self::Every(size) => (*size).max(1),
            Self::At(at) => {
                let length = *at;
                *self = Self::Whole;
                length
            }
            Self::Random(random, most) => random.below(*most + 1),
        };
        length.min(left)
    }
}

/// Gives `bytes` to `receiver` in the reads that `cuts` tells; `stop` says after each fact whether to stop there. A read that
/// was stopped is taken up again at once, so the transcript is that of all bytes.
///
/// Asserts the contract of [`Receiver::receive`]: it consumes everything unless stopped, leaves what it has not consumed as
/// it was, and tells nothing once it has finished.
pub fn listen(
    receiver: &mut Receiver,
    bytes: &[u8],
    mut cuts: Cuts,
    mut stop: impl FnMut(&Fact<'_>) -> bool,
) -> Transcript {
    let mut transcript = Transcript::default();
    let mut rest = bytes;
    let mut empty_reads = 0;
    while !rest.is_empty() {
        let length = cuts.next(rest.len());
        empty_reads = if length == 0 { empty_reads + 1 } else { 0 };
        assert!(empty_reads < 1000, "the cuts make no progress");
        let (read, after) = rest.split_at(length);
        rest = after;
        let mut read = read.to_vec();
        loop {
            let original = read.clone();
            let mut stopped = false;
            let finished = receiver.is_finished();
            let consumed = receiver.receive(&mut read, |fact| {
                assert!(!finished, "{fact:?} after the end");
                assert!(!stopped, "{fact:?} after a stop");
                transcript.hear(fact);
                stopped = stop(&fact);
                if stopped { Flow::Stop } else { Flow::Continue }
            });
            assert_eq!(read[consumed..], original[consumed..], "bytes were changed that were not consumed");
            if !stopped {
                assert_eq!(consumed, read.len(), "bytes were left without a stop");
                break;
            }
            read.drain(..consumed);
        }
    }
    transcript
}

/// Gives `bytes` in one read to a fresh receiver.
pub fn listen_whole(role: Role, limits: Limits, bytes: &[u8]) -> Transcript {
    listen(&mut Receiver::new(role, limits), bytes, Cuts::Whole, |_| false)
}

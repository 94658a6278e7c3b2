//! What waits to be written to a peer: whole messages, each in a piece of its own, and behind them what the session queues.

use std::{collections::VecDeque, io::IoSlice};

use crate::spare;

/// How many pieces are written at once.
pub(crate) const AT_ONCE: usize = 8;

thread_local! {
    /// What small messages are written into; it is lent to a session while its output is being made.
    static SCRATCH: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// The largest buffer that is kept to write small messages into.
const SCRATCH_MOST: usize = 256 * 1024;

/// Pieces in order; the session's own output comes behind them.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    pieces: VecDeque<Piece>,
    /// How many bytes of the pieces wait.
    waiting: usize,
    /// How many bytes of the session's output are written.
    written: usize,
}

/// A part of a buffer.
#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
}

impl Outgoing {
    /// Tells how many bytes wait, those that `queued` holds included.
    pub(crate) const fn len(&self, queued: &[u8]) -> usize {
        self.waiting + queued.len() - self.written
    }

    /// Queues bytes `from` to `to` of a buffer behind what is queued already.
    pub(crate) fn push(&mut self, queued: &mut Vec<u8>, bytes: Vec<u8>, from: usize, to: usize) {
        if !queued.is_empty() {
            let bytes = std::mem::take(queued);
            let (from, to) = (std::mem::take(&mut self.written), bytes.len());
            self.enqueue(Piece { bytes, from, to });
        }
        self.enqueue(Piece { bytes, from, to });
    }

    fn enqueue(&mut self, piece: Piece) {
        self.waiting += piece.to - piece.from;
        self.pieces.push_back(piece);
    }

    /// Gives all that waits where it is in one piece, as it mostly is.
    pub(crate) fn single<'a>(&self, queued: &'a [u8]) -> Option<&'a [u8]> {
        self.pieces.is_empty().then(|| &queued[self.written..])
    }

    /// Gives what is to be written next, the number of slices included.
    pub(crate) fn slices<'a>(&'a self, queued: &'a [u8]) -> ([IoSlice<'a>; AT_ONCE], usize) {
        let mut slices = [IoSlice::new(&[]); AT_ONCE];
        let pieces = self.pieces.iter().map(|piece| &piece.bytes[piece.from..piece.to]);
        let waiting = pieces.chain([&queued[self.written..]]).filter(|bytes| !bytes.is_empty());
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(waiting) {
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        (slices, count)
    }

    /// Takes note that so many bytes are written.
    pub(crate) fn advance(&mut self, queued: &mut Vec<u8>, mut written: usize) {
        while written > 0
            && let Some(first) = self.pieces.front_mut()
        {
            let now = written.min(first.to - first.from);
            (first.from, self.waiting, written) = (first.from + now, self.waiting - now, written - now);
            if first.from == first.to
                && let Some(done) = self.pieces.pop_front()
            {
                spare::give(done.bytes);
            }
        }
        self.written += written;
        if self.pieces.is_empty() && self.written == queued.len() {
            self.clear(queued);
        }
    }

    /// Forgets what waits, and holds no memory any more.
    pub(crate) fn clear(&mut self, queued: &mut Vec<u8>) {
        *self = Self::default();
        take_back(std::mem::take(queued));
    }

    /// Gives back what a stalled write does not need of the buffer that was lent.
    pub(crate) fn settle(&mut self, queued: &mut Vec<u8>) {
        let waits = queued.len() - self.written;
        if waits > 0 && queued.capacity() / 2 > waits {
            let kept = queued[self.written..].to_vec();
            self.written = 0;
            take_back(std::mem::replace(queued, kept));
        }
    }
}

/// Lends a session a buffer to write into, unless it has one.
pub(crate) fn lend(queued: &mut Vec<u8>) {
    if queued.capacity() == 0 {
        *queued = SCRATCH.take();
    }
}

/// Takes the buffer back if nothing was written into it.
pub(crate) fn end_loan(queued: &mut Vec<u8>) {
    if queued.is_empty() && queued.capacity() > 0 {
        take_back(std::mem::take(queued));
    }
}

fn take_back(mut buffer: Vec<u8>) {
    if buffer.capacity() <= SCRATCH_MOST {
        buffer.clear();
        SCRATCH.with_borrow_mut(|scratch| {
            if buffer.capacity() > scratch.capacity() {
                *scratch = buffer;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes `at_once` bytes at a time and gives all of them.
    fn drain(outgoing: &mut Outgoing, queued: &mut Vec<u8>, at_once: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while outgoing.len(queued) > 0 {
            let (slices, count) = outgoing.slices(queued);
            let next: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect();
            let now = next.len().min(at_once);
            all.extend_from_slice(&next[..now]);
            outgoing.advance(queued, now);
            outgoing.settle(queued);
        }
        all
    }

    #[test]
    fn everything_leaves_in_order_however_little_is_taken() {
        for at_once in [1, 2, 3, 5, 100] {
            let (mut outgoing, mut queued) = (Outgoing::default(), Vec::new());
            lend(&mut queued);
            queued.extend_from_slice(b"ab");
            outgoing.push(&mut queued, b"..cde..".to_vec(), 2, 5);
            queued.extend_from_slice(b"fg");
            assert_eq!(outgoing.len(&queued), 7);
            outgoing.push(&mut queued, b"hij".to_vec(), 0, 3);
            for _ in 0..AT_ONCE {
                outgoing.push(&mut queued, b"-".to_vec(), 0, 1);
            }
            queued.extend_from_slice(b"kl");
            assert_eq!(drain(&mut outgoing, &mut queued, at_once), b"abcdefghij--------kl");
            assert_eq!((outgoing.len(&queued), queued.capacity()), (0, 0), "nothing is held");
        }
    }

    #[test]
    fn what_is_queued_while_a_write_is_stalled_follows_it() {
        let (mut outgoing, mut queued) = (Outgoing::default(), b"abcdef".to_vec());
        outgoing.advance(&mut queued, 4);
        outgoing.settle(&mut queued);
        queued.extend_from_slice(b"gh");
        outgoing.push(&mut queued, b"ij".to_vec(), 0, 2);
        assert_eq!(drain(&mut outgoing, &mut queued, 3), b"efghij");
    }
}

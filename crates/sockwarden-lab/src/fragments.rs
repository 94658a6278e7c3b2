//! A stream that counts the fragments of what it reads (RFC 6455 §5.4), which the library under the socket does not.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many fragments a message may have while `unbounded-fragments` is off.
const MOST: u32 = 64;

/// Fails to read on once a message has too many fragments.
pub(crate) struct Counted<S> {
    stream: S,
    counts: bool,
    counter: Counter,
}

impl<S> Counted<S> {
    /// Counts the fragments that come by `stream`, where `counts` says so.
    pub(crate) fn new(stream: S, counts: bool) -> Self {
        Self { stream, counts, counter: Counter::default() }
    }

    /// Tells whether a message had too many.
    pub(crate) const fn is_exceeded(&self) -> bool {
        self.counter.fragments > MOST
    }
}

/// Where in the frames the stream is. What is malformed is for the library to find.
#[derive(Debug, Default)]
struct Counter {
    fragments: u32,
    /// The header so far.
    header: Vec<u8>,
    /// How much of the payload is to come.
    payload: u64,
}

impl Counter {
    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.fragments <= MOST {
            if self.payload > 0 {
                let skipped = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
                self.payload -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            self.header.push(bytes[0]);
            bytes = &bytes[1..];
            if let Some(payload) = whole(&self.header) {
                let (is_final, opcode) = (self.header[0] & 0x80 != 0, self.header[0] & 0x0f);
                if opcode < 8 {
                    self.fragments = if is_final { 0 } else { self.fragments + 1 };
                }
                self.payload = payload;
                self.header.clear();
            }
        }
    }
}

/// Returns the length of the payload once the header is whole.
fn whole(header: &[u8]) -> Option<u64> {
    let second = *header.get(1)?;
    let (extended, mask) = (usize::from(second & 0x7f), if second & 0x80 == 0 { 0 } else { 4 });
    let length = match extended {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if header.len() < 2 + length + mask {
        return None;
    }
    Some(match length {
        0 => extended as u64,
        length => header[2..2 + length].iter().fold(0, |value, byte| value << 8 | u64::from(*byte)),
    })
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if self.counts {
            self.counter.read(&buf.filled()[before..]);
            if self.is_exceeded() {
                return Poll::Ready(Err(io::Error::other("too many fragments")));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a frame with a mask of zeros.
    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut out = vec![first];
        match length {
            0..=125 => out.push(0x80 | length as u8),
            126..=0xffff => {
                out.push(0x80 | 126);
                out.extend_from_slice(&(length as u16).to_be_bytes());
            }
            _ => {
                out.push(0x80 | 127);
                out.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        out.extend_from_slice(&vec![0; 4 + length]);
        out
    }

    #[test]
    fn fragments_are_counted_however_the_bytes_are_cut() {
        let check = |frames: &[(u8, usize)], expected: u32| {
            let bytes: Vec<u8> = frames.iter().flat_map(|&(first, length)| frame(first, length)).collect();
            for cut in [1, 2, 3, 7, 1000, usize::MAX] {
                let mut counter = Counter::default();
                for piece in bytes.chunks(cut) {
                    counter.read(piece);
                }
                assert_eq!(counter.fragments, expected, "{frames:?}, cut by {cut}");
            }
        };
        check(&[(0x01, 1), (0x00, 0), (0x00, 126)], 3);
        check(&[(0x01, 1), (0x89, 4), (0x00, 70_000), (0x80, 1)], 0);
        check(&[(0x01, 5), (0x80, 5), (0x81, 5), (0x02, 5)], 1);
    }

    #[test]
    fn the_limit_holds_for_one_message_not_for_all_of_them() {
        let fragments = |count: usize| [frame(1, 1), frame(0, 0).repeat(count - 1)].concat();
        let mut counter = Counter::default();
        for _ in 0..10 {
            counter.read(&[fragments(MOST as usize), frame(0x80, 1)].concat());
        }
        assert_eq!(counter.fragments, 0);
        counter.read(&fragments(MOST as usize + 1));
        assert!(counter.fragments > MOST);
    }
}

//! The encoder (RFC 7692 §7.2.1).

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush};

use super::WindowBits;

/// On small JSON messages as good as level 6 and no slower. Level 1 takes an eighth of the time, but what does not compress grows
/// by an eighth with it.
const LEVEL: i32 = 4;
/// Half of the default: 105 KiB less per encoder, and small messages come out the same.
const MEMORY_LEVEL: i32 = 4;
/// How far the output grows at once.
const STRIDE: usize = 4 * 1024;

/// Compresses the messages of one direction, each as a whole.
pub struct Deflater {
    takeover: bool,
    bits: WindowBits,
    stream: Option<Box<Deflate>>,
}

impl Deflater {
    /// Makes the encoder of one direction, with or without context takeover, that looks back no further than the window.
    ///
    /// zlib has no window of 8 bits for such streams. It is given 9, in which it looks back at most 250 bytes (512 less its
    /// look-ahead of 262): within the 256 that 8 bits promise.
    pub const fn new(takeover: bool, bits: WindowBits) -> Self {
        Self { takeover, bits, stream: None }
    }

    /// Appends the payload of a compressed message to `out`.
    pub fn deflate(&mut self, message: &[u8], out: &mut Vec<u8>) {
        if message.is_empty() {
            // zlib has nothing to flush (RFC 7692 §7.2.3.6).
            out.push(0);
            return;
        }
        let bits = i32::from(self.bits.get().max(9));
        let stream = self.stream.get_or_insert_with(|| {
            Box::new(Deflate::new_with_config(DeflateConfig {
                level: LEVEL,
                mem_level: MEMORY_LEVEL,
                window_bits: -bits,
                ..DeflateConfig::default()
            }))
        });
        let mut rest = message;
        loop {
            let start = out.len();
            out.resize(start + STRIDE.max(rest.len() / 4), 0);
            let (before_in, before_out) = (stream.total_in(), stream.total_out());
            let ended = stream.compress(rest, &mut out[start..], DeflateFlush::SyncFlush).is_err();
            rest = &rest[(stream.total_in() - before_in) as usize..];
            let written = start + (stream.total_out() - before_out) as usize;
            let has_room = written < out.len();
            out.truncate(written);
            // Room that is left says that everything is flushed; an error cannot be while the arguments are these.
            if has_room || ended {
                break;
            }
        }
        // The empty block that a flush ends with (RFC 7692 §7.2.1 item 3).
        let end = out.len().saturating_sub(4);
        out.truncate(end);
        if !self.takeover {
            self.stream = None;
        }
    }
}

impl std::fmt::Debug for Deflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deflater")
            .field("takeover", &self.takeover)
            .field("bits", &self.bits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_types,
    reason = "a decoder with a small window shows how far the encoder looks back"
)]
mod tests {
    use zlib_rs::{Inflate, InflateFlush};

    use super::*;

    /// Text with much to look back to, near and far.
    fn text(length: usize) -> Vec<u8> {
        let mut state = 1u32;
        let word = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            format!("w{} ", (state >> 16) % 97)
        };
        let mut text: Vec<u8> = (0..length / 3).map(word).collect::<String>().into_bytes();
        text.truncate(length);
        text
    }

    #[test]
    fn it_looks_back_no_further_than_the_window_that_was_agreed() {
        for bits in 8..=15 {
            let mut deflater = Deflater::new(true, WindowBits::new(bits).unwrap());
            // With one byte of room the decoder has nothing to look back to but its own window.
            let mut inflate = Inflate::new(false, bits);
            for length in [1, 300, 5_000, 100_000] {
                let message = text(length);
                let mut payload = Vec::new();
                deflater.deflate(&message, &mut payload);
                payload.extend([0, 0, 0xff, 0xff]);
                let mut held = Vec::new();
                let mut rest = payload.as_slice();
                loop {
                    let (mut byte, before) = ([0], (inflate.total_in(), inflate.total_out()));
                    inflate.decompress(rest, &mut byte, InflateFlush::NoFlush).unwrap();
                    rest = &rest[(inflate.total_in() - before.0) as usize..];
                    if inflate.total_out() == before.1 {
                        break;
                    }
                    held.push(byte[0]);
                }
                assert!(rest.is_empty() && held == message, "{bits} bits, {length} bytes");
            }
        }
    }

    #[test]
    fn messages_of_any_size_are_whole_and_small_ones_shrink_with_the_context() {
        let deflate = |deflater: &mut Deflater, message: &[u8]| {
            let mut payload = b"before".to_vec();
            deflater.deflate(message, &mut payload);
            payload.split_off(6)
        };
        let mut kept = Deflater::new(true, WindowBits::MAX);
        let mut apart = Deflater::new(false, WindowBits::MAX);
        assert_eq!(deflate(&mut kept, b""), [0]);
        let message = text(500);
        let first = deflate(&mut kept, &message);
        assert_eq!(deflate(&mut apart, &message), first);
        assert_eq!(deflate(&mut apart, &message), first);
        assert!(deflate(&mut kept, &message).len() * 5 < first.len());
        assert_eq!(deflate(&mut kept, b""), [0]);
        assert_eq!(deflate(&mut kept, b""), [0]);
    }
}

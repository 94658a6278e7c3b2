//! Compression with context takeover, by itself and not by the codec that is tried.
#![expect(
    clippy::disallowed_types,
    reason = "an independent opinion of what was compressed, bounded by its buffer"
)]

use anyhow::{Context as _, ensure};
use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush};

use super::sealed::LONGEST;

/// Both halves of one end.
pub(crate) struct Pressing {
    deflate: Deflate,
    inflate: Inflate,
}

impl Pressing {
    pub(crate) fn new() -> Self {
        let config = DeflateConfig { level: 1, window_bits: -15, ..DeflateConfig::default() };
        Self { deflate: Deflate::new_with_config(config), inflate: Inflate::new(false, 15) }
    }

    pub(crate) fn press(&mut self, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut out = vec![0; message.len() + message.len() / 8 + 64];
        let before = self.deflate.total_out();
        let done = self.deflate.compress(message, &mut out, DeflateFlush::SyncFlush);
        ensure!(done.is_ok(), "failed to compress");
        out.truncate((self.deflate.total_out() - before).saturating_sub(4) as usize);
        Ok(out)
    }

    /// Gives back what was pressed, at most [`LONGEST`] bytes of it.
    pub(crate) fn unpress(&mut self, payload: &mut Vec<u8>) -> anyhow::Result<Vec<u8>> {
        payload.extend_from_slice(&[0, 0, 0xff, 0xff]);
        let mut out = vec![0; LONGEST + 64];
        let before = (self.inflate.total_in(), self.inflate.total_out());
        self.inflate
            .decompress(payload, &mut out, InflateFlush::SyncFlush)
            .ok()
            .context("what was compressed cannot be inflated")?;
        let taken = self.inflate.total_in() - before.0;
        ensure!(taken == payload.len() as u64, "what was compressed goes on after its end");
        out.truncate((self.inflate.total_out() - before.1) as usize);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_builds_on_those_before() {
        let (mut one, mut other) = (Pressing::new(), Pressing::new());
        let message = b"the same words again and again, and the same words once more".repeat(3);
        let mut lengths = Vec::new();
        for _ in 0..3 {
            let mut pressed = one.press(&message).unwrap();
            lengths.push(pressed.len());
            assert_eq!(other.unpress(&mut pressed).unwrap(), message);
        }
        assert!(lengths[1] < lengths[0], "{lengths:?}");
        assert!(Pressing::new().unpress(&mut one.press(&message).unwrap()).is_err());
    }
}

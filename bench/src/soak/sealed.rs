//! Messages that say themselves whose they are, which one, and whether they are whole.

use anyhow::{Context as _, ensure};

use crate::{content, random::Random};

/// `c=` connection, `s=` sequence number, `k=` checksum, each 16 hexadecimal digits, and a blank after each.
pub(crate) const HEAD: usize = 57;
/// The longest message.
pub(crate) const LONGEST: usize = 256 * 1024;

/// Text of which messages are cut.
pub(crate) struct Quarry(Vec<u8>);

impl Quarry {
    pub(crate) fn new() -> Self {
        Self(content::message(0, 2 * LONGEST, &mut Random::new(11)))
    }

    /// Cuts the message `seq` of a connection, `size` bytes long but no shorter than its head.
    pub(crate) fn message(&self, connection: u64, seq: u64, size: usize) -> Vec<u8> {
        let body = size.clamp(HEAD, LONGEST) - HEAD;
        let mut random = Random::new(connection.rotate_left(32) ^ seq);
        let from = random.below(self.0.len() - body);
        let body = &self.0[from..from + body];
        let mut message =
            format!("c={connection:016x} s={seq:016x} k={:016x} ", checksum(connection, seq, body))
                .into_bytes();
        message.extend_from_slice(body);
        message
    }
}

/// Reads whose message it is and which one.
pub(crate) fn open(message: &[u8]) -> anyhow::Result<(u64, u64)> {
    let (head, body) = message.split_at_checked(HEAD).context("it is too short")?;
    let head = std::str::from_utf8(head).context("its head is no text")?;
    let field = |name: &str, at: usize| {
        let text = head.get(at..at + 19).and_then(|text| text.strip_prefix(name)?.strip_suffix(' '));
        u64::from_str_radix(text.context("its head is not in form")?, 16).context("its head holds no number")
    };
    let (connection, seq, sum) = (field("c=", 0)?, field("s=", 19)?, field("k=", 38)?);
    ensure!(sum == checksum(connection, seq, body), "its checksum is wrong");
    Ok((connection, seq))
}

/// FNV-1a over everything but itself.
fn checksum(connection: u64, seq: u64, body: &[u8]) -> u64 {
    let numbers = [connection.to_be_bytes(), seq.to_be_bytes()];
    let bytes = numbers.as_flattened().iter().chain(body);
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_whose_it_is_and_every_change_shows() {
        let quarry = Quarry::new();
        for size in [0, HEAD, HEAD + 1, 200] {
            let message = quarry.message(7, 9, size);
            assert_eq!(message.len(), size.max(HEAD));
            assert_eq!(open(&message).unwrap(), (7, 9));
            for at in 0..message.len() {
                let mut changed = message.clone();
                changed[at] ^= 1;
                assert!(open(&changed).is_err(), "byte {at} of {size}");
            }
            assert!(open(&message[..message.len() - 1]).is_err());
        }
        assert_eq!(quarry.message(1, 1, LONGEST).len(), LONGEST);
    }
}

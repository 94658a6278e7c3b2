//! Random numbers that a replay can repeat.

use sockwarden_proto::{MaskKeys, handshake::ClientHandshake};

/// A stream of numbers that follows from its seed, so that a check replayed with the same seed says the same bytes.
///
/// Mask keys guard intermediaries against a script inside a browser (RFC 6455 §10.3); a scanner sends only what its user
/// asked for, so that a seed drawn fresh for each check is enough.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Begins the stream of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Gives the next number (SplitMix64, Steele, Lea and Flood 2014).
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Gives a word of 16 digits that nobody else says.
    pub fn word(&mut self) -> String {
        format!("{:016x}", self.next())
    }

    /// Gives a value for Sec-WebSocket-Key.
    pub fn handshake_key(&mut self) -> String {
        let mut bytes = [0; 16];
        let (first, last) = bytes.split_at_mut(8);
        first.copy_from_slice(&self.next().to_be_bytes());
        last.copy_from_slice(&self.next().to_be_bytes());
        ClientHandshake::key_from_random(bytes)
    }
}

impl MaskKeys for Dice {
    fn next_key(&mut self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.next().to_be_bytes();
        [a, b, c, d]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let three = |seed| {
            let mut dice = Dice::new(seed);
            [dice.next(), dice.next(), dice.next()]
        };
        assert_eq!(three(7), three(7));
        assert_ne!(three(7), three(8));
        assert!(sockwarden_proto::handshake::is_valid_key(Dice::new(1).handshake_key().as_bytes()));
    }
}

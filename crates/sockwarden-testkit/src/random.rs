//! Random numbers that a seed repeats.

use sockwarden_proto::MaskKeys;

/// A generator (SplitMix64) whose seed gives the same numbers everywhere; worthless as a secret.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Makes a generator from a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Gives the next 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Gives a number below `bound`, 0 where the bound is 0.
    pub const fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.bits() % bound as u64) as usize }
    }

    /// Tells whether something that happens `times` in a hundred happens now.
    pub const fn percent(&mut self, times: usize) -> bool {
        self.below(100) < times
    }

    /// Picks one of `choices`, which must not be empty.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Gives `length` bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| (self.bits() & 0xff) as u8).collect()
    }

    /// Gives a text of about `length` bytes with characters of one to four bytes.
    pub fn text(&mut self, length: usize) -> String {
        let mut text = String::new();
        while text.len() < length {
            text.push(self.pick(&['a', 'z', ' ', '\0', '"', 'é', 'κ', '€', '\u{ffff}', '𐍈', '\u{10ffff}']));
        }
        text
    }
}

impl MaskKeys for Random {
    fn next_key(&mut self) -> [u8; 4] {
        (self.bits() as u32).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_another_differs() {
        let draw = |seed| Random::new(seed).bytes(32);
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn a_bound_is_kept_and_reached() {
        let mut random = Random::new(1);
        let mut seen = [0; 5];
        for _ in 0..500 {
            seen[random.below(5)] += 1;
        }
        assert!(seen.iter().all(|&count| count > 50), "{seen:?}");
        assert_eq!(random.below(0), 0);
    }
}

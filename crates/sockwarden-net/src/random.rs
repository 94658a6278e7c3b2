//! Random numbers of the system, by aws-lc-rs.

use aws_lc_rs::rand;
use sockwarden_proto::MaskKeys;

/// Draws `N` random bytes.
#[expect(
    clippy::expect_used,
    reason = "without random numbers nothing here is safe; the library aborts on its own then"
)]
pub fn random_array<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system has random numbers");
    bytes
}

/// Draws 64 random bits.
pub fn random_u64() -> u64 {
    u64::from_ne_bytes(random_array())
}

/// Masking keys from the system's random numbers, drawn 64 at a time.
#[derive(Debug)]
pub struct SystemMaskKeys {
    pool: [u8; 256],
    used: usize,
}

impl SystemMaskKeys {
    /// Makes a source whose pool is filled at first use.
    pub const fn new() -> Self {
        Self { pool: [0; 256], used: 256 }
    }
}

impl Default for SystemMaskKeys {
    fn default() -> Self {
        Self::new()
    }
}

impl MaskKeys for SystemMaskKeys {
    fn next_key(&mut self) -> [u8; 4] {
        if self.used == self.pool.len() {
            self.pool = random_array();
            self.used = 0;
        }
        let key = std::array::from_fn(|i| self.pool[self.used + i]);
        self.used += 4;
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_not_repeat() {
        let mut keys = SystemMaskKeys::new();
        let drawn: std::collections::HashSet<[u8; 4]> = (0..1000).map(|_| keys.next_key()).collect();
        assert!(drawn.len() > 990);
    }
}

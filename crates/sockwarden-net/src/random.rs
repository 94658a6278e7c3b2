//! Random numbers of the system, by aws-lc-rs.

use std::cell::RefCell;

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

/// Masking keys from the system's random numbers, drawn a thousand at a time by each thread; a value of it holds nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemMaskKeys;

impl SystemMaskKeys {
    /// Makes a source.
    pub const fn new() -> Self {
        Self
    }
}

/// Keys that were drawn, and how many bytes of them are used up.
struct Drawn {
    bytes: [u8; 4096],
    used: usize,
}

thread_local! {
    static DRAWN: RefCell<Drawn> = const { RefCell::new(Drawn { bytes: [0; 4096], used: 4096 }) };
}

impl MaskKeys for SystemMaskKeys {
    #[inline]
    fn next_key(&mut self) -> [u8; 4] {
        DRAWN.with_borrow_mut(|drawn| {
            if drawn.used == drawn.bytes.len() {
                *drawn = Drawn { bytes: random_array(), used: 0 };
            }
            let key = std::array::from_fn(|i| drawn.bytes[drawn.used + i]);
            drawn.used += 4;
            key
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_not_repeat() {
        let mut keys = SystemMaskKeys::new();
        let drawn: std::collections::HashSet<[u8; 4]> = (0..3000).map(|_| keys.next_key()).collect();
        assert!(drawn.len() > 2990);
    }
}

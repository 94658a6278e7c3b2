//! The size of an LZ77 window (RFC 7692 §7.1.2).

/// The base-2 logarithm of a window's size, 8 to 15: 256 bytes to 32 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowBits(u8);

impl WindowBits {
    /// The smallest window: 256 bytes.
    pub const MIN: Self = Self(8);
    /// The largest window, and the one that holds where nothing else is said: 32 KiB.
    pub const MAX: Self = Self(15);

    /// Makes a window size; `None` outside of 8 to 15.
    pub const fn new(bits: u8) -> Option<Self> {
        if bits >= Self::MIN.0 && bits <= Self::MAX.0 { Some(Self(bits)) } else { None }
    }

    /// Reads a parameter's value: decimal, without leading zeros.
    pub fn parse(value: &str) -> Option<Self> {
        match value {
            "8" => Some(Self(8)),
            "9" => Some(Self(9)),
            "10" => Some(Self(10)),
            "11" => Some(Self(11)),
            "12" => Some(Self(12)),
            "13" => Some(Self(13)),
            "14" => Some(Self(14)),
            "15" => Some(Self(15)),
            _ => None,
        }
    }

    /// Gives the logarithm.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl std::fmt::Display for WindowBits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_8_to_15_in_plain_decimal() {
        for bits in 0..=255 {
            let read = WindowBits::parse(&bits.to_string());
            assert_eq!(read, WindowBits::new(bits));
            assert_eq!(read.is_some(), (8..=15).contains(&bits));
        }
        for wrong in ["", "08", "010", "+9", " 9", "9 ", "9.0", "0x9", "-9", "９", "1e1"] {
            assert_eq!(WindowBits::parse(wrong), None, "{wrong:?}");
        }
    }
}

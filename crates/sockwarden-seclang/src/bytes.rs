//! Sets of bytes.

/// Which bytes of the 256 are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(crate) const EMPTY: Self = Self([0; 4]);

    pub(crate) const fn of(bytes: &[u8]) -> Self {
        let mut set = Self::EMPTY;
        let mut at = 0;
        while at < bytes.len() {
            set.0[(bytes[at] >> 6) as usize] |= 1 << (bytes[at] & 63);
            at += 1;
        }
        set
    }

    pub(crate) const fn range(first: u8, last: u8) -> Self {
        let mut set = Self::EMPTY;
        let mut byte = first as u16;
        while byte <= last as u16 {
            set.0[(byte >> 6) as usize] |= 1 << (byte & 63);
            byte += 1;
        }
        set
    }

    /// Those that a value holds.
    #[inline]
    pub(crate) fn held(value: &[u8]) -> Self {
        let mut set = Self::EMPTY;
        for byte in value {
            set.insert(*byte);
        }
        set
    }

    #[inline]
    pub(crate) const fn insert(&mut self, byte: u8) {
        self.0[(byte >> 6) as usize] |= 1 << (byte & 63);
    }

    #[inline]
    pub(crate) const fn contains(&self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] >> (byte & 63) & 1 == 1
    }

    #[inline]
    pub(crate) const fn meets(&self, other: &Self) -> bool {
        self.0[0] & other.0[0] | self.0[1] & other.0[1] | self.0[2] & other.0[2] | self.0[3] & other.0[3] != 0
    }

    pub(crate) const fn union(&self, other: &Self) -> Self {
        let (a, b) = (self.0, other.0);
        Self([a[0] | b[0], a[1] | b[1], a[2] | b[2], a[3] | b[3]])
    }

    pub(crate) const fn complement(&self) -> Self {
        Self([!self.0[0], !self.0[1], !self.0[2], !self.0[3]])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.iter().zip([0u8, 64, 128, 192]).flat_map(|(word, first)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = u8::try_from(left.trailing_zeros()).ok().filter(|bit| *bit < 64)?;
                left &= left - 1;
                Some(first + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_gives_back_what_was_put_in() {
        let bytes = [0, 1, 63, 64, 127, 128, 191, 192, 255];
        assert_eq!(ByteSet::of(&bytes).iter().collect::<Vec<_>>(), bytes);
        assert_eq!(ByteSet::of(&bytes).complement().iter().count(), 256 - bytes.len());
        assert!(
            ByteSet::range(b'a', b'c').meets(&ByteSet::of(b"c")) && !ByteSet::EMPTY.meets(&ByteSet::of(b"c"))
        );
    }
}

//! Masking of client frames (RFC 6455 §5.3).

/// A source of fresh, unpredictable masking keys (RFC 6455 §10.3).
///
/// The shell implements it with the system's random numbers; a test with a counter.
pub trait MaskKeys {
    /// Gives the next key.
    fn next_key(&mut self) -> [u8; 4];
}

impl<F: FnMut() -> [u8; 4]> MaskKeys for F {
    fn next_key(&mut self) -> [u8; 4] {
        self()
    }
}

/// Masks or unmasks `bytes`, of which the first stands at `offset` in the frame's payload.
#[inline]
pub fn apply_mask(key: [u8; 4], offset: u64, bytes: &mut [u8]) {
    let narrow = u32::from_le_bytes(key).rotate_right(8 * (offset % 4) as u32);
    let wide = u64::from(narrow) << 32 | u64::from(narrow);
    let (chunks, rest) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_le_bytes(*chunk) ^ wide).to_le_bytes();
    }
    for (byte, k) in rest.iter_mut().zip(wide.to_le_bytes()) {
        *byte ^= k;
    }
}

#[cfg(test)]
mod tests {
    use super::apply_mask;

    #[test]
    fn the_example_of_rfc_6455_5_7() {
        let mut bytes = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        apply_mask([0x37, 0xfa, 0x21, 0x3d], 0, &mut bytes);
        assert_eq!(&bytes, b"Hello");
    }

    #[test]
    fn a_payload_may_be_unmasked_in_pieces_of_any_size() {
        let key = [1, 2, 3, 4];
        let plain: Vec<u8> = (0..100).collect();
        let mut whole = plain.clone();
        apply_mask(key, 0, &mut whole);
        for cut in 0..=plain.len() {
            let mut pieces = plain.clone();
            let (a, b) = pieces.split_at_mut(cut);
            apply_mask(key, 0, a);
            apply_mask(key, cut as u64, b);
            assert_eq!(pieces, whole, "cut at {cut}");
        }
    }
}

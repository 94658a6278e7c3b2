//! A short stable name for a finding.

/// Makes 16 hexadecimal digits from `parts`, the same in every run and version: FNV-1a over the parts, each ended by a
/// unit separator so that `["ab", "c"]` and `["a", "bc"]` differ.
///
/// It names; it does not protect: whoever chooses the parts can make two findings share a fingerprint.
pub fn fingerprint(parts: &[&str]) -> String {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.bytes().chain([0x1f]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        }
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn the_boundaries_between_parts_count() {
        assert_ne!(fingerprint(&["ab", "c"]), fingerprint(&["a", "bc"]));
        assert_eq!(fingerprint(&["ab", "c"]), fingerprint(&["ab", "c"]));
        assert_eq!(fingerprint(&["x"]).len(), 16);
    }
}

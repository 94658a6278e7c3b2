//! Names that stand twice in one object: readers differ on which of the two counts.

use crate::{Anomaly, walk::Walk};

/// How many names of one object are compared as they come; of more, all are sorted at its end.
const COMPARED: usize = 16;

/// Enters an object.
pub(super) fn open(walk: &mut Walk<'_>) {
    walk.state.objects.push(walk.state.names.len());
}

/// Takes note of a name, and tells if it stands in the object already.
pub(super) fn remember(walk: &mut Walk<'_>, name: &[u8]) {
    let hash = hash(name);
    let start = walk.state.objects.last().copied().unwrap_or(0);
    let names = &walk.state.names[start..];
    if names.len() < COMPARED && names.contains(&hash) {
        walk.anomaly(Anomaly::DuplicateKey);
    }
    walk.state.names.push(hash);
}

/// Leaves an object: of many names those that stand twice are found now.
pub(super) fn close(walk: &mut Walk<'_>) {
    let start = walk.state.objects.pop().unwrap_or(0);
    let names = &mut walk.state.names[start..];
    if names.len() > COMPARED {
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            walk.anomaly(Anomaly::DuplicateKey);
        }
    }
    walk.state.names.truncate(start);
}

/// A hash of a name. Equal names have equal ones; who finds two names with the same is told of a name that stands twice, no more.
pub(crate) fn hash(name: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let (words, rest) = name.as_chunks::<8>();
    let hash = words.iter().fold(name.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let last = rest.iter().fold(0, |last, byte| last << 8 | u64::from(*byte));
    mix(hash, last)
}

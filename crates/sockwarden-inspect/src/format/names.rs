//! Names that stand twice in one object: readers differ on which of the two counts.

use crate::{Anomaly, Bound, walk::Walk};

/// How many names of one object are compared as they come; of more, all are sorted at its end.
const COMPARED: usize = 16;

/// An object that is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object {
    /// Where the hashes of its names begin.
    start: usize,
    /// A bit for each name: of a new one it is most often not set.
    seen: u64,
}

/// Enters an object.
#[inline]
pub(super) fn open(walk: &mut Walk<'_>) {
    let start = walk.state.names.len();
    walk.state.objects.push(Object { start, seen: 0 });
}

/// Takes note of a name by its hash, and tells if it stands in the object already.
#[inline]
pub(super) fn remember(walk: &mut Walk<'_>, hash: u64) {
    let Some(object) = walk.state.objects.last_mut() else { return };
    // The bits that the last multiplication mixed best.
    let bit = 1 << (hash >> 23 & 63);
    let may_be_there = object.seen & bit != 0;
    object.seen |= bit;
    if may_be_there {
        compare(walk, hash);
    }
    walk.state.names.push(hash);
    let start = walk.state.objects.last().map_or(0, |object| object.start);
    if walk.state.names.len() - start > walk.limits.keys as usize {
        walk.beyond(Bound::Keys);
    }
}

#[cold]
fn compare(walk: &mut Walk<'_>, hash: u64) {
    let start = walk.state.objects.last().map_or(0, |object| object.start);
    let names = walk.state.names.get(start..).unwrap_or_default();
    if names.len() < COMPARED && names.contains(&hash) {
        walk.anomaly(Anomaly::DuplicateKey);
    }
}

/// Leaves an object: of many names those that stand twice are found now.
#[inline]
pub(super) fn close(walk: &mut Walk<'_>) {
    let Some(Object { start, .. }) = walk.state.objects.pop() else { return };
    if walk.state.names.len() - start > COMPARED {
        compare_all(walk, start);
    }
    walk.state.names.truncate(start);
}

#[cold]
fn compare_all(walk: &mut Walk<'_>, start: usize) {
    let names = walk.state.names.get_mut(start..).unwrap_or_default();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        walk.anomaly(Anomaly::DuplicateKey);
    }
}

/// A hash of a name. Equal names have equal ones; who finds two names with the same is told of a name that stands twice, no more.
#[inline]
pub(crate) fn hash(name: &[u8]) -> u64 {
    // Two words that overlap hold every byte of a name of this length.
    if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
        let words = if name.len() > 16 { name.as_chunks::<8>().0 } else { std::slice::from_ref(first) };
        let length = name.len() as u64;
        let hash = words.iter().fold(length, |hash, word| mix(hash, u64::from_le_bytes(*word)));
        return mix(hash, u64::from_le_bytes(*last));
    }
    hash_of_short(word(name), name.len())
}

/// Gives the bytes of a name of less than eight in a word, the first one lowest, and zeros: from parts that overlap.
#[inline]
fn word(name: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
        let last = u64::from(u32::from_le_bytes(*last));
        return u64::from(u32::from_le_bytes(*first)) | last << (8 * (name.len() - 4));
    }
    let [first, .., last] = *name else { return name.first().map_or(0, |only| u64::from(*only)) };
    let middle = u64::from(name[name.len() / 2]);
    u64::from(first) | middle << 8 | u64::from(last) << (8 * (name.len() - 1))
}

/// The same of a name of less than eight bytes: they and zeros, the first one lowest.
#[inline]
pub(super) fn hash_of_short(word: u64, length: usize) -> u64 {
    mix(length as u64, word)
}

#[inline]
fn mix(hash: u64, word: u64) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    (hash ^ word).wrapping_mul(FACTOR).rotate_left(29)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_byte_of_a_name_counts(name: Vec<u8>, at: prop::sample::Index, bit in 0..8_u32) {
            let mut name = name;
            let before = hash(&name);
            prop_assert_eq!(hash(&name.clone()), before);
            if name.is_empty() {
                name.push(0);
            } else {
                let at = at.index(name.len());
                name[at] ^= 1_u8 << bit;
            }
            prop_assert_ne!(hash(&name), before);
        }
    }
}

//! Buffers that a thread keeps for the next one who needs one: a message that passes costs no allocation, and an idle
//! connection holds none.

use std::cell::RefCell;

/// The most bytes that a thread keeps for later.
const MOST: usize = 4 << 20;

#[derive(Default)]
struct Spare {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Spare { buffers: Vec::new(), bytes: 0 }) };
}

/// Gives a buffer of at least `length` bytes; what it holds has no meaning.
pub(crate) fn filled(length: usize) -> Vec<u8> {
    let found = SPARE.with_borrow_mut(|spare| {
        let place = spare.buffers.iter().rposition(|buffer| buffer.len() >= length)?;
        // One far too large would be held for as long as this one is needed.
        let buffer = spare.buffers.get(place).filter(|buffer| buffer.len() / 4 <= length)?;
        spare.bytes -= buffer.capacity();
        Some(spare.buffers.swap_remove(place))
    });
    found.unwrap_or_else(|| vec![0; length])
}

/// Takes back a buffer that is not needed any more.
pub(crate) fn give(buffer: Vec<u8>) {
    SPARE.with_borrow_mut(|spare| {
        if buffer.capacity() > 0 && spare.bytes + buffer.capacity() <= MOST {
            spare.bytes += buffer.capacity();
            spare.buffers.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_where_it_fits() {
        let first = filled(1000);
        let place = first.as_ptr();
        give(first);
        let again = filled(900);
        assert_eq!((again.as_ptr(), again.len()), (place, 1000));
        give(again);
        assert_eq!(filled(100).len(), 100, "far too large");
        assert!(filled(2000).len() >= 2000);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        for _ in 0..100 {
            give(vec![0; MOST / 10]);
        }
        SPARE.with_borrow(|spare| assert!(spare.bytes <= MOST && spare.buffers.len() <= 10));
    }
}

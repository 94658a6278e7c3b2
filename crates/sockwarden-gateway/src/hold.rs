//! Where a message is held until it is complete: its payload behind room for a header, so that it leaves from where it lies.

use sockwarden_proto::FrameHeader;

use crate::spare;

/// How much memory is taken at once for a frame that has only been announced.
const AT_ONCE: usize = 1 << 20;

/// The payload of a message so far; an empty one holds no memory.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    /// Room for a header, the payload, and bytes that have no meaning.
    bytes: Vec<u8>,
    /// Where the payload ends; zero where nothing is held.
    end: usize,
}

impl Hold {
    /// Adds a piece.
    pub(crate) fn add(&mut self, piece: &[u8]) {
        self.make_room(piece.len());
        self.bytes[self.end..self.end + piece.len()].copy_from_slice(piece);
        self.end += piece.len();
    }

    /// Gives room for some of the `missing` bytes.
    pub(crate) fn room(&mut self, missing: usize) -> &mut [u8] {
        self.make_room(missing.min(AT_ONCE));
        let end = self.bytes.len().min(self.end + missing);
        &mut self.bytes[self.end..end]
    }

    /// Takes what was written at the start of the room, and gives it.
    pub(crate) fn extend(&mut self, length: usize) -> &mut [u8] {
        let start = self.end;
        self.end += length;
        &mut self.bytes[start..self.end]
    }

    pub(crate) fn payload(&self) -> &[u8] {
        self.bytes.get(FrameHeader::MAX_LEN..self.end).unwrap_or_default()
    }

    /// Tells how much memory it takes.
    pub(crate) const fn memory(&self) -> usize {
        self.bytes.len()
    }

    /// Gives the payload behind the room for its header.
    pub(crate) fn with_room(&mut self) -> &mut [u8] {
        self.make_room(0);
        &mut self.bytes[..self.end]
    }

    /// Gives the buffer and where the payload ends in it.
    pub(crate) fn into_parts(self) -> (Vec<u8>, usize) {
        (self.bytes, self.end)
    }

    /// Holds nothing any more.
    pub(crate) fn release(&mut self) {
        spare::give(std::mem::take(self).bytes);
    }

    fn make_room(&mut self, more: usize) {
        self.end = self.end.max(FrameHeader::MAX_LEN);
        let needed = self.end + more;
        if self.bytes.len() < needed {
            // What grows in small steps is not to be copied at each of them.
            let mut larger = spare::filled(needed.max(self.bytes.len() * 2));
            let held = self.end.min(self.bytes.len());
            larger[..held].copy_from_slice(&self.bytes[..held]);
            spare::give(std::mem::replace(&mut self.bytes, larger));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_and_what_is_read_in_place_stand_one_behind_the_other() {
        let mut hold = Hold::default();
        assert_eq!((hold.payload(), hold.bytes.capacity()), (&b""[..], 0));
        hold.add(b"ab");
        hold.room(3)[..2].copy_from_slice(b"cd");
        assert_eq!(hold.extend(2), b"cd");
        hold.add(&[b'x'; 1000]);
        assert_eq!(hold.payload().len(), 1004);
        assert!(hold.payload().starts_with(b"abcdx"));
        assert_eq!(hold.with_room().len(), 1004 + FrameHeader::MAX_LEN);
        hold.release();
        assert_eq!((hold.payload(), hold.bytes.capacity()), (&b""[..], 0));
    }

    #[test]
    fn no_more_is_given_than_is_missing_nor_more_than_may_be_taken_at_once() {
        let check = |missing: usize, given: usize| {
            let mut hold = Hold::default();
            assert_eq!(hold.room(missing).len(), given, "{missing}");
        };
        check(1, 1);
        check(70_000, 70_000);
        check(AT_ONCE * 3, AT_ONCE);
    }
}

//! What is needed only while a message is inflated: a thread keeps it for the next one, so that nothing is allocated or cleared
//! for each message and no connection holds it between two.

#![expect(clippy::disallowed_types, reason = "it keeps the decoders of the capped one")]

use std::{cell::Cell, ops::DerefMut};

use zlib_rs::Inflate;

use super::WindowBits;

/// How much of a compressed message is inflated before it is told: a message of the default size at once.
const PIECE: usize = 64 * 1024;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static STREAM: Cell<Option<Box<Inflate>>> = const { Cell::new(None) };
}

/// A buffer to inflate into, on loan from the thread; what it holds has no meaning. It is taken when it is first used.
#[derive(Default)]
pub(crate) struct Buffer(Vec<u8>);

impl Buffer {
    pub(crate) fn get(&mut self) -> &mut [u8] {
        if self.0.is_empty() {
            self.0 = BUFFER.take();
            self.0.resize(PIECE, 0);
        }
        self.0.deref_mut()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            BUFFER.set(std::mem::take(&mut self.0));
        }
    }
}

/// Gives a decoder that has read nothing.
pub(super) fn stream() -> Box<Inflate> {
    match STREAM.take() {
        Some(mut stream) => {
            // Its window counts as empty: nothing of an earlier message can be looked back to.
            stream.reset(false);
            stream
        }
        None => Box::new(Inflate::new(false, WindowBits::MAX.get())),
    }
}

/// Takes back a decoder that is not needed any more.
pub(super) fn give(stream: Box<Inflate>) {
    STREAM.set(Some(stream));
}

#[cfg(test)]
mod tests {
    use zlib_rs::InflateFlush;

    use super::*;

    #[test]
    fn a_decoder_that_is_used_again_cannot_look_back_into_an_earlier_message() {
        let mut first = stream();
        let mut out = [0; 9];
        first.decompress(b"\xf2\x48\xcd\xc9\xc9\x07\x00", &mut out, InflateFlush::NoFlush).unwrap();
        assert_eq!(&out[..5], b"Hello");
        let place = std::ptr::from_ref(&*first);
        give(first);
        let mut again = stream();
        assert_eq!(std::ptr::from_ref(&*again), place);
        // The second message of RFC 7692 §7.2.3.2 refers to the first.
        assert!(again.decompress(b"\xf2\x00\x11\x00\x00", &mut out, InflateFlush::NoFlush).is_err());
    }

    #[test]
    fn the_buffer_goes_back_and_one_that_is_out_is_not_lent_twice() {
        let mut one = Buffer::default();
        let place = one.get().as_ptr();
        let mut two = Buffer::default();
        assert_ne!(two.get().as_ptr(), place);
        drop(two);
        drop(one);
        assert_eq!(Buffer::default().get().as_ptr(), place);
    }
}

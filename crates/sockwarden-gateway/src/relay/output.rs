//! What waits to be written to a peer, for whoever writes it.

use std::{io::IoSlice, time::Duration};

use sockwarden_model::Direction;

use super::{
    Relay,
    message::{Refusals, Target},
};
use crate::outgoing;

impl Relay {
    /// Tells a peer, in the words of its sub-protocol, what was left out of what it has sent.
    pub(super) fn tell_refusals(&mut self, from: Direction, refusals: &Refusals) {
        for (kind, bytes) in refusals {
            self.side(from).target.session.send(*kind, bytes);
        }
    }

    /// Tells how many bytes wait to be written to a peer.
    pub(crate) fn waiting(&mut self, to: Direction) -> usize {
        let Target { session, outgoing, .. } = &mut self.side(to).target;
        outgoing.len(session.output())
    }

    /// Gives all that is to be written to a peer where it is in one piece.
    pub(crate) fn single_output(&mut self, to: Direction) -> Option<&[u8]> {
        let Target { session, outgoing, .. } = &mut self.side(to).target;
        outgoing.single(session.output())
    }

    /// Gives what is to be written to a peer, as far as it is written at once, and the number of slices.
    pub(crate) fn output(&mut self, to: Direction) -> ([IoSlice<'_>; outgoing::AT_ONCE], usize) {
        let Target { session, outgoing, .. } = &mut self.side(to).target;
        outgoing.slices(session.output())
    }

    /// Takes note that so many bytes of the output are written.
    pub(crate) fn written(&mut self, to: Direction, length: usize) {
        let Target { session, outgoing, .. } = &mut self.side(to).target;
        outgoing.advance(session.output(), length);
    }

    /// Takes note that a peer takes no more for now.
    pub(crate) fn stalled(&mut self, to: Direction, now: Duration) {
        self.liveness.stalls(to, now);
        let Target { session, outgoing, .. } = &mut self.side(to).target;
        outgoing.settle(session.output());
    }

    /// Gives up what waits to be written to a peer.
    pub(crate) fn forget_output(&mut self, to: Direction) {
        let Target { session, outgoing, .. } = &mut self.side(to).target;
        outgoing.clear(session.output());
    }
}

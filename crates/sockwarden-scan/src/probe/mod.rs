//! The driver's only door to the network.

mod budget;
mod net;

use crate::{
    check::Halt,
    errand::{Reply, Which},
    exchange::Connection,
    talk::{Opening, Turn},
};

pub(crate) use budget::Budget;
pub(crate) use net::NetProbe;

/// Talks for one check at a time, on one connection at a time; others may stay open beside it, unread. Where the connections go is the probe's own knowledge: a
/// check can name no host.
pub(crate) trait Probe {
    /// Ends the connections before unless this one is to be alongside them, opens another, writes the opening and reads the answer's head into `connection`.
    async fn open(&mut self, opening: &Opening, connection: &mut Connection) -> Result<(), Halt>;

    /// Runs one of the user's requests as an identity, on a connection of its own.
    async fn errand(&mut self, which: Which, index: usize) -> Result<Reply, Halt>;

    /// Goes over to the connection that was opened as the one with this index.
    fn take_up(&mut self, index: usize);

    /// Does one thing on the connection that was opened last or taken up since.
    async fn turn(&mut self, turn: &Turn, connection: &mut Connection) -> Result<(), Halt>;
}

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

/// Talks for one check at a time, on one connection at a time. Where the connections go is the probe's own knowledge: a
/// check can name no host.
pub(crate) trait Probe {
    /// Ends the connection before, opens another, writes the opening and reads the answer's head into `connection`.
    async fn open(&mut self, opening: &Opening, connection: &mut Connection) -> Result<(), Halt>;

    /// Runs one of the user's requests as an identity, on a connection of its own.
    async fn errand(&mut self, which: Which, index: usize) -> Result<Reply, Halt>;

    /// Does one thing on the open connection.
    async fn turn(&mut self, turn: &Turn, connection: &mut Connection) -> Result<(), Halt>;
}

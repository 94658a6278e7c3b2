//! Buckets that replicas share, without asking for each message.
//!
//! The bucket of a [`Subject`](crate::Subject) lies with a server that all replicas ask. Each takes units ahead, a *lease*: what
//! the rate gives in [`Lending::span`], at least what the next message takes. They are used here, and asked for anew when half of
//! them are; what nobody has used within [`Lending::life`] is lost. Where none are there, messages wait as they do for a bucket.
//!
//! The server never lends more than a burst and the rate, and no replica ever has more than one lease, asked for or at hand. So in
//! any span `t` no more passes, on all replicas together, than `burst + rate × t + replicas × lease`, where burst and lease are at
//! least the largest message.
//!
//! While the server cannot be asked, each replica uses buckets of its own, with the whole rate.

mod ask;
mod desk;
mod lease;
mod purse;

pub use self::ask::{Answer, Ask, BucketName, Grant, Wish};
pub(crate) use self::{desk::Desk, purse::Purse};

use crate::TICKS;

/// How much is lent, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lending {
    /// In how many ticks the rate gives what one lease holds; at least one unit.
    pub span: u64,
    /// For how many ticks it can be used.
    pub life: u64,
}

impl Default for Lending {
    /// A tenth of a second's worth, for a second.
    fn default() -> Self {
        Self { span: TICKS / 10, life: TICKS }
    }
}

impl Lending {
    /// Tells how long to leave a bucket alone that could not give all.
    pub(crate) fn pause(&self, wait: u64) -> u64 {
        // What is short may be wanted no more by then, so that the whole wait would be too long for what comes after it.
        let shortest = self.span / 2;
        wait.clamp(shortest, shortest.max(self.life / 4))
    }
}

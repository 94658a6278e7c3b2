//! What is said between a replica and the server that lends.

use std::sync::Arc;

use super::Purse;
use crate::{Quota, Subject};

/// A request for leases, of all buckets of one user or of the application.
#[derive(Debug)]
pub struct Ask {
    pub(crate) purse: Arc<Purse>,
    pub(crate) wishes: Vec<Wish>,
    pub(crate) ban: Option<u64>,
}

impl Ask {
    /// Tells for whom; for the application where there is nobody.
    pub fn subject(&self) -> Option<&Subject> {
        self.purse.subject()
    }

    /// Gives what is wished for; nothing where there is only a ban to be told or heard of.
    pub fn wishes(&self) -> &[Wish] {
        &self.wishes
    }

    /// Tells for how many more ticks the subject is shut out, where that is to be told to others: 0 lets it in again.
    pub const fn ban(&self) -> Option<u64> {
        self.ban
    }
}

/// Which of a subject's buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketName {
    /// That of all messages.
    Messages,
    /// That of bytes.
    Bytes,
    /// That of a kind of messages, by its number.
    Kind(u8),
}

/// What one bucket is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The bucket.
    pub bucket: BucketName,
    /// What it gives.
    pub quota: Quota,
    /// Fewer units are of no use; at least one.
    pub least: u64,
    /// More units are not wanted.
    pub most: u64,
}

impl Wish {
    /// The most units of anything here: with microseconds, products of them are exact as floating point numbers of 53 bits.
    pub const MOST: u64 = 4_000_000_000;
}

/// What one bucket lends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// So many units.
    pub units: u64,
    /// Where there are none: after how many ticks there may be enough.
    pub wait: u64,
}

/// The answer to an [`Ask`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What is lent for each wish, in their order.
    pub grants: Vec<Grant>,
    /// For how many more ticks the subject is shut out; 0 where it is not.
    pub banned: u64,
}

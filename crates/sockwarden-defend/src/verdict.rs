//! What a guard decides.

use sockwarden_model::{Identity, Limit};
use sockwarden_proto::CloseCode;

use crate::Way;

/// A guard's decision about one fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is wrong.
    Pass,
    /// Nothing is wrong; the message counts for these of the limits for operations, a bit each.
    Count(u32),
    /// Somebody vouches for the caller, who is let in.
    Identified(Box<Identity>),
    /// Refuse before the upgrade.
    Refuse(Refusal),
    /// Close both sides.
    Close(Closure),
    /// Do not forward the message that the fact belongs to; both sides stay open.
    Drop {
        /// What the operator is told. Bytes of the peer are escaped.
        reason: String,
    },
    /// Look something up, then ask again with the answer.
    Ask(Effect),
}

/// An answer that refuses an upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// What the operator is told: what was wrong and by which measure. Bytes of the peer are escaped.
    pub reason: String,
    /// What the peer is told.
    pub told: &'static str,
}

/// A close of both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closure {
    /// The code for the peer that offended; the other one is told 1001.
    pub code: CloseCode,
    /// What the operator is told. Bytes of the peer are escaped.
    pub reason: String,
    /// What the peer is told.
    pub told: &'static str,
    /// The limit that was exceeded, where it was one.
    pub limit: Option<Limit>,
}

/// Something only the shell can find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Find out in this way who the caller is.
    Authenticate(Way),
}

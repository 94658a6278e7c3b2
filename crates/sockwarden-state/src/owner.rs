//! Whom an outstanding ticket is counted for.

use std::{
    hash::{DefaultHasher, Hash, Hasher as _},
    net::IpAddr,
};

use sockwarden_config::Network;

use crate::TicketRecord;

/// Whom an outstanding ticket is counted for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// A user.
    User(Box<str>),
    /// An address, where there is no user: that of IPv4, the first 64 bits of IPv6, all of which one client may have.
    Address(Network),
}

impl Owner {
    /// Finds the owner of a ticket; there is none where neither user nor address are known.
    pub(crate) fn of(record: &TicketRecord) -> Option<Self> {
        match (&record.identity.user, record.client.map(|address| address.to_canonical())) {
            (Some(user), _) => Some(Self::User(user.as_str().into())),
            (None, Some(IpAddr::V4(address))) => Some(Self::Address(Network::around(address.into(), 32))),
            (None, Some(IpAddr::V6(address))) => Some(Self::Address(Network::around(address.into(), 64))),
            (None, None) => None,
        }
    }

    /// Spreads owners over a number of shards.
    pub(crate) fn shard(&self, shards: usize) -> usize {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish() as usize % shards
    }
}

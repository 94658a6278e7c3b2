//! What may be revoked, and what that concerns.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sockwarden_config::Network;
use sockwarden_model::{EventId, Identity};

use crate::TicketHash;

/// An order that ends what was vouched for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// What is revoked.
    pub what: Revoked,
    /// When, in milliseconds since the Unix epoch; what began later is not concerned where that matters.
    pub at_ms: u64,
    /// When it may be forgotten, in milliseconds since the Unix epoch: once nothing that it concerns can be left.
    pub until_ms: u64,
}

/// What may be revoked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Revoked {
    /// A user, in all that was vouched for or opened up to the moment: the user may come anew.
    User(String),
    /// One session.
    Session(EventId),
    /// One ticket, and the session that was opened with it.
    Ticket(TicketHash),
    /// What a token vouched for, by the token's id.
    TokenId(String),
    /// All that was vouched for or opened before the moment.
    IssuedBefore,
    /// Whoever comes from an address or network, until the revocation is forgotten.
    Address(Network),
}

/// What may be concerned by a revocation: a session, or a ticket that is presented.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Who it is.
    pub identity: &'a Identity,
    /// The session, where there is one.
    pub session: Option<EventId>,
    /// The ticket that it came by, where there is one.
    pub ticket: Option<TicketHash>,
    /// Where it comes from.
    pub client: IpAddr,
    /// When it was opened or issued, in milliseconds since the Unix epoch.
    pub since_ms: u64,
}

impl Subject<'_> {
    /// Tells when it began: with what vouches for it, for a token that was revoked is not made good by a new connection.
    pub(crate) fn began_ms(&self) -> u64 {
        let vouched = self.identity.issued_at.map_or(u64::MAX, |seconds| seconds.saturating_mul(1000));
        self.since_ms.min(vouched)
    }
}

/// Why a revocation is not in force everywhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevokeError {
    /// There is no room for more revocations until some of them are over; it is in force on this replica at most.
    #[error("there is no room for more revocations")]
    Full,
    /// It names a user or a token by more than [`Revoked::LONGEST`] bytes; it is not in force.
    #[error("what is revoked has a name of 1024 bytes at most")]
    LongName,
    /// The other replicas cannot be reached; it is in force here alone and must be said again.
    #[error("it is in force on this replica only, the others cannot be reached: {0}")]
    Unavailable(String),
}

impl Revoked {
    /// The longest name of a user or a token, in bytes.
    pub const LONGEST: usize = 1024;

    /// Refuses a name that is too long to be kept.
    pub(crate) fn check(&self) -> Result<(), RevokeError> {
        match self {
            Self::User(name) | Self::TokenId(name) if name.len() > Self::LONGEST => {
                Err(RevokeError::LongName)
            }
            Self::User(_)
            | Self::TokenId(_)
            | Self::Session(_)
            | Self::Ticket(_)
            | Self::IssuedBefore
            | Self::Address(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ticket;

    #[test]
    fn a_revocation_is_written_as_people_would() {
        let check = |what: Revoked, expected: &str| {
            let revocation = Revocation { what, at_ms: 1, until_ms: 2 };
            let text = serde_json::to_string(&revocation).unwrap();
            assert_eq!(text, format!(r#"{{"what":{expected},"at_ms":1,"until_ms":2}}"#));
            assert_eq!(serde_json::from_str::<Revocation>(&text).unwrap(), revocation);
        };
        let hash = Ticket::from_random([0; 32]).hash();
        check(Revoked::User("mara".to_owned()), r#"{"user":"mara"}"#);
        check(Revoked::Session(EventId::from_random(1)), r#"{"session":"0000000001"}"#);
        check(Revoked::Ticket(hash), &format!(r#"{{"ticket":"{hash}"}}"#));
        check(Revoked::TokenId("j".to_owned()), r#"{"token-id":"j"}"#);
        check(Revoked::IssuedBefore, r#""issued-before""#);
        check(Revoked::Address("10.0.0.0/8".parse().unwrap()), r#"{"address":"10.0.0.0/8"}"#);
    }
}

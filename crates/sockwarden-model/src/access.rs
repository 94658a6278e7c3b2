//! Tickets and revocations, as whoever holds a gateway's control port orders them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EventId, Identity};

/// An order for a ticket, by the application's own server, for one of its users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketOrder {
    /// The route that it is for.
    pub route: String,
    /// Whom it is for; `expires_at` is when the session ends.
    pub identity: Identity,
    /// The address that must present it; any where none is named.
    pub client: Option<std::net::IpAddr>,
    /// The Origin that must present it; any where none is named.
    pub origin: Option<String>,
    /// What the issuer wants to find again in the record, at most 1 KiB.
    pub note: Option<String>,
}

/// A ticket that was issued.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TicketGrant {
    /// The ticket: a secret between the one who asked and whoever presents it.
    pub ticket: String,
    /// How many seconds it is good for.
    pub expires_in: u64,
    /// What to offer as sub-protocol in the handshake.
    pub subprotocol: String,
}

impl fmt::Debug for TicketGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketGrant").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// What is to be revoked: whatever it vouched for is refused, and the sessions that live by it are closed, on every replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Revoke {
    /// A user, in all that was vouched for or opened up to now: the user may come anew.
    User(String),
    /// One session, by the id of its connection.
    Session(EventId),
    /// One ticket, and the session that was opened with it.
    Ticket(String),
    /// What a token vouched for, by its `jti`.
    TokenId(String),
    /// All that was vouched for or opened before a moment, in seconds since the Unix epoch.
    IssuedBefore(u64),
    /// Whoever comes from an address or network, such as `192.0.2.1` or `192.0.2.0/24`.
    Address(String),
}

impl fmt::Display for Revoke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user {user}"),
            Self::Session(id) => write!(f, "session {id}"),
            // A ticket is a secret.
            Self::Ticket(_) => f.write_str("a ticket"),
            Self::TokenId(id) => write!(f, "token {id}"),
            Self::IssuedBefore(at) => write!(f, "all that was issued before {at}"),
            Self::Address(address) => write!(f, "address {address}"),
        }
    }
}

/// An order to revoke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokeOrder {
    /// What.
    pub what: Revoke,
    /// For how many seconds it is remembered: as long as anything that it concerns may be good.
    pub seconds: u64,
}

impl RevokeOrder {
    /// The longest time that a revocation is remembered, in seconds: a year.
    pub const LONGEST: u64 = 365 * 24 * 60 * 60;
    /// How long it is remembered unless it is said: thirty days.
    pub const USUAL: u64 = 30 * 24 * 60 * 60;
}

/// Why a ticket is not issued, or nothing is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessError {
    /// There is no such route.
    NoRoute,
    /// The route takes no tickets.
    NoTickets,
    /// The order makes no sense; the text says why.
    Invalid(String),
    /// There are too many already.
    TooMany(String),
    /// The shared state cannot be reached, or has no room.
    Unavailable(String),
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoute => f.write_str("there is no route of that name"),
            Self::NoTickets => f.write_str("the route takes no tickets: its `auth` does not name \"ticket\""),
            Self::Invalid(why) | Self::TooMany(why) | Self::Unavailable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for AccessError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_never_shown() {
        let grant = TicketGrant {
            ticket: "swt_secret".to_owned(),
            expires_in: 30,
            subprotocol: "sockwarden.ticket.swt_secret".to_owned(),
        };
        assert!(!format!("{grant:?} {}", Revoke::Ticket("swt_secret".to_owned())).contains("secret"));
    }

    #[test]
    fn what_is_revoked_is_said_as_one_member() {
        let order: Revoke = serde_json::from_str(r#"{"user":"mara"}"#).unwrap();
        assert_eq!(order, Revoke::User("mara".to_owned()));
        assert_eq!(
            serde_json::from_str::<Revoke>(r#"{"issued-before":12}"#).unwrap(),
            Revoke::IssuedBefore(12)
        );
    }
}

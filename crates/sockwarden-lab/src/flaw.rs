//! The flaws that Harbor can carry, each one switchable by itself.

use std::fmt;
use std::str::FromStr;

/// Names one deliberate flaw of Harbor.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Flaw {
    /// The socket answers anybody, whoever they name (T1).
    UnauthenticatedAccess,
    /// Any logged-in user may call the administrator's operations (T1).
    MissingAuthorisation,
    /// Messages have no size limit of their own and each is stored and indexed (T2).
    UnboundedMessage,
    /// A plain HTTP and `ws://` port is open beside the TLS one (T4, T8).
    Cleartext,
    /// The page renders chat text as HTML (T6).
    StoredXss,
    /// The search builds SQL by concatenation and shows the database's errors (T6).
    SqlInjection,
    /// Any Origin is accepted, with a cookie that browsers send across sites (T7).
    OriginNotChecked,
    /// Whoever is logged in sees the account of any user whom a message names (T1).
    MissingOwnership,
    /// Tokens have no end, and those that have one are taken after it (T1).
    EndlessToken,
    /// The token is taken from the address as well (T1, T4).
    TokenInUrl,
    /// A socket goes on as its user after the session has ended (T1).
    SessionOutlivesLogout,
    /// A ticket stays good after it was used (T1).
    TicketReplayable,
    /// A ticket works with any Origin and from any address (T1, T7).
    TicketNotBound,
    /// A user may send any number of messages, each of which is worked on (T2).
    UnlimitedRate,
    /// A user may open any number of sockets (T2).
    UnlimitedConnections,
    /// A request, and a TLS handshake before it, may take minutes (T2).
    SlowHandshake,
    /// A socket on which nothing happens is neither pinged nor closed (T2).
    IdleSocket,
    /// A message may come in any number of fragments (T2).
    UnboundedFragments,
    /// Pings are answered as fast as they come (T2).
    PingFlood,
}

impl Flaw {
    /// Lists every flaw: those that the demo's attacks use in the order of the threats, then those of identity,
    /// then those of limits.
    pub const ALL: [Self; 19] = [
        Self::UnauthenticatedAccess,
        Self::MissingAuthorisation,
        Self::UnboundedMessage,
        Self::Cleartext,
        Self::StoredXss,
        Self::SqlInjection,
        Self::OriginNotChecked,
        Self::MissingOwnership,
        Self::EndlessToken,
        Self::TokenInUrl,
        Self::SessionOutlivesLogout,
        Self::TicketReplayable,
        Self::TicketNotBound,
        Self::UnlimitedRate,
        Self::UnlimitedConnections,
        Self::SlowHandshake,
        Self::IdleSocket,
        Self::UnboundedFragments,
        Self::PingFlood,
    ];

    /// Returns the stable name, as a command line or a report spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnauthenticatedAccess => "unauthenticated-access",
            Self::MissingAuthorisation => "missing-authorisation",
            Self::UnboundedMessage => "unbounded-message",
            Self::Cleartext => "cleartext",
            Self::StoredXss => "stored-xss",
            Self::SqlInjection => "sql-injection",
            Self::OriginNotChecked => "origin-not-checked",
            Self::MissingOwnership => "missing-ownership",
            Self::EndlessToken => "endless-token",
            Self::TokenInUrl => "token-in-url",
            Self::SessionOutlivesLogout => "session-outlives-logout",
            Self::TicketReplayable => "ticket-replayable",
            Self::TicketNotBound => "ticket-not-bound",
            Self::UnlimitedRate => "unlimited-rate",
            Self::UnlimitedConnections => "unlimited-connections",
            Self::SlowHandshake => "slow-handshake",
            Self::IdleSocket => "idle-socket",
            Self::UnboundedFragments => "unbounded-fragments",
            Self::PingFlood => "ping-flood",
        }
    }

    /// Returns the id of the threat that the flaw stands for first; [`threats`](Self::threats) has them all.
    pub const fn threat(self) -> &'static str {
        match self {
            Self::UnauthenticatedAccess
            | Self::MissingAuthorisation
            | Self::MissingOwnership
            | Self::EndlessToken
            | Self::TokenInUrl
            | Self::SessionOutlivesLogout
            | Self::TicketReplayable
            | Self::TicketNotBound => "T1",
            Self::UnboundedMessage
            | Self::UnlimitedRate
            | Self::UnlimitedConnections
            | Self::SlowHandshake
            | Self::IdleSocket
            | Self::UnboundedFragments
            | Self::PingFlood => "T2",
            Self::Cleartext => "T4",
            Self::StoredXss | Self::SqlInjection => "T6",
            Self::OriginNotChecked => "T7",
        }
    }

    /// Returns the ids of all threats that the flaw stands for.
    pub const fn threats(self) -> &'static [&'static str] {
        match self {
            Self::UnauthenticatedAccess
            | Self::MissingAuthorisation
            | Self::MissingOwnership
            | Self::EndlessToken
            | Self::SessionOutlivesLogout
            | Self::TicketReplayable => &["T1"],
            Self::TicketNotBound => &["T1", "T7"],
            Self::TokenInUrl => &["T1", "T4"],
            Self::UnboundedMessage
            | Self::UnlimitedRate
            | Self::UnlimitedConnections
            | Self::SlowHandshake
            | Self::IdleSocket
            | Self::UnboundedFragments
            | Self::PingFlood => &["T2"],
            Self::Cleartext => &["T4", "T8"],
            Self::StoredXss | Self::SqlInjection => &["T6"],
            Self::OriginNotChecked => &["T7"],
        }
    }

    /// Returns one sentence on what is wrong while the flaw is on.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::UnauthenticatedAccess => {
                "The socket opens without a session and answers anybody, whoever they name."
            }
            Self::MissingAuthorisation => "Any logged-in user may call the administrator's operations.",
            Self::UnboundedMessage => {
                "A message may be as large as the sender likes, and all of it is stored and indexed."
            }
            Self::Cleartext => "Pages, passwords and messages travel over plain HTTP and ws://.",
            Self::StoredXss => "Chat text that one user posts runs as HTML in the pages of the others.",
            Self::SqlInjection => {
                "The shipment search pastes its input into SQL and shows the database's errors."
            }
            Self::OriginNotChecked => {
                "A page of any site can open the socket with the cookie of the user who visits it."
            }
            Self::MissingOwnership => "A logged-in user is shown any account that a message names.",
            Self::EndlessToken => "A bearer token has no end, and is taken after the one that it may have.",
            Self::TokenInUrl => {
                "A token in the address opens the socket, where every log on the way keeps it."
            }
            Self::SessionOutlivesLogout => "A socket that is open goes on as its user after the logout.",
            Self::TicketReplayable => "A ticket opens as many sockets as one likes while it lives.",
            Self::TicketNotBound => "A ticket works from the page of any site and from any address.",
            Self::UnlimitedRate => {
                "Messages are worked on as fast as one user sends them, and all others wait."
            }
            Self::UnlimitedConnections => "One user may open as many sockets as there are places.",
            Self::SlowHandshake => {
                "A request may come byte by byte, and TLS begin late, and hold a place meanwhile."
            }
            Self::IdleSocket => "A socket whose client has gone without a word is kept for ever.",
            Self::UnboundedFragments => {
                "A message may come in as many fragments as the sender likes, empty ones too."
            }
            Self::PingFlood => "Every ping is answered, however many come.",
        }
    }

    const fn bit(self) -> u32 {
        match self {
            Self::UnauthenticatedAccess => 1,
            Self::MissingAuthorisation => 1 << 1,
            Self::UnboundedMessage => 1 << 2,
            Self::Cleartext => 1 << 3,
            Self::StoredXss => 1 << 4,
            Self::SqlInjection => 1 << 5,
            Self::OriginNotChecked => 1 << 6,
            Self::MissingOwnership => 1 << 7,
            Self::EndlessToken => 1 << 8,
            Self::TokenInUrl => 1 << 9,
            Self::SessionOutlivesLogout => 1 << 10,
            Self::TicketReplayable => 1 << 11,
            Self::TicketNotBound => 1 << 12,
            Self::UnlimitedRate => 1 << 13,
            Self::UnlimitedConnections => 1 << 14,
            Self::SlowHandshake => 1 << 15,
            Self::IdleSocket => 1 << 16,
            Self::UnboundedFragments => 1 << 17,
            Self::PingFlood => 1 << 18,
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Says that a name is not that of any [`Flaw`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "no such flaw; the flaws are unauthenticated-access, missing-authorisation, unbounded-message, \
     cleartext, stored-xss, sql-injection, origin-not-checked, missing-ownership, endless-token, token-in-url, \
     session-outlives-logout, ticket-replayable, ticket-not-bound, unlimited-rate, unlimited-connections, \
     slow-handshake, idle-socket, unbounded-fragments, ping-flood"
)]
pub struct UnknownFlaw;

impl FromStr for Flaw {
    type Err = UnknownFlaw;

    fn from_str(name: &str) -> Result<Self, UnknownFlaw> {
        Self::ALL.into_iter().find(|flaw| flaw.name() == name).ok_or(UnknownFlaw)
    }
}

/// Holds a set of flaws.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct FlawSet(u32);

impl FlawSet {
    /// Returns the set of every flaw.
    pub fn all() -> Self {
        Flaw::ALL.into_iter().collect()
    }

    /// Returns the empty set.
    pub const fn none() -> Self {
        Self(0)
    }

    /// Tells whether the flaw is in the set.
    pub const fn has(self, flaw: Flaw) -> bool {
        self.0 & flaw.bit() != 0
    }

    /// Returns the set with the flaw added.
    #[must_use]
    pub const fn with(self, flaw: Flaw) -> Self {
        Self(self.0 | flaw.bit())
    }

    /// Returns the set with the flaw taken out.
    #[must_use]
    pub const fn without(self, flaw: Flaw) -> Self {
        Self(self.0 & !flaw.bit())
    }

    /// Lists the flaws of the set, in the order of [`Flaw::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Flaw> {
        Flaw::ALL.into_iter().filter(move |flaw| self.has(*flaw))
    }
}

impl FromIterator<Flaw> for FlawSet {
    fn from_iter<I: IntoIterator<Item = Flaw>>(flaws: I) -> Self {
        flaws.into_iter().fold(Self::none(), Self::with)
    }
}

impl fmt::Debug for FlawSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Flaw::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_its_flaw() {
        for flaw in Flaw::ALL {
            assert_eq!(flaw.name().parse(), Ok(flaw));
        }
        assert_eq!("stored_xss".parse::<Flaw>(), Err(UnknownFlaw));
    }

    #[test]
    fn the_error_for_an_unknown_name_lists_every_name() {
        let message = UnknownFlaw.to_string();
        for flaw in Flaw::ALL {
            assert!(message.contains(flaw.name()), "{flaw} is missing from {message:?}");
        }
    }

    #[test]
    fn a_set_holds_exactly_what_was_put_in() {
        for flaw in Flaw::ALL {
            let one = FlawSet::none().with(flaw);
            assert_eq!(one.iter().collect::<Vec<_>>(), [flaw]);
            assert_eq!(one.without(flaw), FlawSet::none());
            let others = FlawSet::all().without(flaw);
            assert!(!others.has(flaw));
            assert_eq!(others.iter().count(), Flaw::ALL.len() - 1);
        }
    }

    #[test]
    fn the_first_threat_is_the_one_that_threat_names() {
        for flaw in Flaw::ALL {
            assert_eq!(flaw.threats()[0], flaw.threat());
        }
    }
}

//! Whether a ticket that was taken is good where it is presented.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::Network;

use crate::TicketRecord;

/// How near to the address that it was issued to a ticket must be presented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AddressBinding {
    /// By the same address.
    #[default]
    Exact,
    /// By an address of the same network: the first 24 bits of IPv4, the first 64 bits of IPv6.
    Network,
    /// By any address.
    Off,
}

impl AddressBinding {
    /// Tells whether what is bound to one address may be presented by another. IPv4 written as IPv6 counts as what it is.
    pub fn allows(self, bound: IpAddr, presented: IpAddr) -> bool {
        match self {
            Self::Exact => bound.to_canonical() == presented.to_canonical(),
            Self::Network => network(bound).contains(presented),
            Self::Off => true,
        }
    }
}

/// The network that one client may be in with all its addresses.
fn network(address: IpAddr) -> Network {
    match address.to_canonical() {
        IpAddr::V4(_) => Network::around(address, 24),
        IpAddr::V6(_) => Network::around(address, 64),
    }
}

/// The handshake that a ticket comes with.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The name of its route.
    pub route: &'a str,
    /// Its Origin header.
    pub origin: Option<&'a str>,
    /// Who sends it.
    pub client: IpAddr,
    /// How near its address must be.
    pub binding: AddressBinding,
}

/// Why a ticket is not taken. One that is good elsewhere is gone all the same: it has leaked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nobody issued it, or it is long over.
    #[error("the ticket is unknown")]
    Unknown,
    /// It was presented before.
    #[error("the ticket was used before")]
    Used,
    /// It, or whom it is for, was revoked.
    #[error("the ticket was revoked")]
    Revoked,
    /// Its time is over.
    #[error("the ticket has expired")]
    Expired,
    /// It is for another route.
    #[error("the ticket is for another route")]
    OtherRoute,
    /// It was issued to another address.
    #[error("the ticket was issued to another address")]
    OtherAddress,
    /// It was issued to a page of another origin.
    #[error("the ticket was issued to another origin")]
    OtherOrigin,
    /// The shared state cannot be reached.
    #[error("the shared state cannot be reached: {0}")]
    Unavailable(String),
}

impl Refused {
    /// Gives the reason code, for the operator.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "ticket-unknown",
            Self::Used => "ticket-used",
            Self::Revoked => "ticket-revoked",
            Self::Expired => "ticket-expired",
            Self::OtherRoute => "ticket-other-route",
            Self::OtherAddress => "ticket-other-address",
            Self::OtherOrigin => "ticket-other-origin",
            Self::Unavailable(_) => "ticket-unavailable",
        }
    }
}

/// Judges a ticket that is known and was not used. The reasons have one order, so that each ticket has one answer.
pub(crate) fn judge(
    record: &TicketRecord,
    presented: &Presented<'_>,
    is_revoked: bool,
    is_expired: bool,
) -> Result<(), Refused> {
    if is_revoked {
        Err(Refused::Revoked)
    } else if is_expired {
        Err(Refused::Expired)
    } else if record.route != presented.route {
        Err(Refused::OtherRoute)
    } else if record.client.is_some_and(|bound| !presented.binding.allows(bound, presented.client)) {
        Err(Refused::OtherAddress)
    } else if record.origin.is_some() && record.origin.as_deref() != presented.origin {
        Err(Refused::OtherOrigin)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Identity;

    use super::*;

    #[test]
    fn an_address_is_near_another_or_is_not() {
        let check = |bound: &str, presented: &str, exact: bool, network: bool| {
            let (bound, presented) = (bound.parse().unwrap(), presented.parse().unwrap());
            let allows = |binding: AddressBinding| binding.allows(bound, presented);
            assert_eq!(allows(AddressBinding::Exact), exact, "{bound} {presented}");
            assert_eq!(allows(AddressBinding::Network), network, "{bound} {presented}");
            assert!(allows(AddressBinding::Off));
        };
        check("10.1.2.3", "10.1.2.3", true, true);
        check("10.1.2.3", "::ffff:10.1.2.3", true, true);
        check("::ffff:10.1.2.3", "10.1.2.4", false, true);
        check("10.1.2.3", "10.1.3.3", false, false);
        check("10.1.2.3", "::1", false, false);
        check("2001:db8::1", "2001:db8::2", false, true);
        check("2001:db8::1", "2001:db8:0:1::1", false, false);
    }

    #[test]
    fn each_thing_that_is_wrong_has_its_reason_and_its_turn() {
        let record = TicketRecord {
            identity: Identity::of_user("mara"),
            route: "chat".to_owned(),
            origin: Some("https://app.example".to_owned()),
            client: Some("10.1.2.3".parse().unwrap()),
            issued_at_ms: 0,
            expires_at_ms: 100,
            note: None,
        };
        // Nothing, then the last, then the last two …
        let check = |wrong: usize, expected: Result<(), Refused>| {
            let presented = Presented {
                origin: if wrong >= 1 { Some("https://evil.example") } else { record.origin.as_deref() },
                client: if wrong >= 2 { "10.1.2.4" } else { "10.1.2.3" }.parse().unwrap(),
                route: if wrong >= 3 { "admin" } else { "chat" },
                binding: AddressBinding::Exact,
            };
            assert_eq!(judge(&record, &presented, wrong >= 5, wrong >= 4), expected);
        };
        check(0, Ok(()));
        check(1, Err(Refused::OtherOrigin));
        check(2, Err(Refused::OtherAddress));
        check(3, Err(Refused::OtherRoute));
        check(4, Err(Refused::Expired));
        check(5, Err(Refused::Revoked));
    }

    #[test]
    fn what_a_ticket_is_not_bound_to_does_not_matter() {
        let check = |bound: Option<&str>, presented: Option<&str>, expected| {
            let record = TicketRecord {
                identity: Identity::default(),
                route: "chat".to_owned(),
                origin: bound.map(str::to_owned),
                client: None,
                issued_at_ms: 0,
                expires_at_ms: 100,
                note: None,
            };
            let client = "10.1.2.3".parse().unwrap();
            let presented =
                Presented { route: "chat", origin: presented, client, binding: AddressBinding::Exact };
            assert_eq!(judge(&record, &presented, false, false), expected, "{bound:?} {presented:?}");
        };
        check(None, None, Ok(()));
        check(None, Some("https://app.example"), Ok(()));
        check(Some("https://app.example"), Some("https://app.example"), Ok(()));
        check(Some("https://app.example"), None, Err(Refused::OtherOrigin));
        check(Some("https://app.example"), Some("https://app.example:8443"), Err(Refused::OtherOrigin));
        check(Some("https://app.example"), Some("null"), Err(Refused::OtherOrigin));
    }
}

//! Single-use tickets for one handshake, each bound to the Origin and the address that asked for it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::error::LabError;
use crate::flaw::{Flaw, FlawSet};
use crate::secret;

/// How long a ticket lives, in seconds.
pub(crate) const LIFETIME: i64 = 30;
/// How many tickets are kept; one more pushes out the oldest.
const MAX_TICKETS: usize = 1024;

/// The tickets that wait to be used.
#[derive(Default)]
pub(crate) struct Tickets(Mutex<VecDeque<Ticket>>);

struct Ticket {
    fingerprint: String,
    session: String,
    bearer: Bearer,
    expires_at: i64,
}

/// Who asks for a ticket, or comes with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Bearer {
    pub(crate) origin: Option<String>,
    pub(crate) address: IpAddr,
}

impl Tickets {
    /// Issues a ticket for the session with this fingerprint.
    pub(crate) fn issue(&self, session: String, bearer: Bearer, now: i64) -> Result<String, LabError> {
        let ticket = secret::new_token()?;
        let fingerprint = secret::fingerprint(&ticket);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(Ticket { fingerprint, session, bearer, expires_at: now.saturating_add(LIFETIME) });
        if kept.len() > MAX_TICKETS {
            kept.pop_front();
        }
        Ok(ticket)
    }

    /// Takes a ticket and returns the fingerprint of its session. Whoever comes with it wrongly has burned it.
    pub(crate) fn take(&self, ticket: &str, bearer: &Bearer, now: i64, flaws: FlawSet) -> Option<String> {
        let fingerprint = secret::fingerprint(ticket);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|ticket| ticket.fingerprint == fingerprint)?;
        let found = &kept[at];
        let is_good = now < found.expires_at && (found.bearer == *bearer || flaws.has(Flaw::TicketNotBound));
        let session = is_good.then(|| found.session.clone());
        if !flaws.has(Flaw::TicketReplayable) {
            kept.remove(at);
        }
        session
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(origin: &str, address: [u8; 4]) -> Bearer {
        Bearer { origin: Some(origin.to_owned()), address: IpAddr::from(address) }
    }

    #[test]
    fn a_ticket_is_taken_once_in_time_and_by_whoever_asked_for_it() {
        let (mara, here) = (bearer("https://a", [127, 0, 0, 1]), FlawSet::none());
        let check = |by: Bearer, now: i64, flaws: FlawSet, expected: [bool; 2]| {
            let tickets = Tickets::default();
            let ticket = tickets.issue("session".into(), mara.clone(), 100).unwrap();
            let taken = [0, 1].map(|_| tickets.take(&ticket, &by, now, flaws).is_some());
            assert_eq!(taken, expected, "{by:?} at {now} with {flaws:?}");
        };
        check(mara.clone(), 100, here, [true, false]);
        check(mara.clone(), 129, here, [true, false]);
        check(mara.clone(), 130, here, [false, false]);
        check(mara.clone(), 100, here.with(Flaw::TicketReplayable), [true, true]);
        check(mara.clone(), 130, FlawSet::all(), [false, false]);
        for other in [bearer("https://b", [127, 0, 0, 1]), bearer("https://a", [127, 0, 0, 2])] {
            check(other.clone(), 100, FlawSet::all().without(Flaw::TicketNotBound), [false, false]);
            check(other, 100, here.with(Flaw::TicketNotBound), [true, false]);
        }
        assert_eq!(Tickets::default().take("no such", &mara, 100, FlawSet::all()), None);
    }

    #[test]
    fn the_tickets_that_wait_do_not_grow_without_limit() {
        let (tickets, mara) = (Tickets::default(), bearer("https://a", [127, 0, 0, 1]));
        let first = tickets.issue("first".into(), mara.clone(), 100).unwrap();
        for _ in 0..MAX_TICKETS {
            tickets.issue("more".into(), mara.clone(), 100).unwrap();
        }
        assert_eq!(tickets.take(&first, &mara, 100, FlawSet::none()), None);
        assert_eq!(tickets.0.lock().unwrap().len(), MAX_TICKETS);
    }
}

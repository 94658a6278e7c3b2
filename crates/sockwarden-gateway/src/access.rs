//! Tickets and revocations by order: the application's server gets tickets for its users, and what is revoked is closed.

use std::{sync::Arc, time::Duration};

use sockwarden_model::{AccessError, Identity, Initiator, Revoke, RevokeOrder, TicketGrant, TicketOrder};
use sockwarden_proto::OriginHeader;
use sockwarden_state::{IssueError, Revocation, RevokeError, Revoked, Subject, Ticket};
use tokio::time::{Instant, sleep_until};

use crate::{build::Built, connection::Shared, journal::unix_ms, registry::Entry};

/// How far ahead of ours the clock of whoever revokes may be, in seconds.
const AHEAD: u64 = 60;
/// How often what is over is forgotten.
const SWEEP: Duration = Duration::from_secs(30);

/// Closes the sessions that a revocation concerns, until the gateway stops.
pub(crate) async fn close_revoked(shared: Arc<Shared>) {
    let mut stopping = shared.stopping.clone();
    let mut news = shared.state.subscribe();
    let mut sweep = Instant::now() + SWEEP;
    loop {
        tokio::select! {
            () = stopping.begins() => return,
            told = news.next() => match told {
                // Whom it concerns is asked of the state itself: that is quick, and right even where news were missed.
                Some(_) => shared.close_concerned(),
                None => return,
            },
            () = sleep_until(sweep) => {
                shared.state.sweep(unix_ms());
                sweep = Instant::now() + SWEEP;
            }
        }
    }
}

impl Shared {
    fn close_concerned(&self) {
        let now_ms = unix_ms();
        let built = self.built.load();
        for entry in self.registry.pick_entries(|entry| self.is_revoked(entry, now_ms)) {
            farewell(&built, &entry);
        }
    }

    /// Tells whether a session lives by something that was revoked.
    fn is_revoked(&self, entry: &Entry, now_ms: u64) -> bool {
        let about = entry.about();
        let subject = Subject {
            identity: &about.identity,
            session: Some(entry.id()),
            ticket: about.ticket.as_deref().copied(),
            client: about.client.ip(),
            since_ms: about.opened_at_ms,
        };
        self.state.revoked(&subject, now_ms)
    }

    /// Closes a session that has just been entered, where it was revoked while it was in its handshake.
    pub(crate) fn close_if_revoked(&self, built: &Built, entry: &Entry) {
        if self.is_revoked(entry, unix_ms()) {
            farewell(built, entry);
        }
    }

    /// Issues a ticket for a user of the application.
    pub(crate) async fn grant(&self, order: TicketOrder) -> Result<TicketGrant, AccessError> {
        let built = self.built.load_full();
        let route = built.routes.iter().find(|route| *route.name == *order.route);
        let route = route.ok_or(AccessError::NoRoute)?;
        let (tickets, _) = route.authenticator.tickets().ok_or(AccessError::NoTickets)?;
        let now_ms = unix_ms();
        judge(&order, now_ms / 1000)?;
        let issued = tickets.issue(&self.state, order, now_ms).await;
        issued.map_err(|error| match &error {
            IssueError::TooMany => AccessError::TooMany(error.to_string()),
            IssueError::Record(_) => AccessError::Invalid(error.to_string()),
            IssueError::Full | IssueError::Repeated | IssueError::Unavailable(_) => {
                AccessError::Unavailable(error.to_string())
            }
        })
    }

    /// Puts a revocation in force.
    pub(crate) async fn put_in_force(&self, revocation: Revocation) -> Result<(), AccessError> {
        self.state.revoke(&revocation, unix_ms()).await.map_err(|error| match &error {
            RevokeError::LongName => AccessError::Invalid(error.to_string()),
            RevokeError::Full | RevokeError::Unavailable(_) => AccessError::Unavailable(error.to_string()),
        })
    }
}

/// Refuses an order for a ticket that could open nothing.
fn judge(order: &TicketOrder, now: u64) -> Result<(), AccessError> {
    let invalid = |why: &str| Err(AccessError::Invalid(why.to_owned()));
    if order.identity.user.as_ref().is_some_and(|user| !(1..=Identity::LONGEST_USER).contains(&user.len())) {
        return invalid("the user's name is empty or longer than 256 bytes");
    }
    if order.identity.has_expired(now) {
        return invalid("the session has ended already");
    }
    // It is compared with the header as it stands there: what no browser sends would never be right.
    let is_sent = |origin: &String| match OriginHeader::parse(origin.as_bytes()) {
        OriginHeader::Origin(parsed) => parsed.to_string() == *origin,
        OriginHeader::Null => true,
        OriginHeader::Malformed => false,
    };
    match &order.origin {
        Some(origin) if !is_sent(origin) => {
            invalid("the origin is none that a browser sends, such as `https://app.example`")
        }
        Some(_) | None => Ok(()),
    }
}

/// Understands an order that was given now.
pub(crate) fn understand(order: &RevokeOrder) -> Result<Revocation, AccessError> {
    let invalid = |why: String| AccessError::Invalid(why);
    if !(1..=RevokeOrder::LONGEST).contains(&order.seconds) {
        return Err(invalid("it is remembered for at least a second and at most a year".to_owned()));
    }
    let mut at_ms = unix_ms();
    let until_ms = at_ms + order.seconds * 1000;
    let what = match &order.what {
        Revoke::User(user) => Revoked::User(user.clone()),
        Revoke::Session(id) => Revoked::Session(*id),
        Revoke::Ticket(ticket) => {
            Revoked::Ticket(Ticket::parse(ticket).map_err(|error| invalid(error.to_string()))?.hash())
        }
        Revoke::TokenId(id) => Revoked::TokenId(id.clone()),
        Revoke::IssuedBefore(seconds) => {
            // Whoever says milliseconds for seconds would lock everybody out until the revocation is over.
            if *seconds > at_ms / 1000 + AHEAD {
                return Err(invalid(
                    "the moment lies ahead; it is said in seconds since the Unix epoch".to_owned(),
                ));
            }
            at_ms = seconds.saturating_mul(1000);
            Revoked::IssuedBefore
        }
        Revoke::Address(network) => {
            let network = network.parse();
            Revoked::Address(network.map_err(|_| invalid("it is no address or network".to_owned()))?)
        }
    };
    Ok(Revocation { what, at_ms, until_ms })
}

fn farewell(built: &Built, entry: &Entry) {
    // The route may be gone, or another: then it is told as any.
    let route = built.routes.iter().find(|route| route.name == entry.about().route);
    let session = route.map(|route| route.config().session).unwrap_or_default();
    entry.mailbox.post(session.farewell(Initiator::Operator));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_understood_or_refused_with_the_reason() {
        let order = |what, seconds| understand(&RevokeOrder { what, seconds });
        let user = order(Revoke::User("mara".to_owned()), 60).unwrap();
        assert_eq!((user.what, user.until_ms - user.at_ms), (Revoked::User("mara".to_owned()), 60_000));
        assert_eq!(order(Revoke::IssuedBefore(7), 60).unwrap().at_ms, 7000);
        let now = unix_ms() / 1000;
        assert!(order(Revoke::IssuedBefore(now), 60).is_ok());
        assert!(order(Revoke::IssuedBefore(now + 600), 60).is_err());
        assert!(order(Revoke::IssuedBefore(now * 1000), 60).is_err());
        assert!(order(Revoke::Address("10.0.0.0/8".to_owned()), 60).is_ok());
        assert!(order(Revoke::Address("ten".to_owned()), 60).is_err());
        assert!(order(Revoke::Ticket("swt_short".to_owned()), 60).is_err());
        assert!(order(Revoke::User("mara".to_owned()), 0).is_err());
        assert!(order(Revoke::User("mara".to_owned()), RevokeOrder::LONGEST + 1).is_err());
    }

    #[test]
    fn a_ticket_that_could_open_nothing_is_not_issued() {
        let check = |change: &dyn Fn(&mut TicketOrder), good: bool| {
            let mut order = TicketOrder {
                route: "chat".to_owned(),
                identity: Identity::of_user("mara"),
                client: None,
                origin: None,
                note: None,
            };
            change(&mut order);
            assert_eq!(judge(&order, 1000).is_ok(), good, "{order:?}");
        };
        check(&|_| (), true);
        check(&|order| order.identity.user = Some(String::new()), false);
        check(&|order| order.identity.user = Some("u".repeat(256)), true);
        check(&|order| order.identity.user = Some("u".repeat(257)), false);
        check(&|order| order.identity.expires_at = Some(1000), false);
        check(&|order| order.identity.expires_at = Some(1001), true);
        for (origin, good) in [
            ("https://app.example", true),
            ("https://app.example:8443", true),
            ("null", true),
            ("https://app.example/", false),
            ("https://app.example:443", false),
            ("https://APP.example", false),
            ("app.example", false),
            ("", false),
        ] {
            check(&|order| order.origin = Some(origin.to_owned()), good);
        }
    }
}

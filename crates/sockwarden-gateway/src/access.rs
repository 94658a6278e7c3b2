//! Tickets and revocations by order: the application's server gets tickets for its users, and what is revoked is closed.

use std::{sync::Arc, time::Duration};

use sockwarden_model::{AccessError, Initiator, Revoke, RevokeOrder, TicketGrant, TicketOrder};
use sockwarden_net::random_array;
use sockwarden_state::{IssueError, Revocation, RevokeError, Revoked, Subject, Ticket, TicketRecord};
use tokio::time::{Instant, sleep_until};

use crate::{auth::TICKET_SUBPROTOCOL, build::Built, connection::Shared, journal::unix_ms, registry::Entry};

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
        if order.identity.has_expired(now_ms / 1000) {
            return Err(AccessError::Invalid("the session has ended already".to_owned()));
        }
        let lifetime = tickets.config.lifetime.get();
        let record = TicketRecord {
            identity: order.identity,
            route: order.route,
            origin: order.origin,
            client: order.client,
            issued_at_ms: now_ms,
            expires_at_ms: now_ms + u64::try_from(lifetime.as_millis()).unwrap_or_default(),
            note: order.note,
        };
        let ticket = Ticket::from_random(random_array());
        let issued = self.state.issue(&ticket, &record, tickets.config.outstanding, now_ms).await;
        issued.map_err(|error| match &error {
            IssueError::TooMany => AccessError::TooMany(error.to_string()),
            IssueError::Record(_) => AccessError::Invalid(error.to_string()),
            IssueError::Full | IssueError::Repeated | IssueError::Unavailable(_) => {
                AccessError::Unavailable(error.to_string())
            }
        })?;
        Ok(TicketGrant {
            expires_in: lifetime.as_secs(),
            subprotocol: format!("{TICKET_SUBPROTOCOL}{}", ticket.expose()),
            ticket: ticket.expose().to_owned(),
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
        assert!(order(Revoke::Address("10.0.0.0/8".to_owned()), 60).is_ok());
        assert!(order(Revoke::Address("ten".to_owned()), 60).is_err());
        assert!(order(Revoke::Ticket("swt_short".to_owned()), 60).is_err());
        assert!(order(Revoke::User("mara".to_owned()), 0).is_err());
        assert!(order(Revoke::User("mara".to_owned()), RevokeOrder::LONGEST + 1).is_err());
    }
}

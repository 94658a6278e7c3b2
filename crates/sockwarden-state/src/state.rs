//! The one door to what replicas share.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    Health, IssueError, Leases, Presented, RateCounts, Refused, Revocation, RevokeError, Settings, Subject,
    Subscription, Ticket, TicketCounts, TicketRecord,
    config::Kind,
    health::Pulse,
    judge::judge,
    memory::MemoryTickets,
    remote::Remote,
    revocations::{MOST, Revocations},
};

/// Tickets, revocations and rates, as all replicas know them. A clone is the same state.
#[derive(Clone, Debug)]
pub struct State(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tickets: Tickets,
    revocations: Arc<Revocations>,
    pulse: Arc<Pulse>,
    tally: Tally,
}

/// Where tickets are.
#[derive(Debug)]
enum Tickets {
    Memory(Box<MemoryTickets>),
    /// On a server.
    Remote(Remote),
}

/// What became of tickets here.
#[derive(Debug, Default)]
struct Tally {
    issued: AtomicU64,
    taken: AtomicU64,
    burned: AtomicU64,
}

impl State {
    /// Begins. A state in memory can be used at once; one on a server is connected to in the background, now and after each
    /// outage, for which this must be called within a runtime of tokio.
    pub fn start(settings: Settings) -> Self {
        match settings.0 {
            Kind::Memory { most } => Self::memory(most),
            Kind::Redis(settings) => {
                let revocations = Arc::new(Revocations::new(MOST));
                let kind = if settings.cluster { "redis-cluster" } else { "redis" };
                let pulse = Arc::new(Pulse::new(kind, false));
                let remote = Remote::start(settings, Arc::clone(&revocations), Arc::clone(&pulse));
                Self::new(Tickets::Remote(remote), revocations, pulse)
            }
        }
    }

    /// Begins in memory, with so many outstanding tickets at most.
    pub fn memory(most_tickets: usize) -> Self {
        let tickets = Tickets::Memory(Box::new(MemoryTickets::new(most_tickets)));
        Self::new(tickets, Arc::new(Revocations::new(MOST)), Arc::new(Pulse::new("memory", true)))
    }

    fn new(tickets: Tickets, revocations: Arc<Revocations>, pulse: Arc<Pulse>) -> Self {
        Self(Arc::new(Inner { tickets, revocations, pulse, tally: Tally::default() }))
    }

    /// Notes a ticket, of which at most `most_per_user` are outstanding for one user, or for one address (of IPv6, one network
    /// of 64 bits) where there is no user.
    ///
    /// # Errors
    /// There are too many, the record cannot be kept, or the state cannot be reached; then the ticket is good for nothing.
    pub async fn issue(
        &self,
        ticket: &Ticket,
        record: &TicketRecord,
        most_per_user: u32,
        now_ms: u64,
    ) -> Result<(), IssueError> {
        record.check(now_ms)?;
        let hash = ticket.hash();
        match &self.0.tickets {
            Tickets::Memory(tickets) => tickets.issue(hash, record, most_per_user, now_ms)?,
            Tickets::Remote(remote) => remote.issue(hash, record, most_per_user, now_ms).await?,
        }
        self.0.tally.issued.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Takes a ticket: of all who present it one gets its record, and nobody where the first one presents it wrongly.
    ///
    /// # Errors
    /// It is not good, here and now; what is known is gone all the same.
    pub async fn take(
        &self,
        ticket: &Ticket,
        presented: &Presented<'_>,
        now_ms: u64,
    ) -> Result<TicketRecord, Refused> {
        let hash = ticket.hash();
        let taken = match &self.0.tickets {
            Tickets::Memory(tickets) => tickets.take(&hash, now_ms)?,
            Tickets::Remote(remote) => remote.take(&hash, now_ms).await?,
        };
        let subject = Subject {
            identity: &taken.record.identity,
            session: None,
            ticket: Some(hash),
            client: presented.client,
            since_ms: taken.record.issued_at_ms,
        };
        let is_revoked = self.revoked(&subject, now_ms);
        let verdict = judge(&taken.record, presented, is_revoked, taken.is_expired);
        let tally = &self.0.tally;
        match &verdict {
            Ok(()) => tally.taken.fetch_add(1, Ordering::Relaxed),
            Err(_) if taken.is_expired => 0,
            Err(_) => tally.burned.fetch_add(1, Ordering::Relaxed),
        };
        verdict.map(|()| *taken.record)
    }

    /// Puts a revocation in force, here and on every replica, and tells those who have subscribed. What is over by `now_ms`
    /// changes nothing, and what is said twice is told once.
    ///
    /// # Errors
    /// It is not in force everywhere.
    pub async fn revoke(&self, revocation: &Revocation, now_ms: u64) -> Result<(), RevokeError> {
        revocation.what.check()?;
        // Here it is in force whether the others can be reached or not. What they tell of it later says nothing new.
        self.0.revocations.apply(revocation, now_ms).map_err(|_| RevokeError::Full)?;
        match &self.0.tickets {
            Tickets::Memory(_) => Ok(()),
            Tickets::Remote(remote) => remote.revoke(revocation, now_ms).await,
        }
    }

    /// Tells at once whether something that was revoked concerns a session or ticket, as far as this replica knows.
    pub fn revoked(&self, subject: &Subject<'_>, now_ms: u64) -> bool {
        self.0.revocations.concern(subject, now_ms)
    }

    /// Hears every revocation from now on, of this and of other replicas.
    ///
    /// Whoever opens a session misses none by making it known first and asking [`State::revoked`] then.
    pub fn subscribe(&self) -> Subscription {
        self.0.revocations.subscribe()
    }

    /// Gives the door to the buckets that replicas share; there are none in memory. What has the same `scope` and the same
    /// subjects is counted together.
    pub fn leases(&self, scope: &str) -> Option<Leases> {
        match &self.0.tickets {
            Tickets::Memory(_) => None,
            Tickets::Remote(remote) => Some(remote.leases(scope)),
        }
    }

    /// Counts how it went with the buckets that replicas share.
    pub fn rate_counts(&self) -> RateCounts {
        match &self.0.tickets {
            Tickets::Memory(_) => RateCounts::default(),
            Tickets::Remote(remote) => remote.rate_counts(),
        }
    }

    /// Forgets what is over. To be called now and then; it makes room sooner, and is needed for nothing else.
    pub fn sweep(&self, now_ms: u64) {
        self.0.revocations.sweep(now_ms);
        match &self.0.tickets {
            Tickets::Memory(tickets) => tickets.sweep(now_ms),
            Tickets::Remote(_) => {}
        }
    }

    /// Tells how it is.
    pub fn health(&self) -> Health {
        self.0.pulse.health()
    }

    /// Counts what became of tickets on this replica.
    pub fn ticket_counts(&self) -> TicketCounts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let tally = &self.0.tally;
        let (expired, outstanding) = match &self.0.tickets {
            Tickets::Memory(tickets) => (Some(tickets.expired()), Some(tickets.outstanding() as u64)),
            Tickets::Remote(_) => (None, None),
        };
        let (issued, taken, burned) = (load(&tally.issued), load(&tally.taken), load(&tally.burned));
        TicketCounts { issued, taken, burned, expired, outstanding }
    }

    /// Counts the revocations in force, and those that are over and not yet forgotten.
    pub fn revocations(&self) -> usize {
        self.0.revocations.len()
    }
}

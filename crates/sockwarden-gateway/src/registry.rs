//! The sessions that are established: each has a seat here for as long as it lives.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    ops::Bound,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use sockwarden_model::{
    Direction, EventId, Identity, Session, SessionPage, SessionQuery, SessionState, Traffic, printable,
};

use sockwarden_state::TicketHash;

use crate::{counters::RouteTally, mailbox::Mailbox};

/// Locks that sessions are spread over, by the first bits of their ids: the shards in their order are the ids in theirs.
const SHARD_BITS: u32 = 5;

/// All sessions of a gateway. It holds no more than there are permits for connections.
#[derive(Debug)]
pub(crate) struct Registry {
    shards: [Mutex<BTreeMap<EventId, Arc<Entry>>>; 1 << SHARD_BITS],
}

/// What is known of a session.
#[derive(Debug)]
pub(crate) struct Entry {
    id: EventId,
    about: About,
    from_client: LiveTraffic,
    from_server: LiveTraffic,
    closing: AtomicBool,
    pub(crate) mailbox: Mailbox,
}

/// What does not change while a session lives.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) route: Arc<str>,
    pub(crate) client: SocketAddr,
    pub(crate) identity: Arc<Identity>,
    /// The ticket that it came with.
    pub(crate) ticket: Option<Box<TicketHash>>,
    pub(crate) origin: Option<Box<str>>,
    pub(crate) subprotocol: Option<Box<str>>,
    pub(crate) tls: bool,
    pub(crate) opened_at_ms: u64,
}

/// How much was forwarded one way up to now. Only the session's own worker writes.
#[derive(Debug, Default)]
pub(crate) struct LiveTraffic {
    messages: AtomicU64,
    bytes: AtomicU64,
    uninspected_messages: AtomicU64,
    uninspected_bytes: AtomicU64,
}

impl LiveTraffic {
    pub(crate) fn add(&self, messages: u64, bytes: u64) {
        // With one writer there is nothing to be lost between reading and writing.
        self.messages.store(self.messages.load(Ordering::Relaxed) + messages, Ordering::Relaxed);
        self.bytes.store(self.bytes.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
    }

    /// Notes of messages that were added that not every defence has seen them.
    pub(crate) fn overlooked(&self, messages: u64, bytes: u64) {
        self.uninspected_messages.fetch_add(messages, Ordering::Relaxed);
        self.uninspected_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Traffic {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (messages, bytes) = (load(&self.messages), load(&self.bytes));
        Traffic {
            messages,
            bytes,
            // Of a message that is just being counted one half may be seen and the other not.
            inspected_messages: messages.saturating_sub(load(&self.uninspected_messages)),
            inspected_bytes: bytes.saturating_sub(load(&self.uninspected_bytes)),
        }
    }
}

/// A session's place in the registry, given back when it is dropped, however the session ends.
#[derive(Debug)]
pub(crate) struct Seat {
    entry: Arc<Entry>,
    registry: Arc<Registry>,
    tally: Arc<RouteTally>,
}

impl Default for Registry {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl Registry {
    /// Enters a session.
    pub(crate) fn seat(self: &Arc<Self>, id: EventId, about: About, tally: &Arc<RouteTally>) -> Seat {
        let entry = Arc::new(Entry {
            id,
            about,
            from_client: LiveTraffic::default(),
            from_server: LiveTraffic::default(),
            closing: AtomicBool::new(false),
            mailbox: Mailbox::default(),
        });
        self.shard(id).insert(id, Arc::clone(&entry));
        tally.opened();
        Seat { entry, registry: Arc::clone(self), tally: Arc::clone(tally) }
    }

    pub(crate) fn find(&self, id: EventId) -> Option<Arc<Entry>> {
        self.shard(id).get(&id).cloned()
    }

    /// Gives a page; `total` is left for whoever counts them.
    pub(crate) fn page(&self, query: &SessionQuery) -> SessionPage {
        let limit = query.limit.min(SessionQuery::LIMIT);
        let wanted = |about: &About| {
            query.route.as_deref().is_none_or(|route| route == &*about.route)
                && query
                    .user
                    .as_deref()
                    .is_none_or(|user| about.identity.user.as_deref().map(shown).as_deref() == Some(user))
        };
        let mut sessions: Vec<Session> = Vec::new();
        let mut more = false;
        let first = query.after.map_or(0, shard_of);
        for shard in &self.shards[first..] {
            let start = query.after.map_or(Bound::Unbounded, Bound::Excluded);
            let shard = lock(shard);
            for entry in shard.range((start, Bound::Unbounded)).map(|(_, entry)| entry) {
                if !wanted(&entry.about) {
                    continue;
                }
                if sessions.len() == limit {
                    more = true;
                    break;
                }
                sessions.push(entry.session());
            }
            if more {
                break;
            }
        }
        let next = sessions.last().map(|session| session.id).filter(|_| more);
        SessionPage { sessions, next, total: 0 }
    }

    /// Gives every session that `wanted` picks.
    pub(crate) fn pick(&self, wanted: impl Fn(&About) -> bool) -> Vec<Arc<Entry>> {
        self.pick_entries(|entry| wanted(&entry.about))
    }

    /// Gives every session of which `wanted` says so.
    pub(crate) fn pick_entries(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<Arc<Entry>> {
        let mut picked = Vec::new();
        for shard in &self.shards {
            picked.extend(lock(shard).values().filter(|entry| wanted(entry)).cloned());
        }
        picked
    }

    /// Tells whether there is no session.
    pub(crate) fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| lock(shard).is_empty())
    }

    fn shard(&self, id: EventId) -> MutexGuard<'_, BTreeMap<EventId, Arc<Entry>>> {
        lock(&self.shards[shard_of(id)])
    }
}

const fn shard_of(id: EventId) -> usize {
    (id.number() >> (EventId::BITS - SHARD_BITS)) as usize
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives a user as people are shown it.
fn shown(user: &str) -> String {
    printable(user.as_bytes(), Identity::LONGEST_USER)
}

impl Entry {
    pub(crate) const fn id(&self) -> EventId {
        self.id
    }

    pub(crate) const fn about(&self) -> &About {
        &self.about
    }

    pub(crate) fn session(&self) -> Session {
        let owned = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        let About { route, client, identity, ticket: _, origin, subprotocol, tls, opened_at_ms } =
            &self.about;
        Session {
            id: self.id,
            route: route.to_string(),
            client: client.to_string(),
            user: identity.user.as_deref().map(shown),
            origin: owned(origin),
            subprotocol: owned(subprotocol),
            tls: *tls,
            opened_at_ms: *opened_at_ms,
            from_client: self.from_client.get(),
            from_server: self.from_server.get(),
            state: if self.closing.load(Ordering::Relaxed) {
                SessionState::Closing
            } else {
                SessionState::Open
            },
        }
    }
}

impl Seat {
    pub(crate) fn traffic(&self, from: Direction) -> &LiveTraffic {
        match from {
            Direction::Client => &self.entry.from_client,
            Direction::Server => &self.entry.from_server,
        }
    }

    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.entry.mailbox
    }

    pub(crate) fn entry(&self) -> &Entry {
        &self.entry
    }

    pub(crate) fn tally(&self) -> &RouteTally {
        &self.tally
    }

    pub(crate) fn is_closing(&self) {
        self.entry.closing.store(true, Ordering::Relaxed);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut shard = self.registry.shard(self.entry.id);
        // Should two sessions ever draw the same id, the second one's entry stays.
        if shard.get(&self.entry.id).is_some_and(|entry| Arc::ptr_eq(entry, &self.entry)) {
            shard.remove(&self.entry.id);
        }
        drop(shard);
        self.tally.closed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(user: &str) -> About {
        About {
            route: "app".into(),
            client: "127.0.0.1:9".parse().unwrap(),
            identity: Arc::new(Identity::of_user(user)),
            ticket: None,
            origin: None,
            subprotocol: None,
            tls: false,
            opened_at_ms: 1,
        }
    }

    /// Sessions with ids spread over all shards, every third one of `mara`.
    fn full(count: u64) -> (Arc<Registry>, Arc<RouteTally>, Vec<Seat>) {
        let (registry, tally) = (Arc::new(Registry::default()), Arc::new(RouteTally::default()));
        let seats = (0..count)
            .map(|n| {
                let id = EventId::from_random(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                registry.seat(id, about(if n % 3 == 0 { "mara" } else { "nils" }), &tally)
            })
            .collect();
        (registry, tally, seats)
    }

    #[test]
    fn pages_give_every_session_once_in_order() {
        let (registry, _, seats) = full(1000);
        for (user, expected) in [(None, 1000), (Some("mara".to_owned()), 334), (Some("nobody".to_owned()), 0)]
        {
            let mut query = SessionQuery { limit: 7, user, ..SessionQuery::default() };
            let mut seen = Vec::new();
            loop {
                let page = registry.page(&query);
                assert!(page.sessions.len() <= 7);
                seen.extend(page.sessions.iter().map(|session| session.id));
                match page.next {
                    Some(next) => query.after = Some(next),
                    None => break,
                }
            }
            assert_eq!(seen.len(), expected);
            assert!(seen.is_sorted_by(|a, b| a < b));
        }
        let most = registry.page(&SessionQuery { limit: usize::MAX, ..SessionQuery::default() });
        assert_eq!(most.sessions.len(), SessionQuery::LIMIT);
        drop(seats);
    }

    #[test]
    fn a_seat_is_given_back_however_its_session_ends() {
        let (registry, tally, mut seats) = full(10);
        let one = seats.pop().unwrap();
        let id = one.entry.id;
        assert!(registry.find(id).is_some());
        let ended = std::thread::spawn(move || {
            let _seat = one;
            panic!("a connection's task panics");
        });
        assert!(ended.join().is_err());
        assert!(registry.find(id).is_none());
        assert_eq!(tally.active(), 9);
        drop(seats);
        assert_eq!(tally.active(), 0);
        assert_eq!(registry.page(&SessionQuery { limit: 1, ..SessionQuery::default() }).sessions, []);
    }

    #[test]
    fn an_entry_is_small() {
        assert!(size_of::<Entry>() <= 272, "{}", size_of::<Entry>());
    }

    #[test]
    fn of_two_sessions_with_one_id_the_later_is_found_until_it_ends() {
        let (registry, tally) = (Arc::new(Registry::default()), Arc::new(RouteTally::default()));
        let id = EventId::from_random(5);
        let (first, second) = (registry.seat(id, about("a"), &tally), registry.seat(id, about("b"), &tally));
        drop(first);
        assert_eq!(registry.find(id).unwrap().session().user.as_deref(), Some("b"));
        drop(second);
        assert!(registry.find(id).is_none());
    }
}

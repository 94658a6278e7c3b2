//! What is revoked, as this replica knows it: asked without waiting, bounded, and told to who wants to know.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, HashMap},
    hash::Hash,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use sockwarden_config::Network;
use sockwarden_model::EventId;

use crate::{
    Revocation, Revoked, Subject, TicketHash,
    feed::{Feed, Subscription},
};

/// The most revocations in force.
pub(crate) const MOST: usize = 100_000;

/// Says that there is no room for a further revocation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// All revocations that are known. Each kind has a lock of its own, which is only taken where there are some.
#[derive(Debug)]
pub(crate) struct Revocations {
    users: Shelf<Box<str>>,
    sessions: Shelf<EventId>,
    tickets: Shelf<TicketHash>,
    tokens: Shelf<Box<str>>,
    everything: Shelf<()>,
    networks: Shelf<Network>,
    /// How many networks there are of each length, IPv4 apart: an address is in at most one of each.
    lengths: RwLock<BTreeMap<(bool, u8), usize>>,
    /// Held by whoever changes anything, so that the bound holds.
    changing: Mutex<()>,
    most: usize,
    feed: Feed,
}

impl Revocations {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            users: Shelf::default(),
            sessions: Shelf::default(),
            tickets: Shelf::default(),
            tokens: Shelf::default(),
            everything: Shelf::default(),
            networks: Shelf::default(),
            lengths: RwLock::default(),
            changing: Mutex::default(),
            most,
            feed: Feed::new(),
        }
    }

    pub(crate) fn subscribe(&self) -> Subscription {
        self.feed.subscribe()
    }

    /// Puts a revocation in force and tells it, unless it is over or says nothing new.
    pub(crate) fn apply(&self, revocation: &Revocation, now_ms: u64) -> Result<(), Full> {
        let terms = Terms { at_ms: revocation.at_ms, until_ms: revocation.until_ms };
        let news = {
            let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
            if terms.until_ms <= now_ms {
                false
            } else {
                if !self.has(&revocation.what) && self.len() >= self.most {
                    self.forget(now_ms);
                    if self.len() >= self.most {
                        return Err(Full);
                    }
                }
                self.put(&revocation.what, terms)
            }
        };
        if news {
            self.feed.tell(Arc::new(revocation.clone()));
        }
        Ok(())
    }

    /// Forgets what is over.
    pub(crate) fn sweep(&self, now_ms: u64) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget(now_ms);
    }

    /// Tells whether something concerns a session or ticket.
    pub(crate) fn concern(&self, subject: &Subject<'_>, now_ms: u64) -> bool {
        let in_force = |terms: Option<Terms>| terms.filter(|terms| now_ms < terms.until_ms);
        let began_ms = subject.began_ms();
        let identity = subject.identity;
        in_force(self.everything.get(&())).is_some_and(|terms| began_ms < terms.at_ms)
            || identity.user.as_deref().is_some_and(|user| {
                in_force(self.users.get(user)).is_some_and(|terms| began_ms <= terms.at_ms)
            })
            || subject.session.is_some_and(|id| in_force(self.sessions.get(&id)).is_some())
            || subject.ticket.is_some_and(|hash| in_force(self.tickets.get(&hash)).is_some())
            || identity.token_id.as_deref().is_some_and(|id| in_force(self.tokens.get(id)).is_some())
            || self.networks_around(subject.client).any(|terms| in_force(Some(terms)).is_some())
    }

    pub(crate) fn len(&self) -> usize {
        self.users.len()
            + self.sessions.len()
            + self.tickets.len()
            + self.tokens.len()
            + self.everything.len()
            + self.networks.len()
    }

    fn networks_around(&self, client: IpAddr) -> impl Iterator<Item = Terms> {
        let client = client.to_canonical();
        let lengths: Vec<u8> = if self.networks.len() == 0 {
            Vec::new()
        } else {
            let lengths = self.lengths.read().unwrap_or_else(PoisonError::into_inner);
            lengths.keys().filter(|(ipv4, _)| *ipv4 == client.is_ipv4()).map(|(_, bits)| *bits).collect()
        };
        lengths.into_iter().filter_map(move |bits| self.networks.get(&Network::around(client, bits)))
    }

    fn has(&self, what: &Revoked) -> bool {
        match what {
            Revoked::User(user) => self.users.get(user.as_str()),
            Revoked::Session(id) => self.sessions.get(id),
            Revoked::Ticket(hash) => self.tickets.get(hash),
            Revoked::TokenId(id) => self.tokens.get(id.as_str()),
            Revoked::IssuedBefore => self.everything.get(&()),
            Revoked::Address(network) => self.networks.get(network),
        }
        .is_some()
    }

    /// Puts it where it belongs; tells whether it says something new.
    fn put(&self, what: &Revoked, terms: Terms) -> bool {
        match what {
            Revoked::User(user) => self.users.put(user.as_str().into(), terms),
            Revoked::Session(id) => self.sessions.put(*id, terms),
            Revoked::Ticket(hash) => self.tickets.put(*hash, terms),
            Revoked::TokenId(id) => self.tokens.put(id.as_str().into(), terms),
            Revoked::IssuedBefore => self.everything.put((), terms),
            Revoked::Address(network) => {
                let is_new = self.networks.get(network).is_none();
                if is_new {
                    let mut lengths = self.lengths.write().unwrap_or_else(PoisonError::into_inner);
                    *lengths.entry((network.is_ipv4(), network.bits())).or_default() += 1;
                }
                self.networks.put(*network, terms)
            }
        }
    }

    fn forget(&self, now_ms: u64) {
        self.users.sweep(now_ms, |_| ());
        self.sessions.sweep(now_ms, |_| ());
        self.tickets.sweep(now_ms, |_| ());
        self.tokens.sweep(now_ms, |_| ());
        self.everything.sweep(now_ms, |()| ());
        let mut lengths = self.lengths.write().unwrap_or_else(PoisonError::into_inner);
        self.networks.sweep(now_ms, |network| {
            let length = (network.is_ipv4(), network.bits());
            if let Some(count) = lengths.get_mut(&length) {
                *count -= 1;
                if *count == 0 {
                    lengths.remove(&length);
                }
            }
        });
    }
}

/// From when and for how long something is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Terms {
    at_ms: u64,
    until_ms: u64,
}

/// The revocations of one kind.
#[derive(Debug)]
struct Shelf<K> {
    /// Read before the lock is taken: mostly there is nothing.
    len: AtomicUsize,
    entries: RwLock<HashMap<K, Terms>>,
}

impl<K> Default for Shelf<K> {
    fn default() -> Self {
        Self { len: AtomicUsize::new(0), entries: RwLock::default() }
    }
}

impl<K: Hash + Eq> Shelf<K> {
    fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Terms>
    where
        K: Borrow<Q>,
    {
        if self.len() == 0 {
            return None;
        }
        self.entries.read().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    /// Keeps the later of both terms; tells whether anything has changed.
    fn put(&self, key: K, terms: Terms) -> bool {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let before = entries.get(&key).copied();
        let after = before.map_or(terms, |before| Terms {
            at_ms: before.at_ms.max(terms.at_ms),
            until_ms: before.until_ms.max(terms.until_ms),
        });
        entries.insert(key, after);
        self.len.store(entries.len(), Ordering::Release);
        before != Some(after)
    }

    fn sweep(&self, now_ms: u64, mut forgotten: impl FnMut(&K)) {
        if self.len() == 0 {
            return;
        }
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|key, terms| {
            let stays = now_ms < terms.until_ms;
            if !stays {
                forgotten(key);
            }
            stays
        });
        self.len.store(entries.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Identity;

    use super::*;
    use crate::{News, Ticket};

    #[test]
    fn a_revocation_concerns_what_it_names_and_nothing_else() {
        let mara = Identity { token_id: Some("j1".to_owned()), ..Identity::of_user("mara") };
        let ticket = Ticket::from_random([1; 32]).hash();
        let subject = Subject {
            identity: &mara,
            session: Some(EventId::from_random(1)),
            ticket: Some(ticket),
            client: "10.1.2.3".parse().unwrap(),
            since_ms: 1000,
        };
        let check = |what: Revoked, at_ms, expected| {
            let revocations = Revocations::new(10);
            assert!(!revocations.concern(&subject, 2000));
            revocations.apply(&Revocation { what: what.clone(), at_ms, until_ms: 5000 }, 2000).unwrap();
            assert_eq!(revocations.concern(&subject, 2000), expected, "{what:?}");
            assert_eq!(revocations.concern(&subject, 4999), expected, "{what:?}");
            assert!(!revocations.concern(&subject, 5000), "{what:?}");
        };
        check(Revoked::User("mara".to_owned()), 1000, true);
        check(Revoked::User("mara".to_owned()), 999, false);
        check(Revoked::User("Mara".to_owned()), 2000, false);
        check(Revoked::Session(EventId::from_random(1)), 0, true);
        check(Revoked::Session(EventId::from_random(2)), 0, false);
        check(Revoked::Ticket(ticket), 0, true);
        check(Revoked::Ticket(Ticket::from_random([2; 32]).hash()), 0, false);
        check(Revoked::TokenId("j1".to_owned()), 0, true);
        check(Revoked::TokenId("j2".to_owned()), 0, false);
        check(Revoked::IssuedBefore, 1001, true);
        check(Revoked::IssuedBefore, 1000, false);
        check(Revoked::Address("10.1.2.3".parse().unwrap()), 0, true);
        check(Revoked::Address("::ffff:10.1.2.3".parse().unwrap()), 0, true);
        check(Revoked::Address("10.0.0.0/8".parse().unwrap()), 0, true);
        check(Revoked::Address("0.0.0.0/0".parse().unwrap()), 0, true);
        check(Revoked::Address("10.1.2.4".parse().unwrap()), 0, false);
        check(Revoked::Address("::/0".parse().unwrap()), 0, false);
    }

    #[test]
    fn a_new_connection_does_not_make_an_old_token_good() {
        let check = |issued_at, since_ms, expected| {
            let identity = Identity { issued_at, ..Identity::of_user("mara") };
            let client = "::1".parse().unwrap();
            let subject = Subject { identity: &identity, session: None, ticket: None, client, since_ms };
            let revocations = Revocations::new(10);
            let user = Revoked::User("mara".to_owned());
            revocations.apply(&Revocation { what: user, at_ms: 10_000, until_ms: 90_000 }, 10_000).unwrap();
            assert_eq!(revocations.concern(&subject, 10_000), expected, "{issued_at:?} {since_ms}");
        };
        check(None, 9_000, true);
        check(None, 10_001, false);
        check(Some(9), 20_000, true);
        check(Some(11), 20_000, false);
        check(Some(u64::MAX), 20_000, false);
    }

    #[tokio::test]
    async fn what_is_said_twice_is_told_once() {
        let revocations = Revocations::new(10);
        let mut subscription = revocations.subscribe();
        let say = |at_ms, until_ms| {
            let what = Revoked::User("mara".to_owned());
            let revocation = Revocation { what, at_ms, until_ms };
            revocations.apply(&revocation, 50).unwrap();
            revocation
        };
        let first = say(10, 100);
        say(10, 100);
        say(9, 90);
        say(60, 50);
        let second = say(11, 100);
        for expected in [first, second] {
            assert_eq!(subscription.next().await, Some(News::Revoked(Arc::new(expected))));
        }
        drop(revocations);
        assert_eq!(subscription.next().await, None);
    }

    #[test]
    fn the_bound_holds_until_something_is_over() {
        let revocations = Revocations::new(3);
        let say = |number: u64, until_ms, now_ms| {
            let what = match number % 3 {
                0 => Revoked::Session(EventId::from_random(number)),
                1 => Revoked::User(number.to_string()),
                _ => Revoked::Address(Network::around([10, 0, 0, 1].into(), number as u8)),
            };
            revocations.apply(&Revocation { what, at_ms: 0, until_ms }, now_ms)
        };
        assert_eq!((say(0, 100, 0), say(1, 100, 0), say(2, 50, 0)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(say(3, 100, 49), Err(Full));
        assert_eq!(say(2, 60, 49), Ok(()), "what is known needs no room");
        assert_eq!(say(3, 100, 60), Ok(()));
        assert_eq!(revocations.len(), 3);
        assert!(revocations.lengths.read().unwrap().is_empty());
        revocations.sweep(100);
        assert_eq!(revocations.len(), 0);
    }
}

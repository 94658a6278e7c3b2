//! Tickets in memory: sharded, bounded, expiring. No lock is held while anything waits, and never two.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use crate::{IssueError, LONGEST_LIFE_MS, Refused, TicketHash, TicketRecord, owner::Owner};

/// Locks that tickets are spread over.
const SHARDS: usize = 64;

/// The fewest ended tickets that a shard remembers at its fullest.
const FEWEST_ENDED: usize = 16;

/// The tickets of one process.
#[derive(Debug)]
pub(crate) struct MemoryTickets {
    shards: [Mutex<Shard>; SHARDS],
    owners: [Mutex<Owners>; SHARDS],
    /// Those that are or will be outstanding; at most `most`.
    outstanding: AtomicUsize,
    expired: AtomicU64,
    most: usize,
    most_ended: usize,
    /// When all shards were swept for want of room, in milliseconds.
    swept_ms: AtomicU64,
}

impl MemoryTickets {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            owners: std::array::from_fn(|_| Mutex::default()),
            outstanding: AtomicUsize::new(0),
            expired: AtomicU64::new(0),
            most,
            most_ended: (most / SHARDS).max(FEWEST_ENDED),
            swept_ms: AtomicU64::new(0),
        }
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Gives how many expired before they were presented, or were presented too late.
    pub(crate) fn expired(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }

    /// Keeps a ticket whose record was checked.
    pub(crate) fn issue(
        &self,
        hash: TicketHash,
        record: &TicketRecord,
        most_per_user: u32,
        now_ms: u64,
    ) -> Result<(), IssueError> {
        let place = Place { expires_at_ms: record.expires_at_ms, hash };
        let list = match Owner::of(record) {
            Some(owner) => Some(self.enlist(owner, place, most_per_user, now_ms)?),
            None => None,
        };
        let kept = self.reserve(now_ms).and_then(|()| {
            let mut shard = self.shard(&hash);
            self.sweep_shard(&mut shard, now_ms);
            if shard.entries.contains_key(&hash) {
                self.outstanding.fetch_sub(1, Ordering::Relaxed);
                return Err(IssueError::Repeated);
            }
            let record = Box::new(record.clone());
            shard.entries.insert(hash, Entry::Kept { record, list: list.clone(), is_outstanding: true });
            shard.outstanding += 1;
            shard.expiries.push(Reverse(place));
            Ok(())
        });
        if kept.is_err()
            && let Some(list) = list
        {
            strike(&list, place);
        }
        kept
    }

    /// Takes what is known of a ticket; whoever comes later does not get it, whatever becomes of it.
    pub(crate) fn take(&self, hash: &TicketHash, now_ms: u64) -> Result<Taken, Refused> {
        let (taken, list) = {
            let mut shard = self.shard(hash);
            let entry = shard.entries.get_mut(hash).ok_or(Refused::Unknown)?;
            let forget_at_ms = entry.forget_at_ms();
            if forget_at_ms <= now_ms {
                return Err(Refused::Unknown);
            }
            match mem::replace(entry, Entry::Ended { is_expired: true, forget_at_ms }) {
                Entry::Ended { is_expired, .. } => {
                    *entry = Entry::Ended { is_expired, forget_at_ms };
                    return Err(if is_expired { Refused::Expired } else { Refused::Used });
                }
                Entry::Kept { record, list, is_outstanding } => {
                    // What was once said to have expired stays so, even for one whose clock is behind.
                    let is_expired = !is_outstanding || record.expires_at_ms <= now_ms;
                    *entry = Entry::Ended { is_expired, forget_at_ms };
                    if is_outstanding {
                        self.expired.fetch_add(u64::from(is_expired), Ordering::Relaxed);
                        self.end(&mut shard, *hash);
                    }
                    (Taken { record, is_expired }, list)
                }
            }
        };
        if let Some(list) = list {
            strike(&list, Place { expires_at_ms: taken.record.expires_at_ms, hash: *hash });
        }
        Ok(taken)
    }

    /// Forgets what is over.
    pub(crate) fn sweep(&self, now_ms: u64) {
        for shard in &self.shards {
            self.sweep_shard(&mut lock(shard), now_ms);
        }
        for owners in &self.owners {
            lock(owners).forget_idle();
        }
    }

    /// Makes room for one more outstanding ticket.
    fn reserve(&self, now_ms: u64) -> Result<(), IssueError> {
        let try_once = || {
            let one_more = |count| (count < self.most).then_some(count + 1);
            self.outstanding.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
        };
        if try_once() {
            return Ok(());
        }
        // All shards are looked at once in a millisecond, not for each who asks.
        if self.swept_ms.swap(now_ms, Ordering::Relaxed) != now_ms {
            self.sweep(now_ms);
            if try_once() {
                return Ok(());
            }
        }
        Err(IssueError::Full)
    }

    /// Puts a ticket on its owner's list.
    fn enlist(
        &self,
        owner: Owner,
        place: Place,
        most_per_user: u32,
        now_ms: u64,
    ) -> Result<Arc<List>, IssueError> {
        let list = {
            let mut owners = lock(&self.owners[owner.shard(SHARDS)]);
            owners.list(owner)
        };
        {
            let mut places = lock(&list);
            places.retain(|place| now_ms < place.expires_at_ms);
            if places.len() as u64 >= u64::from(most_per_user) {
                return Err(IssueError::TooMany);
            }
            places.push(place);
        }
        Ok(list)
    }

    fn shard(&self, hash: &TicketHash) -> MutexGuard<'_, Shard> {
        lock(&self.shards[usize::from(hash.first()) % SHARDS])
    }

    /// Notes that a ticket is outstanding no longer, and forgets the one that ended first where too many have.
    fn end(&self, shard: &mut Shard, hash: TicketHash) {
        shard.outstanding -= 1;
        self.outstanding.fetch_sub(1, Ordering::Relaxed);
        shard.ended.push_back(hash);
        if shard.ended.len() > self.most_ended
            && let Some(oldest) = shard.ended.pop_front()
        {
            shard.entries.remove(&oldest);
        }
    }

    fn sweep_shard(&self, shard: &mut Shard, now_ms: u64) {
        while let Some(Reverse(place)) = shard.expiries.peek().copied()
            && place.expires_at_ms <= now_ms
        {
            shard.expiries.pop();
            if let Some(Entry::Kept { record, list, is_outstanding }) = shard.entries.get_mut(&place.hash)
                && *is_outstanding
                && record.expires_at_ms <= now_ms
            {
                (*list, *is_outstanding) = (None, false);
                self.expired.fetch_add(1, Ordering::Relaxed);
                self.end(shard, place.hash);
            }
        }
        while let Some(oldest) = shard.ended.front()
            && shard.entries.get(oldest).is_none_or(|entry| entry.forget_at_ms() <= now_ms)
        {
            shard.entries.remove(oldest);
            shard.ended.pop_front();
        }
        // Whoever was taken leaves a place behind: they must not grow in number with the rate of tickets.
        if shard.expiries.len() > 2 * shard.outstanding + FEWEST_ENDED {
            let Shard { expiries, entries, .. } = shard;
            expiries.retain(|Reverse(place)| entries.get(&place.hash).is_some_and(Entry::is_outstanding));
        }
    }
}

/// What was taken of a ticket.
#[derive(Debug)]
pub(crate) struct Taken {
    /// What is known of it.
    pub(crate) record: Box<TicketRecord>,
    /// Whether its time is over.
    pub(crate) is_expired: bool,
}

/// The tickets of one lock.
#[derive(Debug, Default)]
struct Shard {
    entries: HashMap<TicketHash, Entry>,
    outstanding: usize,
    /// When outstanding ones expire; some of them may have been taken since.
    expiries: BinaryHeap<Reverse<Place>>,
    /// Those that are outstanding no longer, in the order in which they ended.
    ended: VecDeque<TicketHash>,
}

/// What is known of one ticket.
#[derive(Debug)]
enum Entry {
    /// Nobody has presented it. It is outstanding until it is found to have expired.
    Kept { record: Box<TicketRecord>, list: Option<Arc<List>>, is_outstanding: bool },
    /// It was presented, too late or not.
    Ended { is_expired: bool, forget_at_ms: u64 },
}

impl Entry {
    fn is_outstanding(&self) -> bool {
        match self {
            Self::Kept { is_outstanding, .. } => *is_outstanding,
            Self::Ended { .. } => false,
        }
    }

    fn forget_at_ms(&self) -> u64 {
        match self {
            Self::Kept { record, .. } => record.expires_at_ms.saturating_add(LONGEST_LIFE_MS),
            Self::Ended { forget_at_ms, .. } => *forget_at_ms,
        }
    }
}

/// A ticket by when it expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    expires_at_ms: u64,
    hash: TicketHash,
}

/// The outstanding tickets of one owner.
type List = Mutex<Vec<Place>>;

/// Takes a ticket off its owner's list.
fn strike(list: &List, place: Place) {
    let mut places = lock(list);
    if let Some(at) = places.iter().position(|&other| other == place) {
        places.swap_remove(at);
    }
}

/// The owners of one lock.
#[derive(Debug, Default)]
struct Owners {
    lists: HashMap<Owner, Arc<List>>,
    /// At how many owners to look for idle ones.
    full_at: usize,
}

impl Owners {
    fn list(&mut self, owner: Owner) -> Arc<List> {
        if self.lists.len() >= self.full_at {
            self.forget_idle();
        }
        Arc::clone(self.lists.entry(owner).or_default())
    }

    /// Forgets those of whom no ticket is outstanding: each of these holds the list.
    fn forget_idle(&mut self) {
        self.lists.retain(|_, list| Arc::strong_count(list) > 1);
        self.full_at = 2 * self.lists.len() + 64;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Identity;

    use super::*;
    use crate::Ticket;

    #[test]
    fn what_ended_is_remembered_and_then_forgotten() {
        let tickets = MemoryTickets::new(1000);
        let (used, lapsed, late) = (hash(1), hash(2), hash(3));
        for hash in [used, lapsed, late] {
            tickets.issue(hash, &record("mara", 100), 9, 0).unwrap();
        }
        assert!(!tickets.take(&used, 99).unwrap().is_expired);
        assert!(tickets.take(&late, 100).unwrap().is_expired);
        tickets.sweep(100);
        let check = |hash, now_ms, expected| {
            assert_eq!(tickets.take(&hash, now_ms).err(), expected, "{now_ms}");
        };
        check(lapsed, 99, None);
        let end = 100 + LONGEST_LIFE_MS;
        for now_ms in [100, end - 1] {
            check(used, now_ms, Some(Refused::Used));
            check(late, now_ms, Some(Refused::Expired));
            check(lapsed, now_ms, Some(Refused::Expired));
            check(hash(4), now_ms, Some(Refused::Unknown));
        }
        for hash in [used, late, lapsed] {
            check(hash, end, Some(Refused::Unknown));
        }
        assert_eq!((tickets.outstanding(), tickets.expired(), entries(&tickets)), (0, 2, 3));
        tickets.sweep(end);
        assert_eq!(entries(&tickets), 0);
    }

    #[test]
    fn a_ticket_is_issued_once() {
        let tickets = MemoryTickets::new(10);
        let issue = || tickets.issue(hash(1), &record("mara", 100), 9, 0);
        assert_eq!(issue(), Ok(()));
        assert_eq!(issue(), Err(IssueError::Repeated));
        tickets.take(&hash(1), 0).unwrap();
        assert_eq!(issue(), Err(IssueError::Repeated));
        assert_eq!(tickets.outstanding(), 0);
        assert_eq!(tickets.take(&hash(1), 0).err(), Some(Refused::Used));
    }

    #[test]
    fn each_user_has_so_many_and_each_network_without_a_user() {
        let tickets = MemoryTickets::new(1000);
        let mut next = 0;
        let mut issue = |record: &TicketRecord, now_ms| {
            next += 1;
            tickets.issue(hash(next), record, 2, now_ms)
        };
        let mara = record("mara", 100);
        assert_eq!((issue(&mara, 0), issue(&mara, 0)), (Ok(()), Ok(())));
        assert_eq!(issue(&mara, 0), Err(IssueError::TooMany));
        assert_eq!(issue(&record("ben", 100), 0), Ok(()));
        tickets.take(&hash(1), 0).unwrap();
        assert_eq!(issue(&record("mara", 200), 0), Ok(()), "one was taken");
        assert_eq!(issue(&mara, 99), Err(IssueError::TooMany));
        assert_eq!(issue(&record("mara", 200), 100), Ok(()), "one has expired");
        assert_eq!(issue(&record("mara", 200), 100), Err(IssueError::TooMany));
        let nobody = |address: Option<&str>| TicketRecord {
            identity: Identity::default(),
            client: address.map(|address| address.parse().unwrap()),
            ..record("", 100)
        };
        assert_eq!(issue(&nobody(Some("10.0.0.1")), 0), Ok(()));
        assert_eq!(issue(&nobody(Some("::ffff:10.0.0.1")), 0), Ok(()));
        assert_eq!(issue(&nobody(Some("10.0.0.1")), 0), Err(IssueError::TooMany));
        assert_eq!(issue(&nobody(Some("10.0.0.2")), 0), Ok(()));
        assert_eq!(issue(&nobody(Some("2001:db8::1")), 0), Ok(()));
        assert_eq!(issue(&nobody(Some("2001:db8::2")), 0), Ok(()));
        assert_eq!(issue(&nobody(Some("2001:db8::3")), 0), Err(IssueError::TooMany));
        for _ in 0..3 {
            assert_eq!(issue(&nobody(None), 0), Ok(()), "nobody is known to be the same");
        }
    }

    #[test]
    fn there_is_room_for_so_many_until_some_are_over() {
        let tickets = MemoryTickets::new(3);
        for number in 0..3 {
            tickets.issue(hash(number), &record("mara", 100), 9, 0).unwrap();
        }
        assert_eq!(tickets.issue(hash(3), &record("mara", 100), 9, 99), Err(IssueError::Full));
        tickets.take(&hash(0), 99).unwrap();
        assert_eq!(tickets.issue(hash(3), &record("mara", 200), 9, 99), Ok(()));
        assert_eq!(tickets.issue(hash(4), &record("ben", 200), 9, 100), Ok(()), "two have expired");
        assert_eq!(tickets.outstanding(), 2);
    }

    #[test]
    fn nothing_grows_with_the_rate_of_tickets() {
        let tickets = MemoryTickets::new(64);
        for number in 0..100_000 {
            let hash = hash(number);
            tickets.issue(hash, &record(&number.to_string(), 300_000), 1, 0).unwrap();
            tickets.take(&hash, 0).unwrap();
        }
        assert!(entries(&tickets) <= SHARDS * (FEWEST_ENDED + 1), "{}", entries(&tickets));
        let places: usize = tickets.shards.iter().map(|shard| lock(shard).expiries.len()).sum();
        assert!(places <= SHARDS * (FEWEST_ENDED + 2), "{places}");
        let owners: usize = tickets.owners.iter().map(|owners| lock(owners).lists.len()).sum();
        assert!(owners <= SHARDS * 65, "{owners}");
    }

    fn hash(number: u32) -> TicketHash {
        let mut random = [0; 32];
        random[..4].copy_from_slice(&number.to_le_bytes());
        Ticket::from_random(random).hash()
    }

    fn record(user: &str, expires_at_ms: u64) -> TicketRecord {
        TicketRecord {
            identity: Identity::of_user(user),
            route: "chat".to_owned(),
            origin: None,
            client: None,
            issued_at_ms: 0,
            expires_at_ms,
            note: None,
        }
    }

    fn entries(tickets: &MemoryTickets) -> usize {
        tickets.shards.iter().map(|shard| lock(shard).entries.len()).sum()
    }
}

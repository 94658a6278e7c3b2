//! What one application can take, and what each of its users may send.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Waker,
};

use crate::{
    BanPolicy, Cost, Lane, Quota, Subject, User,
    allowance::{Allowance, Sources},
    lending::{Desk, Purse},
    turns::{Told, Turns},
};

/// Locks that users are spread over.
const SHARDS: usize = 16;

/// Users that one lock remembers at least before it forgets those who are as new.
const FEWEST: usize = 256;

/// What is limited; nothing where there is no quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages of one user.
    pub messages: Option<Quota>,
    /// Bytes of one user.
    pub bytes: Option<Quota>,
    /// Messages of some kinds of one user; at most 32 kinds.
    pub kinds: Vec<Quota>,
    /// Messages of all users.
    pub all_messages: Option<Quota>,
    /// Bytes of all users.
    pub all_bytes: Option<Quota>,
    /// How much of one user waits before nothing more is read from it.
    pub queue: Queue,
    /// When users are shut out.
    pub ban: BanPolicy,
}

impl Limits {
    fn of_one(&self) -> Sources<Quota> {
        let kinds = self.kinds.iter().copied().collect();
        Sources { messages: self.messages, bytes: self.bytes, kinds }
    }

    fn of_all(&self) -> Sources<Quota> {
        Sources { messages: self.all_messages, bytes: self.all_bytes, kinds: [].into() }
    }
}

/// How much of one user may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Messages.
    pub messages: usize,
    /// Bytes.
    pub bytes: u64,
}

/// The limits of one application, and its users, in one direction. A clone is the same one.
#[derive(Clone)]
pub struct Limiter(Arc<Inner>);

struct Inner {
    limits: Limits,
    /// What each user has a bucket of.
    quotas: Sources<Quota>,
    application: Allowance,
    /// Where leases are asked for, where buckets are shared with other replicas.
    desk: OnceLock<Arc<Desk>>,
    /// Whether the application makes users wait: then everybody takes turns.
    contended: AtomicBool,
    hasher: RandomState,
    users: [Mutex<Shard>; SHARDS],
    turns: Mutex<Turns>,
    /// How many wait at all.
    waiting: AtomicUsize,
    /// Says that [`Limiter::poll`] is wanted sooner than it was told.
    bell: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Shard {
    users: HashMap<Subject, Arc<User>>,
    /// At how many it is swept.
    sweep_at: usize,
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limiter").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl Limiter {
    /// Begins with full buckets. `bell` is rung when [`Limiter::poll`] is wanted sooner than it was told last; it must not call back.
    pub fn new(limits: Limits, bell: impl Fn() + Send + Sync + 'static) -> Self {
        let turns = Mutex::new(Turns::new(limits.queue));
        Self(Arc::new(Inner {
            quotas: limits.of_one(),
            application: Allowance::new(&limits.of_all()),
            limits,
            desk: OnceLock::new(),
            contended: AtomicBool::new(false),
            hasher: RandomState::new(),
            users: std::array::from_fn(|_| Mutex::default()),
            turns,
            waiting: AtomicUsize::new(0),
            bell: Box::new(bell),
        }))
    }

    /// Gives what is limited.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Finds a user, or enters it.
    pub fn user(&self, subject: &Subject, now: u64) -> Arc<User> {
        let Inner { limits, quotas, desk, hasher, users, .. } = &*self.0;
        let shard = hasher.hash_one(subject) as usize % SHARDS;
        let mut shard = users[shard].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(user) = shard.users.get(subject) {
            user.is_expected(now);
            return Arc::clone(user);
        }
        if shard.users.len() >= shard.sweep_at.max(FEWEST) {
            // Whoever is connected is kept by its lanes.
            shard.users.retain(|_, user| Arc::strong_count(user) > 1 || !user.is_as_new(&limits.ban, now));
            shard.sweep_at = shard.users.len() * 2;
        }
        let allowance = Allowance::new(quotas);
        if let Some(desk) = desk.get()
            && subject.is_known_elsewhere()
        {
            allowance.share(Arc::new(Purse::new(Some(subject.clone()), quotas, Arc::clone(desk))));
        }
        let user = Arc::new(User::new(allowance));
        shard.users.insert(subject.clone(), Arc::clone(&user));
        user.is_expected(now);
        user
    }

    /// Finds a user that is known.
    pub fn known(&self, subject: &Subject) -> Option<Arc<User>> {
        let shard = self.0.hasher.hash_one(subject) as usize % SHARDS;
        self.0.users[shard].lock().unwrap_or_else(PoisonError::into_inner).users.get(subject).cloned()
    }

    /// Gives those who are shut out, and for how many ticks still.
    pub fn banned(&self, now: u64) -> Vec<(Subject, u64)> {
        let mut banned = Vec::new();
        for shard in &self.0.users {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let still =
                shard.users.iter().filter_map(|(subject, user)| Some((subject.clone(), user.banned(now)?)));
            banned.extend(still);
        }
        banned
    }

    /// Gives a connection of a user its place.
    pub fn lane(&self, user: Arc<User>) -> Lane {
        Lane::new(self.clone(), user, Waker::noop().clone())
    }

    /// Lets those pass whose time has come, and tells when to be called again; never, where that is not known.
    pub fn poll(&self, now: u64) -> Option<u64> {
        self.with_turns(|inner, turns, woken| turns.poll(&inner.application, now, woken))
    }

    /// Tells how many messages of all users wait.
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// Tells whether a message passes at once.
    #[inline]
    pub(crate) fn passes(&self, user: &User, cost: Cost, now: u64) -> bool {
        let Inner { application, contended, .. } = &*self.0;
        if user.waits() || contended.load(Ordering::Relaxed) {
            return false;
        }
        let Ok(taken) = user.allowance.take(cost, now) else { return false };
        application.take(cost, now).inspect_err(|_| user.allowance.give_back(cost, taken)).is_ok()
    }

    /// Tells whether a message passes by the buckets of this process.
    pub(crate) fn would_pass(&self, user: &User, cost: Cost, now: u64) -> bool {
        let Inner { application, contended, .. } = &*self.0;
        if user.waits() || contended.load(Ordering::Relaxed) {
            return false;
        }
        let Ok(taken) = user.allowance.take_own(cost, now) else { return false };
        application.take_own(cost, now).inspect_err(|_| user.allowance.give_back(cost, taken)).is_ok()
    }

    pub(crate) fn is_full(&self, user: &User) -> bool {
        let (messages, bytes) = user.waiting();
        let Queue { messages: most, bytes: most_bytes } = self.0.limits.queue;
        messages >= most || bytes >= most_bytes
    }

    pub(crate) fn enter(&self, user: &Arc<User>, waker: Waker) -> (usize, Arc<Told>) {
        self.turns().enter(user, waker)
    }

    pub(crate) fn wake_by(&self, lane: usize, waker: &Waker) {
        self.turns().wake_by(lane, waker);
    }

    pub(crate) fn queue(&self, lane: usize, cost: Cost, now: u64) {
        self.poll_after(now, |turns| turns.push(lane, cost));
    }

    /// Changes what waits and lets those pass whose time has come.
    fn poll_after(&self, now: u64, change: impl FnOnce(&mut Turns)) {
        let (before, next) = self.with_turns(|inner, turns, woken| {
            let before = turns.armed;
            change(turns);
            (before, turns.poll(&inner.application, now, woken))
        });
        if next.is_some_and(|next| before.is_none_or(|before| next < before)) {
            (self.0.bell)();
        }
    }

    pub(crate) fn withdraw(&self, lane: usize, count: usize) -> usize {
        self.with_turns(|_, turns, woken| turns.withdraw(lane, count, woken))
    }

    /// Has a connection woken when there is room; tells whether there is none.
    pub(crate) fn pause(&self, lane: usize, user: &User) -> bool {
        let mut turns = self.turns();
        // There may have come to be room before the turns were held.
        let is_full = self.is_full(user);
        if is_full {
            turns.pause(lane);
        }
        is_full
    }

    pub(crate) fn leave(&self, lane: usize) {
        self.with_turns(|_, turns, woken| turns.leave(lane, woken));
    }

    /// Does something with the turns, then wakes whom it concerns.
    fn with_turns<T>(&self, act: impl FnOnce(&Inner, &mut Turns, &mut Vec<Waker>) -> T) -> T {
        let mut woken = Vec::new();
        let mut turns = self.turns();
        let done = act(&self.0, &mut turns, &mut woken);
        self.0.contended.store(turns.is_contended(), Ordering::Relaxed);
        self.0.waiting.store(turns.waiting, Ordering::Relaxed);
        drop(turns);
        woken.into_iter().for_each(Waker::wake);
        done
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.0.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

mod shared;
#[cfg(test)]
mod shared_tests;
#[cfg(test)]
mod tests;

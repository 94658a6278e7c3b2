//! Whose message passes next: what waits, in the order of each connection, users by turns.
//!
//! Among users it is start-time fair queueing: a turn begins, in virtual time, when the user's last one was over or now, whichever is
//! later, and lasts as long as the message takes of what the application can take. Who takes turns longest ago is next. A user whose
//! own buckets make it wait does not hold up others.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Waker,
};

use slab::Slab;

use crate::{Cost, Queue, User, allowance::Allowance};

/// The place of a user of whom nothing waits.
pub(crate) const NOWHERE: usize = usize::MAX;

#[derive(Debug)]
pub(crate) struct Turns {
    /// How much of one user may wait.
    most: Queue,
    /// How many messages wait.
    pub(crate) waiting: usize,
    lanes: Slab<Queued>,
    users: Slab<Waiting>,
    /// Users whose own buckets let their next message pass, or may, by when their turn begins in virtual time.
    ready: BTreeSet<(u64, usize)>,
    /// Users whose own buckets make them wait, by when that is over.
    later: BTreeSet<(u64, usize)>,
    /// Virtual time: when the last turn began.
    clock: u64,
    /// When [`Turns::poll`] is wanted, as far as whoever calls it was told.
    pub(crate) armed: Option<u64>,
}

/// What waits on one connection.
#[derive(Debug)]
struct Queued {
    user: Arc<User>,
    costs: VecDeque<Cost>,
    told: Arc<Told>,
    waker: Waker,
}

/// What a connection is told without holding the turns.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// How many of its messages may leave.
    pub(crate) granted: AtomicUsize,
    /// Whether it is woken when there is room.
    pub(crate) paused: AtomicBool,
}

/// A user of whom something waits, or would be read.
#[derive(Debug)]
struct Waiting {
    user: Arc<User>,
    /// Its connections on which something waits; the first one has the next turn.
    lanes: VecDeque<usize>,
    /// Its connections that nothing is read from until there is room.
    paused: Vec<usize>,
    position: Position,
}

#[derive(Clone, Copy, Debug)]
enum Position {
    Ready(u64),
    Later(u64),
    /// Nothing of it waits.
    Idle,
}

impl Turns {
    pub(crate) const fn new(most: Queue) -> Self {
        Self {
            most,
            waiting: 0,
            lanes: Slab::new(),
            users: Slab::new(),
            ready: BTreeSet::new(),
            later: BTreeSet::new(),
            clock: 0,
            armed: None,
        }
    }

    /// Tells whether the application makes users wait.
    pub(crate) fn is_contended(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Enters a connection, and gives its key and what it is told.
    pub(crate) fn enter(&mut self, user: &Arc<User>, waker: Waker) -> (usize, Arc<Told>) {
        let told = Arc::<Told>::default();
        let queued =
            Queued { user: Arc::clone(user), costs: VecDeque::new(), told: Arc::clone(&told), waker };
        (self.lanes.insert(queued), told)
    }

    /// Names whom to wake for a connection from now on.
    pub(crate) fn wake_by(&mut self, lane: usize, waker: &Waker) {
        self.lanes[lane].waker.clone_from(waker);
    }

    /// Queues a message behind what waits on a connection.
    pub(crate) fn push(&mut self, lane: usize, cost: Cost) {
        let queued = &mut self.lanes[lane];
        queued.costs.push_back(cost);
        queued.user.queue(cost.bytes);
        self.waiting += 1;
        if queued.costs.len() > 1 {
            return;
        }
        let user = Arc::clone(&queued.user);
        let place = self.place(&user);
        let waiting = &mut self.users[place];
        waiting.lanes.push_back(lane);
        if matches!(waiting.position, Position::Idle) {
            self.make_ready(place);
        }
    }

    /// Notes that nothing is read from a connection until its user has room.
    pub(crate) fn pause(&mut self, lane: usize) {
        let queued = &self.lanes[lane];
        if queued.told.paused.swap(true, Ordering::Relaxed) {
            return;
        }
        let user = Arc::clone(&queued.user);
        let place = self.place(&user);
        self.users[place].paused.push(lane);
    }

    /// Takes the first `count` messages of a connection back, but for those that have been granted meanwhile, which are told.
    pub(crate) fn withdraw(&mut self, lane: usize, count: usize, woken: &mut Vec<Waker>) -> usize {
        let queued = &mut self.lanes[lane];
        let granted = queued.told.granted.load(Ordering::Relaxed).min(count);
        queued.told.granted.fetch_sub(granted, Ordering::Relaxed);
        let user = Arc::clone(&queued.user);
        let had = !queued.costs.is_empty();
        for cost in queued.costs.drain(..(count - granted).min(queued.costs.len())) {
            user.unqueue(cost.bytes);
            self.waiting -= 1;
        }
        if had && queued.costs.is_empty() {
            self.unlist(lane, &user);
        }
        self.resume(&user, woken);
        granted
    }

    /// Forgets a connection and all that waits on it.
    pub(crate) fn leave(&mut self, lane: usize, woken: &mut Vec<Waker>) {
        self.withdraw(lane, usize::MAX, woken);
        let user = self.lanes.remove(lane).user;
        let place = user.place.load(Ordering::Relaxed);
        if let Some(waiting) = self.users.get_mut(place) {
            waiting.paused.retain(|paused| *paused != lane);
            self.settle(place);
        }
    }

    /// Grants what may pass now, and tells when to ask again. Who is to be woken goes to `woken`.
    pub(crate) fn poll(&mut self, application: &Allowance, now: u64, woken: &mut Vec<Waker>) -> Option<u64> {
        while let Some(&(at, place)) = self.later.first()
            && at <= now
        {
            self.later.pop_first();
            self.make_ready(place);
        }
        let mut full = None;
        while let Some(&(begin, place)) = self.ready.first() {
            let waiting = &mut self.users[place];
            let Some(&lane) = waiting.lanes.front() else { break };
            let queued = &mut self.lanes[lane];
            let Some(&cost) = queued.costs.front() else { break };
            let user = Arc::clone(&waiting.user);
            let taken = match user.allowance.take(cost, now) {
                Ok(taken) => taken,
                Err(wait) => {
                    let at = now.saturating_add(wait);
                    waiting.position = Position::Later(at);
                    self.ready.pop_first();
                    self.later.insert((at, place));
                    continue;
                }
            };
            if let Err(wait) = application.take(cost, now) {
                user.allowance.give_back(cost, taken);
                full = Some(now.saturating_add(wait));
                break;
            }
            queued.costs.pop_front();
            user.unqueue(cost.bytes);
            self.waiting -= 1;
            if queued.told.granted.fetch_add(1, Ordering::Relaxed) == 0 {
                woken.push(queued.waker.clone());
            }
            waiting.lanes.pop_front();
            if !queued.costs.is_empty() {
                waiting.lanes.push_back(lane);
            }
            self.clock = begin;
            user.finish.store(begin.saturating_add(application.price(cost)), Ordering::Relaxed);
            self.ready.pop_first();
            waiting.position = Position::Idle;
            if !waiting.lanes.is_empty() {
                self.make_ready(place);
            }
            self.resume(&user, woken);
        }
        let later = self.later.first().map(|(at, _)| *at);
        // Who waits for a lease is tried again when it comes.
        self.armed = full.into_iter().chain(later).min().filter(|at| *at < u64::MAX);
        self.armed
    }

    /// Has a user tried again that its own buckets made wait.
    pub(crate) fn try_again(&mut self, user: &User) {
        let place = user.place.load(Ordering::Relaxed);
        if let Some(waiting) = self.users.get(place)
            && let Position::Later(at) = waiting.position
        {
            self.later.remove(&(at, place));
            self.make_ready(place);
        }
    }

    /// Has everybody tried again that own buckets made wait.
    pub(crate) fn try_all_again(&mut self) {
        for (_, place) in std::mem::take(&mut self.later) {
            self.make_ready(place);
        }
    }

    /// Gives the place of a user among those that wait.
    fn place(&mut self, user: &Arc<User>) -> usize {
        let place = user.place.load(Ordering::Relaxed);
        if place != NOWHERE {
            return place;
        }
        let waiting = Waiting {
            user: Arc::clone(user),
            lanes: VecDeque::new(),
            paused: Vec::new(),
            position: Position::Idle,
        };
        let place = self.users.insert(waiting);
        user.place.store(place, Ordering::Relaxed);
        place
    }

    fn make_ready(&mut self, place: usize) {
        let waiting = &mut self.users[place];
        let begin = waiting.user.finish.load(Ordering::Relaxed).max(self.clock);
        waiting.position = Position::Ready(begin);
        self.ready.insert((begin, place));
    }

    /// Takes a connection on which nothing waits any more off its user's list.
    fn unlist(&mut self, lane: usize, user: &User) {
        let place = user.place.load(Ordering::Relaxed);
        let Some(waiting) = self.users.get_mut(place) else { return };
        waiting.lanes.retain(|listed| *listed != lane);
        if !waiting.lanes.is_empty() {
            return;
        }
        match std::mem::replace(&mut waiting.position, Position::Idle) {
            Position::Ready(begin) => self.ready.remove(&(begin, place)),
            Position::Later(at) => self.later.remove(&(at, place)),
            Position::Idle => false,
        };
    }

    /// Wakes the connections of a user that nothing is read from, once half of what may wait is gone: not for each message.
    fn resume(&mut self, user: &User, woken: &mut Vec<Waker>) {
        let place = user.place.load(Ordering::Relaxed);
        let Some(waiting) = self.users.get_mut(place) else { return };
        let (messages, bytes) = user.waiting();
        if messages <= self.most.messages / 2 && bytes <= self.most.bytes / 2 {
            for lane in waiting.paused.drain(..) {
                if let Some(queued) = self.lanes.get(lane) {
                    queued.told.paused.store(false, Ordering::Relaxed);
                    woken.push(queued.waker.clone());
                }
            }
        }
        self.settle(place);
    }

    /// Forgets the place of a user of whom nothing waits.
    fn settle(&mut self, place: usize) {
        let is_over = |waiting: &Waiting| waiting.lanes.is_empty() && waiting.paused.is_empty();
        if self.users.get(place).is_some_and(is_over) {
            let waiting = self.users.remove(place);
            waiting.user.place.store(NOWHERE, Ordering::Relaxed);
        }
    }
}

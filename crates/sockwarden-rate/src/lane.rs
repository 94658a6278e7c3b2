//! One connection's place with a limiter.

use std::{
    sync::{Arc, atomic::Ordering},
    task::Waker,
};

use crate::{Cost, Limiter, User, turns::Told};

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It passes now.
    Pass,
    /// It waits behind what waits already; [`Lane::granted`] tells when it may leave.
    Wait,
}

/// The messages of one connection, in one direction, in their order. Whoever holds them keeps as many as [`Lane::len`] tells.
#[derive(Debug)]
pub struct Lane {
    limiter: Limiter,
    user: Arc<User>,
    /// How many wait.
    len: usize,
    waker: Waker,
    /// Its key among what waits, once something has waited.
    entered: Option<(usize, Arc<Told>)>,
}

impl Lane {
    pub(crate) const fn new(limiter: Limiter, user: Arc<User>, waker: Waker) -> Self {
        Self { limiter, user, len: 0, waker, entered: None }
    }

    /// Names whom to wake when messages may leave or there is room for more; what was granted before is found by [`Lane::granted`].
    pub fn wake_by(&mut self, waker: &Waker) {
        if self.waker.will_wake(waker) {
            return;
        }
        self.waker.clone_from(waker);
        if let Some((lane, _)) = &self.entered {
            self.limiter.wake_by(*lane, waker);
        }
    }

    /// Gives whose it is.
    pub const fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// Tells how many messages wait.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Tells whether none waits.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Tells whether a message passes now; if not, nothing is noted of it. Shared buckets are not asked, only those of this process:
    /// what is not there yet says nothing about who sends it.
    pub fn passes(&self, cost: Cost, now: u64) -> bool {
        self.len == 0 && self.limiter.would_pass(&self.user, cost, now)
    }

    /// Tells after how long everything that its user has waiting would have passed, if nobody else sent anything.
    pub fn clears_in(&self, now: u64) -> u64 {
        self.user.clears_in(now)
    }

    /// Takes note that a message was rejected; tells for how long its user is shut out, if it now is.
    pub fn offends(&self, now: u64) -> Option<u64> {
        self.user.offends(&self.limiter.limits().ban, now)
    }

    /// Asks whether a message may pass now; if not, it waits.
    #[inline]
    pub fn offer(&mut self, cost: Cost, now: u64) -> Offer {
        if self.len == 0 && self.limiter.passes(&self.user, cost, now) {
            return Offer::Pass;
        }
        self.wait(cost, now)
    }

    #[cold]
    fn wait(&mut self, cost: Cost, now: u64) -> Offer {
        self.len += 1;
        let lane = self.enter();
        self.limiter.queue(lane, cost, now);
        Offer::Wait
    }

    /// Tells whether what waits may do so only until shared buckets answer: so far they gave all that was asked for.
    pub fn awaits_answer(&self, now: u64) -> bool {
        self.limiter.awaits_answer(&self.user, now)
    }

    /// Takes how many of the first messages that wait may leave now.
    pub fn granted(&mut self) -> usize {
        let granted = self.entered.as_ref().map_or(0, |(_, told)| told.granted.swap(0, Ordering::Relaxed));
        self.len -= granted;
        granted
    }

    /// Gives up the first `count` messages that wait; tells how many of them may leave after all.
    pub fn withdraw(&mut self, count: usize) -> usize {
        let count = count.min(self.len);
        let Some((lane, _)) = &self.entered else { return 0 };
        self.len -= count;
        self.limiter.withdraw(*lane, count)
    }

    /// Tells whether the user has as much waiting as may wait; it is woken then when there is room.
    pub fn is_full(&mut self) -> bool {
        if !self.limiter.is_full(&self.user) {
            return false;
        }
        let is_listed = |(_, told): &(usize, Arc<Told>)| told.paused.load(Ordering::Relaxed);
        if self.entered.as_ref().is_some_and(is_listed) {
            return true;
        }
        let lane = self.enter();
        self.limiter.pause(lane, &self.user)
    }

    fn enter(&mut self) -> usize {
        let Self { limiter, user, waker, entered, .. } = self;
        entered.get_or_insert_with(|| limiter.enter(user, waker.clone())).0
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some((lane, _)) = &self.entered {
            self.limiter.leave(*lane);
        }
    }
}

//! One of those who share an application.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use crate::{allowance::Allowance, turns::NOWHERE};

/// When somebody is shut out for a while, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BanPolicy {
    /// After how many rejected messages; 0 bans nobody.
    pub after: u32,
    /// Within which time.
    pub within: u64,
    /// For how long, the first time; each further one is twice as long.
    pub first: u64,
    /// The longest. Who has behaved for as long begins anew.
    pub most: u64,
}

/// What is known of one user, whatever the number of its sockets.
#[derive(Debug)]
pub struct User {
    pub(crate) allowance: Allowance,
    /// What waits: messages, and their bytes.
    messages: AtomicUsize,
    bytes: AtomicU64,
    /// Its place among those that wait; changed by who holds the turns only.
    pub(crate) place: AtomicUsize,
    /// When its last turn was over, in virtual time.
    pub(crate) finish: AtomicU64,
    banned_until: AtomicU64,
    conduct: Mutex<Conduct>,
}

#[derive(Debug, Default)]
struct Conduct {
    rejected: u32,
    since: u64,
    /// How long the last ban was.
    last: u64,
}

impl User {
    pub(crate) fn new(allowance: Allowance) -> Self {
        Self {
            allowance,
            messages: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            place: AtomicUsize::new(NOWHERE),
            finish: AtomicU64::new(0),
            banned_until: AtomicU64::new(0),
            conduct: Mutex::default(),
        }
    }

    /// Tells how many messages wait, and how many bytes they have.
    pub fn waiting(&self) -> (usize, u64) {
        (self.messages.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn waits(&self) -> bool {
        self.messages.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn queue(&self, bytes: u64) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn unqueue(&self, bytes: u64) {
        self.messages.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Tells after how long everything that waits would have passed.
    pub(crate) fn clears_in(&self, now: u64) -> u64 {
        let (messages, bytes) = self.waiting();
        self.allowance.clears_in(messages as u64, bytes, now)
    }

    /// Tells for how long it is still shut out.
    #[inline]
    pub fn banned(&self, now: u64) -> Option<u64> {
        self.banned_until.load(Ordering::Relaxed).checked_sub(now).filter(|left| *left > 0)
    }

    /// Shuts it out until then, or lets it in again at once where that is over.
    ///
    /// Where buckets are shared, other replicas hear of it.
    pub fn ban_until(&self, until: u64) {
        self.banned_until.store(until, Ordering::Relaxed);
        if let Some(purse) = self.allowance.purse() {
            purse.tell_ban(until);
        }
    }

    /// Has asked ahead for what it will use, and whether it is still shut out, where others know that too.
    pub fn is_expected(&self, now: u64) {
        let Some(purse) = self.allowance.purse() else { return };
        if self.banned(now).is_some() {
            // It may have been let in again elsewhere.
            purse.want(now);
        }
        purse.expect_use(now);
    }

    /// Hears from other replicas for how many ticks it is shut out.
    pub(crate) fn hear_ban(&self, left: u64, now: u64) {
        let until = if left == 0 {
            self.banned_until.load(Ordering::Relaxed).min(now)
        } else {
            now.saturating_add(left)
        };
        self.banned_until.store(until, Ordering::Relaxed);
    }

    /// Takes note that a message of it was rejected; tells for how long it is shut out, if it now is.
    pub fn offends(&self, policy: &BanPolicy, now: u64) -> Option<u64> {
        if policy.after == 0 || self.banned(now).is_some() {
            return None;
        }
        let mut conduct = self.conduct.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(conduct.since) > policy.within {
            (conduct.rejected, conduct.since) = (0, now);
        }
        conduct.rejected += 1;
        if conduct.rejected < policy.after {
            return None;
        }
        let over = self.banned_until.load(Ordering::Relaxed);
        let is_new = conduct.last == 0 || now.saturating_sub(over) > policy.most;
        let length = if is_new { policy.first } else { conduct.last.saturating_mul(2) }.min(policy.most);
        *conduct = Conduct { rejected: 0, since: now, last: length };
        self.ban_until(now.saturating_add(length));
        Some(length)
    }

    /// Tells whether nothing is known of it that a new one would not know.
    pub(crate) fn is_as_new(&self, policy: &BanPolicy, now: u64) -> bool {
        let over = self.banned_until.load(Ordering::Relaxed);
        let forgiven = over == 0 || now.saturating_sub(over) > policy.most;
        !self.waits() && forgiven && self.allowance.is_full(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allowance::Sources;

    #[test]
    fn bans_grow_are_capped_and_are_forgiven() {
        let policy = BanPolicy { after: 3, within: 100, first: 10, most: 35 };
        let nothing = Sources { messages: None, bytes: None, kinds: [].into() };
        let user = User::new(Allowance::new(&nothing));
        let offend = |at| user.offends(&policy, at);
        assert_eq!([offend(0), offend(1), offend(102), offend(103)], [None; 4], "too far apart");
        assert_eq!(offend(104), Some(10));
        assert_eq!(
            (user.banned(105), offend(106), user.banned(113), user.banned(114)),
            (Some(9), None, Some(1), None)
        );
        let offend = |at| [user.offends(&policy, at), user.offends(&policy, at), user.offends(&policy, at)];
        assert_eq!(offend(120), [None, None, Some(20)]);
        assert_eq!(offend(150), [None, None, Some(35)]);
        assert_eq!(offend(221), [None, None, Some(10)], "it behaved for long enough");
        user.ban_until(0);
        assert_eq!(user.banned(222), None);
        let none = BanPolicy { after: 0, ..policy };
        assert_eq!(user.offends(&none, 300), None);
    }
}

//! What was lent to one user, or to one application.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::{Answer, Ask, BucketName, Desk, Wish, lease::Lease};
use crate::{Cost, Quota, Subject, allowance::Sources};

/// Says that no ban is to be told.
const NOTHING: u64 = u64::MAX;

/// The leases of one user, or of one application.
#[derive(Debug)]
pub(crate) struct Purse {
    /// Nobody for the application.
    subject: Option<Subject>,
    leases: Sources<Lease>,
    /// Whether it is on the desk, or asked for and not answered.
    is_asked_for: AtomicBool,
    not_before: AtomicU64,
    /// Until when others are to be told that it is shut out, if they are.
    untold: AtomicU64,
    desk: Arc<Desk>,
}

impl Purse {
    pub(crate) fn new(subject: Option<Subject>, quotas: &Sources<Quota>, desk: Arc<Desk>) -> Self {
        Self {
            subject,
            leases: Sources::new(quotas, |quota| Lease::new(quota, &desk.lending)),
            is_asked_for: AtomicBool::new(false),
            not_before: AtomicU64::new(0),
            untold: AtomicU64::new(NOTHING),
            desk,
        }
    }

    pub(crate) const fn subject(&self) -> Option<&Subject> {
        self.subject.as_ref()
    }

    /// Tells whether messages are paid from it: not during an outage.
    #[inline]
    pub(crate) fn is_used(&self) -> bool {
        self.desk.is_open()
    }

    /// Takes what a message costs, all of it or nothing, and has the purse filled where that is due.
    #[inline]
    pub(crate) fn take(self: &Arc<Self>, cost: Cost, now: u64) -> Result<(), u64> {
        let taken = self.leases.take(cost, now);
        if (taken.is_err() || self.is_low(cost, now)) && !self.is_asked_for.load(Ordering::Relaxed) {
            self.want(now);
        }
        taken
    }

    pub(crate) fn give_back(&self, cost: Cost) {
        self.leases.give_back(cost);
    }

    /// Tells whether it was given all that it was asked for, as far as is known.
    pub(crate) fn awaits_answer(&self, now: u64) -> bool {
        self.not_before.load(Ordering::Relaxed) <= now
    }

    /// Has it filled before anything is taken: somebody has come who will.
    pub(crate) fn expect_use(self: &Arc<Self>, now: u64) {
        let mut common = self.leases.messages.iter().chain(&self.leases.bytes);
        if self.is_used() && common.any(|lease| lease.is_low(now)) {
            self.leases.messages.iter().chain(&self.leases.bytes).for_each(Lease::expect_use);
            self.want(now);
        }
    }

    /// Has others told that its owner is shut out until then, or no more.
    pub(crate) fn tell_ban(self: &Arc<Self>, until: u64) {
        self.untold.store(until.min(NOTHING - 1), Ordering::Relaxed);
        self.want(0);
    }

    /// Has it asked for, unless that is so already.
    #[cold]
    pub(crate) fn want(self: &Arc<Self>, now: u64) {
        if !self.is_asked_for.swap(true, Ordering::AcqRel) {
            self.desk.push(Arc::clone(self), self.not_before.load(Ordering::Relaxed).max(now));
        }
    }

    /// Tells whether nothing would be lost with it.
    pub(crate) fn is_idle(&self, now: u64) -> bool {
        let leases = &self.leases;
        let mut all = leases.messages.iter().chain(&leases.bytes).chain(&leases.kinds);
        !self.is_asked_for.load(Ordering::Relaxed) && all.all(|lease| lease.held(now) == 0)
    }

    /// Makes what is said to the server.
    pub(crate) fn ask(self: Arc<Self>, now: u64) -> Ask {
        let leases = &self.leases;
        let messages = leases.messages.iter().filter_map(|lease| lease.wish(BucketName::Messages, now));
        let bytes = leases.bytes.iter().filter_map(|lease| lease.wish(BucketName::Bytes, now));
        let kinds = leases.kinds.iter().zip(0..).map(|(lease, number)| (lease, BucketName::Kind(number)));
        let kinds = kinds.filter_map(|(lease, name)| lease.wish(name, now));
        let wishes = messages.chain(bytes).chain(kinds).collect();
        let untold = self.untold.swap(NOTHING, Ordering::Relaxed);
        let ban = (untold != NOTHING).then(|| untold.saturating_sub(now));
        Ask { wishes, ban, purse: self }
    }

    /// Takes in what is lent. Whoever waits for it is to be tried again after that.
    pub(crate) fn fill(self: &Arc<Self>, wishes: &[Wish], answer: &Answer, now: u64) {
        let lending = &self.desk.lending;
        let mut not_before = now;
        for (wish, grant) in wishes.iter().zip(&answer.grants) {
            if let Some(lease) = self.lease(wish.bucket) {
                lease.grant(grant.units.min(wish.most), now);
            }
            if grant.units < wish.most {
                not_before = not_before.max(now.saturating_add(lending.pause(grant.wait)));
            }
        }
        self.not_before.store(not_before, Ordering::Relaxed);
        self.is_asked_for.store(false, Ordering::Release);
        if self.has_untold_ban() {
            self.want(now);
        }
    }

    /// Tells whether others are still to be told of a ban, or of its end.
    pub(crate) fn has_untold_ban(&self) -> bool {
        self.untold.load(Ordering::Relaxed) != NOTHING
    }

    /// Notes that there was no answer; a ban is told once there is one.
    pub(crate) fn is_unanswered(self: &Arc<Self>, ban: Option<u64>, now: u64) {
        self.is_asked_for.store(false, Ordering::Release);
        if let Some(left) = ban {
            let until = now.saturating_add(left);
            // A later order, which was given meanwhile, stands.
            let _ = self.untold.compare_exchange(NOTHING, until, Ordering::Relaxed, Ordering::Relaxed);
            self.want(now);
        }
    }

    #[inline]
    fn is_low(&self, cost: Cost, now: u64) -> bool {
        let is_low = |lease: &Option<Lease>| lease.as_ref().is_some_and(|lease| lease.is_low(now));
        is_low(&self.leases.messages)
            || cost.bytes > 0 && is_low(&self.leases.bytes)
            || cost.kinds != 0 && self.leases.of(cost.kinds).any(|(_, lease)| lease.is_low(now))
    }

    fn lease(&self, bucket: BucketName) -> Option<&Lease> {
        match bucket {
            BucketName::Messages => self.leases.messages.as_ref(),
            BucketName::Bytes => self.leases.bytes.as_ref(),
            BucketName::Kind(number) => self.leases.kinds.get(usize::from(number)),
        }
    }
}

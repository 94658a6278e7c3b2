//! What was lent of one bucket.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{BucketName, Lending, Wish};
use crate::{Quota, TICKS, allowance::Source};

/// Says that only an answer helps: no time is known.
const NEVER: u64 = u64::MAX;

/// Units that were lent, for a while. Whoever takes from them waits for nobody.
#[derive(Debug)]
pub(crate) struct Lease {
    quota: Quota,
    /// How many units it holds.
    size: u64,
    life: u64,
    left: AtomicU64,
    /// When what is left is lost.
    until: AtomicU64,
    /// How many units what waits is in need of.
    short: AtomicU64,
    /// Whether any were taken since it was asked for.
    is_in_use: AtomicBool,
}

impl Lease {
    pub(crate) fn new(quota: Quota, lending: &Lending) -> Self {
        let quota = Quota { rate: quota.rate.clamp(1, Wish::MOST), burst: quota.burst.clamp(1, Wish::MOST) };
        let worth = u128::from(quota.rate) * u128::from(lending.span) / u128::from(TICKS);
        let size = u64::try_from(worth).unwrap_or(u64::MAX).clamp(1, quota.burst);
        Self {
            quota,
            size,
            life: lending.life,
            left: AtomicU64::new(0),
            until: AtomicU64::new(0),
            short: AtomicU64::new(0),
            is_in_use: AtomicBool::new(false),
        }
    }

    /// Has it asked for although nobody has taken anything yet.
    pub(crate) fn expect_use(&self) {
        self.is_in_use.store(true, Ordering::Relaxed);
    }

    /// Tells whether it should be asked for before it is used up or lost.
    #[inline]
    pub(crate) fn is_low(&self, now: u64) -> bool {
        self.left.load(Ordering::Relaxed) < self.size.div_ceil(2)
            || self.until.load(Ordering::Relaxed).saturating_sub(now) < self.life / 2
    }

    pub(crate) fn held(&self, now: u64) -> u64 {
        if now < self.until.load(Ordering::Acquire) { self.left.load(Ordering::Relaxed) } else { 0 }
    }

    /// Gives what to ask for, if anything: with what is held it is one lease, or what the next message takes.
    pub(crate) fn wish(&self, bucket: BucketName, now: u64) -> Option<Wish> {
        let is_in_use = self.is_in_use.swap(false, Ordering::Relaxed);
        let short = self.short.swap(0, Ordering::Relaxed).min(Wish::MOST);
        let held = self.held(now);
        if short <= held && !is_in_use {
            return None;
        }
        let most = self.size.max(short).saturating_sub(held);
        let least = short.saturating_sub(held).max(1);
        (most > 0).then_some(Wish { bucket, quota: self.quota, least, most })
    }

    /// Takes in what is lent.
    pub(crate) fn grant(&self, units: u64, now: u64) {
        if units == 0 {
            return;
        }
        if now < self.until.load(Ordering::Relaxed) {
            self.left.fetch_add(units, Ordering::Relaxed);
        } else {
            self.left.store(units, Ordering::Relaxed);
        }
        self.until.store(now.saturating_add(self.life), Ordering::Release);
    }
}

impl Source for Lease {
    #[inline]
    fn take(&self, units: u64, now: u64) -> Result<(), u64> {
        if units == 0 {
            return Ok(());
        }
        let mut left = self.held(now);
        loop {
            let Some(rest) = left.checked_sub(units) else {
                self.short.fetch_max(units, Ordering::Relaxed);
                return Err(NEVER);
            };
            match self.left.compare_exchange_weak(left, rest, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    self.is_in_use.store(true, Ordering::Relaxed);
                    return Ok(());
                }
                Err(current) => left = current,
            }
        }
    }

    fn give_back(&self, units: u64) {
        // Another lease may have come meanwhile; there is never more than one, or what the largest message takes.
        let most = self.size.max(units);
        let add = |left: u64| Some(left.saturating_add(units).min(left.max(most)));
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

//! A bucket that many may take from at once.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Meter;

/// A bucket with its meter; whoever takes from it waits for nobody.
#[derive(Debug)]
pub struct Bucket {
    meter: Meter,
    /// Until when everything is paid for.
    paid: AtomicU64,
}

impl Bucket {
    /// Makes one that is full: a burst may pass.
    pub const fn new(meter: Meter) -> Self {
        Self { meter, paid: AtomicU64::new(0) }
    }

    /// Takes `units`.
    ///
    /// # Errors
    /// They do not conform, and will after so many ticks.
    #[inline]
    pub fn take(&self, units: u64, now: u64) -> Result<(), u64> {
        let mut paid = self.paid.load(Ordering::Relaxed);
        loop {
            let next = self.meter.take(paid, units, now)?;
            match self.paid.compare_exchange_weak(paid, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(current) => paid = current,
            }
        }
    }

    /// Gives back `units` that were taken and did not pass.
    pub fn give_back(&self, units: u64) {
        self.paid.fetch_sub(self.meter.price(units), Ordering::Relaxed);
    }

    /// Tells whether a burst may pass: nothing is known of it then that a new one would not know.
    pub fn is_full(&self, now: u64) -> bool {
        self.paid.load(Ordering::Relaxed) <= now
    }

    /// Tells after how long `units` more would have passed.
    pub fn clears_in(&self, units: u64, now: u64) -> u64 {
        self.meter.clears_in(self.paid.load(Ordering::Relaxed), units, now)
    }

    /// Gives what `units` cost, in ticks.
    pub fn price(&self, units: u64) -> u64 {
        self.meter.price(units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_together_take_no_more_than_the_burst() {
        let bucket = Bucket::new(Meter::new(1, 1000, 1_000_000_000));
        let taken = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        if bucket.take(1, 5).is_ok() {
                            taken.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(taken.into_inner(), 1000);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let bucket = Bucket::new(Meter::new(10, 2, 1000));
        assert!(bucket.is_full(7));
        assert_eq!(bucket.take(2, 7), Ok(()));
        assert!(!bucket.is_full(7));
        assert_eq!(bucket.take(1, 7), Err(100));
        bucket.give_back(2);
        assert!(bucket.is_full(7));
        assert_eq!(bucket.take(2, 7), Ok(()));
    }
}

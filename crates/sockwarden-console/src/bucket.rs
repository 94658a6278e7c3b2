//! How often something may happen.

use std::time::Duration;

/// A bucket of permits that refills with time; `now` is the time since any fixed moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    every: Duration,
    most: u32,
    left: u32,
    filled_at: Duration,
}

impl Bucket {
    /// Makes a full bucket of `most` permits that gets a new one `every` so often.
    pub(crate) const fn new(most: u32, every: Duration) -> Self {
        Self { every, most, left: most, filled_at: Duration::ZERO }
    }

    /// Takes a permit, if there is one.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        let gained = now.saturating_sub(self.filled_at).as_nanos() / self.every.as_nanos().max(1);
        match u32::try_from(gained) {
            Ok(gained) if self.left.saturating_add(gained) < self.most => {
                self.left += gained;
                self.filled_at += self.every * gained;
            }
            Ok(_) | Err(_) => {
                self.left = self.most;
                self.filled_at = now;
            }
        }
        let taken = self.left > 0;
        self.left -= u32::from(taken);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_a_burst_and_then_its_rate() {
        let mut bucket = Bucket::new(3, Duration::from_millis(100));
        let mut taken = |ms| bucket.take(Duration::from_millis(ms));
        assert_eq!([0, 0, 0, 0].map(&mut taken), [true, true, true, false]);
        assert_eq!([99, 100, 150, 199].map(&mut taken), [false, true, false, false]);
        assert_eq!([200, 201].map(&mut taken), [true, false]);
        assert_eq!([100_000, 100_000, 100_000, 100_000].map(&mut taken), [true, true, true, false]);
        assert_eq!([u64::MAX, u64::MAX].map(&mut taken), [true, true]);
    }

    #[test]
    fn no_more_than_the_burst_and_the_rate_gets_through_in_a_minute() {
        let mut bucket = Bucket::new(10, Duration::from_millis(100));
        let taken = (0..60_000).filter(|&ms| bucket.take(Duration::from_millis(ms))).count();
        assert!((600..=610).contains(&taken), "{taken}");
    }
}

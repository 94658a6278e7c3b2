//! How often somebody may do something.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The most names that are remembered; further ones push out those that have been silent for long enough.
const MOST: usize = 65_536;

/// Lets each name through so often, some times at once: the generic cell rate algorithm (ITU-T I.371).
#[derive(Debug)]
pub(crate) struct Throttle {
    /// The time between two, and how far ahead of it a name may be.
    interval: Duration,
    ahead: Duration,
    hasher: RandomState,
    /// When each name's next one is due, by the hash of its name.
    due: Mutex<HashMap<u64, Duration>>,
}

impl Throttle {
    /// Lets `count` through in each `span`, and up to `burst` at once.
    pub(crate) fn new(count: u32, span: Duration, burst: u32) -> Self {
        let interval = span / count.max(1);
        let ahead = interval.saturating_mul(burst.saturating_sub(1));
        Self { interval, ahead, hasher: RandomState::new(), due: Mutex::default() }
    }

    /// Tells whether one more is let through now, or after how long it would be.
    pub(crate) fn admit(&self, name: &impl std::hash::Hash, now: Duration) -> Result<(), Duration> {
        let name = self.hasher.hash_one(name);
        let mut all = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST && !all.contains_key(&name) {
            all.retain(|_, due| *due > now);
            if all.len() >= MOST {
                return Err(self.interval);
            }
        }
        let due = all.entry(name).or_insert(now);
        let begins = (*due).max(now);
        let early = (begins - now).saturating_sub(self.ahead);
        if early > Duration::ZERO {
            return Err(early);
        }
        *due = begins + self.interval;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_burst_is_let_through_and_then_the_rate() {
        let throttle = Throttle::new(60, MINUTE, 3);
        let admit = |name: &str, now| throttle.admit(&name, ms(now));
        assert_eq!([admit("a", 0), admit("a", 0), admit("a", 0)], [Ok(()); 3]);
        assert_eq!(admit("a", 0), Err(ms(1000)));
        assert_eq!(admit("b", 0), Ok(()));
        assert_eq!(admit("a", 999), Err(ms(1)));
        assert_eq!((admit("a", 1000), admit("a", 1000)), (Ok(()), Err(ms(1000))));
        assert_eq!([admit("a", 60_000), admit("a", 60_000), admit("a", 60_000)], [Ok(()); 3]);
        assert_eq!(admit("a", 60_000), Err(ms(1000)));
    }

    #[test]
    fn no_more_than_burst_and_rate_pass_whatever_the_moments() {
        let throttle = Throttle::new(10, ms(1000), 5);
        let mut passed = 0;
        for now in (0..10_000).step_by(7) {
            passed += u64::from(throttle.admit(&1, ms(now)).is_ok());
        }
        assert!((100..=105).contains(&passed), "{passed}");
    }

    #[test]
    fn a_crowd_of_names_is_bounded_and_makes_room_when_it_has_been_silent() {
        let throttle = Throttle::new(60, MINUTE, 1);
        assert!((0..MOST).all(|name| throttle.admit(&name, ms(0)).is_ok()));
        assert_eq!(throttle.admit(&MOST, ms(0)), Err(ms(1000)));
        assert_eq!(throttle.admit(&MOST, ms(1000)), Ok(()));
    }
}

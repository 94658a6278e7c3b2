//! How often somebody may ask for tickets.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{Mutex, PoisonError},
};

/// The most names that are remembered; further ones push out those that have been silent for long enough.
const MOST: usize = 65_536;

/// Lets each name through so many times a minute, some of them at once: the generic cell rate algorithm (ITU-T I.371).
#[derive(Debug)]
pub(crate) struct Throttle {
    /// The time between two, in milliseconds, and how far ahead of it a name may be.
    interval: u64,
    ahead: u64,
    hasher: RandomState,
    /// When each name's next one is due, in milliseconds, by the hash of its name.
    due: Mutex<HashMap<u64, u64>>,
}

impl Throttle {
    /// Lets `per_minute` through, and up to `burst` at once.
    pub(crate) fn new(per_minute: u32, burst: u32) -> Self {
        let interval = 60_000 / u64::from(per_minute.max(1));
        let ahead = interval * u64::from(burst.saturating_sub(1));
        Self { interval, ahead, hasher: RandomState::new(), due: Mutex::default() }
    }

    /// Tells whether one more is let through now, or after how many milliseconds it would be.
    pub(crate) fn admit(&self, name: &impl std::hash::Hash, now_ms: u64) -> Result<(), u64> {
        let name = self.hasher.hash_one(name);
        let mut all = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST && !all.contains_key(&name) {
            all.retain(|_, due| *due > now_ms);
            if all.len() >= MOST {
                return Err(self.interval);
            }
        }
        let due = all.entry(name).or_insert(now_ms);
        let begins = (*due).max(now_ms);
        match (begins - now_ms).checked_sub(self.ahead) {
            Some(wait) if wait > 0 => Err(wait),
            Some(_) | None => {
                *due = begins + self.interval;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_the_rate() {
        let throttle = Throttle::new(60, 3);
        let admit = |name: &str, now| throttle.admit(&name, now);
        assert_eq!([admit("a", 0), admit("a", 0), admit("a", 0)], [Ok(()); 3]);
        assert_eq!(admit("a", 0), Err(1000));
        assert_eq!(admit("b", 0), Ok(()));
        assert_eq!(admit("a", 999), Err(1));
        assert_eq!((admit("a", 1000), admit("a", 1000)), (Ok(()), Err(1000)));
        assert_eq!([admit("a", 60_000), admit("a", 60_000), admit("a", 60_000)], [Ok(()); 3]);
        assert_eq!(admit("a", 60_000), Err(1000));
    }

    #[test]
    fn no_more_than_burst_and_rate_pass_whatever_the_moments() {
        let throttle = Throttle::new(600, 5);
        let mut passed = 0;
        for now in (0..10_000).step_by(7) {
            passed += u64::from(throttle.admit(&1, now).is_ok());
        }
        assert!((100..=105).contains(&passed), "{passed}");
    }

    #[test]
    fn a_crowd_of_names_is_bounded_and_makes_room_when_it_has_been_silent() {
        let throttle = Throttle::new(60, 1);
        assert!((0..MOST).all(|name| throttle.admit(&name, 0).is_ok()));
        assert_eq!(throttle.admit(&MOST, 0), Err(1000));
        assert_eq!(throttle.admit(&MOST, 1000), Ok(()));
    }
}

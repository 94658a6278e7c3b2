//! One timer wheel for all connections of a worker: coarse, cheap to set, and never cleared.
//!
//! A connection's deadline moves with nearly every message, mostly to later; its entry stays where it is. When the entry
//! comes up, the connection is asked what is due and is entered anew.

use std::time::Duration;

/// How finely deadlines are told apart: one is met up to so much late.
const TICK: Duration = Duration::from_millis(TICK_MS);
const TICK_MS: u64 = 10;

/// How many ticks the wheel holds; what is due later is looked at again in between.
const TICKS: u64 = 1024;

/// A place on the wheel, to tell an entry that counts from one that was overtaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick(u64);

/// Entries by the tick at which they come up.
#[derive(Debug)]
pub(crate) struct Wheel {
    slots: Box<[Vec<usize>]>,
    /// The last tick that has come up.
    now: u64,
    /// No entry comes up before it.
    earliest: u64,
    entries: usize,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Self { slots: (0..TICKS).map(|_| Vec::new()).collect(), now: 0, earliest: u64::MAX, entries: 0 }
    }

    /// Enters `key` to come up at `deadline`, or before it where that is far away. An entry that comes up before `before`
    /// is not needed: then nothing is done.
    pub(crate) fn enter(&mut self, key: usize, deadline: Duration, before: Option<Tick>) -> Option<Tick> {
        let tick = u64::try_from(deadline.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX);
        let tick = tick.clamp(self.now + 1, self.now + TICKS - 1);
        if before.is_some_and(|before| before.0 <= tick) {
            return None;
        }
        self.slot(tick).push(key);
        self.entries += 1;
        self.earliest = self.earliest.min(tick);
        Some(Tick(tick))
    }

    /// Tells when the next entry comes up.
    pub(crate) fn next(&mut self) -> Option<Duration> {
        if self.entries == 0 {
            return None;
        }
        self.earliest = self.earliest.max(self.now + 1);
        while self.slot(self.earliest).is_empty() && self.earliest < self.now + TICKS {
            self.earliest += 1;
        }
        Some(Duration::from_millis(self.earliest.saturating_mul(TICK_MS)))
    }

    /// Takes out the entries that have come up by `now`, each with the tick that it was entered at.
    pub(crate) fn expire(&mut self, now: Duration, up: &mut Vec<(usize, Tick)>) {
        let now = u64::try_from(now.as_nanos() / TICK.as_nanos()).unwrap_or(u64::MAX);
        let last = now.min(self.now + TICKS);
        for tick in self.now + 1..=last {
            let keys = std::mem::take(self.slot(tick));
            self.entries -= keys.len();
            up.extend(keys.into_iter().map(|key| (key, Tick(tick))));
        }
        self.now = self.now.max(now);
        if self.entries == 0 {
            self.earliest = u64::MAX;
        }
    }

    fn slot(&mut self, tick: u64) -> &mut Vec<usize> {
        &mut self.slots[(tick % TICKS) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn an_entry_comes_up_at_its_deadline_and_no_later_than_a_tick_after() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.next(), None);
        for (key, at) in [(1, 0), (2, 15), (3, 15), (4, 5000), (5, 10_239)] {
            assert!(wheel.enter(key, MS(at), None).is_some());
        }
        let mut seen = Vec::new();
        while let Some(next) = wheel.next() {
            let mut up = Vec::new();
            wheel.expire(next, &mut up);
            assert!(!up.is_empty());
            seen.extend(up.into_iter().map(|(key, _)| (key, next)));
        }
        assert_eq!(seen, [(1, MS(10)), (2, MS(20)), (3, MS(20)), (4, MS(5000)), (5, MS(10_230))]);
    }

    #[test]
    fn what_is_far_away_comes_up_early_and_is_entered_anew() {
        let mut wheel = Wheel::new();
        let deadline = Duration::from_secs(3600);
        let (mut turns, mut up) = (0, Vec::new());
        wheel.enter(7, deadline, None);
        let end = loop {
            let next = wheel.next().unwrap();
            wheel.expire(next, &mut up);
            assert_eq!(up.drain(..).map(|(key, _)| key).collect::<Vec<_>>(), [7]);
            if next >= deadline {
                break next;
            }
            wheel.enter(7, deadline, None);
            turns += 1;
        };
        assert_eq!((end, wheel.next()), (deadline, None));
        assert!(turns < 400, "{turns}");
    }

    #[test]
    fn an_earlier_entry_makes_a_later_one_needless() {
        let mut wheel = Wheel::new();
        let first = wheel.enter(1, MS(500), None);
        assert_eq!(wheel.enter(1, MS(900), first), None);
        assert_eq!(wheel.enter(1, MS(500), first), None);
        let second = wheel.enter(1, MS(100), first);
        assert!(second.is_some() && second != first);
        let mut up = Vec::new();
        wheel.expire(MS(600), &mut up);
        assert_eq!(up.iter().map(|(_, tick)| Some(*tick)).collect::<Vec<_>>(), [second, first]);
    }

    #[test]
    fn a_worker_that_slept_long_gets_everything_at_once() {
        let mut wheel = Wheel::new();
        for key in 0..2000 {
            wheel.enter(key, MS(key as u64 * 5), None);
        }
        let mut up = Vec::new();
        wheel.expire(Duration::from_secs(1_000_000), &mut up);
        assert_eq!(up.len(), 2000);
        assert!(wheel.enter(1, MS(1), None).is_some());
        assert_eq!(wheel.next(), Some(Duration::from_secs(1_000_000) + TICK));
    }
}

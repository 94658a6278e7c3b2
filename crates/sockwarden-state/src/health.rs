//! How the shared state is, for metrics and operators.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use sockwarden_model::printable_text;

/// The longest error that is kept, in characters.
const LONGEST_ERROR: usize = 200;

/// How the shared state is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Where it is kept: `memory`, `redis` or `redis-cluster`.
    pub kind: &'static str,
    /// Whether it can be used now.
    pub up: bool,
    /// Since when, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Whether it could ever be used since the start.
    pub reached: bool,
    /// How often it failed: connections that were not made or were lost, orders that were not answered in time or not understood.
    pub errors: u64,
    /// The last failure, escaped and cut.
    pub last_error: Option<String>,
}

/// What became of tickets, counted by this replica since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TicketCounts {
    /// Issued.
    pub issued: u64,
    /// Taken.
    pub taken: u64,
    /// Presented where they were not good, or after they had been revoked, and gone.
    pub burned: u64,
    /// Expired before anybody took them; known in memory only.
    pub expired: Option<u64>,
    /// Neither of these yet; known in memory only.
    pub outstanding: Option<u64>,
}

/// What [`Health`] is made from.
#[derive(Debug)]
pub(crate) struct Pulse {
    kind: &'static str,
    errors: AtomicU64,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    up: bool,
    since_ms: u64,
    reached: bool,
    last_error: Option<String>,
}

impl Pulse {
    /// Begins with what can be used, or cannot yet.
    pub(crate) fn new(kind: &'static str, up: bool) -> Self {
        let now = Now { up, since_ms: unix_ms(), reached: up, last_error: None };
        Self { kind, errors: AtomicU64::new(0), now: Mutex::new(now) }
    }

    pub(crate) fn health(&self) -> Health {
        let errors = self.errors.load(Ordering::Relaxed);
        let now = self.now();
        let Now { up, since_ms, reached, ref last_error } = *now;
        Health { kind: self.kind, up, since_ms, reached, errors, last_error: last_error.clone() }
    }

    pub(crate) fn is_up(&self) {
        self.turn(true);
    }

    pub(crate) fn is_down(&self) {
        self.turn(false);
    }

    /// Counts a failure and gives it as people may read it.
    pub(crate) fn failed(&self, error: &str) -> String {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let shown = printable_text(error, LONGEST_ERROR);
        self.now().last_error = Some(shown.clone());
        shown
    }

    fn turn(&self, up: bool) {
        let mut now = self.now();
        if now.up != up {
            now.up = up;
            now.since_ms = unix_ms();
            now.reached |= up;
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the time, in milliseconds since the Unix epoch.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reached_once_stays_so() {
        let pulse = Pulse::new("redis", false);
        assert!(!pulse.health().reached && !pulse.health().up);
        pulse.is_up();
        let shown = pulse.failed("lost\u{1b}[2J");
        pulse.is_down();
        let health = pulse.health();
        assert!(health.reached && !health.up && health.errors == 1);
        assert_eq!(health.last_error, Some(shown));
        assert_eq!(health.last_error.as_deref(), Some("lost\\u{1b}[2J"));
    }
}

//! Who is let in while connections, descriptors or memory run short: those that are there keep what they have, new ones are
//! turned away first.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use sockwarden_model::TurnedAway;

use crate::counters::Sharded;

/// Descriptors of one connection: the client's socket, and the one to the application or to whom is asked about the client.
const DESCRIPTORS: u64 = 2;
/// Descriptors that are kept for everything else: the admin listener, health checks, look-ups of names, logs, files.
const RESERVE: u64 = 128;
/// What a connection counts as holding besides what it reports: its task, and the buffers of TLS and of a request.
const CONNECTION: u64 = 32 * 1024;
/// The least time between two notices about the same thing.
const BETWEEN_NOTICES: Duration = Duration::from_secs(10);

/// What there is for connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// The most connections at once.
    pub(crate) connections: u64,
    /// The most descriptors of the process; `None` where there is no such limit.
    pub(crate) descriptors: Option<u64>,
    /// The most bytes that may be held before nobody new is let in.
    pub(crate) memory: u64,
}

impl Budget {
    /// Judges whether one more connection is accepted beside `open` others.
    fn judge(&self, open: u64) -> Result<(), TurnedAway> {
        if open >= self.connections {
            return Err(TurnedAway::Connections);
        }
        match self.descriptors {
            Some(limit) if open >= room(limit) => Err(TurnedAway::Descriptors),
            Some(_) | None => Ok(()),
        }
    }

    /// Judges whether one of `open` connections becomes a session while sessions hold `held` bytes.
    fn judge_memory(&self, open: u64, held: u64) -> Result<(), TurnedAway> {
        let all = open.saturating_mul(CONNECTION).saturating_add(held);
        if all > self.memory { Err(TurnedAway::Memory) } else { Ok(()) }
    }
}

/// Gives how many connections `limit` descriptors are enough for. Of a small limit a quarter is kept.
pub(crate) const fn room(limit: u64) -> u64 {
    let quarter = limit / 4;
    let reserve = if quarter < RESERVE { quarter } else { RESERVE };
    (limit - reserve) / DESCRIPTORS
}

/// Counts bytes that sessions hold: pieces of messages, what waits to be written, what is needed to inflate.
#[derive(Debug, Default)]
pub(crate) struct MemoryGauge(Sharded<AtomicU64>);

impl MemoryGauge {
    /// Counts `bytes` more.
    pub(crate) fn add(&self, bytes: u64) {
        self.0.here().fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts `bytes` less, which were counted before.
    pub(crate) fn sub(&self, bytes: u64) {
        // One worker's copy may go below zero: the sum wraps back.
        self.0.here().fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Gives how many are held; never negative, though a worker may be caught between two steps.
    fn held(&self) -> u64 {
        let sum = self.0.fold(0u64, |sum, shard| sum.wrapping_add(shard.load(Ordering::Relaxed)));
        u64::try_from(sum.cast_signed()).unwrap_or(0)
    }
}

/// The connections that are open, and what was said about those that were not.
#[derive(Debug)]
pub(crate) struct Admission {
    descriptors: Option<u64>,
    open: AtomicUsize,
    pub(crate) memory: MemoryGauge,
    complaints: [Mutex<Complaint>; TurnedAway::ALL.len()],
}

impl Admission {
    /// Lets connections in while the process has fewer than `descriptors` open.
    pub(crate) fn new(descriptors: Option<u64>) -> Self {
        Self {
            descriptors,
            open: AtomicUsize::new(0),
            memory: MemoryGauge::default(),
            complaints: Default::default(),
        }
    }

    /// Gives the budget of a configuration.
    pub(crate) fn budget(&self, connections: u32, memory: u64) -> Budget {
        Budget { connections: connections.into(), descriptors: self.descriptors, memory }
    }

    /// Takes a connection in, for as long as what is given is kept.
    pub(crate) fn enter(self: &Arc<Self>, budget: &Budget) -> Result<Admitted, TurnedAway> {
        // Counted first: of two that come at once the last place goes to one.
        let admitted = Admitted(Arc::clone(self));
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        budget.judge(before as u64).map(|()| admitted)
    }

    /// Judges whether a connection that is in may become a session.
    pub(crate) fn may_begin(&self, budget: &Budget) -> Result<(), TurnedAway> {
        budget.judge_memory(self.open.load(Ordering::Relaxed) as u64, self.memory.held())
    }

    /// Counts `bytes` as held for as long as what is given is kept.
    pub(crate) fn hold(self: &Arc<Self>, bytes: u64) -> Held {
        self.memory.add(bytes);
        Held { admission: Arc::clone(self), bytes }
    }

    /// Notes that a connection was turned away at `now`; tells how many were since this was last told, if it is time to.
    pub(crate) fn note(&self, why: TurnedAway, now: Duration) -> Option<u64> {
        self.complaints[why.index()].lock().unwrap_or_else(PoisonError::into_inner).note(now)
    }
}

/// A connection that is in; its place is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Admitted(Arc<Admission>);

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Memory that is counted; it counts no more when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    admission: Arc<Admission>,
    bytes: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.admission.memory.sub(self.bytes);
    }
}

/// Says the same thing again only after a while.
#[derive(Debug, Default)]
struct Complaint {
    last: Option<Duration>,
    unsaid: u64,
}

impl Complaint {
    fn note(&mut self, now: Duration) -> Option<u64> {
        self.unsaid += 1;
        if self.last.is_some_and(|last| now < last.saturating_add(BETWEEN_NOTICES)) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn budget(connections: u64, descriptors: Option<u64>) -> Budget {
        Budget { connections, descriptors, memory: 1024 * 1024 }
    }

    #[test]
    fn new_connections_are_turned_away_before_anything_runs_out() {
        use TurnedAway::{Connections, Descriptors};
        let check = |open, connections, descriptors, expected| {
            assert_eq!(budget(connections, descriptors).judge(open), expected, "{open} of {connections}");
        };
        check(0, 1, None, Ok(()));
        check(1, 1, None, Err(Connections));
        check(9_999, 10_000, None, Ok(()));
        // 1024 descriptors: 128 are kept, two are needed for each.
        check(447, 10_000, Some(1024), Ok(()));
        check(448, 10_000, Some(1024), Err(Descriptors));
        check(448, 448, Some(1024), Err(Connections));
        // 64: a quarter is kept.
        check(23, 10_000, Some(64), Ok(()));
        check(24, 10_000, Some(64), Err(Descriptors));
        check(0, 10_000, Some(0), Err(Descriptors));
        check(5, 10_000, Some(u64::MAX), Ok(()));
    }

    #[test]
    fn what_is_held_counts_with_what_every_connection_needs() {
        let check = |open, held, expected| {
            assert_eq!(budget(1, None).judge_memory(open, held), expected, "{open}, {held}");
        };
        check(1, 0, Ok(()));
        check(32, 0, Ok(()));
        check(33, 0, Err(TurnedAway::Memory));
        check(31, 32 * 1024, Ok(()));
        check(31, 32 * 1024 + 1, Err(TurnedAway::Memory));
        check(u64::MAX, u64::MAX, Err(TurnedAway::Memory));
    }

    #[test]
    fn memory_that_one_thread_counts_and_another_gives_back_is_none() {
        let gauge = MemoryGauge::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| gauge.add(1000)).join().unwrap();
            }
            assert_eq!(gauge.held(), 4000);
            for _ in 0..4 {
                scope.spawn(|| gauge.sub(1000)).join().unwrap();
            }
        });
        assert_eq!(gauge.held(), 0);
        gauge.sub(1);
        assert_eq!(gauge.held(), 0, "caught between two steps");
    }

    #[test]
    fn a_place_is_given_back_and_never_given_twice() {
        let admission = Arc::new(Admission::new(None));
        let budget = admission.budget(2, 1024 * 1024);
        let (one, _two) = (admission.enter(&budget).unwrap(), admission.enter(&budget).unwrap());
        assert_eq!(admission.enter(&budget).unwrap_err(), TurnedAway::Connections);
        assert_eq!(admission.enter(&budget).unwrap_err(), TurnedAway::Connections);
        drop(one);
        admission.enter(&budget).unwrap();
        let held = admission.hold(2 * 1024 * 1024);
        assert_eq!(admission.may_begin(&budget), Err(TurnedAway::Memory));
        drop(held);
        assert_eq!(admission.may_begin(&budget), Ok(()));
    }

    #[test]
    fn a_flood_is_reported_now_and_then_with_its_number() {
        let mut complaint = Complaint::default();
        let mut check =
            |ms, expected| assert_eq!(complaint.note(Duration::from_millis(ms)), expected, "{ms}");
        check(0, Some(1));
        check(1, None);
        check(9_999, None);
        check(10_000, Some(3));
        check(10_001, None);
        check(30_000, Some(2));
    }
}

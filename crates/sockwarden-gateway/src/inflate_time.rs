//! How long the messages of one peer take to be inflated.

use std::time::{Duration, Instant};

use sockwarden_model::Limit;

/// How long inflating may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InflateTimes {
    /// One message.
    pub(crate) message: Duration,
    /// What comes in a second, on an average of [`SECONDS`].
    pub(crate) per_second: Duration,
}

/// Over how many seconds the average is taken: what piled up while nothing was read comes at once.
const SECONDS: u32 = 10;

/// The time that the message under way has taken, read by read, and what all have taken lately. Only what is between two pieces of a
/// message counts, so that a message that arrives slowly is not one that is slow to inflate.
#[derive(Debug)]
pub(crate) struct InflateTime {
    most: InflateTimes,
    spent: Duration,
    since: Instant,
    /// What the messages of the present span of [`SECONDS`] have taken, and when it has begun.
    lately: Duration,
    span: Instant,
}

/// Inflating has taken longer than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooSlow {
    pub(crate) limit: Limit,
    most: Duration,
}

impl TooSlow {
    /// Says so to an operator.
    pub(crate) fn reason(self) -> String {
        let Self { limit, most } = self;
        if limit == Limit::InflateTime {
            format!("inflating a message took longer than {most:?}")
        } else {
            format!("inflating messages took longer than {most:?} a second")
        }
    }
}

impl InflateTime {
    pub(crate) fn new(most: InflateTimes) -> Self {
        let now = Instant::now();
        Self { most, spent: Duration::ZERO, since: now, lately: Duration::ZERO, span: now }
    }

    /// Starts to count.
    pub(crate) fn start(&mut self) {
        self.since = Instant::now();
    }

    /// Takes note that a piece of a message, perhaps its last one, was inflated since the start; tells what may not take as long.
    pub(crate) fn inflated(&mut self, ends: bool) -> Option<TooSlow> {
        let now = Instant::now();
        self.add(now.saturating_duration_since(self.since), ends, now)
    }

    fn add(&mut self, took: Duration, ends: bool, now: Instant) -> Option<TooSlow> {
        let spent = self.spent + took;
        self.spent = if ends { Duration::ZERO } else { spent };
        if now.saturating_duration_since(self.span) >= Duration::from_secs(SECONDS.into()) {
            (self.span, self.lately) = (now, Duration::ZERO);
        }
        self.lately += took;
        let InflateTimes { message, per_second } = self.most;
        if spent > message {
            Some(TooSlow { limit: Limit::InflateTime, most: message })
        } else if self.lately > per_second.saturating_mul(SECONDS) {
            Some(TooSlow { limit: Limit::InflateRate, most: per_second })
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_pieces_of_a_message_count_together_and_messages_apart() {
        let check = |pieces: &[(u64, bool)], expected: &[bool]| {
            let mut time = InflateTime::new(InflateTimes { message: ms(10), per_second: ms(1000) });
            let add = |&(took, ends): &(u64, bool)| time.add(ms(took), ends, time.since).is_some();
            assert_eq!(pieces.iter().map(add).collect::<Vec<_>>(), expected, "{pieces:?}");
        };
        check(&[(10, true), (10, true)], &[false, false]);
        check(&[(5, false), (5, true), (5, true)], &[false, false, false]);
        check(&[(5, false), (5, false), (1, true), (1, true)], &[false, false, true, false]);
        check(&[(11, true)], &[true]);
    }

    #[test]
    fn all_messages_of_ten_seconds_count_together() {
        let mut time = InflateTime::new(InflateTimes { message: ms(10), per_second: ms(2) });
        let begun = time.span;
        let mut add = |took, at| time.add(ms(took), true, begun + ms(at)).map(|slow| slow.limit);
        assert_eq!([add(10, 0), add(10, 9_999)], [None, None]);
        assert_eq!(add(1, 9_999), Some(Limit::InflateRate));
        assert_eq!([add(10, 10_000), add(10, 19_999)], [None, None]);
        assert_eq!(add(1, 20_000), None);
    }
}

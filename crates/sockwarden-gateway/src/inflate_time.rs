//! How long the messages of one peer take to be inflated.

use std::time::{Duration, Instant};

/// The time that the message under way has taken, read by read. Only what is between two of its pieces counts, so that a message
/// that arrives slowly is not one that is slow to inflate.
#[derive(Debug)]
pub(crate) struct InflateTime {
    most: Duration,
    spent: Duration,
    since: Instant,
}

impl InflateTime {
    pub(crate) fn new(most: Duration) -> Self {
        Self { most, spent: Duration::ZERO, since: Instant::now() }
    }

    /// Starts to count.
    pub(crate) fn start(&mut self) {
        self.since = Instant::now();
    }

    /// Takes note that a piece of a message, perhaps its last one, was inflated since the start; tells the most that it may take
    /// where it has taken more.
    pub(crate) fn inflated(&mut self, ends: bool) -> Option<Duration> {
        let took = self.since.elapsed();
        self.add(took, ends).then_some(self.most)
    }

    fn add(&mut self, took: Duration, ends: bool) -> bool {
        let spent = self.spent + took;
        self.spent = if ends { Duration::ZERO } else { spent };
        spent > self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_a_message_count_together_and_messages_apart() {
        let check = |pieces: &[(u64, bool)], expected: &[bool]| {
            let mut time = InflateTime::new(Duration::from_millis(10));
            let add = |&(took, ends): &(u64, bool)| time.add(Duration::from_millis(took), ends);
            assert_eq!(pieces.iter().map(add).collect::<Vec<_>>(), expected, "{pieces:?}");
        };
        check(&[(10, true), (10, true)], &[false, false]);
        check(&[(5, false), (5, true), (5, true)], &[false, false, false]);
        check(&[(5, false), (5, false), (1, true), (1, true)], &[false, false, true, false]);
        check(&[(11, true)], &[true]);
    }
}

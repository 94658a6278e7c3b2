//! A clock that moves only when it is told to.

use std::time::{Duration, Instant};

/// Virtual time: starts at an arbitrary instant and moves by [`Clock::advance`] alone.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    elapsed: Duration,
}

impl Clock {
    /// Makes a clock at its start.
    pub fn new() -> Self {
        Self { start: Instant::now(), elapsed: Duration::ZERO }
    }

    /// Gives the present instant, for code that takes one.
    pub fn now(&self) -> Instant {
        self.start + self.elapsed
    }

    /// Gives the time since the start.
    pub const fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Moves on by `step`.
    pub fn advance(&mut self, step: Duration) {
        self.elapsed += step;
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_only_when_told() {
        let mut clock = Clock::new();
        let start = clock.now();
        assert_eq!(clock.now(), start);
        clock.advance(Duration::from_millis(250));
        clock.advance(Duration::from_millis(50));
        assert_eq!(clock.now() - start, Duration::from_millis(300));
        assert_eq!(clock.elapsed(), Duration::from_millis(300));
    }
}

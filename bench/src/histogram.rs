//! Durations counted by size, 32 steps for each doubling: a quantile is exact to 3 %.

const STEPS: u32 = 32;

/// Counts durations of any number in little room.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; bucket(u64::MAX) + 1], total: 0 }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, nanoseconds: u64) {
        self.counts[bucket(nanoseconds)] += 1;
        self.total += 1;
    }

    pub(crate) fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
    }

    /// The duration in nanoseconds below which this share of all lies; zero where nothing was recorded.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper_end(index);
            }
        }
        0
    }
}

fn bucket(value: u64) -> usize {
    if value < u64::from(STEPS) {
        return value as usize;
    }
    let doubling = value.ilog2() - STEPS.ilog2();
    (doubling * STEPS + (value >> doubling) as u32) as usize
}

fn upper_end(index: usize) -> u64 {
    let (index, steps) = (index as u64, u64::from(STEPS));
    if index < 2 * steps {
        return index;
    }
    let doubling = index / steps - 1;
    let start = (index % steps + steps) << doubling;
    start + ((1 << doubling) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_exact_to_three_percent() {
        let mut histogram = Histogram::default();
        for value in 1..=100_000u64 {
            histogram.record(value);
        }
        for (share, exact) in [(0.5, 50_000.0), (0.99, 99_000.0), (1.0, 100_000.0)] {
            let found = histogram.quantile(share) as f64;
            assert!((found / exact - 1.0).abs() < 0.035, "{share}: {found}");
        }
    }

    #[test]
    fn every_value_has_its_place() {
        let mut histogram = Histogram::default();
        for value in [0, 1, 31, 32, 63, 64, 1 << 40, u64::MAX] {
            histogram.clear();
            assert_eq!(histogram.quantile(0.5), 0);
            histogram.record(value);
            assert!(histogram.quantile(0.5) >= value);
        }
    }
}

//! A rate and a burst, as arithmetic.

/// The generic cell rate algorithm: what passes is paid for in time. A bucket is the time until which everything is paid for.
///
/// However the moments lie, what passes in a span `t` is at most `max(burst, the largest one) + rate × t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meter {
    rate: u64,
    ticks: u64,
    /// How far ahead of the present a bucket may be.
    span: u64,
}

impl Meter {
    /// Lets `rate` units a second pass, and up to `burst` at once, each at least one; a second has `ticks`.
    pub fn new(rate: u64, burst: u64, ticks: u64) -> Self {
        let mut meter = Self { rate: rate.max(1), ticks: ticks.max(1), span: 0 };
        meter.span = meter.price(burst.max(1));
        meter
    }

    /// Gives how many ticks `units` take; rounded up, so that never more than the rate passes.
    pub fn price(&self, units: u64) -> u64 {
        let ticks = (u128::from(units) * u128::from(self.ticks)).div_ceil(u128::from(self.rate));
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// Gives what a bucket becomes where `units` pass at `now`.
    ///
    /// # Errors
    /// They do not conform; they will after so many ticks, if nothing else passes. More than a burst conforms once everything is paid.
    #[inline]
    pub fn take(&self, bucket: u64, units: u64, now: u64) -> Result<u64, u64> {
        let price = self.price(units);
        let paid = bucket.max(now).saturating_add(price);
        let most = now.saturating_add(self.span.max(price));
        if paid <= most { Ok(paid) } else { Err(paid - most) }
    }

    /// Tells after how long the last of `units` passes, one after the other.
    pub fn clears_in(&self, bucket: u64, units: u64, now: u64) -> u64 {
        let paid = bucket.max(now).saturating_add(self.price(units));
        paid.saturating_sub(now.saturating_add(self.span))
    }

    /// Gives the most of `wanted` units that conform at `now`, and what a bucket becomes where they pass.
    pub fn take_most(&self, bucket: u64, wanted: u64, now: u64) -> (u64, u64) {
        let ahead = bucket.saturating_sub(now);
        let room =
            u128::from(self.span.saturating_sub(ahead)) * u128::from(self.rate) / u128::from(self.ticks);
        let given = wanted.min(u64::try_from(room).unwrap_or(u64::MAX));
        (given, if given == 0 { bucket } else { bucket.max(now).saturating_add(self.price(given)) })
    }

    /// Lends the most of `most` units that conform at `now`, but none where that is less than `least`, which may be more than a burst.
    pub fn lend(&self, bucket: u64, least: u64, most: u64, now: u64) -> Lent {
        let (given, paid) = self.take_most(bucket, most, now);
        if given >= least {
            return Lent { given, bucket: paid, wait: 0 };
        }
        match self.take(bucket, least, now) {
            Ok(paid) => Lent { given: least, bucket: paid, wait: 0 },
            Err(wait) => Lent { given: 0, bucket, wait },
        }
    }
}

/// What is lent of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lent {
    /// So many units.
    pub given: u64,
    /// What the bucket has become.
    pub bucket: u64,
    /// Where nothing is given: after how many ticks the least of it conforms, if nothing else passes.
    pub wait: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let meter = Meter::new(10, 3, 1000);
        let mut bucket = 0;
        let mut take = |units, now| match meter.take(bucket, units, now) {
            Ok(paid) => {
                bucket = paid;
                None
            }
            Err(wait) => Some(wait),
        };
        assert_eq!([take(1, 0), take(1, 0), take(1, 0), take(1, 0)], [None, None, None, Some(100)]);
        assert_eq!([take(1, 99), take(1, 100), take(1, 100)], [Some(1), None, Some(100)]);
        // More than a burst passes alone, once everything is paid, and is paid in full.
        assert_eq!(
            [take(5, 399), take(5, 400), take(1, 599), take(1, 700)],
            [Some(1), None, Some(101), None]
        );
    }

    #[test]
    fn what_is_lent_is_enough_or_nothing() {
        let meter = Meter::new(10, 3, 1000);
        let check = |(bucket, least, most), now, (given, after, wait)| {
            assert_eq!(meter.lend(bucket, least, most, now), Lent { given, bucket: after, wait });
        };
        check((0, 1, 2), 500, (2, 700, 0));
        check((0, 1, 9), 500, (3, 800, 0));
        check((700, 1, 9), 500, (1, 800, 0));
        check((700, 2, 9), 500, (0, 700, 100));
        // More than a burst, once everything is paid.
        check((501, 5, 5), 500, (0, 501, 1));
        check((500, 5, 5), 500, (5, 1000, 0));
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_rate(
            (rate, burst) in (1u64..5000, 1u64..500),
            steps in prop::collection::vec((0u64..2_000_000, 1u64..50), 1..300),
        ) {
            let meter = Meter::new(rate, burst, 1_000_000_000);
            let (mut bucket, mut now) = (0, 0);
            let mut passed: Vec<(u64, u64)> = Vec::new();
            for (pause, units) in steps {
                now += pause;
                match meter.take(bucket, units, now) {
                    Ok(paid) => {
                        bucket = paid;
                        passed.push((now, units));
                    }
                    // What is refused conforms exactly after the time that is told, and not before.
                    Err(wait) => {
                        prop_assert!(meter.take(bucket, units, now + wait).is_ok());
                        prop_assert!(meter.take(bucket, units, now + wait - 1).is_err());
                    }
                }
            }
            for (from, (start, _)) in passed.iter().enumerate() {
                let mut sum = 0;
                for (moment, units) in &passed[from..] {
                    sum += units;
                    let span = u128::from(moment - start);
                    let most = u128::from(burst.max(49)) + u128::from(rate) * span / 1_000_000_000 + 1;
                    prop_assert!(u128::from(sum) <= most, "{sum} of {most}");
                }
            }
        }

        #[test]
        fn the_most_is_what_would_have_passed_at_once(
            (rate, burst, wanted, ahead) in (1u64..5000, 1u64..500, 0u64..600, 0u64..3_000_000),
        ) {
            let meter = Meter::new(rate, burst, 1_000_000);
            let now = 10_000_000;
            let (given, bucket) = meter.take_most(now + ahead, wanted, now);
            prop_assert!(given <= wanted);
            if given > 0 {
                prop_assert_eq!(meter.take(now + ahead, given, now), Ok(bucket));
            }
            if given < wanted && given < burst {
                prop_assert!(meter.take(now + ahead, given + 1, now).is_err());
            }
        }
    }
}

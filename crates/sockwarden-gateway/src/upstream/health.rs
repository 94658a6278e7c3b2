//! What is known of one address's health; pure, by the time it is told.
//!
//! Failures in a row eject an address for a time that grows with every ejection in a row, up to a limit, and is drawn a
//! little shorter so that replicas do not all come back at once. When the time is over one connection at once tries it: if
//! that succeeds the address is as good as any, if it fails the address is ejected for longer.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::HumanDuration;

/// When an address that fails is left alone, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// How many failures in a row eject an address: connections that it refuses or does not answer, answers that are none. An HTTP status is an answer.
    #[schemars(range(min = 1, max = 1000))]
    pub failures: u32,
    /// For how long the first ejection lasts; each further one in a row lasts twice as long.
    pub eject: HumanDuration,
    /// The longest that an ejection lasts.
    pub eject_at_most: HumanDuration,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            failures: 3,
            eject: HumanDuration::from_secs(10),
            eject_at_most: HumanDuration::from_secs(300),
        }
    }
}

/// Whether an address should be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    Good,
    /// Only where there is nothing better; the one whose ejection ends first is the least bad.
    Ejected(Duration),
}

/// The health of one address.
#[derive(Debug)]
pub(crate) struct Health {
    most_failures: u32,
    eject: Duration,
    eject_at_most: Duration,
    failures: u32,
    ejections: u32,
    ejection: Option<Ejection>,
    failed_checks: u32,
}

#[derive(Clone, Copy, Debug)]
struct Ejection {
    until: Duration,
    lasts: Duration,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Left alone.
    Out,
    /// The time is over and one connection tries the address.
    OnTrial,
    /// Well again, but not forgiven yet.
    Over,
}

impl Health {
    pub(crate) fn new(config: &HealthConfig) -> Self {
        Self {
            most_failures: config.failures.max(1),
            eject: config.eject.get(),
            eject_at_most: config.eject_at_most.get(),
            failures: 0,
            ejections: 0,
            ejection: None,
            failed_checks: 0,
        }
    }

    pub(crate) fn standing(&self, now: Duration) -> Standing {
        if self.failed_checks >= self.most_failures {
            return Standing::Ejected(Duration::MAX);
        }
        match self.ejection {
            Some(Ejection { until, phase: Phase::Out | Phase::OnTrial, .. }) if now < until => {
                Standing::Ejected(until)
            }
            Some(_) | None => Standing::Good,
        }
    }

    /// Tells whether it is left alone, or has shown no life since.
    pub(crate) fn is_out(&self) -> bool {
        self.failed_checks >= self.most_failures
            || self.ejection.is_some_and(|ejection| ejection.phase != Phase::Over)
    }

    /// Takes note that a connection is being made; after an ejection no second one is, until this one's outcome is known
    /// or was lost.
    pub(crate) fn tried(&mut self, now: Duration) {
        if let Some(ejection) = &mut self.ejection
            && ejection.phase != Phase::Over
            && now >= ejection.until
        {
            ejection.until = now.saturating_add(self.eject);
            ejection.phase = Phase::OnTrial;
        }
    }

    /// Takes note of a success; tells whether it ends an ejection.
    pub(crate) fn succeeded(&mut self, now: Duration) -> bool {
        let was_out = self.ejection.is_some_and(|ejection| ejection.phase != Phase::Over);
        self.failures = 0;
        if let Some(ejection) = &mut self.ejection {
            ejection.phase = Phase::Over;
            ejection.until = ejection.until.min(now);
            // Who is well for a moment only is not forgiven: the next ejection still counts as one in a row.
            if now >= ejection.until.saturating_add(ejection.lasts) {
                self.ejection = None;
                self.ejections = 0;
            }
        }
        was_out
    }

    /// Takes note of a failure; gives how long the address is ejected for where it is now. `dice` is any random number.
    pub(crate) fn failed(&mut self, now: Duration, dice: u64) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        let counts = match self.ejection.map(|ejection| ejection.phase) {
            // What was under way when the address was ejected says nothing new.
            Some(Phase::Out) => false,
            Some(Phase::OnTrial) => true,
            Some(Phase::Over) | None => self.failures >= self.most_failures,
        };
        if !counts {
            return None;
        }
        let doubled = 1_u32.checked_shl(self.ejections).and_then(|times| self.eject.checked_mul(times));
        let most = doubled.unwrap_or(Duration::MAX).min(self.eject_at_most);
        // Between three quarters and all of it.
        let lasts = most - (most / 4_000) * u32::try_from(dice % 1_000).unwrap_or_default();
        self.ejections = self.ejections.saturating_add(1);
        self.ejection = Some(Ejection { until: now.saturating_add(lasts), lasts, phase: Phase::Out });
        Some(lasts)
    }

    /// Takes note of a health check's outcome; tells whether it ejects the address or ends that. Checks eject as connections
    /// do, and only checks end what they began.
    pub(crate) fn checked(&mut self, passed: bool) -> bool {
        let was_out = self.failed_checks >= self.most_failures;
        self.failed_checks = if passed { 0 } else { self.failed_checks.saturating_add(1) };
        was_out != (self.failed_checks >= self.most_failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The dice that shorten nothing.
    const LONGEST: u64 = 0;

    fn health() -> Health {
        Health::new(&HealthConfig::default())
    }

    fn ejected(until: u64) -> Standing {
        Standing::Ejected(s(until))
    }

    #[test]
    fn only_failures_in_a_row_eject() {
        let mut health = health();
        for _ in 0..10 {
            assert_eq!((health.failed(s(1), LONGEST), health.failed(s(1), LONGEST)), (None, None));
            health.succeeded(s(1));
        }
        assert_eq!((health.failed(s(1), LONGEST), health.failed(s(1), LONGEST)), (None, None));
        assert_eq!(health.standing(s(1)), Standing::Good);
        assert_eq!(health.failed(s(1), LONGEST), Some(s(10)));
        assert_eq!((health.standing(s(1)), health.standing(s(11))), (ejected(11), Standing::Good));
    }

    #[test]
    fn failures_that_were_under_way_do_not_make_an_ejection_longer() {
        let mut health = health();
        let ejections: Vec<_> = (0..50).filter_map(|_| health.failed(s(1), LONGEST)).collect();
        assert_eq!((ejections, health.standing(s(2))), (vec![s(10)], ejected(11)));
    }

    #[test]
    fn after_an_ejection_one_connection_at_once_tries() {
        let mut health = health();
        (0..3).for_each(|_| assert!(health.failed(s(0), LONGEST).is_none_or(|lasts| lasts == s(10))));
        health.tried(s(5));
        assert_eq!(
            health.standing(s(10)),
            Standing::Good,
            "what is tried for want of better changes nothing"
        );
        health.tried(s(10));
        assert_eq!(health.standing(s(10)), ejected(20), "a second one is not");
        assert_eq!(health.standing(s(20)), Standing::Good, "one whose outcome was lost is not waited for");
        health.tried(s(20));
        assert_eq!((health.failed(s(21), LONGEST), health.standing(s(21))), (Some(s(20)), ejected(41)));
        health.tried(s(41));
        assert!(health.is_out());
        assert!(health.succeeded(s(42)) && !health.succeeded(s(42)));
        assert!(!health.is_out());
        assert_eq!(health.standing(s(42)), Standing::Good);
        assert_eq!((health.failed(s(42), LONGEST), health.standing(s(42))), (None, Standing::Good));
        health.tried(s(43));
        assert_eq!(health.standing(s(43)), Standing::Good, "one failure is no ejection");
    }

    #[test]
    fn ejections_in_a_row_grow_up_to_the_limit_and_are_forgiven_after_a_good_time() {
        let mut health = health();
        let mut now = Duration::ZERO;
        let eject = |health: &mut Health, now: &mut Duration| {
            let lasts = (0..3).find_map(|_| health.failed(*now, LONGEST)).unwrap();
            *now += lasts;
            health.tried(*now);
            lasts
        };
        let grown: Vec<_> = (0..7).map(|_| eject(&mut health, &mut now)).collect();
        assert_eq!(grown, [10, 20, 40, 80, 160, 300, 300].map(s));
        health.succeeded(now);
        assert_eq!(eject(&mut health, &mut now), s(300), "a moment is not enough");
        health.succeeded(now);
        now += s(1000);
        health.succeeded(now);
        assert_eq!(eject(&mut health, &mut now), s(10));
    }

    #[test]
    fn an_ejection_is_shortened_by_a_quarter_at_most() {
        let lasts = |dice| {
            let mut health = health();
            (0..3).find_map(|_| health.failed(s(0), dice)).unwrap()
        };
        let drawn: std::collections::BTreeSet<_> = (0..5000).map(lasts).collect();
        assert!(drawn.len() == 1000 && drawn.iter().all(|lasts| (s(7)..=s(10)).contains(lasts)), "{drawn:?}");
        assert!(drawn.first().unwrap() < &Duration::from_millis(7_510));
    }

    #[test]
    fn checks_eject_and_only_checks_bring_back() {
        let mut health = health();
        assert_eq!([(); 4].map(|()| health.checked(false)), [false, false, true, false]);
        assert!(!health.succeeded(s(1)) && health.is_out());
        assert_eq!(health.standing(s(100_000)), Standing::Ejected(Duration::MAX));
        assert!(health.checked(true) && !health.checked(true));
        assert_eq!(health.standing(s(100_000)), Standing::Good);
        assert!((0..3).any(|_| health.failed(s(0), LONGEST).is_some()));
        health.checked(true);
        assert_eq!(health.standing(s(1)), ejected(10), "a check does not excuse connections that fail");
    }

    #[test]
    fn no_number_of_failures_overflows() {
        let config = HealthConfig { eject: HumanDuration::from_secs(u64::MAX), ..HealthConfig::default() };
        let mut health = Health::new(&config);
        for second in 0..100_000 {
            health.tried(s(second * 1000));
            health.failed(s(second * 1000), second);
        }
        assert!(health.ejections > 100);
    }
}

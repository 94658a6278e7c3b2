//! Farewells that are spread over time: what a reload ends, and what a drain ends.

use std::{sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::HumanDuration;
use sockwarden_model::Initiator;
use sockwarden_net::random_u64;
use sockwarden_proto::CloseCode;
use tokio::time::{Instant, sleep_until};

use crate::{mailbox::Dismissal, registry::Entry};

/// What sessions are told that a reload ends.
pub(crate) const CONFIGURATION_CHANGED: &str = "the configuration changed";

/// What a reload does to the sessions of routes that it changes or removes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReloadConfig {
    /// Whether sessions of changed routes live on as they began, or are closed with 1012. Sessions of routes that did not
    /// change live on in any case.
    pub changed_routes: ChangedRoutes,
    /// The time over which closes are spread, so that not all clients come back at once.
    pub window: HumanDuration,
}

/// What happens to the sessions of a changed route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangedRoutes {
    /// They live on, under the rules that they began with.
    #[default]
    Keep,
    /// They are closed with 1012 (service restart).
    Close,
}

impl Default for ReloadConfig {
    fn default() -> Self {
        Self { changed_routes: ChangedRoutes::Keep, window: HumanDuration::from_secs(30) }
    }
}

/// How a gateway ends when it is asked to (SIGTERM).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DrainConfig {
    /// How long new connections are still accepted after readiness has been withdrawn, so that balancers notice first.
    pub delay: HumanDuration,
    /// The time over which sessions are closed, so that not all clients come back at once.
    pub window: HumanDuration,
    /// The close code: 1012 (service restart) or 1001 (going away).
    pub code: DrainCode,
    /// How long sessions may take to close after the window before they are cut off.
    pub grace: HumanDuration,
}

/// What sessions are told at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DrainCode {
    /// 1012: the service restarts, come back.
    #[default]
    ServiceRestart,
    /// 1001: the service goes away.
    GoingAway,
}

impl DrainCode {
    pub(crate) const fn code(self) -> CloseCode {
        match self {
            Self::ServiceRestart => CloseCode::RESTART,
            Self::GoingAway => CloseCode::GOING_AWAY,
        }
    }
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self {
            delay: HumanDuration::from_secs(0),
            window: HumanDuration::from_secs(10),
            code: DrainCode::default(),
            grace: HumanDuration::from_secs(5),
        }
    }
}

/// Dismisses sessions one after the other, spread evenly over `window` with jitter.
pub(crate) async fn dismiss(
    sessions: Vec<Arc<Entry>>,
    window: Duration,
    code: CloseCode,
    reason: &'static str,
) {
    let begun = Instant::now();
    let moments = spread(sessions.len(), window, random_u64);
    for (session, moment) in sessions.into_iter().zip(moments) {
        sleep_until(begun + moment).await;
        session.mailbox.post(dismissal(code, reason));
    }
}

/// The order that closes a session because the gateway is operated.
pub(crate) fn dismissal(code: CloseCode, reason: &str) -> Dismissal {
    Dismissal { code, reason: reason.to_owned(), initiator: Initiator::Gateway }
}

/// Gives `count` moments within `window`, in order: one in each of as many equal parts, anywhere in it.
fn spread(count: usize, window: Duration, mut random: impl FnMut() -> u64) -> Vec<Duration> {
    let part = window / u32::try_from(count.max(1)).unwrap_or(u32::MAX);
    (0..count)
        .map(|at| {
            let jitter = part.mul_f64((random() >> 11) as f64 / (1u64 << 53) as f64);
            part * u32::try_from(at).unwrap_or(u32::MAX) + jitter
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn farewells_are_spread_evenly() {
        let window = Duration::from_secs(10);
        let mut seed = 1u64;
        let moments = spread(1000, window, || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed
        });
        assert!(moments.is_sorted() && moments.last().is_some_and(|last| *last < window));
        for second in 0..10 {
            let from = Duration::from_secs(second);
            let count = moments.iter().filter(|m| (from..from + Duration::from_secs(1)).contains(*m)).count();
            assert!((99..=101).contains(&count), "{count} in second {second}");
        }
        assert!(spread(0, window, || 0).is_empty());
        assert_eq!(spread(2, Duration::ZERO, || u64::MAX), [Duration::ZERO; 2]);
    }
}

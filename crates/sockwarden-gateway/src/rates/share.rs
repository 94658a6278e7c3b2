//! Sharing the buckets of a limiter with other replicas.

use std::sync::{Arc, OnceLock};

use sockwarden_model::{EventSender, Notice};
use sockwarden_rate::{Lending, Limiter};
use sockwarden_state::{Leases, RateNews};
use tokio::{sync::Notify, task::JoinHandle};

use super::Clock;
use crate::journal::notice;

/// The task that asks for what may pass, for as long as this lives.
#[derive(Debug, Default)]
pub(super) struct Sharing(OnceLock<JoinHandle<()>>);

impl Sharing {
    /// Starts it, once. Whoever has come before that goes on with buckets of its own.
    pub(super) fn start(
        &self,
        limiter: &Limiter,
        leases: Leases,
        clock: Clock,
        route: &str,
        events: &EventSender,
    ) {
        self.0.get_or_init(|| {
            let bell = Arc::<Notify>::default();
            let rings = Arc::clone(&bell);
            limiter.share(Lending::default(), move || rings.notify_one());
            let (limiter, events, route) = (limiter.clone(), events.clone(), route.to_owned());
            tokio::spawn(async move {
                let tell = |news| tell(&events, &route, news);
                leases.serve(&limiter, &bell, || clock.now(), tell).await;
            })
        });
    }
}

impl Drop for Sharing {
    fn drop(&mut self) {
        if let Some(task) = self.0.get() {
            task.abort();
        }
    }
}

fn tell(events: &EventSender, route: &str, news: RateNews) {
    match news {
        RateNews::Alone(error) => {
            let why = format!("route {route}: this replica keeps to the rates by itself: {error}");
            notice(events, Notice::RatesAlone, why);
        }
        RateNews::Shared => {
            notice(events, Notice::RatesShared, format!("route {route}: replicas share the rates again"));
        }
    }
}

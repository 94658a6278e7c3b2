//! Asking a limiter again when something may pass.

use std::sync::{Arc, OnceLock};

use sockwarden_rate::Limiter;
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::Clock;

/// The task that does so, for as long as this lives.
#[derive(Debug, Default)]
pub(super) struct Driver(OnceLock<JoinHandle<()>>);

impl Driver {
    /// Starts it, once.
    pub(super) fn start(&self, limiter: &Limiter, bell: &Arc<Notify>, clock: Clock) {
        self.0.get_or_init(|| tokio::spawn(drive(limiter.clone(), Arc::clone(bell), clock)));
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(task) = self.0.get() {
            task.abort();
        }
    }
}

async fn drive(limiter: Limiter, bell: Arc<Notify>, clock: Clock) {
    let mut next = None;
    loop {
        let time = async {
            match next {
                Some(at) => sleep_until(Instant::from_std(clock.moment(at))).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = bell.notified() => {}
            () = time => {}
        }
        next = limiter.poll(clock.now());
    }
}

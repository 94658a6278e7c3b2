//! What names stand for, asked anew now and then; the last good answer stays where a later one fails.

use std::{sync::Arc, time::Duration};

use sockwarden_net::Place;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::pool::Pool;

/// How long one answer is waited for. The system's own resolver cannot be interrupted: it ends by its own time limit.
const LONGEST_LOOKUP: Duration = Duration::from_secs(10);
/// The most that one name stands for; further ones are left out.
const MOST_ANSWERS: usize = 64;
/// The least time between two rounds, whoever hurries.
const PAUSE: Duration = Duration::from_millis(250);

/// Asks for every name of `pool`, then again on its interval, or sooner while connections wait for an answer.
pub(super) async fn resolve(pool: Arc<Pool>) {
    let interval = pool.config.resolve.get().max(PAUSE);
    loop {
        let mut asking = JoinSet::new();
        for (source, host, port) in pool.names() {
            let host = host.to_owned();
            asking.spawn(async move { (source, look_up(&host, port).await) });
        }
        while let Some(answer) = asking.join_next().await {
            if let Ok((source, Some(places))) = answer {
                pool.resolved(source, places);
                pool.rounds.send_modify(|_| ());
            }
        }
        pool.rounds.send_modify(|rounds| *rounds += 1);
        sleep(PAUSE).await;
        let _ = timeout(interval.saturating_sub(PAUSE), pool.hurry.notified()).await;
    }
}

/// Gives what a name stands for; `None` where it stands for nothing or nobody knows in time.
async fn look_up(host: &str, port: u16) -> Option<Vec<Place>> {
    let found = timeout(LONGEST_LOOKUP, tokio::net::lookup_host((host, port))).await.ok()?.ok()?;
    let places: Vec<_> = found.take(MOST_ANSWERS).map(Place::Tcp).collect();
    (!places.is_empty()).then_some(places)
}

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

/// Asks for every name of `pool` by `look_up`, then again on its interval, or sooner while connections wait for an answer.
pub(super) async fn resolve<Answer>(pool: Arc<Pool>, look_up: impl Fn(String, u16) -> Answer)
where
    Answer: Future<Output = Option<Vec<Place>>> + Send + 'static,
{
    let interval = pool.config.resolve.get().max(PAUSE);
    loop {
        let mut asking = JoinSet::new();
        for (source, host, port) in pool.names() {
            let answer = timeout(LONGEST_LOOKUP, look_up(host.to_owned(), port));
            asking.spawn(async move { (source, answer.await.ok().flatten()) });
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

/// Gives what a name stands for by the system's resolver; `None` where it stands for nothing.
pub(super) async fn look_up(host: String, port: u16) -> Option<Vec<Place>> {
    let found = tokio::net::lookup_host((host.as_str(), port)).await.ok()?;
    let places: Vec<_> = found.take(MOST_ANSWERS).map(Place::Tcp).collect();
    (!places.is_empty()).then_some(places)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use sockwarden_config::HumanDuration;
    use sockwarden_net::ClientTls;

    use super::*;
    use crate::upstream::{UpstreamsConfig, pool::Way};

    fn pool(names: &[&str], resolve: HumanDuration) -> Arc<Pool> {
        let url = "wss://app.internal".parse().unwrap();
        let way = Way { url, tls: ClientTls::insecure().unwrap(), verified: true, proxy_protocol: false };
        let config = UpstreamsConfig { resolve, ..UpstreamsConfig::default() };
        Arc::new(Pool::new("app", way, config, names.iter().map(|name| name.parse().unwrap()).collect()))
    }

    fn places(pool: &Pool) -> Vec<String> {
        pool.members().iter().map(|member| member.place.to_string()).collect()
    }

    async fn until(pool: &Pool, rounds: u64) {
        let mut news = pool.rounds.subscribe();
        timeout(Duration::from_secs(10), news.wait_for(|done| *done >= rounds)).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn the_last_good_answer_stays_until_a_better_one_comes() {
        let pool = pool(&["app.internal:1"], HumanDuration::from_millis(1));
        let asked = AtomicUsize::new(0);
        let look_up = |_, port| {
            let answer = match asked.fetch_add(1, Ordering::Relaxed) {
                0 => Some(vec![Place::Tcp(([10, 0, 0, 1], port).into())]),
                1 => None,
                _ => Some(vec![Place::Tcp(([10, 0, 0, 2], port).into())]),
            };
            std::future::ready(answer)
        };
        let watching = async {
            for (round, expected) in [(1, "10.0.0.1:1"), (2, "10.0.0.1:1"), (3, "10.0.0.2:1")] {
                until(&pool, round).await;
                assert_eq!(places(&pool), [expected], "round {round}");
            }
        };
        tokio::select! {
            () = resolve(Arc::clone(&pool), look_up) => {}
            () = watching => {}
        }
    }

    #[tokio::test]
    async fn a_name_that_is_not_answered_keeps_nobody_from_the_others() {
        let pool = pool(&["slow.internal:1", "app.internal:1"], HumanDuration::from_secs(30));
        let look_up = |host: String, port| async move {
            if host == "slow.internal" {
                std::future::pending::<()>().await;
            }
            Some(vec![Place::Tcp(([10, 0, 0, 1], port).into())])
        };
        let mut news = pool.rounds.subscribe();
        tokio::select! {
            () = resolve(Arc::clone(&pool), look_up) => {}
            changed = timeout(Duration::from_secs(5), news.changed()) => changed.unwrap().unwrap(),
        }
        assert_eq!(places(&pool), ["10.0.0.1:1"]);
    }

    #[tokio::test]
    async fn who_waits_for_an_answer_does_not_wait_for_the_interval() {
        let pool = pool(&["app.internal:1"], HumanDuration::from_secs(3600));
        let watching = async {
            until(&pool, 1).await;
            pool.hurry.notify_one();
            until(&pool, 2).await;
        };
        tokio::select! {
            () = resolve(Arc::clone(&pool), |_, _| std::future::ready(None)) => {}
            () = watching => {}
        }
        assert_eq!(*pool.rounds.borrow(), 2);
    }
}

//! T2: a user with an ordinary account posts as fast as the socket takes it, and everybody else waits.

use std::time::{Duration, Instant};

use serde_json::json;
use sockwarden_lab::seed::{JORIS, MARA};
use sockwarden_model::Threat;

use super::{Attack, Outcome, Place, Target};
use crate::demo::{Stage, victim::Socket};

pub(super) static ATTACK: Attack = Attack {
    threat: Threat::T2,
    id: "message-flood",
    title: "a flood of messages",
    check: "rate-unbounded",
    place: Place::Endpoint,
    defence: "rate-limit",
    attempt: |stage, target| Box::pin(attempt(stage, target)),
};

/// How long the flood lasts.
const FLOOD: Duration = Duration::from_secs(3);

/// How many posts in that time are a flood: what the gateway lets through by default is a burst of 200 and 100 a second.
const MANY: u64 = 1000;

/// The most that is sent.
const MOST: u64 = 20_000;

async fn attempt(stage: &Stage, target: Target) -> anyhow::Result<Outcome> {
    let at = stage.endpoint(target);
    let (joris, mara) = (stage.log_in(JORIS).await?, stage.log_in(MARA).await?);
    let mut honest = match Socket::open(at, &[("Cookie", &mara.cookie)]).await {
        Ok(socket) => socket,
        Err(denied) => return Ok(denied.into()),
    };
    let mut flooding = match Socket::open(at, &[("Cookie", &joris.cookie)]).await {
        Ok(socket) => socket,
        Err(denied) => return Ok(denied.into()),
    };
    let ledger = stage.ledger();
    let before = ledger.post_count()?;
    let begun = Instant::now();
    let mut waited = Duration::ZERO;
    let flood = async {
        let post = json!({"type": "post", "room": "berths", "text": "all tugs to berth four"});
        for _ in 0..MOST {
            if begun.elapsed() >= FLOOD || flooding.say(&post).await.is_err() {
                break;
            }
        }
    };
    let asking = async {
        while begun.elapsed() < FLOOD {
            let asked = Instant::now();
            if honest.ask(json!({"type": "me"})).await.is_err() {
                break;
            }
            waited = waited.max(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    // Whoever is not read from any more is not waited for.
    let _ = tokio::time::timeout(FLOOD, async { tokio::join!(flood, asking) }).await;
    let stored = ledger.post_count()?.saturating_sub(before);
    let waited = waited.as_millis();
    if stored >= MANY {
        let loot = format!(
            "stored: {stored} posts of one user in {} s; another waited {waited} ms",
            FLOOD.as_secs()
        );
        return Ok(Outcome::Succeeded { loot });
    }
    let how = format!("delayed: {stored} posts in {} s; another waited {waited} ms", FLOOD.as_secs());
    Ok(Outcome::Stopped { how, event: stage.latest_of(ATTACK.defence) })
}

//! T2: a user with an ordinary account makes Harbor store and index a message of 8 MiB.

use serde_json::json;
use sockwarden_lab::seed::JORIS;
use sockwarden_model::Threat;

use super::{Attack, Outcome, Place, Target};
use crate::demo::{
    Stage,
    victim::{Socket, disappointment},
};

pub(super) static ATTACK: Attack = Attack {
    threat: Threat::T2,
    id: "oversize-message",
    title: "a message without a limit",
    check: "message-size-unbounded",
    place: Place::Endpoint,
    defence: "frame-limits",
    attempt: |stage, target| Box::pin(attempt(stage, target)),
};

const SIZE: u64 = 8 << 20;

async fn attempt(stage: &Stage, target: Target) -> anyhow::Result<Outcome> {
    let ledger = stage.ledger();
    // Longer than all before, so that the database shows this attempt and no earlier one.
    let size = SIZE.max(ledger.longest_post()? + 1);
    let session = stage.log_in(JORIS).await?;
    let mut socket = match Socket::open(stage.endpoint(target), &[("Cookie", &session.cookie)]).await {
        Ok(socket) => socket,
        Err(denied) => return Ok(denied.into()),
    };
    let text: String = "all tugs to berth four ".chars().cycle().take(usize::try_from(size)?).collect();
    let answer = socket.ask(json!({"type": "post", "room": "berths", "text": text})).await;
    if ledger.longest_post()? >= size {
        let loot = format!("stored: a post of {size} bytes, each of its words indexed");
        return Ok(Outcome::Succeeded { loot });
    }
    Ok(answer.map_or_else(Outcome::from, |answer| disappointment(&answer)))
}

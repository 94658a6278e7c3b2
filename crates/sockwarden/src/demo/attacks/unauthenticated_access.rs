//! T1: somebody without an account asks for another's data and for what is said behind closed doors.

use serde_json::json;
use sockwarden_lab::seed::{GATE_CODE, MARA};
use sockwarden_model::Threat;

use super::{Attack, Outcome, Place, Target};
use crate::demo::{
    Stage,
    victim::{Socket, disappointment},
};

pub(super) static ATTACK: Attack = Attack {
    threat: Threat::T1,
    id: "unauthenticated-access",
    title: "another's data without logging in",
    check: "unauthenticated-access",
    place: Place::Endpoint,
    defence: "authentication",
    attempt: |stage, target| Box::pin(attempt(stage, target)),
};

async fn attempt(stage: &Stage, target: Target) -> anyhow::Result<Outcome> {
    let mut socket = match Socket::open(stage.endpoint(target), &[]).await {
        Ok(socket) => socket,
        Err(denied) => return Ok(denied.into()),
    };
    let account = match socket.ask(json!({"type": "account", "user": MARA.user})).await {
        Ok(account) => account,
        Err(denied) => return Ok(denied.into()),
    };
    let history = match socket.ask(json!({"type": "history", "room": "security"})).await {
        Ok(history) => history,
        Err(denied) => return Ok(denied.into()),
    };
    let mut loot = Vec::new();
    if account["email"] == MARA.email && account["card"] == MARA.card {
        loot.push(format!("{}, card {}", MARA.email, MARA.card));
    }
    if history["posts"].as_array().is_some_and(|posts| posts.iter().any(|post| post["text"] == GATE_CODE)) {
        loot.push(GATE_CODE.to_owned());
    }
    if loot.is_empty() {
        return Ok(disappointment(&account));
    }
    Ok(Outcome::Succeeded { loot: format!("read: {}", loot.join("; ")) })
}

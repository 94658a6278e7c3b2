//! T7: a page of another site opens the socket in the victim's browser, which sends her cookie along.

use serde_json::json;
use sockwarden_lab::seed::MARA;
use sockwarden_model::Threat;

use super::{Attack, Outcome, Place, Target};
use crate::demo::{
    Stage,
    victim::{Socket, disappointment},
};

pub(super) static ATTACK: Attack = Attack {
    threat: Threat::T7,
    id: "cross-site-hijack",
    title: "a foreign page reads her account",
    check: "origin-not-checked",
    place: Place::Endpoint,
    defence: "origin-policy",
    attempt: |stage, target| Box::pin(attempt(stage, target)),
};

async fn attempt(stage: &Stage, target: Target) -> anyhow::Result<Outcome> {
    let session = stage.log_in(MARA).await?;
    if !session.is_sent_cross_site {
        return Ok(Outcome::Stopped { how: "a browser keeps the cookie back".to_owned(), event: None });
    }
    // Over TLS in both cases: a browser sends the cookie nowhere else.
    let at = match target {
        Target::Direct => stage.tls(),
        Target::Gateway => stage.endpoint(target),
    };
    let headers = [("Cookie", session.cookie.as_str()), ("Origin", "https://evil.example")];
    let mut socket = match Socket::open(at, &headers).await {
        Ok(socket) => socket,
        Err(denied) => return Ok(denied.into()),
    };
    let account = match socket.ask(json!({"type": "me"})).await {
        Ok(account) => account,
        Err(denied) => return Ok(denied.into()),
    };
    if account["card"] != MARA.card {
        return Ok(disappointment(&account));
    }
    let loot = format!("read: {}, card {}, balance {}", MARA.email, MARA.card, account["balance_cents"]);
    Ok(Outcome::Succeeded { loot })
}

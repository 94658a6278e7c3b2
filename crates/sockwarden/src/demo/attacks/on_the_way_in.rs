//! T4: an attacker on the path between the client and the endpoint reads a password and alters a message.
//!
//! Through the gateway the attacker first leads the victim to `ws://` and joins the handshake to a session of their own, so
//! that only `tls-required` stands in the way before she logs in; then passes TLS through and changes a bit; then poses as
//! the gateway. Out of any server's reach stays a victim who speaks `ws://` to somebody who speaks `wss://` to the server in
//! her stead: clients must insist on `wss://`, as HSTS makes browsers do.

use sockwarden_lab::seed::{MARA, YUSUF};
use sockwarden_model::Threat;
use sockwarden_proto::WsUrl;

use super::{
    Attack, Outcome, Place, Target,
    errand::{Errand, forged, try_ciphertext},
};
use crate::demo::{
    Stage,
    relay::{Plan, Relay},
    victim::{Denied, Endpoint},
};

pub(super) static ATTACK: Attack = Attack {
    threat: Threat::T4,
    id: "sniff-and-alter-on-the-way-in",
    title: "sniff and alter on the way in",
    check: "cleartext-transport",
    place: Place::Transport,
    defence: "tls-required",
    attempt: |stage, target| Box::pin(attempt(stage, target)),
};

async fn attempt(stage: &Stage, target: Target) -> anyhow::Result<Outcome> {
    let endpoint = stage.endpoint(target);
    let refused = match (cleartext(stage, endpoint, target).await?, target) {
        (outcome @ Outcome::Stopped { .. }, Target::Gateway) => outcome,
        (outcome, Target::Direct | Target::Gateway) => return Ok(outcome),
    };
    if let Some(breach) = ciphertext(stage, endpoint).await? {
        return Ok(breach);
    }
    if let Some(breach) = impostor(stage, endpoint).await? {
        return Ok(breach);
    }
    Ok(match refused {
        Outcome::Stopped { how, event } => Outcome::Stopped {
            how: format!(
                "ws:// {how}; over wss:// all is ciphertext, a changed bit and a forged certificate end it"
            ),
            event,
        },
        Outcome::Succeeded { .. } | Outcome::NotTested { .. } | Outcome::Failed { .. } => refused,
    })
}

/// Leads the victim to `ws://`, slipping a session of the attacker's into the handshake: hers stays at home.
async fn cleartext(stage: &Stage, endpoint: &Endpoint, target: Target) -> anyhow::Result<Outcome> {
    let errand = Errand::new();
    let own = stage.log_in(YUSUF).await?.cookie;
    let onward = WsUrl { tls: false, ..endpoint.url.clone() };
    let plan = Plan {
        line: Some(format!("Cookie: {own}")),
        rewrites: errand.rewrites(),
        ..Plan::new(onward.clone())
    };
    let relay = Relay::start(plan).await?;
    let at = Endpoint { url: relay.instead_of(&onward), tls: endpoint.tls.clone() };
    let run = errand.run(&at, &[]).await;
    errand.judge(&relay, &stage.ledger(), target, run)
}

/// Passes TLS through.
async fn ciphertext(stage: &Stage, endpoint: &Endpoint) -> anyhow::Result<Option<Outcome>> {
    let errand = Errand::new();
    let plan = Plan { rewrites: errand.rewrites(), ..Plan::new(endpoint.url.clone()) };
    let relay = Relay::start(plan).await?;
    let at = Endpoint { url: relay.instead_of(&endpoint.url), tls: endpoint.tls.clone() };
    let session = stage.log_in(MARA).await?;
    try_ciphertext(&relay, &stage.ledger(), &errand, &at, &session.cookie).await
}

/// Poses as the gateway.
async fn impostor(stage: &Stage, endpoint: &Endpoint) -> anyhow::Result<Option<Outcome>> {
    let errand = Errand::new();
    let plan = Plan { pose: Some(forged()?), rewrites: errand.rewrites(), ..Plan::new(endpoint.url.clone()) };
    let relay = Relay::start(plan).await?;
    let at = Endpoint { url: relay.instead_of(&endpoint.url), tls: endpoint.tls.clone() };
    let session = stage.log_in(MARA).await?;
    match errand.run(&at, &[("Cookie", &session.cookie)]).await {
        Err(Denied::Certificate(_)) => Ok(None),
        run @ (Ok(()) | Err(_)) => errand.judge(&relay, &stage.ledger(), Target::Gateway, run).map(Some),
    }
}

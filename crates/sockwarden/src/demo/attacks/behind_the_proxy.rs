//! T8: an attacker on the path between the proxy and the application.
//!
//! Direct is what a blind proxy does: it ends the client's TLS, so that the victim sees a good certificate, and speaks
//! `ws://` to the application. The gateway speaks `wss://`; the attacker poses as the application, then passes TLS through
//! and changes a bit.

use sockwarden_lab::seed::MARA;
use sockwarden_model::Threat;
use sockwarden_net::{ClientTls, DevCertificate, ServerTls};
use sockwarden_proto::WsUrl;

use super::{
    Attack, Outcome, Place, Target,
    errand::{Errand, forged, try_ciphertext},
};
use crate::demo::{
    Stage,
    relay::{Plan, Relay},
    victim::Endpoint,
};

pub(super) static ATTACK: Attack = Attack {
    threat: Threat::T8,
    id: "sniff-and-alter-behind-the-proxy",
    title: "sniff and alter behind the proxy",
    check: "cleartext-transport",
    place: Place::Hop,
    defence: "upstream-tls",
    attempt: |stage, target| Box::pin(attempt(stage, target)),
};

async fn attempt(stage: &Stage, target: Target) -> anyhow::Result<Outcome> {
    match target {
        Target::Direct => blind_proxy(stage).await,
        Target::Gateway => gateway(stage).await,
    }
}

async fn blind_proxy(stage: &Stage) -> anyhow::Result<Outcome> {
    let errand = Errand::new();
    let app = &stage.plain().url;
    let attacker = Relay::start(Plan { rewrites: errand.rewrites(), ..Plan::new(app.clone()) }).await?;
    let good = DevCertificate::generate()?;
    let certificate = ServerTls::from_pem(good.certificate.as_bytes(), good.key.as_bytes())?;
    let proxy = Plan { pose: Some(certificate), ..Plan::new(attacker.instead_of(app)) };
    let proxy = Relay::start(proxy).await?;
    let at = Endpoint {
        url: proxy.instead_of(&WsUrl { tls: true, ..app.clone() }),
        tls: ClientTls::with_roots(good.authority.as_bytes())?,
    };
    let session = stage.log_in(MARA).await?;
    let run = errand.run(&at, &[("Cookie", &session.cookie)]).await;
    errand.judge(&attacker, &stage.ledger(), Target::Direct, run)
}

async fn gateway(stage: &Stage) -> anyhow::Result<Outcome> {
    let session = stage.log_in(MARA).await?;
    let app = &stage.tls().url;

    let errand = Errand::new();
    let plan = Plan { pose: Some(forged()?), rewrites: errand.rewrites(), ..Plan::new(app.clone()) };
    let impostor = Relay::start(plan).await?;
    let front = stage.front_to(&impostor.instead_of(app)).await?;
    let run = errand.run(&front.endpoint, &[("Cookie", &session.cookie)]).await;
    let (how, event) = match errand.judge(&impostor, &stage.ledger(), Target::Gateway, run)? {
        Outcome::Stopped { how, event } => (how, event),
        other @ (Outcome::Succeeded { .. } | Outcome::NotTested { .. } | Outcome::Failed { .. }) => {
            return Ok(other);
        }
    };

    let errand = Errand::new();
    let plan = Plan { rewrites: errand.rewrites(), ..Plan::new(app.clone()) };
    let tap = Relay::start(plan).await?;
    let front = stage.front_to(&tap.instead_of(app)).await?;
    if let Some(breach) =
        try_ciphertext(&tap, &stage.ledger(), &errand, &front.endpoint, &session.cookie).await?
    {
        return Ok(breach);
    }
    let how =
        format!("{how} before an impostor; wss:// to the application is ciphertext, a changed bit ends it");
    Ok(Outcome::Stopped { how, event })
}

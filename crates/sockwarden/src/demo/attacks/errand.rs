//! What the victim does while somebody sits on the path, and what that one makes of it.

use serde_json::json;
use sockwarden_lab::{Ledger, seed::MARA};
use sockwarden_net::{DevCertificate, ServerTls, random_u64};

use super::{Outcome, Target};
use crate::demo::{
    relay::Relay,
    victim::{Denied, Endpoint, Socket},
};

/// The victim logs in over the socket and tells a room where a ship goes.
pub(super) struct Errand {
    said: String,
    altered: String,
}

/// What the attacker got out of it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Loot {
    has_password: bool,
    has_altered: bool,
}

impl Errand {
    /// Makes an errand whose words nobody has said before.
    pub(super) fn new() -> Self {
        let number = random_u64() % 1_000_000;
        Self {
            said: format!("Halcyon {number:06} to berth 3"),
            altered: format!("Halcyon {number:06} to berth 9"),
        }
    }

    /// What the attacker is to make of it on the way.
    pub(super) fn rewrites(&self) -> Vec<(String, String)> {
        vec![(self.said.clone(), self.altered.clone())]
    }

    /// Runs the errand.
    pub(super) async fn run(&self, at: &Endpoint, headers: &[(&str, &str)]) -> Result<(), Denied> {
        let mut socket = Socket::open(at, headers).await?;
        let login = json!({"type": "login", "user": MARA.user, "password": MARA.password});
        socket.ask(login).await?;
        socket.ask(json!({"type": "post", "room": "berths", "text": self.said})).await?;
        Ok(())
    }

    /// Judges by what the relay has read and by what the database holds.
    pub(super) fn judge(
        &self,
        relay: &Relay,
        ledger: &Ledger,
        target: Target,
        run: Result<(), Denied>,
    ) -> anyhow::Result<Outcome> {
        let loot = self.loot(relay, ledger)?;
        let mut all = Vec::new();
        if loot.has_password {
            all.push(format!("read: the password of {}, {}", MARA.user, MARA.password));
        }
        if loot.has_altered {
            all.push(format!("altered: {}", self.altered));
        }
        Ok(match (all.len(), target) {
            (0, _) => run.map_or_else(Outcome::from, |()| Outcome::Stopped {
                how: "nothing could be read".to_owned(),
                event: None,
            }),
            // Half of it is a failure of the demo, and of the gateway a breach.
            (1, Target::Direct) => Outcome::Failed { why: format!("the attacker got only {}", all.join("")) },
            (_, Target::Direct | Target::Gateway) => Outcome::Succeeded { loot: all.join("; ") },
        })
    }

    fn loot(&self, relay: &Relay, ledger: &Ledger) -> anyhow::Result<Loot> {
        Ok(Loot {
            has_password: relay.has_read(MARA.password),
            has_altered: ledger.posts_containing(&self.altered)? > 0,
        })
    }
}

/// Tries a relay that passes TLS through: the errand must arrive unread and unaltered, and one changed bit must end the
/// connection. `None` when it held.
pub(super) async fn try_ciphertext(
    relay: &Relay,
    ledger: &Ledger,
    errand: &Errand,
    at: &Endpoint,
    cookie: &str,
) -> anyhow::Result<Option<Outcome>> {
    let headers = [("Cookie", cookie)];
    errand.run(at, &headers).await?;
    anyhow::ensure!(relay.seen() > 0, "the errand did not go by way of the attacker");
    match errand.judge(relay, ledger, Target::Gateway, Ok(()))? {
        Outcome::Stopped { .. } => {}
        other @ (Outcome::Succeeded { .. } | Outcome::NotTested { .. } | Outcome::Failed { .. }) => {
            return Ok(Some(other));
        }
    }
    anyhow::ensure!(ledger.posts_containing(&errand.said)? == 1, "the errand did not arrive");

    let mut socket = Socket::open(at, &headers).await?;
    relay.flip_next_answer();
    let answer = socket.ask(json!({"type": "me"})).await;
    anyhow::ensure!(relay.has_flipped(), "the attacker had nothing to alter");
    Ok(answer.is_ok().then(|| Outcome::Succeeded { loot: "altered: an answer, unnoticed".to_owned() }))
}

/// Makes a certificate of the attacker's own, signed by nobody whom anybody trusts.
pub(super) fn forged() -> anyhow::Result<ServerTls> {
    let forged = DevCertificate::generate()?;
    Ok(ServerTls::from_pem(forged.certificate.as_bytes(), forged.key.as_bytes())?)
}

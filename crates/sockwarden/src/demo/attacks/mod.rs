//! The attacks, one file each.

mod behind_the_proxy;
mod cross_site_hijack;
mod errand;
mod message_flood;
mod on_the_way_in;
mod oversize_message;
mod unauthenticated_access;

use std::{future::Future, pin::Pin, time::Duration};

use sockwarden_model::{EventId, Threat, printable};

use super::Stage;

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Every attack, in the order in which they are tried and shown.
pub static ATTACKS: [&Attack; 6] = [
    &unauthenticated_access::ATTACK,
    &oversize_message::ATTACK,
    &message_flood::ATTACK,
    &on_the_way_in::ATTACK,
    &cross_site_hijack::ATTACK,
    &behind_the_proxy::ATTACK,
];

/// One attack, and what is expected to find and to stop it.
#[derive(Debug)]
pub struct Attack {
    /// The threat that it makes real.
    pub threat: Threat,
    /// The name in reports.
    pub id: &'static str,
    /// What the attacker is after, for a person.
    pub title: &'static str,
    /// The check that finds the flaw.
    pub check: &'static str,
    /// Where the flaw is looked for once the gateway is there.
    pub place: Place,
    /// The defence that stops it.
    pub defence: &'static str,
    attempt: for<'a> fn(&'a Stage, Target) -> Attempt<'a>,
}

type Attempt<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Outcome>> + Send + 'a>>;

/// Where a flaw is looked for once the gateway is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the gateway, as clients reach it.
    Endpoint,
    /// At the gateway, with and without TLS.
    Transport,
    /// At the application, as the gateway reaches it.
    Hop,
}

/// What an attack is carried out against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The application as it is.
    Direct,
    /// The application behind the gateway.
    Gateway,
}

/// What an attack came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The attacker has what was wanted.
    Succeeded {
        /// What that is.
        loot: String,
    },
    /// The attacker has nothing.
    Stopped {
        /// How it ended, from the attacker's side.
        how: String,
        /// The gateway's event that the attacker or the victim was told.
        event: Option<EventId>,
    },
    /// It was not tried.
    NotTested {
        /// What is missing.
        why: String,
    },
    /// It could not be carried out, which says nothing about the target.
    Failed {
        /// What went wrong.
        why: String,
    },
}

impl Attack {
    /// Carries out the attack, in 30 seconds at most.
    pub async fn attempt(&self, stage: &Stage, target: Target) -> Outcome {
        match tokio::time::timeout(PATIENCE, (self.attempt)(stage, target)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Outcome::Failed { why: printable(format!("{error:#}").as_bytes(), 200) },
            Err(_) => Outcome::Failed { why: "no answer in time".to_owned() },
        }
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_model::RuleKind;
    use sockwarden_scan::checks;

    use super::*;
    use crate::rules;

    #[test]
    fn every_defence_exists_and_is_for_the_threat() {
        for attack in ATTACKS {
            let defence = rules::find(attack.defence).expect(attack.defence);
            assert_eq!(defence.kind, RuleKind::Defence);
            assert!(defence.threats.contains(&attack.threat), "{}", attack.id);
            assert!(defence.counterparts.contains(&attack.check), "{}", attack.id);
        }
    }

    #[test]
    fn every_check_exists_and_is_for_the_threat() {
        for attack in ATTACKS {
            let check = checks::ALL.iter().map(|check| check.rule()).find(|rule| rule.id == attack.check);
            let check = check.expect(attack.check);
            assert!(check.threats.contains(&attack.threat), "{}", attack.id);
            assert!(check.counterparts.contains(&attack.defence), "{}", attack.id);
        }
    }

    #[test]
    fn the_order_is_that_of_the_threats() {
        assert!(ATTACKS.is_sorted_by_key(|attack| attack.threat));
    }
}

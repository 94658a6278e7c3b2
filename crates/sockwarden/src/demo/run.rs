//! The whole of a demo: the scans, the attacks, and whether all is as it should be.

use std::time::{Duration, Instant};

use sockwarden_lab::seed::MARA;
use sockwarden_model::{EventId, Severity};

use super::{
    ATTACKS, Attack, Outcome, Stage, Target,
    scans::{Scans, Sighting},
};

/// What the demo shows.
#[derive(Clone, Debug)]
pub struct Shown {
    /// One row for each attack, in their order.
    pub rows: Vec<Row>,
    /// How many findings the full scan has, whatever their severity, without and with the gateway.
    pub findings: (usize, usize),
    /// Why who may use the application cannot, through the gateway; `None` when she can.
    pub shut_out: Option<String>,
    /// How long it took.
    pub elapsed: Duration,
}

/// What one attack, and the scans for its flaw, came to.
#[derive(Clone, Debug)]
pub struct Row {
    /// The attack.
    pub attack: &'static Attack,
    /// What it came to without the gateway.
    pub direct: Outcome,
    /// What it came to through the gateway.
    pub gateway: Outcome,
    /// The rule that stopped it there, as the gateway reported it.
    pub stopped_by: Option<String>,
    /// What the scan says without the gateway.
    pub before: Sighting,
    /// What the scan says with the gateway.
    pub after: Sighting,
}

/// How many steps [`run`] tells of.
pub const STEPS: u64 = 2 + 2 * ATTACKS.len() as u64;

/// Scans, attacks and scans; `tell` hears what is done next.
///
/// # Errors
/// A scan could not be made at all.
pub async fn run(stage: &Stage, tell: &(dyn Fn(&str) + Sync)) -> anyhow::Result<Shown> {
    let begun = Instant::now();
    tell("scanning, without the gateway and with it");
    let scans = Scans::make(stage).await?;
    let mut rows = Vec::with_capacity(ATTACKS.len());
    for attack in ATTACKS {
        tell(&format!("{}: {}", attack.threat, attack.title));
        let direct = attack.attempt(stage, Target::Direct).await;
        tell(&format!("{}: {}, through the gateway", attack.threat, attack.title));
        let gateway = attack.attempt(stage, Target::Gateway).await;
        let stopped_by = gateway.event().and_then(|event| stage.stopper(event));
        let (before, after) = (scans.sighting_before(attack), scans.sighting_after(attack));
        rows.push(Row { attack, direct, gateway, stopped_by, before, after });
    }
    tell("using the application as it is meant, through the gateway");
    let shut_out = stage.serves(MARA).await.err().map(|error| format!("{error:#}"));
    Ok(Shown { rows, findings: scans.count(), shut_out, elapsed: begun.elapsed() })
}

impl Shown {
    /// Tells whether every row is as it should be and the application still serves its users.
    pub fn is_good(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(Row::is_good) && self.shut_out.is_none()
    }
}

impl Row {
    /// Tells whether the attack succeeded, was found, was stopped by the named defence, and is gone.
    pub fn is_good(&self) -> bool {
        self.has_succeeded() && self.is_found() && self.is_stopped() && self.is_gone()
    }

    pub(crate) const fn has_succeeded(&self) -> bool {
        matches!(self.direct, Outcome::Succeeded { .. })
    }

    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.gateway, Outcome::Stopped { .. })
            && self.stopped_by.as_deref() == Some(self.attack.defence)
    }

    /// A remark that something may be worth a look is no finding of the flaw.
    pub(crate) fn is_found(&self) -> bool {
        matches!(self.before, Sighting::Found { severity, .. } if severity >= Severity::Medium)
    }

    pub(crate) const fn is_gone(&self) -> bool {
        matches!(self.after, Sighting::Absent)
    }
}

impl Outcome {
    /// Gives the gateway's event that was told with a refusal.
    pub const fn event(&self) -> Option<EventId> {
        match self {
            Self::Stopped { event, .. } => *event,
            Self::Succeeded { .. } | Self::NotTested { .. } | Self::Failed { .. } => None,
        }
    }
}

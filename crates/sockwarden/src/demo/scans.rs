//! The scans: of the application as it is, and of the same behind the gateway.

use std::{num::NonZeroU32, time::Duration};

use anyhow::Context as _;
use sockwarden_lab::seed::{INES, MARA};
use sockwarden_model::{Profile, Severity, printable};
use sockwarden_net::DialOptions;
use sockwarden_proto::WsUrl;
use sockwarden_scan::{CheckResult, Identity, Options, Report, SameSite, ScanError, Target, scan};

use super::{Attack, Place, Stage, victim::Endpoint};

/// How long one scan may take.
const TIME: Duration = Duration::from_secs(60);
const RATE: NonZeroU32 = NonZeroU32::new(200).expect("200 is not zero");

const CLEARTEXT: [&str; 1] = ["cleartext-transport"];

/// What a scan says of one flaw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// The flaw is there.
    Found {
        /// How bad it is here.
        severity: Severity,
        /// One sentence.
        summary: String,
    },
    /// It was looked for and is not there.
    Absent,
    /// It was not looked for, or not to the end.
    NotTested {
        /// Why.
        why: String,
    },
}

/// What all scans came to.
#[derive(Debug)]
pub(crate) struct Scans {
    /// The application as it is, by `ws://`, as a blind proxy reaches it too.
    before: Report,
    /// The gateway by `wss://`.
    after: Report,
    /// The gateway by `ws://`, where its clients must not be.
    after_plain: Report,
    /// The application as the gateway reaches it.
    hop: Report,
}

impl Scans {
    /// Makes all scans, side by side.
    pub(crate) async fn make(stage: &Stage) -> anyhow::Result<Self> {
        let front = &stage.front().endpoint;
        let plain = Endpoint { url: WsUrl { tls: false, ..front.url.clone() }, tls: front.tls.clone() };
        let hop = stage.hop()?;
        let (before, after, after_plain, hop) = tokio::try_join!(
            run(stage, stage.plain(), true, &[]),
            run(stage, front, true, &[]),
            cleartext_refused(stage, &plain),
            run(stage, &hop, true, &CLEARTEXT),
        )?;
        Ok(Self { before, after, after_plain, hop })
    }

    /// Counts the findings of the full scans, before and after.
    pub(crate) const fn count(&self) -> (usize, usize) {
        (self.before.findings.len(), self.after.findings.len())
    }

    /// Tells what the scan without the gateway says of an attack's flaw.
    pub(crate) fn sighting_before(&self, attack: &Attack) -> Sighting {
        sighting(&[&self.before], attack.check)
    }

    /// Tells what the scans with the gateway say of an attack's flaw.
    pub(crate) fn sighting_after(&self, attack: &Attack) -> Sighting {
        match attack.place {
            Place::Endpoint => sighting(&[&self.after], attack.check),
            Place::Transport => sighting(&[&self.after, &self.after_plain], attack.check),
            Place::Hop => sighting(&[&self.hop], attack.check),
        }
    }
}

/// Gives the worst that any report says; none may have left the check out.
fn sighting(reports: &[&Report], check: &str) -> Sighting {
    let findings = reports.iter().flat_map(|report| &report.findings).filter(|found| found.rule == check);
    if let Some(worst) = findings.max_by_key(|found| found.severity) {
        let summary = printable(worst.summary.as_bytes(), 400);
        return Sighting::Found { severity: worst.severity, summary };
    }
    for report in reports {
        match report.outcomes.iter().find(|outcome| outcome.rule.id == check).map(|found| &found.result) {
            Some(CheckResult::Clean) => {}
            Some(CheckResult::NotTested(skip)) => return Sighting::NotTested { why: skip.to_string() },
            Some(CheckResult::Found(_)) | None => {
                return Sighting::NotTested { why: "the scan does not say".to_owned() };
            }
        }
    }
    Sighting::Absent
}

/// Scans where `ws://` should be refused: to mara, and where she is turned away to nobody in particular, so that there is a
/// report and no authentication behind which cleartext could hide.
async fn cleartext_refused(stage: &Stage, at: &Endpoint) -> anyhow::Result<Report> {
    let as_mara = run(stage, at, true, &CLEARTEXT).await;
    let is_refused = |error: &anyhow::Error| {
        matches!(error.downcast_ref::<ScanError>(), Some(ScanError::IdentityRefused(..)))
    };
    match as_mara {
        Err(error) if is_refused(&error) => run(stage, at, false, &CLEARTEXT).await,
        report => report,
    }
}

async fn run(stage: &Stage, at: &Endpoint, as_mara: bool, checks: &[&str]) -> anyhow::Result<Report> {
    let mut target = Target::new(at.url.clone());
    if as_mara {
        let session = stage.log_in(MARA).await?;
        let same_site = if session.is_sent_cross_site { SameSite::None } else { SameSite::Unknown };
        target.identities.push(Identity { same_site, ..Identity::new(MARA.user, "Cookie", &session.cookie) });
    }
    // What only mara is told, and what nobody but Inês should be told.
    target.say.push(serde_json::json!({"type": "me"}).to_string());
    target.say.push(serde_json::json!({"type": "account", "user": INES.user}).to_string());
    let dial = DialOptions { tls: at.tls.clone(), timeout: Duration::from_secs(5), connect_to: None };
    let options = Options {
        profile: Profile::Intrusive,
        checks: checks.iter().map(ToString::to_string).collect(),
        rate: RATE,
        time_budget: TIME,
        ..Options::new(dial)
    };
    scan(target, &options, &()).await.with_context(|| format!("scanning {}", at.url))
}

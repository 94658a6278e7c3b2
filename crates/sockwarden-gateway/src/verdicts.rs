//! Asking the chain after the upgrade, and reporting what it says.

use std::time::Duration;

use sockwarden_defend::{Chain, Decided, Fact, Outcome, Report, Verdict};
use sockwarden_model::Direction;

use crate::journal::Journal;

/// What the chain says of a fact.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// The connection ends.
    pub(crate) stopped: Option<Decided>,
    /// The message is not forwarded.
    pub(crate) dropped: Option<Decided>,
    /// Whether a guard that only observes would have stopped it.
    pub(crate) noted: bool,
    /// Which of the limits for operations it counts for.
    pub(crate) kinds: u32,
}

/// The most that is reported of one message by guards that only observe: a thousand mistakes in it are no thousand events.
pub(crate) const MOST_NOTES: usize = 8;

/// Asks the chain and reports what guards that only observe have seen, and what they drop.
pub(crate) fn observe(
    chain: &mut Chain,
    journal: &Journal,
    fact: &Fact<'_>,
    from: Direction,
    now: Duration,
) -> Judged {
    let judged = observe_again(chain, journal, fact, from, now, &mut 0);
    if let Some(dropped) = &judged.dropped {
        journal.decided(dropped, Some(from));
    }
    judged
}

/// The same for one of several facts of one message, of which so many `notes` have been reported. That it is dropped is not reported:
/// that may be more than a drop once the message is read.
pub(crate) fn observe_again(
    chain: &mut Chain,
    journal: &Journal,
    fact: &Fact<'_>,
    from: Direction,
    now: Duration,
    notes: &mut usize,
) -> Judged {
    let mut report = Report::default();
    let outcome = chain.observe(fact, now, &mut report);
    for noted in report.noted.iter().take(MOST_NOTES.saturating_sub(*notes)) {
        journal.decided(noted, Some(from));
    }
    *notes = notes.saturating_add(report.noted.len());
    let (noted, kinds) = (!report.noted.is_empty(), report.kinds);
    match outcome {
        Outcome::Pass | Outcome::Ask { .. } => Judged { stopped: None, dropped: None, noted, kinds },
        Outcome::Stop(decided) if matches!(decided.verdict, Verdict::Drop { .. }) => {
            Judged { stopped: None, dropped: Some(decided), noted, kinds }
        }
        Outcome::Stop(decided) => Judged { stopped: Some(decided), dropped: None, noted, kinds },
    }
}

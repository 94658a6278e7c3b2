//! Asking the guards of one connection in order, each in its mode.

use std::{sync::Arc, time::Duration};

use sockwarden_model::{Mode, Rule};

use crate::{Defence, Effect, Fact, Guard, Verdict};

/// A defence with its mode.
#[derive(Clone, Debug)]
pub struct Configured {
    /// The defence.
    pub defence: Arc<dyn Defence>,
    /// What it does with what it sees.
    pub mode: Mode,
}

/// The guards of one connection.
pub struct Chain {
    links: Vec<Link>,
}

struct Link {
    rule: &'static Rule,
    mode: Mode,
    guard: Box<dyn Guard>,
}

/// A verdict that is more than a pass, with whose it is.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The rule that decided.
    pub rule: &'static Rule,
    /// Whether it blocks or observes; in observe mode the verdict was not carried out.
    pub mode: Mode,
    /// The verdict: a refusal or a close.
    pub verdict: Verdict,
}

/// What the chain says of a fact.
#[derive(Debug)]
pub enum Outcome {
    /// Every guard lets it pass.
    Pass,
    /// A guard in block mode stops it; the guards after it were not asked.
    Stop(Decided),
    /// A guard must know more: carry out the effect and call [`Chain::resume`] with the link.
    Ask {
        /// Which guard asks.
        link: usize,
        /// What it asks for.
        effect: Effect,
    },
}

impl Chain {
    /// Makes the guards of a new connection; a defence that is off makes none.
    pub fn new(defences: &[Configured]) -> Self {
        let links = defences
            .iter()
            .filter(|configured| configured.mode != Mode::Off)
            .map(|Configured { defence, mode }| Link {
                rule: defence.rule(),
                mode: *mode,
                guard: defence.guard(),
            })
            .collect();
        Self { links }
    }

    /// Asks every guard about `fact`, in order. Refusals and closes of guards that only observe go to `noted`; what an
    /// application says of a caller goes to `user`.
    pub fn observe(&mut self, fact: &Fact<'_>, now: Duration, report: &mut Report) -> Outcome {
        self.ask_from(0, fact, now, report)
    }

    /// Gives `answer` to the guard that asked, then goes on with `fact` at the guard after it.
    pub fn resume(
        &mut self,
        link: usize,
        answer: &Fact<'_>,
        fact: &Fact<'_>,
        now: Duration,
        report: &mut Report,
    ) -> Outcome {
        match self.ask(link, answer, now, report) {
            Outcome::Pass => self.ask_from(link + 1, fact, now, report),
            stop_or_ask @ (Outcome::Stop(_) | Outcome::Ask { .. }) => stop_or_ask,
        }
    }

    fn ask_from(&mut self, first: usize, fact: &Fact<'_>, now: Duration, report: &mut Report) -> Outcome {
        for link in first..self.links.len() {
            match self.ask(link, fact, now, report) {
                Outcome::Pass => {}
                stop_or_ask @ (Outcome::Stop(_) | Outcome::Ask { .. }) => return stop_or_ask,
            }
        }
        Outcome::Pass
    }

    fn ask(&mut self, link: usize, fact: &Fact<'_>, now: Duration, report: &mut Report) -> Outcome {
        let Some(Link { rule, mode, guard }) = self.links.get_mut(link) else { return Outcome::Pass };
        match guard.observe(fact, now) {
            Verdict::Pass => Outcome::Pass,
            Verdict::Identified { user } => {
                report.user = user;
                Outcome::Pass
            }
            Verdict::Ask(effect) => Outcome::Ask { link, effect },
            verdict @ (Verdict::Refuse(_) | Verdict::Close(_)) => {
                let decided = Decided { rule, mode: *mode, verdict };
                if *mode == Mode::Block {
                    return Outcome::Stop(decided);
                }
                report.noted.push(decided);
                Outcome::Pass
            }
        }
    }
}

/// What the guards said besides the outcome.
#[derive(Debug, Default)]
pub struct Report {
    /// What guards in observe mode would have stopped.
    pub noted: Vec<Decided>,
    /// Who the application says the caller is.
    pub user: Option<String>,
}

//! Asking the guards of one connection in order, each in its mode.

use std::{ops::Range, sync::Arc, time::Duration};

use sockwarden_model::{Identity, Mode, Rule};

use crate::{Content, Defence, Effect, Fact, Guard, Hears, Switch, Verdict};

/// A defence with its mode.
#[derive(Debug)]
pub struct Configured {
    /// The defence.
    pub defence: Box<dyn Defence>,
    /// What it does with what it sees.
    pub switch: Switch,
    /// What it is told of.
    hears: Hears,
}

impl Configured {
    /// Puts a defence under a switch.
    pub fn new(defence: impl Defence + 'static, switch: Switch) -> Self {
        let hears = defence.hears();
        Self { defence: Box::new(defence), switch, hears }
    }
}

/// The guards of one connection.
pub struct Chain {
    defences: Arc<[Configured]>,
    /// One for each of the defences, in their order.
    guards: Box<[Box<dyn Guard>]>,
    /// The first defence that hears what follows the upgrade, and the first after the last one: the others are not asked.
    after: (u16, u16),
    /// What any of them hears.
    hears: Hears,
    /// Whether any of them tells senders what was left out.
    tells: bool,
}

/// A verdict that is more than a pass, with whose it is.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The rule that decided.
    pub rule: &'static Rule,
    /// Whether it blocks or observes; in observe mode the verdict was not carried out.
    pub mode: Mode,
    /// The verdict: a refusal, a close or a drop.
    pub verdict: Verdict,
    /// Whether the sender of a message that is left out is told so.
    pub tells: bool,
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
    /// Makes the guards of a new connection. A defence that is off has one too: its mode may change.
    pub fn new(defences: &Arc<[Configured]>) -> Self {
        let guards = defences.iter().map(|configured| configured.defence.guard()).collect();
        let after = |configured: &Configured| configured.hears != Hears::NOTHING;
        let place = |found: Option<usize>| found.and_then(|place| u16::try_from(place).ok()).unwrap_or(0);
        let first = place(defences.iter().position(after));
        let end = place(defences.iter().rposition(after).map(|last| last + 1));
        let hears = defences.iter().fold(Hears::NOTHING, |all, configured| all | configured.hears);
        let tells = defences.iter().any(|configured| configured.defence.tells());
        Self { defences: Arc::clone(defences), guards, after: (first, end), hears, tells }
    }

    /// Tells whether what a message asks for may be wanted, to tell its sender that it was left out.
    pub const fn tells(&self) -> bool {
        self.tells
    }

    /// Tells whether a defence that judges what follows the upgrade is off, so that what passes was not wholly inspected.
    pub fn overlooks_messages(&self) -> bool {
        let mut defences = self.defences.iter();
        defences.any(|configured| configured.hears != Hears::NOTHING && configured.switch.mode() == Mode::Off)
    }

    /// Tells whether one of those is off that judge what whole messages hold, whatever carries them.
    pub fn overlooks_content(&self) -> bool {
        self.any_reads(Mode::Off)
    }

    /// Tells what defences that are not off want to know of what whole messages hold.
    #[inline]
    pub fn reads(&self) -> Hears {
        let of_content = Hears::CONTENT | Hears::MESSAGES;
        if !self.hears.any(of_content) {
            return Hears::NOTHING;
        }
        let on = self.defences.iter().filter(|configured| configured.switch.mode() != Mode::Off);
        on.fold(Hears::NOTHING, |all, configured| all | configured.hears)
    }

    /// Tells whether a defence that reads whole messages would stop one: what cannot be read at all must not pass by it.
    pub fn stops_messages(&self) -> bool {
        self.any_reads(Mode::Block)
    }

    fn any_reads(&self, mode: Mode) -> bool {
        let reads = |configured: &Configured| configured.hears.any(Hears::CONTENT | Hears::MESSAGES);
        self.defences.iter().any(|configured| reads(configured) && configured.switch.mode() == mode)
    }

    /// Asks every guard that `fact` may concern, in order. Refusals, closes and drops of guards that only observe go to `noted`; who the
    /// caller is goes to `identity`.
    #[inline]
    pub fn observe(&mut self, fact: &Fact<'_>, now: Duration, report: &mut Report) -> Outcome {
        let heard = match fact {
            Fact::Handshake(_) | Fact::Request(_) | Fact::Answer(_) | Fact::Upstream(_) | Fact::Open(_) => {
                return self.ask_from(0..self.guards.len(), None, fact, now, report);
            }
            Fact::Frame { .. } | Fact::Inflated { .. } | Fact::Violation { .. } => Hears::FRAMES,
            Fact::Content { content: Content::Value(_), .. } => Hears::VALUES,
            Fact::Content { content: Content::Operation(_), .. } => Hears::OPERATIONS,
            Fact::Content { content: Content::Anomaly(..), .. } => Hears::ANOMALIES,
            Fact::Content { content: Content::Begin | Content::Whole { .. }, .. } => Hears::MESSAGES,
        };
        let links = usize::from(self.after.0)..usize::from(self.after.1);
        self.ask_from(links, Some(heard), fact, now, report)
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
            Outcome::Pass => self.ask_from(link + 1..self.guards.len(), None, fact, now, report),
            stop_or_ask @ (Outcome::Stop(_) | Outcome::Ask { .. }) => stop_or_ask,
        }
    }

    #[inline]
    fn ask_from(
        &mut self,
        links: Range<usize>,
        heard: Option<Hears>,
        fact: &Fact<'_>,
        now: Duration,
        report: &mut Report,
    ) -> Outcome {
        for link in links {
            let hears = |heard| self.defences.get(link).is_some_and(|configured| configured.hears.any(heard));
            if heard.is_some_and(|heard| !hears(heard)) {
                continue;
            }
            match self.ask(link, fact, now, report) {
                Outcome::Pass => {}
                stop_or_ask @ (Outcome::Stop(_) | Outcome::Ask { .. }) => return stop_or_ask,
            }
        }
        Outcome::Pass
    }

    #[inline]
    fn ask(&mut self, link: usize, fact: &Fact<'_>, now: Duration, report: &mut Report) -> Outcome {
        let (Some(Configured { defence, switch, .. }), Some(guard)) =
            (self.defences.get(link), self.guards.get_mut(link))
        else {
            return Outcome::Pass;
        };
        let mode = switch.mode();
        if mode == Mode::Off {
            return Outcome::Pass;
        }
        match guard.observe(fact, now) {
            Verdict::Pass => Outcome::Pass,
            Verdict::Count(kinds) => {
                report.kinds |= kinds;
                Outcome::Pass
            }
            Verdict::Identified(identity) => {
                report.identity = Some(identity);
                Outcome::Pass
            }
            Verdict::Ask(effect) => Outcome::Ask { link, effect },
            verdict @ (Verdict::Refuse(_) | Verdict::Close(_) | Verdict::Drop { .. }) => {
                let decided = Decided { rule: defence.rule(), mode, verdict, tells: defence.tells() };
                if mode == Mode::Block {
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
    /// Who the caller is, where somebody vouches for it; apart, for a report is made for every frame.
    pub identity: Option<Box<Identity>>,
    /// Which of the limits for operations the message counts for, a bit each.
    pub kinds: u32,
}

impl Report {
    /// Gives who the caller is; nothing is said where nobody vouches for it.
    pub fn caller(&self) -> Identity {
        self.identity.as_deref().cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Direction;
    use sockwarden_proto::{FrameHeader, MessageKind, Opcode};

    use super::*;
    use crate::defences::{FrameLimits, FrameLimitsConfig};

    #[test]
    fn a_change_of_mode_acts_on_guards_that_live_already() {
        let limits = FrameLimits::new(&FrameLimitsConfig::default());
        let defences: Arc<[Configured]> = [Configured::new(limits, Switch::new(Mode::Block))].into();
        let mut chain = Chain::new(&defences);
        let header = FrameHeader::new(Opcode::Text, 1 << 30);
        let mut judge = |mode| {
            defences[0].switch.set(mode);
            let mut report = Report::default();
            let fact = Fact::Frame { direction: Direction::Client, header: &header };
            let stopped = match chain.observe(&fact, Duration::ZERO, &mut report) {
                Outcome::Stop(decided) => Some(decided.mode),
                Outcome::Pass | Outcome::Ask { .. } => None,
            };
            (stopped, report.noted.len(), chain.overlooks_messages())
        };
        assert_eq!(judge(Mode::Block), (Some(Mode::Block), 0, false));
        assert_eq!(judge(Mode::Observe), (None, 1, false));
        assert_eq!(judge(Mode::Off), (None, 0, true));
        assert_eq!(judge(Mode::Block), (Some(Mode::Block), 0, false));
    }

    /// Drops every message.
    #[derive(Debug)]
    struct Silence;

    impl Defence for Silence {
        fn rule(&self) -> &'static Rule {
            crate::ORDER[0]
        }

        fn hears(&self) -> Hears {
            Hears::MESSAGES
        }

        fn guard(&self) -> Box<dyn Guard> {
            Box::new(Self)
        }
    }

    impl Guard for Silence {
        fn observe(&mut self, _fact: &Fact<'_>, _now: Duration) -> Verdict {
            Verdict::Drop { reason: "silence".into() }
        }
    }

    #[test]
    fn messages_are_told_where_a_defence_reads_them_and_dropped_in_block_mode_alone() {
        let block = || Switch::new(Mode::Block);
        let limits = || Configured::new(FrameLimits::new(&FrameLimitsConfig::default()), block());
        assert_eq!(Chain::new(&[limits()].into()).reads(), Hears::NOTHING);
        let defences: Arc<[Configured]> = [limits(), Configured::new(Silence, block())].into();
        let mut chain = Chain::new(&defences);
        let mut judge = |mode| {
            defences[1].switch.set(mode);
            let mut report = Report::default();
            let content = Content::Whole { kind: MessageKind::Text, bytes: b"a", goes_on: false };
            let fact = Fact::Content { direction: Direction::Server, content };
            let dropped = match chain.observe(&fact, Duration::ZERO, &mut report) {
                Outcome::Stop(decided) => matches!(decided.verdict, Verdict::Drop { .. }),
                Outcome::Pass | Outcome::Ask { .. } => false,
            };
            (chain.reads().any(Hears::MESSAGES), chain.stops_messages(), dropped, report.noted.len())
        };
        assert_eq!(judge(Mode::Block), (true, true, true, 0));
        assert_eq!(judge(Mode::Observe), (true, false, false, 1));
        assert_eq!(judge(Mode::Off), (false, false, false, 0));
    }
}

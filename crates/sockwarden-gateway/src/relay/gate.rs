//! What one peer sends beyond its rate: held in its order until it may leave.

use std::{collections::VecDeque, task::Waker, time::Duration};

use sockwarden_defend::{
    Closure, Decided, Verdict,
    defences::{OverdueKind, RATE_LIMIT},
};
use sockwarden_model::{Direction, Limit, Mode};
use sockwarden_proto::{CloseCode, MessageKind};
use sockwarden_rate::{Cost, Lane, Offer};

use super::message::{About, Form, Target};
use crate::{
    hold::Hold,
    rates::{RateSwitch, Rates, ticks},
};

/// The least time between two notices that messages of a connection wait.
const BETWEEN_NOTICES: Duration = Duration::from_secs(10);

/// Meters what one peer sends.
#[derive(Debug)]
pub(crate) struct Gate {
    lane: Lane,
    switch: RateSwitch,
    /// What time it was by the buckets' clock when the relay's began.
    origin: u64,
    timeout: Duration,
    pub(super) overdue: OverdueKind,
    pub(super) close_code: CloseCode,
    queue: VecDeque<Waiting>,
    /// How much memory it takes.
    memory: usize,
    /// What the peer has said after all that waits.
    pub(super) last_word: Option<LastWord>,
    noticed: Option<Duration>,
}

/// A message that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    since: Duration,
    pub(super) kind: MessageKind,
    pub(super) form: Form,
    pub(super) held: Hold,
    /// What is known of it.
    pub(super) about: About,
}

/// What ends what a peer has to say.
#[derive(Debug)]
pub(super) enum LastWord {
    /// A close frame.
    Close(Option<CloseCode>, String),
    /// It has vanished.
    Gone,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It leaves.
    Pass,
    /// It would wait, but is only observed; whether that is to be told.
    Excess(bool),
    /// It waits; whether that is to be told.
    Wait(bool),
    /// Its sender is shut out for so long still.
    Banned(Duration),
}

impl Gate {
    /// Meters with `lane` a connection whose relay's time began at `begun`.
    pub(crate) fn new(lane: Lane, rates: &Rates, switch: RateSwitch, begun: std::time::Instant) -> Self {
        let config = rates.config();
        Self {
            lane,
            switch,
            origin: rates.clock().at(begun),
            timeout: config.queue_timeout.get(),
            overdue: config.overdue,
            close_code: CloseCode(config.close_code),
            queue: VecDeque::new(),
            memory: 0,
            last_word: None,
            noticed: None,
        }
    }

    /// Tells whether a message that waits may be left out in the end.
    pub(super) const fn may_leave_out(&self) -> bool {
        matches!(self.overdue, OverdueKind::Drop)
    }

    pub(super) fn wake_by(&mut self, waker: &Waker) {
        self.lane.wake_by(waker);
    }

    /// Judges a message that is complete and passes everything else. What waits must be handed over by [`Gate::hold`].
    #[inline]
    pub(super) fn admit(&mut self, about: &mut About, now: Duration) -> Admission {
        let at = self.at(now);
        let cost = Cost { bytes: about.length, kinds: about.kinds };
        match self.switch.mode() {
            Mode::Off if self.queue.is_empty() => return Admission::Pass,
            Mode::Observe if self.queue.is_empty() && self.lane.passes(cost, at) => return Admission::Pass,
            Mode::Observe if self.queue.is_empty() => {
                about.noted = true;
                return Admission::Excess(self.is_news(now));
            }
            // What is not held back any more must not overtake what is.
            Mode::Off | Mode::Observe => {}
            Mode::Block => {
                if let Some(left) = self.lane.user().banned(at) {
                    return Admission::Banned(Duration::from_nanos(left));
                }
            }
        }
        match self.lane.offer(cost, at) {
            Offer::Pass => Admission::Pass,
            Offer::Wait => {
                about.waited = true;
                Admission::Wait(!self.lane.awaits_answer(at) && self.is_news(now))
            }
        }
    }

    fn is_news(&mut self, now: Duration) -> bool {
        let is_news = self.noticed.is_none_or(|told| now.saturating_sub(told) >= BETWEEN_NOTICES);
        if is_news {
            self.noticed = Some(now);
        }
        is_news
    }

    /// Gives the form in which a message will leave that came in `form`. One that may be left out in the end is kept so that what
    /// follows does not depend on it.
    pub(super) fn form(&self, to: &mut Target, form: Form, from: Direction) -> Form {
        if !self.may_leave_out() {
            return form;
        }
        to.misses(form, from);
        to.form(form != Form::Plain)
    }

    /// Holds a message that waits.
    pub(super) fn hold(&mut self, kind: MessageKind, form: Form, held: Hold, about: About, now: Duration) {
        self.memory += held.memory();
        self.queue.push_back(Waiting { since: now, kind, form, held, about });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Tells whether nothing more is to be read from the peer now.
    pub(super) fn is_full(&mut self) -> bool {
        self.last_word.is_some() || (self.switch.mode() == Mode::Block && self.lane.is_full())
    }

    /// Takes how many of those that wait may leave now: all where nothing waits any more by order.
    pub(super) fn released(&mut self) -> usize {
        if self.switch.mode() == Mode::Block {
            return self.lane.granted();
        }
        self.lane.granted();
        self.lane.withdraw(usize::MAX);
        self.queue.len()
    }

    /// Takes the first that waits.
    pub(super) fn next(&mut self) -> Option<Waiting> {
        let next = self.queue.pop_front()?;
        self.memory -= next.held.memory();
        Some(next)
    }

    /// Gives up what has waited for too long; tells how many of the first may leave after all, and how many behind them may not.
    pub(super) fn expire(&mut self, now: Duration) -> (usize, usize) {
        let late = |waiting: &&Waiting| waiting.since.saturating_add(self.timeout) <= now;
        let late = self.queue.iter().take_while(late).count();
        if late == 0 {
            return (0, 0);
        }
        let granted = self.lane.granted();
        let late = late.saturating_sub(granted);
        let after_all = self.lane.withdraw(late);
        (granted + after_all, late - after_all)
    }

    /// Tells when the first message has waited for too long.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.queue.front().map(|first| first.since.saturating_add(self.timeout))
    }

    /// Takes note that a message was rejected; tells for how long its sender is shut out, if it now is.
    pub(super) fn offends(&self, now: Duration) -> Option<Duration> {
        self.lane.offends(self.at(now)).map(Duration::from_nanos)
    }

    /// Tells after how many seconds all that the user has waiting would have passed.
    pub(super) fn retry_after(&self, now: Duration) -> u64 {
        Duration::from_nanos(self.lane.clears_in(self.at(now))).as_secs() + 1
    }

    /// How long a message may wait.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) const fn memory(&self) -> usize {
        self.memory
    }

    /// Gives up all that waits.
    pub(super) fn clear(&mut self) {
        self.lane.withdraw(usize::MAX);
        self.lane.granted();
        for mut waiting in self.queue.drain(..) {
            waiting.held.release();
        }
        (self.memory, self.last_word) = (0, None);
    }

    fn at(&self, now: Duration) -> u64 {
        self.origin.saturating_add(ticks(now))
    }
}

/// What is decided about who is shut out.
pub(super) fn shut_out(left: Duration) -> Decided {
    let reason = format!("the user is shut out for {} s still", left.as_secs() + 1);
    let limit = Some(Limit::ShutOut);
    let closure =
        Closure { code: CloseCode::POLICY, reason, told: "too many messages, come back later", limit };
    Decided { rule: &RATE_LIMIT, mode: Mode::Block, verdict: Verdict::Close(closure), tells: false }
}

/// What is decided about messages that have waited for too long.
pub(super) fn overdue(
    closes: bool,
    count: usize,
    timeout: Duration,
    code: CloseCode,
    banned: Option<Duration>,
) -> Decided {
    let mut reason = format!("{count} messages have waited longer than {timeout:?}");
    if let Some(banned) = banned {
        reason.push_str(&format!("; the user is shut out for {banned:?}"));
    }
    let verdict = if closes {
        Verdict::Close(Closure { code, reason, told: "too many messages", limit: Some(Limit::QueueTime) })
    } else {
        Verdict::Drop { reason }
    };
    Decided { rule: &RATE_LIMIT, mode: Mode::Block, verdict, tells: false }
}

/// What is told of a sender that exceeds its share.
pub(super) fn excess(waits: bool) -> Decided {
    let (mode, verdict) = if waits {
        (Mode::Block, Verdict::Pass)
    } else {
        (Mode::Observe, Verdict::Drop { reason: "messages exceed the rate".to_owned() })
    };
    Decided { rule: &RATE_LIMIT, mode, verdict, tells: false }
}

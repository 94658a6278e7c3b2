//! What a check is: a pure machine that is told what was said and asks for what to say next.

use std::{sync::Arc, time::Duration};

use sockwarden_model::{Confidence, Evidence, Finding, Profile, Rule};

use crate::{
    dice::Dice,
    errand::Which,
    exchange::{Connection, Exchange},
    redact::Redactor,
    survey::Survey,
    talk::{Talk, Turn},
    target::Target,
};

/// A check, of which [`checks::ALL`](crate::checks::ALL) lists the order.
pub trait Check: Sync {
    /// Gives what is declared about it.
    fn rule(&self) -> &'static Rule;

    /// Begins it on a target that was surveyed.
    fn start(&self, scene: Arc<Scene>, dice: Dice) -> Box<dyn Machine>;

    /// Tells whether it ends a user's session, so that it comes after all others.
    fn ends_sessions(&self) -> bool {
        false
    }

    /// Tells whether it loads the target, so that it is made by itself once the others are done: what it slows down or is
    /// refused for must not be taken for an answer to them.
    fn loads(&self) -> bool {
        false
    }
}

/// A running check. It has no clock, no socket and no numbers but those of its [`Dice`], so that replaying a recorded
/// [`Exchange`] gives the same steps and the same findings.
pub trait Machine: Send {
    /// Decides what is next from all that was said so far.
    fn next(&mut self, exchange: &Exchange) -> Step;
}

/// What a machine asks for.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and most are talks")]
pub enum Step {
    /// A fresh connection; the one before is ended.
    Talk(Talk),
    /// More on the last connection.
    More(Vec<Turn>),
    /// More on an earlier connection, by its index, that has stayed open ([`Opening::alongside`](crate::Opening)).
    Return(usize, Vec<Turn>),
    /// One of the user's requests, as the identity with this index; the last connection stays as it is.
    Errand(Which, usize),
    /// Nothing: the check has come to its end.
    Done(Conclusion),
    /// Nothing: the check cannot be made here.
    Skip(Skip),
}

/// What a check came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conclusion {
    /// The flaws; none where the target withstood.
    pub findings: Vec<Finding>,
    /// What is worth a sentence but is no flaw.
    pub remarks: Vec<String>,
}

/// Why a check was not made. A report shows it as *not tested*: neither a pass nor an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Skip {
    /// The profile is too mild for it.
    #[error("it needs the {} profile: {may_change}", profile.name())]
    Profile {
        /// The mildest profile that runs it.
        profile: Profile,
        /// What it may change.
        may_change: &'static str,
    },
    /// Nobody was let in, so that nothing can be tried from within.
    #[error("nobody was let in ({0}): give an identity that is")]
    NoWayIn(String),
    /// An identity would be needed.
    #[error("give an identity to compare with")]
    NoIdentity,
    /// Messages that ask for data would be needed.
    #[error("give messages to say that ask for data")]
    NothingToSay,
    /// Two users with messages of their own would be needed.
    #[error("give two users, each with a message that asks for data of its own")]
    NoNeighbours,
    /// There is no JSON Web Token among the credentials of those who are let in.
    #[error("nobody who is let in carries a JSON Web Token")]
    NoToken,
    /// The address carries no credential.
    #[error("the address carries no token")]
    NoTokenInUrl,
    /// The request that logs a user out would be needed.
    #[error("give the request that logs a user out")]
    NoLogout,
    /// That request was not carried out.
    #[error("the request to log out was not carried out: {0}")]
    LogoutFailed(String),
    /// The request that a ticket is fetched with would be needed.
    #[error("no ticket: give the request that tickets are fetched with")]
    NoTicket,
    /// That request brought no ticket.
    #[error("the request for a ticket brought none: {0}")]
    TicketNotGiven(String),
    /// A ticket that was used as it should be opened nothing.
    #[error("a fresh ticket opened no connection: {0}")]
    TicketRefused(String),
    /// A user with privileges and one without would be needed.
    #[error(
        "give a privileged user with a message that only such a user may send, and a user without privileges"
    )]
    NoPrivileged,
    /// The identity has nothing that a browser would attach by itself.
    #[error("the identity `{0}` carries no cookie, so that no other site can borrow it")]
    NotAmbient(String),
    /// The target answers no ping (RFC 6455 §5.5.2), so that it does not show what it does with a frame.
    #[error("the target answers no ping, so that processing cannot be told from ignoring")]
    Silent,
    /// A message would be needed that is answered.
    #[error(
        "no message is answered, so that taking it in cannot be told from dropping it: give one to say that is"
    )]
    Unanswered,
    /// The target does not compress (RFC 7692).
    #[error("the target does not agree to compress messages")]
    NoCompression,
    /// What would have to be sent at once is longer than what may be.
    #[error("it sends {needed} bytes at once, and at most {allowed} may be sent")]
    TooLong {
        /// How much would be needed.
        needed: usize,
        /// What the user allows.
        allowed: usize,
    },
    /// It would take too much of the time.
    #[error(
        "it waits {needed:?}, which is more than a quarter of the time budget of {budget:?}: give more time"
    )]
    TooSlow {
        /// How long it waits.
        needed: Duration,
        /// The time for the whole scan.
        budget: Duration,
    },
    /// The target stopped answering, or a budget was used up, before the end.
    #[error("it could not be finished: {0}")]
    Halted(Halt),
}

/// Why the driver stops a check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// The time for the whole scan is over.
    #[error("the time budget of {0:?} is used up")]
    Time(Duration),
    /// The bytes for the whole scan are used up.
    #[error("the budget of {0} bytes is used up")]
    Bytes(u64),
    /// The connections for the whole scan are used up.
    #[error("the budget of {0} connections is used up")]
    Connections(u32),
    /// The check asked for more than its profile allows.
    #[error("a message of {0} bytes needs the intrusive profile")]
    Profile(usize),
    /// There is no connection, at first or any more.
    #[error("{0}")]
    Unreachable(String),
    /// The target refuses what it let in before.
    #[error("the target does not let in any more whom it let in before ({0}): lower the rate")]
    Overloaded(String),
    /// The check asked for more steps than any should.
    #[error("it took more than {0} steps")]
    Steps(usize),
}

/// What every check knows when it begins.
#[derive(Debug)]
pub struct Scene {
    /// The target.
    pub target: Target,
    /// How the target treats those who do nothing wrong.
    pub survey: Survey,
    /// When the scan was begun, in seconds since 1970.
    pub now: u64,
    /// The longest message that a check may send.
    pub max_size: usize,
    /// How long a silent connection is watched.
    pub idle_wait: Duration,
    /// The time for the whole scan.
    pub time_budget: Duration,
    pub(crate) redactor: Redactor,
}

impl Conclusion {
    /// Concludes with findings.
    pub const fn found(findings: Vec<Finding>) -> Self {
        Self { findings, remarks: Vec::new() }
    }

    /// Concludes without a flaw.
    pub const fn clean() -> Self {
        Self::found(Vec::new())
    }

    /// Adds a remark.
    #[must_use]
    pub fn with_remark(mut self, remark: impl Into<String>) -> Self {
        self.remarks.push(remark.into());
        self
    }
}

impl From<Conclusion> for Step {
    fn from(conclusion: Conclusion) -> Self {
        Self::Done(conclusion)
    }
}

impl Scene {
    /// Gives the address as reports show it.
    pub(crate) fn endpoint(&self) -> String {
        self.redactor.url(&self.target.url)
    }

    /// Tells whether a check may wait so long: a quarter of the time for the whole scan.
    pub(crate) fn may_wait(&self, needed: Duration) -> Result<(), Skip> {
        let budget = self.time_budget;
        if needed <= budget / 4 { Ok(()) } else { Err(Skip::TooSlow { needed, budget }) }
    }

    /// Makes evidence of a connection.
    pub(crate) fn evidence(&self, connection: &Connection) -> Evidence {
        crate::evidence::evidence(connection, &self.redactor)
    }

    /// Makes evidence of a connection that had one of these tickets.
    pub(crate) fn evidence_without(&self, connection: &Connection, tickets: &[String]) -> Evidence {
        crate::evidence::evidence(connection, &self.redactor.with_tickets(tickets))
    }

    /// Begins a finding at the target.
    pub(crate) fn finding(
        &self,
        rule: &'static Rule,
        case: &str,
        confidence: Confidence,
        summary: String,
    ) -> Finding {
        Finding::new(rule, &self.endpoint(), case, confidence, summary)
    }
}

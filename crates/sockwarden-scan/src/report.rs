//! What a scan came to.

use std::time::Duration;

use sockwarden_model::{Finding, Rule};

use crate::{check::Skip, target::TargetError};

/// What a scan came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The address that was scanned, without secrets.
    pub endpoint: String,
    /// The flaws, in the order of the checks.
    pub findings: Vec<Finding>,
    /// What each check came to, in order; checks that were not chosen are absent.
    pub outcomes: Vec<Outcome>,
    /// What makes the whole scan say less than it could, such as an identity that is not let in.
    pub warnings: Vec<String>,
    /// What it cost.
    pub stats: Stats,
}

/// What one check came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The check.
    pub rule: &'static Rule,
    /// What it came to.
    pub result: CheckResult,
    /// What is worth a sentence but is no flaw.
    pub remarks: Vec<String>,
}

/// What one check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// So many findings.
    Found(usize),
    /// The target withstood.
    Clean,
    /// It was not made.
    NotTested(Skip),
}

/// What a scan cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections opened.
    pub connections: u32,
    /// Bytes sent and received, without those of TLS.
    pub bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
}

impl Report {
    /// Tells whether a check was stopped halfway, by a budget or by the target.
    pub fn is_incomplete(&self) -> bool {
        self.outcomes.iter().any(|outcome| matches!(outcome.result, CheckResult::NotTested(Skip::Halted(_))))
    }
}

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// What was given about the target cannot be used.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// There is no check of this name.
    #[error("there is no check `{0}`")]
    UnknownCheck(String),
    /// The target is not on this machine, and nobody said that its owner agrees to what the intrusive profile does.
    #[error(
        "the intrusive profile may cost `{0}` its service: say --i-am-authorised if its owner agrees, or use the profile safe"
    )]
    NotAuthorised(String),
    /// There is no connection: name, network, time or TLS.
    #[error("{0}")]
    Unreachable(String),
    /// Something listens that does not answer as an HTTP server does.
    #[error("the handshake got no HTTP answer; is it the right port, with TLS or without?")]
    NoAnswer,
    /// The target does not open a WebSocket at this address.
    #[error("the handshake was answered {status}{hint}")]
    NotWebSocket {
        /// The status of the answer.
        status: u16,
        /// What that may mean.
        hint: &'static str,
    },
    /// An identity that was given is not let in, nor is anybody else.
    #[error("neither `{0}` nor anybody else is let in: the handshake was answered {1}")]
    IdentityRefused(String, u16),
    /// A budget was used up, or the target had enough, during the first connections.
    #[error("{0}, before the first visits were made")]
    Budget(crate::check::Halt),
}

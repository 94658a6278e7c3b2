//! What a scan came to, as the formats take it.

use sockwarden_model::{Finding, Rule};

/// What the scan of one endpoint came to.
#[derive(Clone, Debug)]
pub struct Scanned<'a> {
    /// The address, without secrets.
    pub endpoint: &'a str,
    /// The flaws, in the order of the checks.
    pub findings: &'a [Finding],
    /// The checks that were chosen, in order.
    pub checks: Vec<Tested<'a>>,
    /// What makes the whole scan say less than it could.
    pub warnings: &'a [String],
    /// Whether a check was stopped halfway.
    pub incomplete: bool,
}

/// One check and what it came to.
#[derive(Clone, Debug)]
pub struct Tested<'a> {
    /// The check.
    pub rule: &'static Rule,
    /// What it came to.
    pub verdict: Verdict,
    /// What is worth a sentence but is no flaw.
    pub remarks: &'a [String],
}

/// What one check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// So many findings.
    Found(usize),
    /// The target withstood.
    Clean,
    /// It was not made, for this reason.
    NotTested(String),
}

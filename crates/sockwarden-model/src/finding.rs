//! What a scan found.

use serde::Serialize;

use crate::{Confidence, Evidence, Rule, Severity, fingerprint};

/// A flaw at an endpoint, with its proof.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The id of the check that found it.
    pub rule: &'static str,
    /// How bad it is here, which may be milder than the rule's own severity.
    pub severity: Severity,
    /// How sure the check is.
    pub confidence: Confidence,
    /// The URL that was scanned.
    pub endpoint: String,
    /// Which of the rule's cases fired, such as `foreign-origin` or `null`; empty where a rule has only one.
    pub case: String,
    /// One sentence for a person: what is wrong here. Free of volatile data (ports of ours, times, random keys).
    pub summary: String,
    /// The weakness numbers of the Common Weakness Enumeration.
    pub cwe: &'static [u16],
    /// The transcripts that show it.
    pub evidence: Vec<Evidence>,
    /// 16 hexadecimal digits that name this finding in every run.
    pub fingerprint: String,
    /// The ids of the defences that stop it.
    pub stopped_by: &'static [&'static str],
}

impl Finding {
    /// Makes a finding of `rule` at `endpoint`, with the rule's own severity.
    pub fn new(
        rule: &'static Rule,
        endpoint: &str,
        case: &str,
        confidence: Confidence,
        summary: String,
    ) -> Self {
        Self {
            rule: rule.id,
            severity: rule.severity,
            confidence,
            endpoint: endpoint.to_owned(),
            case: case.to_owned(),
            summary,
            cwe: rule.cwe,
            evidence: Vec::new(),
            fingerprint: fingerprint(&[rule.id, endpoint, case]),
            stopped_by: rule.counterparts,
        }
    }

    /// Sets how bad it is here.
    #[must_use]
    pub fn with_severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Adds a transcript.
    #[must_use]
    pub fn with_evidence(mut self, evidence: Evidence) -> Self {
        self.evidence.push(evidence);
        self
    }
}

//! How bad, and how sure.

use serde::{Deserialize, Serialize};

/// How bad a finding is when it is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing to repair.
    Info,
    /// A weakness that needs another one to matter.
    Low,
    /// Exploitable under conditions, or a missing layer of defence.
    Medium,
    /// Exploitable as it stands.
    High,
    /// Exploitable by anyone, with the whole application at stake.
    Critical,
}

impl Severity {
    /// Every severity, mildest first.
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Names the severity in lower case, as reports spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Gives the CVSS-like score that SARIF's `security-severity` wants (0.0 to 10.0).
    pub const fn score(self) -> f32 {
        match self {
            Self::Info => 0.0,
            Self::Low => 3.1,
            Self::Medium => 5.5,
            Self::High => 8.1,
            Self::Critical => 9.8,
        }
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|s| s.name() == text)
            .ok_or_else(|| format!("`{text}` is no severity: info, low, medium, high or critical"))
    }
}

/// How sure a check is that what it saw is the flaw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// The behaviour fits the flaw; other explanations remain.
    Tentative,
    /// The behaviour is the flaw in all likelihood.
    Firm,
    /// The flaw was exercised and its effect was received.
    Proven,
}

impl std::fmt::Display for Confidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Tentative => "tentative",
            Self::Firm => "firm",
            Self::Proven => "proven",
        })
    }
}

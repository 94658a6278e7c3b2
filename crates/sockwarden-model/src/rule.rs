//! A rule: the one declaration that a check or a defence begins with, and the source of all that is said about it.

use crate::{Severity, Threat};

/// What is declared about a check or a defence by [`rule!`](crate::rule!).
#[derive(Debug)]
pub struct Rule {
    /// The name in commands, configuration and reports: lower case words joined by `-`.
    pub id: &'static str,
    /// Whether it finds or stops.
    pub kind: RuleKind,
    /// One sentence, without a full stop.
    pub summary: &'static str,
    /// How bad the flaw is that it finds or stops.
    pub severity: Severity,
    /// What it is about.
    pub threats: &'static [Threat],
    /// Numbers of the Common Weakness Enumeration.
    pub cwe: &'static [u16],
    /// Where the reasons are written: RFC sections, OWASP pages, advisories.
    pub references: &'static [&'static str],
    /// Whether one may rely on it.
    pub lifecycle: Lifecycle,
    /// Of a check, the defences that stop what it finds; of a defence, the checks that find what it stops.
    pub counterparts: &'static [&'static str],
    /// Of a check, the mildest profile that runs it; a defence has [`Profile::Passive`].
    pub profile: Profile,
    /// Of a check, what it may change on the target; of a defence, what a legitimate peer may notice.
    pub may_change: &'static str,
    /// The documentation, in Markdown, as written above the declaration.
    pub doc: &'static str,
}

/// Whether a rule finds or stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// Finds a flaw from outside.
    Check,
    /// Stops an attack inline.
    Defence,
}

/// Whether one may rely on a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// May still change its meaning between releases.
    Preview,
    /// Changes its meaning only with a major release.
    Stable,
}

/// How much a scan may do to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// Opens the connection as any client would, and listens.
    Passive,
    /// Sends what a correct server refuses without harm.
    Safe,
    /// May cost the target memory, time or data; bounded, and only when asked for.
    Intrusive,
}

impl Profile {
    /// Names the profile as the command line spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passive => "passive",
            Self::Safe => "safe",
            Self::Intrusive => "intrusive",
        }
    }
}

impl Rule {
    /// The headings that every rule's documentation has, in this order.
    pub const HEADINGS: [&'static str; 3] = ["What it does", "Why is this bad", "How to fix"];

    /// Gives the documentation as Markdown, without the blank that begins each comment line.
    pub fn markdown(&self) -> String {
        self.doc.lines().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
    }

    /// Gives the text under `heading` (`# heading` in the documentation), or nothing where there is none.
    pub fn section(&self, heading: &str) -> Option<String> {
        let markdown = self.markdown();
        let mut lines = markdown.lines().skip_while(|line| line.strip_prefix("# ") != Some(heading));
        lines.next()?;
        let mut in_code = false;
        let body: Vec<&str> = lines
            .take_while(|line| {
                in_code ^= line.starts_with("```");
                in_code || !line.starts_with("# ")
            })
            .collect();
        Some(body.join("\n").trim().to_owned())
    }
}

/// Declares a [`Rule`] whose documentation is the comment above it.
///
/// The comment has the headings of [`Rule::HEADINGS`]; a test of the crate that lists the rules compares them.
///
/// ```
/// use sockwarden_model::rule;
/// rule! {
///     /// # What it does
///     /// Looks.
///     /// # Why is this bad
///     /// Because.
///     /// # How to fix
///     /// Do not.
///     pub static RULE = Check {
///         id: "an-example",
///         summary: "an example is found",
///         severity: Low,
///         threats: [T1],
///         cwe: [287],
///         references: ["RFC 6455 §10.5"],
///         lifecycle: Preview,
///         counterparts: ["authentication"],
///         profile: Passive,
///         may_change: "nothing",
///     }
/// }
/// assert_eq!(RULE.section("What it does").as_deref(), Some("Looks."));
/// ```
#[macro_export]
macro_rules! rule {
    (
        $(#[doc = $doc:literal])*
        $vis:vis static $name:ident = $kind:ident {
            id: $id:literal,
            summary: $summary:literal,
            severity: $severity:ident,
            threats: [$($threat:ident),* $(,)?],
            cwe: [$($cwe:literal),* $(,)?],
            references: [$($reference:literal),* $(,)?],
            lifecycle: $lifecycle:ident,
            counterparts: [$($counterpart:literal),* $(,)?],
            profile: $profile:ident,
            may_change: $may_change:literal $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        $vis static $name: $crate::Rule = $crate::Rule {
            id: $id,
            kind: $crate::RuleKind::$kind,
            summary: $summary,
            severity: $crate::Severity::$severity,
            threats: &[$($crate::Threat::$threat),*],
            cwe: &[$($cwe),*],
            references: &[$($reference),*],
            lifecycle: $crate::Lifecycle::$lifecycle,
            counterparts: &[$($counterpart),*],
            profile: $crate::Profile::$profile,
            may_change: $may_change,
            doc: concat!($($doc, "\n"),*),
        };
    };
}

#[cfg(test)]
mod tests {
    rule! {
        /// # What it does
        /// Looks.
        ///
        /// ```text
        /// # not a heading
        /// ```
        /// # Why is this bad
        /// Because.
        /// # How to fix
        /// Do not.
        static RULE = Defence {
            id: "sample",
            summary: "a sample",
            severity: Low,
            threats: [T1, T2],
            cwe: [1],
            references: [],
            lifecycle: Stable,
            counterparts: [],
            profile: Passive,
            may_change: "nothing",
        }
    }

    #[test]
    fn a_section_ends_where_the_next_begins() {
        let check = |heading, expected: Option<&str>| assert_eq!(RULE.section(heading).as_deref(), expected);
        check("What it does", Some("Looks.\n\n```text\n# not a heading\n```"));
        check("Why is this bad", Some("Because."));
        check("How to fix", Some("Do not."));
        check("Nowhere", None);
    }
}

//! `active-content`: what an application sends that is more than data to a page.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_detect::{Category, Policy};
use sockwarden_model::{Direction, Mode, Rule, rule};

use crate::{
    BadSetting, Defence, Fact, Guard, Hears, Verdict,
    defences::{AnswerKind, PresetKind},
    detecting::{Detecting, policy},
};

rule! {
    /// # What it does
    /// Looks into every value of every message of the application for active script, which a page that shows it as markup would run, and
    /// for errors of databases and stack traces.
    ///
    /// # Why is this bad
    /// What one user has stored is sent to all others. A script in it acts as each of them: it reads their messages and sends their orders. An
    /// error that is passed on tells an attacker what to try next.
    ///
    /// # How to fix
    /// Show messages as text, and tell clients that something failed, not what:
    ///
    /// ```js
    /// element.textContent = message.text;   // not innerHTML
    /// socket.emit("error", { id });         // the details go to the log
    /// ```
    ///
    /// ```python
    /// except DatabaseError:
    ///     logger.exception("search failed"); await socket.send_json({"error": "failed"})
    /// ```
    pub static RULE = Defence {
        id: "active-content",
        summary: "script and errors in what the application sends do not reach pages",
        severity: Medium,
        threats: [T6, T8],
        cwe: [79, 209],
        references: ["OWASP Top 10 2021 A03", "CWE-79", "CWE-209"],
        lifecycle: Preview,
        counterparts: [],
        profile: Passive,
        may_change: "messages that hold script or errors do not arrive",
    }
}

/// `active-content`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ActiveContentConfig {
    /// off, observe or block.
    pub mode: Mode,
    /// What is spoken on the route, from which everything else is taken.
    pub preset: PresetKind,
    /// The score that is stopped, where it is not the preset's.
    #[schemars(range(min = 1))]
    pub threshold: Option<u32>,
    /// What is not held against a value, such as `* /article/html`.
    pub exclusions: Vec<String>,
    /// Of the categories `xss` and `disclosure` those that are not looked for.
    pub off: Vec<String>,
    /// What becomes of the connection: `drop` leaves the message out, `close` closes with 1008.
    pub answer: AnswerKind,
}

impl Default for ActiveContentConfig {
    fn default() -> Self {
        Self {
            mode: Mode::Observe,
            preset: PresetKind::Default,
            threshold: None,
            exclusions: Vec::new(),
            off: Vec::new(),
            answer: AnswerKind::Drop,
        }
    }
}

impl ActiveContentConfig {
    /// Gives the policy that it stands for.
    ///
    /// # Errors
    /// Settings that mean nothing.
    pub fn policy(&self) -> Result<Policy, Vec<BadSetting>> {
        let of = Policy { threshold: self.threshold, ..Policy::of(self.preset.into()) };
        let mut policy = policy("active_content", of, (&self.exclusions, &self.off))?;
        // Whatever else an application sends is its own affair.
        let sought = |category: &Category| matches!(category, Category::Xss | Category::Disclosure);
        policy.off.extend(Category::ALL.into_iter().filter(|category| !sought(category)));
        Ok(policy)
    }
}

/// Stops script and errors on their way to pages.
#[derive(Clone, Debug)]
pub struct ActiveContent(Detecting);

impl ActiveContent {
    /// Takes what is configured.
    ///
    /// # Errors
    /// Settings that mean nothing.
    pub fn new(config: &ActiveContentConfig) -> Result<Self, Vec<BadSetting>> {
        Ok(Self(Detecting::new(&config.policy()?, Direction::Server, config.answer)))
    }
}

impl Defence for ActiveContent {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn hears(&self) -> Hears {
        Hears::VALUES | Hears::MESSAGES
    }

    fn tells(&self) -> bool {
        self.0.answer.tells()
    }

    fn guard(&self) -> Box<dyn Guard> {
        Box::new(self.clone())
    }
}

impl Guard for ActiveContent {
    fn observe(&mut self, fact: &Fact<'_>, _now: Duration) -> Verdict {
        self.0.observe(fact, "the message holds active content")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defences::samples::judge_texts;

    #[test]
    fn script_on_its_way_to_pages_is_left_out() {
        let defence = ActiveContent::new(&ActiveContentConfig::default()).expect("good settings");
        let judge = |from, text: &str| judge_texts(&defence, None, &[(from, text)]).len();
        let script = r#"{"text":"<img src=x onerror=alert(document.cookie)>"}"#;
        assert_eq!((judge(Direction::Server, script), judge(Direction::Client, script)), (1, 0));
        for harmless in [
            r#"{"text":"<b>bold</b> and 1 < 2"}"#,
            r#"{"sql":"SELECT name FROM users WHERE id = 1 OR 1=1"}"#,
            r#"{"text":"hello"}"#,
        ] {
            assert_eq!(judge(Direction::Server, harmless), 0, "{harmless}");
        }
    }
}

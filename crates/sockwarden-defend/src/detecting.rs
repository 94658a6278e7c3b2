//! Attacks in what messages hold: what `injection` and `active-content` have in common.

use std::{cell::RefCell, sync::Arc};

use sockwarden_detect::{Category, Detection, Exclusion, Judgement, Policy, Scan};
use sockwarden_inspect::Protocol;
use sockwarden_model::{Direction, printable_text};
use sockwarden_proto::CloseCode;

use crate::{BadSetting, Content, Fact, Verdict, defences::AnswerKind};

thread_local! {
    /// What is known of the message that is read: one at a time in each thread, from its begin to its end.
    static SCAN: RefCell<Scan> = RefCell::default();
}

/// How many observations a reason names.
const NAMED: usize = 3;

/// The longest reason, in characters.
const LONGEST_REASON: usize = 400;

/// Reads settings that are texts.
///
/// # Errors
/// Every one that means nothing.
pub(crate) fn policy(
    defence: &str,
    mut policy: Policy,
    (exclusions, off): (&[String], &[String]),
) -> Result<Policy, Vec<BadSetting>> {
    let mut wrong = Vec::new();
    let mut bad = |key: String, message: String, help: String| {
        wrong.push(BadSetting { key: format!("{defence}.{key}"), message, help });
    };
    for (index, text) in exclusions.iter().enumerate() {
        match text.parse::<Exclusion>() {
            Ok(exclusion) => policy.exclusions.push(exclusion),
            Err(error) => {
                let help = "a rule and a place, such as `sql-union /search/*`";
                bad(format!("exclusions[{index}]"), error.to_string(), help.to_owned());
            }
        }
    }
    for (index, name) in off.iter().enumerate() {
        match Category::named(name) {
            Some(category) => policy.off.push(category),
            None => {
                let names: Vec<&str> = Category::ALL.iter().map(|category| category.name()).collect();
                let message = format!("`{}` is no category", printable_text(name, 40));
                bad(format!("off[{index}]"), message, format!("one of {}", names.join(", ")));
            }
        }
    }
    if !(1..=4).contains(&policy.paranoia) {
        bad("paranoia".to_owned(), format!("{} is no level", policy.paranoia), "1 to 4".to_owned());
    }
    if policy.threshold == Some(0) {
        bad("threshold".to_owned(), "with 0 no message could pass".to_owned(), "1 or more".to_owned());
    }
    if wrong.is_empty() { Ok(policy) } else { Err(wrong) }
}

/// Looks for attacks in what one side sends.
#[derive(Clone, Debug)]
pub(crate) struct Detecting {
    detection: Arc<Detection>,
    from: Direction,
    pub(crate) answer: AnswerKind,
    /// Whether the message that is read is one of GraphQL: what its documents may ask for is another defence's affair.
    is_graphql: bool,
}

impl Detecting {
    pub(crate) fn new(policy: &Policy, from: Direction, answer: AnswerKind) -> Self {
        Self { detection: Arc::new(Detection::new(policy)), from, answer, is_graphql: false }
    }

    /// Takes note of what a message holds, and judges it once that is known.
    #[inline]
    pub(crate) fn observe(&mut self, fact: &Fact<'_>, told: &'static str) -> Verdict {
        let Fact::Content { direction, content } = fact else { return Verdict::Pass };
        if *direction != self.from {
            return Verdict::Pass;
        }
        SCAN.with_borrow_mut(|scan| match content {
            Content::Begin => {
                self.is_graphql = false;
                scan.begin(self.from);
                Verdict::Pass
            }
            Content::Value(value) => {
                scan.value(&self.detection, value);
                Verdict::Pass
            }
            Content::Whole { .. } => {
                let judgement = scan.finish(&self.detection);
                if judgement.blocked
                    && (!self.is_graphql || speaks_without_graphql(&judgement, &self.detection))
                {
                    let reason = reason(&judgement, self.detection.threshold());
                    self.answer.verdict(CloseCode::POLICY, reason, told)
                } else {
                    Verdict::Pass
                }
            }
            Content::Operation(operation) => {
                self.is_graphql |=
                    matches!(operation.protocol, Protocol::GraphQlTransportWs | Protocol::GraphQlWs);
                Verdict::Pass
            }
            Content::Anomaly(..) => Verdict::Pass,
        })
    }
}

/// Tells whether something else than its GraphQL speaks against a message.
fn speaks_without_graphql(judgement: &Judgement, detection: &Detection) -> bool {
    let others = judgement.observations.iter().filter(|seen| seen.category != Category::GraphQl);
    others.map(|seen| u32::from(seen.weight)).max().is_some_and(|most| most >= detection.threshold())
}

/// Says what was seen, the heaviest first; of what the peer has sent only the shape.
fn reason(judgement: &Judgement, threshold: u32) -> String {
    let mut observations: Vec<_> = judgement.observations.iter().collect();
    observations.sort_by_key(|observation| std::cmp::Reverse(observation.weight));
    let named: Vec<String> = observations
        .iter()
        .take(NAMED)
        .map(|seen| {
            let place = if seen.place.is_empty() { "/" } else { &seen.place };
            format!("{} at {}: {}", seen.rule, printable_text(place, 60), seen.redacted())
        })
        .collect();
    let more = observations.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let reason = format!("score {} of {threshold}; {}{more}", judgement.score, named.join("; "));
    reason.chars().take(LONGEST_REASON).collect()
}

//! Judging messages as `guard` would: by the detectors, and by a rule set.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use sockwarden_detect::{Detection, Policy, Scan};
use sockwarden_inspect::{
    Anomaly, Conversation, InspectLimits, Message, Operation, Place, Reader, Sink, Value,
};
use sockwarden_model::Direction;
use sockwarden_seclang::{
    Fields, Message as RuleMessage, Paranoia, Plan, Policy as RulePolicy, RuleSet, Scratch,
};

use crate::operator::columns;

/// What a message comes to.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// `pass` or `block`.
    pub(crate) verdict: &'static str,
    /// The higher one of the detectors' score and the rule set's.
    pub(crate) score: i64,
    /// What was seen.
    pub(crate) observations: Vec<Observed>,
}

/// One thing that was seen.
#[derive(Debug, Serialize)]
pub(crate) struct Observed {
    rule: String,
    category: String,
    weight: i64,
    #[serde(rename = "where")]
    place: String,
    excerpt: String,
}

/// Judges the messages of one direction.
struct Side {
    detection: Detection,
    rules: Option<(Plan, Scratch)>,
}

/// Judges messages.
pub(crate) struct Verdicts {
    client: Side,
    server: Side,
    scan: Scan,
    fields: Fields,
}

impl Verdicts {
    /// Judges by policies for both sides, and by a rule set at a level of paranoia.
    pub(crate) fn new(client: &Policy, server: &Policy, rules: Option<(&Arc<RuleSet>, Paranoia)>) -> Self {
        let side = |policy: &Policy, direction| {
            let rules = rules.map(|(set, paranoia)| {
                let plan = set.plan(&RulePolicy { paranoia: Some(paranoia), ..RulePolicy::new(direction) });
                let scratch = plan.scratch();
                (plan, scratch)
            });
            Side { detection: Detection::new(policy), rules }
        };
        Self {
            client: side(client, Direction::Client),
            server: side(server, Direction::Server),
            scan: Scan::default(),
            fields: Fields::new(),
        }
    }

    /// Judges a message of a conversation.
    pub(crate) fn judge(
        &mut self,
        conversation: &mut Conversation,
        reader: &mut Reader,
        limits: &InspectLimits,
        message: &Message<'_>,
    ) -> Verdict {
        let Self { client, server, scan, fields } = self;
        let Side { detection, rules } = match message.direction {
            Direction::Client => client,
            Direction::Server => server,
        };
        scan.begin(message.direction);
        fields.clear();
        let wanted = rules.is_some().then_some(&mut *fields);
        conversation.message(reader, limits, message, &mut Values { scan, detection, fields: wanted });
        let judgement = scan.finish(detection);
        let mut observations: Vec<Observed> = judgement
            .observations
            .into_iter()
            .map(|seen| Observed {
                rule: seen.rule.into_owned(),
                category: seen.category.name().to_owned(),
                weight: seen.weight.into(),
                place: seen.place,
                excerpt: seen.excerpt,
            })
            .collect();
        let (mut score, mut blocked) = (i64::from(judgement.score), judgement.blocked);
        if let Some((plan, scratch)) = rules {
            let outcome =
                plan.evaluate(&RuleMessage { fields, body: message.bytes, handshake: None }, scratch);
            score = score.max(outcome.score);
            blocked |= outcome.blocked.is_some();
            observations.extend(outcome.matches.iter().map(|found| Observed {
                rule: found.rule.to_string(),
                category: found.category.clone(),
                weight: found.weight,
                place: found.place.clone(),
                excerpt: found.excerpt.clone(),
            }));
        }
        Verdict { verdict: if blocked { "block" } else { "pass" }, score, observations }
    }
}

/// Hands values to whoever judges them.
struct Values<'a> {
    scan: &'a mut Scan,
    detection: &'a Detection,
    fields: Option<&'a mut Fields>,
}

impl Sink for Values<'_> {
    fn value(&mut self, value: &Value<'_>) {
        self.scan.value(self.detection, value);
        if let Some(fields) = &mut self.fields {
            fields.push_value(value);
        }
    }

    fn operation(&mut self, _: &Operation<'_>) {}

    fn anomaly(&mut self, _: Anomaly, _: Place<'_>) {}
}

/// How often what was decided, and by which rules.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    messages: u64,
    blocked: u64,
    /// By category and rule: messages in which it was seen, and those of them that were blocked.
    rules: BTreeMap<(String, String), (u64, u64)>,
}

impl Rates {
    /// Counts a message.
    pub(crate) fn add(&mut self, verdict: &Verdict) {
        let blocked = verdict.verdict == "block";
        self.messages += 1;
        self.blocked += u64::from(blocked);
        let mut rules: Vec<_> =
            verdict.observations.iter().map(|seen| (seen.category.clone(), seen.rule.clone())).collect();
        rules.sort();
        rules.dedup();
        for rule in rules {
            let (seen, of_blocked) = self.rules.entry(rule).or_default();
            *seen += 1;
            *of_blocked += u64::from(blocked);
        }
    }

    /// Gives the counts as text, the most frequent first.
    pub(crate) fn text(&self) -> String {
        let percent = |part: u64| format!("{:.2} %", part as f64 * 100.0 / self.messages.max(1) as f64);
        let mut out =
            format!("{} messages, {} blocked ({})\n", self.messages, self.blocked, percent(self.blocked));
        let mut rules: Vec<_> = self.rules.iter().collect();
        rules.sort_by_key(|(_, (seen, _))| std::cmp::Reverse(*seen));
        let rows: Vec<_> = rules
            .into_iter()
            .map(|((category, rule), (seen, blocked))| {
                [category.clone(), rule.clone(), seen.to_string(), percent(*seen), blocked.to_string()]
            })
            .collect();
        if !rows.is_empty() {
            out.push_str(&columns(["CATEGORY", "RULE", "MESSAGES", "RATE", "BLOCKED"], &rows));
        }
        out
    }
}

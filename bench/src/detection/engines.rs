//! What judges messages.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rustix::time::{ClockId, clock_gettime};
use sockwarden_detect::Detection;
use sockwarden_inspect::{Anomaly, Format, InspectLimits, Operation, Place, Reader, Sink, Step, Value};
use sockwarden_model::Direction;
use sockwarden_seclang::{Fields, Message, Paranoia, Plan, Policy, RuleSet, Scratch, Source};

use super::sets::Sample;

/// What was said of a message.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) blocked: bool,
    /// Which rules matched, sorted.
    pub(crate) rules: Vec<u32>,
    pub(crate) score: i64,
    /// Processor time.
    pub(crate) nanoseconds: u64,
}

/// Something that judges messages.
pub(crate) trait Engine {
    fn name(&self) -> String;
    fn judge(&mut self, sample: &Sample) -> anyhow::Result<Judged>;
}

/// A rule set as it was loaded.
pub(crate) struct Loaded {
    set: Arc<RuleSet>,
    /// Rules that look at values and cannot be followed.
    pub(crate) unsupported: Vec<u32>,
}

/// Loads the rules of a folder after their setup.
pub(crate) fn load(folder: &Path, setup: &Path) -> anyhow::Result<Loaded> {
    let mut paths = vec![setup.to_owned()];
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))?;
    let mut inside: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    inside.sort();
    paths.extend(inside);
    let mut texts = Vec::new();
    for path in &paths {
        let text = std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
        texts.push((path.to_string_lossy().into_owned(), text));
    }
    let of = |suffix: &str| -> Vec<Source<'_>> {
        let chosen = texts.iter().filter(|one| one.0.ends_with(suffix));
        chosen.map(|(name, text)| Source { name, text }).collect()
    };
    let (set, report) = RuleSet::load(&of(".conf"), &of(".data"))?;
    let unsupported: Vec<_> =
        report.rules.iter().filter(|rule| rule.standing.name() == "unsupported").collect();
    for rule in &unsupported {
        crate::progress(&format!("{}: {}", rule.id, rule.standing.why().unwrap_or_default()));
    }
    let unsupported = unsupported.iter().map(|rule| rule.id).collect();
    Ok(Loaded { set: Arc::new(set), unsupported })
}

/// Our own evaluation of a rule set.
pub(crate) struct Rules {
    plan: Plan,
    scratch: Scratch,
    reader: Reader,
    limits: InspectLimits,
    fields: Taken,
    level: u8,
}

/// The values that libmodsecurity sees as well: those of the JSON itself, and none that is encoded in another one.
#[derive(Default)]
struct Taken(Fields);

impl Sink for Taken {
    fn value(&mut self, value: &Value<'_>) {
        if !value.place.steps().any(|step| matches!(step, Step::Inside(_))) {
            self.0.push_value(value);
        }
    }

    fn operation(&mut self, _: &Operation<'_>) {}

    fn anomaly(&mut self, _: Anomaly, _: Place<'_>) {}
}

impl Rules {
    pub(crate) fn new(loaded: &Loaded, level: u8, exhaustive: bool) -> anyhow::Result<Self> {
        let mut policy = Policy::new(Direction::Client);
        policy.paranoia = Some(Paranoia::new(level).context("paranoia is 1 to 4")?);
        let plan = if exhaustive { loaded.set.exhaustive_plan(&policy) } else { loaded.set.plan(&policy) };
        let scratch = plan.scratch();
        Ok(Self {
            plan,
            scratch,
            reader: Reader::default(),
            limits: InspectLimits::default(),
            fields: Taken::default(),
            level,
        })
    }

    /// The rules that are asked of values.
    pub(crate) fn ids(&self) -> Vec<u32> {
        self.plan.rules().collect()
    }
}

impl Engine for Rules {
    fn name(&self) -> String {
        format!("compiled {}", self.level)
    }

    fn judge(&mut self, sample: &Sample) -> anyhow::Result<Judged> {
        let began = cpu();
        self.fields.0.clear();
        let body = sample.body.as_bytes();
        self.reader.read_as(Format::Json, &self.limits, Direction::Client, body, &mut self.fields);
        let message = Message { fields: &self.fields.0, body, handshake: None };
        let outcome = self.plan.evaluate(&message, &mut self.scratch);
        let nanoseconds = cpu() - began;
        let mut rules = outcome.rules.clone();
        rules.sort_unstable();
        rules.dedup();
        Ok(Judged { blocked: outcome.blocked.is_some(), rules, score: outcome.score, nanoseconds })
    }
}

/// The built-in pack under its default preset.
pub(crate) struct BuiltIn(Detection);

impl BuiltIn {
    pub(crate) fn new() -> Self {
        Self(Detection::new(&Default::default()))
    }
}

impl Engine for BuiltIn {
    fn name(&self) -> String {
        "built-in".to_owned()
    }

    fn judge(&mut self, sample: &Sample) -> anyhow::Result<Judged> {
        let began = cpu();
        let message = sockwarden_inspect::Message {
            direction: Direction::Client,
            kind: sockwarden_proto::MessageKind::Text,
            bytes: sample.body.as_bytes(),
        };
        let judgement = self.0.judge(&message);
        let nanoseconds = cpu() - began;
        Ok(Judged {
            blocked: judgement.blocked,
            rules: Vec::new(),
            score: judgement.score.into(),
            nanoseconds,
        })
    }
}

/// libinjection alone, asked of each value.
#[derive(Default)]
pub(crate) struct Libinjection {
    reader: Reader,
    limits: InspectLimits,
    fields: Taken,
}

impl Engine for Libinjection {
    fn name(&self) -> String {
        "libinjection".to_owned()
    }

    fn judge(&mut self, sample: &Sample) -> anyhow::Result<Judged> {
        let began = cpu();
        self.fields.0.clear();
        self.reader.read_as(
            Format::Json,
            &self.limits,
            Direction::Client,
            sample.body.as_bytes(),
            &mut self.fields,
        );
        let blocked = self.fields.0.iter().any(|(_, value)| {
            libinjectionrs::detect_sqli(value).is_injection()
                || libinjectionrs::detect_xss(value).is_injection()
        });
        Ok(Judged { blocked, rules: Vec::new(), score: 0, nanoseconds: cpu() - began })
    }
}

fn cpu() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(now.tv_sec).unwrap_or_default() * 1_000_000_000
        + u64::try_from(now.tv_nsec).unwrap_or_default()
}

/// How far two evaluations of the same rules agree.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    pub(crate) messages: usize,
    /// Messages that one would block and the other not.
    pub(crate) verdicts: usize,
    /// Rules that look at values and that we cannot follow.
    pub(crate) missing: Vec<u32>,
    /// For each rule that is asked of values: matched by both, by ours alone, by theirs alone; an example.
    pub(crate) rules: BTreeMap<u32, Counts>,
}

/// How often a rule matched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) both: usize,
    pub(crate) ours: usize,
    pub(crate) theirs: usize,
    pub(crate) example: String,
}

impl Agreement {
    pub(crate) fn new(ids: &[u32], missing: &[u32]) -> Self {
        let rules = ids.iter().chain(missing).map(|id| (*id, Counts::default())).collect();
        Self { rules, missing: missing.to_vec(), ..Self::default() }
    }

    /// The rules that are compiled, with their counts.
    fn compiled(&self) -> impl Iterator<Item = (u32, &Counts)> {
        self.rules.iter().filter(|(id, _)| !self.missing.contains(id)).map(|(id, counts)| (*id, counts))
    }

    /// Of the pairs of message and compiled rule that at least one evaluation finds to match, how many both find.
    pub(crate) fn share(&self) -> f64 {
        let both: usize = self.compiled().map(|(_, counts)| counts.both).sum();
        let all: usize = self.compiled().map(|(_, counts)| counts.both + counts.ours + counts.theirs).sum();
        both as f64 / all.max(1) as f64
    }

    /// Of all pairs of message and compiled rule, how many are judged alike.
    pub(crate) fn of_all(&self) -> f64 {
        let apart: usize = self.compiled().map(|(_, counts)| counts.ours + counts.theirs).sum();
        1.0 - apart as f64 / (self.messages * self.compiled().count()).max(1) as f64
    }

    /// The compiled rule that is judged alike least often, and how often.
    pub(crate) fn worst(&self) -> Option<(u32, f64)> {
        let share =
            |counts: &Counts| 1.0 - (counts.ours + counts.theirs) as f64 / self.messages.max(1) as f64;
        self.compiled().map(|(id, counts)| (id, share(counts))).min_by(|one, other| one.1.total_cmp(&other.1))
    }
}

/// Holds two judgements against each other.
pub(crate) fn compare(agreement: &mut Agreement, sample: &Sample, ours: &Judged, theirs: &Judged) {
    agreement.messages += 1;
    agreement.verdicts += usize::from(ours.blocked != theirs.blocked);
    for (id, counts) in &mut agreement.rules {
        match (ours.rules.binary_search(id).is_ok(), theirs.rules.binary_search(id).is_ok()) {
            (true, true) => counts.both += 1,
            (true, false) => counts.ours += 1,
            (false, true) => counts.theirs += 1,
            (false, false) => continue,
        }
        if counts.example.is_empty() && (counts.ours + counts.theirs) > 0 {
            counts.example = sockwarden_model::printable(sample.payload.as_bytes(), 60);
        }
    }
}

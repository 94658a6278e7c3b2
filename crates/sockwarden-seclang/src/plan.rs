//! A rule set for one policy: what does not depend on a message is evaluated once, when the plan is made.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sockwarden_model::Direction;

use crate::message::Message;
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::rules::{Compiled, Entry, Name, Order, RuleSet, Step};
use crate::run::{After, Run, State};
use crate::scan::{Buffers, PROBES, Scanner, probed};
use crate::subject::{Class, of_class};
use crate::target::{Selector, Target, Variable};
use crate::test::{Filled, Part};
use crate::tx::{CAPTURES, Datum, Store};

/// A rule set as one policy uses it. Cheap to share; each thread has a [`Scratch`] of its own.
#[derive(Debug)]
pub struct Plan {
    set: Arc<RuleSet>,
    direction: Direction,
    /// What the variables hold before a message is looked at.
    start: Vec<Datum>,
    pinned: Vec<bool>,
    extra: HashMap<usize, Vec<Target>>,
    steps: Vec<Stage>,
    /// The steps that are evaluated for each message, whatever its values hold.
    always: Vec<u32>,
    scanners: Vec<Scanner>,
    scores: Vec<u32>,
    weights: [i64; 4],
    off: bool,
}

/// A rule in the order of evaluation.
#[derive(Debug)]
struct Stage {
    entry: usize,
    /// Where it goes on when the rule asks to skip.
    resume: usize,
}

/// The buffers of one thread for one plan.
#[derive(Debug)]
pub struct Scratch {
    state: State,
    buffers: Buffers,
}

/// The names by which rule sets know what a policy says: level, threshold, and that they were set up.
const LEVELS: &[&str] =
    &["paranoia_level", "executing_paranoia_level", "blocking_paranoia_level", "detection_paranoia_level"];
const THRESHOLDS: &[&str] = &["inbound_anomaly_score_threshold", "outbound_anomaly_score_threshold"];
const SET_UP: &str = "crs_setup_version";

impl RuleSet {
    /// Makes a plan for a policy.
    pub fn plan(self: &Arc<Self>, policy: &Policy) -> Plan {
        self.plan_with(policy, false)
    }

    /// Makes a plan without the prefilter: the same verdicts, found by asking every rule of every value. For comparisons.
    pub fn exhaustive_plan(self: &Arc<Self>, policy: &Policy) -> Plan {
        self.plan_with(policy, true)
    }

    fn plan_with(self: &Arc<Self>, policy: &Policy, exhaustive: bool) -> Plan {
        let mut planner = Planner::new(self, policy);
        planner.walk();
        planner.finish(Arc::clone(self), exhaustive)
    }
}

/// A plan in the making.
struct Planner<'a> {
    set: &'a RuleSet,
    policy: &'a Policy,
    state: State,
    pinned: Vec<bool>,
    extra: HashMap<usize, Vec<Target>>,
    /// Variables that a message can change, by number.
    unknown: Vec<bool>,
    /// Beginnings of names that a message can make.
    made: Vec<String>,
    removed: HashSet<usize>,
    steps: Vec<Stage>,
    /// Steps that skip, and the marker that they go to.
    skips: Vec<(usize, String)>,
    /// Rules in between may be skipped: they are not evaluated ahead.
    regions: Vec<String>,
    off: bool,
}

impl<'a> Planner<'a> {
    fn new(set: &'a RuleSet, policy: &'a Policy) -> Self {
        let mut planner = Self {
            set,
            policy,
            state: State::with(Store::new(&set.names)),
            pinned: vec![false; set.names.len()],
            extra: HashMap::new(),
            unknown: vec![false; set.names.len()],
            made: Vec::new(),
            removed: HashSet::new(),
            steps: Vec::new(),
            skips: Vec::new(),
            regions: Vec::new(),
            off: false,
        };
        let mut pin = |names: &[&str], value: i64| {
            for number in names.iter().filter_map(|name| set.names.find(name.as_bytes())) {
                planner.state.store.set(number, Datum::Number(value));
                planner.pinned[number as usize] = true;
            }
        };
        if let Some(paranoia) = policy.paranoia {
            pin(LEVELS, i64::from(paranoia.level()));
        }
        if let Some(threshold) = policy.threshold {
            pin(THRESHOLDS, i64::from(threshold.get()));
        }
        // A set without its setup file would refuse everything; a policy is its setup.
        if let Some(number) = set.names.find(SET_UP.as_bytes()) {
            planner.state.store.set(number, Datum::Number(1));
        }
        for exclusion in &policy.exclusions {
            let rules = set.which(&exclusion.which);
            match &exclusion.target {
                None => planner.removed.extend(rules),
                Some(target) => {
                    for rule in rules {
                        planner.extra.entry(rule).or_default().push(target.clone());
                    }
                }
            }
        }
        planner
    }

    /// Goes through the phases as they are evaluated for a message.
    fn walk(&mut self) {
        // What sets variables up stands in phase 1 for both directions.
        let phases: &[u8] = match self.policy.direction {
            Direction::Client => &[1, 2],
            Direction::Server => &[1, 3, 4],
        };
        let mut skipping: Option<&str> = None;
        for phase in phases {
            for (at, entry) in self.set.entries.iter().enumerate() {
                match entry {
                    Entry::Marker(name) => {
                        if skipping == Some(name.as_str()) {
                            skipping = None;
                        }
                        self.regions.retain(|region| region != name);
                        let here = self.steps.len();
                        for (step, _) in self.skips.iter().filter(|(_, marker)| marker == name) {
                            self.steps[*step].resume = here;
                        }
                        self.skips.retain(|(_, marker)| marker != name);
                    }
                    Entry::Rule(rule) if rule.phase == *phase && skipping.is_none() && !self.off => {
                        if self.visit(at, rule) == After::Skip {
                            skipping = rule.skip_after.as_deref();
                        }
                    }
                    Entry::Rule(_) => {}
                }
            }
        }
        // A marker that does not come ends the evaluation.
        let end = self.steps.len();
        for (step, _) in std::mem::take(&mut self.skips) {
            self.steps[step].resume = end;
        }
    }

    fn visit(&mut self, at: usize, rule: &Compiled) -> After {
        let server_side = self.policy.direction == Direction::Server && rule.phase < 3;
        if self.removed.contains(&at) || (rule.handshake && !self.policy.handshake) {
            return After::Next;
        }
        if self.regions.is_empty() && rule.links.iter().all(|link| self.is_settled(link)) {
            return self.settle(at, rule);
        }
        if server_side {
            // It looks at a request, and there is none.
            return After::Next;
        }
        for link in &rule.links {
            self.forget(link);
        }
        let step = self.steps.len();
        self.steps.push(Stage { entry: at, resume: step + 1 });
        if let Some(marker) = &rule.skip_after {
            self.skips.push((step, marker.clone()));
            self.regions.push(marker.clone());
        }
        After::Next
    }

    /// Evaluates a rule that no message has a say in.
    fn settle(&mut self, at: usize, rule: &Compiled) -> After {
        let run = Run {
            set: self.set,
            direction: self.policy.direction,
            message: None,
            pinned: &self.pinned,
            extra: &self.extra,
            weights: [0; 4],
        };
        let told = self.state.outcome.matches.len();
        let mut state = std::mem::take(&mut self.state);
        let after = run.rule(at, rule, None, &mut state);
        state.outcome.matches.truncate(told);
        // That a set blocks everything is a mistake of its setup, not of a message.
        let blocked = state.outcome.blocked.take().is_some();
        let off = std::mem::take(&mut state.off);
        self.state = state;
        let (gone, spared) = self.state.take_orders();
        self.removed.extend(gone);
        for (by, place, number) in spared {
            let Some(Entry::Rule(rule)) = self.set.entries.get(by) else { continue };
            if let Some(Order::RemoveTarget(rules, target)) = rule.links[place].controls.get(number) {
                for rule in rules {
                    self.extra.entry(*rule).or_default().push(target.clone());
                }
            }
        }
        self.off |= off || (after == After::Stop && !blocked);
        if blocked { After::Next } else { after }
    }

    /// Tells whether a link depends on nothing that a message can change.
    fn is_settled(&self, link: &Step) -> bool {
        let known = |number: u32| !self.is_unknown(number);
        let filled = |filled: &Filled| match filled {
            Filled::Constant(_) => true,
            Filled::Pieces(parts) => parts.iter().all(|part| match part {
                Part::Tx(number) => known(*number),
                Part::Text(_) | Part::MatchedVar | Part::MatchedVarName | Part::RuleId => true,
            }),
        };
        let target = |target: &Target| match (target.variable, &target.selector) {
            (Variable::Tx, Selector::Name(name)) => self.set.names.find(name).is_some_and(known),
            (_, _) => false,
        };
        link.includes.iter().all(target)
            && link.test.argument().is_none_or(filled)
            && link
                .sets
                .iter()
                .all(|set| matches!(set.name, Name::Known(_)) && set.change.filled().is_none_or(filled))
    }

    fn is_unknown(&self, number: u32) -> bool {
        let name = self.set.names.name(number);
        self.unknown.get(number as usize).is_none_or(|unknown| *unknown)
            || self.made.iter().any(|beginning| name.starts_with(beginning.as_str()))
    }

    /// What a link can change is no longer known.
    fn forget(&mut self, link: &Step) {
        for set in &link.sets {
            match &set.name {
                Name::Known(number) => {
                    if let Some(unknown) = self.unknown.get_mut(*number as usize) {
                        *unknown = true;
                    }
                }
                Name::Made(filled) => {
                    let beginning = match filled {
                        Filled::Constant(text) => text.clone(),
                        Filled::Pieces(parts) => match parts.first() {
                            Some(Part::Text(text)) => text.clone(),
                            Some(Part::Tx(_) | Part::MatchedVar | Part::MatchedVarName | Part::RuleId)
                            | None => Vec::new(),
                        },
                    };
                    self.made.push(String::from_utf8_lossy(&beginning).into_owned());
                }
            }
        }
        if link.capture {
            self.unknown.iter_mut().take(CAPTURES).for_each(|unknown| *unknown = true);
        }
    }

    fn finish(self, set: Arc<RuleSet>, exhaustive: bool) -> Plan {
        let direction = self.policy.direction;
        let mut always = Vec::new();
        let mut scanned = Vec::new();
        for (step, stage) in self.steps.iter().enumerate() {
            let Some(Entry::Rule(rule)) = set.entries.get(stage.entry) else { continue };
            let step = u32::try_from(step).unwrap_or(u32::MAX);
            if probed(rule, direction).is_some() {
                scanned.push((step, stage.entry, self.extra.get(&stage.entry).cloned().unwrap_or_default()));
            } else {
                always.push(step);
            }
        }
        let scanners = scanned
            .chunks(PROBES)
            .enumerate()
            .map(|rules| Scanner::new(&set, direction, rules, self.policy.handshake, exhaustive))
            .collect();
        let number = |name: &str| set.names.find(name.as_bytes());
        let scores: &[&str] = match direction {
            Direction::Client => &["blocking_inbound_anomaly_score", "anomaly_score"],
            Direction::Server => &["blocking_outbound_anomaly_score", "outbound_anomaly_score"],
        };
        let weight = |name: &str, default: i64| match number(name).map(|number| self.state.store.get(number))
        {
            Some(Datum::Unset) | None => default,
            Some(datum @ (Datum::Number(_) | Datum::Text(_))) => datum.number(),
        };
        let weights = [
            weight("critical_anomaly_score", 5),
            weight("error_anomaly_score", 4),
            weight("warning_anomaly_score", 3),
            weight("notice_anomaly_score", 2),
        ];
        Plan {
            direction,
            start: self.state.store.named().to_vec(),
            pinned: self.pinned,
            extra: self.extra,
            steps: self.steps,
            always,
            scanners,
            scores: scores.iter().filter_map(|name| number(name)).collect(),
            weights,
            off: self.off,
            set,
        }
    }
}

impl Plan {
    /// Gives the rules that are asked of values, in their order.
    pub fn rules(&self) -> impl Iterator<Item = u32> {
        self.scanners.iter().flat_map(|scanner| &scanner.probes).filter_map(|probe| {
            match self.set.entries.get(probe.entry) {
                Some(Entry::Rule(rule)) => Some(rule.id),
                Some(Entry::Marker(_)) | None => None,
            }
        })
    }

    /// Makes buffers for this plan.
    pub fn scratch(&self) -> Scratch {
        Scratch { state: State::with(Store::starting_with(self.start.clone())), buffers: Buffers::default() }
    }

    /// Judges a message. `scratch` must have been made by this plan.
    pub fn evaluate<'s>(&self, message: &Message<'_>, scratch: &'s mut Scratch) -> &'s Outcome {
        let Scratch { state, buffers } = scratch;
        state.begin(&self.start);
        buffers.clear();
        if self.off {
            return &state.outcome;
        }
        for scanner in &self.scanners {
            for class in Class::ALL.into_iter().filter(|class| scanner.asks(*class)) {
                for subject in of_class(message, class) {
                    scanner.scan(&self.set, &subject, buffers);
                }
            }
        }
        buffers.hits.sort_by_key(|hit| hit.step);
        self.run(message, state, buffers);
        let scores = self.scores.iter().map(|number| state.store.get(*number).number());
        state.outcome.score = match scores.max() {
            Some(score) => score,
            None => state.outcome.matches.iter().map(|one| one.weight).sum(),
        };
        state.outcome.untold += buffers.lost;
        &state.outcome
    }

    /// Goes through the rules that have something to say, in their order.
    fn run(&self, message: &Message<'_>, state: &mut State, buffers: &Buffers) {
        let run = Run {
            set: &self.set,
            direction: self.direction,
            message: Some(*message),
            pinned: &self.pinned,
            extra: &self.extra,
            weights: self.weights,
        };
        let mut always = self.always.iter().copied().peekable();
        let mut hits = buffers.hits.as_slice();
        let mut from = 0;
        loop {
            let step = match (always.peek().copied(), hits.first().map(|hit| hit.step)) {
                (None, None) => return,
                (Some(one), Some(other)) => one.min(other),
                (Some(one), None) | (None, Some(one)) => one,
            };
            let own = hits.iter().take_while(|hit| hit.step == step).count();
            let (these, rest) = hits.split_at(own);
            hits = rest;
            if always.peek() == Some(&step) {
                always.next();
            }
            let stage = &self.steps[step as usize];
            let Some(Entry::Rule(rule)) = self.set.entries.get(stage.entry) else { continue };
            if (step as usize) < from {
                continue;
            }
            let found = (own > 0).then_some((these, buffers.kept.as_slice()));
            match run.rule(stage.entry, rule, found, state) {
                After::Next => {}
                After::Skip => from = stage.resume,
                After::Stop => return,
            }
        }
    }
}

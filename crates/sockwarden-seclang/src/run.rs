//! Rules in their order: what they change, what they skip, what they block.

use std::collections::HashMap;

use sockwarden_model::{Direction, printable};

use crate::action::{Disruption, Severity};
use crate::message::Message;
use crate::outcome::{MATCHES, Match, Outcome};
use crate::rules::{Alter, Compiled, Name, Order, RuleSet, Step};
use crate::scan::Hit;
use crate::subject::{Class, classes, covers, of_class};
use crate::target::{Selector, Target, Variable};
use crate::test::{Filled, Part, Test};
use crate::tx::{CAPTURES, Datum, Store};

/// How many matched values are remembered for `MATCHED_VARS`.
const MATCHED: usize = 1_024;

/// How much of a name or value is shown.
const SHOWN: usize = 80;

/// What rules change while a message is judged.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) store: Store,
    /// What the current rule matched: name with its variable, value.
    matched: Vec<(Vec<u8>, Vec<u8>)>,
    /// Rules that were taken out for the rest of the message, by their place among the entries.
    gone: Vec<usize>,
    /// Orders that take places out: the rule that gave them, its link, which of its orders.
    spared: Vec<(usize, usize, usize)>,
    pub(crate) off: bool,
    pub(crate) outcome: Outcome,
}

impl State {
    pub(crate) fn with(store: Store) -> Self {
        Self { store, ..Self::default() }
    }

    pub(crate) fn begin(&mut self, start: &[Datum]) {
        self.store.begin(start);
        self.matched.clear();
        self.gone.clear();
        self.spared.clear();
        self.off = false;
        self.outcome.score = 0;
        self.outcome.blocked = None;
        self.outcome.rules.clear();
        self.outcome.matches.clear();
        self.outcome.untold = 0;
    }
}

impl State {
    /// Takes what rules ordered up to now: rules that are out, and orders that spare places.
    pub(crate) fn take_orders(&mut self) -> (Vec<usize>, Vec<(usize, usize, usize)>) {
        (std::mem::take(&mut self.gone), std::mem::take(&mut self.spared))
    }
}

/// What surrounds the rules: all that does not change while a message is judged.
pub(crate) struct Run<'a> {
    pub(crate) set: &'a RuleSet,
    pub(crate) direction: Direction,
    pub(crate) message: Option<Message<'a>>,
    /// Variables that rules do not change: the policy has said what they are.
    pub(crate) pinned: &'a [bool],
    /// Places that a rule does not look at, beyond what it says itself.
    pub(crate) extra: &'a HashMap<usize, Vec<Target>>,
    /// What severities add.
    pub(crate) weights: [i64; 4],
}

/// What a rule wants done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Next,
    /// It matched and asks to go on behind a marker.
    Skip,
    Stop,
}

impl Run<'_> {
    /// Evaluates a rule. `hits` are the values that its first link holds for, with the values themselves, where that was found out before.
    pub(crate) fn rule(
        &self,
        entry: usize,
        rule: &Compiled,
        hits: Option<(&[Hit], &[u8])>,
        state: &mut State,
    ) -> After {
        if state.gone.contains(&entry) {
            return After::Next;
        }
        state.matched.clear();
        let told = state.outcome.matches.len();
        let mut matched = match hits {
            Some((hits, kept)) => self.hits(entry, rule, hits, kept, state),
            None => self.link(entry, rule, 0, state),
        };
        for place in 1..rule.links.len() {
            matched = matched && self.link(entry, rule, place, state);
        }
        if !matched {
            state.outcome.matches.truncate(told);
            return After::Next;
        }
        if rule.logged {
            state.outcome.rules.push(rule.id);
        }
        for (place, link) in rule.links.iter().enumerate() {
            for (number, order) in link.controls.iter().enumerate() {
                match order {
                    Order::Remove(rules) => state.gone.extend(rules),
                    Order::RemoveTarget(..) => state.spared.push((entry, place, number)),
                    Order::Off => state.off = true,
                }
            }
        }
        match rule.disruption {
            _ if state.off => After::Stop,
            Disruption::Deny | Disruption::Block if self.blocks(rule) => {
                state.outcome.blocked = Some(rule.id);
                After::Stop
            }
            Disruption::Allow => After::Stop,
            Disruption::Pass | Disruption::Deny | Disruption::Block => {
                if rule.skip_after.is_some() {
                    After::Skip
                } else {
                    After::Next
                }
            }
        }
    }

    /// `block` without a default of its phase passes, as libmodsecurity has it.
    fn blocks(&self, rule: &Compiled) -> bool {
        rule.disruption == Disruption::Deny
    }

    fn hits(&self, entry: usize, rule: &Compiled, hits: &[Hit], kept: &[u8], state: &mut State) -> bool {
        let mut any = false;
        for hit in hits {
            let name = self.name_of(hit);
            if self.spared(entry, hit.class, name, state) {
                continue;
            }
            any = true;
            let value = &kept[hit.start..hit.end];
            if rule.logged {
                let field = hit.class.of_message() && hit.class != Class::Body;
                let place = self.full_name(hit.class.variable(self.direction), name);
                self.tell(rule, &place, field.then_some(hit.number as usize), value, state);
            }
            let place = if rule.keeps {
                self.full_name(hit.class.variable(self.direction), name)
            } else {
                Vec::new()
            };
            self.matched(rule, &rule.links[0], &place, value, state);
        }
        any
    }

    fn name_of(&self, hit: &Hit) -> &[u8] {
        let Some(message) = &self.message else { return b"" };
        of_class(message, hit.class).nth(hit.number as usize).map_or(b"", |subject| subject.name)
    }

    fn full_name(&self, variable: Variable, name: &[u8]) -> Vec<u8> {
        let mut full = variable.name().as_bytes().to_vec();
        if !name.is_empty() {
            full.push(b':');
            full.extend_from_slice(name);
        }
        full
    }

    /// Tells whether an order of an earlier rule spares this place.
    fn spared(&self, entry: usize, class: Class, name: &[u8], state: &State) -> bool {
        state.spared.iter().any(|(by, place, number)| {
            let Some(crate::rules::Entry::Rule(rule)) = self.set.entries.get(*by) else { return false };
            match rule.links.get(*place).and_then(|link| link.controls.get(*number)) {
                Some(Order::RemoveTarget(rules, target)) => {
                    rules.contains(&entry) && covers(target, class, name, self.direction)
                }
                Some(Order::Remove(_) | Order::Off) | None => false,
            }
        })
    }

    fn tell(&self, rule: &Compiled, place: &[u8], field: Option<usize>, value: &[u8], state: &mut State) {
        if state.outcome.matches.len() >= MATCHES {
            state.outcome.untold += 1;
            return;
        }
        state.outcome.matches.push(Match {
            rule: rule.id,
            category: rule.category.clone(),
            weight: match rule.severity {
                Severity::Critical => self.weights[0],
                Severity::Error => self.weights[1],
                Severity::Warning => self.weights[2],
                Severity::Notice => self.weights[3],
                Severity::Other => 0,
            },
            place: printable(place, SHOWN),
            field,
            excerpt: printable(value, SHOWN),
        });
    }

    /// Evaluates a link in its turn.
    fn link(&self, entry: usize, rule: &Compiled, place: usize, state: &mut State) -> bool {
        let link = &rule.links[place];
        if link.includes.is_empty() {
            self.matched(rule, link, b"", b"", state);
            return true;
        }
        let mut argument = Vec::new();
        if let Some(filled) = link.test.argument() {
            self.fill(filled, rule, state, &mut argument);
        }
        if let Some(held) = self.plain_number(link, &argument, state) {
            if held {
                self.matched(rule, link, b"", b"", state);
            }
            return held;
        }
        if self.sees_nothing(link, state) {
            return false;
        }
        // What a chained rule looks at is not what it adds.
        let values = self.values(entry, place, rule, link, state);
        let mut any = false;
        for (name, field, value) in values {
            for value in self.transformed(link, value) {
                if link.test.holds(&value, &argument) == link.negated {
                    continue;
                }
                any = true;
                let says_something = link.includes.iter().any(|target| target.variable != Variable::Tx);
                if place == 0 && rule.logged && says_something {
                    self.tell(rule, &name, field, &value, state);
                }
                self.matched(rule, link, &name, &value, state);
            }
        }
        any
    }

    /// The common case by a short way: one variable of the transaction, compared as a number, and nothing kept of it.
    fn plain_number(&self, link: &Step, argument: &[u8], state: &State) -> Option<bool> {
        let ([target], Test::Number(test, _)) = (link.includes.as_slice(), &link.test) else { return None };
        let (Selector::Name(_), [number]) = (&target.selector, target.numbers.as_slice()) else {
            return None;
        };
        let number = *number;
        let keeps = link
            .sets
            .iter()
            .any(|set| !matches!(set.name, Name::Known(_)) || !set.change.filled().is_some_and(is_simple));
        if target.variable != Variable::Tx
            || link.path.len() > 1
            || !link.excludes.is_empty()
            || link.capture
            || keeps
        {
            return None;
        }
        let datum = state.store.get(number);
        let other = crate::tx::leading_number(argument);
        let held = match (target.count, datum) {
            (true, datum) => test.holds(i64::from(*datum != Datum::Unset), other) != link.negated,
            (false, Datum::Unset) => false,
            (false, datum) => test.holds(datum.number(), other) != link.negated,
        };
        Some(held)
    }

    /// The other common case: variables of the transaction of which none is set.
    fn sees_nothing(&self, link: &Step, state: &State) -> bool {
        link.includes.iter().all(|target| {
            target.variable == Variable::Tx
                && !target.count
                && target.numbers.iter().all(|number| *state.store.get(*number) == Datum::Unset)
        }) && state.store.all_free().next().is_none()
    }

    /// Gives what a link looks at: name with its variable, number of the field, value.
    fn values(
        &self,
        entry: usize,
        place: usize,
        rule: &Compiled,
        link: &Step,
        state: &State,
    ) -> Vec<(Vec<u8>, Option<usize>, Vec<u8>)> {
        let mut out = Vec::new();
        for target in &link.includes {
            let start = out.len();
            match classes(target.variable, self.direction) {
                Some(bits) => self.subjects(entry, place, rule, link, target, bits, state, &mut out),
                None => self.special(target, link, state, &mut out),
            }
            if target.count {
                let count = out.len() - start;
                out.truncate(start);
                out.push((target.variable.name().as_bytes().to_vec(), None, count.to_string().into_bytes()));
            }
        }
        out
    }

    #[expect(clippy::too_many_arguments, reason = "a part of `values`, which it is called from alone")]
    fn subjects(
        &self,
        entry: usize,
        place: usize,
        rule: &Compiled,
        link: &Step,
        target: &Target,
        bits: u16,
        state: &State,
        out: &mut Vec<(Vec<u8>, Option<usize>, Vec<u8>)>,
    ) {
        let Some(message) = &self.message else { return };
        let none = Vec::new();
        let extra = if place == 0 { self.extra.get(&entry).unwrap_or(&none) } else { &none };
        for class in Class::ALL {
            if bits & class.bit() == 0 || (rule.phase == 1 && class.of_message()) {
                continue;
            }
            for subject in of_class(message, class) {
                let covered = |target: &Target| covers(target, class, subject.name, self.direction);
                let left_out = link.excludes.iter().any(covered)
                    || extra.iter().any(covered)
                    || (place == 0 && self.spared(entry, class, subject.name, state));
                if target.selector.selects(subject.name) && !left_out {
                    let field =
                        (class == Class::Arg || class == Class::ArgName).then_some(subject.number as usize);
                    let name = self.full_name(class.variable(self.direction), subject.name);
                    out.push((name, field, subject.value.to_vec()));
                }
            }
        }
    }

    /// Variables that are filled while rules are evaluated, or that are one number.
    fn special(
        &self,
        target: &Target,
        link: &Step,
        state: &State,
        out: &mut Vec<(Vec<u8>, Option<usize>, Vec<u8>)>,
    ) {
        let left_out = |name: &[u8]| {
            link.excludes
                .iter()
                .any(|other| other.variable == target.variable && other.selector.selects(name))
        };
        let own = || target.variable.name().as_bytes().to_vec();
        match target.variable {
            Variable::Tx => {
                let mut take = |name: &[u8], datum: &Datum| {
                    if *datum != Datum::Unset && target.selector.selects(name) && !left_out(name) {
                        let mut value = Vec::new();
                        datum.write(&mut value);
                        out.push((self.full_name(Variable::Tx, name), None, value));
                    }
                };
                for number in &target.numbers {
                    let datum = state.store.get(*number);
                    // Most are not set.
                    if *datum != Datum::Unset {
                        take(self.set.names.name(*number).as_bytes(), datum);
                    }
                }
                for (name, datum) in state.store.all_free() {
                    take(name, datum);
                }
            }
            Variable::MatchedVar => {
                out.extend(state.matched.last().map(|(_, value)| (own(), None, value.clone())))
            }
            Variable::MatchedVarName => {
                out.extend(state.matched.last().map(|(name, _)| (own(), None, name.clone())))
            }
            Variable::MatchedVars | Variable::MatchedVarsNames => {
                let names = target.variable == Variable::MatchedVarsNames;
                for (name, value) in &state.matched {
                    if target.selector.selects(name) && !left_out(name) {
                        out.push((name.clone(), None, if names { name.clone() } else { value.clone() }));
                    }
                }
            }
            Variable::ArgsCombinedSize => {
                if let Some(message) = &self.message {
                    let query = message.handshake.map_or(0, |one| one.query.size());
                    out.push((own(), None, (message.fields.size() + query).to_string().into_bytes()));
                }
            }
            Variable::RequestBodyLength => {
                if let (Some(message), Direction::Client) = (&self.message, self.direction) {
                    out.push((own(), None, message.body.len().to_string().into_bytes()));
                }
            }
            Variable::RemoteAddr => {
                let address =
                    self.message.as_ref().and_then(|message| message.handshake).and_then(|one| one.address);
                out.extend(address.map(|address| (own(), None, address.to_string().into_bytes())));
            }
            Variable::Args
            | Variable::ArgsNames
            | Variable::ArgsGet
            | Variable::ArgsGetNames
            | Variable::ArgsPost
            | Variable::ArgsPostNames
            | Variable::RequestBody
            | Variable::ResponseBody
            | Variable::RequestHeaders
            | Variable::RequestHeadersNames
            | Variable::RequestCookies
            | Variable::RequestCookiesNames
            | Variable::RequestUri
            | Variable::RequestUriRaw
            | Variable::RequestFilename
            | Variable::RequestBasename
            | Variable::QueryString
            | Variable::Foreign(_) => {}
        }
    }

    /// Gives a value after its transformations; with `multiMatch` each one that differs from the one before.
    fn transformed(&self, link: &Step, value: Vec<u8>) -> Vec<Vec<u8>> {
        let mut all = vec![value];
        for node in &link.path[1..] {
            let transform = self.set.chains.nodes[usize::from(*node)].1;
            let Some(last) = all.last() else { break };
            let mut next = Vec::with_capacity(last.len());
            transform.apply(last, &mut next);
            if next == *last {
                continue;
            }
            if !link.multi {
                all.clear();
            }
            all.push(next);
        }
        all
    }

    /// Does what a link asks for each value that it holds for.
    fn matched(&self, rule: &Compiled, link: &Step, name: &[u8], value: &[u8], state: &mut State) {
        if rule.keeps && !link.includes.is_empty() && state.matched.len() < MATCHED {
            state.matched.push((name.to_vec(), value.to_vec()));
        }
        if link.capture {
            self.capture(link, value, state);
        }
        for set in &link.sets {
            let mut text = Vec::new();
            if let Some(filled) = set.change.filled() {
                self.fill(filled, rule, state, &mut text);
            }
            let amount = || crate::tx::leading_number(&text);
            match &set.name {
                Name::Known(number) => {
                    if self.pinned.get(*number as usize).is_some_and(|pinned| *pinned) {
                        continue;
                    }
                    match &set.change {
                        Alter::Set(_) => state.store.set(*number, Datum::of(&text)),
                        Alter::Add(_) => state.store.add(*number, amount()),
                        Alter::Subtract(_) => state.store.add(*number, amount().saturating_neg()),
                        Alter::Unset => state.store.set(*number, Datum::Unset),
                    }
                }
                Name::Made(filled) => {
                    let mut made = Vec::new();
                    self.fill(filled, rule, state, &mut made);
                    made.make_ascii_lowercase();
                    let Some(datum) = state.store.free(&made) else { continue };
                    *datum = match &set.change {
                        Alter::Set(_) => Datum::of(&text),
                        Alter::Add(_) => Datum::Number(datum.number().saturating_add(amount())),
                        Alter::Subtract(_) => Datum::Number(datum.number().saturating_sub(amount())),
                        Alter::Unset => Datum::Unset,
                    };
                }
            }
        }
    }

    fn capture(&self, link: &Step, value: &[u8], state: &mut State) {
        let numbers = 0..u32::try_from(CAPTURES).unwrap_or_default();
        match &link.test {
            Test::Pattern(regex) => {
                let captured = regex.captures(value);
                for number in numbers {
                    let part = captured.as_ref().and_then(|captured| captured.get(number as usize));
                    state.store.set(number, part.map_or(Datum::Unset, |part| Datum::of(part.as_bytes())));
                }
            }
            Test::Phrases(words) => {
                let found = words.find(value).map_or(&b""[..], |found| &value[found.range()]);
                state.store.set(0, Datum::of(found));
            }
            Test::Sqli
            | Test::Xss
            | Test::Text(..)
            | Test::Number(..)
            | Test::ByteRange(_)
            | Test::UrlEncoding
            | Test::Utf8Encoding
            | Test::Address(_)
            | Test::Always
            | Test::Never => state.store.set(0, Datum::of(value)),
        }
    }

    fn fill(&self, filled: &Filled, rule: &Compiled, state: &State, out: &mut Vec<u8>) {
        let parts = match filled {
            Filled::Constant(text) => {
                out.extend_from_slice(text);
                return;
            }
            Filled::Pieces(parts) => parts,
        };
        for part in parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Tx(number) => state.store.get(*number).write(out),
                Part::MatchedVar => {
                    out.extend(state.matched.last().map(|(_, value)| value).into_iter().flatten())
                }
                Part::MatchedVarName => {
                    out.extend(state.matched.last().map(|(name, _)| name).into_iter().flatten())
                }
                Part::RuleId => out.extend_from_slice(rule.id.to_string().as_bytes()),
            }
        }
    }
}

fn is_simple(filled: &Filled) -> bool {
    match filled {
        Filled::Constant(_) => true,
        Filled::Pieces(parts) => {
            parts.iter().all(|part| matches!(part, Part::Text(_) | Part::Tx(_) | Part::RuleId))
        }
    }
}

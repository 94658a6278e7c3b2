//! A rule set, compiled once and used by every plan.

use std::collections::{BTreeSet, HashMap};

use aho_corasick::AhoCorasickBuilder;
use regex::bytes::RegexBuilder;

use crate::action::{Change, Control, Disruption, Severity, Which};
use crate::error::ReadErrors;
use crate::macros::{Piece, Template};
use crate::necessary::Necessary;
use crate::operator::Operator;
use crate::pattern;
use crate::reader::{self, Item, Link, Rule};
use crate::report::{Note, Report, RuleReport, Standing};
use crate::source::Source;
use crate::target::{Target, Variable};
use crate::test::{Filled, Part, Test};
use crate::transform::Transform;
use crate::tx::Names;

/// How many bytes a compiled expression may take.
const EXPRESSION: usize = 64 << 20;

/// How many bytes an expression may take while it searches.
const SEARCH: usize = 2 << 20;

/// A rule set that was read and compiled; plans for its use are made from it.
#[derive(Debug)]
pub struct RuleSet {
    pub(crate) entries: Vec<Entry>,
    pub(crate) names: Names,
    pub(crate) chains: Chains,
}

#[derive(Debug)]
pub(crate) enum Entry {
    Rule(Box<Compiled>),
    Marker(String),
}

/// A rule that can be applied.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) id: u32,
    pub(crate) category: String,
    pub(crate) severity: Severity,
    pub(crate) phase: u8,
    pub(crate) logged: bool,
    pub(crate) disruption: Disruption,
    pub(crate) skip_after: Option<String>,
    pub(crate) links: Vec<Step>,
    /// What it matched must be kept for what follows: links, variables, captures.
    pub(crate) keeps: bool,
    pub(crate) handshake: bool,
    tags: Vec<String>,
    message: String,
}

/// One link of a chain, compiled.
#[derive(Debug)]
pub(crate) struct Step {
    /// Nothing for `SecAction`.
    pub(crate) includes: Vec<Target>,
    pub(crate) excludes: Vec<Target>,
    pub(crate) test: Test,
    pub(crate) necessary: Necessary,
    pub(crate) negated: bool,
    /// What is done to a value: the nodes of its chain, from none on.
    pub(crate) path: Vec<u16>,
    pub(crate) multi: bool,
    pub(crate) capture: bool,
    pub(crate) sets: Vec<Set>,
    pub(crate) controls: Vec<Order>,
}

/// A change of a variable, with names by number.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) name: Name,
    pub(crate) change: Alter,
}

#[derive(Debug)]
pub(crate) enum Name {
    Known(u32),
    Made(Filled),
}

#[derive(Debug)]
pub(crate) enum Alter {
    Set(Filled),
    Add(Filled),
    Subtract(Filled),
    Unset,
}

/// What changes other rules for the rest of a message: which they are, by their place among the entries.
#[derive(Debug)]
pub(crate) enum Order {
    Remove(Vec<usize>),
    RemoveTarget(Vec<usize>, Target),
    Off,
}

/// All chains of transformations, each step once: a tree whose first node does nothing.
#[derive(Debug)]
pub(crate) struct Chains {
    /// The node before, and what is done.
    pub(crate) nodes: Vec<(u16, Transform)>,
}

impl Chains {
    /// Gives the nodes of a chain.
    fn path(&mut self, transforms: &[Transform]) -> Vec<u16> {
        let mut path = vec![0];
        let mut here = 0;
        for transform in transforms {
            let found = self.nodes.iter().skip(1).position(|node| *node == (here, *transform));
            let at = found.map_or_else(
                || {
                    self.nodes.push((here, *transform));
                    self.nodes.len() - 1
                },
                |at| at + 1,
            );
            here = u16::try_from(at).unwrap_or(u16::MAX);
            path.push(here);
        }
        path
    }
}

impl RuleSet {
    /// Reads and compiles rules. `files` are evaluated in the order in which they are given; `data` are the files of words that they name.
    ///
    /// # Errors
    ///
    /// All mistakes in the text of the files. A rule that is well-formed and cannot be applied is no error: the report says why.
    pub fn load(files: &[Source<'_>], data: &[Source<'_>]) -> Result<(Self, Report), ReadErrors> {
        let read = reader::read(files).map_err(ReadErrors)?;
        let mut set = Self {
            entries: Vec::new(),
            names: Names::new(),
            chains: Chains { nodes: vec![(0, Transform::Length)] },
        };
        let note = |(file, line, text): (String, u32, String)| Note { file, line, text };
        let mut report = Report {
            rules: Vec::new(),
            notes: read.notes.into_iter().map(note).collect(),
            signatures: read.signatures,
        };
        let mut orders: Vec<(usize, usize, Vec<Control>)> = Vec::new();
        for item in read.items {
            match item {
                Item::Marker(name) => set.entries.push(Entry::Marker(name)),
                Item::Rule(rule) => {
                    let mut left_out = left_out(&rule);
                    if rule.links.iter().any(is_wider) {
                        left_out.push(
                            "a possessive quantifier is read as a greedy one: it matches no less".to_owned(),
                        );
                    }
                    let standing = match set.compile(&rule, data) {
                        Ok(compiled) => {
                            let at = set.entries.len();
                            for (place, link) in rule.links.iter().enumerate() {
                                if !link.actions.controls.is_empty() {
                                    orders.push((at, place, link.actions.controls.clone()));
                                }
                            }
                            let needs = compiled.handshake;
                            set.entries.push(Entry::Rule(Box::new(compiled)));
                            if needs { Standing::NeedsHandshake } else { Standing::Compiled }
                        }
                        Err(standing) => standing,
                    };
                    report.rules.push(RuleReport {
                        id: rule.id,
                        message: rule.head().message.clone().unwrap_or_default(),
                        file: rule.file,
                        line: rule.line,
                        standing,
                        left_out,
                    });
                }
            }
        }
        for (at, place, controls) in orders {
            let orders = controls.into_iter().filter_map(|control| set.order(control)).collect();
            if let Some(Entry::Rule(rule)) = set.entries.get_mut(at) {
                rule.links[place].controls = orders;
            }
        }
        set.number();
        Ok((set, report))
    }

    /// Finds which variables of the transaction each rule means, now that all names are known.
    fn number(&mut self) {
        let names = &self.names;
        let rules = self.entries.iter_mut().filter_map(|entry| match entry {
            Entry::Rule(rule) => Some(rule),
            Entry::Marker(_) => None,
        });
        let links = rules.flat_map(|rule| &mut rule.links);
        for target in links.flat_map(|link| &mut link.includes).filter(|one| one.variable == Variable::Tx) {
            let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
            target.numbers =
                (0..count).filter(|number| target.selector.selects(names.name(*number).as_bytes())).collect();
        }
    }

    /// Finds the rules that are meant, by their place among the entries.
    pub(crate) fn which(&self, which: &Which) -> Vec<usize> {
        let is = |rule: &Compiled| match which {
            Which::Ids(first, last) => (*first..=*last).contains(&rule.id),
            Which::Tag(tag) => rule.tags.iter().any(|one| one == tag),
            Which::Message(message) => rule.message == *message,
        };
        let found = self.entries.iter().enumerate().filter(|(_, entry)| match entry {
            Entry::Rule(rule) => is(rule),
            Entry::Marker(_) => false,
        });
        found.map(|(at, _)| at).collect()
    }

    fn order(&self, control: Control) -> Option<Order> {
        match control {
            Control::Remove(which) => Some(Order::Remove(self.which(&which))),
            Control::RemoveTarget(which, target) => Some(Order::RemoveTarget(self.which(&which), target)),
            Control::Off => Some(Order::Off),
            Control::Ignored => None,
        }
    }

    fn compile(&mut self, rule: &Rule, data: &[Source<'_>]) -> Result<Compiled, Standing> {
        if rule.removed {
            return Err(Standing::Removed);
        }
        if rule.phase == 5 {
            return Err(Standing::NotApplicable("phase 5 writes the log, after the message".to_owned()));
        }
        // What cannot apply is told before what cannot be followed: nobody misses it.
        for link in &rule.links {
            applicable(rule.phase, link)?;
        }
        let mut links = Vec::new();
        for link in &rule.links {
            links.push(self.compile_link(link, data)?);
        }
        let head = rule.head();
        let category =
            head.tags.iter().find_map(|tag| tag.strip_prefix("attack-")).unwrap_or("other").to_owned();
        let keeps = links.len() > 1
            || links.iter().any(|link| {
                link.capture || link.sets.iter().any(|set| !matches!((&set.name, set.change.filled()), (Name::Known(_), Some(filled)) if filled.is_plain()))
            });
        let handshake =
            links.iter().any(|link| !link.includes.is_empty() && link.includes.iter().all(of_handshake));
        Ok(Compiled {
            id: rule.id,
            category,
            severity: head.severity.unwrap_or(Severity::Other),
            phase: rule.phase,
            logged: head.logged.unwrap_or(true),
            disruption: head.disruption.unwrap_or(Disruption::Pass),
            skip_after: head.skip_after.clone(),
            links,
            keeps,
            handshake,
            tags: head.tags.clone(),
            message: head.message.clone().unwrap_or_default(),
        })
    }

    fn compile_link(&mut self, link: &Link, data: &[Source<'_>]) -> Result<Step, Standing> {
        let unsupported = |why: String| Standing::Unsupported(why);
        if let Some(why) = &link.actions.refused {
            return Err(unsupported(why.clone()));
        }
        let (test, known) = self.compile_test(link, data)?;
        let necessary = if link.negated { Necessary::default() } else { test.necessary(known.as_ref()) };
        let usable = link.targets.iter().filter(|target| !matches!(target.variable, Variable::Foreign(_)));
        let (excludes, includes): (Vec<Target>, Vec<Target>) =
            usable.cloned().partition(|target| target.exclusion);
        // Names that selections mention are known, so that they are found by number.
        for target in &includes {
            if let (Variable::Tx, crate::target::Selector::Name(name)) = (target.variable, &target.selector) {
                self.names.number(&String::from_utf8_lossy(name));
            }
        }
        let mut sets = Vec::new();
        for set in &link.actions.setvars {
            let name = match set.name.constant() {
                Some(name) => Name::Known(self.names.number(name)),
                None => Name::Made(self.fill(&set.name)),
            };
            let change = match &set.change {
                Change::Set(value) => Alter::Set(self.fill(value)),
                Change::Add(value) => Alter::Add(self.fill(value)),
                Change::Subtract(value) => Alter::Subtract(self.fill(value)),
                Change::Unset => Alter::Unset,
            };
            sets.push(Set { name, change });
        }
        Ok(Step {
            includes,
            excludes,
            test,
            necessary,
            negated: link.negated,
            path: self.chains.path(&link.actions.transforms),
            multi: link.actions.multi,
            capture: link.actions.capture,
            sets,
            controls: Vec::new(),
        })
    }

    fn compile_test(
        &mut self,
        link: &Link,
        data: &[Source<'_>],
    ) -> Result<(Test, Option<Necessary>), Standing> {
        let unsupported = |why: String| Err(Standing::Unsupported(why));
        let negated = link.negated;
        Ok(match &link.operator {
            Operator::Pattern(pattern) => {
                if pattern.contains("%{") {
                    return unsupported(
                        "@rx with a variable in it would be compiled for each message".to_owned(),
                    );
                }
                return expression(pattern, negated).map(|(test, known)| (test, Some(known)));
            }
            Operator::Phrases(words) => return phrases(words.clone()),
            Operator::PhrasesFrom(files) => {
                let mut words = Vec::new();
                for name in files {
                    let base = |path: &str| path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
                    let Some(file) = data.iter().find(|file| base(file.name) == base(name)) else {
                        return unsupported(format!("the file {name} was not handed over"));
                    };
                    let lines = file.text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
                    words
                        .extend(lines.filter(|line| !line.is_empty() && line[0] != b'#').map(<[u8]>::to_vec));
                }
                return phrases(words);
            }
            Operator::Sqli => (Test::Sqli, None),
            Operator::Xss => (Test::Xss, None),
            Operator::Text(test, argument) => (Test::Text(*test, self.fill(argument)), None),
            Operator::Number(test, argument) => (Test::Number(*test, self.fill(argument)), None),
            Operator::ByteRange(allowed) => (Test::ByteRange(allowed.clone()), None),
            Operator::UrlEncoding => (Test::UrlEncoding, None),
            Operator::Utf8Encoding => (Test::Utf8Encoding, None),
            Operator::Address(networks) => (Test::Address(networks.clone()), None),
            Operator::Always => (Test::Always, None),
            Operator::Never => (Test::Never, None),
            Operator::Foreign(name, why) => return unsupported(format!("@{name} {why}")),
        })
    }

    /// Gives a template with the names of variables by number.
    fn fill(&mut self, template: &Template) -> Filled {
        if let Some(constant) = template.constant() {
            return Filled::Constant(constant.as_bytes().to_vec());
        }
        let parts = template.0.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(Part::Text(text.as_bytes().to_vec())),
            Piece::Tx(name) => Some(Part::Tx(self.names.number(name))),
            Piece::MatchedVar => Some(Part::MatchedVar),
            Piece::MatchedVarName => Some(Part::MatchedVarName),
            Piece::RuleId => Some(Part::RuleId),
            Piece::Foreign(_) => None,
        });
        Filled::Pieces(parts.collect())
    }
}

impl Alter {
    pub(crate) fn filled(&self) -> Option<&Filled> {
        match self {
            Self::Set(filled) | Self::Add(filled) | Self::Subtract(filled) => Some(filled),
            Self::Unset => None,
        }
    }
}

impl Filled {
    /// Tells whether it needs nothing of what was matched.
    fn is_plain(&self) -> bool {
        match self {
            Self::Constant(_) => true,
            Self::Pieces(parts) => parts.iter().all(|part| match part {
                Part::Text(_) | Part::RuleId => true,
                Part::Tx(number) => *number as usize >= crate::tx::CAPTURES,
                Part::MatchedVar | Part::MatchedVarName => false,
            }),
        }
    }
}

/// Compiles an expression, and finds what it needs.
fn expression(pattern: &str, negated: bool) -> Result<(Test, Necessary), Standing> {
    let unsupported = |why: String| Standing::Unsupported(format!("@rx: {why}"));
    // What matches no less finds no less; turned round it would.
    let translated = if negated {
        pattern::translate(pattern)
    } else {
        pattern::translate_wider(pattern).map(|translated| translated.text)
    };
    let translated = translated.map_err(|why| unsupported(why.to_string()))?;
    // As libmodsecurity 3 compiles it: `^` and `$` at each line, `.` is any byte.
    let regex = RegexBuilder::new(&translated)
        .unicode(false)
        .multi_line(true)
        .dot_matches_new_line(true)
        .size_limit(EXPRESSION)
        .dfa_size_limit(SEARCH)
        .build()
        .map_err(|error| unsupported(pattern::short(&error)))?;
    let mut parser = regex_syntax::ParserBuilder::new();
    parser.unicode(false).utf8(false).multi_line(true).dot_matches_new_line(true);
    let necessary = parser.build().parse(&translated).map(|hir| Necessary::of(&hir)).unwrap_or_default();
    Ok((Test::Pattern(regex), necessary))
}

fn phrases(words: Vec<Vec<u8>>) -> Result<(Test, Option<Necessary>), Standing> {
    let built = AhoCorasickBuilder::new().ascii_case_insensitive(true).build(&words);
    let words_needed = Necessary::words(&words);
    let test = built.map_err(|error| Standing::Unsupported(format!("@pm: {error}")))?;
    Ok((Test::Phrases(test), Some(words_needed)))
}

/// Tells why a link can never hold for a message.
fn applicable(phase: u8, link: &Link) -> Result<(), Standing> {
    let includes = || link.targets.iter().filter(|target| !target.exclusion);
    if includes().next().is_none() {
        return Ok(());
    }
    let usable = || includes().filter(|target| !matches!(target.variable, Variable::Foreign(_)));
    if usable().next().is_none() {
        let foreign: BTreeSet<String> = includes().filter_map(why_not).collect();
        return Err(Standing::NotApplicable(foreign.into_iter().collect::<Vec<_>>().join("; ")));
    }
    if phase == 1 && usable().all(of_body) {
        return Err(Standing::NotApplicable("phase 1 comes before the message".to_owned()));
    }
    Ok(())
}

fn why_not(target: &Target) -> Option<String> {
    match target.variable {
        Variable::Foreign(foreign) => {
            let name = target.text.trim_start_matches(['&', '!']).split(':').next().unwrap_or_default();
            Some(format!("{name} {}", foreign.why()))
        }
        Variable::Args
        | Variable::ArgsNames
        | Variable::ArgsGet
        | Variable::ArgsGetNames
        | Variable::ArgsPost
        | Variable::ArgsPostNames
        | Variable::ArgsCombinedSize
        | Variable::RequestBody
        | Variable::RequestBodyLength
        | Variable::ResponseBody
        | Variable::MatchedVar
        | Variable::MatchedVarName
        | Variable::MatchedVars
        | Variable::MatchedVarsNames
        | Variable::Tx
        | Variable::RequestHeaders
        | Variable::RequestHeadersNames
        | Variable::RequestCookies
        | Variable::RequestCookiesNames
        | Variable::RequestUri
        | Variable::RequestUriRaw
        | Variable::RequestFilename
        | Variable::RequestBasename
        | Variable::QueryString
        | Variable::RemoteAddr => None,
    }
}

/// Tells whether a target is filled by a message's body alone.
fn of_body(target: &Target) -> bool {
    matches!(
        target.variable,
        Variable::ArgsPost
            | Variable::ArgsPostNames
            | Variable::RequestBody
            | Variable::RequestBodyLength
            | Variable::ResponseBody
    )
}

/// Tells whether a target is filled by a handshake alone.
pub(crate) fn of_handshake(target: &Target) -> bool {
    matches!(
        target.variable,
        Variable::ArgsGet
            | Variable::ArgsGetNames
            | Variable::RequestHeaders
            | Variable::RequestHeadersNames
            | Variable::RequestCookies
            | Variable::RequestCookiesNames
            | Variable::RequestUri
            | Variable::RequestUriRaw
            | Variable::RequestFilename
            | Variable::RequestBasename
            | Variable::QueryString
            | Variable::RemoteAddr
    )
}

/// Tells whether a link's expression matches more than it was written for.
fn is_wider(link: &Link) -> bool {
    match &link.operator {
        Operator::Pattern(pattern) => {
            pattern::translate_wider(pattern).is_ok_and(|translated| translated.relaxed)
        }
        Operator::Phrases(_)
        | Operator::PhrasesFrom(_)
        | Operator::Sqli
        | Operator::Xss
        | Operator::Text(..)
        | Operator::Number(..)
        | Operator::ByteRange(_)
        | Operator::UrlEncoding
        | Operator::Utf8Encoding
        | Operator::Address(_)
        | Operator::Always
        | Operator::Never
        | Operator::Foreign(..) => false,
    }
}

/// The variables that a rule names and no message fills.
fn left_out(rule: &Rule) -> Vec<String> {
    let mut found: HashMap<String, ()> = HashMap::new();
    let mut out = Vec::new();
    for why in rule.links.iter().flat_map(|link| &link.targets).filter_map(why_not) {
        if found.insert(why.clone(), ()).is_none() {
            out.push(why);
        }
    }
    out
}

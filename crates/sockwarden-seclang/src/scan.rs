//! One pass over a value for all rules: transformations once, then which bytes and texts it holds, then the few expressions that are left.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use sockwarden_model::Direction;

use crate::bytes::ByteSet;
use crate::rules::{Compiled, Entry, RuleSet};
use crate::subject::{Class, Subject, classes, covers};
use crate::target::{Selector, Target};
use crate::test::Filled;

/// How many hits of a message are kept. More add nothing to a verdict: each of them adds to a score that is beyond any threshold.
const HITS: usize = 65_536;

/// How many bytes of matched values are kept.
const KEPT: usize = 4 << 20;

/// How much of a value is kept to be shown.
const SHOWN: usize = 96;

/// The first link of a rule, asked of each value of some kinds.
#[derive(Debug)]
pub(crate) struct Probe {
    /// The step of the plan that it belongs to.
    pub(crate) step: u32,
    /// The rule's place among the entries.
    pub(crate) entry: usize,
    /// The kinds of values that it is asked of.
    classes: u16,
    /// Not of all values of these kinds.
    selective: bool,
    excludes: Vec<Target>,
}

/// All probes of a plan with the tables that find the few to be asked.
#[derive(Debug)]
pub(crate) struct Scanner {
    pub(crate) probes: Vec<Probe>,
    direction: Direction,
    /// Words of a set of probes.
    words: usize,
    /// For each kind, the probes that are asked of it.
    of_class: Vec<Vec<u64>>,
    /// Nodes of transformations that a probe needs: node, the one before, the probes that look at it.
    nodes: Vec<(u16, u16, Vec<u64>)>,
    /// Probes that need no byte.
    any_byte: Vec<u64>,
    /// For each byte, the probes whose need it meets.
    by_byte: Vec<u64>,
    /// Probes that need a text.
    need_text: Vec<u64>,
    texts: Option<AhoCorasick>,
    /// For each text, the probes whose need it meets.
    by_text: Vec<u64>,
    /// Without the prefilter: every probe is asked of every value. For comparison.
    exhaustive: bool,
}

/// A value that a probe's question holds for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit {
    pub(crate) step: u32,
    pub(crate) class: Class,
    pub(crate) number: u32,
    /// Where the value is kept.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// What is used again from value to value and from message to message.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// Values after transformations.
    arena: Vec<u8>,
    /// For each distinct value: where it is kept (nothing for the value itself), which bytes it holds.
    slots: Vec<(Option<(usize, usize)>, ByteSet)>,
    /// For each distinct value the probes that look at it.
    watching: Vec<u64>,
    /// For each node its value.
    slot_of: Vec<u16>,
    candidates: Vec<u64>,
    met: Vec<u64>,
    pub(crate) hits: Vec<Hit>,
    pub(crate) kept: Vec<u8>,
    pub(crate) lost: usize,
}

impl Buffers {
    pub(crate) fn clear(&mut self) {
        self.hits.clear();
        self.kept.clear();
        self.lost = 0;
    }
}

fn put(words: &mut [u64], bit: usize) {
    words[bit / 64] |= 1 << (bit % 64);
}

/// The kinds of values that a rule's first link is asked of; `None` where it must be evaluated in its turn.
pub(crate) fn probed(rule: &Compiled, direction: Direction) -> Option<u16> {
    let first = &rule.links[0];
    if first.includes.is_empty() || matches!(first.test.argument(), Some(Filled::Pieces(_))) {
        return None;
    }
    first.includes.iter().try_fold(0, |bits, target| {
        if target.count { None } else { classes(target.variable, direction).map(|more| bits | more) }
    })
}

impl Scanner {
    /// Builds the tables for the rules of a plan: step, place among the entries, and what else is not looked at.
    pub(crate) fn new(
        set: &RuleSet,
        direction: Direction,
        rules: &[(u32, usize, Vec<Target>)],
        handshake: bool,
        exhaustive: bool,
    ) -> Self {
        let words = rules.len().div_ceil(64).max(1);
        let mut scanner = Self {
            probes: Vec::new(),
            direction,
            words,
            of_class: vec![vec![0; words]; Class::ALL.len()],
            nodes: Vec::new(),
            any_byte: vec![0; words],
            by_byte: vec![0; words * 256],
            need_text: vec![0; words],
            texts: None,
            by_text: Vec::new(),
            exhaustive,
        };
        let mut texts: Vec<(Vec<u8>, usize)> = Vec::new();
        let mut watched = vec![vec![0u64; words]; set.chains.nodes.len()];
        for (bit, (step, entry, extra)) in rules.iter().enumerate() {
            let Some(Entry::Rule(rule)) = set.entries.get(*entry) else { continue };
            let first = &rule.links[0];
            let classes = probed(rule, direction).unwrap_or(0);
            let mut excludes = first.excludes.clone();
            excludes.extend(extra.iter().cloned());
            let all = |target: &Target| matches!(target.selector, Selector::All);
            let selective = !excludes.is_empty() || !first.includes.iter().all(all);
            for class in Class::ALL {
                let asked = classes & class.bit() != 0
                    && (handshake || class.of_message())
                    && (rule.phase != 1 || !class.of_message());
                if asked {
                    put(&mut scanner.of_class[class as usize], bit);
                }
            }
            let nodes = if first.multi { first.path.as_slice() } else { &first.path[first.path.len() - 1..] };
            for node in nodes {
                put(&mut watched[usize::from(*node)], bit);
            }
            let need = &first.necessary;
            match &need.bytes {
                Some(bytes) => {
                    for byte in bytes.iter() {
                        put(&mut scanner.by_byte[usize::from(byte) * words..][..words], bit);
                    }
                }
                None => put(&mut scanner.any_byte, bit),
            }
            if let Some(list) = &need.texts {
                put(&mut scanner.need_text, bit);
                texts.extend(list.iter().map(|text| (text.clone(), bit)));
            }
            scanner.probes.push(Probe { step: *step, entry: *entry, classes, selective, excludes });
        }
        scanner.take_texts(texts);
        // A node is needed where it is watched, or another one behind it is; parents come before their children.
        let mut needed: Vec<bool> = watched.iter().map(|set| set.iter().any(|word| *word != 0)).collect();
        for node in (1..needed.len()).rev() {
            if needed[node] {
                needed[usize::from(set.chains.nodes[node].0)] = true;
            }
        }
        for (node, watched) in watched.into_iter().enumerate() {
            if needed[node] || node == 0 {
                scanner.nodes.push((
                    u16::try_from(node).unwrap_or(u16::MAX),
                    set.chains.nodes[node].0,
                    watched,
                ));
            }
        }
        scanner
    }

    fn take_texts(&mut self, mut texts: Vec<(Vec<u8>, usize)>) {
        texts.sort();
        texts.dedup();
        let mut patterns: Vec<Vec<u8>> = Vec::new();
        for (text, bit) in texts {
            if patterns.last() != Some(&text) {
                patterns.push(text);
                self.by_text.resize(patterns.len() * self.words, 0);
            }
            let start = (patterns.len() - 1) * self.words;
            put(&mut self.by_text[start..], bit);
        }
        let size: usize = patterns.iter().map(Vec::len).sum();
        let kind = if size < 32_768 { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
        let built = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(kind))
            .build(&patterns);
        match built {
            Ok(built) if !patterns.is_empty() => self.texts = Some(built),
            // Without the automaton nothing is filtered by texts.
            Ok(_) | Err(_) => self.need_text.fill(0),
        }
    }

    /// Tells whether any probe is asked of a kind of values.
    pub(crate) fn asks(&self, class: Class) -> bool {
        self.of_class[class as usize].iter().any(|word| *word != 0)
    }

    /// Asks all questions that concern a value, and keeps where they hold.
    pub(crate) fn scan(&self, set: &RuleSet, subject: &Subject<'_>, buffers: &mut Buffers) {
        let asked = &self.of_class[subject.class as usize];
        self.transform(set, subject.value, buffers);
        for slot in 0..buffers.slots.len() {
            let (range, held) = buffers.slots[slot];
            let mut candidates = std::mem::take(&mut buffers.candidates);
            candidates.clear();
            let watching = &buffers.watching[slot * self.words..][..self.words];
            candidates.extend(watching.iter().zip(asked).map(|(one, other)| one & other));
            let mut met = std::mem::take(&mut buffers.met);
            if candidates.iter().any(|word| *word != 0) {
                let value = range.map_or(subject.value, |(start, end)| &buffers.arena[start..end]);
                if !self.exhaustive {
                    self.filter(value, &held, &mut candidates, &mut met);
                }
                let mut found = std::mem::take(&mut buffers.hits);
                for (at, word) in candidates.iter().enumerate() {
                    let mut left = *word;
                    while left != 0 {
                        let bit = at * 64 + left.trailing_zeros() as usize;
                        left &= left - 1;
                        self.ask(set, bit, subject, value, &mut found, &mut buffers.kept, &mut buffers.lost);
                    }
                }
                buffers.hits = found;
            }
            buffers.candidates = candidates;
            buffers.met = met;
        }
    }

    /// Makes of a value what the chains of transformations make of it, each distinct result once.
    fn transform(&self, set: &RuleSet, value: &[u8], buffers: &mut Buffers) {
        let Buffers { arena, slots, watching, slot_of, .. } = buffers;
        arena.clear();
        slots.clear();
        slots.push((None, ByteSet::held(value)));
        watching.clear();
        watching.resize(self.words, 0);
        if slot_of.len() < set.chains.nodes.len() {
            slot_of.resize(set.chains.nodes.len(), 0);
        }
        for (node, parent, watched) in &self.nodes {
            let mut slot = usize::from(slot_of[usize::from(*parent)]);
            if *node == 0 {
                slot = 0;
            } else {
                let transform = set.chains.nodes[usize::from(*node)].1;
                let (range, held) = slots[slot];
                if !transform.keeps(&held) {
                    let start = arena.len();
                    match range {
                        None => transform.apply(value, arena),
                        Some((from, to)) => {
                            // The arena grows while it is read from: what is read is set apart first.
                            let before = arena[from..to].to_vec();
                            transform.apply(&before, arena);
                        }
                    }
                    let before = range.map_or(value, |(from, to)| &arena[from..to]);
                    if before == &arena[start..] {
                        arena.truncate(start);
                    } else {
                        slots.push((Some((start, arena.len())), ByteSet::held(&arena[start..])));
                        watching.resize(slots.len() * self.words, 0);
                        slot = slots.len() - 1;
                    }
                }
            }
            slot_of[usize::from(*node)] = u16::try_from(slot).unwrap_or(u16::MAX);
            for (all, more) in watching[slot * self.words..][..self.words].iter_mut().zip(watched) {
                *all |= more;
            }
        }
    }

    /// Strikes out the probes whose needs a value does not meet.
    fn filter(&self, value: &[u8], held: &ByteSet, candidates: &mut [u64], met: &mut Vec<u64>) {
        met.clear();
        met.extend_from_slice(&self.any_byte);
        let mut meet = |byte: u8| {
            for (all, more) in met.iter_mut().zip(&self.by_byte[usize::from(byte) * self.words..]) {
                *all |= more;
            }
        };
        if value.len() < 48 {
            value.iter().copied().for_each(&mut meet);
        } else {
            held.iter().for_each(&mut meet);
        }
        let mut texts = 0;
        for ((candidate, met), need) in candidates.iter_mut().zip(met.iter()).zip(&self.need_text) {
            *candidate &= met;
            texts |= *candidate & need;
        }
        let Some(automaton) = self.texts.as_ref().filter(|_| texts != 0) else { return };
        met.fill(0);
        for found in automaton.find_overlapping_iter(value) {
            let start = found.pattern().as_usize() * self.words;
            for (all, more) in met.iter_mut().zip(&self.by_text[start..]) {
                *all |= more;
            }
        }
        for ((candidate, met), need) in candidates.iter_mut().zip(met.iter()).zip(&self.need_text) {
            *candidate &= met | !need;
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the buffers are lent piece by piece, since the value lies in one of them"
    )]
    fn ask(
        &self,
        set: &RuleSet,
        bit: usize,
        subject: &Subject<'_>,
        value: &[u8],
        hits: &mut Vec<Hit>,
        kept: &mut Vec<u8>,
        lost: &mut usize,
    ) {
        let probe = &self.probes[bit];
        let Some(Entry::Rule(rule)) = set.entries.get(probe.entry) else { return };
        let first = &rule.links[0];
        if probe.selective && !self.meant(probe, &first.includes, subject) {
            return;
        }
        let argument = match first.test.argument() {
            Some(Filled::Constant(text)) => text.as_slice(),
            Some(Filled::Pieces(_)) | None => b"",
        };
        if first.test.holds(value, argument) == first.negated {
            return;
        }
        if hits.len() >= HITS {
            *lost += 1;
            return;
        }
        let wanted = if rule.keeps { value } else { &value[..value.len().min(SHOWN)] };
        let start = kept.len();
        if start + wanted.len() <= KEPT {
            kept.extend_from_slice(wanted);
        }
        hits.push(Hit {
            step: probe.step,
            class: subject.class,
            number: subject.number,
            start,
            end: kept.len(),
        });
    }

    fn meant(&self, probe: &Probe, includes: &[Target], subject: &Subject<'_>) -> bool {
        let covers = |target: &Target| covers(target, subject.class, subject.name, self.direction);
        probe.classes & subject.class.bit() != 0
            && includes.iter().any(covers)
            && !probe.excludes.iter().any(covers)
    }
}

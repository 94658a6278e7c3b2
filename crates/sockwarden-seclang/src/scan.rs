//! One pass over a value for all rules: transformations once, then which bytes and texts it holds, then the few expressions that are left.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use sockwarden_model::Direction;

use crate::bytes::ByteSet;
use crate::rules::{Compiled, Entry, RuleSet};
use crate::subject::{Class, Subject, classes, covers};
use crate::target::{Selector, Target};
use crate::test::Filled;
use crate::transform::Transform;

/// How many hits of a message are kept. More add nothing to a verdict: each of them adds to a score that is beyond any threshold.
const HITS: usize = 65_536;

/// How many bytes of matched values are kept.
const KEPT: usize = 4 << 20;

/// Up to how many bytes of texts the automaton is a table of all its states: faster, and some 200 bytes for each byte of them.
const DETERMINISTIC: usize = 128 << 10;

/// How much of a value is kept to be shown.
const SHOWN: usize = 96;

/// How many probes a scanner holds; a plan with more has several of them.
pub(crate) const PROBES: usize = 256;

/// A set of the probes of a scanner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mask([u64; PROBES / 64]);

impl Mask {
    fn put(&mut self, bit: usize) {
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    #[inline]
    fn or(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }

    #[inline]
    fn and(self, other: &Self) -> Self {
        let mut both = self;
        for (word, less) in both.0.iter_mut().zip(other.0) {
            *word &= less;
        }
        both
    }

    #[inline]
    fn not(self) -> Self {
        Self(self.0.map(|word| !word))
    }

    #[inline]
    fn is_empty(self) -> bool {
        self.0 == [0; PROBES / 64]
    }
}

/// A rule to be asked: its step in the plan, its place among the entries, and what else it does not look at.
pub(crate) type Asked = (u32, usize, Vec<Target>);

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
    /// Which of the plan's scanners it is.
    number: usize,
    pub(crate) probes: Vec<Probe>,
    direction: Direction,
    /// For each kind, the probes that are asked of it.
    of_class: [Mask; Class::ALL.len()],
    /// Nodes of transformations that a probe needs.
    nodes: Vec<Node>,
    /// All probes that look at a value, where no transformation changes it.
    watching: Mask,
    /// The transformations that any chain has, as bits.
    transforms: u32,
    /// Probes that need no byte.
    any_byte: Mask,
    /// For each byte, the probes whose need it meets.
    by_byte: Box<[Mask; 256]>,
    /// Probes that need a text.
    need_text: Mask,
    texts: Option<AhoCorasick>,
    /// For each text, the probes whose need it meets.
    by_text: Vec<Mask>,
    /// Without the prefilter: every probe is asked of every value. For comparison.
    exhaustive: bool,
}

/// A step of a chain of transformations.
#[derive(Debug)]
struct Node {
    number: u16,
    /// The node before it.
    parent: u16,
    transform: Transform,
    /// The probes that look at what it gives.
    watched: Mask,
}

/// A distinct value: where it is kept (nothing for the value itself), which bytes it holds, which transformations may change it.
#[derive(Clone, Copy, Debug)]
struct Slot {
    range: Option<(usize, usize)>,
    held: ByteSet,
    touched: u32,
    watching: Mask,
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

/// How many names are remembered that nothing was found in, and how long they may be.
const QUIET: usize = 256;
const QUIET_LENGTH: usize = 46;

/// A name that nothing was found in, by which scanner and of which kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quiet {
    scanner: usize,
    class: Class,
    length: u8,
    name: [u8; QUIET_LENGTH],
}

impl Quiet {
    /// Gives what is to be remembered of a name, and where; nothing of what is no name or too long.
    fn of(scanner: usize, subject: &Subject<'_>) -> Option<(usize, Self)> {
        if !subject.class.is_name() || subject.value.len() > QUIET_LENGTH {
            return None;
        }
        let mut name = [0; QUIET_LENGTH];
        name[..subject.value.len()].copy_from_slice(subject.value);
        // FNV-1a. Who makes names collide makes them be looked at again, no more.
        let hash = subject.value.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let at = usize::try_from(hash >> 32).unwrap_or_default() % QUIET;
        let length = u8::try_from(subject.value.len()).unwrap_or_default();
        Some((at, Self { scanner, class: subject.class, length, name }))
    }
}

/// What is used again from value to value and from message to message.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// Values after transformations.
    arena: Vec<u8>,
    slots: Vec<Slot>,
    /// For each node its value.
    slot_of: Vec<u16>,
    /// A value that is read while the arena grows.
    aside: Vec<u8>,
    /// Names that no question held for, each where its hash says: applications send the same names again and again.
    quiet: Vec<Quiet>,
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
        (number, rules): (usize, &[Asked]),
        handshake: bool,
        exhaustive: bool,
    ) -> Self {
        let mut scanner = Self {
            number,
            probes: Vec::new(),
            direction,
            of_class: [Mask::default(); Class::ALL.len()],
            nodes: Vec::new(),
            watching: Mask::default(),
            transforms: 0,
            any_byte: Mask::default(),
            by_byte: Box::new([Mask::default(); 256]),
            need_text: Mask::default(),
            texts: None,
            by_text: Vec::new(),
            exhaustive,
        };
        let mut texts: Vec<(Vec<u8>, usize)> = Vec::new();
        let mut watched = vec![Mask::default(); set.chains.nodes.len()];
        for (bit, (step, entry, extra)) in rules.iter().take(PROBES).enumerate() {
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
                    scanner.of_class[class as usize].put(bit);
                }
            }
            let nodes = if first.multi { first.path.as_slice() } else { &first.path[first.path.len() - 1..] };
            for node in nodes {
                watched[usize::from(*node)].put(bit);
                scanner.watching.put(bit);
            }
            let need = &first.necessary;
            match &need.bytes {
                Some(bytes) => {
                    for byte in bytes.iter() {
                        scanner.by_byte[usize::from(byte)].put(bit);
                    }
                }
                None => scanner.any_byte.put(bit),
            }
            if let Some(list) = &need.texts {
                scanner.need_text.put(bit);
                texts.extend(list.iter().map(|text| (text.clone(), bit)));
            }
            scanner.probes.push(Probe { step: *step, entry: *entry, classes, selective, excludes });
        }
        scanner.take_texts(texts);
        // A node is needed where it is watched, or another one behind it is; parents come before their children.
        let mut needed: Vec<bool> = watched.iter().map(|set| !set.is_empty()).collect();
        for node in (1..needed.len()).rev() {
            if needed[node] {
                needed[usize::from(set.chains.nodes[node].0)] = true;
            }
        }
        for (node, watched) in watched.into_iter().enumerate() {
            let (parent, transform) = set.chains.nodes[node];
            if needed[node] || node == 0 {
                let number = u16::try_from(node).unwrap_or(u16::MAX);
                scanner.transforms |= if node == 0 { 0 } else { transform.bit() };
                scanner.nodes.push(Node { number, parent, transform, watched });
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
                self.by_text.push(Mask::default());
            }
            if let Some(mask) = self.by_text.last_mut() {
                mask.put(bit);
            }
        }
        let size: usize = patterns.iter().map(Vec::len).sum();
        let kind = if size < DETERMINISTIC { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
        let built = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(kind))
            .build(&patterns);
        match built {
            Ok(built) if !patterns.is_empty() => self.texts = Some(built),
            // Without the automaton nothing is filtered by texts.
            Ok(_) | Err(_) => self.need_text = Mask::default(),
        }
    }

    /// Tells whether any probe is asked of a kind of values.
    pub(crate) fn asks(&self, class: Class) -> bool {
        !self.of_class[class as usize].is_empty()
    }

    /// Asks all questions that concern a value, and keeps where they hold.
    pub(crate) fn scan(&self, set: &RuleSet, subject: &Subject<'_>, buffers: &mut Buffers) {
        let quiet = Quiet::of(self.number, subject);
        if let Some((at, quiet)) = &quiet
            && buffers.quiet.get(*at) == Some(quiet)
        {
            return;
        }
        let before = buffers.hits.len() + buffers.lost;
        self.look(set, subject, buffers);
        if let Some((at, quiet)) = quiet
            && before == buffers.hits.len() + buffers.lost
        {
            let nothing = Quiet { scanner: usize::MAX, ..quiet };
            if buffers.quiet.is_empty() {
                buffers.quiet.resize(QUIET, nothing);
            }
            buffers.quiet[at] = quiet;
        }
    }

    fn look(&self, set: &RuleSet, subject: &Subject<'_>, buffers: &mut Buffers) {
        let asked = self.of_class[subject.class as usize];
        self.transform(set, subject.value, buffers);
        let Buffers { arena, slots, hits, kept, lost, .. } = buffers;
        for slot in slots.iter() {
            let mut candidates = slot.watching.and(&asked);
            if candidates.is_empty() {
                continue;
            }
            let value = slot.range.map_or(subject.value, |(start, end)| &arena[start..end]);
            if !self.exhaustive {
                candidates = self.filter(value, &slot.held, candidates);
            }
            for (at, word) in candidates.0.iter().enumerate() {
                let mut left = *word;
                while left != 0 {
                    let bit = at * 64 + left.trailing_zeros() as usize;
                    left &= left - 1;
                    self.ask(set, bit, subject, value, hits, kept, lost);
                }
            }
        }
    }

    /// Tells which of the transformations that are used may change a value.
    fn touched(&self, held: &ByteSet) -> u32 {
        let mut touched = self.transforms;
        for transform in Transform::ALL {
            if touched & transform.bit() != 0 && transform.keeps(held) {
                touched &= !transform.bit();
            }
        }
        touched
    }

    /// Makes of a value what the chains of transformations make of it, each distinct result once.
    fn transform(&self, set: &RuleSet, value: &[u8], buffers: &mut Buffers) {
        let Buffers { arena, slots, slot_of, aside, .. } = buffers;
        arena.clear();
        slots.clear();
        let held = ByteSet::held(value);
        let touched = self.touched(&held);
        if touched == 0 {
            slots.push(Slot { range: None, held, touched, watching: self.watching });
            return;
        }
        slots.push(Slot { range: None, held, touched, watching: Mask::default() });
        if slot_of.len() < set.chains.nodes.len() {
            slot_of.resize(set.chains.nodes.len(), 0);
        }
        for node in &self.nodes {
            let mut at = if node.number == 0 { 0 } else { usize::from(slot_of[usize::from(node.parent)]) };
            let before = slots[at];
            if node.number != 0 && before.touched & node.transform.bit() != 0 {
                let start = arena.len();
                let same = match before.range {
                    None => {
                        node.transform.apply(value, arena);
                        value == &arena[start..]
                    }
                    Some((from, to)) => {
                        aside.clear();
                        aside.extend_from_slice(&arena[from..to]);
                        node.transform.apply(aside, arena);
                        aside.as_slice() == &arena[start..]
                    }
                };
                if same {
                    arena.truncate(start);
                } else {
                    let held = ByteSet::held(&arena[start..]);
                    let touched = self.touched(&held);
                    at = slots.len();
                    slots.push(Slot {
                        range: Some((start, arena.len())),
                        held,
                        touched,
                        watching: Mask::default(),
                    });
                }
            }
            slot_of[usize::from(node.number)] = u16::try_from(at).unwrap_or(u16::MAX);
            slots[at].watching.or(&node.watched);
        }
    }

    /// Strikes out the probes whose needs a value does not meet.
    fn filter(&self, value: &[u8], held: &ByteSet, candidates: Mask) -> Mask {
        let mut met = self.any_byte;
        if value.len() < 48 {
            value.iter().for_each(|byte| met.or(&self.by_byte[usize::from(*byte)]));
        } else {
            held.iter().for_each(|byte| met.or(&self.by_byte[usize::from(byte)]));
        }
        let left = candidates.and(&met);
        let textual = left.and(&self.need_text);
        let Some(automaton) = self.texts.as_ref().filter(|_| !textual.is_empty()) else { return left };
        let mut met = self.need_text.not();
        for found in automaton.find_overlapping_iter(value) {
            met.or(&self.by_text[found.pattern().as_usize()]);
        }
        left.and(&met)
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

//! Which detectors a value starts: those whose marks it has and whose literals are in it.

use aho_corasick::{
    Anchored, MatchKind, StartKind,
    automaton::{Automaton, StateID},
    dfa::DFA,
};
use sockwarden_inspect::Marks;

use crate::detectors::Detector;

/// What starts a detector.
#[derive(Debug)]
pub(crate) struct Start {
    /// Of each of these sets, which are one or two, the value has a mark.
    pub(crate) marks: &'static [Marks],
    /// One of these is in it, in capitals or not; none where the marks say enough.
    pub(crate) literals: &'static [&'static str],
}

/// A set of detectors, a bit each.
pub(crate) type Set = u32;

/// A set of starts, a bit each.
type Waiting = u64;

/// The starts of the detectors that are on.
#[derive(Debug)]
pub(crate) struct Starts {
    /// Of each mark the starts whose first set of marks has it, and those whose second one has it or that have only one.
    by_mark: [(Waiting, Waiting); 32],
    /// Those that need no literal.
    bare: Waiting,
    /// Of each start the detector.
    detectors: Vec<Set>,
    search: Option<DFA>,
    /// Of each literal the starts that it is one of.
    literals: Vec<Waiting>,
    /// The length of the longest literal.
    longest: usize,
}

impl Starts {
    /// Takes the starts of all detectors whose bit is in `on`.
    pub(crate) fn new(detectors: &'static [&'static Detector], on: Set) -> Self {
        let mut by_mark = [(0, 0); 32];
        let mut bare = 0;
        let mut started = Vec::new();
        let (mut words, mut literals): (Vec<&str>, Vec<Waiting>) = (Vec::new(), Vec::new());
        let enabled = detectors.iter().enumerate().filter(|(number, _)| on & (1 << number) != 0);
        for (number, start) in
            enabled.flat_map(|(number, detector)| detector.starts.iter().map(move |start| (number, start)))
        {
            let bit: Waiting = 1 << started.len();
            started.push(1 << number);
            let group = |at: usize| start.marks.get(at).map_or(u32::MAX, |marks| marks.bits());
            for (mark, (first, second)) in by_mark.iter_mut().enumerate() {
                *first |= if group(0) & (1 << mark) != 0 { bit } else { 0 };
                *second |= if group(1) & (1 << mark) != 0 { bit } else { 0 };
            }
            if start.literals.is_empty() {
                bare |= bit;
            }
            for literal in start.literals {
                match words.iter().position(|word| word == literal) {
                    Some(at) => literals[at] |= bit,
                    None => {
                        words.push(literal);
                        literals.push(bit);
                    }
                }
            }
        }
        // A thousand short words are far below what an automaton can number.
        let search = DFA::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .start_kind(StartKind::Unanchored)
            .prefilter(false)
            .build(&words)
            .ok()
            .filter(|_| !words.is_empty());
        let longest = words.iter().map(|word| word.len()).max().unwrap_or(1);
        Self { by_mark, bare, detectors: started, search, literals, longest }
    }

    /// Gives the detectors that a text starts.
    pub(crate) fn of(&self, bytes: &[u8], marks: Marks) -> Set {
        let (mut first, mut second, mut left) = (0, 0, marks.bits());
        while left != 0 {
            let (one, other) = self.by_mark.get(left.trailing_zeros() as usize).copied().unwrap_or_default();
            (first, second) = (first | one, second | other);
            left &= left - 1;
        }
        let possible = first & second;
        let wanted = possible & !self.bare;
        let mut waiting = possible & self.bare | if wanted == 0 { 0 } else { self.found(bytes, wanted) };
        let mut started = 0;
        while waiting != 0 {
            started |= self.detectors.get(waiting.trailing_zeros() as usize).copied().unwrap_or_default();
            waiting &= waiting - 1;
        }
        started
    }

    /// Searches once, and ends when all that is wanted was found.
    fn found(&self, bytes: &[u8], wanted: Waiting) -> Waiting {
        let Some(search) = &self.search else { return 0 };
        let Ok(start) = search.start_state(Anchored::No) else { return 0 };
        let mut found = 0;
        if bytes.len() < LANES * MANY {
            let mut state = start;
            for byte in bytes {
                state = search.next_state(Anchored::No, state, *byte);
                if search.is_special(state) {
                    found |= self.ends_at(search, state) & wanted;
                    if found == wanted {
                        break;
                    }
                }
            }
            return found;
        }
        // Each step waits for the one before it: several parts, which overlap, are searched at once.
        let part = bytes.len() / LANES;
        let lane = |number: usize| {
            let end = if number + 1 == LANES { bytes.len() } else { (number + 1) * part + self.longest };
            bytes.get(number * part..end.min(bytes.len())).unwrap_or_default()
        };
        let lanes: [&[u8]; LANES] = std::array::from_fn(lane);
        let shortest = lanes.iter().map(|lane| lane.len()).min().unwrap_or(0);
        let mut states = [start; LANES];
        let (heads, tails): ([&[u8]; LANES], [&[u8]; LANES]) = (
            lanes.map(|lane| lane.get(..shortest).unwrap_or_default()),
            lanes.map(|lane| lane.get(shortest..).unwrap_or_default()),
        );
        for at in 0..shortest {
            for (state, head) in states.iter_mut().zip(heads) {
                *state = search.next_state(Anchored::No, *state, head.get(at).copied().unwrap_or_default());
                if search.is_special(*state) {
                    found |= self.ends_at(search, *state) & wanted;
                }
            }
            if at % MANY == 0 && found == wanted {
                return found;
            }
        }
        for (mut state, tail) in states.into_iter().zip(tails) {
            for byte in tail {
                state = search.next_state(Anchored::No, state, *byte);
                if search.is_special(state) {
                    found |= self.ends_at(search, state) & wanted;
                }
            }
        }
        found
    }

    /// The starts whose literals end in a state.
    fn ends_at(&self, search: &DFA, state: StateID) -> Waiting {
        if !search.is_match(state) {
            return 0;
        }
        (0..search.match_len(state))
            .filter_map(|number| self.literals.get(search.match_pattern(state, number).as_usize()))
            .fold(0, |all, bits| all | bits)
    }
}

/// In how many parts a long text is searched at once.
const LANES: usize = 4;

/// How long each of them is at least.
const MANY: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors;

    #[test]
    fn a_literal_is_found_wherever_it_stands_in_a_long_text() {
        let starts = Starts::new(detectors::ALL, Set::MAX);
        for at in 0..700 {
            let mut text = "a b 1 ' ".repeat(100).into_bytes();
            let literal = b"information_schema";
            text[at..at + literal.len()].copy_from_slice(literal);
            let short = starts.of(literal, Marks::of(&text));
            assert_ne!(short, 0);
            assert_eq!(starts.of(&text, Marks::of(&text)) & short, short, "{at}");
        }
    }
}

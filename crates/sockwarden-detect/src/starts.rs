//! Which detectors a value starts: those whose marks it has and whose literals are in it.

use aho_corasick::{
    Anchored, MatchKind,
    automaton::{Automaton, StateID},
    dfa::DFA,
};
use sockwarden_inspect::Marks;

use crate::detectors::Detector;

/// What starts a detector.
#[derive(Debug)]
pub(crate) struct Start {
    /// Of each of these sets the value has a mark.
    pub(crate) marks: &'static [Marks],
    /// One of these is in it, in capitals or not; none where the marks say enough.
    pub(crate) literals: &'static [&'static str],
}

/// A set of detectors, a bit each.
pub(crate) type Set = u32;

/// The starts of the detectors that are on.
#[derive(Debug)]
pub(crate) struct Starts {
    /// Each start, and the detector that it starts.
    list: Vec<(&'static [Marks], Set, Literals)>,
    search: Option<DFA>,
    /// Of each literal the starts that it is one of.
    literals: Vec<u64>,
}

/// How the literals of a start are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Literals {
    None,
    /// Its bit in the search.
    Some(u64),
}

impl Starts {
    /// Takes the starts of all detectors whose bit is in `on`.
    pub(crate) fn new(detectors: &'static [&'static Detector], on: Set) -> Self {
        let mut list = Vec::new();
        let (mut words, mut literals): (Vec<&str>, Vec<u64>) = (Vec::new(), Vec::new());
        let mut bit = 1_u64;
        for (number, detector) in detectors.iter().enumerate() {
            if on & (1 << number) == 0 {
                continue;
            }
            for start in detector.starts {
                if start.literals.is_empty() {
                    list.push((start.marks, 1 << number, Literals::None));
                    continue;
                }
                list.push((start.marks, 1 << number, Literals::Some(bit)));
                for literal in start.literals {
                    match words.iter().position(|word| word == literal) {
                        Some(at) => literals[at] |= bit,
                        None => {
                            words.push(literal);
                            literals.push(bit);
                        }
                    }
                }
                bit <<= 1;
            }
        }
        // A hundred short words are far below what an automaton can number.
        let search = DFA::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .start_kind(aho_corasick::StartKind::Unanchored)
            .build(&words)
            .ok()
            .filter(|_| !words.is_empty());
        Self { list, search, literals }
    }

    /// Gives the detectors that a text starts.
    pub(crate) fn of(&self, bytes: &[u8], marks: Marks) -> Set {
        let (mut started, mut wanted) = (0, 0);
        for (groups, detector, literals) in &self.list {
            if groups.iter().all(|group| marks.any(*group)) {
                match literals {
                    Literals::None => started |= detector,
                    Literals::Some(bit) => wanted |= bit,
                }
            }
        }
        if wanted == 0 {
            return started;
        }
        let found = self.found(bytes, wanted);
        if found != 0 {
            for (_, detector, literals) in &self.list {
                if let Literals::Some(bit) = literals
                    && found & bit != 0
                {
                    started |= detector;
                }
            }
        }
        started
    }

    /// Searches once, and ends when all that is wanted was found.
    fn found(&self, bytes: &[u8], wanted: u64) -> u64 {
        let Some(search) = &self.search else { return 0 };
        let Ok(mut state) = search.start_state(Anchored::No) else { return 0 };
        let mut found = 0;
        for byte in bytes {
            state = search.next_state(Anchored::No, state, *byte);
            if search.is_special(state) && search.is_match(state) {
                found |= self.ends_at(search, state) & wanted;
                if found == wanted {
                    break;
                }
            }
        }
        found
    }

    /// The starts whose literals end in a state.
    fn ends_at(&self, search: &DFA, state: StateID) -> u64 {
        (0..search.match_len(state))
            .filter_map(|number| self.literals.get(search.match_pattern(state, number).as_usize()))
            .fold(0, |all, bits| all | bits)
    }
}

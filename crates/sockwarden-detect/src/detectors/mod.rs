//! The detectors: one file each, with its rules, what starts it, its logic and the table of what it finds and leaves alone.

mod code;
mod command;
mod deserialisation;
mod disclosure;
mod graphql;
pub(crate) mod keys;
mod ldap;
mod lines;
mod lookup;
mod nosql;
mod path;
mod prototype;
mod sql;
mod ssrf;
mod template;
mod unicode;
mod xml;
mod xss;

use std::cell::OnceCell;

use sockwarden_inspect::{Marks, Value};
use sockwarden_model::Direction;

use crate::{
    Category,
    findings::Findings,
    setting::{self, Field},
    starts::Start,
};

/// All of them. A number in a set of detectors is one in this list.
pub(crate) static ALL: &[&Detector] = &[
    &sql::DETECTOR,
    &nosql::DETECTOR,
    &command::DETECTOR,
    &path::DETECTOR,
    &xss::DETECTOR,
    &template::DETECTOR,
    &code::DETECTOR,
    &ldap::DETECTOR,
    &xml::DETECTOR,
    &ssrf::DETECTOR,
    &prototype::DETECTOR,
    &deserialisation::DETECTOR,
    &graphql::DETECTOR,
    &lines::DETECTOR,
    &lookup::DETECTOR,
    &unicode::DETECTOR,
    &disclosure::DETECTOR,
];

/// Something that is looked for.
#[derive(Debug)]
pub(crate) struct Rule {
    /// How configurations and people name it.
    pub(crate) id: &'static str,
    pub(crate) category: Category,
    /// What it finds, in one sentence.
    pub(crate) summary: &'static str,
    /// Where the weakness is described.
    pub(crate) references: &'static [&'static str],
    /// From which paranoia on it is looked for.
    pub(crate) paranoia: u8,
}

/// One that looks for its rules.
#[derive(Debug)]
pub(crate) struct Detector {
    pub(crate) rules: &'static [&'static Rule],
    pub(crate) side: Side,
    /// Any of these starts it.
    pub(crate) starts: &'static [Start],
    pub(crate) run: fn(&Text<'_>, &mut Desk),
}

/// Whose messages a detector reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
    Both,
}

impl Side {
    /// Tells whether it reads what this side sends.
    pub(crate) const fn reads(self, direction: Direction) -> bool {
        match direction {
            Direction::Client => matches!(self, Self::Client | Self::Both),
            Direction::Server => matches!(self, Self::Server | Self::Both),
        }
    }
}

/// A text that a detector reads: a value as it stands, or with its escapes resolved.
#[derive(Debug)]
pub(crate) struct Text<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) marks: Marks,
    /// The value that it is of.
    pub(crate) value: &'a Value<'a>,
    /// Whether escapes were resolved.
    pub(crate) decoded: bool,
    field: OnceCell<Field>,
    sentence: OnceCell<bool>,
}

impl<'a> Text<'a> {
    pub(crate) fn new(bytes: &'a [u8], marks: Marks, value: &'a Value<'a>, decoded: bool) -> Self {
        Self { bytes, marks, value, decoded, field: OnceCell::new(), sentence: OnceCell::new() }
    }

    /// Tells what the value is for. Found out when it is asked for.
    pub(crate) fn field(&self) -> Field {
        *self.field.get_or_init(|| Field::of(self.value.place))
    }

    /// Tells whether it is made of sentences. Found out when it is asked for.
    pub(crate) fn sentence(&self) -> bool {
        *self.sentence.get_or_init(|| setting::is_sentence(self.bytes))
    }
}

/// Where detectors write to, and their buffers.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub(crate) findings: Findings,
    pub(crate) sql: sql::Buffers,
    /// Room for a text in another form.
    pub(crate) plain: Vec<u8>,
}

/// Declares rules: `NAME = "id", Category, paranoia, "summary", ["reference", …];`
macro_rules! declare {
    ($($name:ident = $id:literal, $category:ident, $paranoia:literal, $summary:literal, [$($reference:literal),*];)*) => {
        $(static $name: $crate::detectors::Rule = $crate::detectors::Rule {
            id: $id,
            category: $crate::Category::$category,
            summary: $summary,
            references: &[$($reference),*],
            paranoia: $paranoia,
        };)*

        /// The rules of this file.
        pub(super) static RULES: &[&$crate::detectors::Rule] = &[$(&$name),*];
    };
}
use declare;

/// What is told of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleInfo {
    /// How configurations and people name it.
    pub id: &'static str,
    /// What kind of attack it speaks for.
    pub category: Category,
    /// What it finds, in one sentence.
    pub summary: &'static str,
    /// Where the weakness is described.
    pub references: &'static [&'static str],
    /// From which paranoia on it is looked for.
    pub paranoia: u8,
}

/// Lists all rules of the built-in pack.
pub fn rules() -> impl Iterator<Item = RuleInfo> {
    ALL.iter().flat_map(|detector| detector.rules).chain(keys::RULES).map(|rule| RuleInfo {
        id: rule.id,
        category: rule.category,
        summary: rule.summary,
        references: rule.references,
        paranoia: rule.paranoia,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_declared_in_full_and_once() {
        let mut ids: Vec<_> = rules().map(|rule| rule.id).collect();
        assert!(ALL.len() <= 32, "a set of detectors has 32 bits");
        assert!(ALL.iter().flat_map(|detector| detector.starts).count() <= 64, "a set of starts has 64 bits");
        let starts = || ALL.iter().flat_map(|detector| detector.starts);
        assert!(
            starts().all(|start| (1..=2).contains(&start.marks.len())),
            "a start has one or two sets of marks"
        );
        for rule in rules() {
            assert!(rule.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", rule.id);
            assert!(rule.summary.ends_with('.') && !rule.references.is_empty(), "{}", rule.id);
            assert!((1..=4).contains(&rule.paranoia), "{}", rule.id);
        }
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "two rules have one id");
    }
}

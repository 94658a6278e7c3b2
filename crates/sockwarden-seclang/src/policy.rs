//! How a rule set is to be applied.

use std::num::NonZeroU32;

use sockwarden_model::Direction;

use crate::action::{Which, ids};
use crate::error::Fault;
use crate::target::Target;

/// How much a rule set suspects, from 1 to 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Paranoia(u8);

impl Paranoia {
    /// Gives a level; `None` where it is not 1 to 4.
    pub const fn new(level: u8) -> Option<Self> {
        if level >= 1 && level <= 4 { Some(Self(level)) } else { None }
    }

    /// Gives the level as a number.
    pub const fn level(self) -> u8 {
        self.0
    }
}

/// How a rule set is applied to the messages of one direction.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whose messages: a client's are judged by rules about requests (phases 1 and 2), a server's by those about answers (3 and 4).
    pub direction: Direction,
    /// How much is suspected; where it is not said, what the rule set's own setup says.
    pub paranoia: Option<Paranoia>,
    /// From which score on a message is blocked; where it is not said, what the rule set's own setup says.
    pub threshold: Option<NonZeroU32>,
    /// Whether rules about the handshake are looked at; then each message must come with one.
    pub handshake: bool,
    /// What is not looked at.
    pub exclusions: Vec<Exclusion>,
}

impl Policy {
    /// Gives the rule set's own setup for one direction, without exclusions.
    pub const fn new(direction: Direction) -> Self {
        Self { direction, paranoia: None, threshold: None, handshake: false, exclusions: Vec::new() }
    }
}

/// Rules that are not applied, everywhere or to one place.
#[derive(Clone, Debug)]
pub struct Exclusion {
    pub(crate) which: Which,
    pub(crate) target: Option<Target>,
}

impl Exclusion {
    /// Reads `942100`, `942000-942999` or `tag:attack-sqli`, with or without a place behind a semicolon: `942100;ARGS:json.text`.
    ///
    /// # Errors
    ///
    /// Where the rules or the place are not written so.
    pub fn read(text: &str) -> Result<Self, Fault> {
        let (rules, place) = text.split_once(';').map_or((text, None), |(rules, place)| (rules, Some(place)));
        let rules = rules.trim();
        let which = match rules.strip_prefix("tag:") {
            Some(tag) => Which::Tag(tag.to_owned()),
            None => ids("exclusion", rules)?,
        };
        let target = match place {
            None => None,
            Some(place) => {
                let targets = Target::read_all(place.trim()).map_err(|(_, fault)| fault)?;
                Some(targets.into_iter().next().ok_or(Fault::NoVariable)?)
            }
        };
        Ok(Self { which, target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exclusion_names_rules_and_perhaps_a_place() {
        let check = |text: &str, which: Which, target: Option<&str>| {
            let exclusion = Exclusion::read(text).unwrap();
            assert_eq!(exclusion.which, which, "{text}");
            assert_eq!(exclusion.target.map(|target| target.text).as_deref(), target, "{text}");
        };
        check("942100", Which::Ids(942_100, 942_100), None);
        check("1-3; ARGS:json.x", Which::Ids(1, 3), Some("ARGS:json.x"));
        check("tag:attack-sqli;ARGS:/x;y/", Which::Tag("attack-sqli".to_owned()), Some("ARGS:/x;y/"));
        assert!(Exclusion::read("sql").is_err());
        assert!(Exclusion::read("1;FOO").is_err());
    }

    #[test]
    fn a_level_is_one_of_four() {
        assert_eq!(Paranoia::new(0), None);
        assert_eq!(Paranoia::new(4).map(Paranoia::level), Some(4));
        assert_eq!(Paranoia::new(5), None);
    }
}

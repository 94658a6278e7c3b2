//! What is not held against a value, because somebody has looked at it.

use std::{fmt, str::FromStr};

/// A rule, or all of them, and the places where it does not count.
///
/// It is written as the rule's id and, after a blank, a pattern of places: `sql-union /search/*`. In a pattern `*` stands for any one
/// step and `**` for any number of them; `*` instead of the id stands for every rule. Without a pattern the rule counts nowhere. What
/// is encoded inside an excluded value is excluded with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclusion {
    /// The rule's id; none for every rule.
    rule: Option<String>,
    /// The steps of the pattern; none for every place.
    steps: Option<Vec<String>>,
}

/// What is wrong with an exclusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExclusionError {
    /// Nothing is written.
    #[error(
        "read an exclusion: it is empty, and should be a rule's id and, if need be, a place, as in `sql-union /search`"
    )]
    Empty,
    /// The pattern does not begin as a place.
    #[error("read the place of an exclusion: it begins with `/`, as in `/data/*/text`, or is `**`")]
    Place,
    /// Every rule everywhere.
    #[error(
        "read an exclusion: `*` without a place would exclude everything, and `off` is the mode for that"
    )]
    Everything,
}

/// The most steps of a pattern, so that comparing one stays cheap.
const STEPS: usize = 64;

impl FromStr for Exclusion {
    type Err = ExclusionError;

    fn from_str(text: &str) -> Result<Self, ExclusionError> {
        let mut words = text.trim().splitn(2, ' ');
        let rule = words.next().filter(|rule| !rule.is_empty()).ok_or(ExclusionError::Empty)?;
        let rule = Some(rule).filter(|rule| *rule != "*").map(str::to_owned);
        let steps = match words.next().map(str::trim) {
            None => None,
            Some("**") => Some(vec!["**".to_owned()]),
            Some(place) => {
                let steps = place.strip_prefix('/').ok_or(ExclusionError::Place)?;
                let steps: Vec<String> = steps.split('/').map(str::to_owned).collect();
                Some(steps).filter(|steps| steps.len() <= STEPS).ok_or(ExclusionError::Place).map(Some)?
            }
        };
        if rule.is_none() && steps.is_none() {
            return Err(ExclusionError::Everything);
        }
        Ok(Self { rule, steps })
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule.as_deref().unwrap_or("*"))?;
        match &self.steps {
            None => Ok(()),
            Some(steps) if steps == &["**"] => f.write_str(" **"),
            Some(steps) => write!(f, " /{}", steps.join("/")),
        }
    }
}

impl Exclusion {
    /// Excludes a rule at one place, as an observation names it: what a false alarm becomes.
    pub fn of(rule: &str, place: &str) -> Self {
        let steps = root(place).strip_prefix('/').map(|place| place.split('/').map(str::to_owned).collect());
        Self { rule: Some(rule.to_owned()), steps: Some(steps.unwrap_or_default()) }
    }

    /// Tells whether what a rule saw at a place does not count.
    pub(crate) fn covers(&self, rule: &str, place: &str) -> bool {
        self.rule.as_deref().is_none_or(|wanted| wanted == rule)
            && self.steps.as_ref().is_none_or(|steps| matches(steps, root(place)))
    }
}

/// Cuts off what stands in an encoding.
fn root(place: &str) -> &str {
    place.split('|').next().unwrap_or(place)
}

/// Holds a place against a pattern: greedy, with one way back per `**`, so that it takes at most the product of both lengths.
fn matches(pattern: &[String], place: &str) -> bool {
    let steps: Vec<&str> =
        place.strip_prefix('/').map(|place| place.split('/').collect()).unwrap_or_default();
    let (mut at, mut step) = (0, 0);
    let mut back = None;
    while step < steps.len() {
        match pattern.get(at).map(String::as_str) {
            Some("**") => {
                at += 1;
                back = Some((at, step));
            }
            Some(wanted) if wanted == "*" || Some(&wanted) == steps.get(step) => {
                at += 1;
                step += 1;
            }
            Some(_) | None => match &mut back {
                Some((again, from)) => {
                    *from += 1;
                    (at, step) = (*again, *from);
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|step| step == "**"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exclusion_covers_a_rule_at_the_places_of_its_pattern() {
        let check = |exclusion: &str, rule: &str, place: &str, expected: bool| {
            let read: Exclusion = exclusion.parse().unwrap();
            assert_eq!(read.to_string(), exclusion);
            assert_eq!(read.covers(rule, place), expected, "{exclusion}: {rule} {place}");
        };
        check("sql-union", "sql-union", "/a/b", true);
        check("sql-union", "sql-stacked", "/a/b", false);
        check("sql-union /a/b", "sql-union", "/a/b", true);
        check("sql-union /a/b", "sql-union", "/a/b|percent", true);
        check("sql-union /a", "sql-union", "/a/b", false);
        check("* /a/*/c", "x", "/a/0/c", true);
        check("* /a/*/c", "x", "/a/0/1/c", false);
        check("* /a/**/c", "x", "/a/0/1/c", true);
        check("* /a/**", "x", "/a", true);
        check("* /**/text", "x", "/data/3/text|json/x", true);
        check("* **", "x", "", true);
        check("* /a", "x", "", false);
    }

    #[test]
    fn a_false_alarm_becomes_an_exclusion_of_its_place() {
        let exclusion = Exclusion::of("xss-tag", "/data/0/html|xml/b");
        assert_eq!(exclusion.to_string(), "xss-tag /data/0/html");
        assert!(exclusion.covers("xss-tag", "/data/0/html") && !exclusion.covers("xss-tag", "/data/1/html"));
        assert!(Exclusion::of("xss-tag", "").covers("xss-tag", "|percent"));
    }

    #[test]
    fn a_bad_exclusion_is_refused() {
        for (text, error) in
            [("", ExclusionError::Empty), ("*", ExclusionError::Everything), ("a b", ExclusionError::Place)]
        {
            assert_eq!(text.parse::<Exclusion>(), Err(error));
        }
    }
}

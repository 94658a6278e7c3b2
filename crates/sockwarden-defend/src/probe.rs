//! What is asked of one field of a message, and what its values have answered so far.

use serde_json::{Map, Value as Json};
use sockwarden_inspect::{Pattern, Role, Shape, Value};
use sockwarden_model::Identity;

use crate::pointer::{Nearness, Pointer};

/// A question about the values at one place.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) pointer: Pointer,
    pub(crate) test: Test,
}

/// What is asked of a value.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    /// Whether it is like this.
    Like(Pattern),
    /// Whether it is one of these.
    OneOf(Vec<String>),
    /// Whether it is what is known of the caller, or one of it.
    Known(Known),
    /// Whether it is a number of at most this.
    AtMost(f64),
    /// Whether it is a number of at least this.
    AtLeast(f64),
}

/// Something that is known of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    what: What,
    /// Whether it is a list; else it is one thing.
    is_list: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    User,
    Roles,
    /// A claim by its name.
    Claim(String),
    /// A claim by a JSON pointer into all claims.
    Pointer(String),
}

impl Known {
    /// Reads `user`, `claims.NAME` or `claims/POINTER`, and `roles` instead of `user` where it is a list.
    pub(crate) fn named(text: &str, is_list: bool) -> Option<Self> {
        let what = match (text, is_list) {
            ("user", false) => What::User,
            ("roles", true) => What::Roles,
            (_, _) => {
                let rest = text.strip_prefix("claims")?;
                match rest.strip_prefix('.').filter(|name| !name.is_empty()) {
                    Some(name) => What::Claim(name.to_owned()),
                    None if rest.starts_with('/') => What::Pointer(rest.to_owned()),
                    None => return None,
                }
            }
        };
        Some(Self { what, is_list })
    }

    /// Gives the texts that it stands for; none where it is not known, or is a list where one thing should be, or the other way round.
    pub(crate) fn of(&self, identity: &Identity) -> Vec<Box<str>> {
        let claim = match &self.what {
            What::User => return identity.user.as_deref().map(Into::into).into_iter().collect(),
            What::Roles => return identity.roles.iter().map(|role| role.as_str().into()).collect(),
            What::Claim(name) => identity.claims.get(name),
            What::Pointer(pointer) => at(&identity.claims, pointer),
        };
        match claim {
            Some(Json::Array(items)) if self.is_list => items.iter().filter_map(scalar).collect(),
            Some(claim) if !self.is_list => scalar(claim).into_iter().collect(),
            Some(_) | None => Vec::new(),
        }
    }
}

fn at<'a>(claims: &'a Map<String, Json>, pointer: &str) -> Option<&'a Json> {
    let mut steps = pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"));
    let first = claims.get(&steps.next()?)?;
    steps.try_fold(first, |value, step| match value {
        Json::Object(members) => members.get(&step),
        Json::Array(items) => items.get(step.parse::<usize>().ok()?),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
    })
}

fn scalar(value: &Json) -> Option<Box<str>> {
    match value {
        Json::String(text) => Some(text.as_str().into()),
        Json::Number(number) => Some(number.to_string().into()),
        Json::Bool(is) => Some(is.to_string().into()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// What one side's message has answered to a probe so far. Values are judged as they come and not kept.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answers {
    /// How many values were as they should be.
    good: u32,
    /// How many members of this name began.
    keys: u32,
    /// Whether one was not as it should be, or may be found by another reader alone.
    is_bad: bool,
    /// Whether one was as it should be to some reader.
    is_any: bool,
    /// The part of the message in which there was one last.
    part: u32,
    /// In how many elements of an array of messages there was one, and in which one last.
    elements: u32,
    last_element: Option<u32>,
}

impl Answers {
    /// Takes a value; `known` is what the probe's test compares with, `part` says which part of the message it stands in.
    pub(crate) fn hear(&mut self, probe: &Probe, value: &Value<'_>, known: &Asker<'_>, part: u32) {
        let Some(found) = probe.pointer.find(value.place) else { return };
        if value.role == Role::Key {
            // What stands below it is counted where it stands.
            match found.nearness {
                Nearness::Exact => self.keys = self.keys.saturating_add(1),
                Nearness::Similar => self.is_bad = true,
                Nearness::Below => {}
            }
            return;
        }
        self.is_any |= found.nearness != Nearness::Below && probe.test.may_hold(value, known);
        if found.nearness == Nearness::Exact && probe.test.holds(value, known) {
            self.good = self.good.saturating_add(1);
        } else {
            self.is_bad = true;
        }
        self.part = part;
        if found.element.is_some() && found.element != self.last_element {
            self.last_element = found.element;
            self.elements = self.elements.saturating_add(1);
        }
    }

    /// Tells whether every reader finds only values as they should be, one at least in this part, and in each of so many elements.
    pub(crate) fn all(&self, part: u32, elements: Option<u32>) -> bool {
        // A member that is an empty object or array has a name and no value.
        self.good > 0
            && !self.is_bad
            && self.keys <= self.good
            && self.part == part
            && elements.is_none_or(|elements| self.last_element.is_none() || self.elements == elements)
    }

    /// Tells whether some reader finds a value as it should be.
    pub(crate) const fn any(&self) -> bool {
        self.is_any
    }
}

/// Who asks, as far as a probe compares with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) user: Option<&'a str>,
    /// What the probe's own test compares with.
    pub(crate) known: &'a [Box<str>],
}

impl Test {
    /// Tells whether a value is as it should be, for certain.
    fn holds(&self, value: &Value<'_>, asker: &Asker<'_>) -> bool {
        let Some(text) = value.text() else { return false };
        match value.shape {
            Shape::String | Shape::Number | Shape::Boolean => {}
            Shape::Null | Shape::Bytes => return false,
        }
        match self {
            Self::Like(pattern) => pattern.matches(text, asker.user),
            Self::OneOf(texts) => texts.iter().any(|one| one == text),
            Self::Known(_) => asker.known.iter().any(|one| **one == *text),
            Self::AtMost(most) => {
                value.shape == Shape::Number && number(text).is_some_and(|number| number <= *most)
            }
            Self::AtLeast(least) => {
                value.shape == Shape::Number && number(text).is_some_and(|number| number >= *least)
            }
        }
    }

    /// Tells whether some reader may take it for what it should be: one to whom case or the type makes no difference.
    fn may_hold(&self, value: &Value<'_>, asker: &Asker<'_>) -> bool {
        let text = String::from_utf8_lossy(value.bytes);
        let trimmed = text.trim();
        let lower = text.to_lowercase();
        match self {
            Self::Like(pattern) => {
                let user = asker.user.map(str::to_lowercase);
                pattern.matches(&lower, user.as_deref()) || pattern.covers(&lower, user.as_deref())
            }
            Self::OneOf(texts) => texts.iter().any(|one| one.to_lowercase() == lower),
            Self::Known(_) => asker.known.iter().any(|one| one.to_lowercase() == lower),
            Self::AtMost(most) => number(trimmed).is_some_and(|number| number <= *most),
            Self::AtLeast(least) => number(trimmed).is_some_and(|number| number >= *least),
        }
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| !number.is_nan())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_known_of_a_caller_is_named_and_found() {
        let identity: Identity = serde_json::from_value(json!({
            "user": "mara", "roles": ["editor"],
            "claims": {"rooms": ["a", 7, null, {"x": 1}], "org": {"teams": ["red"]}, "a.b": true, "n": null},
        }))
        .unwrap();
        let check = |text: &str, is_list, expected: &[&str]| {
            let known = Known::named(text, is_list).unwrap().of(&identity);
            assert_eq!(known.iter().map(|one| &**one).collect::<Vec<_>>(), expected, "{text}");
        };
        check("user", false, &["mara"]);
        check("roles", true, &["editor"]);
        check("claims.rooms", true, &["a", "7"]);
        check("claims.rooms", false, &[]);
        check("claims.a.b", false, &["true"]);
        check("claims.a.b", true, &[]);
        check("claims.org", false, &[]);
        check("claims.n", false, &[]);
        check("claims.other", true, &[]);
        check("claims/org/teams", true, &["red"]);
        check("claims/org/teams/0", false, &["red"]);
        check("claims/org/teams/x", false, &[]);
        check("claims/rooms/1", false, &["7"]);
        check("claims/", true, &[]);
        for nothing in ["", "User", "claims", "claims.", "claimsx", "role", "identity.user"] {
            assert_eq!(
                [true, false].map(|is_list| Known::named(nothing, is_list)),
                [None, None],
                "{nothing}"
            );
        }
        assert_eq!((Known::named("user", true), Known::named("roles", false)), (None, None));
        let nobody = Identity::default();
        let known = [Known::named("user", false), Known::named("roles", true)];
        assert!(known.into_iter().flatten().all(|known| known.of(&nobody).is_empty()));
    }
}

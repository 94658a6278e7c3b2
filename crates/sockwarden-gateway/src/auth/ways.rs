//! `auth`: the ways in which a route finds out who a caller is.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use sockwarden_defend::Way;

/// How a route authenticates clients before the upgrade: not at all, in one way, or in several that are tried in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth(Vec<Way>);

impl Auth {
    /// Not at all: the application does it, or nobody.
    pub const NONE: Self = Self(Vec::new());

    /// In this one way.
    pub fn by(way: Way) -> Self {
        Self(vec![way])
    }

    /// Gives the ways in the order in which they are tried; none where nobody is authenticated.
    pub fn ways(&self) -> &[Way] {
        &self.0
    }

    /// Tells whether nobody is authenticated.
    pub const fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells whether a way is among them.
    pub fn has(&self, way: Way) -> bool {
        self.0.contains(&way)
    }
}

impl From<Vec<Way>> for Auth {
    fn from(ways: Vec<Way>) -> Self {
        Self(ways)
    }
}

impl Serialize for Auth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [] => serializer.serialize_str("none"),
            [way] => way.serialize(serializer),
            ways => ways.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Auth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Ways)
    }
}

struct Ways;

impl<'de> Visitor<'de> for Ways {
    type Value = Auth;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = Way::ALL.iter().map(|way| format!("\"{}\"", way.label())).collect();
        write!(f, "\"none\", {}, or a list of the latter", names.join(", "))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Auth, E> {
        if name == "none" {
            return Ok(Auth::NONE);
        }
        let way = Way::ALL.into_iter().find(|way| way.label() == name);
        way.map(Auth::by).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(name), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Auth, A::Error> {
        let ways = Vec::<Way>::deserialize(SeqAccessDeserializer::new(list))?;
        match ways.iter().enumerate().find(|(at, way)| ways[..*at].contains(way)) {
            _ if ways.is_empty() => {
                Err(A::Error::custom("an empty list lets nobody in; \"none\" lets everybody in"))
            }
            Some((_, way)) => Err(A::Error::custom(format!("\"{}\" is named twice", way.label()))),
            None => Ok(Auth(ways)),
        }
    }
}

impl JsonSchema for Auth {
    fn schema_name() -> Cow<'static, str> {
        "Auth".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut names = vec!["none"];
        names.extend(Way::ALL.map(Way::label));
        json_schema!({
            "description": "How a route authenticates clients before the upgrade: `none`, one way, or a list of ways that are tried in their order.",
            "oneOf": [
                { "type": "string", "enum": names },
                { "type": "array", "minItems": 1, "uniqueItems": true, "items": generator.subschema_for::<Way>() },
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_or_a_list_is_read_and_written_again() {
        let check = |text: &str, expected: &[Way]| {
            let auth: Auth = serde_json::from_str(text).unwrap();
            assert_eq!(auth.ways(), expected, "{text}");
            assert_eq!(serde_json::from_str::<Auth>(&serde_json::to_string(&auth).unwrap()).unwrap(), auth);
        };
        check("\"none\"", &[]);
        check("\"forward\"", &[Way::Forward]);
        check("[\"ticket\", \"jwt\"]", &[Way::Ticket, Way::Jwt]);
        let wrong = |text: &str| serde_json::from_str::<Auth>(text).unwrap_err().to_string();
        assert!(wrong("[]").contains("lets nobody in"));
        assert!(wrong("[\"jwt\",\"jwt\"]").contains("named twice"));
        assert!(wrong("[\"none\"]").contains("unknown variant"));
        assert!(wrong("\"nobody\"").contains("\"none\", \"forward\""), "{}", wrong("\"nobody\""));
    }
}

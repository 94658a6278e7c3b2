//! Where a claim stands.

use serde_json::{Map, Value};

/// The name of a claim, or a JSON pointer (RFC 6901) where it begins with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place(String);

impl Place {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Gives the claim at this place.
    pub(crate) fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let Some(pointer) = self.0.strip_prefix('/') else { return claims.get(&self.0) };
        let (first, rest) =
            pointer.split_once('/').map_or((pointer, None), |(first, rest)| (first, Some(rest)));
        let value = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
        match rest {
            None => Some(value),
            Some(rest) => value.pointer(&format!("/{rest}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_found_by_its_name_or_by_a_pointer() {
        let claims = serde_json::json!({
            "roles": 1, "realm_access": {"roles": 2, "": 3}, "https://a.example/roles": 4, "a/b": {"c~d": [5]},
        });
        let claims = claims.as_object().unwrap();
        let check = |place: &str, expected: Option<u64>| {
            assert_eq!(Place::new(place).find(claims).and_then(Value::as_u64), expected, "{place}");
        };
        check("roles", Some(1));
        check("/roles", Some(1));
        check("/realm_access/roles", Some(2));
        check("realm_access/roles", None);
        check("/realm_access/", Some(3));
        check("https://a.example/roles", Some(4));
        check("/a~1b/c~0d/0", Some(5));
        check("/a~1b/c~0d/1", None);
        check("/", None);
        check("", None);
    }
}

//! A JSON Schema as `schemars` writes it, read by what it means for a TOML value.

use serde_json::{Map, Value};

/// The `format` of [`ByteSize`](crate::ByteSize).
pub(crate) const BYTE_SIZE: &str = "byte-size";
/// The `format` of [`HumanDuration`](crate::HumanDuration).
pub(crate) const DURATION: &str = "human-duration";

/// A reference may lead to another at most so often; no derived schema comes near.
const MOST_REFERENCES: usize = 32;

/// A schema within its document: references are followed, and what stands for "absent" is left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'s> {
    root: &'s Value,
    /// Where it is written, with the description and default that belong to this place.
    here: &'s Value,
    /// What it comes to after every reference.
    target: &'s Value,
}

impl<'s> Node<'s> {
    /// The schema of a whole document.
    pub(crate) fn root(root: &'s Value) -> Self {
        Self::new(root, root)
    }

    fn new(root: &'s Value, here: &'s Value) -> Self {
        let mut target = here;
        for _ in 0..MOST_REFERENCES {
            let next = if let Some(reference) = target.get("$ref").and_then(Value::as_str) {
                root.pointer(reference.trim_start_matches('#'))
            } else {
                only_branch(target)
            };
            match next {
                Some(next) => target = next,
                None => break,
            }
        }
        Self { root, here, target }
    }

    fn at(&self, here: &'s Value) -> Self {
        Self::new(self.root, here)
    }

    /// What the comments say: of the field if it has any, else of its type.
    pub(crate) fn description(&self) -> &'s str {
        let text = |value: &'s Value| value.get("description").and_then(Value::as_str);
        text(self.here).or_else(|| text(self.target)).unwrap_or_default()
    }

    /// The value that stands in for an absent key, or else one that is given as an example.
    pub(crate) fn default_or_example(&self) -> Option<&'s Value> {
        let own = |value: &'s Value| value.get("default").filter(|value| !value.is_null());
        let example = |value: &'s Value| value.get("examples").and_then(|examples| examples.get(0));
        own(self.here)
            .or_else(|| example(self.here))
            .or_else(|| own(self.target))
            .or_else(|| example(self.target))
    }

    /// Whether no value at all is right here.
    pub(crate) fn allows_nothing(&self) -> bool {
        self.target == &Value::Bool(false)
    }

    /// The choices of which a value takes one; `None` when it is no choice.
    pub(crate) fn choices(&self) -> Option<Vec<Node<'s>>> {
        branches(self.target).map(|branches| branches.into_iter().map(|branch| self.at(branch)).collect())
    }

    /// The words of which a text must be one, each with its description; `None` when any text or another type will do.
    pub(crate) fn words(&self) -> Option<Vec<(&'s str, &'s str)>> {
        if let Some(choices) = self.choices() {
            let words: Option<Vec<_>> = choices.iter().map(Self::words).collect();
            return words.map(|words| words.concat());
        }
        let values = match (self.target.get("const"), self.target.get("enum")) {
            (Some(word), _) => vec![word],
            (None, Some(list)) => list.as_array()?.iter().filter(|word| !word.is_null()).collect(),
            (None, None) => return None,
        };
        values.into_iter().map(|word| word.as_str().map(|word| (word, self.description()))).collect()
    }

    /// The names of JSON types that are right here; empty when any is.
    pub(crate) fn types(&self) -> Vec<&'s str> {
        match self.target.get("type") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).filter(|&name| name != "null").collect()
            }
            _ if self.target.get("properties").is_some() => vec!["object"],
            _ => Vec::new(),
        }
    }

    /// Whether it describes a table and nothing else.
    pub(crate) fn is_table(&self) -> bool {
        self.types() == ["object"]
    }

    /// The `format` of a text.
    pub(crate) fn format(&self) -> Option<&'s str> {
        self.target.get("format").and_then(Value::as_str)
    }

    /// A bound such as `minimum`, `maximum`, `minItems`.
    pub(crate) fn bound(&self, name: &str) -> Option<i128> {
        let bound = self.target.get(name)?;
        bound.as_i64().map(i128::from).or_else(|| bound.as_u64().map(i128::from))
    }

    /// The keys that a table knows by name, in the order of their fields.
    pub(crate) fn properties(&self) -> impl Iterator<Item = (&'s str, Node<'s>)> + use<'s> {
        let node = *self;
        map(self.target, "properties").map(move |(name, here)| (name.as_str(), node.at(here)))
    }

    /// The schema of a key that a table knows by name.
    pub(crate) fn property(&self, name: &str) -> Option<Node<'s>> {
        self.target.get("properties")?.get(name).map(|here| self.at(here))
    }

    /// The schema of keys that have any name; `None` when a table takes only those it knows.
    ///
    /// A struct takes only its fields even without `deny_unknown_fields`: a mistyped key must not pass in silence.
    pub(crate) fn any_key(&self) -> Option<Node<'s>> {
        match self.target.get("additionalProperties") {
            Some(Value::Bool(false)) => None,
            Some(here) => Some(self.at(here)),
            None if self.target.get("properties").is_some() => None,
            None => Some(self.at(&Value::Bool(true))),
        }
    }

    /// The keys that a table must have.
    pub(crate) fn required(&self) -> impl Iterator<Item = &'s str> + use<'s> {
        list(self.target, "required").filter_map(Value::as_str)
    }

    /// The schema of the entry of a list at `index`; `None` when any value will do.
    pub(crate) fn entry(&self, index: usize) -> Option<Node<'s>> {
        let fixed = self.target.get("prefixItems").and_then(|fixed| fixed.get(index));
        fixed.or_else(|| self.target.get("items")).map(|here| self.at(here))
    }
}

/// The single choice that is left when what stands for "absent" is taken away.
fn only_branch(schema: &Value) -> Option<&Value> {
    match branches(schema)?.as_slice() {
        [only] => Some(only),
        _ => None,
    }
}

fn branches(schema: &Value) -> Option<Vec<&Value>> {
    let list = ["anyOf", "oneOf", "allOf"].iter().find_map(|word| schema.get(word))?.as_array()?;
    Some(list.iter().filter(|branch| branch.get("type").and_then(Value::as_str) != Some("null")).collect())
}

fn map<'s>(schema: &'s Value, name: &str) -> impl Iterator<Item = (&'s String, &'s Value)> + use<'s> {
    schema.get(name).and_then(Value::as_object).map(Map::iter).into_iter().flatten()
}

fn list<'s>(schema: &'s Value, name: &str) -> impl Iterator<Item = &'s Value> + use<'s> {
    schema.get(name).and_then(Value::as_array).map(|list| list.iter()).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_optional_field_is_what_it_is_when_present() {
        let schema = json!({
            "properties": { "tls": { "description": "of the field", "anyOf": [{ "$ref": "#/$defs/Tls" }, { "type": "null" }] } },
            "$defs": { "Tls": { "type": "object", "description": "of the type", "properties": {} } }
        });
        let node = Node::root(&schema).property("tls").unwrap();
        assert!(node.is_table());
        assert_eq!(node.description(), "of the field");
        let schema = json!({ "type": ["integer", "null"] });
        assert_eq!(Node::root(&schema).types(), ["integer"]);
    }

    #[test]
    fn words_come_from_constants_and_lists() {
        let schema = json!({ "oneOf": [
            { "type": "string", "enum": ["block"] },
            { "type": "string", "const": "off", "description": "Never." }
        ] });
        assert_eq!(Node::root(&schema).words(), Some(vec![("block", ""), ("off", "Never.")]));
        let schema = json!({ "oneOf": [{ "const": "none" }, { "type": "object" }] });
        assert_eq!(Node::root(&schema).words(), None);
        assert_eq!(Node::root(&schema).choices().unwrap().len(), 2);
    }

    #[test]
    fn a_reference_that_leads_to_itself_comes_to_an_end() {
        let schema = json!({ "$ref": "#/$defs/A", "$defs": { "A": { "$ref": "#/$defs/A" } } });
        assert!(Node::root(&schema).types().is_empty());
        let schema = json!({ "$ref": "#/$defs/Absent" });
        assert!(Node::root(&schema).types().is_empty());
    }
}

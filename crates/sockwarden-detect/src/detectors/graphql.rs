//! GraphQL that asks for the schema, or for the same thing very often, in values that are not known to be GraphQL. Where it is spoken, its own
//! limits hold.

use sockwarden_inspect::Marks;

use super::{Desk, Detector, Side, Text, declare};
use crate::{starts::Start, words};

declare! {
    INTROSPECTION = "graphql-introspection", GraphQl, 1,
        "A query of GraphQL asks for the schema.",
        ["CWE-200", "https://spec.graphql.org/October2021/#sec-Introspection"];
    STORM = "graphql-storm", GraphQl, 1,
        "A query of GraphQL asks for one thing under very many names, or nests without end.",
        ["CWE-770"];
}

pub(super) static DETECTOR: Detector = Detector {
    rules: RULES,
    side: Side::Client,
    starts: &[Start {
        marks: &[Marks::BRACE],
        literals: &["__schema", "__type", "query", "mutation", "fragment", "{"],
    }],
    run,
};

/// How many names for fields are a storm.
const ALIASES: usize = 40;

/// How deep no honest query nests.
const DEPTH: usize = 24;

fn run(text: &Text<'_>, desk: &mut Desk) {
    let bytes = text.bytes;
    for word in ["__schema", "__type"] {
        let Some(at) = words::find(bytes, 0, word.as_bytes()) else { continue };
        let next = bytes.get(words::skip_blanks(bytes, at + word.len())).copied();
        let head = bytes.get(..at).unwrap_or_default();
        let opened =
            head.trim_ascii_end().last().is_some_and(|byte| matches!(byte, b'{' | b'}' | b':' | b','));
        let asked = next == Some(b'{') || word == "__type" && next == Some(b'(');
        if opened && asked {
            desk.findings.add(&INTROSPECTION, if text.sentence() { 3 } else { 5 }, at..at + word.len());
            break;
        }
    }
    let begin = bytes.trim_ascii_start();
    let selects =
        [b"{".as_slice(), b"query", b"mutation", b"subscription"].iter().any(|word| begin.starts_with(word));
    if !selects || bytes.len() < 2 * DEPTH {
        return;
    }
    let (mut depth, mut deepest, mut aliases, mut at) = (0_usize, 0_usize, 0_usize, 0);
    let mut quotes = 0_usize;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' => depth = depth.saturating_sub(1),
            b'"' => quotes += 1,
            // A name, a colon, another name: outside of arguments that is an alias.
            b':' => {
                let next = words::skip_blanks(bytes, at);
                let named = bytes.get(at.wrapping_sub(2)).is_some_and(|byte| words::is_name(*byte));
                aliases += usize::from(
                    named && bytes.get(next).is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_'),
                );
            }
            _ => {}
        }
    }
    // JSON and programs have quotes or ends of statements.
    let is_query = quotes * 2 <= aliases && !text.marks.any(Marks::SEMICOLON);
    if is_query && (aliases >= ALIASES || deepest >= DEPTH) {
        desk.findings.add(&STORM, 5, 0..bytes.len().min(64));
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Category,
        testing::{finds, passes},
    };

    #[test]
    fn questions_for_the_schema_and_storms_are_found() {
        let aliases: String =
            (0..50).map(|number| format!("a{number}: user(id: {number}) {{ name }} ")).collect();
        let deep = format!("{{{}x{}}}", "friends{".repeat(30), "}".repeat(30));
        finds(
            Category::GraphQl,
            &[
                "{__schema{types{name}}}",
                "query { __type(name: \"User\") { fields { name } } }",
                &format!("{{ {aliases} }}"),
                &deep,
            ],
        );
    }

    #[test]
    fn queries_are_left_alone() {
        passes(&[
            "{ user(id: 1) { name friends { name } } }",
            "query Q { a: user(id: 1) { id } b: user(id: 2) { id } }",
            "what is __schema for?",
            "{ __typename }",
        ]);
    }
}

//! Names of members that are operators, or that reach the prototype of all objects: they are found as names only, whatever they are made of.

use sockwarden_inspect::{Role, Step, Value};

use super::declare;
use crate::findings::Findings;

declare! {
    PROTO_KEY = "prototype-key", Prototype, 1,
        "A member is called `__proto__`, or `prototype` inside of `constructor`: merged into an object it changes all of them.",
        ["CWE-1321", "https://cheatsheetseries.owasp.org/cheatsheets/Prototype_Pollution_Prevention_Cheat_Sheet.html"];
    NOSQL_KEY = "nosql-operator", NoSql, 1,
        "A member is called like an operator of a document database, so that a query compares otherwise than it was written to.",
        ["CWE-943", "https://owasp.org/www-community/Injection_Flaws"];
    NOSQL_SCRIPT_KEY = "nosql-script-operator", NoSql, 1,
        "A member is called like an operator by which a document database runs script.",
        ["CWE-943"];
    TYPE_KEY = "type-key", Deserialisation, 1,
        "A member names the class that a reader of objects is to make.",
        ["CWE-502"];
}

/// Operators that compare, of MongoDB and its likes.
const COMPARING: &[&str] = &[
    "$all",
    "$and",
    "$elemmatch",
    "$eq",
    "$exists",
    "$expr",
    "$gt",
    "$gte",
    "$in",
    "$jsonschema",
    "$lookup",
    "$lt",
    "$lte",
    "$mod",
    "$ne",
    "$nin",
    "$nor",
    "$not",
    "$or",
    "$regex",
    "$size",
    "$text",
    "$unionwith",
];

/// Operators that run script.
const RUNNING: &[&str] = &["$accumulator", "$function", "$where"];

/// Tells whether a value that is made of letters and the like may matter nevertheless.
#[inline]
pub(crate) fn may_matter(value: &Value<'_>) -> bool {
    match value.bytes.first() {
        Some(b'_') => value.role == Role::Key || value.bytes.starts_with(b"__proto"),
        Some(b'p' | b'@') => value.role == Role::Key,
        // Where serialised objects begin, in base64 and hexadecimal digits.
        Some(b'r') => value.bytes.starts_with(b"rO0AB") || value.bytes.starts_with(b"runtime."),
        // Classes, and hosts that only a server asks for.
        Some(b'j') => value.bytes.starts_with(b"java"),
        Some(b'c') => {
            value.bytes.starts_with(b"class.")
                || value.bytes.starts_with(b"com.")
                || value.bytes.starts_with(b"constructor.")
        }
        Some(b'o') => value.bytes.starts_with(b"org.") || value.bytes.starts_with(b"ognl."),
        Some(b'm') => value.bytes.starts_with(b"metadata."),
        Some(b'A') => value.bytes.starts_with(b"AAEAAAD") || value.bytes.starts_with(b"ACED0005"),
        Some(b'a') => value.bytes.starts_with(b"aced0005"),
        // Ways up whose slashes are spelt.
        Some(b'.') => value.bytes.starts_with(b".."),
        // An address whose slashes are left out.
        Some(b'h') => value.bytes.starts_with(b"http:"),
        // Dots and slashes as some readers of paths resolve them.
        Some(b'0') => value.bytes.starts_with(b"0x2e0x2e"),
        Some(b'g') => value.bytes.starts_with(b"gASV"),
        Some(_) | None => false,
    }
}

/// Tells whether a name is that of an operator which compares.
pub(super) fn compares(name: &[u8]) -> bool {
    crate::words::is_one_of(COMPARING, name)
}

/// Tells whether a name is that of an operator which runs script.
pub(super) fn runs(name: &[u8]) -> bool {
    crate::words::is_one_of(RUNNING, name)
}

/// Looks at the name of a member.
pub(crate) fn look(key: &Value<'_>, findings: &mut Findings) {
    let whole = 0..key.bytes.len();
    match key.bytes {
        b"__proto__" => findings.add(&PROTO_KEY, 7, whole),
        b"prototype" if is_inside_constructor(key) => findings.add(&PROTO_KEY, 7, whole),
        [b'$', ..] if runs(key.bytes) => findings.add(&NOSQL_SCRIPT_KEY, 8, whole),
        [b'$', ..] if compares(key.bytes) => findings.add(&NOSQL_KEY, 5, whole),
        [.., b']'] => look_in_brackets(key.bytes, findings),
        b"@type" => findings.add(&TYPE_KEY, 2, whole),
        _ => {}
    }
}

/// `user[$ne]` and `a[__proto__][b]`, as forms write members of members.
fn look_in_brackets(name: &[u8], findings: &mut Findings) {
    for part in name.split(|byte| *byte == b'[').skip(1).filter_map(|part| part.strip_suffix(b"]")) {
        if runs(part) {
            findings.add(&NOSQL_SCRIPT_KEY, 8, 0..name.len());
        } else if part.first() == Some(&b'$') && compares(part) {
            findings.add(&NOSQL_KEY, 6, 0..name.len());
        } else if part == b"__proto__" || part == b"prototype" && crate::words::holds(name, b"constructor") {
            findings.add(&PROTO_KEY, 7, 0..name.len());
        }
    }
}

fn is_inside_constructor(key: &Value<'_>) -> bool {
    let before = key.place.len().checked_sub(2).and_then(|number| key.place.step(number));
    before == Some(Step::Key(b"constructor"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_json;

    #[test]
    fn lists_are_sorted() {
        assert!(crate::words::is_sorted(COMPARING) && crate::words::is_sorted(RUNNING));
    }

    #[test]
    fn names_that_are_operators_are_found() {
        check_json(r#"{"user":"admin","password":{"$ne":null}}"#, &["nosql-operator"]);
        check_json(r#"{"q":{"$where":"1"}}"#, &["nosql-script-operator"]);
        check_json(r#"{"a":{"__proto__":{"isAdmin":true}}}"#, &["prototype-key"]);
        check_json(r#"{"constructor":{"prototype":{"x":1}}}"#, &["prototype-key"]);
        check_json(r#"{"text":"{\"__proto__\":{\"x\":1}}"}"#, &["prototype-key"]);
        check_json(r#"{"user[$ne]":1}"#, &["nosql-operator"]);
    }

    #[test]
    fn names_of_ordinary_members_are_left_alone() {
        for text in [
            r##"{"$ref":"#/definitions/a","$schema":"x","$id":"y"}"##,
            r#"{"constructor":"Ferrari","prototype":"mk1","__typename":"User","_id":"1"}"#,
            r#"{"$set":{"name":"x"}}"#,
            r#"{"@type":"Person","@context":"https://schema.org"}"#,
            r#"{"filter[name]":"x","a[]":1}"#,
        ] {
            check_json(text, &[]);
        }
    }
}

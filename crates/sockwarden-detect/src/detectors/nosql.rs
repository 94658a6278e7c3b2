//! Operators and script for document databases, written in a text that becomes a part of a query. Members that are called so are found by
//! their names (`keys`).

use sockwarden_inspect::{Marks, Role};

use super::{Desk, Detector, Side, Text, declare, keys};
use crate::{starts::Start, words};

declare! {
    OPERATOR = "nosql-text", NoSql, 1,
        "A text holds an operator of a document database where a name stands.",
        ["CWE-943"];
    SCRIPT = "nosql-script", NoSql, 1,
        "A text goes on with script as document databases run it.",
        ["CWE-943", "https://owasp.org/www-project-web-security-testing-guide/"];
}

pub(super) static DETECTOR: Detector = Detector {
    rules: RULES,
    side: Side::Client,
    starts: &[
        Start {
            marks: &[Marks::DOLLAR, Marks::BRACE.and(Marks::BRACKET).and(Marks::COLON)],
            literals: &[
                "$ne", "$gt", "$lt", "$eq", "$in", "$nin", "$regex", "$where", "$or", "$and", "$nor", "$not",
                "$exists", "$func", "$expr", "$all", "$comment", "$size", "$accum",
            ],
        },
        Start {
            marks: &[Marks::QUOTE.and(Marks::SEMICOLON).and(Marks::PAREN)],
            literals: &[
                "this.",
                "return ",
                "return'",
                "return(",
                "db.",
                "==",
                "sleep(",
                "tojson",
                "mapreduce",
                "emit(",
            ],
        },
    ],
    run,
};

fn run(text: &Text<'_>, desk: &mut Desk) {
    if text.value.role == Role::Key {
        return;
    }
    let bytes = text.bytes;
    let begin = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
    let bare = matches!(
        bytes.get(begin),
        Some(b'{' | b'[' | b'\'' | b'"' | b'$' | b',' | b'}' | b'1' | b'|' | b';' | b')')
    );
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'$', bytes.get(at..).unwrap_or_default()) {
        let start = at + found;
        let name = words::name_at(bytes, start + 1);
        at = start + 1 + name.len();
        let Some(operator) = bytes.get(start..at) else { break };
        let (runs, compares) = (keys::runs(operator), keys::compares(operator) || operator == b"$comment");
        if !runs && !compares {
            continue;
        }
        let mut next = at;
        while matches!(bytes.get(next), Some(b'"' | b'\'' | b' ')) && next < at + 3 {
            next += 1;
        }
        let weight = match bytes.get(next) {
            Some(b':') if runs => 7,
            Some(b':') if bare => 6,
            Some(b':') => 4,
            Some(b']') if bytes.get(start.wrapping_sub(1)) == Some(&b'[') => 6,
            Some(_) | None => 0,
        };
        if weight > 0 {
            desk.findings.add(
                &OPERATOR,
                if text.marks.any(Marks::LINE) { 3.min(weight) } else { weight },
                start..at,
            );
        }
    }
    script(text, desk);
}

fn script(text: &Text<'_>, desk: &mut Desk) {
    let bytes = text.bytes;
    let first_quote = bytes.iter().position(|byte| matches!(byte, b'\'' | b'"'));
    let breaks = first_quote.is_some_and(|at| at < 24) && !text.sentence() && !text.marks.any(Marks::LINE);
    let own = words::holds(bytes, b"this.")
        && words::holds_any(bytes, &["&&", "||", ";", "==", ".match(", ".length"]);
    let returns = words::holds_any(
        bytes,
        &["return true", "return'", "return '", "return(", "return this", "return 1"],
    ) && bytes.contains(&b';');
    let compares = bytes.len() < 200 && words::holds(bytes, b"==") && words::holds_any(bytes, &["||", "&&"]);
    let whole = 0..bytes.len();
    let weight = match (breaks, own, returns, compares) {
        (true, true, _, _) => 6,
        (true, _, true, _) => 6,
        (true, _, _, true) => 5,
        (false, true, true, _) => 3,
        _ => 0,
    };
    if weight > 0 {
        desk.findings.add(&SCRIPT, weight, whole.clone());
    }
    let calls = [
        ".insert(",
        ".find(",
        ".drop(",
        ".dropdatabase(",
        ".update(",
        ".remove(",
        ".insertone(",
        ".injection.",
    ];
    if words::find(bytes, 0, b"db.").is_some_and(|at| at < 8)
        && words::holds_any(bytes, &calls)
        && !text.sentence()
        && !text.marks.any(Marks::LINE)
    {
        desk.findings.add(&SCRIPT, 4, whole);
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Category,
        testing::{finds, passes},
    };

    #[test]
    fn operators_and_script_in_texts_are_found() {
        finds(
            Category::NoSql,
            &[
                "{\"$gt\": \"\"}",
                "{$ne: 1}",
                "user[$ne]=x&pass[$ne]=y",
                "[$ne]=1",
                "1, $where: '1 == 1'",
                "' && this.password.match(/.*/)//",
                "'; return true; var x='",
                "' || '1'=='1",
                "\"}, \"$or\": [{}, {\"a\":\"a",
            ],
        );
    }

    #[test]
    fn money_and_variables_are_left_alone() {
        passes(&[
            "it costs $5, or $10 in total",
            "use $gt to compare, as in the manual",
            "$HOME: where you live",
            "if (a == b && c == d) return x;",
            "this.name == other.name",
            "$in = 5",
            "db.find is slow",
        ]);
    }
}

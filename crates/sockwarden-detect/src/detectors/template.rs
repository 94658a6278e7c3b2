//! Expressions of template engines: what stands between their brackets computes or reaches into objects, where a name alone is what any
//! template has.

use std::ops::Range;

use sockwarden_inspect::Marks;

use super::{Desk, Detector, Side, Text, declare};
use crate::{starts::Start, words};

declare! {
    EXPRESSION = "template-expression", Template, 1,
        "An expression of a template engine computes, calls or reaches into objects.",
        ["CWE-1336", "https://owasp.org/www-project-web-security-testing-guide/"];
    DIRECTIVE = "template-directive", Template, 1,
        "A directive of a template engine makes objects, runs code or includes files.",
        ["CWE-1336"];
}

pub(super) static DETECTOR: Detector = Detector {
    rules: RULES,
    side: Side::Client,
    starts: &[
        Start {
            marks: &[Marks::BRACE],
            literals: &["{{", "${", "#{", "*{", "@{", "~{", "{%", "{php", "{$", "%{", "{if", "{system", "{@"],
        },
        Start { marks: &[Marks::ANGLE], literals: &["<%", "<#"] },
        Start {
            marks: &[Marks::HASH],
            literals: &["#set(", "#set (", "#evaluate", "#include", "#parse", "#foreach"],
        },
        Start { marks: &[Marks::AT, Marks::PAREN], literals: &["@("] },
        Start { marks: &[Marks::BRACKET], literals: &["[[${", "[=", "[(${"] },
    ],
    run,
};

/// How expressions begin and end.
const BRACKETS: &[(&[u8], &[u8])] = &[
    (b"{{", b"}}"),
    (b"${", b"}"),
    (b"#{", b"}"),
    (b"*{", b"}"),
    (b"@{", b"}"),
    (b"~{", b"}"),
    (b"%{", b"}"),
    (b"{%", b"%}"),
    (b"<%", b"%>"),
    (b"@(", b")"),
    (b"[=", b"]"),
    (b"{@", b"}"),
    (b"{", b"}"),
];

/// What only somebody writes into an expression who wants more than a value of the page.
const REACHES: &[&str] = &[
    "__class__",
    "__mro__",
    "__subclasses__",
    "__globals__",
    "__init__",
    "__builtins__",
    "__import__",
    "__base__",
    "getclass",
    "forname",
    "getruntime",
    "runtime",
    "processbuilder",
    "scriptengine",
    "java.",
    "?new",
    ".exec(",
    "exec(",
    "system(",
    "popen",
    "passthru",
    "shell_exec",
    "file_get_contents",
    "constructor",
    "lipsum",
    "cycler",
    "joiner",
    "self.",
    "_self",
    "config.",
    "config[",
    "request.application",
    "request[",
    "request|attr",
    "|attr",
    "freemarker",
    "registerundefinedfiltercallback",
    "getfilter",
    "filter(",
    "|map(",
    "|sort(",
    "|reduce(",
    "settings.",
    "dump(",
    "app.request",
    "os.",
    "eval(",
    "file.open",
    "io.popen",
    "spawn",
    "require(",
    "process.",
    "global",
    "proto",
    "t(",
    "#root",
    "@java",
    "`",
    "dir.entries",
    "readlines",
    "include(",
    "undefined",
    "get_flashed_messages",
    "url_for.",
    "nameof",
    "whoami",
    "phpinfo",
    "math.",
    "tolower(",
    "toupper(",
    "touppercase",
    "source(",
    "getenv",
    "print(",
    "alert(",
    "$smarty",
    "block",
    "@print",
];

fn run(text: &Text<'_>, desk: &mut Desk) {
    let bytes = text.bytes;
    let mut at = 0;
    // One who tries what is evaluated writes few of them; a program that is full of them is read as far.
    let mut left = 256;
    while let Some(found) = bytes.get(at..).and_then(|rest| {
        rest.iter()
            .position(|byte| matches!(byte, b'{' | b'$' | b'#' | b'*' | b'@' | b'~' | b'%' | b'<' | b'['))
    }) {
        let start = at + found;
        at = start + 1;
        let rest = bytes.get(start..).unwrap_or_default();
        let Some((open, close)) = BRACKETS.iter().find(|(open, _)| rest.starts_with(open)) else { continue };
        let body = rest.get(open.len()..).unwrap_or_default();
        let body = body.get(..body.len().min(512)).unwrap_or_default();
        let length = memchr::memmem::find(body, close);
        let Some(inner) = body.get(..length.unwrap_or(body.len().min(120))) else { continue };
        left -= 1;
        if left == 0 {
            break;
        }
        let single = open.len() == 1;
        let weight = weigh(inner, open, length.is_some(), text);
        let range = start..start + open.len() + inner.len();
        if single {
            // `{7*7}`: a bracket alone is everywhere.
            if weight >= 6
                && !text.marks.any(Marks::LINE)
                && !text.sentence
                && !words::holds(inner, b":")
                && bytes.len() < 200
            {
                add(desk, &EXPRESSION, weight - 1, range);
            }
            continue;
        }
        if weight > 0 {
            add(desk, if matches!(*open, b"{%" | b"<%") { &DIRECTIVE } else { &EXPRESSION }, weight, range);
        }
        // What stands inside is looked at as well, where it begins another one.
        at = start + open.len();
    }
    for (word, weight) in [
        ("<#assign", 6),
        ("#set($", 5),
        ("#set ($", 5),
        ("freemarker.template", 7),
        ("{php}", 7),
        ("$class.inspect", 7),
        ("#evaluate(", 5),
        ("<#include", 5),
        ("<#list", 3),
        ("{$smarty.", 5),
        ("{system(", 7),
        ("{if system", 7),
        ("[[${", 4),
        ("#{7*7}", 7),
        ("#include(", 3),
        ("{self::", 7),
    ] {
        if let Some(at) = words::find(bytes, 0, word.as_bytes()) {
            add(desk, &DIRECTIVE, weight, at..at + word.len());
        }
    }
}

fn add(desk: &mut Desk, rule: &'static super::Rule, weight: u8, range: Range<usize>) {
    desk.findings.add(rule, weight, range);
}

fn weigh(inner: &[u8], open: &[u8], closed: bool, text: &Text<'_>) -> u8 {
    let shell = matches!(open, b"${" | b"#{" | b"@{" | b"%{");
    let program = text.marks.any(Marks::LINE) || text.sentence;
    if computes(inner) {
        return match (closed, program) {
            (true, false) => 7,
            (true, true) => 5,
            (false, _) => 3,
        };
    }
    let reaches = REACHES.iter().filter(|word| words::holds(inner, word.as_bytes())).take(3).count();
    if reaches > 0 {
        let sure = words::holds_any(
            inner,
            &[
                "__",
                "getruntime",
                "forname",
                "?new",
                "popen",
                "java.",
                "constructor",
                "lipsum",
                "exec(",
                "system(",
                "registerundefined",
            ],
        );
        return match (sure, program) {
            (true, false) => 7,
            (true, true) => 5,
            (false, false) if reaches > 1 || !shell => 5,
            (false, false) => 3,
            (false, true) => 2,
        };
    }
    // A call with a string, an expression on strings: `{{'a'|upper}}`, `<%= x %>`.
    let quoted = inner.trim_ascii_start().first().is_some_and(|byte| matches!(byte, b'\'' | b'"'));
    let called = inner.contains(&b'(') && inner.contains(&b')');
    let alone = text.bytes.trim_ascii().len() <= inner.len() + open.len() + 4;
    match (quoted, called) {
        (true, _) if closed && !program && alone => 5,
        (_, true) if closed && !program && alone && !shell => 5,
        (_, true) if closed && !program && alone => 3,
        _ if matches!(open, b"<%") && inner.first() == Some(&b'=') && !program => 5,
        _ => 0,
    }
}

/// Tells whether numbers or strings are computed with, and nothing else: `7*7`, `'7'*7`, `7+'7'`.
fn computes(inner: &[u8]) -> bool {
    let inner = inner.strip_prefix(b"=").or(inner.strip_prefix(b"{")).unwrap_or(inner);
    let inner = inner.trim_ascii().strip_suffix(b"}").unwrap_or(inner).trim_ascii();
    let plain = inner.iter().all(|byte| {
        byte.is_ascii_digit()
            || matches!(
                byte,
                b'*' | b'+' | b'-' | b'/' | b'%' | b' ' | b'\'' | b'"' | b'(' | b')' | b'.' | b'^'
            )
    });
    let operator = inner.iter().position(|byte| matches!(byte, b'*' | b'+' | b'/' | b'-' | b'^'));
    let digit = |part: Option<&[u8]>| part.is_some_and(|part| part.iter().any(u8::is_ascii_digit));
    plain && operator.is_some_and(|at| digit(inner.get(..at)) && digit(inner.get(at + 1..)))
}

#[cfg(test)]
mod tests {
    use crate::{
        Category,
        testing::{finds, passes},
    };

    #[test]
    fn expressions_that_compute_or_reach_are_found() {
        finds(
            Category::Template,
            &[
                "{{7*7}}",
                "{{7*'7'}}",
                "${7*7}",
                "#{7*7}",
                "<%= 7*7 %>",
                "${{7*7}}",
                "{{''.__class__.__mro__[2].__subclasses__()}}",
                "{{config.items()}}",
                "{{self._TemplateReference__context}}",
                "{% for c in [].__class__.__base__.__subclasses__() %}",
                "<#assign ex=\"freemarker.template.utility.Execute\"?new()>${ex(\"id\")}",
                "#set($x=7*7)$x",
                "{{constructor.constructor('alert(1)')()}}",
                "{php}echo `id`;{/php}",
                "*{T(java.lang.Runtime).getRuntime().exec('id')}",
                "%7b%7b7*7%7d%7d",
                "<%= system('id') %>",
            ],
        );
    }

    #[test]
    fn templates_with_names_are_left_alone() {
        passes(&[
            "Hello {{ name }}, you have {{count}} messages",
            "{{#if user}}hi{{/if}}",
            "{% if user.is_admin %}x{% endif %}",
            "${HOME}/bin and ${user.name}",
            "use ${{ secrets.TOKEN }} in the workflow",
            "`${a + b} items`",
            "{\"a\": {\"b\": 1}}",
            "color: #{$primary}",
            "format!(\"{}\", x) and println!(\"{0:?}\", y)",
            "style={{ color: 'red' }}",
            "set {1,2,3} and {x}",
            "echo ${x:-5} there",
            "%{NUMBER:size} is what it says",
            "<%= is how a tag of ERB begins",
        ]);
    }
}

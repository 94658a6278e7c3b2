//! Expressions of template engines: what stands between their brackets computes or reaches into objects, where a name alone is what any
//! template has.

use std::ops::Range;

use sockwarden_inspect::Marks;

use super::{Desk, Detector, Side, Text, declare};
use crate::{starts::Start, table::tables};

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

tables! {
    /// What only somebody writes into an expression who wants more than a value of the page.
    /// What weighs more is written by attackers alone.
    REACHES = [("__class__", 2), ("__mro__", 2), ("__subclasses__", 2), ("__globals__", 2), ("__init__", 2), ("__builtins__", 2), ("__import__", 2), ("__base__", 2), ("getclass", 1), ("forname", 2), ("getruntime", 2), ("runtime", 1), ("processbuilder", 1), ("scriptengine", 1), ("java.", 2), ("?new", 2), (".exec(", 2), ("exec(", 2), ("system(", 2), ("popen", 2), ("passthru", 1), ("shell_exec", 1), ("file_get_contents", 1), ("constructor", 2), ("lipsum", 2), ("cycler", 1), ("joiner", 1), ("self.", 1), ("_self", 1), ("config.", 1), ("config[", 1), ("request.application", 1), ("request[", 1), ("request|attr", 1), ("|attr", 1), ("freemarker", 1), ("registerundefinedfiltercallback", 2), ("getfilter", 1), ("filter(", 1), ("|map(", 1), ("|sort(", 1), ("|reduce(", 1), ("settings.", 1), ("dump(", 1), ("app.request", 1), ("os.", 1), ("eval(", 1), ("file.open", 1), ("io.popen", 2), ("spawn", 1), ("require(", 1), ("process.", 1), ("global", 1), ("proto", 1), ("t(", 1), ("#root", 1), ("@java", 1), ("`", 1), ("dir.entries", 1), ("readlines", 1), ("include(", 1), ("undefined", 1), ("get_flashed_messages", 1), ("url_for.", 1), ("nameof", 1), ("whoami", 1), ("phpinfo", 1), ("math.", 1), ("tolower(", 1), ("toupper(", 1), ("touppercase", 1), ("source(", 1), ("getenv", 1), ("print(", 1), ("alert(", 1), ("$smarty", 1), ("block", 1), ("@print", 1)];

    /// Directives of several engines.
    DIRECTIVES = [
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
    ];
}

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
        let body = body.get(..body.len().min(256)).unwrap_or_default();
        let length = memchr::memmem::find(body, close);
        let Some(inner) = body.get(..length.unwrap_or(body.len().min(64))) else { continue };
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
                && !text.sentence()
                && !inner.contains(&b':')
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
    DIRECTIVES.first(bytes, |number, at| {
        if let Some((word, weight)) = DIRECTIVES.words.get(number) {
            add(desk, &DIRECTIVE, *weight, at..at + word.len());
        }
    });
}

fn add(desk: &mut Desk, rule: &'static super::Rule, weight: u8, range: Range<usize>) {
    desk.findings.add(rule, weight, range);
}

fn weigh(inner: &[u8], open: &[u8], closed: bool, text: &Text<'_>) -> u8 {
    // How Perl puts an expression into a text.
    if open == b"@{" && inner.trim_ascii_start().first() == Some(&b'[') && !text.marks.any(Marks::LINE) {
        return 6;
    }
    let shell = matches!(open, b"${" | b"#{" | b"@{" | b"%{");
    let program = text.marks.any(Marks::LINE) || text.sentence();
    if computes(inner) {
        return match (closed, program) {
            (true, false) => 7,
            (true, true) => 5,
            (false, _) => 3,
        };
    }
    let (mut reaches, mut sure) = (0_usize, false);
    REACHES.first(inner, |number, _| {
        reaches += 1;
        sure |= REACHES.words.get(number).is_some_and(|(_, weight)| *weight > 1);
    });
    if reaches > 0 {
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

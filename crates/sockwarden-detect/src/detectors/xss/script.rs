//! Script outside of any tag: whether a text goes on with a call behind the end of a string, and whether a text is script at all.

use std::ops::Range;

use crate::words;

/// Functions and objects that those call who try whether script runs, or that take what they came for.
const SINKS: &[&str] = &[
    "alert",
    "atob",
    "confirm",
    "console",
    "document",
    "eval",
    "execscript",
    "expression",
    "fetch",
    "fromcharcode",
    "function",
    "globalthis",
    "import",
    "importscripts",
    "innerhtml",
    "localstorage",
    "location",
    "msgbox",
    "navigator",
    "onerror",
    "open",
    "parent",
    "print",
    "process",
    "prompt",
    "self",
    "sessionstorage",
    "setinterval",
    "settimeout",
    "string",
    "throw",
    "top",
    "window",
    "write",
    "xmlhttprequest",
];

/// How much of a value is read to find out whether it runs.
const ENOUGH: usize = 96;

/// Tells whether a value runs: it calls, assigns or names one of the functions.
pub(super) fn is_script(value: &[u8]) -> bool {
    let value = value.get(..value.len().min(ENOUGH)).unwrap_or_default();
    let mut at = 0;
    let mut calls = false;
    while at < value.len() {
        let name = words::name_at(value, at);
        if name.is_empty() {
            at += 1;
            continue;
        }
        let after = words::skip_blanks(value, at + name.len());
        let next = value.get(after).copied();
        calls |= matches!(next, Some(b'(' | b'`' | b'['));
        if name.len() <= 24
            && words::is_one_of(SINKS, name)
            && matches!(next, Some(b'(' | b'`' | b'.' | b'[' | b'=' | b'?' | b',' | b'&' | b')'))
        {
            return true;
        }
        at += name.len();
    }
    calls && (value.contains(&b')') || value.contains(&b'`') || value.contains(&b'&'))
}

/// Finds a call of one of the functions, and weighs what stands before it.
pub(super) fn judge(bytes: &[u8], sentence: bool, lone: bool) -> Option<(u8, Range<usize>)> {
    let mut best: Option<(u8, Range<usize>)> = None;
    let mut around = Around {
        quotes: false,
        begins: matches!(
            bytes.trim_ascii_start().first(),
            Some(b'"' | b'\'' | b'`' | b'\\' | b'<' | b')' | b'}' | b';' | b']' | b'-' | b'+' | b'*' | b'/')
        ),
        last_comment: memchr::memmem::rfind(bytes, b"//").or_else(|| memchr::memmem::rfind(bytes, b"<!--")),
        sentence,
        lone,
    };
    let mut at = 0;
    while at < bytes.len() {
        let Some(byte) = bytes.get(at) else { break };
        if !words::is_name(*byte) {
            around.quotes |= matches!(byte, b'"' | b'\'' | b'`');
            at += 1;
            continue;
        }
        let name = words::name_at(bytes, at);
        let start = at;
        at += name.len();
        if name.len() > 16 || !words::is_one_of(SINKS, name) {
            continue;
        }
        let weight = weigh(bytes, start, at, &around);
        if weight > best.as_ref().map_or(0, |best| best.0) {
            best = Some((weight, start..at));
        }
    }
    best
}

/// What is known of the whole text.
#[derive(Debug)]
struct Around {
    /// Whether a quote stands before what is looked at.
    quotes: bool,
    /// Whether it begins with a sign that ends something.
    begins: bool,
    /// Where its last comment begins.
    last_comment: Option<usize>,
    sentence: bool,
    /// Whether no blank is in it.
    lone: bool,
}

fn weigh(bytes: &[u8], start: usize, end: usize, around: &Around) -> u8 {
    let name = bytes.get(start..end).unwrap_or_default();
    let after = words::skip_blanks(bytes, end);
    let next = bytes.get(after).copied();
    let probing = ["alert", "confirm", "prompt", "eval", "msgbox", "execscript"]
        .iter()
        .any(|word| name.eq_ignore_ascii_case(word.as_bytes()));
    let call = matches!(next, Some(b'(' | b'`'));
    let member = matches!(next, Some(b'.' | b'['));
    let assigned = next == Some(b'=') && bytes.get(after + 1) != Some(&b'=');
    let taking = member
        && ["cookie", "domain", "write", "location", "localstorage", "body", "documentelement"]
            .iter()
            .any(|word| words::is_at(bytes, after + 1, word.as_bytes()));
    let head = bytes.get(..start).unwrap_or_default();
    let near = head.get(head.len().saturating_sub(16)..).unwrap_or_default();
    let before = near.trim_ascii_end().last().copied();
    // The quote that ends the string in which the text stands, and an operator or the end of a statement behind it.
    let joins = matches!(
        before,
        Some(
            b';' | b'-'
                | b'+'
                | b'*'
                | b'/'
                | b'^'
                | b'|'
                | b'&'
                | b','
                | b'('
                | b'='
                | b'?'
                | b':'
                | b'}'
                | b')'
                | b'%'
                | b'<'
                | b'>'
                | b'!'
                | b'~'
                | b'\\'
        )
    );
    let &Around { quotes, begins, sentence, lone, .. } = around;
    let commented = around.last_comment.is_some_and(|comment| comment >= end);
    if call && probing {
        let argued = bytes.get(after + 1).is_some_and(|byte| *byte != b')');
        return match (joins, quotes && begins) {
            (true, true) if !sentence => 7,
            (true, true) => 5,
            (true, false) if lone || commented => 5,
            _ if start == 0 && argued && lone => 5,
            _ if head.len() < 16 && head.trim_ascii().is_empty() && argued && bytes.len() < 80 => 5,
            _ if argued => 2,
            _ => 1,
        };
    }
    if (call || taking || assigned) && joins && quotes && begins && !sentence {
        return if commented || lone { 5 } else { 3 };
    }
    match taking {
        true if lone && bytes.len() < 200 => 4,
        true => 2,
        false => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        assert!(words::is_sorted(SINKS));
    }

    #[test]
    fn script_is_told_from_words() {
        let check = |text: &str, expected: bool| assert_eq!(is_script(text.as_bytes()), expected, "{text}");
        check("alert(1)", true);
        check("location='//x'", true);
        check("a.b(c)", true);
        check("x`1`", true);
        check("null", false);
        check("the good parts", false);
    }
}

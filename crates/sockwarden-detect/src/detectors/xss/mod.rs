//! Active script for pages: a tag that is alive, a way out of an attribute or a string of script, an address that runs.

mod attributes;
mod script;

use sockwarden_inspect::{Kind, Marks, Role};

use super::{Desk, Detector, Side, Text, declare};
use crate::{findings::Findings, setting::Field, starts::Start, words};
use attributes::{Attribute, Attributes};

declare! {
    SCRIPT = "xss-script", Xss, 1,
        "A script element begins.",
        ["CWE-79", "https://cheatsheetseries.owasp.org/cheatsheets/Cross_Site_Scripting_Prevention_Cheat_Sheet.html"];
    HANDLER = "xss-handler", Xss, 1,
        "A tag has an event handler.",
        ["CWE-79", "https://html.spec.whatwg.org/multipage/webappapis.html#event-handlers"];
    ADDRESS = "xss-address", Xss, 1,
        "An attribute or a value is an address that runs script when it is followed (`javascript:`, `data:text/html`).",
        ["CWE-79"];
    ELEMENT = "xss-element", Xss, 1,
        "A tag embeds or redirects to something else, or changes what the rest of the page means.",
        ["CWE-79", "CWE-1021"];
    STYLE = "xss-style", Xss, 1,
        "A style runs script or fetches rules from elsewhere.",
        ["CWE-79"];
    BREAKOUT = "xss-attribute", Xss, 1,
        "A text ends the attribute in which it stands and adds an event handler.",
        ["CWE-79"];
    CALL = "xss-call", Xss, 1,
        "A text ends a string of script and goes on with a call.",
        ["CWE-79"];
}

pub(super) static DETECTOR: Detector = Detector {
    rules: RULES,
    side: Side::Both,
    starts: &[
        Start { marks: &[Marks::ANGLE], literals: &[] },
        Start {
            marks: &[Marks::QUERY],
            literals: &[
                "onerror",
                "onload",
                "onclick",
                "onfocus",
                "onmouse",
                "onblur",
                "onkey",
                "oninput",
                "onchange",
                "onsubmit",
                "ontoggle",
                "onpointer",
                "ondrag",
                "onanimation",
                "ontransition",
                "onbefore",
                "onafter",
                "onscroll",
                "onwheel",
                "onpage",
                "onhash",
                "onmessage",
                "onresize",
                "onselect",
                "oncopy",
                "oncut",
                "onpaste",
                "onplay",
                "onended",
                "onstart",
                "onbegin",
                "onend",
                "ondbl",
                "oncontext",
                "ontouch",
                "onshow",
                "onpopstate",
                "onstorage",
                "onunload",
                "onsearch",
                "onreset",
                "onloadstart",
                "oncanplay",
                "onready",
                "onactivate",
                "formaction",
                "srcdoc",
                "xlink:href",
                "style=",
                "on\0",
            ],
        },
        Start {
            marks: &[Marks::COLON],
            literals: &[
                "script:",
                "data:text/html",
                "data:image/svg",
                "data:application/xhtml",
                "script&",
                "data:;base64",
                "data:text/xml",
                "data:,",
            ],
        },
        Start {
            marks: &[Marks::PAREN.and(Marks::BACKTICK).and(Marks::BRACKET).and(Marks::DOT).and(Marks::QUERY)],
            literals: &[
                "alert",
                "confirm(",
                "confirm`",
                "prompt(",
                "prompt`",
                "eval(",
                "eval`",
                "document.",
                "document[",
                "window.",
                "window[",
                "location=",
                "location.",
                "location =",
                "settimeout(",
                "setinterval(",
                "function(",
                "fromcharcode",
                "self[",
                "top[",
                "this[",
                "globalthis",
                "parent[",
                "frames[",
                "constructor(",
                ".constructor",
                "import(",
                "fetch(",
                "innerhtml",
                "onerror=",
                "expression(",
                "-moz-binding",
                "@import",
                "msgbox(",
                "throw ",
                "[].",
                "$.get",
                "atob(",
                "cookie",
                "javascript",
            ],
        },
        Start { marks: &[Marks::PLUS], literals: &["+adw-", "+adx-"] },
        Start { marks: &[Marks::BRACKET, Marks::COMMA], literals: &["![", "!!["] },
    ],
    run,
};

fn run(text: &Text<'_>, desk: &mut Desk) {
    let findings = &mut desk.findings;
    if text.value.role == Role::Key && text.bytes.len() < 8 {
        return;
    }
    tags(text, findings);
    attribute(text, findings);
    address(text, findings);
    if let Some((weight, range)) = script::judge(text.bytes, text.sentence(), is_lone_word(text)) {
        findings.add(&CALL, weight, range);
    }
    if words::holds(text.bytes, b"+adw-")
        && text.bytes.windows(4).any(|part| part.eq_ignore_ascii_case(b"+ad4"))
    {
        findings.add(&SCRIPT, 6, 0..text.bytes.len());
    }
    style(text.bytes, findings);
    signs(text.bytes, findings);
}

/// Script that is made of six signs, and needs no letter.
fn signs(bytes: &[u8], findings: &mut Findings) {
    let are_signs = |byte: &&u8| matches!(byte, b'[' | b']' | b'(' | b')' | b'!' | b'+' | b' ');
    let length = bytes.iter().take_while(are_signs).count();
    if length == bytes.len() && length >= 24 && bytes.windows(2).any(|two| two == b"![" || two == b"!!") {
        findings.add(&CALL, 6, 0..length);
    }
}

fn is_lone_word(text: &Text<'_>) -> bool {
    !text.marks.any(Marks::SPACE | Marks::LINE)
}

/// Elements that run, embed or redirect whatever their attributes are.
const EMBEDDING: &[&str] = &[
    "applet", "base", "bgsound", "embed", "frame", "frameset", "iframe", "ilayer", "import", "isindex",
    "layer", "object", "portal",
];

/// Reads each tag once.
fn tags(text: &Text<'_>, findings: &mut Findings) {
    let bytes = text.bytes;
    let last_end = words::find_last(bytes, b"</script");
    // No honest text has many style sheets.
    let mut styles = 8;
    let mut at = 0;
    while let Some(open) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'<')) {
        let start = at + open;
        at = start + 1;
        let mut name_at = at;
        // `</x`, `<//x` and blanks that lenient readers skip.
        while bytes.get(name_at).is_some_and(|byte| matches!(byte, b'/' | 0..=0x20)) && name_at < at + 4 {
            name_at += 1;
        }
        let blank = bytes.get(at).is_some_and(|byte| *byte <= b' ');
        let name = tag_name(bytes, name_at);
        if name.is_empty() {
            if words::is_at(bytes, at, b"!--#") {
                continue;
            }
            continue;
        }
        let closing = bytes.get(at) == Some(&b'/');
        let mut attributes = Attributes::new(bytes, name_at + name.len());
        let local = name.rsplit(|byte| *byte == b':').next().unwrap_or(name);
        let mut weight = 0_u8;
        let mut others = 0;
        let mut seen = Seen::default();
        for attribute in attributes.by_ref() {
            others += 1;
            seen.take(text, &attribute, name, findings, start);
        }
        let end = attributes.end();
        at = end.max(at);
        let is = |word: &[u8]| local.eq_ignore_ascii_case(word);
        if is(b"script") && !blank {
            let after = bytes.get(name_at + name.len()).copied();
            // `the <script> tag`, in a sentence, is no element.
            let follows = last_end.is_some_and(|last| last >= end) || others > 0 || closing;
            let generic =
                start > 0 && bytes.get(start - 1).is_some_and(|byte| words::is_name(*byte) || *byte == b':');
            weight = match after {
                _ if generic && others == 0 && !follows => 2,
                Some(b'>') if follows || !text.sentence() => 7,
                Some(b'>') => 5,
                Some(b' ' | b'/' | b'\t' | b'\n' | b'\r' | 0x0c | 0x0b | 0) | None => 7,
                Some(_) => 6,
            };
            findings.add(&SCRIPT, weight, start..end);
        } else if words::is_one_of(EMBEDDING, local) && !closing && !blank {
            weight = if others > 0 || !text.sentence() { 5 } else { 3 };
            if seen.remote {
                weight = 7;
            }
            if text.field() == Field::Markup {
                weight = weight.saturating_sub(3);
            }
        } else if is(b"meta") && seen.refresh {
            weight = 6;
        } else if is(b"link") && seen.sheet {
            weight = 5;
        } else if is(b"style") && !closing && !blank && styles > 0 {
            styles -= 1;
            let body = bytes.get(end..).unwrap_or_default();
            weight = if words::holds_any(
                body.get(..body.len().min(2048)).unwrap_or_default(),
                &["@import", "expression(", "javascript:", "behavior:", "-moz-binding"],
            ) {
                6
            } else {
                3
            };
        } else if (is(b"svg") || is(b"math") || is(b"xml") || is(b"xss"))
            && others > 0
            && !blank
            && text.bytes.len() < 200
            && !text.sentence()
        {
            weight = 2;
        } else if seen.remote && (is(b"form") || is(b"button")) {
            weight = 5;
        } else if (is(b"input") || is(b"image") || is(b"img") || is(b"video") || is(b"audio"))
            && seen.scriptless
        {
            weight = 4;
        } else if is(b"set") || is(b"animate") || is(b"animatetransform") || is(b"handler") || is(b"listener")
        {
            weight = if others > 0 { 3 } else { 0 };
        }
        if weight > 0 && !is(b"script") {
            findings.add(&ELEMENT, weight, start..end);
        }
    }
}

/// What the attributes of a tag say together.
#[derive(Debug, Default)]
struct Seen {
    /// One of them is an address of another host, or of no host.
    remote: bool,
    refresh: bool,
    sheet: bool,
    /// An image whose source is script without quotes.
    scriptless: bool,
}

impl Seen {
    fn take(
        &mut self,
        text: &Text<'_>,
        attribute: &Attribute<'_>,
        tag: &[u8],
        findings: &mut Findings,
        start: usize,
    ) {
        let range = start..attribute.end;
        let name = attribute.name;
        let is = |word: &[u8]| name.eq_ignore_ascii_case(word);
        if attribute.has_value && attributes::is_handler(name) && !attribute.value.is_empty() {
            // Words of a language that write generics or comparisons beside assignments are no tags.
            let alive = script::is_script(attribute.value);
            let weight = if alive || !text.sentence() { 7 } else { 4 };
            findings.add(&HANDLER, weight, range.clone());
        }
        let local = name.rsplit(|byte| *byte == b':').next().unwrap_or(name);
        if attributes::is_address(local) {
            match attributes::scheme(attribute.value) {
                Some(attributes::Scheme::Script) => findings.add(&ADDRESS, 7, range.clone()),
                Some(attributes::Scheme::Page) => findings.add(&ADDRESS, 6, range.clone()),
                Some(attributes::Scheme::Elsewhere) => self.remote = true,
                None => {}
            }
        }
        if is(b"srcdoc") && attribute.has_value {
            findings.add(&ADDRESS, 6, range.clone());
        }
        if is(b"style") && style_is_alive(attribute.value) {
            findings.add(&STYLE, 6, range.clone());
        }
        if (is(b"values")
            || is(b"to")
            || is(b"from")
            || is(b"by")
            || is(b"content")
            || is(b"value")
            || is(b"code")
            || is(b"folder"))
            && matches!(attributes::scheme_within(attribute.value), Some(attributes::Scheme::Script))
        {
            findings.add(&ADDRESS, 6, range);
        }
        self.refresh |= is(b"http-equiv")
            && (words::holds(attribute.value, b"refresh")
                || words::holds(attribute.value, b"set-cookie")
                || words::holds(attribute.value, b"link"));
        self.sheet |= is(b"rel")
            && (words::holds(attribute.value, b"stylesheet") || words::holds(attribute.value, b"import"));
        self.scriptless |= (is(b"src") || is(b"dynsrc") || is(b"lowsrc"))
            && tag.len() > 2
            && matches!(attributes::scheme_within(attribute.value), Some(attributes::Scheme::Script));
    }
}

fn tag_name(bytes: &[u8], at: usize) -> &[u8] {
    let rest = bytes.get(at..).unwrap_or_default();
    if !rest.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'?') {
        return &[];
    }
    let length = rest
        .iter()
        .skip(1)
        .take(40)
        .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':' | b'_')));
    rest.get(..1 + length.unwrap_or(rest.len().min(41) - 1)).unwrap_or_default()
}

/// How many handlers outside of any tag are looked into.
const HANDLERS: usize = 64;

/// Attributes that stand outside of any tag: the text stands inside one, and may end a value first.
fn attribute(text: &Text<'_>, findings: &mut Findings) {
    let bytes = text.bytes;
    let first_quote = bytes.iter().position(|byte| matches!(byte, b'"' | b'\'' | b'`'));
    let begin = words::skip_blanks(bytes, 0);
    let mut at = 0;
    let mut left = HANDLERS;
    while let Some(found) =
        bytes.get(at..).and_then(|rest| rest.windows(2).position(|two| two.eq_ignore_ascii_case(b"on")))
    {
        let start = at + found;
        at = start + 2;
        let before = start.checked_sub(1).and_then(|before| bytes.get(before)).copied();
        let apart = before.is_none_or(|byte| matches!(byte, b'"' | b'\'' | b'`' | b'/' | b'>' | 0..=0x20));
        if !apart {
            continue;
        }
        let name = words::name_at(bytes, start);
        at = start + name.len().max(2);
        let equals = words::skip_blanks(bytes, start + name.len());
        if !attributes::is_known_handler(name) || bytes.get(equals) != Some(&b'=') {
            continue;
        }
        let value = bytes.get(words::skip_blanks(bytes, equals + 1)..).unwrap_or_default();
        if value.first() == Some(&b'=') {
            continue;
        }
        left -= 1;
        if left == 0 {
            // No honest text has so many.
            findings.add(&BREAKOUT, 6, start..start + name.len());
            break;
        }
        let value = value.get(..value.len().min(96)).unwrap_or_default();
        let broken = first_quote.is_some_and(|quote| quote < start) || begin == start;
        let weight = match (script::is_script(value), broken) {
            (true, true) => 7,
            (true, false) => 5,
            (false, true) if !text.sentence() && !value.is_empty() => 5,
            (false, _) => 1,
        };
        findings.add(&BREAKOUT, weight, start..start + name.len());
    }
    // A way out of an attribute by a style or an address.
    for (word, rule) in [
        (b"style".as_slice(), &STYLE),
        (b"formaction", &ADDRESS),
        (b"xlink:href", &ADDRESS),
        (b"href", &ADDRESS),
        (b"src", &ADDRESS),
    ] {
        let Some(found) = words::find(bytes, 0, word) else { continue };
        let equals = words::skip_blanks(bytes, found + word.len());
        if found == 0 || bytes.get(equals) != Some(&b'=') {
            continue;
        }
        let value = bytes.get(equals + 1..).unwrap_or_default();
        let value = value.get(..value.len().min(512)).unwrap_or_default();
        let alive = if std::ptr::eq(rule, &STYLE) {
            style_is_alive(value)
        } else {
            matches!(
                attributes::scheme(value.trim_ascii().trim_prefix_quote()),
                Some(attributes::Scheme::Script)
            )
        };
        if alive {
            findings.add(rule, 6, found..equals);
        }
    }
}

trait TrimQuote {
    fn trim_prefix_quote(&self) -> &Self;
}

impl TrimQuote for [u8] {
    fn trim_prefix_quote(&self) -> &Self {
        match self {
            [b'"' | b'\'' | b'`', rest @ ..] => rest,
            rest => rest,
        }
    }
}

/// A value that is an address which runs script.
fn address(text: &Text<'_>, findings: &mut Findings) {
    let bytes = text.bytes;
    let begin = bytes.trim_ascii().trim_prefix_quote();
    match attributes::scheme(begin) {
        Some(attributes::Scheme::Script) => {
            let alone = matches!(text.value.kind(), Kind::Url) || text.field() == Field::Url;
            let runs = script::is_script(begin) || words::holds(begin, b"%28") || words::holds(begin, b"//");
            findings.add(
                &ADDRESS,
                if runs || alone && begin.len() > 12 { 7 } else { 3 },
                0..bytes.len().min(64),
            );
        }
        Some(attributes::Scheme::Page) => findings.add(&ADDRESS, 6, 0..bytes.len().min(64)),
        Some(attributes::Scheme::Elsewhere) | None => {}
    }
    let mut at = 0;
    while let Some(found) = words::find(bytes, at, b"script:") {
        at = found + 7;
        let rest = bytes.get(at..).unwrap_or_default();
        let rest = rest.get(..rest.len().min(256)).unwrap_or_default();
        let head = bytes.get(found.saturating_sub(4)..found).unwrap_or_default();
        if (head.ends_with(b"java")
            || head.eq_ignore_ascii_case(b"java")
            || head.to_ascii_lowercase().ends_with(b"vb")
            || head.eq_ignore_ascii_case(b"live"))
            && script::is_script(rest)
        {
            findings.add(&ADDRESS, if text.sentence() { 5 } else { 6 }, found.saturating_sub(4)..at);
            break;
        }
    }
}

fn style_is_alive(style: &[u8]) -> bool {
    let style = style.get(..style.len().min(2048)).unwrap_or_default();
    let plain: Vec<u8> = attributes::without_comments(style);
    words::holds_any(
        &plain,
        &[
            "expression(",
            "javascript:",
            "vbscript:",
            "-moz-binding",
            "behavior:",
            "behaviour:",
            "-o-link",
            "@import",
        ],
    )
}

/// A style sheet that runs script.
fn style(bytes: &[u8], findings: &mut Findings) {
    for word in ["-moz-binding", "expression("] {
        if let Some(at) = words::find(bytes, 0, word.as_bytes()) {
            let rest = bytes.get(at + word.len()..).unwrap_or_default();
            let rest = rest.get(..rest.len().min(128)).unwrap_or_default();
            if words::holds_any(rest, &["alert", "url(", "document", "window", "eval", "\\"])
                && bytes.get(..at).is_some_and(|head| head.contains(&b':'))
            {
                findings.add(&STYLE, 6, at..at + word.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Category,
        testing::{finds, passes},
    };

    #[test]
    fn lists_are_sorted() {
        assert!(crate::words::is_sorted(super::EMBEDDING));
    }

    #[test]
    fn active_script_is_found() {
        finds(
            Category::Xss,
            &[
                "<script>alert(1)</script>",
                "<script src=//x.example/a.js>",
                "<SCRIPT/x>1</SCRIPT>",
                "<img src=x onerror=alert(1)>",
                "<svg/onload=confirm`1`>",
                "<a href=\"javascript:alert(1)\">x</a>",
                "<a href=\"java\tscript:alert(1)\">x</a>",
                "<a href=\"&#106;avascript:alert(1)\">x</a>",
                "<iframe src=\"https://x.example\"></iframe>",
                "<iframe srcdoc='&lt;script>'></iframe>",
                "<math><mi xlink:href=\"data:text/html;base64,PHM+\">",
                "<meta http-equiv=refresh content=\"0;url=https://x.example\">",
                "<object data=\"data:text/html,x\"></object>",
                "<div style=\"width: expression(alert(1))\">",
                "\" onmouseover=\"alert(1)",
                "' autofocus onfocus=alert(1) x='",
                "javascript:alert(document.cookie)",
                "';alert(1)//",
                "\"-alert(1)-\"",
                "%3Cscript%3Ealert(1)%3C/script%3E",
                "&lt;img src=x onerror=alert(1)&gt;",
                "\\x3cscript\\x3ealert(1)\\x3c/script\\x3e",
                "＜script＞alert(1)＜/script＞",
                "<details open ontoggle=print()>",
                "<form action=javascript:alert(1)><input type=submit>",
                "<embed src=//x.example/y.swf>",
                "<base href=//x.example/>",
                "+ADw-script+AD4-alert(1)",
                "[][(![]+[])[+[]]+(![]+[])[!+[]+!+[]]]",
            ],
        );
    }

    #[test]
    fn talk_about_markup_is_left_alone() {
        passes(&[
            "wrap it in a <div> and close it with </div>",
            "use <b>bold</b> and <i>italic</i> text",
            "<p>hello <em>you</em></p>",
            "<a href=\"https://example.com/a?b=c\">link</a>",
            "<img src=\"https://example.com/x.png\" alt=\"x\">",
            "a < b and c > d",
            "List<String> names = new ArrayList<>();",
            "I <3 you",
            "the onclick handler is called twice",
            "set onclick = null there",
            "call alert() when it is done",
            "document.cookie is not readable here, is it?",
            "x => console.log(x)",
            "element.addEventListener('click', function() { go(); })",
            "email <bob@x.example> about it",
            "mydata: text",
            "we use the <script> tag for that",
            "CodePointMap::<Script>::new()",
            "online=true and once=2",
            "![logo](https://example.com/logo.svg)",
            "javascript: the good parts",
        ]);
    }
}

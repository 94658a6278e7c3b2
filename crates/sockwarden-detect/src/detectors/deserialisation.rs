//! Objects of languages that run code when they are read, by the marks with which they begin.

use sockwarden_inspect::Marks;

use super::{Desk, Detector, Side, Text, declare};
use crate::{starts::Start, table::tables, words};

declare! {
    OBJECT = "serialised-object", Deserialisation, 1,
        "A value is an object of Java, .NET, PHP, Python or Ruby that was written to bytes.",
        ["CWE-502", "https://owasp.org/www-community/vulnerabilities/Deserialization_of_untrusted_data"];
    GADGET = "serialised-gadget", Deserialisation, 1,
        "A class or a tag is named by which reading an object runs code.",
        ["CWE-502"];
}

pub(super) static DETECTOR: Detector = Detector {
    rules: RULES,
    side: Side::Client,
    starts: &[
        Start {
            marks: &[Marks::LETTER],
            literals: &[
                "ro0ab",
                "aced0005",
                "aaeaaad/",
                "kztaa",
                "gasv",
                "y29zcnlzdgvt",
                "_$$nd_func$$_",
                "aaeaaad",
            ],
        },
        Start {
            marks: &[Marks::CONTROL.and(Marks::HIGH).and(Marks::LINE)],
            literals: &[
                "\u{5}sr",
                "cos\nsystem",
                "cposix\n",
                "c__builtin__\n",
                "csubprocess\n",
                "\u{0}sr\u{0}",
                "\nsystem\n",
            ],
        },
        Start { marks: &[Marks::COLON, Marks::BRACE.and(Marks::SEMICOLON)], literals: &["o:", "c:", "a:"] },
        Start {
            marks: &[Marks::DOT.and(Marks::COMMA).and(Marks::SLASH).and(Marks::COLON)],
            literals: &[
                "!!python/",
                "!!javax.",
                "!!java.",
                "!!com.",
                "!ruby/",
                "!!org.",
                "jdbcrowsetimpl",
                "templatesimpl",
                "com.sun.rowset",
                "commons.collections",
                "invokertransformer",
                "objectdataprovider",
                "windowsidentity",
                "system.diagnostics.process",
                "system.data.",
                "ysoserial",
                "clonetransformer",
                "instantiatefactory",
                "instantiatetransformer",
                "whileclosure",
                "forclosure",
                "prototypeclonefactory",
                "prototypeserializationfactory",
                "badattributevalue",
                "c3p0",
                "rowsetdynaclass",
            ],
        },
    ],
    run,
};

tables! {
    /// Classes and tags by which reading an object runs code.
    GADGETS = [
        ("!!python/object", 8),
        ("!!python/name", 7),
        ("!!python/module", 7),
        ("!!javax.script", 8),
        ("!!java.net", 7),
        ("!!com.sun", 7),
        ("!!org.", 4),
        ("!ruby/object", 7),
        ("!ruby/hash", 5),
        ("jdbcrowsetimpl", 7),
        ("templatesimpl", 6),
        ("com.sun.rowset", 6),
        ("commons.collections.functors", 7),
        ("invokertransformer", 5),
        ("objectdataprovider", 6),
        ("system.windows.data", 5),
        ("system.diagnostics.process", 6),
        ("system.security.principal.windowsidentity", 7),
        ("clonetransformer", 5),
        ("instantiatefactory", 5),
        ("instantiatetransformer", 5),
        ("whileclosure", 5),
        ("prototypeclonefactory", 5),
        ("prototypeserializationfactory", 5),
        ("forclosure", 5),
        ("system.data.services.internal", 6),
        ("badattributevalueexp", 6),
    ];
}

fn run(text: &Text<'_>, desk: &mut Desk) {
    let bytes = text.bytes;
    let begin = bytes.trim_ascii();
    let whole = 0..bytes.len();
    let begins = |prefix: &[u8]| begin.starts_with(prefix);
    if begins(b"rO0AB")
        || begins(b"aced0005")
        || begins(b"ACED0005")
        || begins(b"AAEAAAD/")
        || begins(b"KztAA")
        || begins(b"Cs7QAF")
    {
        desk.findings.add(&OBJECT, 7, whole.clone());
    } else if begins(b"gASV") && begin.len() > 12 {
        desk.findings.add(&OBJECT, 5, whole.clone());
    }
    if let Some(at) = memchr::memmem::find(bytes, b"\xac\xed\x00\x05") {
        desk.findings.add(&OBJECT, 7, at..at + 4);
    }
    if words::holds(bytes, b"_$$nd_func$$_") {
        desk.findings.add(&OBJECT, 8, whole.clone());
    }
    if words::holds_any(bytes, &["cos\nsystem", "cposix\nsystem", "c__builtin__\n", "csubprocess\n"]) {
        desk.findings.add(&OBJECT, 7, whole);
    }
    php(text, desk);
    GADGETS.first(bytes, |number, at| {
        if let Some(&(word, weight)) = GADGETS.words.get(number) {
            desk.findings.add(
                &GADGET,
                if text.sentence() { weight.min(4) } else { weight },
                at..at + word.len(),
            );
        }
    });
}

/// `O:4:"Name":1:{`, alone or inside an array.
fn php(text: &Text<'_>, desk: &mut Desk) {
    let bytes = text.bytes;
    let mut at = 0;
    while let Some(found) = memchr::memchr3(b'O', b'C', b'o', bytes.get(at..).unwrap_or_default()) {
        let start = at + found;
        at = start + 1;
        let apart = start
            .checked_sub(1)
            .and_then(|before| bytes.get(before))
            .is_none_or(|before| !words::is_name(*before));
        if !apart || bytes.get(at) != Some(&b':') {
            continue;
        }
        let mut next = at + 1 + usize::from(bytes.get(at + 1) == Some(&b'+'));
        let digits = bytes
            .get(next..)
            .unwrap_or_default()
            .iter()
            .take(6)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        next += digits;
        if digits == 0 || bytes.get(next) != Some(&b':') || !matches!(bytes.get(next + 1), Some(b'"' | b'\''))
        {
            continue;
        }
        let name = words::name_at(bytes, next + 2).len();
        let rest = bytes.get(next + 2 + name..).unwrap_or_default();
        let rest = rest.get(..rest.len().min(80)).unwrap_or_default();
        if rest.contains(&b'{') {
            desk.findings.add(&OBJECT, 7, start..next);
            return;
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
    fn objects_are_found_by_their_marks() {
        finds(
            Category::Deserialisation,
            &[
                "rO0ABXNyABFqYXZhLnV0aWwuSGFzaE1hcA==",
                "aced00057372001164",
                "AAEAAAD/////AQAAAAAAAAAMAgAAAFdTeXN0",
                "O:8:\"stdClass\":1:{s:1:\"a\";i:2;}",
                "a:1:{i:0;O:4:\"Evil\":0:{}}",
                "!!python/object/apply:os.system ['id']",
                "_$$ND_FUNC$$_function(){}()",
                "cos\nsystem\n(S'id'\ntR.",
                "{\"@type\":\"com.sun.rowset.JdbcRowSetImpl\",\"autoCommit\":true}",
                "!!javax.script.ScriptEngineManager [x]",
            ],
        );
    }

    #[test]
    fn ordinary_values_are_left_alone() {
        passes(&[
            "To: bob; C: x {1}",
            "O:5 is the score",
            "aGVsbG8gd29ybGQ=",
            "a: {b: 1};",
            "yaml tags like !!str and !!map",
            "HELLO: 1:{2}",
        ]);
    }
}

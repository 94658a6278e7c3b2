//! Entities and inclusions of XML that read files or other hosts, or grow without end.

use sockwarden_inspect::Marks;

use super::{Desk, Detector, Side, Text, declare};
use crate::{starts::Start, table::tables, words};

declare! {
    ENTITY = "xml-entity", Xml, 1,
        "An entity of XML is declared, which reads a file, another host or itself.",
        ["CWE-611", "CWE-776", "https://owasp.org/www-community/vulnerabilities/XML_External_Entity_(XXE)_Processing"];
    DOCTYPE = "xml-doctype", Xml, 1,
        "A document type of XML is declared inside the document or somewhere else.",
        ["CWE-611"];
    INCLUSION = "xml-inclusion", Xml, 1,
        "A document of XML includes another one, or a style sheet reads one.",
        ["CWE-611", "CWE-91"];
}

pub(super) static DETECTOR: Detector = Detector {
    rules: RULES,
    side: Side::Client,
    starts: &[Start {
        marks: &[Marks::ANGLE],
        literals: &[
            "<!doctype",
            "<!entity",
            "<!element",
            "<!attlist",
            "xinclude",
            "xi:include",
            "xml-stylesheet",
            "document(",
            "<xsl:",
            "schemalocation",
            "datasrc",
            "<?import",
            "[cdata[",
        ],
    }],
    run,
};

tables! {
    /// What includes other documents, or reads them.
    INCLUDING = [
        ("http://www.w3.org/2001/xinclude", 7),
        ("<xi:include", 7),
        ("document('", 5),
        ("<xsl:include", 5),
        ("<xsl:import", 5),
        ("<?xml-stylesheet", 4),
        ("php:function", 7),
        ("<?import", 5),
        ("datasrc=", 3),
        ("<![cdata[<]]", 6),
        ("]]>script", 3),
        ("<xsl:value-of select=\"system", 6),
        ("xsi:schemalocation=\"http", 3),
    ];
}

fn run(text: &Text<'_>, desk: &mut Desk) {
    let bytes = text.bytes;
    let near = |at: usize| {
        let rest = bytes.get(at..).unwrap_or_default();
        rest.get(..rest.len().min(512)).unwrap_or_default()
    };
    let mut left = 8;
    let mut at = 0;
    while let Some(found) = words::find(bytes, at, b"<!entity") {
        let declaration = near(found);
        let end = declaration.iter().position(|byte| *byte == b'>').unwrap_or(declaration.len());
        let declaration = declaration.get(..end).unwrap_or_default();
        let weight = match (
            words::holds_any(declaration, &["system", "public"]),
            declaration.contains(&b'%'),
            declaration.contains(&b'&'),
        ) {
            (true, _, _) => 8,
            (_, true, _) => 7,
            (_, _, true) => 6,
            _ => 5,
        };
        desk.findings.add(&ENTITY, weight, found..found + end);
        at = found + 8;
        left -= 1;
        if left == 0 {
            break;
        }
    }
    if let Some(found) = words::find(bytes, 0, b"<!doctype") {
        let declaration = near(found);
        let end =
            declaration.iter().position(|byte| matches!(byte, b'>' | b'[')).unwrap_or(declaration.len());
        let opened = declaration.get(end) == Some(&b'[');
        let declaration = declaration.get(..end).unwrap_or_default();
        let outside = words::holds_any(declaration, &["system", "public"])
            && !words::holds_any(declaration, &["w3c", "w3.org", "about:legacy", "ietf"]);
        if opened || outside {
            desk.findings.add(&DOCTYPE, if outside { 6 } else { 5 }, found..found + end);
        }
    }
    INCLUDING.first(bytes, |number, at| {
        if let Some(&(word, weight)) = INCLUDING.words.get(number) {
            desk.findings.add(&INCLUSION, weight, at..at + word.len());
        }
    });
    if words::holds(bytes, b"<xml")
        && words::holds_any(bytes, &["<xml src", "<xml id"])
        && words::holds(bytes, b"datasrc")
    {
        desk.findings.add(&INCLUSION, 5, 0..bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Category,
        testing::{finds, passes},
    };

    #[test]
    fn entities_and_inclusions_are_found() {
        finds(
            Category::Xml,
            &[
                "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY x SYSTEM \"file:///x\">]><a>&x;</a>",
                "<!DOCTYPE a SYSTEM \"http://x.example/a.dtd\">",
                "<!DOCTYPE a [<!ENTITY % p SYSTEM \"http://x.example\"> %p;]>",
                "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><l>&b;</l>",
                "<a xmlns:xi=\"http://www.w3.org/2001/XInclude\"><xi:include href=\"x\"/></a>",
                "%3C!DOCTYPE a [%3C!ENTITY x SYSTEM 'x'%3E]%3E",
            ],
        );
    }

    #[test]
    fn documents_are_left_alone() {
        passes(&[
            "<!DOCTYPE html><html><body>hi</body></html>",
            "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\" \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd\">",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><note><to>x</to></note>",
            "<![CDATA[some text]]>",
            "an entity is declared with <!ENTITY, I think",
        ]);
    }
}

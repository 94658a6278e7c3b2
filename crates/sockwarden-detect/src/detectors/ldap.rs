//! LDAP filters: a text ends the filter into which it is put and adds another one.

use sockwarden_inspect::Marks;

use super::{Desk, Detector, Side, Text, declare};
use crate::{starts::Start, table::tables};

declare! {
    FILTER = "ldap-filter", Ldap, 1,
        "A text ends an LDAP filter and adds another one.",
        ["CWE-90", "https://www.rfc-editor.org/rfc/rfc4515"];
}

pub(super) static DETECTOR: Detector = Detector {
    rules: RULES,
    side: Side::Client,
    starts: &[Start {
        marks: &[Marks::PAREN],
        literals: &["*)", ")(", "(|", "(&(", "(!(", "*(", ")&", ")|", ")%00", ")\0", "=*)", "*))"],
    }],
    run,
};

tables! {
    /// What only attackers write, and how much it says.
    SHAPES = [
    ("*)(|(", 7),
    ("*)(&", 7),
    ("*)(!", 7),
    (")(|(", 6),
    (")(&(", 6),
    (")(!(", 6),
    ("*))(|", 7),
    ("*)((|", 7),
    ("*(|(", 6),
    ("*()|", 5),
    ("*))%00", 7),
    ("*))\0", 7),
    ("*)(objectclass", 7),
    ("*)(uid=", 7),
    ("*)(cn=", 7),
    ("*)(mail=", 7),
    (")(uid=*", 6),
    (")(cn=*", 6),
    (")(objectclass=*", 6),
    ("(objectclass=*)", 3),
    ("*)(", 4),
    ("(*)*)", 5),
    ("*))", 2),
    ("|(mail=*))", 5),
];
}

fn run(text: &Text<'_>, desk: &mut Desk) {
    let bytes = text.bytes;
    let program = text.marks.any(Marks::LINE | Marks::SEMICOLON);
    SHAPES.first(bytes, |number, at| {
        let Some((shape, weight)) = SHAPES.words.get(number) else { return };
        let head = bytes.get(..at).unwrap_or_default();
        // A filter that is whole opens what it ends.
        let opens = head.iter().filter(|byte| **byte == b'(').count();
        let closes = head.iter().filter(|byte| **byte == b')').count();
        let weight = if opens > closes || program { weight.saturating_sub(3) } else { *weight };
        if weight > 0 {
            desk.findings.add(&FILTER, weight, at..at + shape.len());
        }
    });
}

#[cfg(test)]
mod tests {
    use crate::{
        Category,
        testing::{finds, passes},
    };

    #[test]
    fn ways_out_of_a_filter_are_found() {
        finds(
            Category::Ldap,
            &[
                "*)(uid=*))(|(uid=*",
                "admin*)((|userPassword=*)",
                "*)(&(objectClass=*",
                "x)(|(cn=*))",
                "*(|(mail=*))",
                "*))%00",
                "admin)(!(&(|",
            ],
        );
    }

    #[test]
    fn brackets_of_people_are_left_alone() {
        passes(&[
            "f(a)(b)",
            "(see (1) and (2))",
            "[a](b)(c)",
            "2 * (3 + 4) * (5)",
            "bold (*really*) so",
            "(a & b) | (c)",
            "void (*f)(int)",
            ":-)(-:",
        ]);
    }
}

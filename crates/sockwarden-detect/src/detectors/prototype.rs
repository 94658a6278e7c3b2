//! Paths in texts that lead to the prototype of all objects; members that are called so are found by their names (`keys`).

use sockwarden_inspect::{Marks, Role};

use super::{Desk, Detector, Side, Text, declare};
use crate::{starts::Start, words};

declare! {
    PATH = "prototype-path", Prototype, 1,
        "A path of members leads to the prototype of all objects.",
        ["CWE-1321"];
}

pub(super) static DETECTOR: Detector = Detector {
    rules: RULES,
    side: Side::Client,
    starts: &[
        Start {
            marks: &[Marks::UNDERSCORE],
            literals: &["__proto__", "__definegetter__", "__definesetter__", "__lookupgetter__"],
        },
        Start {
            marks: &[Marks::DOT.and(Marks::BRACKET)],
            literals: &[
                "constructor.prototype",
                "constructor[prototype",
                "constructor][prototype",
                "constructor[\"prototype",
                "constructor['prototype",
                "constructor:prototype",
            ],
        },
    ],
    run,
};

fn run(text: &Text<'_>, desk: &mut Desk) {
    // Names of members are looked at by themselves.
    if text.value.role == Role::Key {
        return;
    }
    let bytes = text.bytes;
    let lone = !text.marks.any(Marks::SPACE | Marks::LINE);
    for word in [
        "__proto__",
        "constructor.prototype",
        "constructor[prototype",
        "constructor][prototype",
        "constructor[\"prototype",
        "constructor['prototype",
        "__definegetter__",
        "__definesetter__",
    ] {
        let Some(at) = words::find(bytes, 0, word.as_bytes()) else { continue };
        let next = bytes.get(at + word.len()).copied();
        let reaches = matches!(next, Some(b'[' | b'.' | b']' | b'"' | b'\'' | b'('))
            || matches!(next, Some(b'=' | b':'));
        let weight = match (lone, reaches) {
            (true, true) => 6,
            (true, false) => 4,
            (false, true) if !text.sentence() && !text.marks.any(Marks::LINE) => 5,
            (false, _) => 2,
        };
        desk.findings.add(&PATH, weight, at..at + word.len());
        break;
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Category,
        testing::{finds, passes},
    };

    #[test]
    fn paths_to_the_prototype_are_found() {
        finds(
            Category::Prototype,
            &[
                "__proto__[admin]=1",
                "__proto__.isAdmin=true",
                "constructor.prototype.x=1",
                "a[constructor][prototype][x]=1",
                "{\"__proto__\":{\"a\":1}}",
                "%5f%5fproto%5f%5f.x=1",
            ],
        );
    }

    #[test]
    fn talk_about_prototypes_is_left_alone() {
        passes(&[
            "the __proto__ of an object is deprecated",
            "Object.prototype.toString.call(x)",
            "function constructor and prototype",
            "the prototype works",
        ]);
    }
}

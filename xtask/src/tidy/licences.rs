//! Under which licences others' crates may come; deny.toml says the same to cargo-deny.

use super::{Complaint, Repository, Rule};

pub(super) const RULE: Rule =
    Rule { name: "licences", holds: "every dependency can be had under a permissive licence", check };

const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

const RIGHT: &str =
    "find another crate, or argue for the licence in xtask/src/tidy/licences.rs and deny.toml";

fn check(repository: &Repository) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for package in repository.metadata.built() {
        let what = match (&package.license, &package.license_file) {
            (Some(expression), _) => match is_allowed(expression) {
                Some(true) => continue,
                Some(false) => format!("its licence is {expression}"),
                None => format!("its licence expression `{expression}` cannot be read"),
            },
            (None, Some(file)) => format!("it names no licence, only the file {file}"),
            (None, None) => "it names no licence".to_owned(),
        };
        complaints.push(Complaint::new(format!("{} {}", package.name, package.version), 0, what, RIGHT));
    }
    complaints
}

/// Whether an SPDX expression can be met with the allowed licences; `None` when it is no expression.
fn is_allowed(expression: &str) -> Option<bool> {
    // Old manifests write `MIT/Apache-2.0` for a choice.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    let met = any(&mut rest, 0)?;
    rest.is_empty().then_some(met)
}

/// No honest expression is nested deeper.
const DEEPEST: u32 = 16;

fn any(rest: &mut &[&str], depth: u32) -> Option<bool> {
    let mut met = all(rest, depth)?;
    while let ["OR", after @ ..] = *rest {
        *rest = after;
        met |= all(rest, depth)?;
    }
    Some(met)
}

fn all(rest: &mut &[&str], depth: u32) -> Option<bool> {
    let mut met = one(rest, depth)?;
    while let ["AND", after @ ..] = *rest {
        *rest = after;
        met &= one(rest, depth)?;
    }
    Some(met)
}

fn one(rest: &mut &[&str], depth: u32) -> Option<bool> {
    match *rest {
        ["(", after @ ..] if depth < DEEPEST => {
            *rest = after;
            let met = any(rest, depth + 1)?;
            let [")", after @ ..] = *rest else { return None };
            *rest = after;
            Some(met)
        }
        ["(" | ")" | "AND" | "OR" | "WITH", ..] | [] => None,
        [licence, "WITH", exception, after @ ..] => {
            *rest = after;
            Some(ALLOWED.contains(&format!("{licence} WITH {exception}").as_str()))
        }
        [licence, after @ ..] => {
            *rest = after;
            Some(ALLOWED.contains(licence))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{crates, places};
    use super::*;

    #[test]
    fn expressions_are_read_as_spdx_means_them() {
        let check = |expression, expected| assert_eq!(is_allowed(expression), expected, "{expression}");
        check("MIT", Some(true));
        check("MIT OR GPL-3.0-only", Some(true));
        check("GPL-3.0-only/MIT", Some(true));
        check("MIT AND GPL-3.0-only", Some(false));
        check("GPL-3.0-only OR MIT AND AGPL-3.0-only", Some(false));
        check("(GPL-3.0-only OR MIT) AND ISC", Some(true));
        check("Apache-2.0 WITH LLVM-exception OR MPL-2.0", Some(true));
        check("GPL-2.0-only WITH Classpath-exception-2.0", Some(false));
        check("", None);
        check("MIT OR", None);
        check("(MIT", None);
        check("MIT ISC", None);
        check(&"(".repeat(10_000), None);
    }

    #[test]
    fn a_crate_without_a_permissive_licence_is_named() {
        let mut bad = crates(&[
            ("sockwarden", &["good", "copyleft", "silent"]),
            ("good", &[]),
            ("copyleft", &[]),
            ("silent", &[]),
            ("not-built", &[]),
        ]);
        bad.metadata.packages[2].license = Some("AGPL-3.0-only".into());
        bad.metadata.packages[3].license = None;
        bad.metadata.packages[4].license = None;
        assert_eq!(places(&RULE, &bad), [("copyleft 1.0.0".to_owned(), 0), ("silent 1.0.0".to_owned(), 0)]);
    }
}

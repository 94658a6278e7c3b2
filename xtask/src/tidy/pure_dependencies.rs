//! What the deciding crates are built from.

use std::collections::BTreeMap;

use super::{Complaint, PURE_CRATES, Repository, Rule};

pub(super) const RULE: Rule = Rule {
    name: "pure-dependencies",
    holds: "a crate that decides is built from nothing that waits, listens, encrypts or rolls dice",
    check,
};

const IMPURE: &[&str] = &[
    "aws-lc-rs",
    "aws-lc-sys",
    "getrandom",
    "hyper",
    "hyper-util",
    "mio",
    "rand",
    "rusqlite",
    "rustls",
    "socket2",
    "tokio",
    "tokio-rustls",
];

fn check(repository: &Repository) -> Vec<Complaint> {
    let metadata = &repository.metadata;
    let mut complaints = Vec::new();
    for (name, package) in metadata.ours() {
        if !PURE_CRATES.contains(&name) {
            continue;
        }
        // From each package the one that led to it, so that a complaint can show the way.
        let mut led_by: BTreeMap<&str, &str> = BTreeMap::new();
        let mut waiting = vec![package.id.as_str()];
        while let Some(id) = waiting.pop() {
            for edge in metadata.uses(id) {
                let normal = edge.dep_kinds.iter().any(|kind| kind.kind.is_none());
                if normal && edge.pkg != package.id && !led_by.contains_key(edge.pkg.as_str()) {
                    led_by.insert(&edge.pkg, id);
                    waiting.push(&edge.pkg);
                }
            }
        }
        for &id in led_by.keys() {
            let Some(found) = metadata.package(id) else { continue };
            if IMPURE.contains(&found.name.as_str()) {
                complaints.push(Complaint::new(
                    name,
                    0,
                    format!("it is built from {}", way(metadata, &led_by, id)),
                    "let a shell crate do it, or drop the feature that brings it",
                ));
            }
        }
    }
    complaints
}

fn way(metadata: &crate::metadata::Metadata, led_by: &BTreeMap<&str, &str>, to: &str) -> String {
    let mut names = Vec::new();
    let mut at = Some(to);
    while let Some(id) = at {
        names.push(metadata.package(id).map_or(id, |package| package.name.as_str()));
        at = led_by.get(id).copied();
    }
    names.pop();
    names.join(", wanted by ")
}

#[cfg(test)]
mod tests {
    use super::super::sample::{crates, places};
    use super::*;

    #[test]
    fn an_impure_dependency_is_found_however_deep() {
        let bad = crates(&[
            ("sockwarden-proto", &["bytes", "helper"]),
            ("bytes", &[]),
            ("helper", &["deeper"]),
            ("deeper", &["getrandom"]),
            ("getrandom", &[]),
        ]);
        assert_eq!(places(&RULE, &bad), [("sockwarden-proto".to_owned(), 0)]);
        assert!(check(&bad)[0].what.ends_with("getrandom, wanted by deeper, wanted by helper"));
    }

    #[test]
    fn what_tests_and_build_scripts_use_is_their_affair() {
        let good = crates(&[
            ("sockwarden-proto", &["dev:tokio", "build:rand"]),
            ("sockwarden-net", &["tokio"]),
            ("tokio", &[]),
            ("rand", &[]),
        ]);
        assert_eq!(places(&RULE, &good), []);
    }
}

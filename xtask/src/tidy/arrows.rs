//! Which crate may use which; ARCHITECTURE.md draws the same arrows.

use super::{Complaint, Repository, Rule};

pub(super) const RULE: Rule =
    Rule { name: "arrows", holds: "a crate uses only the crates that its arrows lead to", check };

/// Each crate of the workspace and the crates of ours that it may use.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "sockwarden",
        &[
            "sockwarden-config",
            "sockwarden-console",
            "sockwarden-defend",
            "sockwarden-detect",
            "sockwarden-gateway",
            "sockwarden-identity",
            "sockwarden-inspect",
            "sockwarden-lab",
            "sockwarden-model",
            "sockwarden-net",
            "sockwarden-proto",
            "sockwarden-report",
            "sockwarden-scan",
            "sockwarden-seclang",
            "sockwarden-state",
            "sockwarden-store",
        ],
    ),
    (
        "sockwarden-gateway",
        &[
            "sockwarden-config",
            "sockwarden-defend",
            "sockwarden-detect",
            "sockwarden-identity",
            "sockwarden-inspect",
            "sockwarden-model",
            "sockwarden-net",
            "sockwarden-proto",
            "sockwarden-rate",
            "sockwarden-state",
        ],
    ),
    ("sockwarden-identity", &["sockwarden-config", "sockwarden-model", "sockwarden-net", "sockwarden-proto"]),
    ("sockwarden-console", &["sockwarden-model"]),
    ("sockwarden-scan", &["sockwarden-model", "sockwarden-net", "sockwarden-proto"]),
    ("sockwarden-report", &["sockwarden-model"]),
    ("sockwarden-state", &["sockwarden-config", "sockwarden-model", "sockwarden-rate"]),
    ("sockwarden-store", &["sockwarden-model"]),
    (
        "sockwarden-defend",
        &[
            "sockwarden-config",
            "sockwarden-detect",
            "sockwarden-inspect",
            "sockwarden-model",
            "sockwarden-proto",
            "sockwarden-rate",
        ],
    ),
    ("sockwarden-detect", &["sockwarden-inspect", "sockwarden-model", "sockwarden-seclang"]),
    ("sockwarden-rate", &[]),
    ("sockwarden-seclang", &["sockwarden-inspect", "sockwarden-model"]),
    ("sockwarden-inspect", &["sockwarden-model", "sockwarden-proto"]),
    ("sockwarden-net", &["sockwarden-proto"]),
    ("sockwarden-proto", &[]),
    ("sockwarden-config", &["sockwarden-model"]),
    ("sockwarden-model", &[]),
    (
        "sockwarden-testkit",
        &[
            "sockwarden-detect",
            "sockwarden-inspect",
            "sockwarden-model",
            "sockwarden-net",
            "sockwarden-proto",
            "sockwarden-seclang",
        ],
    ),
    ("sockwarden-lab", &[]),
    (
        "sockwarden-bench",
        &[
            "sockwarden-defend",
            "sockwarden-detect",
            "sockwarden-inspect",
            "sockwarden-model",
            "sockwarden-net",
            "sockwarden-proto",
            "sockwarden-rate",
            "sockwarden-seclang",
        ],
    ),
    ("xtask", &[]),
];

/// For tests only: nothing that is shipped may be built from it.
const TESTS_ONLY: &str = "sockwarden-testkit";

fn check(repository: &Repository) -> Vec<Complaint> {
    let ours = repository.metadata.ours();
    let mut complaints = Vec::new();
    for (&name, package) in &ours {
        let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else {
            complaints.push(Complaint::new(
                name,
                0,
                "the crate has no arrows",
                "give it a row in xtask/src/tidy/arrows.rs and in ARCHITECTURE.md",
            ));
            continue;
        };
        for used in package.dependencies.iter().filter(|used| ours.contains_key(used.name.as_str())) {
            let for_tests = used.kind.as_deref() == Some("dev");
            if for_tests && used.name != "xtask" {
                continue;
            }
            if used.name == TESTS_ONLY {
                complaints.push(Complaint::new(
                    name,
                    0,
                    format!("it is built from {TESTS_ONLY}"),
                    "use it in tests only: move it to [dev-dependencies]",
                ));
            } else if !allowed.contains(&used.name.as_str()) {
                complaints.push(Complaint::new(
                    name,
                    0,
                    format!("it uses {}", used.name),
                    "no arrow leads there: move what both need further down, or change ARCHITECTURE.md first",
                ));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::super::sample::{crates, places};
    use super::*;

    #[test]
    fn dependencies_along_the_arrows_are_fine() {
        let good = crates(&[
            ("sockwarden", &["sockwarden-gateway", "tokio"]),
            ("sockwarden-gateway", &["sockwarden-defend", "dev:sockwarden-testkit", "dev:sockwarden-lab"]),
            ("sockwarden-defend", &["sockwarden-proto"]),
            ("sockwarden-proto", &["bytes"]),
            ("sockwarden-testkit", &["sockwarden-proto"]),
            ("sockwarden-lab", &[]),
        ]);
        assert_eq!(places(&RULE, &good), []);
    }

    #[test]
    fn every_other_dependency_is_named() {
        let check = |name, uses: &[&str]| {
            let bad = crates(&[
                (name, uses),
                ("sockwarden-proto", &[]),
                ("sockwarden-report", &[]),
                ("sockwarden-testkit", &[]),
                ("xtask", &[]),
            ]);
            assert_eq!(places(&RULE, &bad), [(name.to_owned(), 0)], "{name} -> {uses:?}");
        };
        check("sockwarden-lab", &["sockwarden-proto"]);
        check("sockwarden-scan", &["sockwarden-report"]);
        check("sockwarden-gateway", &["sockwarden-testkit"]);
        check("sockwarden-gateway", &["build:sockwarden-report"]);
        check("sockwarden", &["dev:xtask"]);
        check("sockwarden-novelty", &[]);
    }

    #[test]
    fn the_arrows_have_no_circle() {
        fn reaches(from: &str, to: &str) -> bool {
            ARROWS
                .iter()
                .filter(|(name, _)| *name == from)
                .flat_map(|(_, uses)| uses.iter())
                .any(|&next| next == to || reaches(next, to))
        }
        for (name, uses) in ARROWS {
            for used in *uses {
                assert!(!reaches(used, name), "{name} and {used} use each other");
            }
        }
    }
}

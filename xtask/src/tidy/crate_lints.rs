//! Every crate takes the lints of the workspace.

use super::{Complaint, Repository, Rule};

pub(super) const RULE: Rule = Rule {
    name: "crate-lints",
    holds: "one set of lints, in the root manifest, holds for every crate",
    check,
};

fn check(repository: &Repository) -> Vec<Complaint> {
    let manifests = repository.files.iter().filter(|file| {
        matches!(file.path.as_str(), "bench/Cargo.toml" | "xtask/Cargo.toml")
            || (file.path.starts_with("crates/") && file.path.ends_with("/Cargo.toml"))
    });
    manifests
        .filter(|file| !takes_workspace_lints(&file.text))
        .map(|file| {
            Complaint::new(
                &file.path,
                0,
                "it does not take the workspace's lints",
                "add `[lints] workspace = true`",
            )
        })
        .collect()
}

fn takes_workspace_lints(manifest: &str) -> bool {
    let Ok(manifest) = manifest.parse::<toml::Table>() else { return false };
    manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool)
        == Some(true)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{files, places};
    use super::*;

    #[test]
    fn a_manifest_without_the_lints_is_named() {
        let check = |text: &str, good: bool| {
            let found = places(&RULE, &files(&[("crates/a/Cargo.toml", text)]));
            assert_eq!(found.is_empty(), good, "{text}");
        };
        check("[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n", true);
        check("lints.workspace = true\n", true);
        check("[lints]\nworkspace = false\n", false);
        check("[package]\nname = \"a\"\n", false);
        check("# [lints]\n# workspace = true\n", false);
        check("not a manifest", false);
    }

    #[test]
    fn the_root_manifest_is_no_crate() {
        assert_eq!(places(&RULE, &files(&[("Cargo.toml", "[workspace]\n")])), []);
    }
}

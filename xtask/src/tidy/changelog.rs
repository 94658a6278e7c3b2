//! The changelog knows the present.

use super::{Complaint, Repository, Rule};

pub(super) const RULE: Rule =
    Rule { name: "changelog", holds: "CHANGELOG.md has a section for what is being made", check };

const PLACE: &str = "CHANGELOG.md";

fn check(repository: &Repository) -> Vec<Complaint> {
    let Some(file) = repository.files.iter().find(|file| file.path == PLACE) else {
        return vec![Complaint::new(PLACE, 0, "it is not there", "write one: see keepachangelog.com")];
    };
    let versions = repository.metadata.ours();
    let current = versions.get("sockwarden").map(|package| format!("## [{}]", package.version));
    let found = file.text.lines().any(|line| {
        line.starts_with("## [Unreleased]")
            || current.as_deref().is_some_and(|current| line.starts_with(current))
    });
    if found {
        return Vec::new();
    }
    vec![Complaint::new(
        PLACE,
        0,
        "it has no section for the present version",
        "add `## [Unreleased]` or a section with the version of Cargo.toml",
    )]
}

#[cfg(test)]
mod tests {
    use super::super::sample::{crates, files};
    use super::*;

    #[test]
    fn the_present_must_have_its_section() {
        let check_text = |text: &str, good: bool| {
            let mut sample = files(&[(PLACE, text)]);
            sample.metadata = crates(&[("sockwarden", &[])]).metadata;
            assert_eq!(check(&sample).is_empty(), good, "{text}");
        };
        check_text("# Changelog\n\n## [Unreleased]\n", true);
        check_text("# Changelog\n\n## [1.0.0] - unreleased\n", true);
        check_text("# Changelog\n\n## [0.9.0] - 2026-01-01\n", false);
        check_text("", false);
        assert_eq!(check(&files(&[])).len(), 1);
    }
}

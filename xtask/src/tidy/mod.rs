//! `cargo xtask tidy`: the rules of the repository that no compiler knows, one file each.
//!
//! A rule is a pure function from the repository as data to complaints; the order of [`RULES`] is the order of the report.

mod arrows;
mod banned_crates;
mod changelog;
mod crate_lints;
mod file_length;
mod headings;
mod licences;
mod machine_paths;
mod pure_dependencies;
mod pure_sources;
mod unfinished;

use std::path::Path;

use anyhow::Context as _;

use crate::metadata::{self, Metadata};
use crate::tally::Tally;
use crate::{Outcome, shell};

/// The repository as the rules see it.
#[derive(Debug, Default)]
struct Repository {
    files: Vec<SourceFile>,
    metadata: Metadata,
}

/// A tracked file: its path from the root with `/` between folders, and its text.
#[derive(Debug)]
struct SourceFile {
    path: String,
    text: String,
}

/// One thing that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
struct Complaint {
    /// A file of the repository, or a crate.
    place: String,
    /// The line in it, from one; zero when the whole is meant.
    line: usize,
    /// What is wrong.
    what: String,
    /// What would be right.
    right: &'static str,
}

/// A rule: its name, what it holds, and the function that finds what breaks it.
struct Rule {
    name: &'static str,
    holds: &'static str,
    check: fn(&Repository) -> Vec<Complaint>,
}

const RULES: &[Rule] = &[
    arrows::RULE,
    pure_dependencies::RULE,
    pure_sources::RULE,
    banned_crates::RULE,
    licences::RULE,
    crate_lints::RULE,
    headings::RULE,
    file_length::RULE,
    unfinished::RULE,
    machine_paths::RULE,
    changelog::RULE,
];

/// The crates that decide: no runtime, socket, file, clock or random source (invariant 1 of ARCHITECTURE.md).
const PURE_CRATES: &[&str] = &[
    "sockwarden-config",
    "sockwarden-defend",
    "sockwarden-detect",
    "sockwarden-inspect",
    "sockwarden-model",
    "sockwarden-proto",
    "sockwarden-rate",
    "sockwarden-seclang",
];

/// A text file that is larger is no source of ours.
const LARGEST_FILE: u64 = 4 * 1024 * 1024;

pub(crate) fn run(words: &[&str]) -> anyhow::Result<Outcome> {
    if !words.is_empty() {
        return Ok(Outcome::Usage);
    }
    let tally = check(&shell::root()?)?;
    println!("{tally}");
    Ok(if tally.failed == 0 { Outcome::Good } else { Outcome::Bad })
}

/// Runs every rule; each counts as one.
pub(crate) fn check(root: &Path) -> anyhow::Result<Tally> {
    let repository = Repository::read(root)?;
    let mut sum = Tally::default();
    for rule in RULES {
        let complaints = (rule.check)(&repository);
        sum += Tally::of(complaints.is_empty());
        if !complaints.is_empty() {
            eprintln!("tidy: {}: {}", rule.name, rule.holds);
        }
        for complaint in complaints {
            eprintln!("  {complaint}");
        }
    }
    Ok(sum)
}

impl Repository {
    fn read(root: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        for path in metadata::tracked_files(root)? {
            let place = root.join(&path);
            // A tracked file may have been removed and a link may lead out of the repository: neither is a source.
            if !place.symlink_metadata().is_ok_and(|found| found.is_file() && found.len() <= LARGEST_FILE) {
                continue;
            }
            let bytes = std::fs::read(&place).with_context(|| format!("failed to read {path}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(SourceFile { path, text });
            }
        }
        Ok(Self { files, metadata: Metadata::read(root)? })
    }

    /// The files whose name ends in `.rs`.
    fn rust(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }
}

impl Complaint {
    fn new(place: impl Into<String>, line: usize, what: impl Into<String>, right: &'static str) -> Self {
        Self { place: place.into(), line, what: what.into(), right }
    }
}

impl std::fmt::Display for Complaint {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.place)?;
        if self.line > 0 {
            write!(out, ":{}", self.line)?;
        }
        write!(out, ": {}; {}", self.what, self.right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_names_the_place_the_fault_and_the_remedy() {
        let complaint = Complaint::new("a.rs", 3, "the loop has no end", "bound it");
        assert_eq!(complaint.to_string(), "a.rs:3: the loop has no end; bound it");
        let complaint = Complaint::new("a.rs", 0, "the file is empty", "remove it");
        assert_eq!(complaint.to_string(), "a.rs: the file is empty; remove it");
    }

    #[test]
    fn rules_have_names_of_their_own() {
        let mut names: Vec<_> = RULES.iter().map(|rule| rule.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RULES.len());
    }
}

/// Makes samples for the tests of the rules.
#[cfg(test)]
mod sample {
    use super::*;
    use crate::metadata::{Declared, Edge, Kind, Node, Package};

    /// A repository of these files and no crates.
    pub(super) fn files(files: &[(&str, &str)]) -> Repository {
        let files =
            files.iter().map(|&(path, text)| SourceFile { path: path.into(), text: text.into() }).collect();
        Repository { files, ..Repository::default() }
    }

    /// A repository of these crates: name, then its dependencies as `name`, `dev:name` or `build:name`.
    ///
    /// A crate whose name begins with `sockwarden` or is `xtask` is a member of the workspace; every name has version 1.0.0.
    pub(super) fn crates(crates: &[(&str, &[&str])]) -> Repository {
        let mut metadata = Metadata::default();
        for &(name, dependencies) in crates {
            let split = |word: &str| match word.split_once(':') {
                Some((kind, name)) => (Some(kind.to_owned()), name.to_owned()),
                None => (None, word.to_owned()),
            };
            metadata.packages.push(Package {
                id: name.into(),
                name: name.into(),
                version: "1.0.0".into(),
                license: Some("MIT".into()),
                dependencies: dependencies
                    .iter()
                    .map(|word| split(word))
                    .map(|(kind, name)| Declared { name, kind, ..Declared::default() })
                    .collect(),
                ..Package::default()
            });
            metadata.resolve.nodes.push(Node {
                id: name.into(),
                deps: dependencies
                    .iter()
                    .map(|word| split(word))
                    .map(|(kind, name)| Edge { pkg: name, dep_kinds: vec![Kind { kind }] })
                    .collect(),
                features: Vec::new(),
            });
            if name.starts_with("sockwarden") || name == "xtask" {
                metadata.workspace_members.push(name.into());
            }
        }
        Repository { files: Vec::new(), metadata }
    }

    /// The places and lines of the complaints of a rule.
    pub(super) fn places(rule: &Rule, repository: &Repository) -> Vec<(String, usize)> {
        (rule.check)(repository).into_iter().map(|complaint| (complaint.place, complaint.line)).collect()
    }
}

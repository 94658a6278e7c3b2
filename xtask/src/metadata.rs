//! What `cargo metadata` knows about our crates and everything they are built from.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;

use crate::shell;

/// The parts of `cargo metadata` that the tidy rules read.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_members: Vec<String>,
    pub(crate) resolve: Resolve,
    pub(crate) target_directory: String,
}

/// One package, ours or another's.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) license_file: Option<String>,
    pub(crate) dependencies: Vec<Declared>,
}

/// A dependency as a manifest declares it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Declared {
    pub(crate) name: String,
    /// `None` for a normal one, else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

/// The dependency graph as cargo resolved it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

/// A package in the graph.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) deps: Vec<Edge>,
}

/// A resolved dependency and the ways in which it is used.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Edge {
    pub(crate) pkg: String,
    pub(crate) dep_kinds: Vec<Kind>,
}

/// One way in which a dependency is used.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Kind {
    /// `None` for a normal one, else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

impl Metadata {
    /// Asks cargo, without touching the lock file.
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut command = shell::cargo(root, &["metadata", "--format-version", "1", "--locked"]);
        // The standard library's own capture: the answer is one line of megabytes, and cargo ends by itself.
        let output = command.output().context("failed to start cargo metadata")?;
        anyhow::ensure!(
            output.status.success(),
            "failed to read the crates: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        serde_json::from_slice(&output.stdout).context("failed to understand cargo metadata")
    }

    /// The packages of this workspace, by name.
    pub(crate) fn ours(&self) -> BTreeMap<&str, &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
            .map(|package| (package.name.as_str(), package))
            .collect()
    }

    /// The package with this id.
    pub(crate) fn package(&self, id: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.id == id)
    }
}

/// The files that git knows or would add, relative to the root, `/` between folders.
pub(crate) fn tracked_files(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut command = std::process::Command::new("git");
    command.current_dir(root).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "--deduplicate",
    ]);
    let finished = shell::capture(command.env("GIT_OPTIONAL_LOCKS", "0"), Duration::from_secs(30))?;
    anyhow::ensure!(
        finished.end.is_success(),
        "failed to list the files: git says {}",
        finished.lines.join(" ")
    );
    Ok(finished.lines)
}

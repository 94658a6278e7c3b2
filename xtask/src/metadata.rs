//! What `cargo metadata` knows about our crates and everything they are built from.

use std::collections::{BTreeMap, BTreeSet};
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
    /// What each feature turns on.
    pub(crate) features: BTreeMap<String, Vec<String>>,
}

/// A dependency as a manifest declares it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Declared {
    pub(crate) name: String,
    /// `None` for a normal one, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    /// The name it goes by when that is another.
    pub(crate) rename: Option<String>,
    /// Whether only a feature turns it on.
    pub(crate) optional: bool,
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
    /// The features that are on.
    pub(crate) features: Vec<String>,
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

    /// What `id` is really built from, for any platform.
    ///
    /// The lock file also has what a feature mentions without turning it on (`name?/feature`): it is never compiled, and
    /// is left out here.
    pub(crate) fn uses<'a>(&'a self, id: &str) -> impl Iterator<Item = &'a Edge> + use<'a> {
        let package = self.package(id);
        let node = self.resolve.nodes.iter().find(|node| node.id == id);
        node.into_iter().flat_map(move |node| {
            node.deps.iter().filter(move |edge| {
                let Some((package, used)) = package.zip(self.package(&edge.pkg)) else { return true };
                let mut declared = package.dependencies.iter().filter(|declared| declared.name == used.name);
                declared.any(|declared| !declared.optional || is_turned_on(package, node, declared))
            })
        })
    }

    /// Everything that can be compiled from this workspace, ours included.
    pub(crate) fn built(&self) -> Vec<&Package> {
        let mut seen: BTreeSet<&str> = self.workspace_members.iter().map(String::as_str).collect();
        let mut waiting: Vec<&str> = seen.iter().copied().collect();
        while let Some(id) = waiting.pop() {
            for edge in self.uses(id) {
                if seen.insert(&edge.pkg) {
                    waiting.push(&edge.pkg);
                }
            }
        }
        self.packages.iter().filter(|package| seen.contains(package.id.as_str())).collect()
    }

    /// The package with this id.
    pub(crate) fn package(&self, id: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.id == id)
    }
}

/// Whether a feature that is on turns an optional dependency on.
fn is_turned_on(package: &Package, node: &Node, declared: &Declared) -> bool {
    let key = declared.rename.as_deref().unwrap_or(&declared.name);
    node.features.iter().any(|feature| {
        let parts = package.features.get(feature).into_iter().flatten();
        feature == key
            || parts.into_iter().any(|part| {
                part.strip_prefix("dep:") == Some(key)
                    || part.split_once('/').is_some_and(|(name, _)| name == key)
            })
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_optional_dependency_is_used_when_a_feature_turns_it_on() {
        let check = |on: &[&str], used: bool| {
            let mut package = named("ours");
            package.dependencies =
                vec![Declared { name: "ring".into(), optional: true, ..Declared::default() }];
            for (feature, parts) in [
                ("weak", "ring?/alloc"),
                ("strong", "ring/alloc"),
                ("plain", "dep:ring"),
                ("ring", "dep:ring"),
            ] {
                package.features.insert(feature.into(), vec![parts.into()]);
            }
            let node = Node {
                id: "ours".into(),
                deps: vec![Edge { pkg: "ring".into(), dep_kinds: vec![Kind::default()] }],
                features: on.iter().map(|&name| name.to_owned()).collect(),
            };
            let metadata = Metadata {
                packages: vec![package, named("ring")],
                workspace_members: vec!["ours".into()],
                resolve: Resolve { nodes: vec![node] },
                ..Metadata::default()
            };
            assert_eq!(metadata.built().len() == 2, used, "{on:?}");
        };
        check(&[], false);
        check(&["weak"], false);
        check(&["weak", "strong"], true);
        check(&["plain"], true);
        check(&["ring"], true);
    }

    fn named(name: &str) -> Package {
        Package { id: name.into(), name: name.into(), ..Package::default() }
    }
}

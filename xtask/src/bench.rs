//! `cargo xtask bench`: builds what is measured and what measures it, each by itself, and starts it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::metadata::Metadata;
use crate::{Outcome, shell, tools};

/// The benchmarks that compare the gateway's program with other proxies.
const WITH_GATEWAY: [&str; 1] = ["relay"];

pub(crate) fn run(words: &[&str]) -> anyhow::Result<Outcome> {
    let Some((&name, rest)) = words.split_first() else { return Ok(Outcome::Usage) };
    if !WITH_GATEWAY.contains(&name) {
        return Ok(Outcome::Usage);
    }
    let root = shell::root()?;
    tools::provide();
    with_gateway(&root, name, rest)
}

/// Runs a benchmark of the gateway; where it is not told where its numbers go, they go beside those before.
fn with_gateway(root: &Path, name: &str, rest: &[&str]) -> anyhow::Result<Outcome> {
    let (gateway, bench) = programs(root)?;
    let mut command = Command::new(bench);
    command.current_dir(root).arg(name).arg("--gateway").arg(gateway).args(rest);
    if !rest.iter().any(|word| word.starts_with("--out")) {
        command.arg("--out").arg(format!("bench/results/{name}.json"));
    }
    finish(command)
}

/// Builds the gateway as it is shipped, and then the program that measures it: built together they would share the
/// features of their dependencies.
pub(crate) fn programs(root: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    for package in ["sockwarden", "sockwarden-bench"] {
        let status = shell::cargo(root, &["build", "--release", "--locked", "-p", package]).status();
        anyhow::ensure!(status.context("failed to start cargo")?.success(), "failed to build {package}");
    }
    let folder = PathBuf::from(Metadata::read(root)?.target_directory).join("release");
    Ok((folder.join("sockwarden"), folder.join("sockwarden-bench")))
}

/// Runs a program in the foreground; it bounds its own time.
pub(crate) fn finish(mut command: Command) -> anyhow::Result<Outcome> {
    let status = command.status().context("failed to start what was built")?;
    Ok(match status.code() {
        Some(0) => Outcome::Good,
        Some(2) => Outcome::Usage,
        Some(_) | None => Outcome::Bad,
    })
}

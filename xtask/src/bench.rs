//! `cargo xtask bench`: builds what is measured and what measures it, each by itself, and starts it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::metadata::Metadata;
use crate::{Outcome, shell, tools};

pub(crate) fn run(words: &[&str]) -> anyhow::Result<Outcome> {
    let root = shell::root()?;
    match words {
        [name @ ("relay" | "idle"), rest @ ..] => {
            tools::provide();
            with_gateway(&root, name, rest)
        }
        ["inspect", rest @ ..] => {
            let arguments = ["bench", "--locked", "-p", "sockwarden-bench", "--bench", "inspect", "--"];
            let mut command = shell::cargo(&root, &arguments);
            command.args(rest);
            finish(command)
        }
        ["instructions", rest @ ..] => {
            tools::provide();
            let mut command = Command::new(program(&root, "sockwarden-bench")?);
            command.current_dir(&root).args(["instructions", "--baseline", "bench/baseline.json"]).args(rest);
            finish(command)
        }
        ["detection", rest @ ..] => {
            tools::provide();
            detection(&root, rest)
        }
        _ => Ok(Outcome::Usage),
    }
}

/// Compiles what asks libmodsecurity, and judges labelled messages beside it. Without the library only our own side is measured.
fn detection(root: &Path, rest: &[&str]) -> anyhow::Result<Outcome> {
    let bench = program(root, "sockwarden-bench")?;
    let counterpart = bench.with_file_name("sockwarden-modsecurity");
    let mut compile = Command::new("cc");
    compile.current_dir(root).args(["-O2", "-o"]).arg(&counterpart);
    compile.args(["bench/native/modsecurity.c", "-lmodsecurity"]);
    let compiled = compile.status().context("failed to start cc")?.success();
    let mut command = Command::new(bench);
    command.current_dir(root).arg("detection");
    if compiled {
        command.arg("--counterpart").arg(counterpart);
    } else {
        eprintln!("libmodsecurity is not here (Debian: libmodsecurity-dev): nothing to compare with");
    }
    command.args(["--page", "docs/detection.md"]).args(rest);
    finish(command)
}

/// `cargo xtask soak`: whether anything is lost or changed in a long time.
pub(crate) fn soak(words: &[&str]) -> anyhow::Result<Outcome> {
    let root = shell::root()?;
    tools::provide();
    let (gateway, bench) = programs(&root)?;
    let mut command = Command::new(bench);
    command.current_dir(&root).arg("soak").arg("--gateway").arg(gateway).args(words);
    finish(command)
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
    Ok((program(root, "sockwarden")?, program(root, "sockwarden-bench")?))
}

/// Builds the program of one package and tells where it is.
fn program(root: &Path, package: &str) -> anyhow::Result<PathBuf> {
    let status = shell::cargo(root, &["build", "--release", "--locked", "-p", package]).status();
    anyhow::ensure!(status.context("failed to start cargo")?.success(), "failed to build {package}");
    Ok(PathBuf::from(Metadata::read(root)?.target_directory).join("release").join(package))
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

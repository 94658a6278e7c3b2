//! `cargo xtask autobahn`: the Autobahn TestSuite; the fast part, or with `--full` all 517 cases in both roles.

use std::process::Command;

use crate::{Outcome, bench, shell, tools};

pub(crate) fn run(words: &[&str]) -> anyhow::Result<Outcome> {
    let (script, rest) = match words {
        [] => ("e2e/autobahn.sh", words),
        ["--full", rest @ ..] => ("e2e/autobahn-full.sh", rest),
        _ => return Ok(Outcome::Usage),
    };
    let root = shell::root()?;
    tools::provide();
    let (gateway, _) = bench::programs(&root)?;
    let mut command = Command::new("bash");
    command.current_dir(&root).arg(script).args(rest).env("SOCKWARDEN", gateway);
    bench::finish(command)
}

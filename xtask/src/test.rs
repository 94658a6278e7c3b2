//! `cargo xtask test`: everything that must hold before a change is merged, and one number at the end.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::shell::{self, Finished, Group};
use crate::tally::{self, Tally};
use crate::{Outcome, docs, tidy, tools};

/// How long a cargo command may take; a first build on a small machine is what it is made for.
const BUILD_LIMIT: Duration = Duration::from_secs(35 * 60);
/// How long one end-to-end script may take.
const SCRIPT_LIMIT: Duration = Duration::from_secs(10 * 60);
/// The exit code by which a script says that it cannot run here.
const SKIPPED: i32 = 77;

/// One step: its name and what it does. All use the release profile, so that each dependency is compiled once.
struct Step {
    name: &'static str,
    /// Whether `--quick` leaves it out.
    slow: bool,
    run: fn(&Path) -> anyhow::Result<Tally>,
}

const STEPS: &[Step] = &[
    Step { name: "format", slow: false, run: format },
    Step { name: "clippy", slow: false, run: clippy },
    Step { name: "build", slow: false, run: build },
    Step { name: "tests", slow: false, run: tests },
    Step { name: "documentation tests", slow: true, run: documentation_tests },
    Step { name: "documentation", slow: true, run: documentation },
    Step { name: "generated files", slow: false, run: docs::check },
    Step { name: "tidy", slow: false, run: tidy::check },
    Step { name: "cargo-deny", slow: false, run: deny },
    Step { name: "end to end", slow: true, run: end_to_end },
];

/// Runs every step, going on after a failure, and prints the sum as the last line.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<Outcome> {
    let quick = match words {
        [] => false,
        ["--quick"] => true,
        _ => return Ok(Outcome::Usage),
    };
    let root = shell::root()?;
    tools::provide();
    let mut sum = Tally::default();
    let mut report = Vec::new();
    for step in STEPS.iter().filter(|step| !(quick && step.slow)) {
        eprintln!("\n== {}", step.name);
        let started = Instant::now();
        let tally = (step.run)(&root).unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            Tally::FAIL
        });
        let line = format!("{:<20} {:>6.1} s  {tally}", step.name, started.elapsed().as_secs_f64());
        eprintln!("== {line}");
        report.push(line);
        sum += tally;
    }
    eprintln!("\n{}", report.join("\n"));
    println!("{} passed, {} failed", sum.passed, sum.failed);
    Ok(if sum.failed == 0 { Outcome::Good } else { Outcome::Bad })
}

fn format(root: &Path) -> anyhow::Result<Tally> {
    cargo(root, &["fmt", "--all", "--check"])
}

fn clippy(root: &Path) -> anyhow::Result<Tally> {
    cargo(root, &["clippy", "--workspace", "--all-targets", "--release", "--locked", "--", "-D", "warnings"])
}

/// Builds the program together with the tests: one set of features, so that nothing is compiled twice.
fn build(root: &Path) -> anyhow::Result<Tally> {
    cargo(root, &["build", "--workspace", "--bins", "--tests", "--release", "--locked"])
}

fn tests(root: &Path) -> anyhow::Result<Tally> {
    if shell::succeeds(&["cargo-nextest", "nextest", "--version"]) {
        let arguments =
            ["nextest", "run", "--workspace", "--release", "--locked", "--no-fail-fast", "--no-tests=pass"];
        let finished = stream(shell::cargo(root, &arguments))?;
        return Ok(counted(tally::nextest(&finished.lines), &finished));
    }
    eprintln!("cargo-nextest is not here: cargo test does the same, one program after the other");
    let finished = stream(shell::cargo(
        root,
        &["test", "--workspace", "--bins", "--lib", "--tests", "--release", "--locked", "--no-fail-fast"],
    ))?;
    Ok(counted(tally::libtest(&finished.lines), &finished))
}

fn documentation_tests(root: &Path) -> anyhow::Result<Tally> {
    let finished = stream(shell::cargo(root, &["test", "--doc", "--workspace", "--release", "--locked"]))?;
    Ok(counted(tally::libtest(&finished.lines), &finished))
}

fn documentation(root: &Path) -> anyhow::Result<Tally> {
    let mut command = shell::cargo(root, &["doc", "--workspace", "--no-deps", "--release", "--locked"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    Ok(Tally::of(stream(command)?.end.is_success()))
}

fn deny(root: &Path) -> anyhow::Result<Tally> {
    if !shell::succeeds(&["cargo-deny", "--version"]) {
        eprintln!("skipped: cargo-deny is not here; tidy looks at bans and licences itself");
        return Ok(Tally::SKIP);
    }
    cargo(root, &["deny", "--locked", "check", "bans", "licenses", "sources"])
}

fn end_to_end(root: &Path) -> anyhow::Result<Tally> {
    let mut sum = Tally::default();
    for script in scripts(&root.join("e2e"))? {
        let name = script.file_name().unwrap_or_default().to_string_lossy().into_owned();
        eprintln!("-- {name}");
        let started = Instant::now();
        let finished = shell::stream(Command::new(&script).current_dir(root), Group::Own, SCRIPT_LIMIT)?;
        let tally = script_result(&finished);
        eprintln!("-- {name}: {tally} ({:.1} s)", started.elapsed().as_secs_f64());
        sum += tally;
    }
    Ok(sum)
}

/// Reads what a script reports: its closing line, checked against its exit code.
fn script_result(finished: &Finished) -> Tally {
    let last = finished.lines.iter().rev().find(|line| !line.trim().is_empty());
    let mut tally = match (finished.end, last.and_then(|line| tally::closing_line(line))) {
        (shell::End::Exit(Some(SKIPPED)), _) => Tally::SKIP,
        (_, Some(tally)) if finished.end.is_success() == (tally.failed == 0) => tally,
        (end, Some(mut tally)) => {
            eprintln!("the closing line and the {end} do not agree");
            tally.failed += 1;
            tally
        }
        (end, None) => {
            eprintln!("no closing line `N passed, N failed` ({end})");
            Tally::FAIL
        }
    };
    if finished.left_running {
        eprintln!("it left processes running");
        tally.failed += 1;
    }
    tally
}

/// The executable scripts of a folder in the order of their names; none when there is no such folder.
fn scripts(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    use std::os::unix::fs::PermissionsExt as _;

    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        let executable = path.metadata()?.permissions().mode() & 0o111 != 0;
        if path.extension().is_some_and(|extension| extension == "sh") && executable {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn cargo(root: &Path, arguments: &[&str]) -> anyhow::Result<Tally> {
    Ok(Tally::of(stream(shell::cargo(root, arguments))?.end.is_success()))
}

fn stream(mut command: Command) -> anyhow::Result<Finished> {
    let finished = shell::stream(&mut command, Group::Ours, BUILD_LIMIT)?;
    if !finished.end.is_success() {
        eprintln!("{}", finished.end);
    }
    Ok(finished)
}

/// The count of a test runner; a run that failed without a failed test (it did not compile) is one failure.
fn counted(tally: Option<Tally>, finished: &Finished) -> Tally {
    let mut tally = tally.unwrap_or_default();
    if !finished.end.is_success() && tally.failed == 0 {
        tally.failed = 1;
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::End;

    #[test]
    fn a_script_is_believed_only_when_its_words_and_its_exit_code_agree() {
        let check = |code, lines: &[&str], expected: Tally| {
            assert_eq!(script_result(&finished(End::Exit(Some(code)), lines)), expected, "{code} {lines:?}");
        };
        check(0, &["hello", "3 passed, 0 failed", ""], tally(3, 0, 0));
        check(1, &["3 passed, 2 failed"], tally(3, 2, 0));
        check(0, &["3 passed, 2 failed"], tally(3, 3, 0));
        check(1, &["3 passed, 0 failed, 1 skipped"], tally(3, 1, 1));
        check(0, &["all well"], tally(0, 1, 0));
        check(0, &[], tally(0, 1, 0));
        check(77, &["no python here"], tally(0, 0, 1));
        assert_eq!(script_result(&finished(End::OutOfTime, &["3 passed, 0 failed"])), tally(3, 1, 0));
    }

    #[test]
    fn a_script_that_leaves_processes_behind_has_failed() {
        let mut left = finished(End::Exit(Some(0)), &["3 passed, 0 failed"]);
        left.left_running = true;
        assert_eq!(script_result(&left), tally(3, 1, 0));
    }

    #[test]
    fn a_run_that_does_not_compile_is_a_failure() {
        assert_eq!(counted(None, &finished(End::Exit(Some(101)), &[])), Tally::FAIL);
        assert_eq!(counted(Some(tally(3, 2, 0)), &finished(End::Exit(Some(100)), &[])), tally(3, 2, 0));
        assert_eq!(counted(None, &finished(End::Exit(Some(0)), &[])), Tally::default());
    }

    #[test]
    fn only_executable_scripts_run_and_in_the_order_of_their_names() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        for (name, mode) in [("20-b.sh", 0o755), ("10-a.sh", 0o755), ("lib.sh", 0o644), ("README.md", 0o755)]
        {
            let path = folder.path().join(name);
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let names: Vec<_> =
            scripts(folder.path()).unwrap().iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["10-a.sh", "20-b.sh"]);
        assert!(scripts(&folder.path().join("absent")).unwrap().is_empty());
    }

    fn finished(end: End, lines: &[&str]) -> Finished {
        let lines = lines.iter().map(|&line| line.to_owned()).collect();
        Finished { end, lines, out: Vec::new(), left_running: false }
    }

    fn tally(passed: u64, failed: u64, skipped: u64) -> Tally {
        Tally { passed, failed, skipped }
    }
}

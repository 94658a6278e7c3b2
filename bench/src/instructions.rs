//! `instructions`: how many instructions each piece of work takes, counted by callgrind and held against the baseline.
//!
//! Unlike time they hardly depend on what else the machine does, so that a test can judge them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use crate::hot_path::{NAMES, Work};

/// The exit code that says that nothing could be counted here.
const SKIPPED: u8 = 77;
/// How many bytes the repetitions of one work handle, about.
const BYTES: usize = 400_000;

/// Counts and compares, or writes the baseline.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file with what is expected
    #[arg(long)]
    baseline: PathBuf,
    /// Write what was counted into the file instead of comparing
    #[arg(long)]
    record: bool,
    /// Only these pieces of work
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

/// A piece of work, done so many times.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Repeated {
    name: String,
    times: usize,
}

/// What `bench/baseline.json` holds.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Baseline {
    /// The compiler that made what was counted.
    compiler: String,
    /// By which share a count may grow before it is a failure.
    tolerance: f64,
    instructions: BTreeMap<String, u64>,
}

/// Does one piece of work again and again.
pub(crate) fn repeat(repeated: &Repeated) -> anyhow::Result<()> {
    let mut work = Work::named(&repeated.name).with_context(|| format!("there is no `{}`", repeated.name))?;
    (0..repeated.times).for_each(|_| work.run());
    Ok(())
}

/// Counts everything, prints a line for each and `N passed, N failed` at the end.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(reason) = obstacle() {
        crate::say(&format!("skipped: {reason}"));
        return Ok(ExitCode::from(SKIPPED));
    }
    let mut baseline = if arguments.record && !arguments.baseline.exists() {
        Baseline { tolerance: 0.05, ..Baseline::default() }
    } else {
        Baseline::read(&arguments.baseline)?
    };
    let compiler = said("rustc", "-V");
    if !arguments.record && compiler != baseline.compiler {
        crate::say(&format!("counted with {compiler}, expected from {}", baseline.compiler));
    }
    let program = std::env::current_exe()?;
    let (mut passed, mut failed) = (0, 0);
    for name in NAMES.iter().filter(|name| chosen(&arguments.only, name)) {
        let count = count(&program, name)?;
        if arguments.record {
            crate::say(&format!("{name}: {count}"));
            baseline.instructions.insert((*name).to_owned(), count);
            continue;
        }
        let (good, words) = judge(baseline.instructions.get(*name).copied(), count, baseline.tolerance);
        crate::say(&format!("{} {name}: {words}", if good { "ok   " } else { "FAIL " }));
        if good { passed += 1 } else { failed += 1 }
    }
    if arguments.record {
        baseline.compiler = compiler;
        baseline.instructions.retain(|name, _| NAMES.contains(&name.as_str()));
        std::fs::write(&arguments.baseline, serde_json::to_string_pretty(&baseline)? + "\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    crate::say(&format!("{passed} passed, {failed} failed"));
    Ok(if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Baseline {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("failed to read {}: make it with --record", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("failed to understand {}", path.display()))
    }
}

/// Why nothing can be counted on this machine.
fn obstacle() -> Option<&'static str> {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        return Some("no valgrind (Debian: valgrind) to count instructions with");
    }
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    // The baseline is of the code that is chosen where there is AVX2; valgrind hides what is newer.
    let flags = information.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    (!flags.split(' ').any(|flag| flag == "avx2"))
        .then_some("this processor has no AVX2, which the counts were made with")
}

/// The instructions of one repetition: the difference between many and a few, so that beginning and end do not count.
fn count(program: &Path, name: &str) -> anyhow::Result<u64> {
    let bytes = Work::named(name).with_context(|| format!("there is no `{name}`"))?.bytes;
    let times = (BYTES / bytes).clamp(8, 1000);
    let few = callgrind(program, name, times)?;
    let many = callgrind(program, name, 2 * times)?;
    Ok(many.saturating_sub(few) / times as u64)
}

fn callgrind(program: &Path, name: &str, times: usize) -> anyhow::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["repeat", name, &times.to_string()])
        .stdin(Stdio::null())
        .output()
        .context("failed to start valgrind")?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "callgrind failed on {name}: {}", words.trim());
    let collected = words.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected.with_context(|| format!("callgrind does not tell what it collected: {}", words.trim()))
}

fn judge(expected: Option<u64>, count: u64, tolerance: f64) -> (bool, String) {
    let Some(expected) = expected else { return (false, format!("{count}, and the baseline has none")) };
    let change = count as f64 / expected.max(1) as f64 - 1.0;
    let words = format!("{count} instructions, {:+.1} % of {expected}", change * 100.0);
    let is_better = change < -tolerance;
    let is_good = count as f64 <= expected as f64 * (1.0 + tolerance);
    (is_good, if is_better { words + "; record the better ones" } else { words })
}

fn chosen(only: &[String], name: &str) -> bool {
    only.is_empty() || only.iter().any(|wanted| wanted == name)
}

fn said(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    output.map_or("unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_grows_beyond_the_tolerance_fails() {
        let check = |expected, count, good: bool| {
            assert_eq!(judge(expected, count, 0.05).0, good, "{expected:?} {count}");
        };
        check(Some(1000), 1000, true);
        check(Some(1000), 1050, true);
        check(Some(1000), 1051, false);
        check(Some(1000), 10, true);
        check(None, 10, false);
    }

    #[test]
    fn the_baseline_has_every_piece_of_work() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.json");
        let baseline = Baseline::read(Path::new(path)).unwrap();
        let names: Vec<&str> = baseline.instructions.keys().map(String::as_str).collect();
        let mut expected = NAMES.to_vec();
        expected.sort_unstable();
        assert_eq!(names, expected);
        assert!((0.0..0.2).contains(&baseline.tolerance));
    }

    #[test]
    fn every_name_is_a_piece_of_work_that_can_be_repeated() {
        for name in NAMES {
            let mut work = Work::named(name).unwrap_or_else(|| panic!("{name}"));
            assert!(work.bytes > 0, "{name}");
            for _ in 0..3 {
                work.run();
            }
        }
        assert!(Work::named("polish").is_none());
    }

    #[test]
    fn messages_have_the_size_that_their_names_say() {
        for (name, size) in [("json-200", 200), ("json-4k", 4096), ("call-200", 200), ("event-200", 200)] {
            assert_eq!(Work::named(&format!("values-{name}")).map(|work| work.bytes), Some(size), "{name}");
            Work::named(&format!("tree-{name}")).unwrap_or_else(|| panic!("{name}")).run();
        }
    }

    #[test]
    fn every_defence_is_measured_but_what_asks_the_application() {
        let all =
            sockwarden_defend::defences::Defences::default().build().expect("the defaults mean something");
        for link in all.iter() {
            let name = format!("defence-{}", link.defence.rule().id);
            assert!(NAMES.contains(&name.as_str()), "{name} is not in the list");
        }
    }
}

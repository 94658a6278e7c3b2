//! Runs other programs: their output passed on line by line, their time limited, nothing left behind.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// What a finished program left: how it ended and the lines it wrote, both streams in order of arrival.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) end: End,
    pub(crate) lines: Vec<String>,
    /// The lines of standard output alone.
    pub(crate) out: Vec<String>,
    /// Whether processes that it had started were still running when it ended (they were stopped); only known of a
    /// program with a process group of its own.
    pub(crate) left_running: bool,
}

/// Which process group a program runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Ours: what the terminal sends to us reaches it too.
    Ours,
    /// Its own: all that it starts can be stopped with it.
    Own,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It left by itself with this exit code; `None` when a signal ended it.
    Exit(Option<i32>),
    /// It was stopped when its time was over.
    OutOfTime,
}

impl End {
    pub(crate) fn is_success(self) -> bool {
        self == Self::Exit(Some(0))
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exit(Some(code)) => write!(out, "exit code {code}"),
            Self::Exit(None) => out.write_str("ended by a signal"),
            Self::OutOfTime => out.write_str("stopped: out of time"),
        }
    }
}

/// How many lines of a program's output are kept; what is older is forgotten.
const KEPT_LINES: usize = 20_000;
/// How long a program that was asked to stop may take before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// How long output is awaited from what a finished program left running.
const LINGER: Duration = Duration::from_secs(2);

/// Runs `command` for at most `limit`, passing its output on to stderr as it comes.
///
/// When its time is over it is asked to stop, killed after a grace of five seconds, and always waited for.
pub(crate) fn stream(command: &mut Command, group: Group, limit: Duration) -> anyhow::Result<Finished> {
    run(command, group, limit, |line| eprintln!("{line}"))
}

/// Runs `command` for at most `limit` without showing its output.
pub(crate) fn capture(command: &mut Command, limit: Duration) -> anyhow::Result<Finished> {
    run(command, Group::Ours, limit, |_| ())
}

/// Whether `argv` can be started and succeeds within ten seconds.
pub(crate) fn succeeds(argv: &[&str]) -> bool {
    let Some((program, arguments)) = argv.split_first() else { return false };
    capture(Command::new(program).args(arguments), Duration::from_secs(10))
        .is_ok_and(|finished| finished.end.is_success())
}

/// The folder that holds the workspace.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    // Cargo says it at run time; a binary that was built in another copy of the project remembers that one.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let found = manifest.parent().context("xtask has no parent folder")?;
    anyhow::ensure!(
        found.join("Cargo.toml").is_file(),
        "there is no workspace at {}: build xtask where it is used",
        found.display()
    );
    Ok(found.to_owned())
}

/// A `cargo` command in the workspace: the cargo that started us, or the one on the path.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args(arguments);
    command
}

fn run(
    command: &mut Command,
    group: Group,
    limit: Duration,
    mut show: impl FnMut(&str),
) -> anyhow::Result<Finished> {
    let name = command.get_program().to_string_lossy().into_owned();
    if group == Group::Own {
        command.process_group(0);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start {name}"))?;
    let (sender, lines_in) = mpsc::sync_channel(1024);
    for (source, stream) in pipes(&mut child) {
        let sender = sender.clone();
        std::thread::spawn(move || pass_lines(source, stream, &sender));
    }
    drop(sender);

    let mut lines = Vec::new();
    let mut out = Vec::new();
    let mut take = |(source, line): (Source, String)| {
        show(&line);
        if source == Source::Out {
            keep(&mut out, line.clone());
        }
        keep(&mut lines, line);
    };
    let deadline = Instant::now() + limit;
    let end = loop {
        match lines_in.recv_timeout(Duration::from_millis(50)) {
            Ok(line) => take(line),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                if let Some(status) = child.try_wait()? {
                    break End::Exit(status.code());
                }
                // A closed output with the program still alive must not become a busy loop.
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        if Instant::now() >= deadline {
            stop(&mut child, group)?;
            break End::OutOfTime;
        }
    };
    let left_running = group == Group::Own && stop_rest_of_group(child.id());
    let linger = Instant::now() + LINGER;
    while let Ok(line) = lines_in.recv_timeout(linger.saturating_duration_since(Instant::now())) {
        take(line);
    }
    Ok(Finished { end, lines, out, left_running })
}

fn keep(lines: &mut Vec<String>, line: String) {
    if lines.len() == KEPT_LINES {
        lines.drain(..KEPT_LINES / 2);
    }
    lines.push(line);
}

fn stop(child: &mut Child, group: Group) -> anyhow::Result<()> {
    let target = match group {
        Group::Ours => child.id().to_string(),
        Group::Own => format!("-{}", child.id()),
    };
    signal(&target, "-TERM");
    let killed_at = Instant::now() + GRACE;
    while child.try_wait()?.is_none() {
        if Instant::now() >= killed_at {
            signal(&target, "-KILL");
            child.wait()?;
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Stops what is left of the process group that `leader` led, and says whether there was anything.
fn stop_rest_of_group(leader: u32) -> bool {
    let target = format!("-{leader}");
    // What was told to stop may need a moment to go.
    for _ in 0..10 {
        if !is_alive(leader) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    signal(&target, "-TERM");
    std::thread::sleep(Duration::from_millis(500));
    signal(&target, "-KILL");
    true
}

/// Whether the process group has a member that runs. One that has ended and waits for its parent to notice does not.
fn is_alive(leader: u32) -> bool {
    let Ok(processes) = Path::new("/proc").read_dir() else {
        return signal(&format!("-{leader}"), "-0");
    };
    processes.filter_map(Result::ok).any(|process| {
        let status = std::fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        // proc(5): `pid (name) state parent group …`, and the name may hold anything.
        let mut fields = status.rsplit(')').next().unwrap_or_default().split_whitespace();
        let state = fields.next();
        state.is_some_and(|state| !matches!(state, "Z" | "X")) && fields.nth(1) == Some(&leader.to_string())
    })
}

/// Sends a signal by the `kill` program: the standard library can only kill, and only one process.
fn signal(target: &str, signal: &str) -> bool {
    Command::new("kill")
        .args([signal, "--", target])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Where a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Out,
    Err,
}

fn pipes(child: &mut Child) -> Vec<(Source, Box<dyn Read + Send>)> {
    let mut found: Vec<(Source, Box<dyn Read + Send>)> = Vec::new();
    if let Some(out) = child.stdout.take() {
        found.push((Source::Out, Box::new(out)));
    }
    if let Some(err) = child.stderr.take() {
        found.push((Source::Err, Box::new(err)));
    }
    found
}

fn pass_lines(source: Source, stream: impl Read, sender: &mpsc::SyncSender<(Source, String)>) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while let Ok(1..) = reader.read_until(b'\n', &mut line) {
        let text = String::from_utf8_lossy(&line);
        if sender.send((source, text.trim_end_matches(['\n', '\r']).to_owned())).is_err() {
            return;
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_of_both_streams_and_the_exit_code_are_kept() {
        let finished = sh("echo out; echo err >&2; exit 3", Duration::from_secs(20));
        assert_eq!(finished.end, End::Exit(Some(3)));
        assert_eq!(finished.out, ["out"]);
        let mut lines = finished.lines;
        lines.sort();
        assert_eq!(lines, ["err", "out"]);
    }

    #[test]
    fn a_program_that_takes_too_long_is_stopped() {
        let started = Instant::now();
        let finished = sh("echo begun; sleep 60", Duration::from_millis(300));
        assert_eq!(finished.end, End::OutOfTime);
        assert_eq!(finished.lines, ["begun"]);
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn what_a_script_leaves_running_is_stopped_and_told() {
        let script = "sleep 60 >/dev/null 2>&1 & echo $!";
        let mut command = Command::new("sh");
        let finished =
            run(command.args(["-c", script]), Group::Own, Duration::from_secs(20), |_| ()).unwrap();
        assert!(finished.left_running);
        let sleeper = std::fs::read_to_string(format!("/proc/{}/stat", finished.out[0])).unwrap_or_default();
        assert!(sleeper.is_empty() || sleeper.contains(") Z "), "the sleeper still sleeps: {sleeper}");
        let mut command = Command::new("sh");
        let finished =
            run(command.args(["-c", "true"]), Group::Own, Duration::from_secs(20), |_| ()).unwrap();
        assert!(!finished.left_running);
    }

    #[test]
    fn a_program_that_cannot_start_is_an_error_with_its_name() {
        let error = capture(&mut Command::new("no-such-program-here"), Duration::from_secs(1)).unwrap_err();
        assert!(error.to_string().contains("no-such-program-here"), "{error}");
    }

    fn sh(script: &str, limit: Duration) -> Finished {
        capture(Command::new("sh").args(["-c", script]), limit).unwrap()
    }
}

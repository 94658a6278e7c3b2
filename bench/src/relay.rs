//! `relay`: what a round trip through each proxy costs, measured in turns.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, ensure};
use serde::Serialize;

use crate::{
    cases::{self, Case},
    contest::Contest,
    load::Measured,
    machine::Machine,
    process::{self, Started},
    proxies::{Certificate, Proxy, Running},
    table::Table,
};

/// What is measured and how often.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    contest: Contest,
    /// Only these cases, each some words of its name, such as `1k-64c-pp,16k-tls`
    #[arg(long, value_delimiter = ',')]
    cases: Vec<String>,
    /// The dozen cases that tell most, in about two minutes
    #[arg(long)]
    quick: bool,
    /// How often each case is measured with each proxy [default: 5; quick: 3]
    #[arg(long)]
    rounds: Option<usize>,
    /// Milliseconds of each measurement [default: 1000; quick: 400]
    #[arg(long)]
    measure: Option<u64>,
}

/// All rounds of one case with one proxy.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) case: Case,
    pub(crate) proxy: String,
    /// Microseconds of processor time per round trip: the median of the rounds, and the spread.
    pub(crate) cpu: f64,
    pub(crate) cpu_least: f64,
    pub(crate) cpu_most: f64,
    /// How much of its core the proxy used.
    pub(crate) busy: f64,
    pub(crate) per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) rounds: Vec<Measured>,
    /// What went wrong, where something did; the numbers are of the rounds before.
    pub(crate) failure: Option<String>,
}

#[derive(Serialize)]
struct Results<'a> {
    machine: &'a Machine,
    rounds: usize,
    milliseconds: u64,
    cells: &'a [Cell],
}

/// Measures and prints; tells whether every message came back as it was sent.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    process::raise_file_limit()?;
    let cases = cases::choose(&arguments.cases, arguments.quick)?;
    let proxies = arguments.contest.proxies()?;
    let machine = Machine::look(&proxies)?;
    let rounds = arguments.rounds.unwrap_or(if arguments.quick { 3 } else { 5 });
    let milliseconds = arguments.measure.unwrap_or(if arguments.quick { 400 } else { 1000 });
    ensure!(rounds > 0 && milliseconds > 0, "nothing is measured in no time");

    let folder = tempfile::tempdir()?;
    let certificate = Certificate::make(folder.path())?;
    let stage = Stage::set(arguments, &proxies, &cases, &certificate, folder.path())?;
    let mut cells = Vec::new();
    for (index, &case) in cases.iter().enumerate() {
        let measured = stage.measure(case, rounds, milliseconds);
        let words: Vec<String> =
            measured.iter().map(|cell| format!("{} {:.2}", cell.proxy, cell.cpu)).collect();
        crate::progress(&format!("[{}/{}] {case}: {}", index + 1, cases.len(), words.join(", ")));
        for failure in measured.iter().filter_map(|cell| Some((&cell.proxy, cell.failure.as_ref()?))) {
            crate::progress(&format!("    {} FAILED: {}", failure.0, failure.1));
        }
        cells.extend(measured);
    }
    crate::say(&format!("{machine}\n{rounds} rounds of {milliseconds} ms; medians\n"));
    crate::say(&Table::of_cpu(&cells).to_string());
    crate::say(&Table::of_speed(&cells).to_string());
    arguments.contest.write(&Results { machine: &machine, rounds, milliseconds, cells: &cells })?;
    Ok(cells.iter().all(|cell| cell.failure.is_none()))
}

/// The application and all proxies in front of it.
struct Stage<'a> {
    _backend: Started,
    proxies: Vec<(&'a Proxy, bool, Running)>,
    certificate: &'a Certificate,
    program: String,
    load_core: usize,
}

impl<'a> Stage<'a> {
    fn set(
        arguments: &Arguments,
        proxies: &'a [Proxy],
        cases: &[Case],
        certificate: &'a Certificate,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?.to_string_lossy().into_owned();
        let mut backend = Started::on_core(
            "echo",
            arguments.contest.load_core,
            &[&program, "echo"],
            &folder.join("echo.log"),
        )?;
        let address = backend.says("listening on ")?.parse()?;
        let mut running = Vec::new();
        for tls in [false, true] {
            if !cases.iter().any(|case| case.tls == tls) {
                continue;
            }
            for proxy in proxies {
                let front = tls.then_some(certificate);
                running.push((
                    proxy,
                    tls,
                    proxy.start(arguments.contest.proxy_core, address, front, folder)?,
                ));
            }
        }
        Ok(Self {
            _backend: backend,
            proxies: running,
            certificate,
            program,
            load_core: arguments.contest.load_core,
        })
    }

    /// Measures one case with every proxy in turn, beginning each round with another one.
    fn measure(&self, case: Case, rounds: usize, milliseconds: u64) -> Vec<Cell> {
        let mut taking_part: Vec<(&Proxy, &Running, Vec<Measured>, Option<String>)> = self
            .proxies
            .iter()
            .filter(|(_, tls, _)| *tls == case.tls)
            .map(|(proxy, _, running)| (*proxy, running, Vec::new(), None))
            .collect();
        let count = taking_part.len();
        for round in 0..rounds {
            for turn in 0..count {
                let (_, running, measured, failure) = &mut taking_part[(round + turn) % count];
                if failure.is_some() {
                    continue;
                }
                match self.load(case, running, milliseconds) {
                    Ok(result) => measured.push(result),
                    Err(error) => *failure = Some(format!("{error:#}")),
                }
            }
        }
        taking_part
            .into_iter()
            .map(|(proxy, _, rounds, failure)| Cell::new(case, proxy.name(), rounds, failure))
            .collect()
    }

    fn load(&self, case: Case, proxy: &Running, milliseconds: u64) -> anyhow::Result<Measured> {
        let warm_up = Duration::from_millis(milliseconds / 4);
        let mut words: Vec<String> = vec![self.program.clone(), "load".into()];
        let mut option = |name: &str, value: String| words.extend([format!("--{name}"), value]);
        option("address", proxy.address.to_string());
        option("size", case.size.to_string());
        option("connections", case.connections.to_string());
        option("window", case.window.to_string());
        option("warm-up", warm_up.as_millis().to_string());
        option("measure", milliseconds.to_string());
        option("watch", proxy.process.id().to_string());
        if case.tls {
            option("certificate", self.certificate.chain.to_string_lossy().into_owned());
        }
        if case.compressed {
            words.push("--compressed".to_owned());
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // It bounds its own time: it ends when nothing moves.
        let output = process::pinned(self.load_core, &words)
            .stdin(Stdio::null())
            .output()
            .context("failed to start the load")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}", errors.trim().trim_start_matches("error: "));
        serde_json::from_slice(&output.stdout).context("failed to understand the load")
    }
}

impl Cell {
    fn new(case: Case, proxy: &str, rounds: Vec<Measured>, failure: Option<String>) -> Self {
        let of = |value: fn(&Measured) -> f64| {
            let mut values: Vec<f64> = rounds.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let cpu = of(|round| round.cpu_seconds * 1e6 / round.round_trips as f64);
        Self {
            case,
            proxy: proxy.to_owned(),
            cpu: median(&cpu),
            cpu_least: cpu.first().copied().unwrap_or(f64::NAN),
            cpu_most: cpu.last().copied().unwrap_or(f64::NAN),
            busy: median(&of(|round| round.cpu_seconds / round.seconds)),
            per_second: median(&of(|round| round.round_trips as f64 / round.seconds)),
            p50: median(&of(|round| round.p50)),
            p99: median(&of(|round| round.p99)),
            rounds,
            failure,
        }
    }
}

/// The middle of sorted values; not a number where there are none.
pub(crate) fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[length / 2],
        length => (sorted[length / 2 - 1] + sorted[length / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[1.0, 2.0, 30.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0, 4.0, 30.0]), 3.0);
        assert!(median(&[]).is_nan());
    }
}

//! On what, when and from what a result was measured.

use std::{collections::BTreeMap, process::Command};

use serde::Serialize;

use crate::proxies::Proxy;

/// What must be known about a measurement to judge it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) command: String,
    pub(crate) versions: BTreeMap<String, String>,
}

impl Machine {
    pub(crate) fn look(proxies: &[Proxy]) -> anyhow::Result<Self> {
        let mut versions = BTreeMap::new();
        for proxy in proxies {
            versions.insert(proxy.name().to_owned(), proxy.version()?);
        }
        let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor =
            information.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let mut words = Vec::new();
        let mut given = std::env::args().skip(1);
        while let Some(word) = given.next() {
            // Paths of this machine say nothing about the measurement.
            if matches!(
                word.as_str(),
                "--also"
                    | "--counterpart"
                    | "--gateway"
                    | "--out"
                    | "--page"
                    | "--rules"
                    | "--sets"
                    | "--setup"
            ) {
                given.next();
            } else {
                words.push(word);
            }
        }
        Ok(Self {
            date: said(&["date", "-u", "+%F %R UTC"]),
            commit: said(&["git", "describe", "--always", "--dirty"]),
            processor: processor.map_or("unknown", |(_, name)| name).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: said(&["uname", "-r"]),
            command: words.join(" "),
            versions,
        })
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { date, commit, processor, cores, kernel, versions, .. } = self;
        writeln!(out, "{date}, {processor}, {cores} cores, Linux {kernel}, commit {commit}")?;
        let versions: Vec<String> = versions.iter().map(|(name, text)| format!("{name}: {text}")).collect();
        write!(out, "{}", versions.join("; "))
    }
}

/// The first line of what a command prints; `unknown` where it fails.
fn said(command: &[&str]) -> String {
    let [program, arguments @ ..] = command else { return String::new() };
    let output = Command::new(program).args(arguments).output();
    let text = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    let text = String::from_utf8_lossy(&text.unwrap_or_default()).trim().to_owned();
    if text.is_empty() { "unknown".to_owned() } else { text }
}

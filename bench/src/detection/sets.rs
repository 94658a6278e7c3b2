//! Labelled messages.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde::Deserialize;

/// Whether a message is an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Label {
    Attack,
    Harmless,
}

/// One labelled message.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// The set that it is from.
    pub(crate) set: String,
    pub(crate) category: String,
    pub(crate) label: Label,
    pub(crate) payload: String,
    /// The whole message: JSON.
    pub(crate) body: String,
}

#[derive(Deserialize)]
struct Line {
    payload: String,
    category: String,
    label: String,
    #[serde(default)]
    json: bool,
}

/// Reads all sets of a folder, at most `each` messages of every set and label, evenly spread.
pub(crate) fn read(folder: &Path, each: usize) -> anyhow::Result<Vec<Sample>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.sort();
    let mut samples = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (set, text) = if let Some(set) = name.strip_suffix(".jsonl.gz") {
            let output =
                Command::new("gzip").arg("-dc").arg(&path).output().context("failed to start gzip")?;
            anyhow::ensure!(output.status.success(), "gzip cannot read {name}");
            (set.to_owned(), String::from_utf8(output.stdout)?)
        } else if let Some(set) = name.strip_suffix(".jsonl") {
            (set.to_owned(), std::fs::read_to_string(&path)?)
        } else {
            continue;
        };
        let mut all = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line: Line =
                serde_json::from_str(line).with_context(|| format!("{name}, line {}", number + 1))?;
            all.push(sample(&set, line)?);
        }
        samples.extend(thin(&all, each).into_iter().cloned());
    }
    Ok(samples)
}

fn sample(set: &str, line: Line) -> anyhow::Result<Sample> {
    let label = match line.label.as_str() {
        "malicious" => Label::Attack,
        "benign" | "benign_hard" => Label::Harmless,
        other => anyhow::bail!("unknown label `{other}`; expected malicious, benign or benign_hard"),
    };
    let body = if line.json {
        line.payload.clone()
    } else {
        let text = serde_json::to_string(&line.payload)?;
        format!(r#"{{"type":"message","channel":"general","id":42,"text":{text}}}"#)
    };
    Ok(Sample { set: set.to_owned(), category: line.category, label, payload: line.payload, body })
}

/// Takes at most so many messages of each set and label, evenly spread.
pub(crate) fn thin(samples: &[Sample], each: usize) -> Vec<&Sample> {
    let mut groups: Vec<(&str, Label)> = samples.iter().map(|one| (one.set.as_str(), one.label)).collect();
    groups.sort_unstable();
    groups.dedup();
    let mut taken = Vec::new();
    for (set, label) in groups {
        let all: Vec<&Sample> = samples.iter().filter(|one| one.set == set && one.label == label).collect();
        let step = all.len().div_ceil(each.max(1)).max(1);
        taken.extend(all.into_iter().step_by(step));
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_evenly_over_its_group() {
        let one = |set: &str, label, number: usize| Sample {
            set: set.to_owned(),
            category: String::new(),
            label,
            payload: number.to_string(),
            body: String::new(),
        };
        let mut all: Vec<Sample> = (0..10).map(|number| one("a", Label::Attack, number)).collect();
        all.push(one("a", Label::Harmless, 10));
        let taken: Vec<&str> = thin(&all, 4).iter().map(|one| one.payload.as_str()).collect();
        assert_eq!(taken, ["0", "3", "6", "9", "10"]);
    }
}

//! The result as a part of a page.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;

use super::engines::{Agreement, Counts, Judged};
use super::sets::{Label, Sample};

/// What is between these lines is written by the benchmark.
const BEGIN: &str = "<!-- written by `cargo xtask bench detection` -->";
const END: &str = "<!-- end of what is written -->";

/// An engine with what it said of each sample.
type Result = (String, Vec<Judged>);

pub(crate) fn write(
    samples: &[Sample],
    results: &[Result],
    agreement: Option<&Agreement>,
    unfiltered: usize,
) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(text, "### Found and falsely found\n\n| set | category | messages |");
    for (name, _) in results {
        let _ = write!(text, " {name} |");
    }
    let _ = write!(text, "\n|---|---|---|{}\n", "---|".repeat(results.len()));
    let mut rows: BTreeMap<(Label, &str, &str), Vec<usize>> = BTreeMap::new();
    for (number, sample) in samples.iter().enumerate() {
        rows.entry((sample.label, &sample.set, &sample.category)).or_default().push(number);
    }
    for ((label, set, category), numbers) in &rows {
        let kind = match label {
            Label::Attack => "",
            Label::Harmless => " (harmless)",
        };
        let _ = write!(text, "| {set}{kind} | {category} | {} |", numbers.len());
        for (_, judged) in results {
            let _ = write!(text, " {} |", percent(rate(judged, numbers)));
        }
        text.push('\n');
    }
    let _ = write!(
        text,
        "\n### In one number\n\n| | detection | false alarms | macro balanced accuracy | CPU per message, µs: mean | ratio | median | ratio |\n|---|---|---|---|---|---|---|---|\n"
    );
    let reference = results.first().map_or((1.0, 1.0), |(_, judged)| microseconds(judged));
    for (name, judged) in results {
        let mean = |wanted: Label| {
            let mut sets: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for (number, sample) in samples.iter().enumerate().filter(|(_, one)| one.label == wanted) {
                sets.entry(&sample.set).or_default().push(number);
            }
            sets.values().map(|numbers| rate(judged, numbers)).sum::<f64>() / sets.len().max(1) as f64
        };
        let (found, false_alarms) = (mean(Label::Attack), mean(Label::Harmless));
        let (mean_spent, median) = microseconds(judged);
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {:.3} | {mean_spent:.1} | {:.4} | {median:.1} | {:.4} |",
            percent(found),
            percent(false_alarms),
            (found + 1.0 - false_alarms) / 2.0,
            mean_spent / reference.0,
            median / reference.1
        );
    }
    let _ = write!(text, "\n### Agreement\n\n");
    let _ = writeln!(
        text,
        "The prefilter changes the verdict of {unfiltered} of {} messages at paranoia 4 (every rule asked of every value, compared rule by \
         rule and by score).",
        samples.len()
    );
    if let Some(agreement) = agreement {
        agreed(&mut text, agreement);
    }
    text
}

fn agreed(text: &mut String, agreement: &Agreement) {
    let worst =
        agreement.worst().map_or(String::new(), |(id, share)| format!("; the least, {id}, {}", exact(share)));
    let _ = writeln!(
        text,
        "\nAt paranoia 4, {} messages and {} rules that look at values and are compiled: {} of all pairs of message and rule are judged as libmodsecurity \
         judges them{worst}. Of the pairs that either finds to match both find {}. {} messages have another verdict. What differs:\n",
        agreement.messages,
        agreement.rules.len() - agreement.missing.len(),
        exact(agreement.of_all()),
        exact(agreement.share()),
        agreement.verdicts
    );
    text.push_str("| rule | both | ours alone | theirs alone | for example |\n|---|---|---|---|---|\n");
    for (id, counts) in agreement.rules.iter().filter(|(_, counts)| counts.ours + counts.theirs > 0) {
        let example = counts.example.replace('|', "\\|").replace('`', "'");
        let note = if agreement.missing.contains(id) { " (not compiled)" } else { "" };
        let Counts { both, ours, theirs, .. } = counts;
        let _ = writeln!(text, "| {id}{note} | {both} | {ours} | {theirs} | `{example}` |");
    }
}

fn rate(judged: &[Judged], numbers: &[usize]) -> f64 {
    let blocked = numbers.iter().filter(|number| judged[**number].blocked).count();
    blocked as f64 / numbers.len().max(1) as f64
}

/// The mean and the median of what a message costs.
fn microseconds(judged: &[Judged]) -> (f64, f64) {
    let mut spent: Vec<f64> = judged.iter().map(|one| one.nanoseconds as f64 / 1e3).collect();
    spent.sort_by(f64::total_cmp);
    let median = spent.get(spent.len() / 2).copied().unwrap_or_default();
    (spent.iter().sum::<f64>() / spent.len().max(1) as f64, median)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn exact(share: f64) -> String {
    format!("{:.3} %", share * 100.0)
}

/// Puts the result where the page has room for it.
pub(crate) fn replace(page: &Path, result: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(page)?;
    let (before, rest) =
        text.split_once(BEGIN).context("the page does not say where its generated part begins")?;
    let (_, after) = rest.split_once(END).context("the page does not say where its generated part ends")?;
    let machine = crate::machine::Machine::look(&[])?;
    let about = machine.to_string();
    std::fs::write(
        page,
        format!("{before}{BEGIN}\n\nMeasured on {}.\n\n{result}\n{END}{after}", about.trim()),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_generated_part_of_a_page_is_replaced() {
        let page = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(page.path(), format!("a\n{BEGIN}\nold\n{END}\nb\n")).unwrap();
        replace(page.path(), "new").unwrap();
        let text = std::fs::read_to_string(page.path()).unwrap();
        assert!(
            text.starts_with("a\n")
                && text.ends_with("b\n")
                && text.contains("\nnew\n")
                && !text.contains("old")
        );
    }
}

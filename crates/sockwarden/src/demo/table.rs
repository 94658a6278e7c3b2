//! The demo as a table for a person, at most 100 columns wide.

use std::fmt::Write as _;

use anstyle::Style;
use sockwarden_model::printable;

use super::{Outcome, Row, Shown, Sighting};
use crate::cli::{ERROR, FAINT, GOOD, STRONG, WARNING};

/// The columns' widths; the last one is as wide as it is.
const WIDTHS: [usize; 5] = [4, 42, 11, 23, 11];
const HEADS: [&str; 6] = ["", "attack", "direct", "through the gateway", "scan before", "after"];
/// What fits beside the indent of the lines under a row.
const BESIDE: usize = 88;

/// A text with how it is to look.
struct Cell(Style, String);

/// Draws the table and the summary under it; the colours are for the stream to strip.
pub fn table(shown: &Shown) -> String {
    let mut out = String::new();
    line(&mut out, HEADS.map(|head| Cell(STRONG, head.to_owned())));
    for row in &shown.rows {
        line(&mut out, cells(row));
        for (style, text) in remarks(row) {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "    {style}{}{style:#}", printable(text.as_bytes(), BESIDE));
        }
    }
    out.push('\n');
    out.push_str(&summary(shown));
    out
}

fn line(out: &mut String, cells: [Cell; 6]) {
    for (at, Cell(style, text)) in cells.iter().enumerate() {
        match WIDTHS.get(at) {
            Some(&width) => {
                let fill = width.saturating_sub(text.chars().count()).max(1);
                let _ = write!(out, "{style}{text}{style:#}{:fill$}", "");
            }
            None => {
                let _ = writeln!(out, "{style}{text}{style:#}");
            }
        }
    }
}

fn cells(row: &Row) -> [Cell; 6] {
    let good = |good: bool| if good { GOOD } else { ERROR };
    let direct = match &row.direct {
        Outcome::Succeeded { .. } => "succeeded",
        Outcome::Stopped { .. } => "stopped",
        Outcome::NotTested { .. } => "not tested",
        Outcome::Failed { .. } => "failed",
    };
    let gateway = match (&row.gateway, &row.stopped_by) {
        (Outcome::Succeeded { .. }, _) => "succeeded".to_owned(),
        (Outcome::Stopped { .. }, Some(rule)) => rule.clone(),
        (Outcome::Stopped { .. }, None) => "stopped, not by us".to_owned(),
        (Outcome::NotTested { .. }, _) => "not tested".to_owned(),
        (Outcome::Failed { .. }, _) => "failed".to_owned(),
    };
    let gateway = if row.is_stopped() { format!("✓ {gateway}") } else { format!("✗ {gateway}") };
    let before = match &row.before {
        Sighting::Found { severity, .. } => severity.to_string(),
        Sighting::Absent => "not found".to_owned(),
        Sighting::NotTested { .. } => "not tested".to_owned(),
    };
    let after = match &row.after {
        Sighting::Found { severity, .. } => severity.to_string(),
        Sighting::Absent => "gone".to_owned(),
        Sighting::NotTested { .. } => "not tested".to_owned(),
    };
    [
        Cell(STRONG, row.attack.threat.to_string()),
        Cell(Style::new(), row.attack.title.to_owned()),
        // Without the gateway a success is what a person should see as the danger that it is.
        Cell(if row.has_succeeded() { WARNING } else { ERROR }, direct.to_owned()),
        Cell(good(row.is_stopped()), gateway),
        Cell(if row.is_found() { WARNING } else { ERROR }, before),
        Cell(good(row.is_gone()), after),
    ]
}

/// Gives the lines under a row: what the attacker has, and what is not as it should be.
fn remarks(row: &Row) -> Vec<(Style, String)> {
    let mut lines = Vec::new();
    match &row.direct {
        Outcome::Succeeded { loot } => lines.push((FAINT, format!("read: {loot}"))),
        Outcome::Stopped { how, .. } => lines.push((ERROR, format!("direct: {how}"))),
        Outcome::NotTested { why } | Outcome::Failed { why } => lines.push((ERROR, format!("direct: {why}"))),
    }
    match &row.gateway {
        Outcome::Stopped { .. } if row.is_stopped() => {}
        Outcome::Succeeded { loot } => lines.push((ERROR, format!("through the gateway: {loot}"))),
        Outcome::Stopped { how, .. } => {
            lines.push((ERROR, format!("through the gateway: {how}; {} was expected", row.attack.defence)));
        }
        Outcome::NotTested { why } | Outcome::Failed { why } => {
            lines.push((ERROR, format!("through the gateway: {why}")));
        }
    }
    if let Sighting::NotTested { why } = &row.before {
        lines.push((ERROR, format!("scan before: {why}")));
    }
    match &row.after {
        Sighting::Absent => {}
        Sighting::Found { summary, .. } => lines.push((ERROR, format!("scan after: {summary}"))),
        Sighting::NotTested { why } => lines.push((ERROR, format!("scan after: {why}"))),
    }
    lines
}

fn summary(shown: &Shown) -> String {
    let good = shown.rows.iter().filter(|row| row.is_good()).count();
    let all = shown.rows.len();
    let style = if shown.is_good() { GOOD } else { ERROR };
    let mut out = format!(
        "{style}{good} of {all} attacks succeeded directly, were found, are stopped, and are gone{style:#} \
         {FAINT}in {:.1} s{FAINT:#}\n",
        shown.elapsed.as_secs_f64()
    );
    let _ = match &shown.shut_out {
        None => writeln!(out, "who may use the application still does, through the gateway"),
        Some(why) => writeln!(
            out,
            "{ERROR}who may use the application cannot, through the gateway:{ERROR:#} {}",
            printable(why.as_bytes(), 200)
        ),
    };
    out
}

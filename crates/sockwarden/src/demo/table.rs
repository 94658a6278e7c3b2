//! The demo as a table for a person, at most 100 columns wide.

use std::fmt::Write as _;

use anstyle::Style;
use sockwarden_model::printable;

use super::{Outcome, Row, Shown, Sighting};
use crate::style::{ERROR, FAINT, GOOD, STRONG, WARNING};

/// The columns' widths; the last one is as wide as it is.
const WIDTHS: [usize; 5] = [4, 34, 10, 28, 14];
const HEADS: [&str; 6] = ["", "attack", "direct", "through the gateway", "scan before", "scan after"];
/// What fits beside the indent of the lines under a row.
const BESIDE: usize = 96;

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
            let _ = writeln!(out, "    {style}{}{style:#}", cut(&text));
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
        (Outcome::Stopped { .. }, Some(rule)) => format!("stopped by {}", printable(rule.as_bytes(), 16)),
        (Outcome::Stopped { .. }, None) => "stopped by no defence".to_owned(),
        (Outcome::NotTested { .. }, _) => "not tested".to_owned(),
        (Outcome::Failed { .. }, _) => "failed".to_owned(),
    };
    let gateway = if row.is_stopped() { format!("✓ {gateway}") } else { format!("✗ {gateway}") };
    let before = match &row.before {
        Sighting::Found { severity, .. } => format!("found, {severity}"),
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
        Outcome::Succeeded { loot } => lines.push((FAINT, loot.clone())),
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
        "{style}{good} of {all} attacks succeeded directly, were found, and are stopped{style:#} \
         {FAINT}in {:.1} s{FAINT:#}\n\
         the full scan: {}, through the gateway {}\n",
        shown.elapsed.as_secs_f64(),
        findings(shown.findings.0),
        shown.findings.1
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

/// Escapes a text and cuts it to what fits.
fn cut(text: &str) -> String {
    let text = printable(text.as_bytes(), 400);
    match text.char_indices().nth(BESIDE) {
        None => text,
        Some(_) => text.chars().take(BESIDE - 1).chain(['…']).collect(),
    }
}

fn findings(count: usize) -> String {
    format!("{count} finding{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sockwarden_model::{EventId, Severity};

    use super::*;
    use crate::demo::ATTACKS;

    #[test]
    fn all_as_it_should_be() {
        insta::assert_snapshot!(drawn(&good()), @r"
            attack                            direct    through the gateway         scan before   scan after
        T1  another's data without logging in succeeded ✓ stopped by authentication found, high   gone
            read: what unauthenticated-access wanted
        T2  a message without a limit         succeeded ✓ stopped by frame-limits   found, high   gone
            read: what oversize-message wanted
        T2  a flood of messages               succeeded ✓ stopped by rate-limit     found, high   gone
            read: what message-flood wanted
        T4  sniff and alter on the way in     succeeded ✓ stopped by tls-required   found, high   gone
            read: what sniff-and-alter-on-the-way-in wanted
        T7  a foreign page reads her account  succeeded ✓ stopped by origin-policy  found, high   gone
            read: what cross-site-hijack wanted
        T8  sniff and alter behind the proxy  succeeded ✓ stopped by upstream-tls   found, high   gone
            read: what sniff-and-alter-behind-the-proxy wanted

        6 of 6 attacks succeeded directly, were found, and are stopped in 4.3 s
        the full scan: 6 findings, through the gateway 0
        who may use the application still does, through the gateway
        ");
    }

    #[test]
    fn every_way_to_go_wrong_is_said() {
        let mut shown = good();
        let rows = &mut shown.rows;
        rows[0].gateway = Outcome::Succeeded { loot: "read: \u{1b}[2Jgate 4 opens with 7719#".to_owned() };
        rows[0].stopped_by = None;
        rows[0].after = Sighting::Found { severity: Severity::High, summary: "data are given".to_owned() };
        rows[1].stopped_by = None;
        rows[2].stopped_by = Some("authentication".to_owned());
        rows[3].direct = Outcome::Failed { why: "no answer in time".to_owned() };
        rows[3].gateway = Outcome::NotTested { why: "there is no browser".to_owned() };
        rows[3].before = Sighting::NotTested { why: "nobody was let in".to_owned() };
        rows[4].before = Sighting::Found { severity: Severity::Low, summary: "perhaps".to_owned() };
        rows[4].after = Sighting::NotTested { why: "x".repeat(200) };
        shown.findings = (1, 2);
        shown.shut_out = Some("refused with 401".to_owned());
        insta::assert_snapshot!(drawn(&shown), @r"
            attack                            direct    through the gateway         scan before   scan after
        T1  another's data without logging in succeeded ✗ succeeded                 found, high   high
            read: what unauthenticated-access wanted
            through the gateway: read: \x1b[2Jgate 4 opens with 7719#
            scan after: data are given
        T2  a message without a limit         succeeded ✗ stopped by no defence     found, high   gone
            read: what oversize-message wanted
            through the gateway: refused with 403; frame-limits was expected
        T2  a flood of messages               succeeded ✗ stopped by authentication found, high   gone
            read: what message-flood wanted
            through the gateway: refused with 403; rate-limit was expected
        T4  sniff and alter on the way in     failed    ✗ not tested                not tested    gone
            direct: no answer in time
            through the gateway: there is no browser
            scan before: nobody was let in
        T7  a foreign page reads her account  succeeded ✓ stopped by origin-policy  found, low    not tested
            read: what cross-site-hijack wanted
            scan after: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
        T8  sniff and alter behind the proxy  succeeded ✓ stopped by upstream-tls   found, high   gone
            read: what sniff-and-alter-behind-the-proxy wanted

        1 of 6 attacks succeeded directly, were found, and are stopped in 4.3 s
        the full scan: 1 finding, through the gateway 2
        who may use the application cannot, through the gateway: refused with 401
        ");
    }

    fn good() -> Shown {
        let row = |attack: &'static crate::demo::Attack| Row {
            attack,
            direct: Outcome::Succeeded { loot: format!("read: what {} wanted", attack.id) },
            gateway: Outcome::Stopped {
                how: "refused with 403".to_owned(),
                event: Some(EventId::from_random(7)),
            },
            stopped_by: Some(attack.defence.to_owned()),
            before: Sighting::Found { severity: Severity::High, summary: "it is there".to_owned() },
            after: Sighting::Absent,
        };
        Shown {
            rows: ATTACKS.into_iter().map(row).collect(),
            findings: (6, 0),
            shut_out: None,
            elapsed: Duration::from_millis(4321),
        }
    }

    /// Draws without colours, no line wider than promised.
    fn drawn(shown: &Shown) -> String {
        let text = anstream::adapter::strip_str(&table(shown)).to_string();
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
        text
    }
}

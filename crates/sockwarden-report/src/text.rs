//! Findings for a person at a terminal.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use sockwarden_model::{Evidence, Finding, Severity, StepKind, printable};

use crate::{Scanned, Verdict};

/// How text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Columns of the terminal; less than 40 counts as 40.
    pub width: usize,
    /// Whether to colour.
    pub colour: bool,
}

/// How many transcripts of a finding are shown.
const TRANSCRIPTS: usize = 3;
/// How many lines of a transcript are shown.
const LINES: usize = 12;

/// Renders what scans came to: findings by severity with evidence and the fix, what was not tested, what withstood, a summary.
pub fn render(scans: &[Scanned<'_>], layout: Layout) -> String {
    let mut page = Page { layout, out: String::new() };
    for scan in scans {
        page.scan(scan);
    }
    page.summary(scans);
    page.out
}

struct Page {
    layout: Layout,
    out: String,
}

impl Page {
    fn scan(&mut self, scan: &Scanned<'_>) {
        self.styled(&harmless(scan.endpoint), Style::new().bold());
        self.out.push_str("\n\n");
        for warning in scan.warnings {
            self.paragraph(&format!("warning: {warning}"), 0);
            self.out.push('\n');
        }
        for severity in Severity::ALL.into_iter().rev() {
            for finding in scan.findings.iter().filter(|finding| finding.severity == severity) {
                let rule = scan.checks.iter().find(|check| check.rule.id == finding.rule);
                self.finding(finding, rule.and_then(|check| check.rule.section("How to fix")).as_deref());
            }
        }
        let not_tested: Vec<(&str, &str)> = scan
            .checks
            .iter()
            .filter_map(|check| match &check.verdict {
                Verdict::NotTested(why) => Some((check.rule.id, why.as_str())),
                Verdict::Found(_) | Verdict::Clean => None,
            })
            .collect();
        self.list("Not tested", &not_tested);
        let withstood: Vec<(&str, &str)> = scan
            .checks
            .iter()
            .filter(|check| check.verdict == Verdict::Clean)
            .map(|check| (check.rule.id, check.rule.summary))
            .collect();
        self.list("Not found", &withstood);
        let remarks: Vec<(&str, &str)> = scan
            .checks
            .iter()
            .flat_map(|check| check.remarks.iter().map(|remark| (check.rule.id, remark.as_str())))
            .collect();
        self.list("Remarks", &remarks);
    }

    fn finding(&mut self, finding: &Finding, fix: Option<&str>) {
        self.styled(&finding.severity.name().to_uppercase(), colour_of(finding.severity).bold());
        self.out.push(' ');
        self.styled(finding.rule, Style::new().bold());
        if !finding.case.is_empty() {
            let _ = write!(self.out, " ({})", harmless(&finding.case));
        }
        let _ = writeln!(self.out, ", {}", finding.confidence);
        self.paragraph(&finding.summary, 2);
        let cwe: Vec<String> = finding.cwe.iter().map(|number| format!("CWE-{number}")).collect();
        let stopped = match finding.stopped_by {
            [] => String::new(),
            defences => format!("; stopped by {}", defences.join(", ")),
        };
        self.dim(&format!("{}{stopped}; fingerprint {}", cwe.join(", "), finding.fingerprint), 2);
        let shown = finding.evidence.len().min(TRANSCRIPTS);
        for evidence in &finding.evidence[..shown] {
            self.out.push('\n');
            self.evidence(evidence);
        }
        if finding.evidence.len() > shown {
            self.dim(
                &format!("{} further transcripts are in the other formats", finding.evidence.len() - shown),
                2,
            );
        }
        if let Some(first) = fix.and_then(|fix| fix.split("\n\n").next()) {
            self.out.push('\n');
            self.paragraph(&format!("How to fix: {}", first.replace('\n', " ")), 2);
            self.dim(&format!("sockwarden explain {} shows examples", finding.rule), 2);
        }
        self.out.push('\n');
    }

    fn evidence(&mut self, evidence: &Evidence) {
        self.paragraph(&format!("Evidence: {}", evidence.title), 2);
        let mut lines = transcript(evidence);
        let hidden = lines.len().saturating_sub(LINES);
        lines.truncate(LINES);
        for line in lines {
            let line = cut(&line, self.width() - 4);
            self.dim_line(&line, 4);
        }
        if hidden > 0 {
            self.dim_line(&format!("({hidden} more lines)"), 4);
        }
    }

    fn list(&mut self, title: &str, entries: &[(&str, &str)]) {
        if entries.is_empty() {
            return;
        }
        self.styled(title, Style::new().bold());
        self.out.push('\n');
        for (id, text) in entries {
            self.paragraph(&format!("{id}: {text}"), 2);
        }
        self.out.push('\n');
    }

    fn summary(&mut self, scans: &[Scanned<'_>]) {
        let findings = || scans.iter().flat_map(|scan| scan.findings);
        let counts: Vec<String> = Severity::ALL
            .into_iter()
            .rev()
            .filter_map(|severity| {
                let count = findings().filter(|finding| finding.severity == severity).count();
                (count > 0).then(|| format!("{count} {severity}"))
            })
            .collect();
        let total = findings().count();
        let found = match total {
            0 => "no findings".to_owned(),
            1 => format!("1 finding ({})", counts.join(", ")),
            _ => format!("{total} findings ({})", counts.join(", ")),
        };
        let checks = || scans.iter().flat_map(|scan| &scan.checks);
        let clean = checks().filter(|check| check.verdict == Verdict::Clean).count();
        let skipped = checks().filter(|check| matches!(check.verdict, Verdict::NotTested(_))).count();
        let incomplete =
            if scans.iter().any(|scan| scan.incomplete) { "; the scan is incomplete" } else { "" };
        let checks = if clean == 1 { "check" } else { "checks" };
        let line = format!("{found}; {clean} {checks} clean, {skipped} not tested{incomplete}");
        for line in wrap(&line, self.width()) {
            self.styled(&line, Style::new().bold());
            self.out.push('\n');
        }
    }

    fn width(&self) -> usize {
        self.layout.width.max(40)
    }

    fn paragraph(&mut self, text: &str, indent: usize) {
        for line in wrap(&harmless(text), self.width() - indent) {
            let _ = writeln!(self.out, "{:indent$}{line}", "");
        }
    }

    fn dim(&mut self, text: &str, indent: usize) {
        for line in wrap(&harmless(text), self.width() - indent) {
            self.dim_line(&line, indent);
        }
    }

    fn dim_line(&mut self, line: &str, indent: usize) {
        let _ = write!(self.out, "{:indent$}", "");
        self.styled(line, Style::new().dimmed());
        self.out.push('\n');
    }

    fn styled(&mut self, text: &str, style: Style) {
        if self.layout.colour {
            let _ = write!(self.out, "{style}{text}{style:#}");
        } else {
            self.out.push_str(text);
        }
    }
}

fn colour_of(severity: Severity) -> Style {
    let colour = match severity {
        Severity::Info => AnsiColor::Blue,
        Severity::Low => AnsiColor::Cyan,
        Severity::Medium => AnsiColor::Yellow,
        Severity::High | Severity::Critical => AnsiColor::Red,
    };
    Style::new().fg_color(Some(colour.into()))
}

/// Turns a transcript into lines: a head as it stands, a frame by the remark that reads it.
fn transcript(evidence: &Evidence) -> Vec<String> {
    let mut lines = Vec::new();
    let mut steps = evidence.steps.iter().peekable();
    while let Some(step) = steps.next() {
        let arrow = |kind| match kind {
            StepKind::Sent => '>',
            StepKind::Received => '<',
            StepKind::Note => '-',
        };
        let text = std::str::from_utf8(step.bytes.kept()).ok();
        match (step.kind, text) {
            (StepKind::Note, note) => {
                // The bytes that the remark reads follow it.
                let read = steps.next_if(|next| next.kind != StepKind::Note);
                let kind = read.map_or(StepKind::Note, |step| step.kind);
                lines.push(format!("{} {}", arrow(kind), harmless(note.unwrap_or_default())));
            }
            (kind, Some(text)) if text.starts_with("HTTP/") || text.contains(" HTTP/") => {
                lines.extend(head(text).into_iter().enumerate().map(|(at, line)| {
                    let mark = if at == 0 { arrow(kind) } else { ' ' };
                    format!("{mark} {}", printable(line.as_bytes(), 300))
                }));
            }
            (kind, _) => lines.push(format!("{} {}", arrow(kind), printable(step.bytes.kept(), 300))),
        }
    }
    lines
}

/// Gives the lines of a head that tell something: all but the empty ones and the fields that every handshake has, where they
/// say once what they always say.
fn head(text: &str) -> Vec<&str> {
    const USUAL: [(&str, &str); 9] = [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", ""),
        ("sec-websocket-accept", ""),
        ("user-agent", ""),
        ("host", ""),
        ("date", ""),
        ("server", ""),
    ];
    let name = |line: &str| line.split_once(':').map(|(name, _)| name.to_ascii_lowercase());
    let lines = || text.lines().filter(|line| !line.is_empty());
    let is_usual = |line: &str| {
        let value = line.split_once(':').map_or("", |(_, value)| value.trim());
        let usual = USUAL.iter().any(|(field, expected)| {
            name(line).as_deref() == Some(field)
                && (expected.is_empty() || value.eq_ignore_ascii_case(expected))
        });
        usual && lines().filter(|other| name(other) == name(line)).count() == 1
    };
    lines().enumerate().filter(|(at, line)| *at == 0 || !is_usual(line)).map(|(_, line)| line).collect()
}

/// Removes what moves a cursor or turns a text's direction.
fn harmless(text: &str) -> String {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if odd(c) { '\u{b7}' } else { c }).collect()
}

/// Cuts a line to so many characters.
fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let mut short: String = line.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Breaks a text at its blanks; a word longer than a line is cut over lines.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + word.len() > width {
            lines.push(String::new());
            used = 0;
        }
        while word.len() > width {
            let rest = word.split_off(width);
            if let Some(last) = lines.last_mut() {
                last.extend(word);
            }
            lines.push(String::new());
            word = rest;
        }
        if let Some(last) = lines.last_mut() {
            if used > 0 {
                last.push(' ');
                used += 1;
            }
            used += word.len();
            last.extend(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_readable_and_harmless() {
        let findings = samples::findings();
        let page = render(&[samples::scanned(&findings)], Layout { width: 80, colour: false });
        assert!(page.lines().all(|line| line.chars().count() <= 80));
        assert!(!page.contains('\x1b'));
        insta::assert_snapshot!(page);
    }

    #[test]
    fn a_narrow_page_keeps_its_width() {
        let findings = samples::findings();
        let page = render(&[samples::scanned(&findings)], Layout { width: 10, colour: false });
        assert!(page.lines().all(|line| line.chars().count() <= 40));
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let findings = samples::findings();
        let plain = render(&[samples::scanned(&findings)], Layout { width: 80, colour: false });
        let coloured = render(&[samples::scanned(&findings)], Layout { width: 80, colour: true });
        let mut stripped = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once("\x1b[") {
            stripped.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        stripped.push_str(rest);
        assert_eq!(stripped, plain);
    }

    #[test]
    fn nothing_found_is_said_in_one_line() {
        let mut scanned = samples::scanned(&[]);
        scanned.checks.clear();
        let page = render(&[scanned], Layout { width: 80, colour: false });
        assert!(
            page.ends_with("no findings; 0 checks clean, 0 not tested; the scan is incomplete\n"),
            "{page}"
        );
    }

    #[test]
    fn what_a_scan_could_not_do_is_said_first() {
        let warnings = ["the identity `mara` is not let in".to_owned()];
        let mut scanned = samples::scanned(&[]);
        scanned.warnings = &warnings;
        let page = render(&[scanned], Layout { width: 80, colour: false });
        assert!(
            page.starts_with("wss://app.example/ws\n\nwarning: the identity `mara` is not let in\n\n"),
            "{page}"
        );
    }

    #[test]
    fn a_head_is_shown_by_what_is_unusual_about_it() {
        let check = |text: &str, expected: &[&str]| assert_eq!(head(text), expected, "{text}");
        check(
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: null\r\n\r\n",
            &["GET / HTTP/1.1", "Origin: null"],
        );
        check(
            "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\nConnection: close\r\n",
            &["GET / HTTP/1.1", "Host: a", "host: b", "Connection: close"],
        );
        check(
            "HTTP/1.1 200 OK\r\nupgrade: h2c\r\n folded\r\n",
            &["HTTP/1.1 200 OK", "upgrade: h2c", " folded"],
        );
    }

    #[test]
    fn text_is_broken_at_blanks() {
        let check = |text: &str, expected: &[&str]| assert_eq!(wrap(text, 6), expected, "{text}");
        check("a bc def", &["a bc", "def"]);
        check("abcdefghij k", &["abcdef", "ghij k"]);
        check("a abcdefgh", &["a", "abcdef", "gh"]);
        check("", &[""]);
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use sockwarden_model::{Confidence, EvidenceBytes, Rule, Step, rule};

    use super::*;
    use crate::Tested;

    rule! {
        /// # What it does
        /// Opens the endpoint as a page of another site.
        ///
        /// # Why is this bad
        /// The page reads what the victim reads.
        ///
        /// # How to fix
        /// Compare the `Origin` with a list of exact origins before answering, and ask for a ticket that only your own
        /// pages can get.
        ///
        /// ```js
        /// const allowed = new Set(['https://app.example']);
        /// ```
        pub(crate) static FIRST = Check {
            id: "first-rule",
            summary: "a page of another site gets in",
            severity: High,
            threats: [T7],
            cwe: [1385, 346],
            references: ["RFC 6455 §10.2", "https://example.org/why"],
            lifecycle: Preview,
            counterparts: ["origin-policy"],
            profile: Safe,
            may_change: "nothing",
        }
    }

    rule! {
        /// # What it does
        /// Sends more.
        ///
        /// # Why is this bad
        /// Memory ends.
        ///
        /// # How to fix
        /// Set a limit.
        pub(crate) static SECOND = Check {
            id: "second-rule",
            summary: "messages have no limit",
            severity: Medium,
            threats: [T2],
            cwe: [770],
            references: [],
            lifecycle: Stable,
            counterparts: [],
            profile: Intrusive,
            may_change: "memory",
        }
    }

    fn step(kind: StepKind, bytes: &[u8]) -> Step {
        Step { kind, at_ms: 3, bytes: EvidenceBytes::new(bytes) }
    }

    pub(crate) fn findings() -> Vec<Finding> {
        let endpoint = "wss://app.example/ws";
        let low =
            Finding::new(&FIRST, endpoint, "null", Confidence::Firm, "the Origin `null` gets in".into());
        let summary = "any foreign Origin gets in: the data of mara come back (email, balance), and a browser sends the cookie";
        let high = Finding::new(&FIRST, endpoint, "any-origin", Confidence::Proven, summary.into());
        let steps = vec![
            step(StepKind::Sent, b"GET /ws HTTP/1.1\r\nHost: app.example\r\nCookie: s=[redacted]\r\n\r\n"),
            step(StepKind::Received, b"HTTP/1.1 101 Switching Protocols\r\nX: \x1b[2J\r\n\r\n"),
            step(StepKind::Note, "text of 5 bytes: h\u{202e}llo".as_bytes()),
            step(StepKind::Sent, b"\x81\x85\x01\x02\x03\x04abcde"),
            step(StepKind::Note, b"the target closed the connection"),
        ];
        vec![
            low.with_severity(Severity::Low),
            high.with_evidence(Evidence { title: "any foreign Origin".into(), steps }),
        ]
    }

    pub(crate) fn scanned(findings: &[Finding]) -> Scanned<'_> {
        let tested = |rule: &'static Rule, verdict| Tested { rule, verdict, remarks: &[] };
        Scanned {
            endpoint: "wss://app.example/ws",
            findings,
            checks: vec![
                tested(&FIRST, Verdict::Found(findings.len())),
                tested(&SECOND, Verdict::NotTested("it needs the intrusive profile: memory".into())),
            ],
            warnings: &[],
            incomplete: true,
        }
    }
}

//! `cargo xtask picture`: draws the output of `sockwarden demo` as `docs/demo.svg`, as a terminal would show it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::Outcome;
use crate::metadata::Metadata;
use crate::shell;

const PICTURE: &str = "docs/demo.svg";
const DEMO_LIMIT: Duration = Duration::from_secs(120);
/// The size of one character, and the frame around all of them, in pixels.
const CHARACTER: (f64, f64) = (8.4, 20.0);
const MARGIN: f64 = 20.0;

pub(crate) fn run(words: &[&str]) -> anyhow::Result<Outcome> {
    if !words.is_empty() {
        return Ok(Outcome::Usage);
    }
    let root = shell::root()?;
    let program = Path::new(&Metadata::read(&root)?.target_directory).join("release/sockwarden");
    let mut demo = Command::new(program);
    demo.arg("demo").env("CLICOLOR_FORCE", "1").env("COLUMNS", "100");
    let shown = shell::capture(&mut demo, DEMO_LIMIT)?;
    anyhow::ensure!(shown.end.is_success(), "the demo failed: {}", shown.end);
    let mut lines: Vec<&str> = vec!["\u{1b}[2m$ \u{1b}[0mcargo run --release -- demo", ""];
    lines.extend(shown.out.iter().map(String::as_str));
    std::fs::write(root.join(PICTURE), svg(&lines)).with_context(|| format!("failed to write {PICTURE}"))?;
    eprintln!("wrote {PICTURE}");
    Ok(Outcome::Good)
}

/// A run of characters in one style.
#[derive(Debug, PartialEq)]
struct Run<'a> {
    column: usize,
    text: &'a str,
    class: String,
}

fn svg(lines: &[&str]) -> String {
    let drawn: Vec<Vec<Run<'_>>> = lines.iter().map(|line| runs(line)).collect();
    let columns = drawn.iter().flatten().map(|run| run.column + run.text.chars().count()).max().unwrap_or(0);
    let width = columns as f64 * CHARACTER.0 + 2.0 * MARGIN;
    let height = lines.len() as f64 * CHARACTER.1 + 2.0 * MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" \
         role=\"img\" aria-label=\"The output of sockwarden demo\">\n<style>\n\
         text {{ font: 14px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #d8dee9; white-space: pre }}\n\
         .bold {{ font-weight: 700 }} .faint {{ fill: #8a94a6 }} .red {{ fill: #ff7b72 }} .green {{ fill: #7ee787 }} .yellow {{ fill: #f2cc60 }}\n\
         </style>\n<rect width=\"100%\" height=\"100%\" rx=\"10\" fill=\"#0d1117\"/>\n"
    );
    for (row, runs) in drawn.iter().enumerate() {
        let y = MARGIN + (row as f64 + 0.75) * CHARACTER.1;
        for run in runs {
            let x = MARGIN + run.column as f64 * CHARACTER.0;
            let length = run.text.chars().count() as f64 * CHARACTER.0;
            let text = run.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            // The length keeps the columns straight whatever the font.
            let _ = writeln!(
                out,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{length:.1}\" class=\"{}\">{text}</text>",
                run.class
            );
        }
    }
    out.push_str("</svg>\n");
    out
}

/// Splits a line with escape sequences (ECMA-48 SGR) into its runs; blank ones are left out.
fn runs(line: &str) -> Vec<Run<'_>> {
    let mut found = Vec::new();
    let (mut column, mut class) = (0, Vec::<&str>::new());
    for (at, piece) in line.split('\u{1b}').enumerate() {
        let text = if at == 0 {
            piece
        } else {
            let Some((codes, text)) = piece.split_once('m') else { continue };
            for code in codes.trim_start_matches('[').split(';') {
                match code {
                    "1" => class.push("bold"),
                    "2" => class.push("faint"),
                    "31" => class.push("red"),
                    "32" => class.push("green"),
                    "33" => class.push("yellow"),
                    _ => class.clear(),
                }
            }
            text
        };
        let blanks = text.chars().take_while(|c| *c == ' ').count();
        if !text.trim().is_empty() {
            found.push(Run { column: column + blanks, text: text.trim(), class: class.join(" ") });
        }
        column += text.chars().count();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_where_its_style_changes() {
        let run = |column, text, class: &str| Run { column, text, class: class.to_owned() };
        assert_eq!(
            runs("a  \u{1b}[1m\u{1b}[32mok\u{1b}[0m  b"),
            [run(0, "a", ""), run(3, "ok", "bold green"), run(7, "b", "")]
        );
    }

    #[test]
    fn text_cannot_leave_its_element() {
        assert!(svg(&["<script>&"]).contains("&lt;script&gt;&amp;</text>"));
    }
}

//! `sockwarden explain`.

use std::fmt::Write as _;

use clap::Args;
use sockwarden_model::{Lifecycle, Rule, RuleKind};

use crate::{
    exit::{Exit, UsageError},
    rules,
    style::{FAINT, STRONG},
    terminal,
};

/// Without an id, lists every rule.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The rule, such as `origin-policy`
    id: Option<String>,
    /// Print Markdown, as in the documentation
    #[arg(long, requires = "id")]
    markdown: bool,
    /// Print the ids only, one a line
    #[arg(long, conflicts_with = "id")]
    list_ids: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    match &arguments.id {
        None if arguments.list_ids => rules::all().for_each(|rule| anstream::println!("{}", rule.id)),
        None => list(),
        Some(id) => {
            let rule = rules::find(id).ok_or_else(|| unknown(id))?;
            if arguments.markdown {
                anstream::print!("{}", markdown(rule));
            } else {
                anstream::print!("{}", in_full(rule, terminal::width()));
            }
        }
    }
    Ok(Exit::Clean)
}

fn list() {
    for (kind, title) in
        [(RuleKind::Check, "Checks: what `scan` finds"), (RuleKind::Defence, "Defences: what `guard` stops")]
    {
        let rules: Vec<_> = rules::all().filter(|rule| rule.kind == kind).collect();
        if rules.is_empty() {
            continue;
        }
        anstream::println!("{STRONG}{title}{STRONG:#}");
        for rule in rules {
            let threats = rule.threats.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            anstream::println!(
                "  {STRONG}{:<26}{STRONG:#} {FAINT}{:<9} {:<6}{FAINT:#} {}",
                rule.id,
                rule.severity,
                threats,
                rule.summary
            );
        }
        anstream::println!();
    }
    anstream::println!("{FAINT}sockwarden explain ID tells one in full{FAINT:#}");
}

fn unknown(id: &str) -> UsageError {
    let hint = match rules::nearest(id, rules::all().map(|rule| rule.id)) {
        Some(known) => format!(": did you mean `{known}`?"),
        None => ": `sockwarden explain` lists them".to_owned(),
    };
    UsageError(format!("there is no rule `{}`{hint}", sockwarden_model::printable(id.as_bytes(), 60)))
}

/// What is known of a rule besides its text, as pairs of a label and a value.
fn facts(rule: &Rule) -> Vec<(&'static str, String)> {
    let join = |items: &[&str]| items.join(", ");
    let kind = match rule.kind {
        RuleKind::Check => "check",
        RuleKind::Defence => "defence",
    };
    let counterparts = match rule.kind {
        RuleKind::Check => "stopped by",
        RuleKind::Defence => "stops what is found by",
    };
    let may_change = match rule.kind {
        RuleKind::Check => "may change on the target",
        RuleKind::Defence => "peers may notice",
    };
    let mut facts = vec![
        ("kind", kind.to_owned()),
        ("severity", rule.severity.to_string()),
        ("threats", rule.threats.iter().map(|t| format!("{t} {}", t.title())).collect::<Vec<_>>().join(", ")),
        ("weaknesses", rule.cwe.iter().map(|n| format!("CWE-{n}")).collect::<Vec<_>>().join(", ")),
        (counterparts, join(rule.counterparts)),
        (may_change, rule.may_change.to_owned()),
        ("references", join(rule.references)),
        (
            "status",
            match rule.lifecycle {
                Lifecycle::Preview => "preview".to_owned(),
                Lifecycle::Stable => "stable".to_owned(),
            },
        ),
    ];
    if rule.kind == RuleKind::Check {
        facts.insert(1, ("profile", rule.profile.name().to_owned()));
    }
    facts.retain(|(_, value)| !value.is_empty());
    facts
}

fn markdown(rule: &Rule) -> String {
    let mut out = format!("# {}\n\n{}.\n\n| | |\n|---|---|\n", rule.id, capitalised(rule.summary));
    for (label, value) in facts(rule) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "| {label} | {} |", value.replace('|', "\\|"));
    }
    for heading in Rule::HEADINGS {
        let _ = write!(out, "\n## {heading}\n\n{}\n", rule.section(heading).unwrap_or_default());
    }
    out
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn in_full(rule: &Rule, width: usize) -> String {
    let mut out = format!("{STRONG}{}{STRONG:#}: {}\n\n", rule.id, rule.summary);
    for (label, value) in facts(rule) {
        let _ =
            writeln!(out, "  {FAINT}{label:<24}{FAINT:#} {}", wrapped(&value, width.saturating_sub(27), 27));
    }
    for heading in Rule::HEADINGS {
        let _ = write!(
            out,
            "\n{STRONG}{heading}{STRONG:#}\n\n{}",
            body(&rule.section(heading).unwrap_or_default(), width)
        );
    }
    out
}

/// Wraps prose and indents code.
fn body(markdown: &str, width: usize) -> String {
    let mut out = String::new();
    let mut paragraph = String::new();
    let mut in_code = false;
    let flush = |paragraph: &mut String, out: &mut String| {
        if !paragraph.is_empty() {
            let _ = writeln!(out, "{}\n", wrapped(paragraph, width, 0));
            paragraph.clear();
        }
    };
    for line in markdown.lines() {
        if line.starts_with("```") {
            flush(&mut paragraph, &mut out);
            if in_code {
                out.push('\n');
            }
            in_code = !in_code;
        } else if in_code {
            let _ = writeln!(out, "    {line}");
        } else if line.is_empty() {
            flush(&mut paragraph, &mut out);
        } else {
            if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(line);
        }
    }
    flush(&mut paragraph, &mut out);
    out
}

/// Breaks text between words so that no line is longer than `width`, further lines indented.
fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            let _ = write!(out, "\n{:indent$}", "");
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_wrapped_and_code_is_not() {
        let text = "one two three\nfour\n\n```js\nlet a = 1; // long line of code\n```";
        assert_eq!(body(text, 9), "one two\nthree\nfour\n\n    let a = 1; // long line of code\n\n");
    }

    #[test]
    fn a_misspelt_rule_is_guessed() {
        assert!(unknown("orign-policy").0.contains("`origin-policy`"));
    }

    #[test]
    fn every_rule_is_explained_within_the_width() {
        for rule in rules::all() {
            assert!(markdown(rule).contains("## How to fix"));
            let text = anstream::adapter::strip_str(&in_full(rule, 60)).to_string();
            for line in text.lines().filter(|line| !line.starts_with("    ")) {
                assert!(line.chars().count() <= 100, "{}: {line}", rule.id);
            }
        }
    }
}

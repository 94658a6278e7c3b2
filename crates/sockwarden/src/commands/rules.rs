//! `sockwarden rules`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;
use sockwarden_model::printable_text;
use sockwarden_seclang::Standing;

use crate::{complaint, exit::Exit, operator::columns, rule_set, style::ERROR};

/// How it ends, and examples.
const HELP: &str = "Standard output has what became of each rule: compiled, not applicable to messages and why, not supported and why, or removed by another one.

Exit code 0: every rule was read. 1: a file cannot be read, or holds what is no rule; each mistake is told with file, line and column. 2: usage.

Examples:
  sockwarden rules check /usr/share/modsecurity-crs
  sockwarden rules check crs --json | jq -r 'select(.standing==\"unsupported\")'";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what becomes of each rule of a rule set
    #[command(after_help = HELP)]
    Check(Check),
}

#[derive(Debug, Args)]
struct Check {
    /// The folder of the rules, such as that of the OWASP Core Rule Set
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Tell of every rule, and not only of those that are left out
    #[arg(long)]
    all: bool,
    /// One JSON object for each rule
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Command::Check(check) = &arguments.command;
    let report = match rule_set::load(&check.folder) {
        Ok((_, report)) => report,
        Err(error) => {
            anstream::eprintln!("{ERROR}error:{ERROR:#} {}", complaint::of(&error));
            return Ok(Exit::Found);
        }
    };
    if check.json {
        for rule in &report.rules {
            let line = json!({
                "id": rule.id, "file": rule.file, "line": rule.line, "message": rule.message,
                "standing": rule.standing.name(), "why": rule.standing.why(), "left_out": rule.left_out,
            });
            anstream::println!("{}", crate::seen::harmless_json(&line.to_string()));
        }
        return Ok(Exit::Clean);
    }
    for signature in &report.signatures {
        anstream::println!("{}", printable_text(signature, 100));
    }
    let is_left_out =
        |standing: &Standing| matches!(standing, Standing::NotApplicable(_) | Standing::Unsupported(_));
    let told = report.rules.iter().filter(|rule| check.all || is_left_out(&rule.standing));
    let rows: Vec<[String; 4]> = told
        .map(|rule| {
            let file = rule.file.rsplit('/').next().unwrap_or_default();
            let why = rule.standing.why().map(str::to_owned).unwrap_or_else(|| rule.left_out.join(", "));
            [
                rule.id.to_string(),
                rule.standing.name().to_owned(),
                format!("{file}:{}", rule.line),
                printable_text(&why, 100),
            ]
        })
        .collect();
    if !rows.is_empty() {
        anstream::print!("{}", columns(["RULE", "STANDING", "PLACE", "WHY"], &rows));
    }
    let count = |name| report.count(name);
    anstream::println!(
        "{} rules: {} compiled, {} need the handshake, {} not applicable to messages, {} unsupported, {} removed",
        report.rules.len(),
        count("compiled"),
        count("needs-handshake"),
        count("not-applicable"),
        count("unsupported"),
        count("removed")
    );
    Ok::<_, anyhow::Error>(Exit::Clean).context("standard output cannot be written")
}

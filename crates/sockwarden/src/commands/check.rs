//! `sockwarden check`.

use std::path::{Path, PathBuf};

use clap::Args;
use sockwarden_config::Diagnostic;

use crate::{
    config::{Config, diagnostic},
    config_file::{self, Unusable},
    exit::Exit,
    style::{ERROR, GOOD, WARNING},
};

/// Exit code 0: it can run, perhaps with warnings. 1: it cannot. 2: usage.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The configuration to read
    #[arg(short, long, value_name = "FILE", default_value = "sockwarden.toml")]
    config: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some((config, text)) = read(&arguments.config)? else { return Ok(Exit::Found) };
    let name = arguments.config.display().to_string();
    if let Err(problems) = config.build() {
        say(&problems.iter().map(|p| diagnostic(Diagnostic::error, &name, &text, p)).collect::<Vec<_>>());
        return Ok(Exit::Found);
    }
    let warnings = config.warnings();
    say(&warnings.iter().map(|p| diagnostic(Diagnostic::warning, &name, &text, p)).collect::<Vec<_>>());
    let routes = config.routes.len();
    let summary = match warnings.len() {
        0 => "no warnings".to_owned(),
        1 => "1 warning".to_owned(),
        n => format!("{n} warnings"),
    };
    anstream::eprintln!(
        "{GOOD}ok:{GOOD:#} {name}: {} listener(s), {routes} route(s), {summary}",
        config.listeners.len()
    );
    Ok(Exit::Clean)
}

/// Reads a configuration and says everything that is wrong with its form; `None` where something is.
pub(crate) fn read(path: &Path) -> anyhow::Result<Option<(Config, String)>> {
    said(config_file::read(path))
}

/// Says everything that is wrong with a configuration; `None` where something is.
pub(crate) fn said<T>(read: Result<T, Unusable>) -> anyhow::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(Unusable::Unread(error)) => Err(error),
        Err(Unusable::Wrong(errors)) => {
            say(&errors);
            Ok(None)
        }
    }
}

/// Prints diagnostics to standard error, each with its line, in the order of the file.
pub(crate) fn say(diagnostics: &[Diagnostic]) {
    let mut diagnostics: Vec<_> = diagnostics.iter().collect();
    diagnostics.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
    for diagnostic in diagnostics {
        let text = format!("{diagnostic:#}");
        let style = match diagnostic.severity {
            sockwarden_config::Severity::Error => ERROR,
            sockwarden_config::Severity::Warning => WARNING,
        };
        match text.split_once(':') {
            Some((kind, rest)) => anstream::eprintln!("{style}{kind}:{style:#}{rest}"),
            None => anstream::eprintln!("{text}"),
        }
    }
}

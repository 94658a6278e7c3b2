//! `sockwarden why`.

use std::path::PathBuf;

use clap::Args;
use sockwarden_model::{Decision, EventId};

use crate::{
    exit::Exit,
    rules,
    style::{FAINT, STRONG},
};

/// Exit code 0: found. 1: the log has no such event, or cannot be read. 2: usage.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The id that the refused peer was told
    id: EventId,
    /// The log that the gateway wrote (`--events FILE`, or `events.file` in its configuration)
    #[arg(short, long, value_name = "FILE")]
    log: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(found) = sockwarden_store::find(&arguments.log, arguments.id)? else {
        anyhow::bail!("`{}` holds no event {}", arguments.log.display(), arguments.id);
    };
    let verdict = &found.verdict;
    let done = match (verdict.decision, verdict.mode) {
        (Decision::Note, _) => "noted".to_owned(),
        (Decision::Refuse(status), sockwarden_model::Mode::Observe) => {
            format!("would have been refused with {status}")
        }
        (Decision::Refuse(status), _) => format!("refused with {status}"),
        (Decision::Close(code), sockwarden_model::Mode::Observe) => {
            format!("would have been closed with {code}")
        }
        (Decision::Close(code), _) => format!("closed with {code}"),
        (Decision::Drop, sockwarden_model::Mode::Observe) => "would have been dropped".to_owned(),
        (Decision::Drop, _) => "dropped".to_owned(),
    };
    anstream::println!(
        "{STRONG}{}{STRONG:#} by {STRONG}{}{STRONG:#}: {}",
        done,
        verdict.rule,
        verdict.reason
    );
    anstream::println!("  client      {}", verdict.client);
    if !verdict.route.is_empty() {
        anstream::println!("  route       {}", verdict.route);
    }
    if let Some(direction) = verdict.direction {
        anstream::println!("  sent by     the {direction}");
    }
    if let Some(limit) = verdict.limit {
        anstream::println!("  limit       {}: {}", limit.label(), limit.keys().join(", "));
    }
    anstream::println!("  severity    {}", verdict.severity);
    anstream::println!("  connection  {}", verdict.connection);
    if let Some(open) = &found.open {
        if let Some(user) = &open.user {
            anstream::println!("  user        {user}");
        }
        if let Some(origin) = &open.origin {
            anstream::println!("  origin      {origin}");
        }
    }
    if let Some(close) = &found.close {
        anstream::println!(
            "  forwarded   {} messages from the client, {} from the application, in {} ms",
            close.from_client.messages,
            close.from_server.messages,
            close.duration_ms
        );
    }
    if let Some(rule) = rules::find(&verdict.rule) {
        anstream::println!(
            "\n{}\n{FAINT}more: sockwarden explain {}{FAINT:#}",
            rule.section("What it does").unwrap_or_default(),
            rule.id
        );
    }
    Ok(Exit::Clean)
}

//! `sockwarden mode`.

use clap::{Args, Subcommand};
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use sockwarden_config::HumanDuration;
use sockwarden_model::Mode;

use crate::{
    cli::some_time,
    exit::Exit,
    operator::{Connect, Operator, print_json, query},
    style::GOOD,
};

/// Breaks the glass: changes modes of defences for a stated time, on live sockets too; they go back by themselves.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0: done. 1: the gateway refuses, or has no such route or defence. 2: usage. 3: no gateway answers."
)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Have defences look and report, and let everything pass
    Observe(Change),
    /// Have defences stop what they object to
    Block(Change),
    /// Have defences not even look
    Off(Change),
    /// Put modes back to what the configuration says, now
    Restore(Restore),
}

#[derive(Debug, Args)]
struct Change {
    #[command(flatten)]
    routes: Routes,
    #[command(flatten)]
    rules: Rules,
    /// For how long, from 1s to 24h; then the configuration holds again
    #[arg(long = "for", value_name = "DURATION", value_parser = some_time)]
    time: HumanDuration,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Routes {
    /// The route
    #[arg(long, value_name = "ROUTE")]
    route: Option<String>,
    /// Every route
    #[arg(long)]
    all_routes: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Rules {
    /// The defence
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// Every defence that is not off: with `observe`, everybody is let in
    #[arg(long)]
    all_rules: bool,
}

#[derive(Debug, Args)]
struct Restore {
    /// Only this route
    #[arg(long, value_name = "ROUTE")]
    route: Option<String>,
    /// Only this defence
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Deserialize)]
struct Changed {
    changed: usize,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let (mode, change) = match &arguments.what {
        What::Observe(change) => (Mode::Observe, change),
        What::Block(change) => (Mode::Block, change),
        What::Off(change) => (Mode::Off, change),
        What::Restore(restore) => return put_back(restore),
    };
    let Some(operator) = Operator::new(&change.connect)? else { return Ok(Exit::Found) };
    let time = change.time.get();
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let order = json!({
        "route": change.routes.route,
        "rule": change.rules.rule,
        "mode": mode,
        "seconds": seconds,
    });
    let answer = operator.order(Method::POST, "/api/v1/modes", Some(&order))?;
    say(&operator, answer, |count| {
        format!(
            "{GOOD}switched{GOOD:#} {} to {mode} for {}",
            defences(count),
            HumanDuration::from_secs(seconds)
        )
    })
}

fn put_back(Restore { route, rule, connect }: &Restore) -> anyhow::Result<Exit> {
    let Some(operator) = Operator::new(connect)? else { return Ok(Exit::Found) };
    let query = query(&[("route", route.clone()), ("rule", rule.clone())]);
    let answer = operator.order(Method::DELETE, &format!("/api/v1/modes{query}"), None)?;
    say(&operator, answer, |count| {
        format!("{GOOD}restored{GOOD:#} {} to the configured mode", defences(count))
    })
}

fn say(operator: &Operator, answer: Value, words: impl FnOnce(usize) -> String) -> anyhow::Result<Exit> {
    if operator.json {
        print_json(&answer)?;
    } else {
        let Changed { changed } = operator.read(answer)?;
        anstream::println!("{}", words(changed));
    }
    Ok(Exit::Clean)
}

fn defences(count: usize) -> String {
    if count == 1 { "1 defence".to_owned() } else { format!("{count} defences") }
}

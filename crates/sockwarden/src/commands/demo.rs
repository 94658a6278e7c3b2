//! `sockwarden demo`.

use std::{io::Write as _, time::Duration};

use clap::{Args, builder::PossibleValuesParser};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    demo::{self, Stage},
    exit::Exit,
};

/// Starts Harbor, a messenger with real flaws, and the gateway in front of it; attacks and scans both; shows what happened.
///
/// Everything runs in this process on free ports of the loopback; nothing is left behind.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Print JSON instead of the table: one object a line for each row, then the summary
    #[arg(long)]
    json: bool,
    /// Leave everything running afterwards, and print where, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    serve: bool,
    /// Switch a defence off, such as `origin-policy`, and see its row turn red (repeatable)
    #[arg(long, value_name = "DEFENCE", value_parser = PossibleValuesParser::new(demo::SWITCHES))]
    without: Vec<String>,
}

const EXIT_CODES: &str = "\
Exit code 0: every attack succeeded directly, was found by the scan, was stopped through the gateway
by the named defence, and is gone from the scan. 1: not so, or it cannot run. 2: usage.";

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(perform(arguments));
    runtime.shutdown_timeout(Duration::from_secs(1));
    exit
}

async fn perform(arguments: &Arguments) -> anyhow::Result<Exit> {
    let stage = Stage::start(|route| {
        for id in &arguments.without {
            demo::switch_off(id, route);
        }
    })
    .await?;
    let bar = bar();
    let tell = |what: &str| {
        bar.inc(1);
        bar.set_message(what.to_owned());
    };
    let mut signals = crate::signals::Signals::to_end()?;
    let shown = tokio::select! {
        shown = demo::run(&stage, &tell) => shown,
        // So that what was put aside is cleared away.
        _ = signals.end() => Err(anyhow::anyhow!("ended by a signal")),
    };
    bar.finish_and_clear();
    let shown = shown?;
    let text = if arguments.json { demo::lines(&shown) } else { demo::table(&shown) };
    anstream::stdout().write_all(text.as_bytes())?;
    if arguments.serve {
        serve(&stage).await?;
    }
    stage.stop().await;
    Ok(if shown.is_good() { Exit::Clean } else { Exit::Found })
}

/// Leaves everything running until a signal comes.
async fn serve(stage: &Stage) -> anyhow::Result<()> {
    let mut authority = tempfile::Builder::new().prefix("sockwarden-demo-").suffix(".pem").tempfile()?;
    authority.write_all(stage.authority().as_bytes())?;
    let program = std::env::args().next().unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned());
    let directions = demo::directions(stage, &program, authority.path()).await?;
    anstream::print!("\n{directions}");
    crate::signals::Signals::to_end()?.end().await;
    Ok(())
}

/// Makes the progress bar: on standard error, and only where that is a terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(demo::STEPS);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:24} {pos}/{len} {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

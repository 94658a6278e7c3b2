//! Running a gateway until it is told to end.

use std::{path::PathBuf, time::Duration};

use sockwarden_config::Diagnostic;
use sockwarden_gateway::{Built, Gateway, Problem};
use sockwarden_model::event_channel;
use sockwarden_store::EventWriter;

use crate::{
    commands::check,
    config::{Config, diagnostic},
    exit::UsageError,
    signals::{Signal, Signals},
    style::{ERROR, GOOD, WARNING},
};

/// A configuration that came from a file and can come from it again.
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
}

impl ConfigFile {
    /// Reads the file, says everything that is wrong with it, and gives what can run with its warnings.
    pub(crate) fn load(&self) -> anyhow::Result<Option<(Config, Built, Vec<Diagnostic>)>> {
        let Some((config, text)) = check::read(&self.path)? else { return Ok(None) };
        let name = self.path.display().to_string();
        let place = |kind, problems: &[Problem]| {
            problems.iter().map(|p| diagnostic(kind, &name, &text, p)).collect::<Vec<_>>()
        };
        match config.build() {
            Ok(built) => {
                let warnings = place(Diagnostic::warning, &config.warnings());
                Ok(Some((config, built, warnings)))
            }
            Err(problems) => {
                check::say(&place(Diagnostic::error, &problems));
                Ok(None)
            }
        }
    }
}

/// Runs the gateway until a signal ends it; `warn` is called once it can run, so that an error stands alone.
///
/// SIGHUP reads `file` again; SIGTERM drains; SIGINT ends at once; a second signal ends the farewell.
pub(crate) fn serve(
    config: Config,
    built: Built,
    file: Option<&ConfigFile>,
    warn: impl FnOnce(),
) -> anyhow::Result<()> {
    let (sender, receiver) = event_channel(config.events.queue);
    let destination = config.destination().map_err(|problem| UsageError(problem.message))?;
    let writer = EventWriter::start(receiver, &destination)?;
    let dropped = sender.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended: anyhow::Result<()> = runtime.block_on(async {
        let mut signals = Signals::to_operate()?;
        let authority = built.dev_authority.clone();
        let gateway = Gateway::start(built, sender).await?;
        warn();
        introduce(&gateway, &config);
        if let Some(authority) = authority {
            anstream::eprintln!("clients must trust this authority, made for this run:\n{authority}");
        }
        operate(gateway, config, file, &mut signals).await;
        Ok(())
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    if dropped.dropped() > 0 {
        anstream::eprintln!(
            "{WARNING}warning:{WARNING:#} {} events were dropped: the queue was full",
            dropped.dropped()
        );
    }
    drop(dropped);
    ended?;
    writer.finish()?;
    Ok(())
}

fn introduce(gateway: &Gateway, config: &Config) {
    for listening in gateway.listening() {
        let scheme = if listening.tls { "wss" } else { "ws" };
        anstream::eprintln!("{GOOD}listening{GOOD:#} on {scheme}://{}", listening.address);
    }
    for route in &config.routes {
        anstream::eprintln!("  route {} {} -> {}", route.name, route.path, route.upstream);
    }
}

async fn operate(mut gateway: Gateway, mut config: Config, file: Option<&ConfigFile>, signals: &mut Signals) {
    loop {
        match signals.next().await {
            Signal::Hangup => match file {
                Some(file) => reload(&mut gateway, &mut config, file).await,
                None => anstream::eprintln!("{WARNING}warning:{WARNING:#} there is no file to read again"),
            },
            Signal::Interrupt => {
                tokio::select! { () = gateway.stop() => {} _ = signals.end() => {} }
                return;
            }
            Signal::Terminate => {
                tokio::select! { () = gateway.drain(&config.drain) => {} _ = signals.end() => {} }
                return;
            }
        }
    }
}

/// Takes the file's new contents, or says what is wrong with them and goes on with the old.
async fn reload(gateway: &mut Gateway, config: &mut Config, file: &ConfigFile) {
    let rejected = |gateway: &Gateway, why: &str| {
        anstream::eprintln!("{ERROR}error:{ERROR:#} {why}; the configuration in force stays");
        gateway.reload_rejected(why.to_owned());
    };
    let shown = file.path.display();
    match file.load() {
        Ok(Some((new, _, _))) if new.events != config.events => {
            rejected(gateway, "`events` cannot be changed without a restart");
        }
        Ok(Some((new, built, warnings))) => match gateway.reload(built, &new.reload).await {
            Ok(reloaded) => {
                check::say(&warnings);
                anstream::eprintln!("{GOOD}reloaded{GOOD:#} {shown}: {reloaded}");
                *config = new;
            }
            Err(error) => rejected(gateway, &anyhow::Error::from(error).to_string()),
        },
        Ok(None) => rejected(gateway, &format!("`{shown}` is not a configuration that can run")),
        Err(error) => rejected(gateway, &format!("{error:#}")),
    }
}

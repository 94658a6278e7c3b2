//! Running a gateway until it is told to end.

use std::{path::PathBuf, time::Duration};

use sockwarden_config::Diagnostic;
use sockwarden_console::{Console, Feed};
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
    let admin = config.admin().map_err(|problems| {
        let all: Vec<String> = problems.into_iter().map(|p| format!("{}: {}", p.key, p.message)).collect();
        anyhow::anyhow!("{}", all.join("; "))
    })?;
    let feed = Feed::new();
    let published = feed.clone();
    let writer = EventWriter::start_watched(receiver, &destination, move |event| published.publish(event))?;
    let dropped = sender.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended: anyhow::Result<()> = runtime.block_on(async {
        let mut signals = Signals::to_operate()?;
        let authority = built.dev_authority.clone();
        let gateway = Gateway::start(built, sender.clone()).await?;
        let console = match admin {
            Some(admin) => Some(admin.start(&gateway, sender, feed).await?),
            None => None,
        };
        warn();
        introduce(&gateway, console.as_ref(), &config);
        if let Some(authority) = authority {
            anstream::eprintln!("clients must trust this authority, made for this run:\n{authority}");
        }
        operate(gateway, config, file, &mut signals).await;
        // Until here whoever asks is told that the gateway is not ready.
        if let Some(console) = console {
            console.stop().await;
        }
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

fn introduce(gateway: &Gateway, console: Option<&Console>, config: &Config) {
    for listening in gateway.listening() {
        let scheme = if listening.tls { "wss" } else { "ws" };
        anstream::eprintln!("{GOOD}listening{GOOD:#} on {scheme}://{}", listening.address);
    }
    if let Some(console) = console {
        let scheme = if console.is_tls() { "https" } else { "http" };
        anstream::eprintln!("{GOOD}administered{GOOD:#} on {scheme}://{}", console.address());
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
        Ok(Some((new, _, _))) if new.admin != config.admin => {
            rejected(gateway, "`admin` cannot be changed without a restart");
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

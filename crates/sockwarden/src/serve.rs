//! Running a gateway until it is told to end.

use std::{path::PathBuf, time::Duration};

use sockwarden_config::Diagnostic;
use sockwarden_console::{Console, Feed};
use sockwarden_gateway::{Built, DrainConfig, Gateway, Problem, Sockets};
use sockwarden_model::event_channel;
use sockwarden_store::{EventLog, EventWriter};

use crate::{
    admin::{Bound, Prepared},
    commands::check,
    config::{Config, SandboxKind, diagnostic},
    exit::UsageError,
    sandbox::Sandbox,
    service::{self, Watchdog},
    signals::{Signal, Signals},
    style::{ERROR, GOOD, WARNING},
};

/// What a service manager is told that an end may take on top of a drain.
const STOP: Duration = Duration::from_secs(35);

/// A configuration that came from a file and can come from it again.
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
}

impl ConfigFile {
    /// Reads the file, says everything that is wrong with it, and gives what can run, in the sandbox if there is one
    /// already, with its warnings.
    pub(crate) fn load(
        &self,
        sandbox: Option<&Sandbox>,
    ) -> anyhow::Result<Option<(Config, Built, Vec<Diagnostic>)>> {
        let Some((config, text)) = check::read(&self.path)? else { return Ok(None) };
        let name = self.path.display().to_string();
        let place = |kind, problems: &[Problem]| {
            problems.iter().map(|p| diagnostic(kind, &name, &text, p)).collect::<Vec<_>>()
        };
        let beyond = sandbox.map(|sandbox| sandbox.beyond(&config)).unwrap_or_default();
        if !beyond.is_empty() {
            check::say(&place(Diagnostic::error, &beyond));
            return Ok(None);
        }
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
/// SIGHUP reads `file` again; SIGUSR1 opens the event log anew; SIGTERM drains; SIGINT ends at once; a second signal ends the
/// farewell. A service manager that listens is told of each.
pub(crate) fn serve(
    config: Config,
    built: Built,
    file: Option<&ConfigFile>,
    warn: impl FnOnce(),
) -> anyhow::Result<()> {
    if let Err(error) = service::forbid_core_dumps() {
        anstream::eprintln!("{WARNING}warning:{WARNING:#} core dumps cannot be forbidden: {error}");
    }
    if let Err(error) = service::raise_descriptors() {
        anstream::eprintln!("{WARNING}warning:{WARNING:#} descriptors stay few: {error}");
    }
    forget_messages_of_panics();
    let (sender, receiver) = event_channel(config.events.queue);
    let destination = config.destination().map_err(|problem| UsageError(problem.message))?;
    let admin = config.admin().map_err(|problems| {
        let all: Vec<String> = problems.into_iter().map(|p| format!("{}: {}", p.key, p.message)).collect();
        anyhow::anyhow!("{}", all.join("; "))
    })?;
    let (sockets, admin) = listen(&built, admin)?;
    let sandbox = Sandbox::enter(&config, file.map(|file| file.path.as_path()))?;
    let feed = Feed::new();
    let published = feed.clone();
    let rotation = config.rotation().map_err(|problem| UsageError(problem.message))?;
    let watch = move |event: &_| published.publish(event);
    let writer = EventWriter::start_rotating(receiver, &destination, rotation, watch)?;
    let dropped = sender.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended: anyhow::Result<()> = runtime.block_on(async {
        let mut signals = Signals::to_operate()?;
        let authority = built.dev_authority.clone();
        let gateway = Gateway::start_on(built, sockets, sender.clone()).await?;
        let console = match admin {
            Some(admin) => Some(admin.start(&gateway, sender, feed).await?),
            None => None,
        };
        warn();
        if let Some(room) = gateway.room().filter(|room| *room < u64::from(config.limits.connections)) {
            anstream::eprintln!(
                "{WARNING}warning:{WARNING:#} the descriptors of this process are enough for {room} connections, \
                 not for the {} of `limits.connections`",
                config.limits.connections
            );
        }
        introduce(&gateway, console.as_ref(), &config);
        describe(&sandbox, &config);
        if let Some(authority) = authority {
            anstream::eprintln!("clients must trust this authority, made for this run:\n{authority}");
        }
        let _watchdog = Watchdog::start();
        told(service::ready());
        operate(gateway, config, file, &sandbox, &writer.log(), &mut signals).await;
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

/// Says of a panic where it was, and nothing else: its message may hold what a peer sent.
fn forget_messages_of_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        anstream::eprintln!("{ERROR}error:{ERROR:#} a fault of the gateway itself, at {place}");
        let trace = std::backtrace::Backtrace::capture();
        if trace.status() == std::backtrace::BacktraceStatus::Captured {
            anstream::eprintln!("{trace}");
        }
    }));
}

/// Listens everywhere, in a runtime that starts no thread: what is to come must find one only.
fn listen(built: &Built, admin: Option<Prepared>) -> anyhow::Result<(Sockets, Option<Bound>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let inherited = service::inherited();
        let admin = match admin {
            Some(admin) => Some(admin.bind(&inherited).await?),
            None => None,
        };
        Ok((Sockets::bind(built, inherited).await?, admin))
    })
}

/// Says what the process has given up, and what that costs.
fn describe(sandbox: &Sandbox, config: &Config) {
    match config.isolation.sandbox {
        SandboxKind::Off => anstream::eprintln!("{WARNING}warning:{WARNING:#} `isolation.sandbox` is off"),
        SandboxKind::Auto | SandboxKind::Required => {
            anstream::eprintln!("{GOOD}confined{GOOD:#}: {sandbox}");
        }
    }
    for missing in sandbox.missing() {
        anstream::eprintln!("{WARNING}warning:{WARNING:#} not confined by {missing}");
    }
    for Problem { key, message, help } in sandbox.unreadable(config) {
        let help = help.map(|help| format!("; {help}")).unwrap_or_default();
        anstream::eprintln!("{WARNING}warning:{WARNING:#} `{key}`: {message}{help}");
    }
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

async fn operate(
    mut gateway: Gateway,
    mut config: Config,
    file: Option<&ConfigFile>,
    sandbox: &Sandbox,
    log: &EventLog,
    signals: &mut Signals,
) {
    loop {
        match signals.next().await {
            Signal::Hangup => match file {
                Some(file) => {
                    told(service::reloading());
                    reload(&mut gateway, &mut config, file, sandbox).await;
                    told(service::ready());
                }
                None => anstream::eprintln!("{WARNING}warning:{WARNING:#} there is no file to read again"),
            },
            Signal::Reopen => reopen(log).await,
            Signal::Interrupt => {
                told(service::stopping(STOP));
                tokio::select! { () = gateway.stop() => {} _ = signals.end() => {} }
                return;
            }
            Signal::Terminate => {
                let DrainConfig { delay, window, grace, code: _ } = &config.drain;
                let drain = delay.get().saturating_add(window.get()).saturating_add(grace.get());
                told(service::stopping(drain.saturating_add(STOP)));
                tokio::select! { () = gateway.drain(&config.drain) => {} _ = signals.end() => {} }
                return;
            }
        }
    }
}

/// Opens the event log anew, or says why the old one stays in use.
async fn reopen(log: &EventLog) {
    let log = log.clone();
    // It may wait for a disk.
    match tokio::task::spawn_blocking(move || log.reopen()).await {
        Ok(Ok(true)) => anstream::eprintln!("{GOOD}reopened{GOOD:#} the event log"),
        Ok(Ok(false)) => anstream::eprintln!("{WARNING}warning:{WARNING:#} events go to no file"),
        Ok(Err(error)) => {
            anstream::eprintln!(
                "{ERROR}error:{ERROR:#} {:#}; the old one stays in use",
                anyhow::Error::from(error)
            );
        }
        Err(error) => anstream::eprintln!("{ERROR}error:{ERROR:#} {error}"),
    }
}

/// Says that the service manager could not be told, which does not end anything.
fn told(result: std::io::Result<()>) {
    if let Err(error) = result {
        anstream::eprintln!("{WARNING}warning:{WARNING:#} the service manager cannot be told: {error}");
    }
}

/// Takes the file's new contents, or says what is wrong with them and goes on with the old.
async fn reload(gateway: &mut Gateway, config: &mut Config, file: &ConfigFile, sandbox: &Sandbox) {
    let rejected = |gateway: &Gateway, why: &str| {
        anstream::eprintln!("{ERROR}error:{ERROR:#} {why}; the configuration in force stays");
        gateway.reload_rejected(why.to_owned());
    };
    let shown = file.path.display();
    match file.load(Some(sandbox)) {
        Ok(Some((new, _, _))) if new.isolation != config.isolation => {
            rejected(gateway, "`isolation` cannot be changed without a restart");
        }
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
            Err(error) => rejected(gateway, &sandbox.explain(&error)),
        },
        Ok(None) => rejected(gateway, &format!("`{shown}` is not a configuration that can run")),
        Err(error) => rejected(gateway, &format!("{error:#}")),
    }
}

//! Running a gateway until it is told to end.

use std::{sync::Arc, time::Duration};

use sockwarden_console::{Console, Feed, Wiring};
use sockwarden_gateway::{Built, DrainConfig, Gateway, Problem, Sockets};
use sockwarden_model::{Draining, OrderError, Reloaded, event_channel};
use sockwarden_store::{EventLog, EventWriter};
use tokio::{
    sync::mpsc,
    time::{Sleep, sleep},
};

use crate::{
    admin::{Bound, Prepared, Running},
    commands::check,
    config::{Config, SandboxKind},
    config_file::{ConfigFile, Loaded, Unusable},
    exit::UsageError,
    heap::Heap,
    orders::{Order, Orders},
    sandbox::Sandbox,
    service::{self, Watchdog},
    signals::{Signal, Signals},
    style::{ERROR, GOOD, WARNING},
};

/// What a service manager is told that an end may take on top of a drain.
const STOP: Duration = Duration::from_secs(35);

const ENDING: &str = "the gateway is about to end";
const NO_FILE: &str = "there is no file to read again";

/// Runs the gateway until a signal ends it; `warn` is called once it can run, so that an error stands alone.
///
/// SIGHUP reads `file` again; SIGUSR1 opens the event log anew; SIGTERM drains; SIGINT ends at once; a second one of these two
/// ends the farewell. The admin listener orders the same. A service manager that listens is told of each.
pub(crate) fn serve(
    config: Config,
    built: Built,
    file: Option<ConfigFile>,
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
    let admin = config.admin().map_err(|problems| anyhow::anyhow!("{}", all(&problems)))?;
    let (sockets, admin) = listen(&built, admin)?;
    let sandbox = Sandbox::enter(&config, file.as_ref().map(|file| file.path.as_path()))?;
    let feed = Feed::new();
    let published = feed.clone();
    let rotation = config.rotation().map_err(|problem| UsageError(problem.message))?;
    let watch = move |event: &_| published.publish(event);
    let writer = EventWriter::start_rotating(receiver, &destination, rotation, watch)?;
    let dropped = sender.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended: anyhow::Result<()> = runtime.block_on(async {
        let signals = Signals::to_operate()?;
        let authority = built.dev_authority.clone();
        let gateway = Gateway::start_on(built, sockets, sender.clone()).await?;
        let (operations, orders) = Orders::new(sender.clone());
        let admin = match admin {
            Some(admin) => {
                let (control, operations) = (gateway.control(), Arc::new(operations));
                let wiring = Wiring { control, operations, events: sender, feed };
                Some(admin.start(wiring).await?)
            }
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
        introduce(&gateway, admin.as_ref().map(Running::console), &config);
        describe(&sandbox, &config);
        if let Some(authority) = authority {
            anstream::eprintln!("clients must trust this authority, made for this run:\n{authority}");
        }
        let _watchdog = Watchdog::start();
        let _heap = Heap::watch(gateway.control());
        told(service::ready());
        Run { gateway, admin, config, file, sandbox, log: writer.log(), signals, orders }
            .until_the_end()
            .await;
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

/// Words problems in one line.
fn all(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("{}: {}", p.key, p.message)).collect::<Vec<_>>().join("; ")
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

/// A gateway that runs, and everybody who may tell it something.
struct Run {
    gateway: Gateway,
    admin: Option<Running>,
    config: Config,
    file: Option<ConfigFile>,
    sandbox: Sandbox,
    log: EventLog,
    signals: Signals,
    orders: mpsc::Receiver<Order>,
}

/// How a gateway ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// At once.
    Stop,
    /// In order.
    Drain,
}

impl Run {
    async fn until_the_end(mut self) {
        let mut look = std::pin::pin!(self.next_look());
        let end = loop {
            tokio::select! {
                () = &mut look => {
                    if let Some(admin) = &mut self.admin {
                        admin.refresh();
                    }
                    look.set(self.next_look());
                }
                signal = self.signals.next() => match signal {
                    Signal::Hangup => {
                        // Who sent it is told on standard error.
                        let _ = self.reload().await;
                    }
                    Signal::Reopen => reopen(self.log.clone()).await,
                    Signal::Interrupt => break End::Stop,
                    Signal::Terminate => break End::Drain,
                },
                Some(order) = self.orders.recv() => match order {
                    Order::Reload(answer) => answer(self.reload().await),
                    Order::Drain(answer) => {
                        // Before the answer: whoever has it finds the gateway not ready.
                        self.gateway.withdraw();
                        answer(Ok(Draining::Begun));
                        break End::Drain;
                    }
                },
            }
        };
        self.farewell(end).await;
    }

    /// Waits until it is time to look at the admin listener's certificates.
    fn next_look(&self) -> Sleep {
        sleep(self.config.limits.certificate_poll.get())
    }

    /// Ends, or is told to hurry.
    async fn farewell(self, end: End) {
        let Self { gateway, admin, config, file: _, sandbox: _, log, signals, orders } = self;
        end_of(gateway, end, &config.drain, log, signals, orders).await;
        // Until here whoever asks is told that the gateway is not ready.
        if let Some(admin) = admin {
            admin.stop().await;
        }
    }

    /// Takes the file's new contents, or says what is wrong with them and goes on with the old.
    async fn reload(&mut self) -> Result<Reloaded, OrderError> {
        let Some(file) = self.file.clone() else {
            anstream::eprintln!("{WARNING}warning:{WARNING:#} {NO_FILE}");
            return Err(OrderError::NotNow(NO_FILE.to_owned()));
        };
        told(service::reloading());
        let reloaded = self.take(&file).await;
        told(service::ready());
        let shown = file.path.display();
        match &reloaded {
            Ok(reloaded) => anstream::eprintln!("{GOOD}reloaded{GOOD:#} {shown}: {reloaded}"),
            Err(error) => {
                anstream::eprintln!("{ERROR}error:{ERROR:#} {error}; the configuration in force stays");
                self.gateway.reload_rejected(error.to_string());
            }
        }
        reloaded
    }

    async fn take(&mut self, file: &ConfigFile) -> Result<Reloaded, OrderError> {
        let Loaded { config, built, warnings } =
            file.load(Some(&self.sandbox)).map_err(|unusable| match unusable {
                Unusable::Unread(error) => {
                    OrderError::Invalid { why: format!("{error:#}"), details: Vec::new() }
                }
                Unusable::Wrong(diagnostics) => {
                    check::say(&diagnostics);
                    OrderError::Invalid {
                        why: format!("`{}` is not a configuration that can run", file.path.display()),
                        details: diagnostics.iter().map(ToString::to_string).collect(),
                    }
                }
            })?;
        let restart = |key: &str| OrderError::NotNow(format!("`{key}` cannot be changed without a restart"));
        if config.isolation != self.config.isolation {
            return Err(restart("isolation"));
        }
        if config.events != self.config.events {
            return Err(restart("events"));
        }
        let address = |config: &Config| config.admin.as_ref().map(|admin| admin.address.clone());
        match (address(&config), address(&self.config)) {
            (new, old) if new == old => {}
            (Some(_), Some(_)) => return Err(restart("admin.address")),
            (Some(_), None) | (None, _) => return Err(restart("admin")),
        }
        // Its files may have changed since they were judged.
        let admin = config
            .admin()
            .map_err(|problems| OrderError::Invalid { why: all(&problems), details: Vec::new() })?;
        let reloaded = self.gateway.reload(built, &config.reload).await;
        let reloaded = reloaded.map_err(|error| OrderError::Invalid {
            why: self.sandbox.explain(&error),
            details: Vec::new(),
        })?;
        if let (Some(running), Some(prepared)) = (&mut self.admin, admin) {
            running.renew(prepared);
        }
        check::say(&warnings);
        self.config = config;
        Ok(reloaded)
    }
}

/// Ends a gateway, or is told to hurry.
async fn end_of(
    gateway: Gateway,
    end: End,
    drain: &DrainConfig,
    log: EventLog,
    mut signals: Signals,
    mut orders: mpsc::Receiver<Order>,
) {
    let DrainConfig { delay, window, grace, code: _ } = drain;
    let time = match end {
        End::Stop => STOP,
        End::Drain => {
            delay.get().saturating_add(window.get()).saturating_add(grace.get()).saturating_add(STOP)
        }
    };
    told(service::stopping(time));
    let ending = async {
        match end {
            End::Stop => gateway.stop().await,
            End::Drain => gateway.drain(drain).await,
        }
    };
    let mut ending = std::pin::pin!(ending);
    loop {
        tokio::select! {
            () = &mut ending => return,
            signal = signals.next() => match signal {
                Signal::Interrupt | Signal::Terminate => return,
                // A disk that hangs must not hold up the farewells.
                Signal::Reopen => drop(tokio::spawn(reopen(log.clone()))),
                Signal::Hangup => anstream::eprintln!("{WARNING}warning:{WARNING:#} {ENDING}"),
            },
            Some(order) = orders.recv() => match (order, end) {
                (Order::Drain(answer), End::Drain) => answer(Ok(Draining::UnderWay)),
                (order @ (Order::Reload(_) | Order::Drain(_)), End::Stop | End::Drain) => {
                    order.refuse(OrderError::NotNow(ENDING.to_owned()));
                }
            },
        }
    }
}

/// Opens the event log anew, or says why the old one stays in use.
async fn reopen(log: EventLog) {
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

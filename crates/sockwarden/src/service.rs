//! What a service manager is told, by systemd's protocol (`sd_notify(3)`): where none listens, nothing is said.

use std::{io, time::Duration};

use listenfd::ListenFd;
use sd_notify::NotifyState;
use sockwarden_gateway::Inherited;
use tokio::task::JoinHandle;

/// The shortest time between two signs of life, however short the watchdog's patience.
const SHORTEST_BEAT: Duration = Duration::from_millis(10);

/// The descriptor of the first socket that a service manager hands over (`sd_listen_fds(3)`).
const FIRST_SOCKET: usize = 3;

/// Takes the TCP sockets that were handed over, with their names. It must run before there are threads: the variables that
/// tell of them are taken away.
pub(crate) fn inherited() -> Inherited {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut handed = ListenFd::from_env();
    let mut inherited = Inherited::default();
    for index in 0..handed.len() {
        let name = names.next().unwrap_or_default();
        // What is no TCP socket is none of ours; who asks for it is told that there is none.
        if let Ok(Some(socket)) = handed.take_tcp_listener(index) {
            inherited.add(FIRST_SOCKET + index, name, socket);
        }
    }
    inherited
}

/// Tells that requests are served.
pub(crate) fn ready() -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Ready])
}

/// Tells that a new configuration is being read; [`ready`] ends it.
pub(crate) fn reloading() -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Reloading, NotifyState::monotonic_usec_now()?])
}

/// Tells that the end has begun, and that it may take `longest`.
pub(crate) fn stopping(longest: Duration) -> io::Result<()> {
    let longest = u32::try_from(longest.as_micros()).unwrap_or(u32::MAX);
    sd_notify::notify(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(longest)])
}

/// Gives signs of life for as long as it is kept, where the service manager waits for them (`WatchdogSec=`).
///
/// They come from the runtime that serves connections: when that is stuck, they stop.
#[derive(Debug)]
pub(crate) struct Watchdog {
    task: Option<JoinHandle<()>>,
}

impl Watchdog {
    pub(crate) fn start() -> Self {
        let patience = sd_notify::watchdog_enabled();
        let task = patience.map(|patience| {
            tokio::spawn(async move {
                let mut beats = tokio::time::interval((patience / 2).max(SHORTEST_BEAT));
                loop {
                    beats.tick().await;
                    // The manager that cannot be told will notice by itself.
                    let _ = sd_notify::notify(&[NotifyState::Watchdog]);
                }
            })
        });
        Self { task }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Takes as many descriptors as the process may have without asking anybody.
pub(crate) fn raise_descriptors() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    Ok(())
}

/// Keeps the process from leaving its memory behind in a file when it crashes, and others from looking into it: keys and
/// messages are in it.
pub(crate) fn forbid_core_dumps() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // A core that is piped to a program knows no limit of its size.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

//! What a service manager is told, by systemd's protocol (`sd_notify(3)`): where none listens, nothing is said.

use std::{io, time::Duration};

use sd_notify::NotifyState;
use tokio::task::JoinHandle;

/// The shortest time between two signs of life, however short the watchdog's patience.
const SHORTEST_BEAT: Duration = Duration::from_millis(10);

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

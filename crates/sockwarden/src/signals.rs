//! The signals by which a person or a service manager speaks to the program.

use std::io;

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGINT: end now.
    Interrupt,
    /// SIGTERM: end in order.
    Terminate,
    /// SIGHUP: read the configuration again.
    Hangup,
    /// SIGUSR1: open the event log anew.
    Reopen,
}

/// The signals from now on.
pub(crate) struct Signals {
    interrupt: Stream,
    terminate: Stream,
    /// SIGHUP and SIGUSR1, where they have a meaning of ours.
    operate: Option<(Stream, Stream)>,
}

impl Signals {
    /// Listens for the signals that end the program; SIGHUP and SIGUSR1 keep their usual meaning.
    ///
    /// # Errors
    /// The system does not allow it.
    pub(crate) fn to_end() -> io::Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, operate: None })
    }

    /// Listens for SIGHUP and SIGUSR1 as well.
    ///
    /// # Errors
    /// The system does not allow it.
    pub(crate) fn to_operate() -> io::Result<Self> {
        let operate = (signal(SignalKind::hangup())?, signal(SignalKind::user_defined1())?);
        Ok(Self { operate: Some(operate), ..Self::to_end()? })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Signal {
        let Self { interrupt, terminate, operate } = self;
        let operates = async {
            match operate {
                Some((hangup, reopen)) => tokio::select! {
                    _ = hangup.recv() => Signal::Hangup,
                    _ = reopen.recv() => Signal::Reopen,
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => Signal::Interrupt,
            _ = terminate.recv() => Signal::Terminate,
            operated = operates => operated,
        }
    }

    /// Waits for one that ends the program.
    pub(crate) async fn end(&mut self) -> Signal {
        loop {
            match self.next().await {
                Signal::Hangup | Signal::Reopen => {}
                end @ (Signal::Interrupt | Signal::Terminate) => return end,
            }
        }
    }
}

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
}

/// The signals from now on.
pub(crate) struct Signals {
    interrupt: Stream,
    terminate: Stream,
    hangup: Option<Stream>,
}

impl Signals {
    /// Listens for the signals that end the program; SIGHUP keeps its usual meaning.
    ///
    /// # Errors
    /// The system does not allow it.
    pub(crate) fn to_end() -> io::Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, hangup: None })
    }

    /// Listens for SIGHUP as well.
    ///
    /// # Errors
    /// The system does not allow it.
    pub(crate) fn to_operate() -> io::Result<Self> {
        Ok(Self { hangup: Some(signal(SignalKind::hangup())?), ..Self::to_end()? })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Signal {
        let Self { interrupt, terminate, hangup } = self;
        let hangs_up = async {
            match hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => Signal::Interrupt,
            _ = terminate.recv() => Signal::Terminate,
            _ = hangs_up => Signal::Hangup,
        }
    }

    /// Waits for one that ends the program.
    pub(crate) async fn end(&mut self) -> Signal {
        loop {
            match self.next().await {
                Signal::Hangup => {}
                end @ (Signal::Interrupt | Signal::Terminate) => return end,
            }
        }
    }
}

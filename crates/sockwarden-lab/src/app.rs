//! What every connection to Harbor shares.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use crate::config::Config;
use crate::database::Database;
use crate::flaw::Flaw;
use crate::hub::Hub;
use crate::places::Places;
use crate::ticket::Tickets;
use crate::token::Tokens;

/// The running application.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) database: Database,
    pub(crate) hub: Hub,
    pub(crate) tokens: Tokens,
    pub(crate) tickets: Tickets,
    pub(crate) places: Arc<Places>,
    /// Changes once, when the lab is to stop; also "changes" when its owner is gone.
    pub(crate) stopping: watch::Receiver<bool>,
    refused: AtomicU64,
}

impl App {
    pub(crate) fn new(
        config: Config,
        database: Database,
        tokens: Tokens,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            config,
            database,
            hub: Hub::default(),
            tokens,
            tickets: Tickets::default(),
            places: Arc::default(),
            stopping,
            refused: AtomicU64::new(0),
        }
    }

    pub(crate) fn has(&self, flaw: Flaw) -> bool {
        self.config.flaws.has(flaw)
    }

    pub(crate) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// How a connection reached Harbor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Transport {
    Plain,
    Tls,
}

impl Transport {
    pub(crate) const fn scheme(self) -> &'static str {
        match self {
            Self::Plain => "http",
            Self::Tls => "https",
        }
    }
}

/// One connection's place among [`Config::max_connections`], kept through the upgrade to a socket.
#[derive(Clone)]
pub(crate) struct Slot {
    /// Where the connection comes from.
    pub(crate) peer: IpAddr,
    _permit: Arc<OwnedSemaphorePermit>,
    _alive: mpsc::Sender<()>,
}

impl Slot {
    /// Takes a place; `alive` is what a stopping lab waits for.
    pub(crate) fn new(peer: IpAddr, permit: OwnedSemaphorePermit, alive: mpsc::Sender<()>) -> Self {
        Self { peer, _permit: Arc::new(permit), _alive: alive }
    }
}

/// Tells whether an address can be reached from this machine only.
pub(crate) fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

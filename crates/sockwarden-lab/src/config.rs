//! What the owner of a lab chooses.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::flaw::{Flaw, FlawSet};

/// The largest message that is read while [`Flaw::UnboundedMessage`] is on, in bytes (64 MiB).
///
/// The flaw is that nothing refuses a message; this cap is there so that the machine which runs the lab
/// survives the attack.
pub const MESSAGE_CAP: usize = 64 << 20;

/// The largest message that is read while [`Flaw::UnboundedMessage`] is off, in bytes (64 KiB).
pub const MESSAGE_LIMIT: usize = 64 << 10;

/// How long a request's head or a TLS handshake may take while [`Flaw::SlowHandshake`] is on: the cap that lets the
/// machine survive; and while it is off.
const SLOW_HANDSHAKE: Duration = Duration::from_secs(120);
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Configures a [`Lab`](crate::Lab).
///
/// There is no default on purpose: whoever starts Harbor says whether it is [`vulnerable`](Self::vulnerable) or
/// [`safe`](Self::safe).
#[derive(Clone, Debug)]
pub struct Config {
    /// The flaws that are on.
    pub flaws: FlawSet,
    /// Where plain HTTP is served while [`Flaw::Cleartext`] is on: a loopback address, port 0 for any free
    /// port.
    pub http_listen: SocketAddr,
    /// Where HTTPS is served: a loopback address, port 0 for any free port.
    pub tls_listen: SocketAddr,
    /// Origins that are accepted besides the application's own while [`Flaw::OriginNotChecked`] is off, each
    /// spelled as a browser sends it (`https://app.example`, no trailing slash).
    pub allowed_origins: Vec<String>,
    /// The certificate of the TLS port; `None` makes one for `localhost`, `127.0.0.1` and `::1` at every start.
    pub certificate: Option<Certificate>,
    /// Where the data live.
    pub storage: Storage,
    /// How many TCP connections are served at a time; more are closed as soon as they are accepted.
    pub max_connections: usize,
    /// How long a session lives after its login.
    pub session_lifetime: Duration,
    /// The time between two messages of the status feed, at least 50 ms.
    pub status_interval: Duration,
    /// How long a socket may be without a message before it is closed while [`Flaw::IdleSocket`] is off; it is
    /// looked after every two seconds.
    pub idle_timeout: Duration,
    /// The time between two pings to a socket while [`Flaw::IdleSocket`] is off, at least 50 ms.
    pub ping_interval: Duration,
}

impl Config {
    /// Returns a configuration with every flaw on, on free ports of `127.0.0.1`, with its data in memory.
    pub fn vulnerable() -> Self {
        Self { flaws: FlawSet::all(), ..Self::safe() }
    }

    /// Returns a configuration with no flaw on, on a free port of `127.0.0.1`, with its data in memory.
    pub fn safe() -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            flaws: FlawSet::none(),
            http_listen: any_port,
            tls_listen: any_port,
            allowed_origins: Vec::new(),
            certificate: None,
            storage: Storage::Memory,
            max_connections: 256,
            session_lifetime: Duration::from_secs(8 * 60 * 60),
            status_interval: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(5 * 60),
            ping_interval: Duration::from_secs(20),
        }
    }

    /// Returns the configuration with one flaw more.
    #[must_use]
    pub fn with(mut self, flaw: Flaw) -> Self {
        self.flaws = self.flaws.with(flaw);
        self
    }

    /// Returns the configuration with one flaw less.
    #[must_use]
    pub fn without(mut self, flaw: Flaw) -> Self {
        self.flaws = self.flaws.without(flaw);
        self
    }

    /// How long the head of a request may take, and a TLS handshake before it.
    pub(crate) fn handshake_time(&self) -> Duration {
        if self.flaws.has(Flaw::SlowHandshake) { SLOW_HANDSHAKE } else { HANDSHAKE }
    }

    pub(crate) fn message_limit(&self) -> usize {
        if self.flaws.has(Flaw::UnboundedMessage) { MESSAGE_CAP } else { MESSAGE_LIMIT }
    }
}

/// Gives the TLS port a certificate of the owner's.
#[derive(Clone)]
pub struct Certificate {
    /// The chain in PEM, the end-entity certificate first.
    pub chain_pem: String,
    /// The private key of the first certificate in PEM (PKCS#8, SEC1 or PKCS#1).
    pub key_pem: String,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("chain_pem", &self.chain_pem).finish_non_exhaustive()
    }
}

/// Says where Harbor keeps its data.
#[derive(Clone, Debug)]
pub enum Storage {
    /// In memory: gone when the lab stops.
    Memory,
    /// In an SQLite file, which is created and seeded when it holds no Harbor data yet.
    File(PathBuf),
}

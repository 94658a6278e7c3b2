//! Starting and stopping Harbor.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::app::{self, App, Slot, Transport};
use crate::config::Config;
use crate::database::Database;
use crate::error::LabError;
use crate::flaw::Flaw;
use crate::ledger::Ledger;
use crate::token::Tokens;
use crate::{http, tls};

/// How long the lab waits after the system refused to accept, for example for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a stopping lab waits for its connections to say goodbye.
const SHUTDOWN_TIME: Duration = Duration::from_secs(10);

/// A running Harbor.
///
/// Dropping it stops it too, without waiting for its connections to end.
pub struct Lab {
    app: Arc<App>,
    ledger: Ledger,
    http_addr: Option<SocketAddr>,
    tls_addr: SocketAddr,
    certificate_pem: String,
    stop: watch::Sender<bool>,
    /// Ends when the last task that serves somebody has ended.
    served: mpsc::Receiver<()>,
}

impl Lab {
    /// Starts Harbor on the current tokio runtime, which needs its network and its clock enabled.
    ///
    /// # Errors
    /// Fails when an address is not a loopback address or cannot be bound, when the given certificate cannot be
    /// used, and when the database cannot be opened.
    pub async fn start(config: Config) -> Result<Self, LabError> {
        let tls = tls::prepare(config.certificate.as_ref())?;
        let tls_listener = listen(config.tls_listen).await?;
        let http_listener = match config.flaws.has(Flaw::Cleartext) {
            true => Some(listen(config.http_listen).await?),
            false => None,
        };
        let address_of = |listener: &TcpListener, asked| {
            listener.local_addr().map_err(|source| LabError::Bind { address: asked, source })
        };
        let tls_addr = address_of(&tls_listener, config.tls_listen)?;
        let http_addr =
            http_listener.as_ref().map(|listener| address_of(listener, config.http_listen)).transpose()?;

        let storage = config.storage.clone();
        let database = tokio::task::spawn_blocking(move || Database::open(&storage))
            .await
            .map_err(|error| LabError::Interrupted(error.to_string()))??;
        let ledger = Ledger::new(database.clone());

        let (stop, stopping) = watch::channel(false);
        let (alive, served) = mpsc::channel(1);
        let door = Door {
            slots: Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS))),
            app: Arc::new(App::new(config, database, Tokens::new()?, stopping)),
            alive,
        };
        let app = Arc::clone(&door.app);
        if let Some(listener) = http_listener {
            tokio::spawn(door.clone().admit(listener, None));
        }
        tokio::spawn(door.admit(tls_listener, Some(tls.acceptor)));
        Ok(Self { app, ledger, http_addr, tls_addr, certificate_pem: tls.trust_pem, stop, served })
    }

    /// Returns where plain HTTP and `ws://` are served; `None` while [`Flaw::Cleartext`] is off.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http_addr
    }

    /// Returns where HTTPS and `wss://` are served.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        Some(self.tls_addr)
    }

    /// Returns in PEM what a client must trust to reach the TLS port: the authority that was made at the start,
    /// or the chain that was given.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Returns a look into the database behind the application.
    pub fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    /// Returns what the lab was started with.
    pub fn config(&self) -> &Config {
        &self.app.config
    }

    /// Counts the connections that were closed at once because there were too many.
    pub fn refused_connections(&self) -> u64 {
        self.app.refused()
    }

    /// Counts the chat messages that a socket missed because it read too slowly.
    pub fn missed_messages(&self) -> u64 {
        self.app.hub.missed()
    }

    /// Stops listening, closes every socket (1001) and waits until all are done, at most ten seconds.
    pub async fn shutdown(mut self) {
        // Fails only when nobody listens any more, which is the aim.
        let _ = self.stop.send(true);
        let _ = timeout(SHUTDOWN_TIME, self.served.recv()).await;
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, LabError> {
    if !app::is_loopback(address) {
        return Err(LabError::NotLoopback(address));
    }
    TcpListener::bind(address).await.map_err(|source| LabError::Bind { address, source })
}

/// Where connections come in.
#[derive(Clone)]
struct Door {
    app: Arc<App>,
    slots: Arc<Semaphore>,
    alive: mpsc::Sender<()>,
}

impl Door {
    async fn admit(self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        let mut stopping = self.app.stopping.clone();
        loop {
            let accepted = tokio::select! {
                _ = stopping.changed() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => match Arc::clone(&self.slots).try_acquire_owned() {
                    Ok(permit) => {
                        let slot = Slot::new(peer.ip(), permit, self.alive.clone());
                        tokio::spawn(serve(Arc::clone(&self.app), stream, tls.clone(), slot));
                    }
                    Err(_) => self.app.count_refused(),
                },
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

async fn serve(app: Arc<App>, stream: TcpStream, tls: Option<TlsAcceptor>, slot: Slot) {
    // Only delays small messages when it fails.
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = tls else {
        return http::serve(app, stream, Transport::Plain, slot).await;
    };
    let mut stopping = app.stopping.clone();
    let handshake = tokio::select! {
        handshake = timeout(app.config.handshake_time(), acceptor.accept(stream)) => handshake,
        _ = stopping.changed() => return,
    };
    if let Ok(Ok(stream)) = handshake {
        http::serve(app, stream, Transport::Tls, slot).await;
    }
}

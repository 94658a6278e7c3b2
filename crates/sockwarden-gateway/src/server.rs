//! Listening.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sockwarden_model::{Control, EventSender};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, timeout_at},
};

use crate::{
    build::{Built, Listener},
    certificates::watch as watch_certificates,
    connection::{Door, Shared, serve},
    modes::Modes,
    stopping::Stopping,
};

/// What a stop allows on top of the time for the close handshakes, for the sockets themselves to end.
const STOP_MARGIN: Duration = Duration::from_secs(2);
/// How long a stop takes at most.
const LONGEST_STOP: Duration = Duration::from_secs(30);

/// A gateway that accepts connections.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    listening: Vec<Listening>,
    tasks: Vec<JoinHandle<()>>,
    /// Looks at the files of certificates.
    watcher: JoinHandle<()>,
    stop: watch::Sender<bool>,
    stop_time: Duration,
}

/// Where a gateway listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The address, with the port that was taken.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// Why a gateway does not listen.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

impl Gateway {
    /// Listens on every address and serves each connection in a task of its own.
    ///
    /// # Errors
    /// An address is in use or not allowed; then none is listened on.
    pub async fn start(built: Built, events: EventSender) -> Result<Self, StartError> {
        let mut sockets = Vec::new();
        for listener in &built.listeners {
            let address = listener.address;
            let refused = |source| StartError::Listen { address, source };
            let socket = TcpListener::bind(address).await.map_err(refused)?;
            let listening =
                Listening { address: socket.local_addr().map_err(refused)?, tls: listener.tls.is_some() };
            sockets.push((socket, listening, door(listener)));
        }
        let permits = Arc::new(Semaphore::new(built.limits.connections as usize));
        let close_timeout = built.limits.close_timeout.get();
        let stop_time = close_timeout.saturating_add(STOP_MARGIN).min(LONGEST_STOP);
        let (stop, stopping) = watch::channel(false);
        let certificates: Vec<_> = built.listeners.iter().filter_map(|l| l.certificates.clone()).collect();
        let watcher = watch_certificates(certificates, built.limits.certificate_poll.get(), events.clone());
        let shared = Arc::new(Shared {
            built,
            events,
            stopping: Stopping::new(stopping),
            registry: Arc::default(),
            tally: Arc::default(),
            modes: Modes::default(),
            draining: AtomicBool::new(false),
        });
        let keeper = tokio::spawn(keep_modes(Arc::clone(&shared)));
        let mut gateway = Self {
            shared: Arc::clone(&shared),
            listening: Vec::new(),
            tasks: vec![keeper],
            watcher: tokio::spawn(watcher),
            stop,
            stop_time,
        };
        for (socket, listening, door) in sockets {
            gateway.listening.push(listening);
            let accepting = accept(socket, door, Arc::clone(&shared), Arc::clone(&permits));
            gateway.tasks.push(tokio::spawn(accepting));
        }
        Ok(gateway)
    }

    /// Tells where it listens.
    pub fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// Gives what it is operated by.
    pub fn control(&self) -> Arc<dyn Control> {
        Arc::clone(&self.shared) as Arc<dyn Control>
    }

    /// Says by [`Control::readiness`] that it is about to stop; nothing else changes yet.
    pub fn announce_drain(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
    }

    /// Stops listening, tells both sides of every connection 1001 and waits until they have closed: at most for the time
    /// that a close may take and two seconds, and never longer than half a minute.
    pub async fn stop(mut self) {
        let deadline = Instant::now() + self.stop_time;
        self.announce_drain();
        let _ = self.stop.send(true);
        for mut task in std::mem::take(&mut self.tasks) {
            if timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
                let _ = task.await;
            }
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.watcher.abort();
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn door(listener: &Listener) -> Door {
    Door {
        acceptor: listener.tls.as_ref().map(sockwarden_net::ServerTls::acceptor),
        proxies: Arc::clone(&listener.proxies),
    }
}

/// Puts changed modes back when their time is over, until the gateway stops.
async fn keep_modes(shared: Arc<Shared>) {
    let mut stopping = shared.stopping.clone();
    tokio::select! {
        () = stopping.begins() => {}
        () = shared.modes.keep(&shared.built.routes, &shared.events) => {}
    }
}

async fn accept(socket: TcpListener, door: Door, shared: Arc<Shared>, permits: Arc<Semaphore>) {
    // Dropping the set ends its connections: they do not outlive their listener.
    let mut connections = JoinSet::new();
    let mut stopping = shared.stopping.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping.begins() => break,
            accepted = socket.accept() => accepted,
        };
        let (tcp, address) = match accepted {
            Ok(accepted) => accepted,
            Err(_) => {
                // Out of descriptors, most likely: those that are open come back as connections end.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            shared.tally.turned_away();
            continue;
        };
        let serving = serve(Arc::clone(&shared), door.clone(), tcp, address);
        connections.spawn(async move {
            serving.await;
            drop(permit);
        });
    }
    drop(socket);
    while connections.join_next().await.is_some() {}
}

//! Listening, and one task for each connection.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use sockwarden_model::{Control, EventSender, ListenAddress, Operations};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use crate::{
    Admin, Feed,
    access::{Access, Shown, Tls},
    certificate, endpoints,
    gate::{Connection, Gate},
    host::Names,
};

/// The most connections at once; further ones are dropped.
const CONNECTIONS: usize = 64;
/// The most watchers of events at once.
const WATCHERS: usize = 16;
/// How long a client may take for the head of a request, and for TLS before it.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// The most that is buffered of a connection, a request's head included.
const BUFFER: usize = 16 * 1024;
/// The most headers of a request.
const HEADERS: usize = 64;
/// How long a connection lasts at most, a watcher's included.
const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);
/// How long answers that are under way may take once the listener stops.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// An admin listener that accepts connections.
pub struct Console {
    address: SocketAddr,
    gate: Arc<Gate>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What an admin listener is wired to.
pub struct Wiring {
    /// The gateway.
    pub control: Arc<dyn Control>,
    /// Whoever runs it.
    pub operations: Arc<dyn Operations>,
    /// Takes what is audited.
    pub events: EventSender,
    /// Gives what is watched.
    pub feed: Feed,
}

/// Why an admin listener does not listen.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: ListenAddress,
        /// What the system says.
        source: io::Error,
    },
    /// A socket that was handed over is not what the configuration allows.
    #[error("{address} listens on {local}, beyond this machine: the admin listener needs a certificate")]
    Exposed {
        /// The socket.
        address: ListenAddress,
        /// Where it listens.
        local: SocketAddr,
    },
    /// The configuration says TLS, and there is no acceptor for it.
    #[error("the admin listener has no certificate")]
    NoCertificate,
}

impl Admin {
    /// Listens, or takes what was handed over from `inherited`; connections wait until a console starts on the socket. The
    /// runtime that this runs in may end before.
    ///
    /// # Errors
    /// The address is in use or not allowed, or there is no such socket.
    pub async fn bind(
        &self,
        inherited: impl Fn(&str) -> io::Result<std::net::TcpListener>,
    ) -> Result<std::net::TcpListener, StartError> {
        let bound = match &self.address {
            ListenAddress::Address(address) => {
                TcpListener::bind(address).await.and_then(TcpListener::into_std)
            }
            ListenAddress::Inherited(which) => inherited(which),
        };
        bound.map_err(|source| StartError::Listen { address: self.address.clone(), source })
    }
}

impl Console {
    /// Listens and answers.
    ///
    /// # Errors
    /// The address is in use or not allowed, or TLS is wanted and not given.
    pub async fn start(admin: Admin, tls: Option<Tls>, wiring: Wiring) -> Result<Self, StartError> {
        let socket = admin.bind(|_| Err(io::ErrorKind::NotFound.into())).await?;
        Self::start_on(admin, socket, tls, wiring).await
    }

    /// As [`Console::start`], on the socket that [`Admin::bind`] gave.
    ///
    /// # Errors
    /// TLS is wanted and not given, or the runtime cannot take the socket.
    pub async fn start_on(
        admin: Admin,
        socket: std::net::TcpListener,
        tls: Option<Tls>,
        wiring: Wiring,
    ) -> Result<Self, StartError> {
        if admin.needs_tls && tls.is_none() {
            return Err(StartError::NoCertificate);
        }
        let refused = |source| StartError::Listen { address: admin.address.clone(), source };
        let listener = TcpListener::from_std(socket).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        if tls.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(StartError::Exposed { address: admin.address, local: address });
        }
        let gate = Arc::new(Gate::new(wiring, Access::new(admin, tls), WATCHERS));
        let door = Door { router: endpoints::router(&gate), gate: Arc::clone(&gate) };
        let (stop, stopping) = watch::channel(false);
        Ok(Self { address, gate, stop, task: tokio::spawn(accept(listener, door, stopping)) })
    }

    /// Tells where it listens, with the port that was taken.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells whether it speaks TLS.
    pub fn is_tls(&self) -> bool {
        self.gate.access().tls.is_some()
    }

    /// Takes new tokens, names, hosts and certificates; the address stays. Requests on connections that are open are judged
    /// by them too, and who watches events is cut off where anybody's right has changed.
    ///
    /// # Errors
    /// TLS is wanted and not given; then nothing has changed.
    pub fn renew(&self, admin: Admin, tls: Option<Tls>) -> Result<(), StartError> {
        if admin.needs_tls && tls.is_none() {
            return Err(StartError::NoCertificate);
        }
        self.gate.renew(Access::new(admin, tls));
        Ok(())
    }

    /// Takes new certificates for the connections to come. Certificates of clients that the old authorities vouched for count
    /// no more where the new ones are others.
    pub fn renew_tls(&self, tls: Tls) {
        self.gate.renew(self.gate.access().with_tls(tls));
    }

    /// Stops listening, and drops every connection once answers that are under way have been given, or a second later.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let _ = (&mut self.task).await;
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Door {
    router: Router,
    gate: Arc<Gate>,
}

async fn accept(listener: TcpListener, door: Door, mut stopping: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    // Dropping the set ends its connections: they do not outlive their listener.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // A console that was dropped has aborted this task.
            () = stop(&mut stopping) => break,
        };
        let (tcp, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(_) => {
                // Out of descriptors, most likely: those that are open come back as connections end.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { continue };
        let serving = serve(door.clone(), tcp, peer, stopping.clone());
        connections.spawn(async move {
            let _ = timeout(LIFETIME, serving).await;
            drop(permit);
        });
    }
    drop(listener);
    let _ = timeout(LAST_ANSWERS, async { while connections.join_next().await.is_some() {} }).await;
}

async fn serve(door: Door, tcp: TcpStream, peer: SocketAddr, stopping: watch::Receiver<bool>) {
    let Ok(local) = tcp.local_addr() else { return };
    let access = door.gate.access();
    let names = Arc::new(Names::new(local, access.tls.is_some(), &access.hosts));
    let connection = |shown| Extension(Connection { peer, names, shown });
    match &access.tls {
        None => answer(door.router.layer(connection(None)), tcp, stopping).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(HEAD_TIME, tls.acceptor.accept(tcp)).await {
                let first = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                let shown = first.map(|certificate| {
                    let authorities = Arc::clone(&tls.authorities);
                    Arc::new(Shown { names: certificate::names(certificate), authorities })
                });
                answer(door.router.layer(connection(shown)), stream, stopping).await;
            }
        }
    }
}

async fn answer(
    router: Router,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    mut stopping: watch::Receiver<bool>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(BUFFER)
        .max_headers(HEADERS)
        .half_close(false);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    // What a client does wrong ends its own connection; there is nothing to do about it.
    tokio::select! {
        _ = &mut connection => {}
        () = stop(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Waits until the listener stops.
async fn stop(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stops| *stops).await;
}

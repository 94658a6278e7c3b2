//! Listening, and one task for each connection.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use sockwarden_model::{Control, EventSender, ListenAddress};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    Admin, Feed, endpoints,
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

/// An admin listener that accepts connections.
#[derive(Debug)]
pub struct Console {
    address: SocketAddr,
    tls: bool,
    task: JoinHandle<()>,
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
    /// Listens and answers; `acceptor` is for TLS, `events` takes what is audited, `feed` gives what is watched.
    ///
    /// # Errors
    /// The address is in use or not allowed, or TLS is wanted and not given.
    pub async fn start(
        admin: Admin,
        acceptor: Option<TlsAcceptor>,
        control: Arc<dyn Control>,
        events: EventSender,
        feed: Feed,
    ) -> Result<Self, StartError> {
        let socket = admin.bind(|_| Err(io::ErrorKind::NotFound.into())).await?;
        Self::start_on(admin, socket, acceptor, control, events, feed).await
    }

    /// As [`Console::start`], on the socket that [`Admin::bind`] gave.
    ///
    /// # Errors
    /// TLS is wanted and not given, or the runtime cannot take the socket.
    pub async fn start_on(
        admin: Admin,
        socket: std::net::TcpListener,
        acceptor: Option<TlsAcceptor>,
        control: Arc<dyn Control>,
        events: EventSender,
        feed: Feed,
    ) -> Result<Self, StartError> {
        if admin.needs_tls && acceptor.is_none() {
            return Err(StartError::NoCertificate);
        }
        let refused = |source| StartError::Listen { address: admin.address.clone(), source };
        let listener = TcpListener::from_std(socket).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        if acceptor.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(StartError::Exposed { address: admin.address, local: address });
        }
        let tls = acceptor.is_some();
        let gate = Arc::new(Gate::new(control, events, feed, admin.tokens, WATCHERS));
        let door = Door { router: endpoints::router(&gate), acceptor, hosts: admin.hosts.into() };
        Ok(Self { address, tls, task: tokio::spawn(accept(listener, door)) })
    }

    /// Tells where it listens, with the port that was taken.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells whether it speaks TLS.
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// Stops listening and drops every connection.
    pub async fn stop(mut self) {
        self.task.abort();
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
    acceptor: Option<TlsAcceptor>,
    hosts: Arc<[String]>,
}

async fn accept(listener: TcpListener, door: Door) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    // Dropping the set ends its connections: they do not outlive their listener.
    let mut connections = JoinSet::new();
    loop {
        let (tcp, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(_) => {
                // Out of descriptors, most likely: those that are open come back as connections end.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { continue };
        let serving = serve(door.clone(), tcp, peer);
        connections.spawn(async move {
            let _ = timeout(LIFETIME, serving).await;
            drop(permit);
        });
    }
}

async fn serve(door: Door, tcp: TcpStream, peer: SocketAddr) {
    let Ok(local) = tcp.local_addr() else { return };
    let names = Arc::new(Names::new(local, door.acceptor.is_some(), &door.hosts));
    let router = door.router.layer(Extension(Connection { peer, names }));
    match door.acceptor {
        None => answer(router, tcp).await,
        Some(acceptor) => {
            if let Ok(Ok(tls)) = timeout(HEAD_TIME, acceptor.accept(tcp)).await {
                answer(router, tls).await;
            }
        }
    }
}

async fn answer(router: Router, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(BUFFER)
        .max_headers(HEADERS)
        .half_close(false);
    // What a client does wrong ends its own connection; there is nothing to do about it.
    let _ = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await;
}

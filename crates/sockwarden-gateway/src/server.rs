//! Listening.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use sockwarden_model::EventSender;
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
};

use crate::{
    build::{Built, Listener},
    connection::{Door, Shared, serve},
};

/// A gateway that accepts connections.
#[derive(Debug)]
pub struct Gateway {
    listening: Vec<Listening>,
    tasks: Vec<JoinHandle<()>>,
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
    #[error("cannot listen on {address}: {source}")]
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
        let shared = Arc::new(Shared { built, events });
        let mut gateway = Self { listening: Vec::new(), tasks: Vec::new() };
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

    /// Stops listening and drops every connection.
    pub async fn stop(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            let _ = task.await;
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
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

async fn accept(socket: TcpListener, door: Door, shared: Arc<Shared>, permits: Arc<Semaphore>) {
    // Dropping the set ends its connections: they do not outlive their listener.
    let mut connections = JoinSet::new();
    loop {
        let (tcp, address) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(_) => {
                // Out of descriptors, most likely: those that are open come back as connections end.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { continue };
        let serving = serve(Arc::clone(&shared), door.clone(), tcp, address);
        connections.spawn(async move {
            serving.await;
            drop(permit);
        });
    }
}

//! The sockets that a gateway listens on, had before it starts: what privileged ports need may be given up in between.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

use crate::{
    build::{Built, Listener},
    server::StartError,
};

/// A socket for each listener of a configuration.
#[derive(Debug)]
pub struct Sockets(pub(crate) Vec<std::net::TcpListener>);

impl Sockets {
    /// Listens on every address; connections wait until a gateway starts on the sockets. The runtime that this runs in may end
    /// before.
    ///
    /// # Errors
    /// An address is in use or not allowed; then none is listened on.
    pub async fn bind(built: &Built) -> Result<Self, StartError> {
        let mut sockets = Vec::new();
        for listener in &built.listeners {
            sockets.push(bind(listener).await?);
        }
        Ok(Self(sockets))
    }
}

/// Listens on the address of one listener.
pub(crate) async fn bind(listener: &Listener) -> Result<std::net::TcpListener, StartError> {
    let address = listener.address;
    let bound = TcpListener::bind(address).await.and_then(TcpListener::into_std);
    bound.map_err(|source| StartError::Listen { address, source })
}

/// Gives a socket to this runtime, with the address that it has.
pub(crate) fn adopt(
    configured: SocketAddr,
    socket: std::net::TcpListener,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let refused = |source: io::Error| StartError::Listen { address: configured, source };
    let address = socket.local_addr().map_err(refused)?;
    Ok((TcpListener::from_std(socket).map_err(refused)?, address))
}

//! What can keep Harbor from starting or its ledger from being read.

use std::io;
use std::net::SocketAddr;

/// Says why the lab could not do what its owner asked of it.
///
/// What a *client* does wrong never ends up here: it gets an answer and the lab goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// The address is not a loopback address; a vulnerable application is opened to nobody else.
    #[error("listen on {0}: the lab is vulnerable on purpose and listens on loopback addresses only")]
    NotLoopback(SocketAddr),
    /// The address could not be bound, for example because the port is in use.
    #[error("listen on {address}: {source}")]
    Bind {
        /// Where the lab was to listen.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The given certificate or key cannot be used, or none could be made.
    #[error("prepare the certificate: {0}")]
    Certificate(String),
    /// The database could not be opened, filled or asked.
    #[error("use the database: {0}")]
    Database(#[from] rusqlite::Error),
    /// The operating system gave no random bytes.
    #[error("get random bytes")]
    Random,
    /// The runtime was shut down while the lab started.
    #[error("start: {0}")]
    Interrupted(String),
}

//! Opening a connection to a WebSocket endpoint.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustls_pki_types::ServerName;
use sockwarden_proto::WsUrl;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream, UnixStream},
    time::timeout,
};

use crate::{CertificateProblem, ClientTls, Place, Socket, Stream};

/// How to connect.
#[derive(Clone, Debug)]
pub struct DialOptions {
    /// How a server's certificate is judged.
    pub tls: ClientTls,
    /// How long resolving, connecting and the TLS handshake may take together.
    pub timeout: Duration,
    /// Where to connect instead of where the URL's host resolves to; the name in the certificate stays the URL's.
    pub connect_to: Option<SocketAddr>,
}

/// How to connect to one place for an endpoint that may be at several.
#[derive(Clone, Copy, Debug)]
pub struct PlaceOptions<'a> {
    /// How the server's certificate is judged.
    pub tls: &'a ClientTls,
    /// How long connecting and the TLS handshake may take together.
    pub timeout: Duration,
    /// What is sent before TLS begins, such as a PROXY protocol header; mostly nothing.
    pub prelude: &'a [u8],
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("the name `{0}` does not resolve")]
    Resolve(String),
    /// Nothing listens there.
    #[error("connection refused by {0}")]
    Refused(String),
    /// It took too long.
    #[error("no connection to {0} within {1:?}")]
    Timeout(String, Duration),
    /// The network says no.
    #[error("no connection to {0}: {1}")]
    Network(String, #[source] io::Error),
    /// The server's certificate is not acceptable.
    #[error("TLS with {0} failed: {1}")]
    Certificate(String, CertificateProblem),
    /// What answers is no TLS.
    #[error("TLS with {0} failed: the server does not speak TLS there")]
    NotTls(String),
    /// The server does not speak TLS as we do, or ends the connection.
    #[error("TLS with {0} failed: {1}")]
    Tls(String, #[source] io::Error),
}

/// Connects to the host and port of `url`, over TLS where it says `wss`.
///
/// # Errors
/// The name, the network, time or TLS; each told apart.
pub async fn dial(url: &WsUrl, options: &DialOptions) -> Result<Stream, DialError> {
    dial_from(None, url, options).await
}

/// Does as [`dial`], from one of this machine's addresses where `from` names one; an address of the other family is not tried.
///
/// # Errors
/// As [`dial`]; and the address is none of this machine's.
pub async fn dial_from(
    from: Option<IpAddr>,
    url: &WsUrl,
    options: &DialOptions,
) -> Result<Stream, DialError> {
    dial_late(from, url, options, Duration::ZERO).await
}

/// Does as [`dial_from`], but says nothing for so long once the network's connection stands: a TLS handshake begins that
/// late, as that of a client who only wants to hold a place. The time does not count towards [`DialOptions::timeout`].
///
/// # Errors
/// As [`dial_from`]; and the server did not wait.
pub async fn dial_late(
    from: Option<IpAddr>,
    url: &WsUrl,
    options: &DialOptions,
    silent: Duration,
) -> Result<Stream, DialError> {
    let whom = format!("{}:{}", url.host, url.port);
    let attempt = async {
        let tcp = connect(from, url, options, &whom).await?;
        if !silent.is_zero() {
            wait(&tcp, silent, &whom).await?;
        }
        secure(Socket::Tcp(tcp), url, &options.tls, &whom).await
    };
    timeout(options.timeout.saturating_add(silent), attempt)
        .await
        .unwrap_or_else(|_| Err(DialError::Timeout(whom.clone(), options.timeout)))
}

/// Says nothing for a while; fails as soon as the other side ends the connection.
async fn wait(tcp: &TcpStream, silent: Duration, whom: &str) -> Result<(), DialError> {
    let network = |error| DialError::Network(whom.to_owned(), error);
    match timeout(silent, tcp.peek(&mut [0])).await {
        Ok(Ok(0)) => Err(network(io::ErrorKind::UnexpectedEof.into())),
        Ok(Err(error)) => Err(network(error)),
        // What the server says first is for the handshake to judge.
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

/// Connects to `place`, over TLS where `url` says `wss`; the name in the certificate is that of the URL's host.
///
/// # Errors
/// The network, time or TLS; each told apart.
pub async fn dial_place(url: &WsUrl, place: &Place, options: PlaceOptions<'_>) -> Result<Stream, DialError> {
    let whom = place.to_string();
    let attempt = async {
        let socket = match place {
            Place::Tcp(address) => TcpStream::connect(address).await.map(Socket::Tcp),
            Place::Unix(path) => UnixStream::connect(path).await.map(Socket::Unix),
        };
        let mut socket = socket.map_err(|error| unreached(&whom, error))?;
        if !options.prelude.is_empty() {
            let sent = socket.write_all(options.prelude).await;
            sent.map_err(|error| DialError::Network(whom.clone(), error))?;
        }
        secure(socket, url, options.tls, &whom).await
    };
    timeout(options.timeout, attempt)
        .await
        .unwrap_or_else(|_| Err(DialError::Timeout(whom.clone(), options.timeout)))
}

async fn secure(socket: Socket, url: &WsUrl, tls: &ClientTls, whom: &str) -> Result<Stream, DialError> {
    if let Socket::Tcp(tcp) = &socket {
        // Frames are written whole; waiting for more to send would only delay them.
        let _ = tcp.set_nodelay(true);
    }
    if !url.tls {
        return Ok(match socket {
            Socket::Tcp(tcp) => Stream::Plain(tcp),
            Socket::Unix(unix) => Stream::Unix(unix),
        });
    }
    let name = ServerName::try_from(url.host.clone()).map_err(|_| DialError::Resolve(url.host.clone()))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(&tls.config));
    match connector.connect(name, socket).await {
        Ok(tls) => Ok(Stream::Client(Box::new(tls))),
        Err(error) => Err(match CertificateProblem::in_error(&error) {
            Some(problem) => DialError::Certificate(whom.to_owned(), problem),
            None if speaks_no_tls(&error) => DialError::NotTls(whom.to_owned()),
            None => DialError::Tls(whom.to_owned(), error),
        }),
    }
}

/// Tells whether the first bytes of an answer were no TLS record.
fn speaks_no_tls(error: &io::Error) -> bool {
    let rustls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(rustls, Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)))
}

async fn connect(
    from: Option<IpAddr>,
    url: &WsUrl,
    options: &DialOptions,
    whom: &str,
) -> Result<TcpStream, DialError> {
    let addresses: Vec<SocketAddr> = match options.connect_to {
        Some(address) => vec![address],
        None => tokio::net::lookup_host((url.host.as_str(), url.port))
            .await
            .map_err(|_| DialError::Resolve(url.host.clone()))?
            .collect(),
    };
    let mut last = DialError::Resolve(url.host.clone());
    for address in addresses {
        match connect_from(from, address).await {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = unreached(whom, error),
        }
    }
    Err(last)
}

async fn connect_from(from: Option<IpAddr>, address: SocketAddr) -> io::Result<TcpStream> {
    let Some(from) = from else { return TcpStream::connect(address).await };
    let socket = if from.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(from, 0))?;
    socket.connect(address).await
}

fn unreached(whom: &str, error: io::Error) -> DialError {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        DialError::Refused(whom.to_owned())
    } else {
        DialError::Network(whom.to_owned(), error)
    }
}

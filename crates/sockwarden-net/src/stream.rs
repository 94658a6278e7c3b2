//! A connection, with or without TLS.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

/// What a connection that we open runs over.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// A socket in the file system.
    Unix(UnixStream),
}

/// A connection, with or without TLS, of either side.
#[derive(Debug)]
pub enum Stream {
    /// Plain TCP.
    Plain(TcpStream),
    /// A plain socket in the file system.
    Unix(UnixStream),
    /// TLS that we opened.
    Client(Box<tokio_rustls::client::TlsStream<Socket>>),
    /// TLS that we accepted.
    Server(Box<tokio_rustls::server::TlsStream<TcpStream>>),
}

/// What was agreed in a TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsInfo {
    /// The version, such as `TLSv1_3`.
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
}

impl Stream {
    /// Gives our end's address; `None` on a unix socket, and where the system has forgotten it.
    pub fn local_address(&self) -> Option<SocketAddr> {
        let tcp = match self {
            Self::Plain(tcp) => tcp,
            Self::Server(tls) => tls.get_ref().0,
            Self::Client(tls) => match tls.get_ref().0 {
                Socket::Tcp(tcp) => tcp,
                Socket::Unix(_) => return None,
            },
            Self::Unix(_) => return None,
        };
        tcp.local_addr().ok()
    }

    /// Gives the certificate (DER) that a client has shown and that was verified.
    pub fn client_certificate(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) | Self::Unix(_) | Self::Client(_) => None,
            Self::Server(tls) => tls.get_ref().1.peer_certificates()?.first().map(AsRef::as_ref),
        }
    }

    /// Tells what was agreed in the TLS handshake; `None` without TLS.
    pub fn tls_info(&self) -> Option<TlsInfo> {
        let (version, suite) = match self {
            Self::Plain(_) | Self::Unix(_) => return None,
            Self::Client(tls) => {
                (tls.get_ref().1.protocol_version(), tls.get_ref().1.negotiated_cipher_suite())
            }
            Self::Server(tls) => {
                (tls.get_ref().1.protocol_version(), tls.get_ref().1.negotiated_cipher_suite())
            }
        };
        Some(TlsInfo {
            version: version.and_then(|v| v.as_str()).unwrap_or("unknown").to_owned(),
            cipher: suite.and_then(|s| s.suite().as_str()).unwrap_or("unknown").to_owned(),
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Self::Unix(s) => Pin::new(s).poll_read(cx, buf),
            Self::Client(s) => Pin::new(s).poll_read(cx, buf),
            Self::Server(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_write(cx, buf),
            Self::Unix(s) => Pin::new(s).poll_write(cx, buf),
            Self::Client(s) => Pin::new(s).poll_write(cx, buf),
            Self::Server(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_flush(cx),
            Self::Unix(s) => Pin::new(s).poll_flush(cx),
            Self::Client(s) => Pin::new(s).poll_flush(cx),
            Self::Server(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Self::Unix(s) => Pin::new(s).poll_shutdown(cx),
            Self::Client(s) => Pin::new(s).poll_shutdown(cx),
            Self::Server(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_read(cx, buf),
            Self::Unix(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_write(cx, buf),
            Self::Unix(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_flush(cx),
            Self::Unix(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_shutdown(cx),
            Self::Unix(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}

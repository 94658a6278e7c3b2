//! The load's side of a connection: TCP, TLS where it is wanted, the handshake, then bytes without waiting.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use rustls::{ClientConfig, ClientConnection, RootCertStore, version::TLS13};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};

use crate::handshake::{self, Compression};

/// How long opening a connection may take at each step.
const PATIENCE: Duration = Duration::from_secs(10);
/// The name in the certificate of the proxies.
pub(crate) const NAME: &str = "localhost";

/// How to connect.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) compression: Compression,
}

impl Target {
    /// Describes where to connect; with a certificate, by TLS 1.3.
    pub(crate) fn new(
        address: SocketAddr,
        certificate: Option<&Path>,
        compression: Compression,
    ) -> anyhow::Result<Self> {
        let tls = certificate.map(tls_config).transpose()?;
        Ok(Self { address, tls, compression })
    }
}

fn tls_config(certificate: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).context("failed to read the certificate")?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// An open connection that does not wait.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Connection {
    /// Connects and upgrades, waiting; also gives what the server sent after its answer.
    pub(crate) fn open(target: &Target) -> anyhow::Result<(Self, Vec<u8>)> {
        let stream = TcpStream::connect_timeout(&target.address, PATIENCE).context("failed to connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let tls = match &target.tls {
            Some(config) => {
                let name = ServerName::try_from(NAME)?;
                Some(Box::new(ClientConnection::new(Arc::clone(config), name)?))
            }
            None => None,
        };
        let mut connection = Self { stream, tls };
        let request = handshake::request(&format!("{NAME}:{}", target.address.port()), target.compression);
        connection.write_all(request.as_bytes()).context("failed to send the request")?;
        let mut head = Vec::new();
        let end = loop {
            if let Some(end) = handshake::end_of_head(&head) {
                break end;
            }
            ensure!(head.len() <= handshake::LONGEST_HEAD, "the answer's head does not end");
            let mut buffer = [0; 4096];
            let count = connection.read(&mut buffer).context("failed to read the answer")?;
            ensure!(count > 0, "the connection ended in the handshake");
            head.extend_from_slice(&buffer[..count]);
        };
        let rest = head.split_off(end);
        handshake::check_answer(&String::from_utf8_lossy(&head), target.compression)?;
        connection.stream.set_nonblocking(true)?;
        Ok((connection, rest))
    }

    /// Whether TLS has records that the socket did not take yet.
    pub(crate) fn has_unsent(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Whether what was read must be read until nothing is left: TLS holds what the socket no longer tells of.
    pub(crate) const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Says that nothing more will be sent, and goes on reading.
    pub(crate) fn half_close(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        self.push()?;
        self.stream.shutdown(Shutdown::Write)
    }

    /// Breaks the connection off: the peer sees a reset, and what is on the way may be lost.
    pub(crate) fn reset(self) -> anyhow::Result<()> {
        Ok(rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO))?)
    }

    /// Sends as much of what TLS holds as the socket takes.
    fn push(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        while tls.wants_write() {
            match tls.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.read(buffer) };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            if tls.read_tls(&mut self.stream)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            while tls.wants_write() {
                tls.write_tls(&mut self.stream)?;
            }
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push()?;
        let Some(tls) = &mut self.tls else { return self.stream.write(bytes) };
        let taken = tls.writer().write(bytes)?;
        self.push()?;
        if taken == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.push()
    }
}

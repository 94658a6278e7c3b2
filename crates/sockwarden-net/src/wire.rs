//! A connection apart from any runtime: it never waits, and whoever polls it says when to try again.

use std::{
    io::{self, IoSlice, Read, Write},
    net::Shutdown,
    os::fd::{AsFd, BorrowedFd},
};

use mio::{Interest, Registry, Token, event::Source};
use rustix::net::{RecvFlags, SendFlags};
use rustls::Connection;

use crate::{Socket, Stream};

/// A connection whose calls return at once, `WouldBlock` where there is nothing to do.
///
/// It is made for readiness that is told once (edge-triggered): every read says whether the system may hold more.
#[derive(Debug)]
pub struct Wire {
    link: Link,
    tls: Option<Box<Tls>>,
}

/// What a read has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// How many bytes; none where the peer has ended its half.
    pub length: usize,
    /// Whether there was no more: the next bytes will be told of by readiness.
    pub drained: bool,
}

#[derive(Debug)]
enum Link {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
}

#[derive(Debug)]
struct Tls {
    connection: Connection,
    /// What reading has met after bytes that were still handed over.
    ending: Option<io::Error>,
    ended: bool,
}

impl Wire {
    /// Takes a connection out of its runtime.
    ///
    /// # Errors
    /// The system does not let go of it.
    pub fn new(stream: Stream) -> io::Result<Self> {
        let tls = |connection| Some(Box::new(Tls { connection, ending: None, ended: false }));
        Ok(match stream {
            Stream::Plain(tcp) => Self { link: Link::tcp(tcp)?, tls: None },
            Stream::Unix(unix) => Self { link: Link::unix(unix)?, tls: None },
            Stream::Client(stream) => {
                let (socket, connection) = stream.into_inner();
                let link = match socket {
                    Socket::Tcp(tcp) => Link::tcp(tcp)?,
                    Socket::Unix(unix) => Link::unix(unix)?,
                };
                Self { link, tls: tls(Connection::Client(connection)) }
            }
            Stream::Server(stream) => {
                let (tcp, connection) = stream.into_inner();
                Self { link: Link::tcp(tcp)?, tls: tls(Connection::Server(connection)) }
            }
        })
    }

    /// Reads what there is, as far as `buffer` holds it.
    ///
    /// # Errors
    /// `WouldBlock` where there is nothing; a broken connection or broken TLS; TLS that ends without saying so.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        match &mut self.tls {
            None => {
                let length = retried(|| self.link.read(buffer))?;
                Ok(Received { length, drained: length < buffer.len() && length > 0 })
            }
            Some(tls) => tls.read(&mut self.link, buffer),
        }
    }

    /// Writes the pieces one behind the other, as many bytes of them as are taken. With TLS some of them may have to leave
    /// by [`Wire::flush`].
    ///
    /// # Errors
    /// `WouldBlock` where nothing is taken; a broken connection.
    pub fn write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.tls {
            None => match pieces {
                [piece] => retried(|| self.link.write(piece)),
                pieces => retried(|| self.link.write_vectored(pieces)),
            },
            Some(_) => {
                // What was taken before leaves first, so that no more than one write waits encrypted.
                self.flush()?;
                let taken =
                    self.tls.as_mut().map_or(Ok(0), |tls| tls.connection.writer().write_vectored(pieces))?;
                match self.flush() {
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
                    Ok(()) | Err(_) => Ok(taken),
                }
            }
        }
    }

    /// Tells whether bytes were taken that have not left yet.
    pub fn wants_flush(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.connection.wants_write())
    }

    /// Sends what was taken and has not left yet.
    ///
    /// # Errors
    /// `WouldBlock` where not all of it can leave; a broken connection.
    pub fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.connection.wants_write() {
                if retried(|| tls.connection.write_tls(&mut self.link))? == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
            }
        }
        Ok(())
    }

    /// Ends our half, as far as that can be said at once.
    pub fn shut(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.connection.send_close_notify();
        }
        let _ = self.flush();
        let _ = match &self.link {
            Link::Tcp(tcp) => tcp.shutdown(Shutdown::Write),
            Link::Unix(unix) => unix.shutdown(Shutdown::Write),
        };
    }
}

impl Tls {
    /// Fills the buffer with what is decrypted, and decrypts what has arrived while there is room.
    fn read(&mut self, link: &mut Link, buffer: &mut [u8]) -> io::Result<Received> {
        let mut length = 0;
        let mut arriving = Arriving { link, drained: false };
        let ending = loop {
            if length == buffer.len() {
                return Ok(Received { length, drained: false });
            }
            match self.connection.reader().read(&mut buffer[length..]) {
                Ok(0) => {
                    self.ended = true;
                    break None;
                }
                Ok(n) => {
                    length += n;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => break Some(error),
            }
            if let Some(error) = self.ending.take() {
                break Some(error);
            }
            if self.ended {
                break None;
            }
            if arriving.drained {
                let nothing = io::ErrorKind::WouldBlock.into();
                return if length > 0 { Ok(Received { length, drained: true }) } else { Err(nothing) };
            }
            match retried(|| self.connection.read_tls(&mut arriving)) {
                // The reader knows what it means that the stream ends here.
                Ok(_) => {
                    if let Err(error) = self.connection.process_new_packets() {
                        // It is told to the peer, as far as that is possible.
                        let _ = self.connection.write_tls(arriving.link);
                        self.ending = Some(io::Error::new(io::ErrorKind::InvalidData, error));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => arriving.drained = true,
                Err(error) => self.ending = Some(error),
            }
        };
        match ending {
            // First what was decrypted; the end is told by the next read.
            _ if length > 0 => {
                self.ending = ending;
                Ok(Received { length, drained: false })
            }
            None => Ok(Received { length: 0, drained: false }),
            Some(error) => Err(error),
        }
    }
}

/// Reads from a socket and takes note when it gives less than it could.
struct Arriving<'a> {
    link: &'a mut Link,
    drained: bool,
}

impl Read for Arriving<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.link.read(buffer)?;
        self.drained = length < buffer.len() && length > 0;
        Ok(length)
    }
}

impl Link {
    fn tcp(tcp: tokio::net::TcpStream) -> io::Result<Self> {
        Ok(Self::Tcp(mio::net::TcpStream::from_std(tcp.into_std()?)))
    }

    fn unix(unix: tokio::net::UnixStream) -> io::Result<Self> {
        Ok(Self::Unix(mio::net::UnixStream::from_std(unix.into_std()?)))
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(tcp) => tcp,
            Self::Unix(unix) => unix,
        }
    }
}

// The standard library calls the system by the C library, whose calls can be cancelled, which costs as much as judging a short
// message.
impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(tcp) => tcp.as_fd(),
            Self::Unix(unix) => unix.as_fd(),
        }
    }
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (_, length) = rustix::net::recv(&*self, buffer, RecvFlags::empty())?;
        Ok(length)
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(&*self, bytes, SendFlags::NOSIGNAL)?)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.write_vectored(pieces),
            Self::Unix(unix) => unix.write_vectored(pieces),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for Wire {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.link.source().register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.link.source().reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.link.source().deregister(registry)
    }
}

/// Does again what a signal has interrupted.
fn retried<T>(mut act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match act() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

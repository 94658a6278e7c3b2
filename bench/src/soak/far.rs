//! The far end: checks every message that the gateway brings, and sends it back.

use std::{
    collections::HashMap,
    io::{ErrorKind, Read as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, bail, ensure};

use super::{
    end::{End, Incoming},
    sealed,
};
use crate::{
    echo::write_some,
    handshake::{self, Compression},
    poll::{Interest, Poll, Ready},
    wire,
};

const LISTENER: u64 = u64::MAX;
/// How many complaints are kept; all are counted.
const KEPT: usize = 20;

/// What the far end has seen so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// How many messages of each connection came, one after the other.
    pub(crate) received: HashMap<u64, u64>,
    pub(crate) verified: u64,
    pub(crate) changed: u64,
    pub(crate) complaints: Vec<String>,
}

/// Shared by the far end and who judges it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book(Arc<Mutex<Seen>>);

impl Book {
    pub(crate) fn open(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves for ever; for a thread of its own.
pub(crate) fn serve(listener: &TcpListener, book: &Book) -> anyhow::Result<()> {
    listener.set_nonblocking(true)?;
    let mut poll = Poll::new()?;
    poll.add(listener, LISTENER, Interest::Read)?;
    let mut ready: Vec<Ready> = Vec::new();
    let mut connections: HashMap<u64, Connection> = HashMap::new();
    let mut next = 0;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        poll.wait(None, &mut ready)?;
        for event in &ready {
            if event.token == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    poll.add(&stream, next, Interest::Read)?;
                    connections.insert(next, Connection::new(stream));
                    next += 1;
                }
                continue;
            }
            let Some(connection) = connections.get_mut(&event.token) else { continue };
            match connection.turn(&poll, event.token, &mut buffer, book) {
                Ok(Turn::GoesOn) => {}
                Ok(Turn::Over) => drop(connections.remove(&event.token)),
                Err(error) => {
                    let mut book = book.open();
                    book.changed += 1;
                    if book.complaints.len() < KEPT {
                        book.complaints.push(format!("the application: {error:#}"));
                    }
                    connections.remove(&event.token);
                }
            }
        }
    }
}

enum Turn {
    GoesOn,
    /// The connection has ended, one way or the other.
    Over,
}

struct Connection {
    stream: TcpStream,
    head: Vec<u8>,
    end: Option<End>,
    /// Whose messages come here, once the first has come.
    whose: Option<u64>,
    received: u64,
    waiting: Vec<u8>,
    closing: bool,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        let (head, waiting) = (Vec::new(), Vec::new());
        Self { stream, head, end: None, whose: None, received: 0, waiting, closing: false }
    }

    /// An error is something that the gateway must not have let happen.
    fn turn(&mut self, poll: &Poll, token: u64, buffer: &mut [u8], book: &Book) -> anyhow::Result<Turn> {
        let was_waiting = !self.waiting.is_empty();
        if !was_waiting {
            match self.stream.read(buffer) {
                Ok(0) => return Ok(Turn::Over),
                Ok(count) => self.take(&mut buffer[..count], book)?,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(_) => return Ok(Turn::Over),
            }
        }
        let Ok(written) = write_some(&mut self.stream, &self.waiting) else { return Ok(Turn::Over) };
        self.waiting.drain(..written);
        let waits = !self.waiting.is_empty();
        if waits != was_waiting {
            poll.change(&self.stream, token, if waits { Interest::Write } else { Interest::Read })?;
        }
        Ok(if self.closing && !waits { Turn::Over } else { Turn::GoesOn })
    }

    fn take(&mut self, bytes: &mut [u8], book: &Book) -> anyhow::Result<()> {
        let Some(end) = &mut self.end else {
            self.head.extend_from_slice(bytes);
            ensure!(self.head.len() <= handshake::LONGEST_HEAD, "the head does not end");
            let Some(length) = handshake::end_of_head(&self.head) else { return Ok(()) };
            let mut rest = self.head.split_off(length);
            let (answer, compression) = handshake::answer(&String::from_utf8_lossy(&self.head))?;
            self.waiting.extend_from_slice(answer.as_bytes());
            self.end = Some(End::new(false, compression == Compression::Takeover));
            return if rest.is_empty() { Ok(()) } else { self.take(&mut rest, book) };
        };
        let who = self.whose;
        let incoming = end.receive(bytes).with_context(|| format!("on connection {who:x?}"))?;
        for what in incoming {
            match what {
                Incoming::Message(payload) => {
                    let told = sealed::open(&payload);
                    let (connection, seq) =
                        told.with_context(|| format!("message {} of {who:x?}", self.received))?;
                    if *self.whose.get_or_insert(connection) != connection {
                        bail!("a message of connection {connection:x} came on that of {who:x?}");
                    }
                    ensure!(
                        seq == self.received,
                        "message {seq} of connection {connection:x} came where {} was due",
                        self.received
                    );
                    self.received += 1;
                    let mut book = book.open();
                    book.verified += 1;
                    book.received.insert(connection, self.received);
                    drop(book);
                    end.message(&payload, 1, &mut self.waiting)?;
                }
                Incoming::Ping(payload) => end.control(wire::PONG, &payload, &mut self.waiting),
                Incoming::Close(payload) => {
                    end.control(wire::CLOSE, &payload, &mut self.waiting);
                    self.closing = true;
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

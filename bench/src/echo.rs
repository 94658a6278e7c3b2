//! The application behind every proxy: one thread that sends each frame back as it comes, compressed or not.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use anyhow::ensure;

use crate::{
    handshake,
    poll::{Interest, Poll, Ready},
    wire::{self, FrameReader, Header, Piece},
};

const LISTENER: u64 = u64::MAX;
const READ_BUFFER: usize = 256 * 1024;
/// How many connections are accepted before others get their turn.
const ACCEPTED_AT_ONCE: usize = 64;

/// Serves until the process is ended; says `listening on ADDRESS` first.
pub(crate) fn run() -> anyhow::Result<()> {
    crate::process::raise_file_limit()?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    crate::say(&format!("listening on {}", listener.local_addr()?));
    serve(&listener)
}

/// Serves all who connect, for ever.
pub(crate) fn serve(listener: &TcpListener) -> anyhow::Result<()> {
    listener.set_nonblocking(true)?;
    let mut poll = Poll::new()?;
    poll.add(listener, LISTENER, Interest::Read)?;
    let mut ready: Vec<Ready> = Vec::new();
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut buffer = vec![0; READ_BUFFER];
    let mut output = Vec::with_capacity(READ_BUFFER + 4096);
    loop {
        poll.wait(None, &mut ready)?;
        for event in &ready {
            if event.token == LISTENER {
                for _ in 0..ACCEPTED_AT_ONCE {
                    let Ok((stream, _)) = listener.accept() else { break };
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let place = free.pop().unwrap_or_else(|| {
                        connections.push(None);
                        connections.len() - 1
                    });
                    poll.add(&stream, place as u64, Interest::Read)?;
                    connections[place] = Some(Connection::new(stream));
                }
                continue;
            }
            let place = event.token as usize;
            let Some(Some(connection)) = connections.get_mut(place) else { continue };
            let token = event.token;
            // A peer that breaks off is the load's to complain about.
            if connection.turn(&poll, token, &mut buffer, &mut output).is_err() {
                connections[place] = None;
                free.push(place);
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    /// The head of the request while it is incomplete.
    head: Option<Vec<u8>>,
    reader: FrameReader,
    control: Vec<u8>,
    /// What the peer does not take yet; while there is any, nothing is read.
    waiting: Vec<u8>,
    closing: bool,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            head: Some(Vec::new()),
            reader: FrameReader::default(),
            control: Vec::new(),
            waiting: Vec::new(),
            closing: false,
        }
    }

    /// Writes what waits, else reads once and answers; an error says that the connection is over.
    fn turn(
        &mut self,
        poll: &Poll,
        token: u64,
        buffer: &mut [u8],
        output: &mut Vec<u8>,
    ) -> anyhow::Result<()> {
        if !self.waiting.is_empty() {
            let mut waiting = std::mem::take(&mut self.waiting);
            let written = write_some(&mut self.stream, &waiting)?;
            if written < waiting.len() {
                waiting.drain(..written);
                self.waiting = waiting;
                return Ok(());
            }
            poll.change(&self.stream, token, Interest::Read)?;
            ensure!(!self.closing, "closed");
            return Ok(());
        }
        let count = match self.stream.read(buffer) {
            Ok(0) => anyhow::bail!("ended"),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        output.clear();
        self.take(&mut buffer[..count], output)?;
        let written = write_some(&mut self.stream, output)?;
        if written < output.len() {
            self.waiting.extend_from_slice(&output[written..]);
            poll.change(&self.stream, token, Interest::Write)?;
            return Ok(());
        }
        ensure!(!self.closing, "closed");
        Ok(())
    }

    fn take(&mut self, bytes: &mut [u8], output: &mut Vec<u8>) -> anyhow::Result<()> {
        let Some(head) = self.head.as_mut() else { return self.echo(bytes, output) };
        head.extend_from_slice(bytes);
        ensure!(head.len() <= handshake::LONGEST_HEAD, "the head does not end");
        let Some(end) = handshake::end_of_head(head) else { return Ok(()) };
        let mut rest = head.split_off(end);
        output.extend_from_slice(handshake::answer(&String::from_utf8_lossy(head))?.0.as_bytes());
        self.head = None;
        self.echo(&mut rest, output)
    }

    fn echo(&mut self, bytes: &mut [u8], output: &mut Vec<u8>) -> anyhow::Result<()> {
        let Self { reader, control, closing, .. } = self;
        reader.read(bytes, |Piece { header, offset, bytes, ends }| {
            let answer = Header { mask: None, ..header };
            if header.is_control() {
                control.extend_from_slice(bytes);
                if ends {
                    let payload = std::mem::take(control);
                    match header.opcode {
                        wire::PING => {
                            wire::frame(Header { opcode: wire::PONG, ..answer }, &payload, output);
                        }
                        wire::CLOSE => {
                            wire::frame(answer, &payload, output);
                            *closing = true;
                        }
                        _ => {}
                    }
                }
                return Ok(());
            }
            if offset == 0 {
                answer.encode(output);
            }
            output.extend_from_slice(bytes);
            Ok(())
        })
    }
}

/// Writes as much as is taken now.
pub(crate) fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> anyhow::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(0) => anyhow::bail!("ended"),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(written)
}

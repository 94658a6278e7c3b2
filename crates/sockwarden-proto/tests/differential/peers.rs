//! Three readers of the same bytes, and what they make of them in common terms.

use std::{
    io::{self, Cursor, Read, Write},
    pin::pin,
    task::{Context, Poll, Waker},
};

use sockwarden_proto::{Limits, MessageKind, Role, Violation};
use sockwarden_testkit::{Seen, listen_whole};

/// What an implementation makes of a peer's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The messages that ended.
    pub(crate) messages: Vec<(MessageKind, Vec<u8>)>,
    /// How it stands after the last byte.
    pub(crate) end: End,
}

/// How a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// More may come.
    Open,
    /// The peer closed it.
    Closed(Option<u16>),
    /// The peer broke the protocol.
    Protocol,
    /// A text is not UTF-8.
    Utf8,
    /// A frame or message exceeds the limit.
    TooBig,
}

/// Reads as this crate does; tells the violation too.
pub(crate) fn ours(role: Role, limits: Limits, bytes: &[u8]) -> (Outcome, Option<Violation>) {
    let transcript = listen_whole(role, limits, bytes);
    let violation = transcript.violation();
    let end = match (violation, transcript.0.last()) {
        (Some(Violation::InvalidUtf8 | Violation::CloseReasonNotUtf8), _) => End::Utf8,
        (Some(Violation::FrameTooBig { .. } | Violation::MessageTooBig { .. }), _) => End::TooBig,
        (Some(_), _) => End::Protocol,
        (None, Some(Seen::Close(code, _))) => End::Closed(*code),
        (None, _) => End::Open,
    };
    (Outcome { messages: transcript.messages(), end }, violation)
}

/// A stream in memory: gives what it holds, then blocks; keeps what is written.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    /// What is to be read.
    pub(crate) input: Cursor<Vec<u8>>,
    /// What was written.
    pub(crate) output: Vec<u8>,
}

impl Wire {
    /// Makes a stream that holds `bytes`.
    pub(crate) fn holding(bytes: &[u8]) -> Self {
        Self { input: Cursor::new(bytes.to_vec()), output: Vec::new() }
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.input.read(into) {
            Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
            other => other,
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads as tungstenite does.
pub(crate) fn tungstenite(role: Role, limits: Limits, bytes: &[u8]) -> Outcome {
    use tungstenite::{Error, Message, WebSocket, protocol};
    let config = protocol::WebSocketConfig::default()
        .max_frame_size(Some(limits.frame as usize))
        .max_message_size(Some(limits.message as usize));
    let role = match role {
        Role::Client => protocol::Role::Client,
        Role::Server => protocol::Role::Server,
    };
    let mut socket = WebSocket::from_raw_socket(Wire::holding(bytes), role, Some(config));
    let mut messages = Vec::new();
    let end = loop {
        match socket.read() {
            Ok(Message::Text(text)) => messages.push((MessageKind::Text, text.as_bytes().to_vec())),
            Ok(Message::Binary(bytes)) => messages.push((MessageKind::Binary, bytes.to_vec())),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
            // This is how it tells of a code that may not be sent.
            Ok(Message::Close(Some(frame))) if frame.reason.as_str() == "Protocol violation" => {
                break End::Protocol;
            }
            Ok(Message::Close(frame)) => break End::Closed(frame.map(|frame| frame.code.into())),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break End::Open,
            Err(Error::Protocol(_)) => break End::Protocol,
            Err(Error::Utf8(_)) => break End::Utf8,
            Err(Error::Capacity(_)) => break End::TooBig,
            Err(other) => panic!("tungstenite: {other}"),
        }
    };
    Outcome { messages, end }
}

/// Reads as fastwebsockets does.
pub(crate) fn fastwebsockets(role: Role, limits: Limits, bytes: &[u8]) -> Outcome {
    use fastwebsockets::{FragmentCollector, OpCode, WebSocket, WebSocketError};
    let role = match role {
        Role::Client => fastwebsockets::Role::Client,
        Role::Server => fastwebsockets::Role::Server,
    };
    let stream = tokio::io::join(Cursor::new(bytes.to_vec()), tokio::io::sink());
    let mut socket = WebSocket::after_handshake(stream, role);
    // Its limit is exclusive.
    socket.set_max_message_size(limits.frame as usize + 1);
    let mut socket = FragmentCollector::new(socket);
    let mut messages = Vec::new();
    let end = loop {
        let read = at_once(socket.read_frame());
        match read {
            Ok(frame) => match frame.opcode {
                OpCode::Text => messages.push((MessageKind::Text, frame.payload.to_vec())),
                OpCode::Binary => messages.push((MessageKind::Binary, frame.payload.to_vec())),
                OpCode::Close => {
                    let code = frame.payload.first_chunk::<2>().map(|code| u16::from_be_bytes(*code));
                    break End::Closed(code);
                }
                OpCode::Ping | OpCode::Pong | OpCode::Continuation => {}
            },
            Err(WebSocketError::UnexpectedEOF) => break End::Open,
            Err(WebSocketError::InvalidUTF8) => break End::Utf8,
            Err(WebSocketError::FrameTooLarge) => break End::TooBig,
            Err(
                WebSocketError::InvalidFragment
                | WebSocketError::InvalidContinuationFrame
                | WebSocketError::InvalidCloseFrame
                | WebSocketError::InvalidCloseCode
                | WebSocketError::ReservedBitsNotZero
                | WebSocketError::ControlFrameFragmented
                | WebSocketError::PingFrameTooLarge
                | WebSocketError::InvalidValue,
            ) => break End::Protocol,
            Err(other) => panic!("fastwebsockets: {other}"),
        }
    };
    Outcome { messages, end }
}

/// Runs a future that never waits: its streams are in memory.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a stream in memory made a reader wait"),
    }
}

//! A small WebSocket client: one connection, whole messages.

use std::io;

use sockwarden_proto::{
    CloseCode, Fact, Flow, Limits, MessageKind, Role, Session, Violation, WsUrl,
    deflate::InflateLimits,
    handshake::{ClientHandshake, HeadLimits, HeadViolation, ResponseHead, ResponseViolation},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{DialError, DialOptions, Stream, SystemMaskKeys, dial, random_array};

/// An open connection. Pings are answered while [`Client::next`] is awaited.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    session: Session<SystemMaskKeys>,
    /// What was read, of which so much is judged. The rest waits until it is asked for, so that who answers a message does
    /// so before what follows it, which may end everything.
    buffer: Vec<u8>,
    judged: usize,
    /// Whether judging stopped at a message: something may follow it even where no byte does.
    stopped: bool,
    partial: Vec<u8>,
    /// What was judged and is yet to be told.
    heard: Option<Heard>,
    answer: ResponseHead,
    protocol: Option<String>,
}

/// How much is read at once.
const READ: usize = 16 * 1024;

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A whole message.
    Message(MessageKind, Vec<u8>),
    /// The server closed, with its code and reason; nothing follows.
    Close(Option<CloseCode>, String),
    /// The server broke the protocol; nothing follows.
    Violation(Violation),
}

/// What a server said, control frames included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// What [`Client::next`] tells as well.
    Said(Incoming),
    /// A ping, which is answered.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
}

/// Why there is no WebSocket connection.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no connection at all.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The server refused the upgrade.
    #[error("the server answered {status} to the handshake")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The start of the body.
        body: Vec<u8>,
    },
    /// The answer is not HTTP.
    #[error("the answer to the handshake is malformed: {0}")]
    Head(#[from] HeadViolation),
    /// The answer is not one of a WebSocket server.
    #[error("the answer to the handshake is wrong: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Handshake(Vec<ResponseViolation>),
    /// The connection ended or broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}

impl Client {
    /// Connects to `url`; `prepare` may add headers, sub-protocols and the like to the handshake.
    ///
    /// # Errors
    /// No connection, a refusal, or an answer that breaks RFC 6455.
    pub async fn connect(
        url: &WsUrl,
        options: &DialOptions,
        limits: Limits,
        prepare: impl FnOnce(&mut ClientHandshake),
    ) -> Result<Self, ClientError> {
        let stream = dial(url, options).await?;
        let key = ClientHandshake::key_from_random(random_array());
        let mut handshake = ClientHandshake::new(&url.authority(), &url.target, &key);
        prepare(&mut handshake);
        Self::upgrade(stream, &handshake, limits).await
    }

    /// Upgrades a connection that is already open.
    ///
    /// # Errors
    /// A refusal, or an answer that breaks RFC 6455.
    pub async fn upgrade(
        mut stream: Stream,
        handshake: &ClientHandshake,
        limits: Limits,
    ) -> Result<Self, ClientError> {
        stream.write_all(&handshake.encode()).await?;
        stream.flush().await?;
        let mut buffer = Vec::new();
        let (head, length) = loop {
            if let Some(done) = ResponseHead::parse(&buffer, HeadLimits::default())? {
                break done;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        };
        let rest = buffer.split_off(length);
        if head.status != 101 {
            return Err(ClientError::Refused {
                status: head.status,
                body: read_body(&mut stream, &head, rest).await,
            });
        }
        let accepted = handshake.verify(&head).map_err(ClientError::Handshake)?;
        let mut session = Session::new(Role::Client, limits, SystemMaskKeys::new());
        if let Some(agreement) = &accepted.deflate {
            let output = InflateLimits { output: limits.message, ..InflateLimits::default() };
            session = session
                .with_inflater(agreement.inflater(Role::Client, output))
                .with_deflater(agreement.deflater(Role::Client));
        }
        let protocol = accepted.protocol;
        let mut client = Self {
            stream,
            session,
            buffer: rest,
            judged: 0,
            stopped: false,
            partial: Vec::new(),
            heard: None,
            answer: head,
            protocol,
        };
        // A close frame that came with the answer is answered even where nobody asks for it.
        client.heard = client.take_in();
        // Of a server that is gone already, what it said is still told.
        let _ = client.flush().await;
        Ok(client)
    }

    /// Gives the sub-protocol that was agreed.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Gives the server's answer to the handshake.
    pub const fn answer(&self) -> &ResponseHead {
        &self.answer
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn send_text(&mut self, text: &str) -> io::Result<()> {
        self.send(MessageKind::Text, text.as_bytes()).await
    }

    /// Sends a message, compressed where that was agreed; that the payload of a text is UTF-8 is the caller's part.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn send(&mut self, kind: MessageKind, payload: &[u8]) -> io::Result<()> {
        self.session.send(kind, payload);
        self.flush().await
    }

    /// Sends a ping of at most 125 bytes; does nothing once a close frame was sent or received.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn ping(&mut self, payload: &[u8]) -> io::Result<()> {
        self.session.ping(payload);
        self.flush().await
    }

    /// Sends a close frame.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> io::Result<()> {
        self.session.close(Some(code), reason);
        self.flush().await
    }

    /// Waits for the next message or the end.
    ///
    /// # Errors
    /// The connection ended without a close frame, or broke.
    pub async fn next(&mut self) -> io::Result<Incoming> {
        loop {
            match self.hear().await? {
                Heard::Said(incoming) => return Ok(incoming),
                Heard::Ping(_) | Heard::Pong(_) => {}
            }
        }
    }

    /// Waits for the next message, control frame or the end. Nothing is lost where the wait is given up.
    ///
    /// # Errors
    /// The connection ended without a close frame, or broke.
    pub async fn hear(&mut self) -> io::Result<Heard> {
        loop {
            if let Some(heard) = self.heard.take() {
                return Ok(heard);
            }
            if self.stopped || self.judged < self.buffer.len() {
                self.heard = self.take_in();
                // What is owed to the server, such as a pong, goes out before the next is told.
                self.flush().await?;
                continue;
            }
            self.buffer.clear();
            self.judged = 0;
            self.buffer.reserve(READ);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Judges what was read up to the end of a message, or all of it.
    fn take_in(&mut self) -> Option<Heard> {
        let Self { session, buffer, judged, partial, .. } = self;
        let mut heard = None;
        *judged += session.receive(&mut buffer[*judged..], |fact| {
            match fact {
                Fact::Data(data) => {
                    partial.extend_from_slice(data.bytes);
                    if data.ends {
                        heard = Some(Heard::Said(Incoming::Message(data.kind, std::mem::take(partial))));
                    }
                }
                Fact::Ping(payload) => heard = Some(Heard::Ping(payload.to_vec())),
                Fact::Pong(payload) => heard = Some(Heard::Pong(payload.to_vec())),
                Fact::Close(close) => {
                    heard = Some(Heard::Said(Incoming::Close(close.code, close.reason.to_owned())));
                }
                Fact::Violation(violation) => heard = Some(Heard::Said(Incoming::Violation(violation))),
                Fact::Frame(_) => {}
            }
            if heard.is_some() { Flow::Stop } else { Flow::Continue }
        });
        self.stopped = heard.is_some();
        match &heard {
            Some(Heard::Said(Incoming::Close(code, _))) => session.close(*code, ""),
            Some(Heard::Said(Incoming::Violation(violation))) => {
                session.close(Some(violation.close_code()), "");
            }
            Some(Heard::Said(Incoming::Message(..)) | Heard::Ping(_) | Heard::Pong(_)) | None => {}
        }
        heard
    }

    /// Writes what waits to be written. What has been written is not written again where the wait is given up.
    async fn flush(&mut self) -> io::Result<()> {
        let output = self.session.output();
        while !output.is_empty() {
            match self.stream.write(output).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => drop(output.drain(..written)),
            }
        }
        self.stream.flush().await
    }
}

/// Reads what Content-Length announces of a refusal's body, at most 4 KiB and for at most two seconds.
async fn read_body(stream: &mut Stream, head: &ResponseHead, mut body: Vec<u8>) -> Vec<u8> {
    const MOST: usize = 4096;
    let announced = head.headers.text("content-length").and_then(|l| l.parse().ok()).unwrap_or(MOST);
    let wanted = announced.min(MOST);
    let read =
        async { while body.len() < wanted && stream.read_buf(&mut body).await.is_ok_and(|n| n > 0) {} };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), read).await;
    body.truncate(wanted);
    body
}

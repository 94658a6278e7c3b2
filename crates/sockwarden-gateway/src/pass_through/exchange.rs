//! One request and its answer between two connections, each read no faster than the other takes it.

use std::{
    io,
    pin::pin,
    sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use sockwarden_model::Direction;
use sockwarden_net::Stream;
use sockwarden_proto::{
    handshake::{HeadLimits, ResponseHead},
    http::{BodyReader, BodyViolation, Framing},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split},
    sync::Notify,
    time::{sleep, timeout},
};

use super::{
    config::HttpLimitsConfig,
    gather::Body,
    heads::{Manner, response},
    reading::{Reading, Wanted},
};
use crate::answer;

/// How much of either side is held while it waits to be passed on.
const HELD: usize = 16 * 1024;
/// How many interim answers (RFC 9110 §15.2) may come before the final one.
const MOST_INTERIM: usize = 8;
/// The most fields of an answer's head.
const MOST_FIELDS: usize = 128;

/// What is to be exchanged.
pub(super) struct Order<'a, 'b> {
    /// The head for the application.
    pub(super) head: Vec<u8>,
    pub(super) method: &'a str,
    pub(super) body: Body,
    /// The client's version of HTTP/1.
    pub(super) minor_version: u8,
    /// Tells, when the answer begins, whether the client may use its connection again.
    pub(super) may_keep: &'a (dyn Fn() -> bool + Sync),
    /// A header line for answers over TLS.
    pub(super) hsts: Option<&'static str>,
    pub(super) limits: &'a HttpLimitsConfig,
    /// Reads the answer.
    pub(super) reading: &'a mut Reading<'b>,
}

/// What became of it.
pub(super) struct Ended {
    pub(super) client: Stream,
    /// What the client has sent after its request.
    pub(super) buffer: Vec<u8>,
    pub(super) outcome: Result<Answered, Failure>,
    pub(super) from_client: u64,
    pub(super) from_server: u64,
}

/// An answer that began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    /// Whether all of it was passed on.
    pub(super) complete: bool,
    /// Whether the client's connection can be used again.
    pub(super) keep: bool,
}

/// Why no answer began.
pub(super) enum Failure {
    /// The client has gone.
    Gone,
    /// The client did not send its body in time.
    Slow(Duration),
    /// The body is longer than it may be.
    TooLarge,
    /// The body is malformed.
    Body(BodyViolation),
    /// The application answered wrongly or not at all; the text is for the operator.
    Broken(String),
    /// The application did not answer in time.
    Late(Duration),
    /// What the application answered is not to be passed on.
    Stopped(answer::Answer),
}

/// Sends the request, then passes the answer on while the rest of the request still goes its way.
pub(super) async fn exchange(mut client: Stream, app: Stream, order: Order<'_, '_>) -> Ended {
    let Order { head, method, body, limits, reading, .. } = order;
    let go_on = body.asks_to_go_on();
    let Body { framing, reader: mut body, first, behind: mut buffer, waits: _ } = body;
    let (sent, received) = (AtomicU64::new(0), AtomicU64::new(0));
    // The status of an answer of which the first byte may have left; 0 before.
    let began = AtomicU16::new(0);
    let (uploaded, whole) = (Notify::new(), AtomicBool::new(false));
    if go_on && !tells_to_go_on(&mut client).await {
        let outcome = Err(Failure::Gone);
        return Ended { client, buffer, outcome, from_client: 0, from_server: 0 };
    }
    let (mut from_client, mut to_client) = split(client);
    let (mut from_app, mut to_app) = split(app);
    let outcome = {
        let mut upload = pin!(async {
            let to = Upload { to: &mut to_app, framing, sent: &sent, most: limits.body.as_u64() };
            let upload = to.run(&head, &first, &mut body, &mut from_client, &mut buffer);
            let uploading = timeout(limits.body_timeout.get(), upload).await;
            let failed = match uploading.unwrap_or(Err(Failure::Slow(limits.body_timeout.get()))) {
                // What it answers tells why it takes no more.
                Ok(Taken::Partly) => None,
                Ok(Taken::Wholly) => {
                    whole.store(true, Relaxed);
                    None
                }
                Err(failure) => Some(failure),
            };
            uploaded.notify_one();
            match failed {
                Some(failure) => failure,
                None => watch(&mut from_client, &mut buffer).await,
            }
        });
        let mut download = pin!(async {
            let (head, rest) = tokio::select! {
                biased;
                head = read_head(&mut from_app, limits) => head?,
                () = async { uploaded.notified().await; sleep(limits.response_timeout.get()).await } => {
                    return Err(Failure::Late(limits.response_timeout.get()));
                }
            };
            let framing = Framing::of_response(&head, method).map_err(wrong)?;
            let mut way = Way { from: &mut from_app, patience: limits.idle_timeout.get() };
            let read = way.read(&head, framing, rest, reading).await?;
            let keep = whole.load(Relaxed) && (order.may_keep)();
            let manner = Manner { hsts: order.hsts, ..Manner::new(read.framing, order.minor_version, keep) };
            let mut answer = Answer { way, to: &mut to_client, framing: manner.framing, received: &received };
            let status = head.status;
            let begins = || began.store(status, Relaxed);
            answer.pass(&response(&head, manner), read, begins).await?;
            Ok(Answered { status, complete: true, keep: manner.keep })
        });
        tokio::select! {
            biased;
            answered = &mut download => answered,
            failure = &mut upload => Err(failure),
        }
    };
    let outcome = match (outcome, began.into_inner()) {
        (outcome, 0) | (outcome @ Ok(_), _) => outcome,
        // Once the answer began, nothing else can be answered: it is cut off.
        (Err(_), status) => Ok(Answered { status, complete: false, keep: false }),
    };
    let client = from_client.unsplit(to_client);
    Ended { client, buffer, outcome, from_client: sent.into_inner(), from_server: received.into_inner() }
}

/// Tells a client that its body is welcome (RFC 9110 §10.1.1).
pub(super) async fn tells_to_go_on(client: &mut Stream) -> bool {
    client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_ok() && client.flush().await.is_ok()
}

/// The way of a request's body to the application.
struct Upload<'a> {
    to: &'a mut WriteHalf<Stream>,
    framing: Framing,
    sent: &'a AtomicU64,
    most: u64,
}

/// How much of a request the application took.
enum Taken {
    Wholly,
    Partly,
}

impl Upload<'_> {
    async fn run(
        mut self,
        head: &[u8],
        first: &[u8],
        body: &mut BodyReader,
        from: &mut ReadHalf<Stream>,
        buffer: &mut Vec<u8>,
    ) -> Result<Taken, Failure> {
        if self.to.write_all(head).await.is_err() || self.pass(first).await?.is_err() {
            return Ok(Taken::Partly);
        }
        while !body.is_done() {
            let piece = body.read(buffer).map_err(Failure::Body)?;
            let taken = piece.taken;
            if self.pass(piece.data).await?.is_err() {
                return Ok(Taken::Partly);
            }
            buffer.drain(..taken);
            if taken == 0 && !fill(from, buffer).await.unwrap_or(false) {
                return Err(Failure::Gone);
            }
        }
        let ended =
            if self.framing == Framing::Chunked { self.to.write_all(b"0\r\n\r\n").await } else { Ok(()) };
        if ended.is_err() || self.to.flush().await.is_err() { Ok(Taken::Partly) } else { Ok(Taken::Wholly) }
    }

    /// Passes content on; the inner error is the application's end.
    async fn pass(&mut self, data: &[u8]) -> Result<io::Result<()>, Failure> {
        let sent = self.sent.load(Relaxed) + data.len() as u64;
        if sent > self.most {
            return Err(Failure::TooLarge);
        }
        self.sent.store(sent, Relaxed);
        Ok(write(self.to, self.framing, data).await)
    }
}

/// An answer's body, as far as it was read before it goes on.
struct Begun {
    /// How it ends.
    framing: Framing,
    body: BodyReader,
    /// What it holds, as far as it was read.
    first: Vec<u8>,
    /// What else the application has sent.
    buffer: Vec<u8>,
}

/// The way of an answer from the application.
struct Way<'a> {
    from: &'a mut ReadHalf<Stream>,
    patience: Duration,
}

impl Way<'_> {
    /// Reads the body and judges it, where it is to be read.
    async fn read(
        &mut self,
        head: &ResponseHead,
        framing: Framing,
        rest: Vec<u8>,
        reading: &mut Reading<'_>,
    ) -> Result<Begun, Failure> {
        let mut begun = Begun { framing, body: BodyReader::new(framing), first: Vec::new(), buffer: rest };
        if let Wanted::Whole(most) = reading.wants_answer(head, framing).map_err(Failure::Stopped)? {
            if self.gather(&mut begun, most).await? {
                begun.first =
                    reading.answer(head, std::mem::take(&mut begun.first)).map_err(Failure::Stopped)?;
                begun.framing = Framing::Length(begun.first.len() as u64);
                begun.body = BodyReader::new(Framing::None);
            } else {
                reading.exceeded(Direction::Server).map_err(Failure::Stopped)?;
            }
        } else {
            // What came with the head is judged before anything is passed on.
            let piece = begun.body.read(&begun.buffer).map_err(wrong)?;
            let taken = piece.taken;
            begun.first = piece.data.to_vec();
            begun.buffer.drain(..taken);
        }
        Ok(begun)
    }

    /// Reads a body to its end, but no more than `most`; tells whether that was all of it.
    async fn gather(&mut self, begun: &mut Begun, most: u64) -> Result<bool, Failure> {
        let Begun { body, first, buffer, .. } = begun;
        loop {
            let piece = body.read(buffer).map_err(wrong)?;
            let taken = piece.taken;
            first.extend_from_slice(piece.data);
            buffer.drain(..taken);
            if first.len() as u64 > most {
                return Ok(false);
            }
            if body.is_done() {
                return Ok(true);
            }
            if (buffer.is_empty() || taken == 0) && !self.more(body, buffer).await? {
                return Ok(true);
            }
        }
    }

    /// Reads more of a body; tells whether there was any, or it has ended.
    async fn more(&mut self, body: &mut BodyReader, buffer: &mut Vec<u8>) -> Result<bool, Failure> {
        let read = timeout(self.patience, fill(self.from, buffer)).await;
        // A connection that broke is no end of a body, not even of one that ends with it.
        let is_more = read.map_err(|_| Failure::Late(self.patience))?.map_err(wrong)?;
        if !is_more {
            body.end().map_err(wrong)?;
        }
        Ok(is_more)
    }
}

/// The way of an answer to the client.
struct Answer<'a> {
    way: Way<'a>,
    to: &'a mut WriteHalf<Stream>,
    framing: Framing,
    received: &'a AtomicU64,
}

impl Answer<'_> {
    /// Passes a head and its body on; says when the first byte is about to leave.
    async fn pass(&mut self, head: &[u8], begun: Begun, begins: impl FnOnce()) -> Result<(), Failure> {
        let Begun { framing: _, mut body, first, mut buffer } = begun;
        begins();
        self.write_head(head).await?;
        self.write(&first).await?;
        let mut stuck = false;
        while !body.is_done() {
            if (buffer.is_empty() || stuck) && !self.way.more(&mut body, &mut buffer).await? {
                break;
            }
            let piece = body.read(&buffer).map_err(wrong)?;
            let taken = piece.taken;
            stuck = taken == 0;
            self.write(piece.data).await?;
            buffer.drain(..taken);
        }
        let end: &[u8] = if self.framing == Framing::Chunked { b"0\r\n\r\n" } else { b"" };
        self.write_head(end).await
    }

    async fn write(&mut self, data: &[u8]) -> Result<(), Failure> {
        let written = timeout(self.way.patience, async {
            write(self.to, self.framing, data).await?;
            self.to.flush().await
        });
        self.received.fetch_add(data.len() as u64, Relaxed);
        written.await.map_or(Err(Failure::Gone), |written| written.map_err(|_| Failure::Gone))
    }

    async fn write_head(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = timeout(self.way.patience, async {
            self.to.write_all(bytes).await?;
            self.to.flush().await
        });
        written.await.map_or(Err(Failure::Gone), |written| written.map_err(|_| Failure::Gone))
    }
}

/// Writes content as its framing wants it.
async fn write(to: &mut WriteHalf<Stream>, framing: Framing, data: &[u8]) -> io::Result<()> {
    if data.is_empty() {
        return Ok(());
    }
    if framing != Framing::Chunked {
        return to.write_all(data).await;
    }
    let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
    chunk.extend_from_slice(data);
    chunk.extend_from_slice(b"\r\n");
    to.write_all(&chunk).await
}

/// Reads more into what is held; tells whether there was any.
pub(super) async fn fill(from: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> io::Result<bool> {
    buffer.reserve(HELD.saturating_sub(buffer.len()));
    from.read_buf(buffer).await.map(|read| read > 0)
}

/// Waits until the client goes. What it sends meanwhile is its next request, of which only so much is taken.
async fn watch(from: &mut ReadHalf<Stream>, buffer: &mut Vec<u8>) -> Failure {
    while buffer.len() < HELD {
        if !fill(from, buffer).await.unwrap_or(false) {
            return Failure::Gone;
        }
    }
    std::future::pending().await
}

/// Reads the head of the final answer, and what came with it.
async fn read_head(
    from: &mut ReadHalf<Stream>,
    limits: &HttpLimitsConfig,
) -> Result<(ResponseHead, Vec<u8>), Failure> {
    let limits = HeadLimits { bytes: limits.response_head.as_usize(), fields: MOST_FIELDS, target: 0 };
    let mut buffer = Vec::new();
    for _ in 0..=MOST_INTERIM {
        let (head, length) = loop {
            match ResponseHead::parse(&buffer, limits).map_err(wrong)? {
                Some(read) => break read,
                None if fill(from, &mut buffer).await.unwrap_or(false) => {}
                None => {
                    let why = "the application ended the connection without an answer";
                    return Err(Failure::Broken(why.to_owned()));
                }
            }
        };
        buffer.drain(..length);
        // A switch of protocols is no interim answer: the judge of the answer refuses it.
        if !matches!(head.status, 100 | 102..=199) {
            return Ok((head, buffer));
        }
    }
    Err(Failure::Broken(format!("the application sent more than {MOST_INTERIM} interim answers")))
}

fn wrong(violation: impl std::fmt::Display) -> Failure {
    Failure::Broken(format!("the application's answer is malformed: {violation}"))
}

//! A conversation over a WebSocket: reading, writing, timing, closing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::Error as WsError;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::app::App;
use crate::conversation::{Conversation, Ending, Who};
use crate::flaw::Flaw;
use crate::fragments::Counted;
use crate::hub::QUEUE;
use crate::places::Seat;

/// How long one message may take to be written; who reads slower is let go.
const WRITE_TIME: Duration = Duration::from_secs(10);

/// How often a quiet socket is looked after: is it idle, does its session still live?
const CARE_INTERVAL: Duration = Duration::from_secs(2);

/// The shortest time between two messages of the status feed.
const MIN_STATUS_INTERVAL: Duration = Duration::from_millis(50);

/// The shortest time between two pings.
const MIN_PING_INTERVAL: Duration = Duration::from_millis(50);

/// How many pings are answered in a second while [`Flaw::PingFlood`] is off.
const MOST_PINGS: u32 = 20;

/// How long, and for how many bytes, a socket is read on after our close frame, so that the peer sees the frame
/// and not a reset connection.
const DRAIN_TIME: Duration = Duration::from_secs(1);
const DRAIN_BYTES: u64 = 64 << 20;

const READ_BUFFER: usize = 16 << 10;
const WRITE_BUFFER: usize = 16 << 10;

/// Above the largest reply: a megabyte of text in which every byte needs an escape.
const MAX_WRITE_BUFFER: usize = 16 << 20;

/// Why the server closes a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Closing {
    Stopping,
    Idle,
    Binary,
    TooBig,
    BadText,
    BrokenRules,
    Gone,
    TooManyMessages,
    TooManyFragments,
    TooManyPings,
    Ended(Ending),
}

impl Closing {
    /// Returns the close code and its reason (RFC 6455 §7.4.1; 4401 is of the private range, §7.4.2).
    fn frame(self) -> CloseFrame {
        let (code, reason) = match self {
            Self::Stopping => (CloseCode::Away, "Harbor is closing"),
            Self::Idle => (CloseCode::Away, "nothing was said for too long"),
            Self::Binary => (CloseCode::Unsupported, "messages are text"),
            Self::TooBig => (CloseCode::Size, "the message is too big"),
            Self::BadText => (CloseCode::Invalid, "the text is not UTF-8"),
            Self::BrokenRules => (CloseCode::Protocol, "the frames break the rules"),
            Self::Gone => (CloseCode::Away, "nothing was heard for too long"),
            Self::TooManyMessages => (CloseCode::Policy, "too many messages"),
            Self::TooManyFragments => (CloseCode::Policy, "too many fragments"),
            Self::TooManyPings => (CloseCode::Policy, "too many pings"),
            Self::Ended(Ending::SessionEnded) => (CloseCode::Library(4401), "the session has ended"),
            Self::Ended(Ending::TooManyWrongPasswords) => (CloseCode::Policy, "too many wrong passwords"),
        };
        CloseFrame { code, reason: Utf8Bytes::from_static(reason) }
    }
}

/// When what was heard, and how much of it lately.
struct Heard {
    anything: Instant,
    message: Instant,
    second: Instant,
    pings: u32,
}

impl Heard {
    fn new() -> Self {
        let now = Instant::now();
        Self { anything: now, message: now, second: now, pings: 0 }
    }

    /// Takes note of what came; tells why it is too much, where it is.
    fn note(
        &mut self,
        incoming: &Option<Result<Message, WsError>>,
        app: &App,
        seat: &Seat,
    ) -> Option<Closing> {
        self.anything = Instant::now();
        match incoming {
            Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                self.message = self.anything;
                let is_fine = app.has(Flaw::UnlimitedRate) || seat.may_say(self.anything.into_std());
                (!is_fine).then_some(Closing::TooManyMessages)
            }
            Some(Ok(Message::Ping(_))) => {
                if self.second.elapsed() >= Duration::from_secs(1) {
                    (self.second, self.pings) = (self.anything, 0);
                }
                self.pings += 1;
                let is_fine = app.has(Flaw::PingFlood) || self.pings <= MOST_PINGS;
                (!is_fine).then_some(Closing::TooManyPings)
            }
            Some(Ok(Message::Pong(_) | Message::Close(_) | Message::Frame(_)) | Err(_)) | None => None,
        }
    }
}

/// What the loop does after a step.
enum Step {
    GoOn,
    Close(Closing),
    /// The peer closed, or is gone.
    Gone,
}

/// Serves one upgraded connection until either side ends it or the lab stops.
pub(crate) async fn serve<S>(app: Arc<App>, stream: S, who: Who, seat: Seat)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limit = Some(app.config.message_limit());
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(limit)
        .max_frame_size(limit);
    let stream = Counted::new(stream, !app.has(Flaw::UnboundedFragments));
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    if let Some(closing) = converse(&app, &mut socket, who, &seat).await {
        close(&mut socket, closing).await;
    }
}

async fn converse<S>(
    app: &Arc<App>,
    socket: &mut WebSocketStream<Counted<S>>,
    who: Who,
    seat: &Seat,
) -> Option<Closing>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (queue, mut queued) = mpsc::channel(QUEUE);
    let mut conversation = Conversation::new(Arc::clone(app), queue, who);
    let mut stopping = app.stopping.clone();
    let mut care = ticks(CARE_INTERVAL);
    let mut status = ticks(app.config.status_interval.max(MIN_STATUS_INTERVAL));
    let mut ping = ticks(app.config.ping_interval.max(MIN_PING_INTERVAL));
    let keeps_idle = app.has(Flaw::IdleSocket);
    let mut heard = Heard::new();
    if !send(socket, conversation.hello().await).await {
        return None;
    }
    loop {
        let step = tokio::select! {
            _ = stopping.changed() => Step::Close(Closing::Stopping),
            incoming = socket.next() => {
                let had_feed = conversation.has_feed();
                let step = match heard.note(&incoming, app, seat) {
                    Some(closing) => Step::Close(closing),
                    None => hear(socket, &mut conversation, incoming).await,
                };
                if !had_feed {
                    status.reset();
                }
                step
            }
            Some(said) = queued.recv() => Step::after(send(socket, said).await),
            _ = status.tick(), if conversation.has_feed() => match conversation.next_status().await {
                Some(text) => Step::after(send(socket, text).await),
                None => Step::GoOn,
            },
            _ = ping.tick(), if !keeps_idle => {
                if heard.anything.elapsed() > 2 * ping.period() {
                    Step::Close(Closing::Gone)
                } else {
                    Step::after(write(socket, Message::Ping(Bytes::new())).await)
                }
            }
            _ = care.tick() => {
                if !keeps_idle && heard.message.elapsed() > app.config.idle_timeout {
                    Step::Close(Closing::Idle)
                } else if conversation.has_ended().await {
                    Step::Close(Closing::Ended(Ending::SessionEnded))
                } else {
                    Step::GoOn
                }
            }
        };
        match step {
            Step::GoOn => {}
            Step::Close(closing) => return Some(closing),
            Step::Gone => return None,
        }
    }
}

async fn hear<S>(
    socket: &mut WebSocketStream<Counted<S>>,
    conversation: &mut Conversation,
    incoming: Option<Result<Message, WsError>>,
) -> Step
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match incoming {
        Some(Ok(Message::Text(text))) => {
            let (reply, ending) = conversation.answer(&text).await;
            match (send(socket, reply).await, ending) {
                (false, _) => Step::Gone,
                (true, Some(ending)) => Step::Close(Closing::Ended(ending)),
                (true, None) => Step::GoOn,
            }
        }
        Some(Ok(Message::Binary(_))) => Step::Close(Closing::Binary),
        // The library answers pings and the peer's close frame by itself; the stream ends when that is done.
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_))) => Step::GoOn,
        Some(Err(WsError::Capacity(_))) => Step::Close(Closing::TooBig),
        Some(Err(WsError::Utf8(_))) => Step::Close(Closing::BadText),
        Some(Err(WsError::Protocol(_))) => Step::Close(Closing::BrokenRules),
        Some(Err(_)) if socket.get_ref().is_exceeded() => Step::Close(Closing::TooManyFragments),
        Some(Err(_)) | None => Step::Gone,
    }
}

impl Step {
    fn after(sent: bool) -> Self {
        if sent { Self::GoOn } else { Self::Gone }
    }
}

/// Writes a message; tells whether the peer took it in time.
async fn send<S>(socket: &mut WebSocketStream<S>, text: impl Into<Utf8Bytes>) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    write(socket, Message::Text(text.into())).await
}

async fn write<S>(socket: &mut WebSocketStream<S>, message: Message) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    matches!(timeout(WRITE_TIME, socket.send(message)).await, Ok(Ok(())))
}

async fn close<S>(socket: &mut WebSocketStream<S>, closing: Closing)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // The peer may be gone already; then there is nobody to tell.
    let _ = timeout(WRITE_TIME, socket.close(Some(closing.frame()))).await;
    let drain = async {
        let mut rest = socket.get_mut().take(DRAIN_BYTES);
        let mut buffer = vec![0; READ_BUFFER];
        while rest.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    };
    let _ = timeout(DRAIN_TIME, drain).await;
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

//! Moving bytes between two sockets and the relay.

use std::{
    cell::RefCell,
    future::{Future as _, poll_fn},
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use sockwarden_model::Direction;
use sockwarden_net::Stream;
use tokio::{
    io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::{relay::Relay, stopping::Stopping};

/// How long a peer may take to fall silent after its close frame was answered, and how much it may still send.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 64 << 20;

/// Where the timer stands while nothing is due.
const FAR: Duration = Duration::from_secs(86_400);

thread_local! {
    /// One read buffer for all connections of a worker: an idle connection holds none.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; 64 * 1024].into_boxed_slice());
}

/// Relays until both sides have closed, or the gateway stops and both have been told; then ends both sockets.
pub(crate) async fn pump(
    mut relay: Relay,
    client: Stream,
    server: Stream,
    write_buffer: usize,
    mut stopping: Stopping,
    begun: Instant,
) {
    let mut stops = std::pin::pin!(stopping.begins());
    let mut has_stopped = false;
    let mut client = Socket::new(client);
    let mut server = Socket::new(server);
    let mut timer: Pin<Box<Sleep>> = Box::pin(sleep_until(begun + relay.deadline().unwrap_or(FAR)));
    let mut known: Option<Waker> = None;
    poll_fn(|cx| {
        if known.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            relay.mailbox().wake_me(cx.waker());
            known = Some(cx.waker().clone());
        }
        if !has_stopped && stops.as_mut().poll(cx).is_ready() {
            has_stopped = true;
            relay.go_away(begun.elapsed());
        }
        loop {
            if let Some(order) = relay.mailbox().take() {
                relay.dismiss(&order, begun.elapsed());
            }
            let mut moved = client.turn(Direction::Client, &mut relay, write_buffer, begun, cx);
            moved |= server.turn(Direction::Server, &mut relay, write_buffer, begun, cx);
            if relay.is_over()
                && client.is_drained(&mut relay, Direction::Client)
                && server.is_drained(&mut relay, Direction::Server)
            {
                return Poll::Ready(());
            }
            if let Some(deadline) = relay.deadline().map(|deadline| begun + deadline) {
                // A deadline that moves on, as it does with every message, is not worth a call: the timer fires early then,
                // and is set anew.
                if deadline < timer.deadline() || timer.is_elapsed() {
                    timer.as_mut().reset(deadline);
                }
                if timer.as_mut().poll(cx).is_ready() {
                    relay.tick(begun.elapsed());
                    // A peer that does not read what it is told by now is not waited for.
                    client.give_up_if(relay.is_over());
                    server.give_up_if(relay.is_over());
                    moved = true;
                }
            }
            if !moved {
                return Poll::Pending;
            }
        }
    })
    .await;
    relay.finish(begun.elapsed());
    tokio::join!(linger(client.stream), linger(server.stream));
}

/// Ends a socket so that what was written last is read: our half first, then what the peer still sends is thrown away.
pub(crate) async fn linger(mut stream: Stream) {
    let farewell = async {
        if stream.shutdown().await.is_err() {
            return;
        }
        let mut sink = [0; 4096];
        let mut left = LINGER_BYTES;
        while left > 0 {
            match stream.read(&mut sink).await {
                Ok(0) | Err(_) => return,
                Ok(n) => left = left.saturating_sub(n),
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, farewell).await;
}

struct Socket {
    stream: Stream,
    written: usize,
    unflushed: bool,
    broken: bool,
    /// What is to be written waits for the peer to read.
    stalled: bool,
}

impl Socket {
    const fn new(stream: Stream) -> Self {
        Self { stream, written: 0, unflushed: false, broken: false, stalled: false }
    }

    /// Writes what waits and reads once; tells whether anything moved.
    fn turn(
        &mut self,
        direction: Direction,
        relay: &mut Relay,
        write_buffer: usize,
        begun: Instant,
        cx: &mut Context<'_>,
    ) -> bool {
        if self.broken {
            relay.output(direction).clear();
            return false;
        }
        let wrote = match self.write(relay.output(direction), cx) {
            Poll::Ready(Ok(moved)) => {
                // Only what waited for the peer to read is a sign of its life: the system takes the rest by itself.
                if moved && std::mem::take(&mut self.stalled) {
                    relay.takes(direction, begun.elapsed());
                }
                moved
            }
            Poll::Ready(Err(_)) => {
                self.broken = true;
                relay.vanished(direction, begun.elapsed());
                return true;
            }
            Poll::Pending => {
                self.stalled = true;
                false
            }
        };
        let read = relay.wants(direction, write_buffer) && self.read(direction, relay, begun, cx);
        wrote || read
    }

    fn write(&mut self, output: &mut Vec<u8>, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut moved = false;
        while self.written < output.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &output[self.written..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => {
                    self.written += n;
                    self.unflushed = true;
                    moved = true;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return if moved { Poll::Ready(Ok(true)) } else { Poll::Pending },
            }
        }
        if self.written > 0 {
            self.written = 0;
            // An idle connection holds no buffer.
            *output = Vec::new();
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(moved))
    }

    fn read(
        &mut self,
        direction: Direction,
        relay: &mut Relay,
        begun: Instant,
        cx: &mut Context<'_>,
    ) -> bool {
        BUFFER.with_borrow_mut(|buffer| {
            let mut read = ReadBuf::new(buffer);
            match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
                Poll::Pending => false,
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                    let now = begun.elapsed();
                    relay.receive(direction, read.filled_mut(), now);
                    relay.received_in(begun.elapsed().saturating_sub(now));
                    true
                }
                Poll::Ready(_) => {
                    self.broken = true;
                    relay.vanished(direction, begun.elapsed());
                    true
                }
            }
        })
    }

    fn is_drained(&self, relay: &mut Relay, direction: Direction) -> bool {
        self.broken || (relay.output(direction).is_empty() && !self.unflushed)
    }

    const fn give_up_if(&mut self, over: bool) {
        self.broken |= over;
    }
}

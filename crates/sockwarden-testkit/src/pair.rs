//! A connection in memory: two ends, bytes in flight in between.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::Random;

/// How a direction of a [`Pair`] carries bytes.
#[derive(Clone, Debug)]
pub struct Link {
    /// How long a byte is under way.
    pub latency: Duration,
    /// The most bytes that one read gives; what was written at once comes apart, and what was written apart comes together.
    pub chunk: usize,
    /// The most bytes in flight; a write beyond it is cut short.
    pub window: usize,
    /// Varies the chunks between 1 and `chunk` where there is one.
    pub random: Option<Random>,
}

impl Default for Link {
    /// No latency, chunks and window of 64 KiB.
    fn default() -> Self {
        Self { latency: Duration::ZERO, chunk: 64 * 1024, window: 64 * 1024, random: None }
    }
}

/// One end of a [`Pair`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The one that opened the connection.
    Client,
    /// The one that accepted it.
    Server,
}

/// Two pipes of bytes, one for each direction.
#[derive(Debug)]
pub struct Pair {
    to_server: Pipe,
    to_client: Pipe,
}

impl Pair {
    /// Connects two ends by links to the server and to the client.
    pub const fn new(to_server: Link, to_client: Link) -> Self {
        Self { to_server: Pipe::new(to_server), to_client: Pipe::new(to_client) }
    }

    /// Writes from an end and tells how many bytes fitted; nothing does once the end was shut.
    pub fn write(&mut self, from: End, bytes: &[u8], now: Instant) -> usize {
        self.from(from).write(bytes, now)
    }

    /// Shuts the direction that begins at an end: after the bytes in flight, the other end reads the end of the stream.
    pub const fn shut(&mut self, from: End) {
        self.from(from).shut = true;
    }

    /// Reads at an end: `None` while nothing has arrived, no bytes at the end of the stream.
    pub fn read(&mut self, at: End, now: Instant) -> Option<Vec<u8>> {
        match at {
            End::Client => self.to_client.read(now),
            End::Server => self.to_server.read(now),
        }
    }

    /// Gives the instant at which the next byte arrives anywhere.
    pub fn next_arrival(&self) -> Option<Instant> {
        [&self.to_server, &self.to_client]
            .into_iter()
            .filter_map(|pipe| pipe.flight.front().map(|(at, _)| *at))
            .min()
    }

    const fn from(&mut self, end: End) -> &mut Pipe {
        match end {
            End::Client => &mut self.to_server,
            End::Server => &mut self.to_client,
        }
    }
}

#[derive(Debug)]
struct Pipe {
    link: Link,
    flight: VecDeque<(Instant, u8)>,
    shut: bool,
}

impl Pipe {
    const fn new(link: Link) -> Self {
        Self { link, flight: VecDeque::new(), shut: false }
    }

    fn write(&mut self, bytes: &[u8], now: Instant) -> usize {
        if self.shut {
            return 0;
        }
        let taken = bytes.len().min(self.link.window.saturating_sub(self.flight.len()));
        let arrival = now + self.link.latency;
        self.flight.extend(bytes[..taken].iter().map(|&byte| (arrival, byte)));
        taken
    }

    fn read(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.flight.is_empty() {
            return self.shut.then(Vec::new);
        }
        let most = self.link.chunk.max(1);
        let most = self.link.random.as_mut().map_or(most, |random| 1 + random.below(most));
        let arrived = self.flight.iter().take(most).take_while(|(at, _)| *at <= now).count();
        if arrived == 0 { None } else { Some(self.flight.drain(..arrived).map(|(_, byte)| byte).collect()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;

    #[test]
    fn bytes_arrive_after_the_latency_in_chunks() {
        let mut clock = Clock::new();
        let link = Link { latency: Duration::from_millis(20), chunk: 3, ..Link::default() };
        let mut pair = Pair::new(link, Link::default());
        assert_eq!(pair.write(End::Client, b"hello", clock.now()), 5);
        assert_eq!(pair.read(End::Server, clock.now()), None);
        assert_eq!(pair.next_arrival(), Some(clock.now() + Duration::from_millis(20)));
        clock.advance(Duration::from_millis(20));
        assert_eq!(pair.read(End::Server, clock.now()).as_deref(), Some(&b"hel"[..]));
        assert_eq!(pair.read(End::Server, clock.now()).as_deref(), Some(&b"lo"[..]));
        assert_eq!(pair.read(End::Server, clock.now()), None);
        assert_eq!(pair.read(End::Client, clock.now()), None);
        assert_eq!(pair.next_arrival(), None);
    }

    #[test]
    fn a_full_window_cuts_a_write_short() {
        let now = Clock::new().now();
        let mut pair = Pair::new(Link::default(), Link { window: 4, ..Link::default() });
        assert_eq!(pair.write(End::Server, b"hello", now), 4);
        assert_eq!(pair.write(End::Server, b"o", now), 0);
        assert_eq!(pair.read(End::Client, now).as_deref(), Some(&b"hell"[..]));
        assert_eq!(pair.write(End::Server, b"o", now), 1);
    }

    #[test]
    fn the_end_of_the_stream_comes_after_its_bytes() {
        let now = Clock::new().now();
        let mut pair = Pair::new(Link::default(), Link::default());
        pair.write(End::Client, b"bye", now);
        pair.shut(End::Client);
        assert_eq!(pair.write(End::Client, b"more", now), 0);
        assert_eq!(pair.read(End::Server, now).as_deref(), Some(&b"bye"[..]));
        assert_eq!(pair.read(End::Server, now).as_deref(), Some(&b""[..]));
        assert_eq!(pair.read(End::Client, now), None);
    }
}

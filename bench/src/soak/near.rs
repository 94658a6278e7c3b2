//! The near end: one connection that talks, pauses, and leaves in one of four ways.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

use super::{
    end::{End, Incoming},
    sealed::{self, HEAD, LONGEST, Quarry},
};
use crate::{
    dial::{Connection, Target},
    handshake::Compression,
    poll::{Interest, Poll, Ready},
    random::Random,
    wire,
};

/// How long what was sent may take to come back.
const PATIENCE: Duration = Duration::from_secs(30);
/// In milliseconds.
const LONGEST_PAUSE: usize = 6000;
/// A normal closure (RFC 6455 §7.4.1).
const NORMAL: [u8; 2] = 1000u16.to_be_bytes();

/// How a connection is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Leaving {
    /// When everything has come back, with a close frame.
    Closing,
    /// When everything has come back, by ending the sending half without a close frame.
    HalfClosing,
    /// With messages on the way, by ending the sending half: all that was sent before must still reach the far end.
    HalfClosingBusy,
    /// With messages on the way, by a reset: they may be lost.
    Reset,
}

/// What became of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    pub(crate) connection: u64,
    pub(crate) leaving: Leaving,
    pub(crate) sent: u64,
    pub(crate) failure: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Talking,
    /// What is on the way comes back.
    Draining,
    /// Our end is made known, the other's is awaited.
    Ending,
}

/// One connection.
pub(crate) struct Near {
    id: u64,
    connection: Option<Connection>,
    end: End,
    random: Random,
    leaving: Leaving,
    stage: Stage,
    bursts: usize,
    next: Instant,
    /// By when the present stage must be over, but for talking.
    deadline: Instant,
    sent: u64,
    pub(crate) received: u64,
    waiting: Vec<u8>,
    written: usize,
    closed: bool,
    interest: Interest,
}

impl Near {
    /// Opens connection `id`; all that it does follows from its number.
    pub(crate) fn open(id: u64, target: &Target, poll: &Poll, token: u64) -> anyhow::Result<Self> {
        let (connection, rest) = Connection::open(target)?;
        ensure!(rest.is_empty(), "the server speaks first");
        poll.add(&connection.stream, token, Interest::Read)?;
        let mut random = Random::new(id);
        let leaving = match random.below(20) {
            0..12 => Leaving::Closing,
            12..14 => Leaving::HalfClosing,
            14..17 => Leaving::HalfClosingBusy,
            _ => Leaving::Reset,
        };
        let bursts = 1 + random.below(20);
        let now = Instant::now();
        Ok(Self {
            id,
            connection: Some(connection),
            end: End::new(true, target.compression == Compression::Takeover),
            leaving,
            stage: Stage::Talking,
            bursts,
            next: now + Duration::from_millis(random.below(1000) as u64),
            deadline: now,
            random,
            sent: 0,
            received: 0,
            waiting: Vec::new(),
            written: 0,
            closed: false,
            interest: Interest::Read,
        })
    }

    /// Talks no more: whatever else it had planned, it closes.
    pub(crate) fn wind_up(&mut self) {
        if self.stage == Stage::Talking {
            self.bursts = 0;
            self.leaving = Leaving::Closing;
            self.next = Instant::now();
        }
    }

    /// Does what is due, and what an event allows; tells when the connection is over.
    pub(crate) fn turn(
        &mut self,
        event: Option<Ready>,
        now: Instant,
        quarry: &Quarry,
        poll: &Poll,
        token: u64,
        buffer: &mut [u8],
    ) -> Option<Left> {
        let done = self.act(event, now, quarry, buffer).and_then(|over| {
            if !over {
                self.watch(poll, token)?;
            }
            Ok(over)
        });
        let failure = match done {
            Ok(false) => return None,
            Ok(true) => None,
            Err(error) => Some(format!("connection {:x} ({:?}): {error:#}", self.id, self.leaving)),
        };
        Some(Left { connection: self.id, leaving: self.leaving, sent: self.sent, failure })
    }

    fn act(
        &mut self,
        event: Option<Ready>,
        now: Instant,
        quarry: &Quarry,
        buffer: &mut [u8],
    ) -> anyhow::Result<bool> {
        if event.is_some_and(|event| event.read) && self.read(buffer)? {
            return Ok(true);
        }
        if self.stage == Stage::Talking && now >= self.next && self.written == self.waiting.len() {
            if self.bursts > 0 {
                self.bursts -= 1;
                self.talk(quarry)?;
                // Sometimes at once, mostly after a while.
                let pause = if self.random.below(3) == 0 { 0 } else { self.random.below(LONGEST_PAUSE) };
                self.next = now + Duration::from_millis(pause as u64);
            } else {
                if matches!(self.leaving, Leaving::HalfClosingBusy | Leaving::Reset) {
                    self.talk(quarry)?;
                }
                self.stage = Stage::Draining;
                self.deadline = now + PATIENCE;
            }
        }
        self.write()?;
        if self.stage == Stage::Draining && self.written == self.waiting.len() {
            self.leave(now)?;
        }
        if self.connection.is_none() {
            return Ok(true);
        }
        if self.stage != Stage::Talking {
            ensure!(
                now < self.deadline,
                "{:?}: {} of {} messages came back in {} s",
                self.stage,
                self.received,
                self.sent,
                PATIENCE.as_secs()
            );
        }
        Ok(false)
    }

    /// Puts a few messages of mixed sizes into the queue.
    fn talk(&mut self, quarry: &Quarry) -> anyhow::Result<()> {
        for _ in 0..1 + self.random.below(6) {
            let size = match self.random.below(100) {
                0..50 => HEAD + self.random.below(200),
                50..80 => HEAD + self.random.below(4 * 1024),
                80..97 => HEAD + self.random.below(32 * 1024),
                _ => HEAD + self.random.below(LONGEST - HEAD),
            };
            let frames = if self.random.below(5) == 0 { 1 + self.random.below(5) } else { 1 };
            self.end.message(&quarry.message(self.id, self.sent, size), frames, &mut self.waiting)?;
            self.sent += 1;
        }
        Ok(())
    }

    fn leave(&mut self, now: Instant) -> anyhow::Result<()> {
        let is_quiet = self.sent == self.received;
        match self.leaving {
            Leaving::Closing if is_quiet => self.end.control(wire::CLOSE, &NORMAL, &mut self.waiting),
            Leaving::HalfClosing if is_quiet => self.half_close()?,
            Leaving::HalfClosingBusy => self.half_close()?,
            Leaving::Reset => {
                if let Some(connection) = self.connection.take() {
                    connection.reset()?;
                }
            }
            Leaving::Closing | Leaving::HalfClosing => return Ok(()),
        }
        self.stage = Stage::Ending;
        self.deadline = now + PATIENCE;
        self.write()
    }

    fn half_close(&mut self) -> anyhow::Result<()> {
        let connection = self.connection.as_mut().context("it is gone")?;
        connection.half_close().context("failed to end the sending half")
    }

    /// Reads what came and compares it; tells whether the connection is over as it should be.
    fn read(&mut self, buffer: &mut [u8]) -> anyhow::Result<bool> {
        loop {
            let Some(connection) = self.connection.as_mut() else { return Ok(true) };
            let is_half_closed = self.stage == Stage::Ending && self.leaving != Leaving::Closing;
            match connection.read(buffer) {
                Ok(0) => {
                    ensure!(self.stage == Stage::Ending, "it ended without a reason");
                    ensure!(self.closed || is_half_closed, "it ended without a close frame");
                    return Ok(true);
                }
                Ok(count) => self.take(&mut buffer[..count])?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Whoever left first cannot expect more than an end.
                Err(_) if is_half_closed => return Ok(true),
                Err(error) => return Err(error).context("it broke"),
            }
        }
    }

    fn take(&mut self, bytes: &mut [u8]) -> anyhow::Result<()> {
        for what in self.end.receive(bytes)? {
            match what {
                Incoming::Message(payload) => {
                    let (connection, seq) =
                        sealed::open(&payload).with_context(|| format!("echo {}", self.received))?;
                    ensure!(connection == self.id, "an echo of connection {connection:x} came here");
                    ensure!(seq == self.received, "echo {seq} came where {} was due", self.received);
                    self.received += 1;
                }
                Incoming::Ping(payload) if self.stage != Stage::Ending => {
                    self.end.control(wire::PONG, &payload, &mut self.waiting);
                }
                Incoming::Ping(_) => {}
                Incoming::Close(payload) => {
                    self.closed = true;
                    if self.stage != Stage::Ending {
                        let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                        let reason = payload.get(2..).unwrap_or_default();
                        bail!("it was closed with {code:?} `{}`", reason.escape_ascii());
                    }
                }
            }
        }
        Ok(())
    }

    fn write(&mut self) -> anyhow::Result<()> {
        let Some(connection) = self.connection.as_mut() else { return Ok(()) };
        while self.written < self.waiting.len() {
            match connection.write(&self.waiting[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("it broke while we wrote"),
            }
        }
        self.waiting.clear();
        self.written = 0;
        // What the socket does not take of a record now goes when there is room.
        Ok(connection.flush()?)
    }

    fn watch(&mut self, poll: &Poll, token: u64) -> anyhow::Result<()> {
        let Some(connection) = &self.connection else { return Ok(()) };
        let waits = !self.waiting.is_empty() || connection.has_unsent();
        let wanted = if waits { Interest::Both } else { Interest::Read };
        if wanted != self.interest {
            poll.change(&connection.stream, token, wanted)?;
            self.interest = wanted;
        }
        Ok(())
    }
}

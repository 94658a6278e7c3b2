//! One socket of a pair: what is known of its readiness, and moving bytes between it and the relay.

use std::{
    io::{self, IoSlice},
    time::{Duration, Instant},
};

use mio::event::Event;
use sockwarden_model::Direction;
use sockwarden_net::Wire;

use crate::{farewell::LINGER_BYTES, relay::Relay};

/// From how many missing bytes on a frame is read to where it is held.
const LARGE: usize = 16 * 1024;

/// Of how many reads one is timed: a clock costs as much as a short message.
const TIMED: u8 = 8;

/// A socket, and which peer's it is.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) wire: Wire,
    whose: Direction,
    /// The system may hold bytes for us, or take some; both are only told once.
    pub(crate) readable: bool,
    writable: bool,
    /// The peer has ended its half, or the connection is broken: told once too, perhaps together with the last bytes, so that a
    /// read that brings less than it could must be followed by one that meets the end.
    ended: bool,
    /// What is to be written waits for the peer to read.
    stalled: bool,
    pub(crate) broken: bool,
    /// How many reads there were, to time some of them.
    reads: u8,
    /// How much was thrown away since goodbye was said.
    discarded: usize,
}

impl Peer {
    pub(crate) const fn new(wire: Wire, whose: Direction) -> Self {
        // TLS may hold bytes already that arrived with the handshake.
        Self {
            wire,
            whose,
            readable: true,
            writable: true,
            ended: false,
            stalled: false,
            broken: false,
            reads: 0,
            discarded: 0,
        }
    }

    /// Takes note of what the poll tells.
    pub(crate) fn told(&mut self, event: &Event) {
        self.ended |= event.is_read_closed() || event.is_error();
        self.readable |= event.is_readable() || self.ended;
        self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
    }

    /// Writes what waits; tells whether anything moved.
    pub(crate) fn write(&mut self, relay: &mut Relay, now: Duration) -> bool {
        if self.broken {
            relay.forget_output(self.whose);
            return false;
        }
        if !self.writable || (relay.waiting(self.whose) == 0 && !self.wire.wants_flush()) {
            return false;
        }
        match self.write_all(relay) {
            Ok(moved) => {
                // Only what waited for the peer to read is a sign of its life: the system takes the rest by itself.
                if moved && std::mem::take(&mut self.stalled) {
                    relay.takes(self.whose, now);
                }
                if !self.writable {
                    self.stalled = true;
                    relay.stalled(self.whose, now);
                }
                moved
            }
            Err(_) => {
                self.give_up(relay, now);
                true
            }
        }
    }

    fn write_all(&mut self, relay: &mut Relay) -> io::Result<bool> {
        let mut moved = false;
        loop {
            let (done, some) = match relay.single_output(self.whose) {
                Some([]) if self.wire.wants_flush() => (self.wire.flush().map(|()| 0), false),
                Some([]) => return Ok(moved),
                Some(bytes) => (self.wire.write(&[IoSlice::new(bytes)]), true),
                None => {
                    let (slices, count) = relay.output(self.whose);
                    (self.wire.write(&slices[..count]), true)
                }
            };
            match done {
                Ok(0) if some => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => {
                    relay.written(self.whose, length);
                    moved = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.writable = false;
                    return Ok(moved);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads once; tells whether anything moved.
    pub(crate) fn read(
        &mut self,
        relay: &mut Relay,
        write_buffer: usize,
        buffer: &mut [u8],
        now: Duration,
    ) -> bool {
        if !self.readable || self.broken || !relay.wants(self.whose, write_buffer, now) {
            return false;
        }
        let read = match relay.room(self.whose, LARGE) {
            Some(room) => self.wire.read(room).map(|received| (received, true)),
            None => self.wire.read(buffer).map(|received| (received, false)),
        };
        match read {
            Ok((received, _)) if received.length == 0 => self.give_up(relay, now),
            Ok((received, in_place)) => {
                self.readable = !received.drained || self.ended;
                let timed = self.reads.is_multiple_of(TIMED).then(Instant::now);
                self.reads = self.reads.wrapping_add(1);
                if in_place {
                    relay.received(self.whose, received.length, now);
                } else {
                    relay.receive(self.whose, &mut buffer[..received.length], now);
                }
                if let Some(begun) = timed {
                    relay.received_in(begun.elapsed());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                return false;
            }
            Err(_) => self.give_up(relay, now),
        }
        true
    }

    /// Throws away what comes after goodbye; tells whether the peer has ended its half, or has said too much.
    pub(crate) fn discard(&mut self, buffer: &mut [u8]) -> bool {
        while self.readable && !self.broken {
            match self.wire.read(buffer) {
                Ok(received) if received.length > 0 => {
                    self.readable = !received.drained || self.ended;
                    self.discarded += received.length;
                    self.broken |= self.discarded > LINGER_BYTES;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Ok(_) | Err(_) => self.broken = true,
            }
        }
        self.broken
    }

    /// Tells whether a read may bring something, or a write take something.
    pub(crate) fn may_move(&self, relay: &mut Relay) -> bool {
        !self.broken
            && (self.readable || self.writable && (relay.waiting(self.whose) > 0 || self.wire.wants_flush()))
    }

    /// Tells whether nothing waits to be written, or nothing can be.
    pub(crate) fn is_drained(&self, relay: &mut Relay) -> bool {
        self.broken || (relay.waiting(self.whose) == 0 && !self.wire.wants_flush())
    }

    fn give_up(&mut self, relay: &mut Relay, now: Duration) {
        self.broken = true;
        relay.vanished(self.whose, now);
    }
}

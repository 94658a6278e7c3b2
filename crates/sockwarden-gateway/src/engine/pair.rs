//! A client's socket, an application's socket and the relay between them.

use std::{any::Any, time::Duration};

use sockwarden_model::Direction;
use sockwarden_net::Wire;

use super::{peer::Peer, wheel::Tick};
use crate::{farewell::LINGER, relay::Relay};

/// How often bytes are moved before others have their turn.
const ROUNDS: usize = 8;

/// What a turn has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing is to be done until something happens.
    Waits,
    /// There is more to be done, once others have had their turn.
    Again,
    /// Both sockets are done with.
    Over,
}

/// Two sockets that belong together, from the end of their handshakes to their own end.
pub(crate) struct Pair {
    /// Present until both sides have closed.
    relay: Option<Relay>,
    client: Peer,
    server: Peer,
    write_buffer: usize,
    /// When the relay's own time began, by the worker's clock.
    begun: Duration,
    /// Until when a peer that was told goodbye is listened to.
    lingers_until: Option<Duration>,
    /// How many bytes it is known to hold.
    pub(crate) counted: u64,
    /// The entry on the wheel that counts.
    pub(crate) entry: Option<Tick>,
    /// Whether it waits for another turn already.
    pub(crate) is_queued: bool,
    /// What is given back when the pair is gone: the place at the application, the permit.
    _kept: Box<dyn Any + Send>,
}

impl Pair {
    pub(crate) fn new(
        relay: Relay,
        client: Wire,
        server: Wire,
        write_buffer: usize,
        begun: Duration,
        kept: Box<dyn Any + Send>,
    ) -> Self {
        Self {
            relay: Some(relay),
            client: Peer::new(client, Direction::Client),
            server: Peer::new(server, Direction::Server),
            write_buffer,
            begun,
            lingers_until: None,
            counted: 0,
            entry: None,
            is_queued: false,
            _kept: kept,
        }
    }

    pub(crate) const fn peer(&mut self, whose: Direction) -> &mut Peer {
        match whose {
            Direction::Client => &mut self.client,
            Direction::Server => &mut self.server,
        }
    }

    /// Names whom to wake when an order arrives.
    pub(crate) fn wake_by(&mut self, waker: &std::task::Waker) {
        if let Some(relay) = &mut self.relay {
            relay.wake_by(waker);
        }
    }

    /// Tells both sides that the gateway stops.
    pub(crate) fn go_away(&mut self, now: Duration) {
        let now = now.saturating_sub(self.begun);
        if let Some(relay) = &mut self.relay {
            relay.go_away(now);
        }
    }

    /// Reports that a mistake of ours ends it.
    pub(crate) fn report_panic(&self) {
        if let Some(relay) = &self.relay {
            relay.report_panic();
        }
    }

    /// Tells how many bytes it holds.
    pub(crate) fn memory(&mut self) -> u64 {
        self.relay.as_mut().map_or(0, Relay::memory)
    }

    /// Tells when [`Pair::turn`] is wanted at the latest.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        match &self.relay {
            Some(relay) => relay.deadline().map(|deadline| self.begun.saturating_add(deadline)),
            None => self.lingers_until,
        }
    }

    /// Moves what can be moved; `timer` tells whether the time has come that [`Pair::deadline`] gave.
    pub(crate) fn turn(&mut self, now: Duration, timer: bool, buffer: &mut [u8]) -> Turn {
        let Some(relay) = &mut self.relay else { return self.linger(now, buffer) };
        let own = now.saturating_sub(self.begun);
        if let Some(order) = relay.mailbox().take() {
            relay.dismiss(&order, own);
        }
        relay.release(own);
        if timer {
            relay.tick(own);
            // A peer that does not read what it is told by now is not waited for.
            let over = relay.is_over();
            self.client.broken |= over;
            self.server.broken |= over;
        }
        for _ in 0..ROUNDS {
            let mut moved = self.client.read(relay, self.write_buffer, buffer, own);
            moved |= self.server.read(relay, self.write_buffer, buffer, own);
            moved |= self.server.write(relay, own);
            moved |= self.client.write(relay, own);
            if relay.is_over() && self.client.is_drained(relay) && self.server.is_drained(relay) {
                return self.part(now, buffer);
            }
            if !moved || !(self.client.may_move(relay) || self.server.may_move(relay)) {
                return Turn::Waits;
            }
        }
        Turn::Again
    }

    /// Says goodbye so that what was written last is read: our half first, then what the peer still sends is thrown away.
    fn part(&mut self, now: Duration, buffer: &mut [u8]) -> Turn {
        if let Some(relay) = self.relay.take() {
            relay.finish(now.saturating_sub(self.begun));
        }
        for peer in [&mut self.client, &mut self.server] {
            peer.wire.shut();
            peer.broken = false;
            peer.readable = true;
        }
        self.lingers_until = Some(now + LINGER);
        self.linger(now, buffer)
    }

    fn linger(&mut self, now: Duration, buffer: &mut [u8]) -> Turn {
        let silent = self.client.discard(buffer) & self.server.discard(buffer);
        let late = self.lingers_until.is_none_or(|until| until <= now);
        if silent || late { Turn::Over } else { Turn::Waits }
    }
}

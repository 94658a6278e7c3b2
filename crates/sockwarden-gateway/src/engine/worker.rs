//! One thread that moves the bytes of many pairs.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Registry, Token};
use slab::Slab;
use sockwarden_model::Direction;
use sockwarden_net::Wire;

use super::{
    Census, Established,
    inbox::{Bell, Inbox, Order},
    pair::{Pair, Turn},
    wheel::{Tick, Wheel},
};
use crate::admission::Admission;

/// The one read buffer of a worker: an idle connection holds none.
const BUFFER: usize = 64 * 1024;

/// How many sockets are told of at once.
const EVENTS: usize = 1024;

/// What wakes a worker from outside; sockets have their pair's number, twice, plus one for the application's.
const INBOX: Token = Token(usize::MAX);

/// What a worker holds.
pub(super) struct Worker {
    poll: Poll,
    inbox: Arc<Inbox>,
    census: Arc<Census>,
    admission: Arc<Admission>,
    pairs: Slab<Box<Pair>>,
    wheel: Wheel,
    clock: Instant,
    buffer: Box<[u8]>,
    /// Pairs that have more to do.
    again: Vec<usize>,
    going_away: bool,
}

impl Worker {
    pub(super) fn new(census: Arc<Census>, admission: Arc<Admission>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), INBOX)?;
        Ok(Self {
            poll,
            inbox: Arc::new(Inbox::new(waker)),
            census,
            admission,
            pairs: Slab::new(),
            wheel: Wheel::new(),
            clock: Instant::now(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            again: Vec::new(),
            going_away: false,
        })
    }

    pub(super) const fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// Works until it is told to end.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        let mut up = Vec::new();
        loop {
            let timeout = if self.again.is_empty() {
                let now = self.clock.elapsed();
                self.wheel.next().map(|next| next.saturating_sub(now))
            } else {
                Some(Duration::ZERO)
            };
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // The system takes the poll away: nothing can be relayed any more.
                Err(_) => return,
            }
            let now = self.clock.elapsed();
            let mut told = false;
            for event in &events {
                match event.token() {
                    INBOX => told = true,
                    Token(token) => {
                        let whose = if token % 2 == 0 { Direction::Client } else { Direction::Server };
                        let Some(pair) = self.pairs.get_mut(token / 2) else { continue };
                        pair.peer(whose).told(event);
                        self.turn(token / 2, now, false);
                    }
                }
            }
            if told {
                for order in self.inbox.take() {
                    match order {
                        Order::Adopt(established) => self.adopt(*established, now),
                        Order::Wake(pair) => self.turn(pair, now, false),
                        Order::GoAway => self.go_away(now),
                        Order::End => return,
                    }
                }
            }
            self.wheel.expire(now, &mut up);
            for (pair, tick) in up.drain(..) {
                self.come_up(pair, tick, now);
            }
            for pair in std::mem::take(&mut self.again) {
                if let Some(waiting) = self.pairs.get_mut(pair) {
                    waiting.is_queued = false;
                    self.turn(pair, now, false);
                }
            }
        }
    }

    fn adopt(&mut self, established: Established, now: Duration) {
        let Established { relay, client, server, write_buffer, begun, kept } = established;
        let sockets = Wire::new(client).and_then(|client| Ok((client, Wire::new(server)?)));
        let place = self.pairs.vacant_key();
        let registered = sockets.and_then(|(mut client, mut server)| {
            register(self.poll.registry(), &mut client, place * 2)?;
            register(self.poll.registry(), &mut server, place * 2 + 1)?;
            Ok((client, server))
        });
        let Ok((client, server)) = registered else {
            // The system has no room for it: dropping the sockets ends both sides.
            relay.finish(begun.elapsed());
            self.census.left();
            return;
        };
        let begun = now.saturating_sub(begun.elapsed());
        let mut pair = Pair::new(relay, client, server, write_buffer, begun, kept);
        pair.wake_by(&Arc::new(Bell { inbox: Arc::downgrade(&self.inbox), pair: place }).into());
        if self.going_away {
            pair.go_away(now);
        }
        self.pairs.insert(Box::new(pair));
        self.turn(place, now, false);
    }

    fn turn(&mut self, place: usize, now: Duration, timer: bool) {
        let Some(pair) = self.pairs.get_mut(place) else { return };
        let buffer = &mut self.buffer;
        // A mistake of ours ends the connection that it met, and no other.
        let turn = catch_unwind(AssertUnwindSafe(|| pair.turn(now, timer, buffer)));
        match turn {
            Ok(Turn::Over) => self.drop_pair(place),
            Ok(turn @ (Turn::Waits | Turn::Again)) => {
                let held = pair.memory();
                if held != pair.counted {
                    self.admission.memory.add(held);
                    self.admission.memory.sub(std::mem::replace(&mut pair.counted, held));
                }
                if let Some(deadline) = pair.deadline()
                    && let Some(entry) = self.wheel.enter(place, deadline, pair.entry)
                {
                    pair.entry = Some(entry);
                }
                if turn == Turn::Again && !std::mem::replace(&mut pair.is_queued, true) {
                    self.again.push(place);
                }
            }
            Err(_) => {
                pair.report_panic();
                self.drop_pair(place);
            }
        }
    }

    fn come_up(&mut self, place: usize, tick: Tick, now: Duration) {
        if let Some(pair) = self.pairs.get_mut(place).filter(|pair| pair.entry == Some(tick)) {
            pair.entry = None;
            self.turn(place, now, true);
        }
    }

    fn go_away(&mut self, now: Duration) {
        self.going_away = true;
        let places: Vec<usize> = self.pairs.iter().map(|(place, _)| place).collect();
        for place in places {
            if let Some(pair) = self.pairs.get_mut(place) {
                pair.go_away(now);
                self.turn(place, now, false);
            }
        }
    }

    fn drop_pair(&mut self, place: usize) {
        if let Some(pair) = self.pairs.try_remove(place) {
            self.admission.memory.sub(pair.counted);
            // Closing its sockets takes them out of the poll.
            drop(pair);
            self.census.left();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        for pair in self.pairs.drain() {
            self.admission.memory.sub(pair.counted);
            drop(pair);
            self.census.left();
        }
        for order in self.inbox.close() {
            if let Order::Adopt(established) = order {
                drop(established);
                self.census.left();
            }
        }
    }
}

fn register(registry: &Registry, wire: &mut Wire, token: usize) -> io::Result<()> {
    registry.register(wire, Token(token), Interest::READABLE | Interest::WRITABLE)
}

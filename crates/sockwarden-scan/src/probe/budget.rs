//! What a whole scan may cost.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{check::Halt, options::Options};

/// The budgets that all checks of a scan share.
#[derive(Debug)]
pub(crate) struct Budget {
    begun: Instant,
    time: Duration,
    bytes: u64,
    connections: u32,
    /// The longest write that the profile allows.
    pub(crate) write: usize,
    /// The most that is read on one connection.
    pub(crate) read: usize,
    interval: Duration,
    next_slot: Mutex<Instant>,
    used_bytes: AtomicU64,
    used_connections: AtomicU32,
    reached: AtomicBool,
}

impl Budget {
    pub(crate) fn new(options: &Options) -> Self {
        let begun = Instant::now();
        // A frame's header and a handshake need some room besides.
        let headroom = 64 * 1024;
        let longest = if options.is_intrusive() { options.max_size } else { 64 * 1024 };
        Self {
            begun,
            time: options.time_budget,
            bytes: options.byte_budget,
            connections: options.connection_budget,
            write: longest.saturating_add(headroom),
            read: longest.saturating_mul(2).saturating_add(1024 * 1024),
            interval: Duration::from_secs(1) / options.rate.get(),
            next_slot: Mutex::new(begun),
            used_bytes: AtomicU64::new(0),
            used_connections: AtomicU32::new(0),
            reached: AtomicBool::new(false),
        }
    }

    /// Gives when the scan must have ended.
    pub(crate) fn deadline(&self) -> Instant {
        self.begun + self.time
    }

    pub(crate) const fn time_is_up(&self) -> Halt {
        Halt::Time(self.time)
    }

    /// Waits for the turn to open a connection.
    pub(crate) async fn connection(&self) -> Result<(), Halt> {
        let slot = {
            let mut next = self.next_slot.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = (*next).max(Instant::now());
            *next = slot + self.interval;
            slot
        };
        if slot >= self.deadline() {
            return Err(self.time_is_up());
        }
        if self.used_connections.fetch_add(1, Ordering::Relaxed) >= self.connections {
            self.used_connections.fetch_sub(1, Ordering::Relaxed);
            return Err(Halt::Connections(self.connections));
        }
        tokio::time::sleep_until(slot).await;
        Ok(())
    }

    /// Takes bytes, in or out.
    pub(crate) fn bytes(&self, count: usize) -> Result<(), Halt> {
        let before = self.used_bytes.fetch_add(count as u64, Ordering::Relaxed);
        if before.saturating_add(count as u64) > self.bytes { Err(Halt::Bytes(self.bytes)) } else { Ok(()) }
    }

    /// Notes that the target was reached.
    pub(crate) fn reached(&self) {
        self.reached.store(true, Ordering::Relaxed);
    }

    /// Tells whether the target was ever reached.
    pub(crate) fn was_reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    /// Gives connections, bytes and time used so far.
    pub(crate) fn used(&self) -> (u32, u64, Duration) {
        let connections = self.used_connections.load(Ordering::Relaxed);
        (connections, self.used_bytes.load(Ordering::Relaxed), self.begun.elapsed())
    }
}

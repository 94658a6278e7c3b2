//! Who waits to ask for leases.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Ask, Lending, Purse};

/// The purses of one limiter that are to be filled, by when that may be asked for.
pub(crate) struct Desk {
    pub(crate) lending: Lending,
    /// Whether the server can be asked, as far as is known.
    is_open: AtomicBool,
    queue: Mutex<Queue>,
    /// Says that something is to be asked sooner than was told.
    bell: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Queue {
    purses: BTreeMap<(u64, u64), Arc<Purse>>,
    /// Tells those of one moment apart.
    number: u64,
}

impl Desk {
    pub(crate) fn new(lending: Lending, bell: impl Fn() + Send + Sync + 'static) -> Self {
        Self { lending, is_open: AtomicBool::new(true), queue: Mutex::default(), bell: Box::new(bell) }
    }

    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    pub(crate) fn open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Relaxed);
        if is_open {
            (self.bell)();
        }
    }

    /// Has a purse filled, not before a moment.
    pub(crate) fn push(&self, purse: Arc<Purse>, at: u64) {
        let is_first = {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            let is_first = queue.purses.first_key_value().is_none_or(|((first, _), _)| at < *first);
            queue.number += 1;
            let key = (at, queue.number);
            queue.purses.insert(key, purse);
            is_first
        };
        if is_first {
            (self.bell)();
        }
    }

    /// Takes what is to be asked for now, up to a number.
    pub(crate) fn take(&self, now: u64, most: usize) -> Vec<Ask> {
        if !self.is_open() {
            return Vec::new();
        }
        let mut asks = Vec::new();
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        while asks.len() < most
            && let Some(first) = queue.purses.first_entry()
            && first.key().0 <= now
        {
            asks.push(first.remove().ask(now));
        }
        asks
    }

    /// Forgets all of them, which hold on to it otherwise.
    pub(crate) fn clear(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).purses.clear();
    }

    /// Tells when the next one is to be asked for.
    pub(crate) fn next(&self) -> Option<u64> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.purses.first_key_value().filter(|_| self.is_open()).map(|((at, _), _)| *at)
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("lending", &self.lending).finish_non_exhaustive()
    }
}

//! What a worker is told from outside.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Established;

/// An order to a worker.
pub(crate) enum Order {
    /// Take over a connection.
    Adopt(Box<Established>),
    /// A pair's mailbox holds something.
    Wake(usize),
    /// Tell all pairs, and all that are still to come, that the gateway stops.
    GoAway,
    /// End at once; what is still there is cut off.
    End,
}

/// Orders that wait, and the way to wake the worker.
pub(crate) struct Inbox {
    /// Absent once the worker has ended.
    orders: Mutex<Option<Vec<Order>>>,
    waker: mio::Waker,
}

impl Inbox {
    pub(crate) const fn new(waker: mio::Waker) -> Self {
        Self { orders: Mutex::new(Some(Vec::new())), waker }
    }

    /// Hands an order over, or drops it where the worker has ended; tells which.
    pub(crate) fn send(&self, order: Order) -> bool {
        let mut orders = self.orders();
        let Some(waiting) = orders.as_mut() else { return false };
        waiting.push(order);
        let first = waiting.len() == 1;
        drop(orders);
        if first {
            // It cannot fail while the worker's poll lives; without a worker nobody waits for it.
            let _ = self.waker.wake();
        }
        true
    }

    /// Takes what waits.
    pub(crate) fn take(&self) -> Vec<Order> {
        self.orders().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes what waits, and no order any more.
    pub(crate) fn close(&self) -> Vec<Order> {
        self.orders().take().unwrap_or_default()
    }

    fn orders(&self) -> MutexGuard<'_, Option<Vec<Order>>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes one pair of a worker.
pub(crate) struct Bell {
    pub(crate) inbox: Weak<Inbox>,
    pub(crate) pair: usize,
}

impl std::task::Wake for Bell {
    fn wake(self: Arc<Self>) {
        if let Some(inbox) = self.inbox.upgrade() {
            inbox.send(Order::Wake(self.pair));
        }
    }
}

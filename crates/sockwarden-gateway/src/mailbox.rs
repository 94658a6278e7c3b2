//! How a connection that waits for its sockets learns that it shall end.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
};

use sockwarden_model::Initiator;
use sockwarden_proto::CloseCode;

/// An order to close both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dismissal {
    pub(crate) code: CloseCode,
    pub(crate) reason: String,
    pub(crate) initiator: Initiator,
}

/// Holds at most one order; the first one counts.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    /// Spares the connection the lock: it looks here at every turn.
    posted: AtomicBool,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    order: Option<Box<Dismissal>>,
    waker: Option<Waker>,
}

impl Mailbox {
    /// Leaves an order and wakes the connection.
    pub(crate) fn post(&self, order: Dismissal) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.order.is_some() {
            return;
        }
        inside.order = Some(Box::new(order));
        self.posted.store(true, Ordering::Release);
        let waker = inside.waker.take();
        drop(inside);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Names whom to wake; an order that is there already is found by [`Mailbox::take`].
    pub(crate) fn wake_me(&self, waker: &Waker) {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner).waker = Some(waker.clone());
    }

    /// Takes the order, if there is one.
    pub(crate) fn take(&self) -> Option<Dismissal> {
        if !self.posted.load(Ordering::Acquire) {
            return None;
        }
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        self.posted.store(false, Ordering::Relaxed);
        inside.order.take().map(|order| *order)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, atomic::AtomicUsize},
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_first_order_counts_and_wakes_once() {
        let order =
            |code| Dismissal { code: CloseCode(code), reason: String::new(), initiator: Initiator::Operator };
        let (mailbox, woken) = (Mailbox::default(), Arc::new(Woken::default()));
        assert_eq!(mailbox.take(), None);
        mailbox.wake_me(&Waker::from(Arc::clone(&woken)));
        mailbox.post(order(4001));
        mailbox.post(order(4002));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(mailbox.take(), Some(order(4001)));
        assert_eq!(mailbox.take(), None);
    }
}

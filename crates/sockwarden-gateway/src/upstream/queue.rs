//! Who waits for a connection to an application that has as many as it may: first come, first served.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use tokio::sync::Notify;

/// Those who wait.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: AtomicU32,
    freed: Notify,
}

/// A place in the queue, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Waiting(Arc<Queue>);

impl Queue {
    /// Takes a place in it; `None` where `most` wait already.
    pub(crate) fn join(self: &Arc<Self>, most: u32) -> Option<Waiting> {
        // Counted first: of two that come at once the last place goes to one.
        let waiting = Waiting(Arc::clone(self));
        (self.waiting.fetch_add(1, Ordering::AcqRel) < most).then_some(waiting)
    }

    /// Tells whether nobody waits: who comes now need not stand behind somebody.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    /// Takes note that a connection has become free; the first who waits is woken, or whoever waits next.
    pub(crate) fn free(&self) {
        self.freed.notify_one();
    }

    /// Takes note that there may be more room than before.
    pub(crate) fn grow(&self) {
        self.freed.notify_waiters();
    }
}

impl Waiting {
    /// Waits until it is this one's turn to look.
    pub(crate) async fn turn(&self) {
        self.0.freed.notified().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn so_many_may_wait_and_no_more() {
        let queue = Arc::new(Queue::default());
        let two = [queue.join(2).unwrap(), queue.join(2).unwrap()];
        assert!(queue.join(2).is_none() && queue.join(0).is_none());
        drop(two);
        assert!(queue.is_empty() && queue.join(2).is_some());
    }

    #[tokio::test]
    async fn who_came_first_has_its_turn_first_and_what_is_freed_is_not_lost() {
        let queue = Arc::new(Queue::default());
        let (order, mut turns) = tokio::sync::mpsc::unbounded_channel();
        for number in 0..3 {
            let (waiting, order) = (queue.join(3).unwrap(), order.clone());
            tokio::spawn(async move {
                waiting.turn().await;
                order.send(number).unwrap();
            });
            tokio::task::yield_now().await;
        }
        for expected in 0..3 {
            queue.free();
            assert_eq!(turns.recv().await, Some(expected));
        }
        queue.free();
        let late = queue.join(3).unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(1), late.turn()).await.is_ok());
    }
}

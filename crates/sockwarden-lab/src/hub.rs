//! Who is listening in which room at this moment.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// How many messages wait for one socket; one that reads too slowly misses those beyond.
pub(crate) const QUEUE: usize = 64;

/// The number of a socket, never given twice.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct SocketId(u64);

type Listeners = HashMap<SocketId, mpsc::Sender<Utf8Bytes>>;

/// The sockets that joined each room.
///
/// Only rooms of the database are ever joined, so that rooms times sockets bounds the table.
#[derive(Default)]
pub(crate) struct Hub {
    rooms: Mutex<HashMap<String, Listeners>>,
    next: AtomicU64,
    missed: AtomicU64,
}

impl Hub {
    pub(crate) fn new_socket(&self) -> SocketId {
        SocketId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Adds a socket to a room; returns how many are in it now.
    pub(crate) fn join(&self, room: &str, socket: SocketId, queue: mpsc::Sender<Utf8Bytes>) -> usize {
        let mut rooms = self.lock();
        let listeners = rooms.entry(room.to_owned()).or_default();
        listeners.insert(socket, queue);
        listeners.len()
    }

    /// Takes a socket out of every room.
    pub(crate) fn leave(&self, socket: SocketId) {
        self.lock().retain(|_, listeners| {
            listeners.remove(&socket);
            !listeners.is_empty()
        });
    }

    /// Queues a message for everybody in a room; who has no place left in the queue misses it.
    pub(crate) fn broadcast(&self, room: &str, message: &Utf8Bytes) {
        if let Some(listeners) = self.lock().get(room) {
            for queue in listeners.values() {
                if queue.try_send(message.clone()).is_err() {
                    self.missed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Counts the messages that somebody missed because they read too slowly.
    pub(crate) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Listeners>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reaches_only_who_joined_the_room() {
        let hub = Hub::default();
        let (here, mut heard) = mpsc::channel(QUEUE);
        let (there, mut not_heard) = mpsc::channel(QUEUE);
        assert_eq!(hub.join("office", hub.new_socket(), here), 1);
        hub.join("customs", hub.new_socket(), there);
        hub.broadcast("office", &"hello".into());
        assert_eq!(heard.try_recv().unwrap().as_str(), "hello");
        assert!(not_heard.try_recv().is_err());
    }

    #[test]
    fn a_slow_reader_misses_what_does_not_fit_and_it_is_counted() {
        let hub = Hub::default();
        let (queue, mut heard) = mpsc::channel(QUEUE);
        hub.join("office", hub.new_socket(), queue);
        for _ in 0..QUEUE + 3 {
            hub.broadcast("office", &"tide".into());
        }
        assert_eq!(hub.missed(), 3);
        assert_eq!(std::iter::from_fn(|| heard.try_recv().ok()).count(), QUEUE);
    }

    #[test]
    fn who_left_is_in_no_room_and_an_empty_room_costs_nothing() {
        let hub = Hub::default();
        let socket = hub.new_socket();
        let (queue, mut heard) = mpsc::channel(QUEUE);
        hub.join("office", socket, queue.clone());
        hub.join("berths", socket, queue);
        hub.leave(socket);
        hub.broadcast("office", &"hello".into());
        assert!(heard.try_recv().is_err());
        assert!(hub.lock().is_empty());
    }
}

//! What relays established connections: one thread per core, each with its own poll, and no runtime in between.
//!
//! Handshakes wait for many things and stay with the runtime. Once both are done, a connection's two sockets move to one
//! worker for good: every read, verdict and write of it happens there, so that no message crosses threads.

mod inbox;
mod pair;
mod peer;
mod wheel;
mod worker;

use std::{
    any::Any,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use sockwarden_net::Stream;
use tokio::sync::Notify;

use crate::{admission::Admission, relay::Relay};
use inbox::{Inbox, Order};
use worker::Worker;

/// A connection whose handshakes are done.
pub(crate) struct Established {
    pub(crate) relay: Relay,
    pub(crate) client: Stream,
    pub(crate) server: Stream,
    /// How many bytes may wait for a peer before nothing more is read for it.
    pub(crate) write_buffer: usize,
    /// When the relay's time began.
    pub(crate) begun: Instant,
    /// What is given back once both sockets are closed.
    pub(crate) kept: Box<dyn Any + Send>,
}

/// The workers of a gateway.
pub(crate) struct Engine {
    workers: Vec<Handle>,
}

struct Handle {
    inbox: Arc<Inbox>,
    census: Arc<Census>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How many connections a worker has.
#[derive(Debug, Default)]
struct Census {
    pairs: AtomicUsize,
    emptied: Notify,
}

impl Census {
    fn left(&self) {
        if self.pairs.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.emptied.notify_waiters();
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("workers", &self.workers.len()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts the workers, which count in `admission` what their connections hold.
    ///
    /// # Errors
    /// The system gives no thread, or nothing to poll with.
    pub(crate) fn start(workers: usize, admission: &Arc<Admission>) -> io::Result<Self> {
        let mut engine = Self { workers: Vec::new() };
        for number in 0..workers.max(1) {
            let census = Arc::<Census>::default();
            let worker = Worker::new(Arc::clone(&census), Arc::clone(admission))?;
            let inbox = Arc::clone(worker.inbox());
            let thread =
                std::thread::Builder::new().name(format!("relay-{number}")).spawn(move || worker.run())?;
            engine.workers.push(Handle { inbox, census, thread: Mutex::new(Some(thread)) });
        }
        Ok(engine)
    }

    /// Hands a connection to the worker that has the fewest.
    pub(crate) fn adopt(&self, established: Established) {
        let fewest = self.workers.iter().min_by_key(|worker| worker.census.pairs.load(Ordering::Relaxed));
        if let Some(worker) = fewest {
            worker.census.pairs.fetch_add(1, Ordering::AcqRel);
            if !worker.inbox.send(Order::Adopt(Box::new(established))) {
                worker.census.left();
            }
        }
    }

    /// Tells all connections, and all that are still to come, that the gateway stops.
    pub(crate) fn go_away(&self) {
        for worker in &self.workers {
            worker.inbox.send(Order::GoAway);
        }
    }

    /// Waits until there is no connection.
    pub(crate) async fn emptied(&self) {
        for Handle { census, .. } in &self.workers {
            loop {
                let emptied = census.emptied.notified();
                if census.pairs.load(Ordering::Acquire) == 0 {
                    break;
                }
                emptied.await;
            }
        }
    }

    /// Ends the workers at once; what is still there is cut off, and what comes later too.
    pub(crate) fn end(&self) {
        for worker in &self.workers {
            worker.inbox.send(Order::End);
        }
        for worker in &self.workers {
            let thread = worker.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(thread) = thread {
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end();
    }
}

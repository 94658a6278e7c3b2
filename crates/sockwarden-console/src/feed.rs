//! Events for whoever watches: a slow watcher loses some and is told how many, and nobody waits for a watcher.

use std::sync::Arc;

use sockwarden_model::Event;
use tokio::sync::broadcast;

/// The most events that wait for a slow watcher.
const WAITING: usize = 1024;

/// Where whoever writes events publishes them for watchers too.
#[derive(Clone, Debug)]
pub struct Feed(broadcast::Sender<Line>);

/// One event as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its kind, as in the log.
    pub(crate) kind: &'static str,
    /// The event in JSON, the same as in the log.
    pub(crate) json: Arc<str>,
}

impl Feed {
    /// Makes a feed without watchers.
    pub fn new() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }

    /// Publishes an event; without watchers it costs next to nothing.
    pub fn publish(&self, event: &Event) {
        if self.0.receiver_count() == 0 {
            return;
        }
        let kind = match event {
            Event::Open(_) => "open",
            Event::Close(_) => "close",
            Event::Request(_) => "request",
            Event::Verdict(_) => "verdict",
            Event::Notice(_) => "notice",
            Event::Audit(_) => "audit",
        };
        if let Ok(json) = serde_json::to_string(event) {
            // The last watcher may have left meanwhile.
            let _ = self.0.send(Line { kind, json: json.into() });
        }
    }

    pub(crate) fn watch(&self) -> broadcast::Receiver<Line> {
        self.0.subscribe()
    }
}

impl Default for Feed {
    fn default() -> Self {
        Self::new()
    }
}

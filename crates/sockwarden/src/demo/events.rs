//! What the gateways reported, to look up who stopped what.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use sockwarden_model::{Event, EventId, EventReceiver, VerdictEvent};

/// The verdicts that were reported so far.
#[derive(Debug)]
pub(crate) struct EventLog(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    receiver: EventReceiver,
    verdicts: HashMap<EventId, VerdictEvent>,
}

impl EventLog {
    pub(crate) fn new(receiver: EventReceiver) -> Self {
        Self(Mutex::new(Inner { receiver, verdicts: HashMap::new() }))
    }

    /// Finds a verdict by the id that the peer was told; a gateway reports before it tells.
    pub(crate) fn verdict(&self, id: EventId) -> Option<VerdictEvent> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { receiver, verdicts } = &mut *inner;
        for event in receiver.try_iter() {
            match event {
                Event::Verdict(verdict) => {
                    verdicts.insert(verdict.id, verdict);
                }
                Event::Open(_) | Event::Close(_) | Event::Notice(_) | Event::Request(_) | Event::Audit(_) => {
                }
            }
        }
        verdicts.get(&id).cloned()
    }
}

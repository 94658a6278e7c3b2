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
        self.with_verdicts(|verdicts| verdicts.get(&id).cloned())
    }

    /// Finds the latest verdict of a rule: who is made to wait is told no id.
    pub(crate) fn latest_of(&self, rule: &str) -> Option<EventId> {
        self.with_verdicts(|verdicts| {
            let of_rule = verdicts.values().filter(|verdict| verdict.rule == rule);
            of_rule.max_by_key(|verdict| verdict.at_ms).map(|verdict| verdict.id)
        })
    }

    fn with_verdicts<T>(&self, look: impl FnOnce(&HashMap<EventId, VerdictEvent>) -> T) -> T {
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
        look(verdicts)
    }
}

//! Orders by the admin listener, on their way to the loop that runs the gateway.

use sockwarden_model::{
    Action, Answer, AuditEvent, Draining, Event, EventSender, Operations, OrderError, Reloaded, Requester,
};
use tokio::sync::mpsc;

use crate::clock::unix_ms;

/// The most orders that wait.
const WAITING: usize = 8;

/// One order with where its answer goes.
pub(crate) enum Order {
    /// Read the configuration again.
    Reload(Answer<Result<Reloaded, OrderError>>),
    /// End in order.
    Drain(Answer<Result<Draining, OrderError>>),
}

/// Where orders are given.
pub(crate) struct Orders {
    queue: mpsc::Sender<Order>,
    events: EventSender,
}

impl Orders {
    /// Makes the queue; `events` takes who ordered what.
    pub(crate) fn new(events: EventSender) -> (Self, mpsc::Receiver<Order>) {
        let (queue, orders) = mpsc::channel(WAITING);
        (Self { queue, events }, orders)
    }

    /// Queues an order and reports it; gives the order back where that cannot be.
    fn give(&self, by: &Requester, action: Action, order: Order) -> Result<(), Order> {
        let Ok(place) = self.queue.try_reserve() else { return Err(order) };
        self.events.send(Event::Audit(AuditEvent { at_ms: unix_ms(), by: by.clone(), action }));
        place.send(order);
        Ok(())
    }
}

impl Operations for Orders {
    fn reload(&self, by: &Requester, answer: Answer<Result<Reloaded, OrderError>>) {
        if let Err(order) = self.give(by, Action::Reload, Order::Reload(answer)) {
            order.refuse(OrderError::Busy);
        }
    }

    fn drain(&self, by: &Requester, answer: Answer<Result<Draining, OrderError>>) {
        if let Err(order) = self.give(by, Action::Drain, Order::Drain(answer)) {
            order.refuse(OrderError::Busy);
        }
    }
}

impl Order {
    /// Answers that it is not carried out.
    pub(crate) fn refuse(self, error: OrderError) {
        match self {
            Self::Reload(answer) => answer(Err(error)),
            Self::Drain(answer) => answer(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use sockwarden_model::{Role, event_channel};

    use super::*;

    #[test]
    fn an_order_that_finds_no_place_is_answered_and_not_reported_as_given() {
        let (sender, events) = event_channel(100);
        let (orders, mut queue) = Orders::new(sender);
        let by = Requester { role: Role::Operator, from: None, name: None };
        let refused = Arc::new(Mutex::new(Vec::new()));
        for _ in 0..WAITING + 2 {
            let refused = Arc::clone(&refused);
            orders.drain(&by, Box::new(move |answer| refused.lock().unwrap().push(answer)));
        }
        assert_eq!(*refused.lock().unwrap(), [Err(OrderError::Busy), Err(OrderError::Busy)]);
        drop(orders);
        assert_eq!(std::iter::from_fn(|| queue.try_recv().ok()).count(), WAITING);
        assert_eq!(events.iter().count(), WAITING);
    }
}

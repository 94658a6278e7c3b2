//! What rates mean for those who come: who is shut out, and requests that wait for their turn.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use sockwarden_defend::{Decided, Refusal, Verdict, defences};
use sockwarden_model::{Direction, Identity, Mode};
use sockwarden_rate::Cost;

use super::RateSwitch;
use crate::{
    answer::Answer,
    build::Route,
    connection::Client,
    relay::{Gate, Relay},
};

/// Tells whether the rates of a route have consequences now.
fn is_held_to(route: &Route) -> bool {
    RateSwitch::find(&route.defences).is_some_and(|switch| switch.mode() == Mode::Block)
}

/// Meters a connection whose relay's time began at `begun`.
pub(crate) fn meter(relay: &mut Relay, route: &Route, identity: &Identity, client: IpAddr, begun: Instant) {
    let Some(switch) = RateSwitch::find(&route.defences) else { return };
    let connection = relay.entry().id().number();
    for from in [Direction::Client, Direction::Server] {
        if let Some(lane) = route.rates.lane(from, identity, client, connection) {
            relay.meter(from, Gate::new(lane, &route.rates, switch.clone(), begun));
        }
    }
}

impl Client {
    /// Refuses who is shut out because of how much it has sent.
    pub(crate) fn judge_conduct(&self, route: &Route, identity: &Identity) -> Result<(), Answer> {
        let left = if is_held_to(route) { route.rates.shut_out(identity, self.peer.ip()) } else { None };
        left.map_or(Ok(()), |left| Err(self.too_many("the user is shut out".to_owned(), left)))
    }

    /// Refuses with 429, and tells when to come back.
    fn too_many(&self, reason: String, after: Duration) -> Answer {
        let refusal = Refusal { status: 429, reason, told: "too many messages" };
        let verdict = Verdict::Refuse(refusal);
        let decided = Decided { rule: &defences::RATE_LIMIT, mode: Mode::Block, verdict, tells: false };
        self.refused_by(&decided).with(&format!("Retry-After: {}", after.as_secs() + 1))
    }

    /// Waits for the turn of a request that brings so many messages, each at such a cost.
    pub(crate) async fn take_turn(
        &self,
        route: &Route,
        identity: &Identity,
        (messages, cost): (u32, Cost),
    ) -> Result<(), Answer> {
        if messages == 0 || !is_held_to(route) {
            return Ok(());
        }
        let connection = self.journal.connection().number();
        let lane = route.rates.lane(Direction::Client, identity, self.peer.ip(), connection);
        let Some(mut lane) = lane else { return Ok(()) };
        route.rates.admit(&mut lane, messages, cost).await.map_err(|after| {
            let reason = format!(
                "{messages} messages of a request have waited longer than `rate_limit.queue_timeout`"
            );
            self.too_many(reason, after)
        })
    }
}

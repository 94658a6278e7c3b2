//! The gateway's side of the control port.

use std::sync::atomic::Ordering;

use sockwarden_model::{
    AccessError, Action, Answer, CloseOrder, Control, ControlError, Counters, EventId, Identity, Initiator,
    ModeChange, ModeScope, Readiness, Requester, RevokeOrder, RouteCounters, RouteState, Session,
    SessionPage, SessionQuery, StateCounters, TicketGrant, TicketOrder, printable,
};
use sockwarden_proto::CloseCode;

use crate::{access::understand, build::Route, connection::Shared, mailbox::Dismissal, modes::audit};

impl Control for Shared {
    fn sessions(&self, query: &SessionQuery) -> SessionPage {
        let total = self.built.load().routes.iter().map(|route| route.tally.active()).sum();
        SessionPage { total, ..self.registry.page(query) }
    }

    fn session(&self, id: EventId) -> Option<Session> {
        self.registry.find(id).map(|entry| entry.session())
    }

    fn close(&self, id: EventId, order: &CloseOrder, by: &Requester) -> Result<(), ControlError> {
        let code = CloseCode(order.code);
        if !code.may_be_sent() {
            return Err(ControlError::CloseCode(order.code));
        }
        if order.reason.len() > CloseOrder::REASON || order.reason.chars().any(char::is_control) {
            return Err(ControlError::CloseReason);
        }
        let entry = self.registry.find(id).ok_or(ControlError::NoSession(id))?;
        let reason = printable(order.reason.as_bytes(), CloseOrder::REASON);
        audit(&self.events, by, Action::CloseSession { connection: id, code: order.code, reason });
        let reason = order.reason.clone();
        entry.mailbox.post(Dismissal { code, reason, initiator: Initiator::Operator });
        Ok(())
    }

    fn routes(&self) -> Vec<RouteState> {
        let built = self.built.load();
        let routes = built.routes.iter().map(|route| RouteState {
            name: route.name.to_string(),
            host: route.config().host.clone(),
            path: route.path.clone(),
            path_match: route.config().path_match.label().to_owned(),
            subprotocol: route.config().subprotocol.clone(),
            compression: route.compression.label().to_owned(),
            // Its path and query may hold what only the application is to know.
            upstream: format!("{}://{}", route.upstreams.url().scheme(), route.upstreams.url().authority()),
            addresses: route.upstreams.states(),
            active: route.tally.active(),
            defences: self.modes.states(route),
        });
        routes.collect()
    }

    fn set_mode(&self, change: &ModeChange, by: &Requester) -> Result<usize, ControlError> {
        self.modes.set(&self.built.load().routes, change, by, &self.events)
    }

    fn restore_modes(&self, scope: &ModeScope, by: &Requester) -> Result<usize, ControlError> {
        self.modes.restore(&self.built.load().routes, scope, by, &self.events)
    }

    fn issue_ticket(
        &self,
        order: TicketOrder,
        by: &Requester,
        answer: Answer<Result<TicketGrant, AccessError>>,
    ) {
        let user =
            order.identity.user.as_deref().map(|user| printable(user.as_bytes(), Identity::LONGEST_USER));
        let action = Action::IssueTicket { route: printable(order.route.as_bytes(), 100), user };
        let (by, shared) = (by.clone(), self.myself.clone());
        self.runtime.spawn(async move {
            let Some(shared) = shared.upgrade() else { return };
            let granted = shared.grant(order).await;
            if granted.is_ok() {
                audit(&shared.events, &by, action);
            }
            answer(granted);
        });
    }

    fn revoke(&self, order: &RevokeOrder, by: &Requester, answer: Answer<Result<(), AccessError>>) {
        let revocation = match understand(order) {
            Ok(revocation) => revocation,
            Err(error) => return answer(Err(error)),
        };
        let what = printable(order.what.to_string().as_bytes(), 300);
        audit(&self.events, by, Action::Revoke { what, seconds: order.seconds });
        let shared = self.myself.clone();
        self.runtime.spawn(async move {
            let Some(shared) = shared.upgrade() else { return };
            answer(shared.put_in_force(revocation).await);
        });
    }

    fn signing_keys(&self) -> serde_json::Value {
        let built = self.built.load();
        let signers = built.routes.iter().filter_map(|route| route.signer.as_ref());
        let sets = signers.map(|signer| signer.jwks());
        let keys: Vec<_> =
            sets.flat_map(|mut set| set["keys"].as_array_mut().map(std::mem::take)).flatten().collect();
        serde_json::json!({ "keys": keys })
    }

    fn counters(&self) -> Counters {
        Counters {
            routes: self.built.load().routes.iter().map(|route| counters(route)).collect(),
            refused_without_route: self.tally.refused_without_route(),
            closes: self.tally.closes(),
            inspection: self.tally.inspection(),
            limits_without_route: self.tally.limits_without_route(),
            panics: self.tally.panics(),
            events_dropped: self.events.dropped(),
            state: self.state_counters(),
        }
    }

    fn readiness(&self) -> Readiness {
        if self.draining.load(Ordering::Relaxed) { Readiness::Draining } else { Readiness::Ready }
    }
}

impl Shared {
    fn state_counters(&self) -> StateCounters {
        let health = self.state.health();
        let tickets = self.state.ticket_counts();
        let rates = self.state.rate_counts();
        StateCounters {
            kind: health.kind,
            up: health.up,
            errors: health.errors,
            issued: tickets.issued,
            taken: tickets.taken,
            burned: tickets.burned,
            expired: tickets.expired,
            outstanding: tickets.outstanding,
            revocations: self.state.revocations() as u64,
            leases: rates.answered,
            leases_unanswered: rates.unanswered,
            rates_alone: rates.alone as u64,
        }
    }
}

fn counters(route: &Route) -> RouteCounters {
    let (rates, upstream) = (route.rates.counters(), route.upstreams.counters());
    RouteCounters { rates, upstream, ..route.tally.counters(&route.name) }
}

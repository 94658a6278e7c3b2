//! What one connection reports: its events, each with an id that the peer is told.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use sockwarden_defend::{Closure, Decided, Refusal, Verdict, defences};
use sockwarden_inspect::{Chosen, Protocol};
use sockwarden_model::{
    Beyond, CloseEvent, Decision, Direction, Event, EventId, EventSender, Identity, Initiator, Limit, Mode,
    Notice, NoticeEvent, OpenEvent, RequestEvent, Rule, Severity, Traffic, Uninspected, VerdictEvent,
    printable,
};
use sockwarden_net::random_u64;
use sockwarden_state::TicketHash;

use crate::{
    build::Route,
    connection::Shared,
    counters::{RouteTally, Tally},
    panics,
    registry::{About, Registry, Seat},
};

/// The longest text of a peer that is remembered of a session, in characters.
const REMEMBERED: usize = 200;

/// The events of one connection, counted as they are reported.
#[derive(Debug)]
pub(crate) struct Journal {
    events: EventSender,
    connection: EventId,
    client: SocketAddr,
    tally: Arc<Tally>,
    registry: Arc<Registry>,
    route: Option<(Arc<str>, Arc<RouteTally>)>,
    extensions: Option<String>,
    /// What was said once of this connection, a bit each.
    said: AtomicU16,
}

impl Journal {
    pub(crate) fn new(shared: &Shared, client: SocketAddr) -> Self {
        Self {
            events: shared.events.clone(),
            connection: EventId::from_random(random_u64()),
            client,
            tally: Arc::clone(&shared.tally),
            registry: Arc::clone(&shared.registry),
            route: None,
            extensions: None,
            said: AtomicU16::new(0),
        }
    }

    /// Makes the journal of a connection that there is not.
    #[cfg(test)]
    pub(crate) fn of_nobody(events: EventSender) -> Self {
        Self {
            events,
            connection: EventId::from_random(1),
            client: SocketAddr::from(([127, 0, 0, 1], 1)),
            tally: Arc::default(),
            registry: Arc::default(),
            route: None,
            extensions: None,
            said: AtomicU16::new(0),
        }
    }

    pub(crate) const fn connection(&self) -> EventId {
        self.connection
    }

    pub(crate) fn set_client(&mut self, client: SocketAddr) {
        self.client = client;
    }

    pub(crate) fn set_route(&mut self, route: &Route) {
        self.route = Some((Arc::clone(&route.name), Arc::clone(&route.tally)));
    }

    /// Forgets the route of the request before.
    pub(crate) fn forget_route(&mut self) {
        self.route = None;
    }

    /// Reports that an ordinary request was answered.
    pub(crate) fn request(&self, event: RequestEvent) {
        self.events.send(Event::Request(event));
    }

    /// Notes what was agreed with the client.
    pub(crate) fn set_extensions(&mut self, agreed: Option<String>) {
        self.extensions = agreed;
    }

    /// Reports that the session is established on `route` and enters it among those that are.
    pub(crate) fn open(
        &self,
        route: &Route,
        identity: &Arc<Identity>,
        ticket: Option<TicketHash>,
        origin: Option<String>,
        subprotocol: Option<String>,
        tls: bool,
    ) -> Seat {
        let kept = |text: &Option<String>| {
            text.as_ref().map(|text| printable(text.as_bytes(), REMEMBERED).into_boxed_str())
        };
        let at_ms = unix_ms();
        let about = About {
            route: Arc::clone(&route.name),
            client: self.client,
            identity: Arc::clone(identity),
            ticket: ticket.map(Box::new),
            origin: origin.as_deref().map(Into::into),
            subprotocol: kept(&subprotocol),
            tls,
            opened_at_ms: at_ms,
        };
        let seat = self.registry.seat(self.connection, about, &route.tally);
        self.events.send(Event::Open(OpenEvent {
            at_ms,
            connection: self.connection,
            route: self.route_name(),
            client: self.client.to_string(),
            user: identity.user.clone(),
            origin,
            subprotocol,
            extensions: self.extensions.clone(),
            compression: route.compression.name().to_owned(),
            tls,
        }));
        seat
    }

    /// Reports, once for each reason and side, that something went by without every inspection.
    pub(crate) fn overlooked(&self, from: Direction, why: Uninspected) {
        let reason = || format!("not wholly looked at: {}", why.label());
        self.say_once(from as usize * Uninspected::ALL.len() + why.index(), Some(from), reason);
    }

    /// Reports, once, that a session of long polling was forgotten since there are too many.
    pub(crate) fn forgot_session(&self) {
        let reason = || "too many sessions of long polling: the most silent one was forgotten".to_owned();
        self.say_once(2 * Uninspected::ALL.len(), None, reason);
    }

    fn say_once(&self, bit: usize, from: Option<Direction>, reason: impl FnOnce() -> String) {
        let bit = 1 << bit;
        if self.said.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            self.send("gateway", Severity::Info, Mode::Observe, Decision::Note, from, reason(), None);
        }
    }

    /// Reports a fault of ours.
    pub(crate) fn panicked(&self) {
        panics::report(&self.tally, &self.events, self.connection);
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    fn route_name(&self) -> String {
        self.route.as_ref().map(|(name, _)| name.to_string()).unwrap_or_default()
    }

    pub(crate) fn close(
        &self,
        code: u16,
        initiator: Initiator,
        duration_ms: u64,
        [from_client, from_server]: [Traffic; 2],
        protocol: Option<(Protocol, Chosen)>,
    ) {
        self.tally.closed(code, initiator);
        self.events.send(Event::Close(CloseEvent {
            at_ms: unix_ms(),
            connection: self.connection,
            route: self.route_name(),
            code,
            initiator,
            duration_ms,
            from_client,
            from_server,
            protocol: protocol.map(|(protocol, _)| protocol.name().to_owned()),
            protocol_by: protocol.map(|(_, chosen)| chosen.name().to_owned()),
        }));
    }

    /// Reports a refusal, a close or a drop and gives the id to tell the peer.
    pub(crate) fn decided(&self, decided: &Decided, direction: Option<Direction>) -> EventId {
        let (decision, reason, limit) = match &decided.verdict {
            Verdict::Refuse(Refusal { status, reason, .. }) => {
                (Decision::Refuse(*status), reason.clone(), None)
            }
            Verdict::Close(Closure { code, reason, limit, .. }) => {
                (Decision::Close(code.0), reason.clone(), *limit)
            }
            Verdict::Drop { reason } => (Decision::Drop, reason.clone(), None),
            Verdict::Pass | Verdict::Count(_) | Verdict::Identified(_) | Verdict::Ask(_) => {
                (Decision::Note, String::new(), None)
            }
        };
        let rule = decided.rule;
        self.send(rule.id, rule.severity, decided.mode, decision, direction, reason, limit)
    }

    /// Reports a verdict and gives its id.
    pub(crate) fn verdict(
        &self,
        rule: &'static Rule,
        mode: Mode,
        decision: Decision,
        direction: Option<Direction>,
        reason: String,
    ) -> EventId {
        self.send(rule.id, rule.severity, mode, decision, direction, reason, None)
    }

    /// Reports a refusal that no defence decided: no route, or an application that cannot be reached.
    pub(crate) fn failure(&self, status: u16, reason: &str) -> EventId {
        let decision = Decision::Refuse(status);
        self.send("gateway", Severity::Info, Mode::Block, decision, None, reason.to_owned(), None)
    }

    /// Reports that a limit is exceeded which no defence keeps, by `whom` where that is one side, and what becomes of it.
    pub(crate) fn exceeded(&self, limit: Limit, whom: Option<Direction>, reason: String) -> EventId {
        let decision = match limit.beyond() {
            Beyond::Dropped | Beyond::GivenUp | Beyond::Waits => Decision::Note,
            Beyond::DroppedOrRefused(status) | Beyond::Refused(status) => Decision::Refuse(status),
            Beyond::Closed(code) | Beyond::BothClosed(code) => Decision::Close(code),
        };
        self.send(limit.rule(), Severity::Info, Mode::Block, decision, whom, reason, Some(limit))
    }

    /// Reports that a request's head is beyond a limit, or cannot be read.
    pub(crate) fn malformed(&self, status: u16, reason: String, limit: Option<Limit>) -> EventId {
        let rule = &defences::STRICT_HANDSHAKE;
        let decision = Decision::Refuse(status);
        self.send(rule.id, rule.severity, Mode::Block, decision, None, reason, limit)
    }

    #[expect(clippy::too_many_arguments, reason = "they are the fields of one event")]
    fn send(
        &self,
        rule: &str,
        severity: Severity,
        mode: Mode,
        decision: Decision,
        direction: Option<Direction>,
        reason: String,
        limit: Option<Limit>,
    ) -> EventId {
        let id = EventId::from_random(random_u64());
        if let Some(limit) = limit.filter(|_| mode == Mode::Block) {
            self.tally.exceeded(self.route.as_ref().map(|(_, tally)| &**tally), limit);
        }
        if mode == Mode::Block && matches!(decision, Decision::Refuse(_)) {
            self.tally.refused(self.route.as_ref().map(|(_, tally)| &**tally), rule);
        }
        self.events.send(Event::Verdict(VerdictEvent {
            at_ms: unix_ms(),
            id,
            connection: self.connection,
            route: self.route_name(),
            client: self.client.to_string(),
            rule: rule.to_owned(),
            mode,
            decision,
            severity,
            direction,
            limit,
            reason,
        }));
        id
    }
}

/// Reports what happened to the gateway itself.
pub(crate) fn notice(events: &EventSender, notice: Notice, detail: String) {
    events.send(Event::Notice(NoticeEvent { at_ms: unix_ms(), notice, detail }));
}

pub(crate) fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

//! What one connection reports: its events, each with an id that the peer is told.

use std::{
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use sockwarden_defend::{Closure, Decided, Refusal, Verdict};
use sockwarden_model::{
    CloseEvent, Decision, Direction, Event, EventId, EventSender, Initiator, Mode, Notice, NoticeEvent,
    OpenEvent, Rule, Severity, Traffic, VerdictEvent,
};
use sockwarden_net::random_u64;

/// The events of one connection.
#[derive(Debug)]
pub(crate) struct Journal {
    events: EventSender,
    connection: EventId,
    client: SocketAddr,
    route: String,
}

impl Journal {
    pub(crate) fn new(events: EventSender, client: SocketAddr) -> Self {
        Self { events, connection: EventId::from_random(random_u64()), client, route: String::new() }
    }

    pub(crate) fn set_client(&mut self, client: SocketAddr) {
        self.client = client;
    }

    pub(crate) fn set_route(&mut self, route: &str) {
        route.clone_into(&mut self.route);
    }

    pub(crate) fn open(
        &self,
        user: Option<String>,
        origin: Option<String>,
        subprotocol: Option<String>,
        tls: bool,
    ) {
        self.events.send(Event::Open(OpenEvent {
            at_ms: unix_ms(),
            connection: self.connection,
            route: self.route.clone(),
            client: self.client.to_string(),
            user,
            origin,
            subprotocol,
            tls,
        }));
    }

    pub(crate) fn close(
        &self,
        code: u16,
        initiator: Initiator,
        duration_ms: u64,
        from_client: Traffic,
        from_server: Traffic,
    ) {
        self.events.send(Event::Close(CloseEvent {
            at_ms: unix_ms(),
            connection: self.connection,
            route: self.route.clone(),
            code,
            initiator,
            duration_ms,
            from_client,
            from_server,
        }));
    }

    /// Reports a refusal or a close and gives the id to tell the peer.
    pub(crate) fn decided(&self, decided: &Decided, direction: Option<Direction>) -> EventId {
        let (decision, reason) = match &decided.verdict {
            Verdict::Refuse(Refusal { status, reason, .. }) => (Decision::Refuse(*status), reason.clone()),
            Verdict::Close(Closure { code, reason, .. }) => (Decision::Close(code.0), reason.clone()),
            Verdict::Pass | Verdict::Identified { .. } | Verdict::Ask(_) => (Decision::Note, String::new()),
        };
        self.verdict(decided.rule, decided.mode, decision, direction, reason)
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
        self.send(rule.id, rule.severity, mode, decision, direction, reason)
    }

    /// Reports a refusal that no defence decided: no route, or an application that cannot be reached.
    pub(crate) fn failure(&self, status: u16, reason: &str) -> EventId {
        self.send("gateway", Severity::Info, Mode::Block, Decision::Refuse(status), None, reason.to_owned())
    }

    /// Reports a close that no defence decided: a connection that was slow.
    pub(crate) fn closed(&self, direction: Direction, code: u16, reason: String) -> EventId {
        self.send("gateway", Severity::Info, Mode::Block, Decision::Close(code), Some(direction), reason)
    }

    fn send(
        &self,
        rule: &str,
        severity: Severity,
        mode: Mode,
        decision: Decision,
        direction: Option<Direction>,
        reason: String,
    ) -> EventId {
        let id = EventId::from_random(random_u64());
        self.events.send(Event::Verdict(VerdictEvent {
            at_ms: unix_ms(),
            id,
            connection: self.connection,
            route: self.route.clone(),
            client: self.client.to_string(),
            rule: rule.to_owned(),
            mode,
            decision,
            severity,
            direction,
            reason,
        }));
        id
    }
}

/// Reports what happened to the gateway itself.
pub(crate) fn notice(events: &EventSender, notice: Notice, detail: String) {
    events.send(Event::Notice(NoticeEvent { at_ms: unix_ms(), notice, detail }));
}

fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

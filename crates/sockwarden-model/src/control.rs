//! The control port: what may be asked of a running gateway, and ordered, by whoever holds it.
//!
//! A gateway implements it; a console, a signal handler or a test uses it and knows nothing else of the gateway. No call
//! waits: an order is handed over and carried out by the connection it concerns.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AccessError, Answer, Counters, EventId, Mode, Requester, RevokeOrder, TicketGrant, TicketOrder, Traffic,
};

/// What a running gateway lets itself be asked and told.
pub trait Control: Send + Sync {
    /// Lists established sessions in the order of their ids, at most [`SessionQuery::LIMIT`] at a time.
    fn sessions(&self, query: &SessionQuery) -> SessionPage;

    /// Gives one established session.
    fn session(&self, id: EventId) -> Option<Session>;

    /// Has both sides of a session told a close code and a reason; the close event names the operator.
    ///
    /// # Errors
    /// There is no such session, or the code or the reason cannot be sent in a close frame (RFC 6455 §5.5.1, §7.4).
    fn close(&self, id: EventId, order: &CloseOrder, by: &Requester) -> Result<(), ControlError>;

    /// Lists the routes with the mode of each of their defences.
    fn routes(&self) -> Vec<RouteState>;

    /// Changes the modes of defences for a stated time, on live sockets too; they go back by themselves. Gives how many
    /// defences it changed.
    ///
    /// # Errors
    /// No such route or rule, a time out of bounds, or nothing that could change.
    fn set_mode(&self, change: &ModeChange, by: &Requester) -> Result<usize, ControlError>;

    /// Puts modes back to what the configuration says, now. Gives how many defences it changed.
    ///
    /// # Errors
    /// No such route or rule.
    fn restore_modes(&self, scope: &ModeScope, by: &Requester) -> Result<usize, ControlError>;

    /// Has a ticket issued for a user of the application; the answer is given when the state that replicas share has it.
    fn issue_ticket(
        &self,
        order: TicketOrder,
        by: &Requester,
        answer: Answer<Result<TicketGrant, AccessError>>,
    );

    /// Has something revoked; the answer is given when it is in force on every replica.
    fn revoke(&self, order: &RevokeOrder, by: &Requester, answer: Answer<Result<(), AccessError>>);

    /// Gives the public keys of what the gateway signs for applications, as a JWKS (RFC 7517 §5).
    fn signing_keys(&self) -> serde_json::Value;

    /// Counts everything up to now.
    fn counters(&self) -> Counters;

    /// Tells whether new connections are welcome.
    fn readiness(&self) -> Readiness;
}

/// Which sessions to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionQuery {
    /// Begins after this id: the last one of the page before.
    pub after: Option<EventId>,
    /// The most sessions to give; more than [`SessionQuery::LIMIT`] counts as that many.
    pub limit: usize,
    /// Only those of this route.
    pub route: Option<String>,
    /// Only those of this user.
    pub user: Option<String>,
}

impl SessionQuery {
    /// The most sessions of one page.
    pub const LIMIT: usize = 500;
}

/// Some established sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionPage {
    /// The sessions, by id.
    pub sessions: Vec<Session>,
    /// Where the next page begins (`after`), if there may be one.
    pub next: Option<EventId>,
    /// How many sessions there are on all routes.
    pub total: u64,
}

/// One established session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// Names the connection in all its events.
    pub id: EventId,
    /// The route that it came by.
    pub route: String,
    /// The client's address and port.
    pub client: String,
    /// Who the application says it is, escaped.
    pub user: Option<String>,
    /// The Origin header, escaped.
    pub origin: Option<String>,
    /// The sub-protocol that was agreed.
    pub subprotocol: Option<String>,
    /// Whether the client came over TLS.
    pub tls: bool,
    /// When it opened, in milliseconds since the Unix epoch.
    pub opened_at_ms: u64,
    /// What the client sent that was forwarded, up to now.
    pub from_client: Traffic,
    /// What the application sent that was forwarded, up to now.
    pub from_server: Traffic,
    /// How far its life has come.
    pub state: SessionState,
}

/// How far the life of a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// Messages pass.
    Open,
    /// A close handshake has begun.
    Closing,
}

/// What both sides of a session are told when it is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseOrder {
    /// The close code of RFC 6455 §7.4; one that a close frame may carry.
    pub code: u16,
    /// The reason: at most [`CloseOrder::REASON`] bytes, without control characters.
    pub reason: String,
}

impl CloseOrder {
    /// The longest reason that fits a close frame (RFC 6455 §5.5), in bytes.
    pub const REASON: usize = 123;
}

/// A route and what guards it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouteState {
    /// The name in events and messages.
    pub name: String,
    /// The host that requests are for; any where there is none.
    pub host: Option<String>,
    /// The path of requests.
    pub path: String,
    /// How the path is compared, as the configuration spells it.
    #[serde(rename = "match")]
    pub path_match: String,
    /// The sub-protocol that requests offer; any where there is none.
    pub subprotocol: Option<String>,
    /// What becomes of compression, as the configuration spells it.
    pub compression: String,
    /// The application: scheme, host and port.
    pub upstream: String,
    /// Where the application is, address by address; none while its name has not been answered.
    pub addresses: Vec<AddressState>,
    /// Established sessions.
    pub active: u64,
    /// The defences, in the order in which they are asked.
    pub defences: Vec<DefenceState>,
}

/// One address of an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddressState {
    /// The address with its port, or the path of a unix socket.
    pub address: String,
    /// How it is.
    pub health: AddressHealth,
    /// Since when it is so, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Connections to it, those that are being made included.
    pub active: u64,
    /// How often it has failed, health checks included, since it is known.
    pub failures: u64,
}

/// How an address of an application is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AddressHealth {
    /// Nothing speaks against it.
    Healthy,
    /// It has failed too often and is left alone, or has not answered since.
    Ejected,
}

/// A defence of a route and its mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DefenceState {
    /// The id of the defence.
    pub rule: String,
    /// The mode now.
    pub mode: Mode,
    /// The mode that the configuration says.
    pub configured: Mode,
    /// Whether it always has its configured mode.
    pub fixed: bool,
    /// For how many more seconds, rounded up, the mode is another than configured.
    pub seconds_left: Option<u64>,
}

/// Which defences a change of modes concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModeScope {
    /// The route, or all.
    pub route: Option<String>,
    /// The defence, or all that are not off and can change.
    pub rule: Option<String>,
}

/// A change of modes for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeChange {
    /// Which defences.
    pub scope: ModeScope,
    /// What they do meanwhile.
    pub mode: Mode,
    /// For how long: from one second to [`ModeChange::LONGEST`].
    pub time: Duration,
}

impl ModeChange {
    /// The longest time for which a mode may differ from the configuration.
    pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
}

/// Whether new connections are welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Readiness {
    /// They are.
    Ready,
    /// The gateway is about to stop.
    Draining,
}

/// Why a gateway does not do what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlError {
    /// There is no session of this id; it may just have ended.
    NoSession(EventId),
    /// There is no such route.
    NoRoute,
    /// The routes in question have no such defence.
    NoRule,
    /// The defence always has its configured mode.
    Fixed,
    /// A close frame cannot carry the code.
    CloseCode(u16),
    /// The reason is too long for a close frame or holds control characters.
    CloseReason,
    /// The time is shorter than a second or longer than [`ModeChange::LONGEST`].
    Time,
}

impl std::fmt::Display for ControlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSession(id) => write!(f, "there is no session {id}; it may have ended"),
            Self::NoRoute => f.write_str("there is no route of that name"),
            Self::NoRule => f.write_str("there is no defence of that id on the route"),
            Self::Fixed => f.write_str("this defence always has its configured mode"),
            Self::CloseCode(code) => write!(f, "a close frame cannot carry the code {code} (RFC 6455 §7.4)"),
            Self::CloseReason => {
                write!(
                    f,
                    "a reason has at most {} bytes and no control characters (RFC 6455 §5.5)",
                    CloseOrder::REASON
                )
            }
            Self::Time => {
                write!(
                    f,
                    "the time must be from 1 second to {} hours",
                    ModeChange::LONGEST.as_secs() / (60 * 60)
                )
            }
        }
    }
}

impl std::error::Error for ControlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_port_can_be_held_as_an_object_and_shared_between_threads() {
        fn shared<T: Send + Sync + ?Sized>() {}
        shared::<dyn Control>();
        shared::<std::sync::Arc<dyn Control>>();
    }
}

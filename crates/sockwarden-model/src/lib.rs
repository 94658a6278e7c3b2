//! The vocabulary that all of Sockwarden shares: what a rule is, what a scan finds, what a gateway decides and reports.
//!
//! Nothing here opens, waits or measures: times and random numbers are arguments.

mod access;
mod audit;
mod control;
mod counters;
mod event;
mod evidence;
mod finding;
mod fingerprint;
mod identity;
mod limit;
mod listen;
mod mode;
mod operations;
mod printable;
mod rule;
mod severity;
mod threat;

pub use access::{AccessError, Revoke, RevokeOrder, TicketGrant, TicketOrder};
pub use audit::{Action, AuditEvent, Requester, Role};
pub use control::{
    AddressHealth, AddressState, CloseOrder, Control, ControlError, DefenceState, ModeChange, ModeScope,
    Readiness, RouteState, Session, SessionPage, SessionQuery, SessionState,
};
pub use counters::{
    CloseClass, CloseCount, Counters, Histogram, MessageClass, MessageCount, RateCounters, RouteCounters,
    StateCounters, StatusClass, Treatment, Uninspected, UpstreamCounters,
};
pub use event::{
    CloseEvent, Decision, Event, EventId, EventReceiver, EventSender, Initiator, Notice, NoticeEvent,
    OpenEvent, RequestEvent, Traffic, VerdictEvent, event_channel,
};
pub use evidence::{Evidence, EvidenceBytes, Step, StepKind};
pub use finding::Finding;
pub use fingerprint::fingerprint;
pub use identity::Identity;
pub use limit::{Beyond, Limit};
pub use listen::{ListenAddress, NoListenAddress};
pub use mode::{Direction, Mode};
pub use operations::{Answer, Draining, Operations, OrderError, Reloaded};
pub use printable::{printable, printable_text};
pub use rule::{Lifecycle, Profile, Rule, RuleKind};
pub use severity::{Confidence, Severity};
pub use threat::Threat;

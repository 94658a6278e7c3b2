//! What a gateway reports: one record when a connection opens, one when it closes, one per verdict other than pass, one
//! per ordinary request that was passed on, one per order of an operator.
//!
//! Events never hold payloads, cookies, tickets or authorisation headers.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
    mpsc::{Receiver, SyncSender, sync_channel},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AuditEvent, Direction, Limit, Mode, Severity};

/// A short name for an event that a refused person can quote to an operator.
///
/// Ten characters of Crockford's base 32 (50 random bits).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(u64);

impl EventId {
    /// How many random bits an id has.
    pub const BITS: u32 = 50;

    const ALPHABET: &'static [u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    /// Makes an id from the low 50 bits of a random number.
    pub const fn from_random(random: u64) -> Self {
        Self(random & ((1 << Self::BITS) - 1))
    }

    /// Gives the number; it is less than 2 to the power of [`EventId::BITS`], and ids are ordered as their numbers are.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text: String = (0..10)
            .rev()
            .map(|place| char::from(Self::ALPHABET[usize::from((self.0 >> (place * 5)) as u8 & 31)]))
            .collect();
        f.pad(&text)
    }
}

impl std::fmt::Debug for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EventId({self})")
    }
}

impl std::str::FromStr for EventId {
    type Err = String;

    /// Reads an id as a person would type it: lower case, and `O`, `I`, `L` for the digits they resemble.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            || format!("`{}` is no event id: ten letters and digits", crate::printable(text.as_bytes(), 20));
        if text.chars().count() != 10 {
            return Err(wrong());
        }
        text.chars().try_fold(Self(0), |id, c| {
            let upper = match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let digit = Self::ALPHABET.iter().position(|&a| char::from(a) == upper).ok_or_else(wrong)?;
            Ok(Self(id.0 << 5 | digit as u64))
        })
    }
}

impl Serialize for EventId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for EventId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EventId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9A-HJKMNP-TV-Z]{10}$",
            "description": "A short name for an event or a connection.",
        })
    }
}

/// One line of the event log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// A connection was let in and joined to the application.
    Open(OpenEvent),
    /// A connection that was open has ended.
    Close(CloseEvent),
    /// An ordinary HTTP request was passed on and the application answered it.
    Request(RequestEvent),
    /// A defence decided something other than pass.
    Verdict(VerdictEvent),
    /// Something happened to the gateway itself.
    Notice(NoticeEvent),
    /// Somebody told the gateway to do something, or tried to.
    Audit(AuditEvent),
}

/// Something happened to the gateway itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoticeEvent {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What happened.
    pub notice: Notice,
    /// What it happened to, or why.
    pub detail: String,
}

/// What may happen to a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notice {
    /// New certificates are in use.
    CertificateReplaced,
    /// New certificates cannot be used; the last good ones stay in use.
    CertificateRejected,
    /// Keys that tokens are verified with were read: others than before, or the first after a failure.
    KeysRead,
    /// Keys that tokens are verified with cannot be read.
    KeysUnavailable,
    /// A new configuration is in use.
    Reloaded,
    /// A new configuration cannot be used; the last good one stays in use.
    ReloadRejected,
    /// An address of an application has failed too often and is left alone for a time.
    UpstreamEjected,
    /// An address of an application that was left alone is well again.
    UpstreamBack,
    /// The server by which replicas share rates does not answer: this one keeps to them by itself.
    RatesAlone,
    /// Replicas share rates again.
    RatesShared,
    /// Connections are turned away because they exceed a limit; said at most every ten seconds.
    TurningAway,
    /// A fault of the gateway ended a connection.
    Panicked,
}

/// A connection was let in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenEvent {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Names the connection in all its events.
    pub connection: EventId,
    /// The route that it came by.
    pub route: String,
    /// The client's address and port.
    pub client: String,
    /// Who the application says it is, where authentication was asked for.
    pub user: Option<String>,
    /// The Origin header, escaped.
    pub origin: Option<String>,
    /// The sub-protocol that was agreed.
    pub subprotocol: Option<String>,
    /// The extensions that were agreed with the client, as its answer names them.
    #[serde(default)]
    pub extensions: Option<String>,
    /// What becomes of compressed messages on the route: `inspect`, `terminate` or `strip`.
    #[serde(default)]
    pub compression: String,
    /// Whether the client came over TLS.
    pub tls: bool,
}

/// A connection that was open has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CloseEvent {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Names the connection in all its events.
    pub connection: EventId,
    /// The route that it came by.
    pub route: String,
    /// The close code of RFC 6455 §7.4 (1006 where the peer vanished).
    pub code: u16,
    /// Who ended it.
    pub initiator: Initiator,
    /// Milliseconds since it opened.
    pub duration_ms: u64,
    /// What the client sent that was forwarded.
    pub from_client: Traffic,
    /// What the application sent that was forwarded.
    pub from_server: Traffic,
    /// The sub-protocol that was spoken, where one was understood.
    #[serde(default)]
    pub protocol: Option<String>,
    /// How that became known: `configured`, `sub-protocol`, `target` or `first messages`.
    #[serde(default)]
    pub protocol_by: Option<String>,
}

/// Who ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Initiator {
    /// The client.
    Client,
    /// The application.
    Server,
    /// The gateway.
    Gateway,
    /// An operator, by the control port.
    Operator,
}

impl Initiator {
    /// Every initiator, in the order of their indices.
    pub const ALL: [Self; 4] = [Self::Client, Self::Server, Self::Gateway, Self::Operator];

    /// Gives its place in [`Initiator::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Names it as events and metrics spell it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Gateway => "gateway",
            Self::Operator => "operator",
        }
    }
}

/// How much was forwarded one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Traffic {
    /// Messages.
    pub messages: u64,
    /// Payload bytes.
    pub bytes: u64,
    /// Those of them that every defence that judges messages has seen.
    pub inspected_messages: u64,
    /// Their payload.
    pub inspected_bytes: u64,
}

/// An ordinary HTTP request was passed on and answered. What it asked for is its path: no query, header or body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestEvent {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Names the connection in all its events.
    pub connection: EventId,
    /// The route that it came by.
    pub route: String,
    /// The client's address and port.
    pub client: String,
    /// Who the application says the client is, where authentication was asked for.
    pub user: Option<String>,
    /// The method, escaped and cut.
    pub method: String,
    /// The path without its query, escaped and cut.
    pub path: String,
    /// The status of the application's answer.
    pub status: u16,
    /// Whether the answer was passed on to its end.
    pub complete: bool,
    /// Milliseconds from the request's head to the end of the answer.
    pub duration_ms: u64,
    /// Bytes of the request's body that were passed on.
    pub bytes_from_client: u64,
    /// Bytes of the answer's body that were passed on.
    pub bytes_from_server: u64,
    /// Those of the request's body that every defence that judges messages has seen.
    #[serde(default)]
    pub inspected_from_client: u64,
    /// Those of the answer's body.
    #[serde(default)]
    pub inspected_from_server: u64,
}

/// A defence decided something other than pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerdictEvent {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Names this event; the refused peer is told it.
    pub id: EventId,
    /// Names the connection in all its events.
    pub connection: EventId,
    /// The route that it came by.
    pub route: String,
    /// The client's address and port.
    pub client: String,
    /// The id of the defence.
    pub rule: String,
    /// Whether the defence blocks or observes.
    pub mode: Mode,
    /// What was done, or in observe mode would have been.
    pub decision: Decision,
    /// How bad what was seen is.
    pub severity: Severity,
    /// Whose message it was; absent before the upgrade.
    pub direction: Option<Direction>,
    /// The limit that was exceeded, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// One sentence for the operator: what was wrong and by which measure.
    pub reason: String,
}

/// What a defence did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Reported only.
    Note,
    /// Refused before the upgrade, with this HTTP status.
    Refuse(u16),
    /// Closed both sides, telling the peer that offended this close code.
    Close(u16),
    /// Did not forward a message; both sides stayed open.
    Drop,
}

/// The bounded queue into which events go; when it is full, the event is dropped and counted.
#[derive(Clone, Debug)]
pub struct EventSender {
    queue: SyncSender<Event>,
    dropped: Arc<AtomicU64>,
}

/// The other end of [`EventSender`].
pub type EventReceiver = Receiver<Event>;

/// Makes a queue of at most `capacity` events.
pub fn event_channel(capacity: usize) -> (EventSender, EventReceiver) {
    let (queue, receiver) = sync_channel(capacity);
    (EventSender { queue, dropped: Arc::default() }, receiver)
}

impl EventSender {
    /// Queues `event`, or drops and counts it; never waits.
    pub fn send(&self, event: Event) {
        if self.queue.try_send(event).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tells how many events were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_survives_being_read_aloud() {
        let id = EventId::from_random(0x1234_5678_9abc_def0);
        let text = id.to_string();
        assert_eq!(text.len(), 10);
        assert_eq!(text.to_lowercase().parse(), Ok(id));
        let check = |text: &str, ok: bool| assert_eq!(text.parse::<EventId>().is_ok(), ok, "{text}");
        check("0000000000", true);
        check("OOOOOOOOOO", true);
        check("000000000", false);
        check("000000000U", false);
        check("\u{1b}[2J000000", false);
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (sender, receiver) = event_channel(1);
        let event = || {
            Event::Close(CloseEvent {
                at_ms: 1,
                connection: EventId::from_random(1),
                route: "r".into(),
                code: 1000,
                initiator: Initiator::Client,
                duration_ms: 2,
                from_client: Traffic::default(),
                from_server: Traffic::default(),
                protocol: None,
                protocol_by: None,
            })
        };
        sender.send(event());
        sender.send(event());
        assert_eq!(sender.dropped(), 1);
        assert_eq!(receiver.try_iter().count(), 1);
    }
}

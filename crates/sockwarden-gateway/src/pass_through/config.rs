//! What an operator says of ordinary HTTP on a route.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::{ByteSize, HumanDuration};

/// What becomes of requests that ask for no upgrade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HttpKind {
    /// They are answered 426: there are only WebSockets here.
    #[default]
    Deny,
    /// They are passed on to the application: its pages, and the long polling with which Socket.IO begins.
    Pass,
}

/// What becomes of a body that cannot be read to its end, where a defence would stop what it does not like in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FailKind {
    /// It is not passed on: a request is answered 413 or 415, and 502 is answered in an answer's place.
    #[default]
    Closed,
    /// It is passed on, and counts as not looked at.
    Open,
}

/// How much an ordinary request may bring, and how long it may take; for routes with `http = "pass"`.
///
/// A request's head is limited by `limits.head`, as that of a handshake. An answer that no defence reads may be
/// as long as it likes: it is passed on as it comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpLimitsConfig {
    /// The most bytes of a request's body; a longer one is answered 413.
    pub body: ByteSize,
    /// The most bytes of a body that defences are told of, which is held for that until all of it has come: of a request, and of an answer that is JSON, text or long polling.
    pub inspected_body: ByteSize,
    /// What becomes of a body that is longer, or encoded in a way that is not decoded: `closed` stops it, `open` passes it on unread.
    pub fail: FailKind,
    /// How long a client may take to send the body; then it is answered 408.
    pub body_timeout: HumanDuration,
    /// The most bytes of an answer's head; a larger one is answered 502 in its place.
    pub response_head: ByteSize,
    /// How long the application may take to begin its answer; then 504 is answered in its place. Long polling takes half a minute.
    pub response_timeout: HumanDuration,
    /// How long an answer may stand still on its way, at either end; then it is cut off.
    pub idle_timeout: HumanDuration,
    /// How long a connection is kept for the client's next request; with `0s` it is closed after each.
    pub keep_alive: HumanDuration,
}

impl Default for HttpLimitsConfig {
    fn default() -> Self {
        Self {
            body: ByteSize::mib(1),
            inspected_body: ByteSize::mib(1),
            fail: FailKind::Closed,
            body_timeout: HumanDuration::from_secs(30),
            response_head: ByteSize::kib(32),
            response_timeout: HumanDuration::from_secs(60),
            idle_timeout: HumanDuration::from_secs(60),
            keep_alive: HumanDuration::from_secs(30),
        }
    }
}

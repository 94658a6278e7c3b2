//! `forward-auth`: the application says who may connect, before the upgrade.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::HumanDuration;
use sockwarden_model::{Mode, Rule, rule};

use crate::{Answer, Defence, Effect, Fact, Guard, Refusal, Verdict};

rule! {
    /// # What it does
    /// Before the upgrade, asks the application's own endpoint by a `GET` with the caller's Cookie and Authorization headers.
    /// An answer of 2xx lets the caller in, and a configured header of it names the user; 401 and 403 are passed on; anything
    /// else, and no answer in time, refuses with 503. Nothing reaches the application's WebSocket before.
    ///
    /// On a route with `http = "pass"` every ordinary request is asked about in the same way, so that a page which is to be
    /// seen by strangers (the login itself) needs a route of its own.
    ///
    /// # Why is this bad
    /// The WebSocket protocol authenticates nobody. An endpoint that does not check the session in the handshake answers
    /// whoever connects, and everything behind it is public.
    ///
    /// # How to fix
    /// Check the session in the handshake and refuse with 401 before the upgrade; do not wait for a first message.
    ///
    /// ```js
    /// server.on("upgrade", (request, socket, head) => {
    ///   const user = sessionOf(request);
    ///   if (!user) return socket.end("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n");
    ///   wss.handleUpgrade(request, socket, head, (ws) => wss.emit("connection", ws, user));
    /// });
    /// ```
    ///
    /// ```python
    /// class Chat(AsyncWebsocketConsumer):  # Django Channels
    ///     async def connect(self):
    ///         await (self.accept() if self.scope["user"].is_authenticated else self.close())
    /// ```
    ///
    /// ```csharp
    /// app.MapHub<ChatHub>("/chat").RequireAuthorization(); // SignalR
    /// ```
    pub static RULE = Defence {
        id: "forward-auth",
        summary: "the application is asked about the caller before the upgrade",
        severity: High,
        threats: [T1],
        cwe: [306, 287],
        references: ["RFC 6455 §10.5", "OWASP API Security Top 10 API2:2023", "OWASP ASVS 5.0 V4.4.3"],
        lifecycle: Stable,
        counterparts: ["unauthenticated-access", "origin-is-authentication"],
        profile: Passive,
        may_change: "each handshake costs the application one request",
    }
}

/// `forward-auth`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForwardAuthConfig {
    /// off, observe or block.
    #[serde(default)]
    pub mode: Mode,
    /// The application's own endpoint that knows its sessions, such as `https://127.0.0.1:3000/api/session`.
    pub url: String,
    /// The header of its answer that names the user.
    #[serde(default)]
    pub user_header: Option<String>,
    /// How long it may take to answer.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
}

impl ForwardAuthConfig {
    /// Makes the defence that asks `url`, with everything else at its default.
    pub fn new(url: &str) -> Self {
        Self { mode: Mode::Block, url: url.to_owned(), user_header: None, timeout: default_timeout() }
    }
}

fn default_timeout() -> HumanDuration {
    HumanDuration::from_secs(3)
}

/// Asks the application about the caller.
#[derive(Debug)]
pub struct ForwardAuth;

impl Defence for ForwardAuth {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn guard(&self) -> Box<dyn Guard> {
        Box::new(Self)
    }
}

impl Guard for ForwardAuth {
    fn observe(&mut self, fact: &Fact<'_>, _now: Duration) -> Verdict {
        match fact {
            Fact::Handshake(_) | Fact::Request(_) => Verdict::Ask(Effect::ForwardAuth),
            Fact::Answer(Answer::ForwardAuth { status: 200..=299, user }) => {
                Verdict::Identified { user: user.clone() }
            }
            Fact::Answer(Answer::ForwardAuth { status: status @ (401 | 403), .. }) => {
                Verdict::Refuse(Refusal {
                    status: *status,
                    reason: format!("the application answered {status} about the caller"),
                    told: "authentication is required",
                })
            }
            Fact::Answer(Answer::ForwardAuth { status, .. }) => Verdict::Refuse(unavailable(format!(
                "the application answered {status}, neither yes nor no, about the caller"
            ))),
            Fact::Answer(Answer::Failed(why)) => Verdict::Refuse(unavailable(format!(
                "the application could not be asked about the caller: {why}"
            ))),
            Fact::Upstream(_)
            | Fact::Frame { .. }
            | Fact::Inflated { .. }
            | Fact::Open(_)
            | Fact::Content { .. }
            | Fact::Violation { .. } => Verdict::Pass,
        }
    }
}

fn unavailable(reason: String) -> Refusal {
    Refusal { status: 503, reason, told: "authentication is not available, try again later" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_lets_in() {
        let check = |answer: Answer, expected: Option<u16>| {
            let refused = match ForwardAuth.observe(&Fact::Answer(&answer), Duration::ZERO) {
                Verdict::Refuse(refusal) => Some(refusal.status),
                Verdict::Identified { user } => {
                    assert_eq!(user.as_deref(), Some("mara"));
                    None
                }
                Verdict::Pass | Verdict::Close(_) | Verdict::Drop { .. } | Verdict::Ask(_) => unreachable!(),
            };
            assert_eq!(refused, expected);
        };
        let status = |status| Answer::ForwardAuth { status, user: Some("mara".to_owned()) };
        check(status(200), None);
        check(status(204), None);
        check(status(401), Some(401));
        check(status(403), Some(403));
        check(status(302), Some(503));
        check(status(500), Some(503));
        check(status(101), Some(503));
        check(Answer::Failed("no answer".to_owned()), Some(503));
    }
}

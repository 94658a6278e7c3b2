//! `authentication`: who nobody vouches for does not connect.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_model::{Identity, Mode, Rule, rule};

use crate::{Answer, Defence, Denial, Denied, Effect, Fact, Guard, Refusal, Verdict, Way};

rule! {
    /// # What it does
    /// Before the upgrade, finds out who the caller is, in the ways that the route's `auth` names, one after the other in that
    /// order:
    ///
    /// - `forward` asks the application's own endpoint by a `GET` with the caller's Cookie and Authorization headers: 2xx lets the
    ///   caller in, and configured headers of the answer name the user, roles and claims; 401 and 403 are passed on; anything else, and no
    ///   answer in time, refuses with 503;
    /// - `ticket` takes a ticket, which is good for one handshake on one route, from one address and origin, within seconds;
    /// - `jwt` verifies a signed token (RFC 7519) against the keys, algorithms, issuer and audience that the route allows;
    /// - `mtls` takes the word of a client certificate that an authority of the listener's `client_ca` has signed.
    ///
    /// Of several ways one is enough (`require = "any"`), or all must agree about the user (`require = "all"`). Who is refused gets 401 or 403 and
    /// a closed connection, and nothing reaches the application; where a way cannot be tried (an endpoint or keys that cannot be reached)
    /// and no other lets in, 503. The event has a reason code for each way, such as `ticket-used`.
    ///
    /// The application is told who it is in `Sockwarden-User`, `Sockwarden-Roles` and `Sockwarden-Claims`; what a client sends under such names is left out.
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
        id: "authentication",
        summary: "callers that nobody vouches for are refused before the upgrade",
        severity: High,
        threats: [T1],
        cwe: [306, 287],
        references: ["RFC 6455 §10.5", "OWASP API Security Top 10 API2:2023", "OWASP ASVS 5.0 V4.4.3"],
        lifecycle: Stable,
        counterparts: ["unauthenticated-access", "origin-is-authentication", "token-in-url", "token-never-expires", "ticket-replayable", "ticket-not-bound", "session-outlives-logout"],
        profile: Passive,
        may_change: "clients without valid credentials cannot connect; `forward` costs the application one request for each handshake",
    }
}

/// `authentication`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthenticationConfig {
    /// off, observe or block.
    pub mode: Mode,
    /// Whether one of several ways in `auth` is enough, or all must let the caller in.
    pub require: RequireKind,
}

/// How many ways must let a caller in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RequireKind {
    /// One is enough; the first that does decides who it is.
    #[default]
    Any,
    /// All, and none may name another user than the others.
    All,
}

/// Finds out who a caller is.
#[derive(Debug)]
pub struct Authentication {
    ways: Box<[Way]>,
    require: RequireKind,
}

impl Authentication {
    /// Makes the defence that tries these ways in this order. Without any, nobody is let in.
    pub fn new(ways: &[Way], require: RequireKind) -> Self {
        Self { ways: ways.into(), require }
    }
}

impl Defence for Authentication {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn guard(&self) -> Box<dyn Guard> {
        let ways = self.ways.clone();
        Box::new(Caller { ways, require: self.require, next: 0, identity: None, denied: Vec::new() })
    }
}

/// What is known of one caller.
#[derive(Debug)]
struct Caller {
    ways: Box<[Way]>,
    require: RequireKind,
    /// The way that is tried next.
    next: usize,
    /// What those that were tried say together.
    identity: Option<Identity>,
    denied: Vec<Denied>,
}

impl Guard for Caller {
    fn observe(&mut self, fact: &Fact<'_>, _now: Duration) -> Verdict {
        match fact {
            Fact::Handshake(_) | Fact::Request(_) => {
                self.next = 0;
                self.identity = None;
                self.denied.clear();
                self.try_next()
            }
            Fact::Answer(Answer::Identified(identity)) => self.vouched(identity),
            Fact::Answer(Answer::Denied(denied)) => {
                self.denied.push(denied.clone());
                match self.require {
                    RequireKind::Any => self.try_next(),
                    RequireKind::All => self.refuse(),
                }
            }
            Fact::Upstream(_)
            | Fact::Frame { .. }
            | Fact::Inflated { .. }
            | Fact::Open(_)
            | Fact::Content { .. }
            | Fact::Violation { .. } => Verdict::Pass,
        }
    }
}

impl Caller {
    fn try_next(&mut self) -> Verdict {
        let way = self.ways.get(self.next).copied();
        self.next += 1;
        match (way, self.identity.take()) {
            (Some(way), identity) => {
                self.identity = identity;
                Verdict::Ask(Effect::Authenticate(way))
            }
            (None, Some(identity)) => Verdict::Identified(Box::new(identity)),
            (None, None) => self.refuse(),
        }
    }

    fn vouched(&mut self, identity: &Identity) -> Verdict {
        if self.require == RequireKind::Any {
            return Verdict::Identified(Box::new(identity.clone()));
        }
        self.identity = match self.identity.take() {
            None => Some(identity.clone()),
            Some(before) => match joined(before, identity) {
                Ok(both) => Some(both),
                Err(denied) => {
                    self.denied.push(denied);
                    return self.refuse();
                }
            },
        };
        self.try_next()
    }

    /// Refuses for the weightiest reason, and tells the operator all of them.
    fn refuse(&self) -> Verdict {
        let denial = self.denied.iter().map(|denied| denied.denial).max().unwrap_or(Denial::Absent);
        let reasons: Vec<String> = self.denied.iter().map(ToString::to_string).collect();
        let (status, told) = match denial {
            Denial::Absent | Denial::Rejected => (401, "authentication is required"),
            Denial::Forbidden => (403, "you may not connect"),
            Denial::Unavailable => (503, "authentication is not available, try again later"),
        };
        Verdict::Refuse(Refusal { status, reason: reasons.join("; "), told })
    }
}

/// Joins what two say of one caller: all that either says, and no more than both allow.
fn joined(mut first: Identity, second: &Identity) -> Result<Identity, Denied> {
    if let (Some(one), Some(other)) = (&first.user, &second.user)
        && one != other
    {
        let reason = "two ways to authenticate name different users".to_owned();
        return Err(Denied { denial: Denial::Forbidden, code: "users-differ", reason });
    }
    let least = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
    first.expires_at = least(first.expires_at, second.expires_at);
    first.issued_at = least(first.issued_at, second.issued_at);
    first.user = first.user.or_else(|| second.user.clone());
    first.token_id = first.token_id.or_else(|| second.token_id.clone());
    let new = second.roles.iter().filter(|role| !first.roles.contains(role));
    first.roles.extend(new.cloned().collect::<Vec<_>>());
    for (name, claim) in &second.claims {
        first.claims.entry(name.clone()).or_insert_with(|| claim.clone());
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defences::samples::{handshake, request};

    /// Answers each way that the guard asks for, and gives whom it lets in, or the status with the reason.
    fn ask(
        ways: &[(Way, Result<Identity, Denied>)],
        require: RequireKind,
    ) -> Result<Identity, (u16, String)> {
        let names: Vec<Way> = ways.iter().map(|(way, _)| *way).collect();
        let mut guard = Authentication::new(&names, require).guard();
        let request = request("");
        let mut verdict = guard.observe(&Fact::Handshake(handshake(&request)), Duration::ZERO);
        loop {
            verdict = match verdict {
                Verdict::Ask(Effect::Authenticate(way)) => {
                    let (_, said) = ways.iter().find(|(name, _)| *name == way).unwrap();
                    let answer = match said {
                        Ok(identity) => Answer::Identified(Box::new(identity.clone())),
                        Err(denied) => Answer::Denied(denied.clone()),
                    };
                    guard.observe(&Fact::Answer(&answer), Duration::ZERO)
                }
                Verdict::Identified(identity) => return Ok(*identity),
                Verdict::Refuse(refusal) => return Err((refusal.status, refusal.reason)),
                Verdict::Pass | Verdict::Count(_) | Verdict::Close(_) | Verdict::Drop { .. } => {
                    unreachable!()
                }
            }
        }
    }

    fn no(denial: Denial, code: &'static str) -> Result<Identity, Denied> {
        Err(Denied { denial, code, reason: "because".to_owned() })
    }

    fn yes(user: &str) -> Result<Identity, Denied> {
        Ok(Identity::of_user(user))
    }

    #[test]
    fn one_way_is_enough_and_the_first_decides_who_it_is() {
        let check = |first, second, expected: Result<&str, (u16, &str)>| {
            let said = ask(&[(Way::Ticket, first), (Way::Jwt, second)], RequireKind::Any);
            let said = said.map(|identity| identity.user.unwrap());
            assert_eq!(said, expected.map(str::to_owned).map_err(|(status, why)| (status, why.to_owned())));
        };
        check(yes("mara"), yes("nils"), Ok("mara"));
        check(no(Denial::Absent, "ticket-absent"), yes("nils"), Ok("nils"));
        check(
            no(Denial::Rejected, "ticket-used"),
            no(Denial::Absent, "token-absent"),
            Err((401, "ticket-used: because; token-absent: because")),
        );
        check(no(Denial::Absent, "a"), no(Denial::Forbidden, "b"), Err((403, "a: because; b: because")));
        check(no(Denial::Unavailable, "a"), no(Denial::Forbidden, "b"), Err((503, "a: because; b: because")));
    }

    #[test]
    fn where_all_are_required_all_must_agree() {
        let check = |first, second, expected: Result<&str, (u16, &str)>| {
            let said = ask(&[(Way::Forward, first), (Way::Ticket, second)], RequireKind::All);
            let said = said.map(|identity| identity.user.unwrap());
            assert_eq!(said, expected.map(str::to_owned).map_err(|(status, why)| (status, why.to_owned())));
        };
        check(yes("mara"), yes("mara"), Ok("mara"));
        check(Ok(Identity::default()), yes("mara"), Ok("mara"));
        check(
            yes("mara"),
            yes("nils"),
            Err((403, "users-differ: two ways to authenticate name different users")),
        );
        check(yes("mara"), no(Denial::Absent, "b"), Err((401, "b: because")));
        check(no(Denial::Rejected, "a"), yes("mara"), Err((401, "a: because")));
    }

    #[test]
    fn what_both_say_is_joined_and_the_shorter_time_counts() {
        let first = Identity {
            roles: vec!["a".to_owned()],
            expires_at: Some(20),
            issued_at: Some(5),
            ..Identity::of_user("mara")
        };
        let second = Identity {
            roles: vec!["a".to_owned(), "b".to_owned()],
            expires_at: Some(10),
            token_id: Some("t".to_owned()),
            ..Identity::default()
        };
        let both = ask(&[(Way::Jwt, Ok(first)), (Way::Ticket, Ok(second))], RequireKind::All).unwrap();
        let expected = Identity {
            roles: vec!["a".to_owned(), "b".to_owned()],
            expires_at: Some(10),
            issued_at: Some(5),
            token_id: Some("t".to_owned()),
            ..Identity::of_user("mara")
        };
        assert_eq!(both, expected);
    }

    #[test]
    fn without_a_way_nobody_is_let_in() {
        assert_eq!(ask(&[], RequireKind::Any), Err((401, String::new())));
        assert_eq!(ask(&[], RequireKind::All), Err((401, String::new())));
    }
}

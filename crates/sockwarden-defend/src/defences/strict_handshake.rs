//! `strict-handshake`: a handshake is RFC 6455's or none.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_model::{Mode, Rule, rule};

use crate::{Defence, Fact, Guard, HandshakeFact, Refusal, Verdict};

rule! {
    /// # What it does
    /// Refuses a handshake that departs from RFC 6455 §4 in any way: a key that is not 16 bytes in base64, a missing
    /// version, HTTP/1.0, another protocol offered besides, a sub-protocol named twice, bytes sent before the answer. The
    /// answer is 400, or 426 where an upgrade or another version would do, and closes the connection.
    ///
    /// What cannot be upgraded without guessing (a repeated key or Host, an announced body, a target that is no path, a
    /// head that two readers could read differently) is refused even where this defence is off. So is an ordinary request on
    /// a route with `http = "pass"` whose head or body could be read in two ways: two lengths, a length beside a transfer
    /// coding, a chunk with an extension. RFC 6455 says nothing about such requests, so its other rules do not judge them.
    ///
    /// # Why is this bad
    /// Where two parties read one handshake differently, a request can be smuggled past the first: it believes that a
    /// tunnel is open, or that it is not, and the second disagrees. A lenient server also accepts clients that no browser is.
    ///
    /// # How to fix
    /// Let a maintained library do the handshake and do not answer 101 by hand. Behind a proxy, pass the upgrade on only
    /// when the application has answered 101 with the right `Sec-WebSocket-Accept`.
    ///
    /// ```js
    /// new WebSocketServer({ server }); // ws checks key, version and method
    /// ```
    ///
    /// ```python
    /// async with websockets.serve(handler, "127.0.0.1", 8765): ...
    /// ```
    pub static RULE = Defence {
        id: "strict-handshake",
        summary: "handshakes that break RFC 6455 are refused",
        severity: Low,
        threats: [T1, T5],
        cwe: [444, 20],
        references: ["RFC 6455 §4.2.1", "RFC 9112 §11.2"],
        lifecycle: Stable,
        counterparts: ["handshake-not-strict"],
        profile: Passive,
        may_change: "clients with a malformed handshake are refused",
    }
}

/// `strict-handshake`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StrictHandshakeConfig {
    /// off, observe or block.
    pub mode: Mode,
}

/// Refuses a handshake that breaks RFC 6455.
#[derive(Debug)]
pub struct StrictHandshake;

impl Defence for StrictHandshake {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn guard(&self) -> Box<dyn Guard> {
        Box::new(Self)
    }
}

impl Guard for StrictHandshake {
    fn observe(&mut self, fact: &Fact<'_>, _now: Duration) -> Verdict {
        match fact {
            Fact::Handshake(HandshakeFact { request, .. }) => match request.violations.first() {
                None => Verdict::Pass,
                Some(first) => Verdict::Refuse(Refusal {
                    status: first.status(),
                    reason: request.violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
                    told: "the handshake does not conform to RFC 6455",
                }),
            },
            // Whether a request can be read in one way only is judged before it is one, whatever the mode.
            Fact::Request(_)
            | Fact::Answer(_)
            | Fact::Upstream(_)
            | Fact::Frame { .. }
            | Fact::Inflated { .. }
            | Fact::Open(_)
            | Fact::Content { .. }
            | Fact::Violation { .. } => Verdict::Pass,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defences::samples::{self, request};

    #[test]
    fn every_violation_is_refused_with_its_status() {
        let check = |from: &str, to: &str, status: Option<u16>| {
            let request = crate::defences::samples::altered(from, to);
            let fact = Fact::Handshake(samples::handshake(&request));
            let refused = match StrictHandshake.observe(&fact, Duration::ZERO) {
                Verdict::Refuse(refusal) => Some(refusal.status),
                Verdict::Pass
                | Verdict::Identified(_)
                | Verdict::Close(_)
                | Verdict::Drop { .. }
                | Verdict::Count(_)
                | Verdict::Ask(_) => None,
            };
            assert_eq!(refused, status, "{from} -> {to}");
        };
        assert_eq!(request("").violations, []);
        check("x", "x", None);
        check("dGhlIHNhbXBsZSBub25jZQ==", "abc", Some(400));
        check("Version: 13", "Version: 7", Some(426));
        check("HTTP/1.1", "HTTP/1.0", Some(400));
        check("websocket", "websocket, h2c", Some(400));
    }
}

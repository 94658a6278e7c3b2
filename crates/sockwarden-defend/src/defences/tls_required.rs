//! `tls-required`: nobody talks in the clear where TLS is to be had.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_model::{Mode, Rule, rule};

use crate::{Defence, Fact, Guard, HandshakeFact, Refusal, RequestFact, Verdict};

rule! {
    /// # What it does
    /// Refuses a handshake that arrives without TLS at a listener that has a certificate. The refusal (403) says in words
    /// that the endpoint is `wss://` only; nothing of the request reaches the application, and every answer over TLS
    /// carries `Strict-Transport-Security`. On a route with `http = "pass"` an ordinary request is refused alike, save that a
    /// GET or HEAD is redirected (308) to the same address under `https://`.
    ///
    /// A listener without a certificate starts on a loopback address only, unless `--insecure-plaintext` is said.
    ///
    /// # Why is this bad
    /// `ws://` is readable and changeable by everyone on the path: the cookie of the handshake, every message, and the
    /// script of the page that opened it. An attacker on the path needs no more than to answer the plain port.
    ///
    /// # How to fix
    /// Open `wss://` URLs only, and serve the page itself over HTTPS with HSTS, so that a browser refuses mixed content.
    ///
    /// ```js
    /// const socket = new WebSocket(`wss://${location.host}/ws`);
    /// ```
    ///
    /// In nginx, keep the plain port for a redirect alone:
    ///
    /// ```nginx
    /// server { listen 80; return 308 https://$host$request_uri; }
    /// ```
    pub static RULE = Defence {
        id: "tls-required",
        summary: "cleartext handshakes are refused where TLS is offered",
        severity: High,
        threats: [T4],
        cwe: [319],
        references: ["RFC 6455 §10.6", "OWASP ASVS 5.0 V4.4.1"],
        lifecycle: Stable,
        counterparts: ["cleartext-transport"],
        profile: Passive,
        may_change: "clients that still open ws:// are refused",
    }
}

/// `tls-required`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsRequiredConfig {
    /// off, observe or block.
    pub mode: Mode,
}

/// Refuses a client that comes without TLS where TLS is offered.
#[derive(Debug)]
pub struct TlsRequired;

impl Defence for TlsRequired {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn guard(&self) -> Box<dyn Guard> {
        Box::new(Self)
    }
}

impl Guard for TlsRequired {
    fn observe(&mut self, fact: &Fact<'_>, _now: Duration) -> Verdict {
        match fact {
            Fact::Request(RequestFact { head, tls: false, tls_offered: true, .. }) => {
                Verdict::Refuse(Refusal {
                    // What brings a body has been read on the way already: it is not to be sent a second time in silence.
                    status: if matches!(head.method.as_str(), "GET" | "HEAD") { 308 } else { 403 },
                    reason: "the request came without TLS".to_owned(),
                    told: "this site is reached over TLS only: use https://",
                })
            }
            Fact::Handshake(HandshakeFact { tls: false, tls_offered: true, .. }) => {
                Verdict::Refuse(Refusal {
                    status: 403,
                    reason: "the handshake came without TLS".to_owned(),
                    told: "this endpoint is reached over TLS only: use wss://",
                })
            }
            Fact::Handshake(_)
            | Fact::Request(_)
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
    fn cleartext_is_refused_only_where_tls_is_offered() {
        let check = |tls, tls_offered, refused| {
            let request = request("");
            let fact = Fact::Handshake(HandshakeFact { tls, tls_offered, ..samples::handshake(&request) });
            let verdict = TlsRequired.observe(&fact, Duration::ZERO);
            assert_eq!(matches!(verdict, Verdict::Refuse(Refusal { status: 403, .. })), refused);
            let fact = RequestFact { head: &request.head, tls, tls_offered, host: None };
            let verdict = TlsRequired.observe(&Fact::Request(fact), Duration::ZERO);
            assert_eq!(matches!(verdict, Verdict::Refuse(Refusal { status: 308, .. })), refused);
            let mut head = request.head.clone();
            head.method = "POST".to_owned();
            let fact = RequestFact { head: &head, tls, tls_offered, host: None };
            let verdict = TlsRequired.observe(&Fact::Request(fact), Duration::ZERO);
            assert_eq!(matches!(verdict, Verdict::Refuse(Refusal { status: 403, .. })), refused);
        };
        check(false, true, true);
        check(true, true, false);
        check(false, false, false);
    }
}

//! `upstream-tls`: the way to the application is as safe as the way to the gateway.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_model::{Mode, Rule, rule};

use crate::{Defence, Fact, Guard, Refusal, UpstreamFact, Verdict};

rule! {
    /// # What it does
    /// Before a byte is sent to the application: verifies its certificate where the upstream is `wss://` (name, issuer,
    /// time), and refuses an upstream that is `ws://` beyond this machine unless the route says `cleartext_upstream = true`,
    /// which `check` then reports. The client is refused with 502.
    ///
    /// Off, an application whose certificate is wrong is talked to all the same.
    ///
    /// # Why is this bad
    /// TLS that ends at the proxy leaves the rest of the way open: whoever is on the network behind it reads the sessions and
    /// messages of all users and changes them, and a certificate that nobody verifies lets them pose as the application.
    ///
    /// # How to fix
    /// Give the application a certificate (an internal authority will do) and name it in the route:
    ///
    /// ```toml
    /// upstream = "wss://app.internal:8443"
    /// upstream_ca = "internal-ca.pem"
    /// ```
    ///
    /// In nginx, `proxy_pass https://…` verifies nothing by itself:
    ///
    /// ```nginx
    /// proxy_ssl_verify on;
    /// proxy_ssl_trusted_certificate internal-ca.pem;
    /// proxy_ssl_name app.internal;
    /// ```
    pub static RULE = Defence {
        id: "upstream-tls",
        summary: "the application is reached over verified TLS or on this machine",
        severity: High,
        threats: [T8],
        cwe: [319, 295],
        references: ["OWASP Top 10 A02:2021", "RFC 9110 §17.1"],
        lifecycle: Stable,
        counterparts: ["cleartext-transport"],
        profile: Passive,
        may_change: "nothing while the application's certificate is right",
    }
}

/// `upstream-tls`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTlsConfig {
    /// off, observe or block.
    pub mode: Mode,
}

/// Refuses an application that cannot be reached safely.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamTls {
    cleartext_allowed: bool,
}

impl UpstreamTls {
    /// Makes the defence of one route; `cleartext_allowed` is its `cleartext_upstream`.
    pub const fn new(cleartext_allowed: bool) -> Self {
        Self { cleartext_allowed }
    }
}

impl Defence for UpstreamTls {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn guard(&self) -> Box<dyn Guard> {
        Box::new(*self)
    }
}

impl Guard for UpstreamTls {
    fn observe(&mut self, fact: &Fact<'_>, _now: Duration) -> Verdict {
        let reason = match fact {
            Fact::Upstream(UpstreamFact { certificate_problem: Some(problem), .. }) => (*problem).to_owned(),
            Fact::Upstream(UpstreamFact { tls: false, loopback: false, .. }) if !self.cleartext_allowed => {
                "the upstream is cleartext beyond this machine".to_owned()
            }
            Fact::Upstream(_)
            | Fact::Request(_)
            | Fact::Handshake(_)
            | Fact::Answer(_)
            | Fact::Frame { .. }
            | Fact::Inflated { .. }
            | Fact::Open(_)
            | Fact::Content { .. }
            | Fact::Violation { .. } => return Verdict::Pass,
        };
        Verdict::Refuse(Refusal { status: 502, reason, told: "the application cannot be reached safely" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_application_is_verified_tls_or_loopback() {
        let check = |tls, loopback, certificate_problem, cleartext_allowed, refused| {
            let fact = Fact::Upstream(UpstreamFact { tls, loopback, certificate_problem });
            let verdict = UpstreamTls::new(cleartext_allowed).observe(&fact, Duration::ZERO);
            assert_eq!(verdict != Verdict::Pass, refused);
        };
        check(true, false, None, false, false);
        check(true, false, Some("expired"), false, true);
        check(true, true, Some("expired"), true, true);
        check(false, false, None, false, true);
        check(false, false, None, true, false);
        check(false, true, None, false, false);
    }
}

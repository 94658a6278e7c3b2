//! `cleartext-transport`: the endpoint opens WebSockets without TLS.

use std::sync::Arc;

use sockwarden_model::{Confidence, Rule, Severity, rule};

use crate::{
    check::{Check, Conclusion, Machine, Scene, Step},
    dice::Dice,
    exchange::Exchange,
    survey::Who,
};

rule! {
    /// # What it does
    /// Looks whether the endpoint opens a WebSocket over plain TCP (`ws://`). A redirect or a refusal is as it should be. A
    /// loopback address is reported like any other, and the summary says so.
    ///
    /// # Why is this bad
    /// Everyone on the path reads and changes every message, the cookie of the handshake included: on the same Wi-Fi, at the
    /// provider, or between a proxy and the application behind it. Masking (RFC 6455 §5.3) is no encryption: its key
    /// travels with the frame. A page served over `https:` cannot even open it.
    ///
    /// # How to fix
    /// Serve WebSockets over TLS only (`wss://`), answer plain requests with a redirect or 426, and send HSTS. Encrypt the way
    /// from the proxy to the application as well unless both are on one machine.
    ///
    /// nginx:
    /// ```nginx
    /// server { listen 80;  return 308 https://$host$request_uri; }
    /// server {
    ///     listen 443 ssl;
    ///     location /ws {
    ///         proxy_pass https://app.internal:8443;
    ///         proxy_ssl_verify on;
    ///         proxy_http_version 1.1;
    ///         proxy_set_header Upgrade $http_upgrade;
    ///         proxy_set_header Connection "upgrade";
    ///     }
    /// }
    /// ```
    /// Node (ws, Socket.IO):
    /// ```js
    /// const server = https.createServer({ cert, key }, app);
    /// new WebSocketServer({ server });   // new Server(server) for Socket.IO
    /// ```
    /// Spring: `server.ssl.*` and `http.requiresChannel(c -> c.anyRequest().requiresSecure())`. Django:
    /// `SECURE_SSL_REDIRECT = True`, `SESSION_COOKIE_SECURE = True`. ASP.NET: `app.UseHsts(); app.UseHttpsRedirection();`.
    /// Go: `http.ListenAndServeTLS`. Give session cookies the `Secure` attribute everywhere.
    pub(crate) static RULE = Check {
        id: "cleartext-transport",
        summary: "WebSockets are opened without TLS",
        severity: High,
        threats: [T4, T8],
        cwe: [319],
        references: [
            "RFC 6455 §10.6",
            "OWASP ASVS 5.0 V4.4.1",
            "OWASP Top 10 A02:2021",
            "https://cheatsheetseries.owasp.org/cheatsheets/WebSocket_Security_Cheat_Sheet.html",
        ],
        lifecycle: Preview,
        counterparts: ["tls-required", "upstream-tls"],
        profile: Passive,
        may_change: "nothing: it opens the connection as any client does",
    }
}

pub(crate) struct CleartextTransport;

impl Check for CleartextTransport {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn start(&self, scene: Arc<Scene>, _dice: Dice) -> Box<dyn Machine> {
        Box::new(Judge { scene })
    }
}

/// All that it needs to know the survey has seen.
struct Judge {
    scene: Arc<Scene>,
}

impl Machine for Judge {
    fn next(&mut self, _exchange: &Exchange) -> Step {
        let target = &self.scene.target;
        if target.url.tls {
            return Conclusion::clean().into();
        }
        let visits = &self.scene.survey.visits;
        // The visit that exposes the most: one that carries credentials.
        let upgraded = visits.iter().filter(|visit| visit.connection.is_upgraded());
        let exposed = upgraded.max_by_key(|visit| visit.who != Who::Anonymous);
        let Some(visit) = exposed else {
            return Conclusion::clean().with_remark("no WebSocket was opened without TLS").into();
        };
        let (severity, what) = match visit.who {
            Who::Identity(_) => {
                (Severity::High, "credentials and all messages travel readable and changeable")
            }
            Who::Anonymous => (Severity::Medium, "all messages travel readable and changeable"),
        };
        let place = if target.url.is_loopback() {
            " (a loopback address: it matters where others reach it by another way)"
        } else {
            ""
        };
        let summary = format!("a WebSocket is opened without TLS: {what}{place}");
        let finding = self.scene.finding(&RULE, "", Confidence::Proven, summary).with_severity(severity);
        Conclusion::found(vec![finding.with_evidence(self.scene.evidence(&visit.connection))]).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, servers};

    #[test]
    fn it_fires_on_plain_tcp_and_not_on_tls_or_a_refusal() {
        let check = |bench: &Bench, expected: &[Severity]| {
            assert_eq!(bench.severities(&CleartextTransport), expected, "{}", bench.name());
        };
        check(&Bench::new("ws://app.example/", servers::echo()), &[Severity::Medium]);
        check(&Bench::new("ws://127.0.0.1/", servers::silent()), &[Severity::Medium]);
        check(&Bench::new("ws://app.example/", servers::chat()), &[Severity::Medium]);
        check(&Bench::new("ws://app.example/", servers::correct()).as_mara(), &[Severity::High]);
        check(&Bench::new("ws://app.example/", servers::echo()).as_mara(), &[Severity::High]);
        check(&Bench::new("wss://app.example/", servers::echo()), &[]);
        check(&Bench::new("wss://app.example/", servers::silent()), &[]);
        check(&Bench::new("wss://app.example/", servers::correct()).as_mara(), &[]);
        check(&Bench::new("ws://app.example/", servers::refusing(426)), &[]);
    }
}

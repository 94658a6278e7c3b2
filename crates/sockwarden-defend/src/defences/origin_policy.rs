//! `origin-policy`: pages of other sites do not open sockets with the visitor's cookies.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_model::{Mode, Rule, printable, rule};
use sockwarden_proto::{Origin, OriginHeader, handshake::Headers};

use crate::{Defence, Fact, Guard, HandshakeFact, Refusal, RequestFact, Verdict};

rule! {
    /// # What it does
    /// Compares the Origin header by scheme, host and port with the origins that the route allows; without such a list, with
    /// the handshake's own Host. Another origin is refused with 403, and so are `null` and what no browser would send, unless
    /// the route says otherwise. A missing Origin is allowed by default: only clients other than browsers leave it out.
    ///
    /// On a route with `http = "pass"` it judges ordinary requests whose method may change something (any but GET, HEAD and
    /// OPTIONS) in the same way. What a GET does, and what other origins may read (CORS), stays the application's business.
    ///
    /// The header is advisory. It protects a browser's user from other sites' pages; any other client sets it at will, so it
    /// never authenticates anybody.
    ///
    /// # Why is this bad
    /// A browser sends the visitor's cookies with a WebSocket handshake to any site, whoever's page asks for it, and the
    /// same-origin policy does not apply. A server that authenticates by cookie and does not look at the Origin gives every
    /// web page on the internet a two-way connection in its visitors' names (cross-site WebSocket hijacking).
    ///
    /// # How to fix
    /// Compare the Origin with a list, exactly: no prefix, suffix, substring or unanchored expression. Set session cookies
    /// `SameSite=Lax` or `Strict`, and ask for a token that a foreign page cannot know.
    ///
    /// ```js
    /// const allowed = new Set(["https://app.example"]);
    /// new WebSocketServer({ server, verifyClient: ({ origin }) => allowed.has(origin) });
    /// ```
    ///
    /// ```java
    /// registry.addHandler(handler, "/ws").setAllowedOrigins("https://app.example"); // Spring
    /// ```
    ///
    /// ```python
    /// application = AllowedHostsOriginValidator(URLRouter(routes))  # Django Channels
    /// ```
    ///
    /// ```go
    /// upgrader.CheckOrigin = func(r *http.Request) bool { return r.Header.Get("Origin") == "https://app.example" }
    /// ```
    pub static RULE = Defence {
        id: "origin-policy",
        summary: "handshakes from pages of other origins are refused",
        severity: High,
        threats: [T7],
        cwe: [1385, 346],
        references: ["RFC 6455 §10.2", "OWASP ASVS 5.0 V4.4.2", "OWASP WSTG-CLNT-10"],
        lifecycle: Stable,
        counterparts: ["origin-not-checked"],
        profile: Passive,
        may_change: "pages of origins that are not listed cannot connect",
    }
}

/// `origin-policy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OriginPolicyConfig {
    /// off, observe or block.
    pub mode: Mode,
    /// The origins whose pages may connect, such as `https://app.example` or `https://*.app.example` for every sub-domain.
    /// Empty: only pages from the host and port that the handshake itself names, over the same security.
    pub allow: Vec<OriginPattern>,
    /// Whether a handshake without Origin may connect; browsers always send one.
    pub allow_missing: bool,
    /// Whether `Origin: null` may connect: sandboxed frames and local files send it, and any attacker can make a browser send it.
    pub allow_null: bool,
}

impl Default for OriginPolicyConfig {
    fn default() -> Self {
        Self { mode: Mode::Block, allow: Vec::new(), allow_missing: true, allow_null: false }
    }
}

/// An origin, or every sub-domain of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct OriginPattern {
    origin: Origin,
    subdomains: bool,
}

impl OriginPattern {
    fn allows(&self, origin: &Origin) -> bool {
        if !self.subdomains {
            return *origin == self.origin;
        }
        (&origin.scheme, origin.port) == (&self.origin.scheme, self.origin.port)
            && origin
                .host
                .strip_suffix(&self.origin.host)
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
    }
}

impl std::str::FromStr for OriginPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let subdomains = text.contains("://*.");
        let origin = text.replacen("://*.", "://", 1).parse::<Origin>().map_err(|e| e.to_string())?;
        Ok(Self { origin, subdomains })
    }
}

impl TryFrom<String> for OriginPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<OriginPattern> for String {
    fn from(pattern: OriginPattern) -> Self {
        let text = pattern.origin.to_string();
        if pattern.subdomains { text.replacen("://", "://*.", 1) } else { text }
    }
}

/// Refuses pages of other origins.
#[derive(Clone, Debug)]
pub struct OriginPolicy {
    config: std::sync::Arc<OriginPolicyConfig>,
}

impl OriginPolicy {
    /// Makes the defence of one route.
    pub fn new(config: &OriginPolicyConfig) -> Self {
        Self { config: std::sync::Arc::new(config.clone()) }
    }

    /// Tells what is wrong with the Origin of a handshake or a request.
    fn objection(&self, headers: &Headers, tls: bool, host: Option<&str>) -> Option<String> {
        let Some(value) = headers.first("origin") else {
            return (!self.config.allow_missing).then(|| "there is no Origin".to_owned());
        };
        let allowed = match OriginHeader::parse(value) {
            OriginHeader::Null => self.config.allow_null,
            OriginHeader::Malformed => false,
            OriginHeader::Origin(origin) if self.config.allow.is_empty() => {
                let scheme = if tls { "https" } else { "http" };
                let host = host.unwrap_or_default();
                format!("{scheme}://{host}").parse() == Ok(origin)
            }
            OriginHeader::Origin(origin) => self.config.allow.iter().any(|pattern| pattern.allows(&origin)),
        };
        (!allowed).then(|| format!("Origin `{}` is not allowed", printable(value, 100)))
    }
}

impl Defence for OriginPolicy {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn guard(&self) -> Box<dyn Guard> {
        Box::new(self.clone())
    }
}

impl Guard for OriginPolicy {
    fn observe(&mut self, fact: &Fact<'_>, _now: Duration) -> Verdict {
        match fact {
            Fact::Handshake(HandshakeFact { request, tls, host, .. }) => refuse(
                self.objection(&request.head.headers, *tls, *host),
                "pages of this origin may not connect",
            ),
            Fact::Request(RequestFact { head, .. }) if is_safe(&head.method) => Verdict::Pass,
            Fact::Request(RequestFact { head, tls, host, .. }) => {
                refuse(self.objection(&head.headers, *tls, *host), "pages of this origin may not send that")
            }
            Fact::Answer(_)
            | Fact::Upstream(_)
            | Fact::Frame { .. }
            | Fact::Inflated { .. }
            | Fact::Open(_)
            | Fact::Content { .. }
            | Fact::Violation { .. } => Verdict::Pass,
        }
    }
}

fn refuse(objection: Option<String>, told: &'static str) -> Verdict {
    objection.map_or(Verdict::Pass, |reason| Verdict::Refuse(Refusal { status: 403, reason, told }))
}

/// Tells whether a method changes nothing, where an application keeps to RFC 9110 §9.2.1.
fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}

#[cfg(test)]
mod tests {
    use sockwarden_proto::handshake::Header;

    use super::*;
    use crate::defences::samples::{self, request};

    fn refuses(config: &OriginPolicyConfig, tls: bool, origin: &str) -> bool {
        let request = request(origin);
        let fact = Fact::Handshake(HandshakeFact { tls, tls_offered: tls, ..samples::handshake(&request) });
        OriginPolicy::new(config).observe(&fact, Duration::ZERO) != Verdict::Pass
    }

    #[test]
    fn without_a_list_only_the_same_host_may_connect() {
        let config = OriginPolicyConfig::default();
        let check = |origin: &str, refused| assert_eq!(refuses(&config, true, origin), refused, "{origin}");
        check("", false);
        check("Origin: https://app.example\r\n", false);
        check("Origin: https://APP.example:443\r\n", false);
        check("Origin: http://app.example\r\n", true);
        check("Origin: https://app.example:8443\r\n", true);
        check("Origin: https://app.example.evil.test\r\n", true);
        check("Origin: https://evilapp.example\r\n", true);
        check("Origin: https://appxexample\r\n", true);
        check("Origin: https://sub.app.example\r\n", true);
        check("Origin: https://app.example@evil.test\r\n", true);
        check("Origin: https://app.example_.evil.test\r\n", true);
        check("Origin: null\r\n", true);
        check("Origin: \r\n", true);
        assert!(!refuses(&config, false, "Origin: http://app.example\r\n"));
    }

    #[test]
    fn a_list_is_compared_exactly() {
        let allow =
            ["https://front.example", "https://*.wild.example:8443"].map(|o| o.parse().unwrap()).to_vec();
        let config = OriginPolicyConfig { allow, ..OriginPolicyConfig::default() };
        let check = |origin: &str, refused| {
            assert_eq!(refuses(&config, true, &format!("Origin: {origin}\r\n")), refused, "{origin}");
        };
        check("https://front.example", false);
        check("https://app.example", true);
        check("https://a.wild.example:8443", false);
        check("https://a.b.wild.example:8443", false);
        check("https://wild.example:8443", true);
        check("https://evilwild.example:8443", true);
        check("https://.wild.example:8443", true);
        check("https://a.wild.example", true);
    }

    #[test]
    fn a_missing_and_a_null_origin_are_a_choice() {
        let config =
            OriginPolicyConfig { allow_missing: false, allow_null: true, ..OriginPolicyConfig::default() };
        assert!(refuses(&config, true, ""));
        assert!(!refuses(&config, true, "Origin: null\r\n"));
    }

    #[test]
    fn a_request_that_may_change_something_is_judged_like_a_handshake() {
        let check = |method: &str, origin: &str, refused: bool| {
            let request = samples::altered("GET", method);
            let mut head = request.head;
            if !origin.is_empty() {
                head.headers.0.push(Header { name: "Origin".to_owned(), value: origin.into() });
            }
            let fact = RequestFact { head: &head, tls: true, tls_offered: true, host: Some("app.example") };
            let verdict = OriginPolicy::new(&OriginPolicyConfig::default())
                .observe(&Fact::Request(fact), Duration::ZERO);
            assert_eq!(verdict != Verdict::Pass, refused, "{method} from {origin}");
        };
        for safe in ["GET", "HEAD", "OPTIONS"] {
            check(safe, "https://evil.example", false);
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "get", "ANYTHING"] {
            check(method, "https://app.example", false);
            check(method, "", false);
            check(method, "https://evil.example", true);
            check(method, "null", true);
        }
    }
}

//! `cdp-refused`: no remote control of a browser by way of the gateway.

use std::{sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_inspect::{Anomaly, Operation, Protocol};
use sockwarden_model::{Direction, Mode, Rule, rule};
use sockwarden_proto::CloseCode;

use crate::{Closure, Content, Defence, Fact, Guard, Hears, Refusal, Verdict, reading::described};

rule! {
    /// # What it does
    /// Refuses the Chrome DevTools Protocol, by which browsers, Node.js and Deno are debugged: handshakes for a path with a segment `devtools`
    /// are answered 403, and a connection on which the client sends a command of it is closed. `allow = true` lets it through; `domains` lets
    /// through the commands of these domains alone, and leaves the others out while the session lives on.
    ///
    /// It is recognised by the path, by `inspect.protocol = "cdp"` or by one of the first messages. A service that speaks it under another path to
    /// a client which hides it is not recognised: give each service that speaks anything else a route of its own.
    ///
    /// # Why is this bad
    /// The protocol has no authentication. Whoever reaches it reads files (`Page.navigate` to `file:`), cookies and passwords, and runs code: in
    /// Node.js `Runtime.evaluate` is a shell. It is opened for a test or a crawler, and is reachable by whatever proxies everything.
    ///
    /// # How to fix
    /// Bind the port to the loopback address, and do not proxy it; where two programs on one machine talk, use a pipe:
    ///
    /// ```sh
    /// chrome --headless --remote-debugging-pipe     # no port at all
    /// node --inspect=127.0.0.1:9229 app.js          # never 0.0.0.0, and not in production
    /// ```
    ///
    /// ```toml
    /// [routes.cdp_refused]
    /// domains = ["Page", "Network"]   # where a route is for it: with authentication, and without Runtime, IO, Browser, Target
    /// ```
    pub static RULE = Defence {
        id: "cdp-refused",
        summary: "a browser is not remote-controlled by way of the gateway",
        severity: Critical,
        threats: [T1, T3],
        cwe: [306, 489],
        references: ["CWE-306", "CWE-489", "CVE-2018-7160"],
        lifecycle: Preview,
        counterparts: [],
        profile: Passive,
        may_change: "debuggers and automation of browsers cannot connect",
    }
}

/// `cdp-refused`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CdpRefusedConfig {
    /// off, observe or block.
    pub mode: Mode,
    /// Whether the protocol may be spoken.
    pub allow: bool,
    /// The domains whose commands may be sent, such as `Page`; they need no `allow`.
    pub domains: Vec<String>,
}

/// Refuses the Chrome DevTools Protocol.
#[derive(Clone, Debug)]
pub struct CdpRefused {
    allow: bool,
    domains: Arc<[String]>,
}

impl CdpRefused {
    /// Takes what is configured.
    pub fn new(config: &CdpRefusedConfig) -> Self {
        Self { allow: config.allow, domains: config.domains.clone().into() }
    }

    /// Judges something that the client does.
    fn judge(&self, does: impl FnOnce() -> String, domain: Option<&str>) -> Verdict {
        if self.domains.is_empty() {
            let told = "remote debugging is not allowed";
            return Verdict::Close(Closure { code: CloseCode::POLICY, reason: does(), told, limit: None });
        }
        if domain.is_some_and(|domain| self.domains.iter().any(|allowed| allowed == domain)) {
            return Verdict::Pass;
        }
        Verdict::Drop { reason: does() }
    }
}

/// Tells whether a path is one that browsers offer the protocol under.
fn is_debugger(target: &str) -> bool {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    path.split('/').any(|segment| segment == "devtools")
}

impl Defence for CdpRefused {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn hears(&self) -> Hears {
        if self.allow && self.domains.is_empty() {
            return Hears::NOTHING;
        }
        Hears::OPERATIONS | Hears::ANOMALIES
    }

    fn guard(&self) -> Box<dyn Guard> {
        Box::new(self.clone())
    }
}

impl Guard for CdpRefused {
    fn observe(&mut self, fact: &Fact<'_>, _now: Duration) -> Verdict {
        if self.allow && self.domains.is_empty() {
            return Verdict::Pass;
        }
        match fact {
            Fact::Handshake(handshake)
                if self.domains.is_empty() && is_debugger(&handshake.request.head.target) =>
            {
                let reason = "the path is one of the Chrome DevTools Protocol".to_owned();
                Verdict::Refuse(Refusal { status: 403, reason, told: "remote debugging is not allowed" })
            }
            Fact::Content {
                direction: Direction::Client,
                content:
                    Content::Operation(operation @ Operation { protocol: Protocol::Cdp, subject: domain, .. }),
            } => self.judge(|| format!("{} is not allowed", described(operation)), *domain),
            Fact::Content {
                direction: Direction::Client,
                content: Content::Anomaly(anomaly @ Anomaly::Breach(Protocol::Cdp, _), _),
            } => self.judge(|| format!("what it commands is not clear: {anomaly}"), None),
            Fact::Handshake(_)
            | Fact::Request(_)
            | Fact::Answer(_)
            | Fact::Upstream(_)
            | Fact::Open(_)
            | Fact::Frame { .. }
            | Fact::Inflated { .. }
            | Fact::Content { .. }
            | Fact::Violation { .. } => Verdict::Pass,
        }
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Direction::{Client, Server};

    use super::*;
    use crate::defences::samples::{altered, handshake, judge_texts, reasons};

    const EVALUATE: &str = r#"{"id":1,"method":"Runtime.evaluate","params":{"expression":"1"}}"#;
    const NAVIGATE: &str = r#"{"id":2,"method":"Page.navigate","params":{"url":"https://a.example/"}}"#;

    fn defence(allow: bool, domains: &[&str]) -> CdpRefused {
        let domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
        CdpRefused::new(&CdpRefusedConfig { allow, domains, ..Default::default() })
    }

    #[test]
    fn a_command_ends_the_connection_however_it_is_recognised() {
        for protocol in [None, Some(Protocol::Cdp)] {
            let verdicts = judge_texts(&defence(false, &[]), protocol, &[(Client, EVALUATE)]);
            assert!(matches!(&verdicts[..], [Verdict::Close(closure)] if closure.code == CloseCode::POLICY));
            assert_eq!(reasons(&verdicts), ["cdp: call `Runtime.evaluate` on `Runtime` is not allowed"]);
        }
        for other in
            [r#"{"id":1,"method":"login"}"#, r#"{"jsonrpc":"2.0","id":1,"method":"Page.enable"}"#, "hello"]
        {
            assert_eq!(judge_texts(&defence(false, &[]), None, &[(Client, other), (Server, other)]), []);
        }
        assert_eq!(judge_texts(&defence(true, &[]), None, &[(Client, EVALUATE)]), []);
    }

    #[test]
    fn commands_of_other_domains_are_left_out() {
        let unclear = r#"{"id":3,"method":7}"#;
        let messages = [(Client, NAVIGATE), (Client, EVALUATE), (Client, unclear)];
        let verdicts = judge_texts(&defence(false, &["Page"]), Some(Protocol::Cdp), &messages);
        assert!(matches!(&verdicts[..], [Verdict::Drop { .. }, Verdict::Drop { .. }]), "{verdicts:?}");
    }

    #[test]
    fn a_path_of_a_browser_is_refused() {
        let check = |path: &str, defence: CdpRefused, expected: bool| {
            let request = altered("/x", path);
            let verdict = defence.guard().observe(&Fact::Handshake(handshake(&request)), Duration::ZERO);
            assert_eq!(matches!(verdict, Verdict::Refuse(Refusal { status: 403, .. })), expected, "{path}");
        };
        check("/devtools/browser/4b", defence(false, &[]), true);
        check("/proxy/devtools/page/A?x=1", defence(false, &[]), true);
        check("/devtools/page/A", defence(true, &[]), false);
        check("/devtools/page/A", defence(false, &["Page"]), false);
        check("/mydevtools/a", defence(false, &[]), false);
        check("/chat?next=/devtools/page/A", defence(false, &[]), false);
    }
}

//! `handshake-not-strict`: malformed handshakes are accepted.

use std::{collections::BTreeSet, sync::Arc};

use sockwarden_model::{Confidence, Finding, Rule, Severity, rule};
use sockwarden_proto::handshake::ResponseViolation;

use crate::{
    check::{Check, Conclusion, Machine, Scene, Skip, Step},
    dice::Dice,
    exchange::{Connection, Exchange},
    malformed::{CASES, Case, Harm},
    survey::{Way, handshake_of},
    talk::{Opening, Talk},
};

rule! {
    /// # What it does
    /// Sends handshakes that are wrong in one place each, every one on its own connection, and lists those that are answered
    /// 101: the key missing, short, no base64 or repeated; the version missing, wrong or conflicting; no `Upgrade`; no
    /// `Connection`; POST; HTTP/1.0; two `Host` fields or none; a body announced; a blank before a colon; a folded field;
    /// lines that end in a line feed alone. It looks at the target's own answer too: an Accept value that does not follow
    /// from the key, a sub-protocol or an extension that was not offered.
    ///
    /// It is *low*: alone it harms nobody. *Medium* are a blank before a colon, which has
    /// carried smuggled requests, and a wrong Accept value.
    ///
    /// # Why is this bad
    /// The strictness of the handshake is what keeps other protocols from being talked into a WebSocket and a proxy from
    /// taking for an upgrade what the server behind it takes for something else: the way to smuggle requests past a check.
    /// A server whose Accept value is wrong, or is not looked at, may be a cache or an echo that never understood.
    ///
    /// # How to fix
    /// Let a current library do the handshake, reject what RFC 6455 §4.2.1 does not allow, and have the proxy in front normalise
    /// or refuse ambiguous heads (RFC 9112 §11.2).
    ///
    /// Node: leave `insecureHTTPParser` off; `ws` checks method, key and version itself:
    /// ```js
    /// server.on('upgrade', (req, socket, head) => {
    ///   if (head.length || req.headers['content-length'] || req.headers['transfer-encoding'])
    ///     return socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    ///   wss.handleUpgrade(req, socket, head, done);
    /// });
    /// ```
    /// Spring, Django Channels, ASP.NET SignalR, Go gorilla: do not parse the handshake by hand, keep the server up to date.
    /// nginx: leave `ignore_invalid_headers` on, and pass `Upgrade` on from the one location that needs it.
    pub(crate) static RULE = Check {
        id: "handshake-not-strict",
        summary: "malformed handshakes are accepted",
        severity: Low,
        threats: [T1],
        cwe: [20, 444],
        references: ["RFC 6455 §4.2", "RFC 9112 §11.2", "RFC 9110 §7.8"],
        lifecycle: Preview,
        counterparts: ["strict-handshake"],
        profile: Safe,
        may_change: "nothing: it opens connections and says nothing on them",
    }
}

pub(crate) struct HandshakeNotStrict;

impl Check for HandshakeNotStrict {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn start(&self, scene: Arc<Scene>, dice: Dice) -> Box<dyn Machine> {
        let way = scene.survey.way_in();
        let offers = !scene.target.subprotocols.is_empty();
        Box::new(Prober { scene, dice, way, offers })
    }
}

struct Prober {
    scene: Arc<Scene>,
    dice: Dice,
    way: Option<Way>,
    /// Whether sub-protocols were offered so far, so that a legal handshake without them is worth trying.
    offers: bool,
}

impl Machine for Prober {
    fn next(&mut self, exchange: &Exchange) -> Step {
        let Some(way) = self.way else {
            return Step::Skip(Skip::NoWayIn(self.scene.survey.refusal()));
        };
        let mut handshake = handshake_of(way, &self.scene.target, &mut self.dice);
        let made = exchange.connections.len();
        if let Some(case) = CASES.get(made) {
            let head = String::from_utf8_lossy(&handshake.encode()).into_owned();
            let opening = Opening::raw((case.change)(&head).into_bytes());
            return Step::Talk(Talk { title: case.title.to_owned(), opening, turns: Vec::new() });
        }
        if self.offers && made == CASES.len() {
            handshake.protocols.clear();
            let title = "a legal handshake that offers no sub-protocol".to_owned();
            return Step::Talk(Talk { title, opening: Opening::legal(handshake), turns: Vec::new() });
        }
        self.conclude(exchange).into()
    }
}

impl Prober {
    fn conclude(&self, exchange: &Exchange) -> Conclusion {
        let accepted = |harm: Harm| -> Vec<(&Case, &Connection)> {
            let asked = CASES.iter().zip(&exchange.connections);
            asked.filter(|(case, connection)| case.harm == harm && connection.is_upgraded()).collect()
        };
        let mut findings = Vec::new();
        for (harm, case, severity, what) in [
            (
                Harm::Smuggling,
                "ambiguous-head",
                Severity::Medium,
                "a head that two readers read differently is answered 101",
            ),
            (Harm::None, "lenient", Severity::Low, "malformed handshakes are answered 101"),
        ] {
            let accepted = accepted(harm);
            if accepted.is_empty() {
                continue;
            }
            let list: Vec<String> =
                accepted.iter().map(|(case, _)| format!("{} ({})", case.title, case.section)).collect();
            let summary = format!("{what}: {}", list.join(", "));
            let finding = self.scene.finding(&RULE, case, Confidence::Proven, summary);
            findings.push(
                accepted.iter().fold(finding.with_severity(severity), |finding, (_, connection)| {
                    finding.with_evidence(self.scene.evidence(connection))
                }),
            );
        }
        findings.extend(self.answers(exchange));
        Conclusion::found(findings)
    }

    /// Judges the target's answers to legal handshakes.
    fn answers(&self, exchange: &Exchange) -> Vec<Finding> {
        let visits = self.scene.survey.visits.iter().map(|visit| &visit.connection);
        let legal: Vec<&Connection> = visits.chain(exchange.connections.iter().skip(CASES.len())).collect();
        let mut findings = Vec::new();
        for (class, case, severity, what) in [
            (Class::Accept, "wrong-accept", Severity::Medium, "the handshake is not proved"),
            (Class::Offer, "not-offered", Severity::Low, "the answer chooses what was not offered"),
            (Class::Form, "malformed-answer", Severity::Low, "the answer is malformed"),
        ] {
            let guilty = |connection: &&&Connection| {
                connection.violations().iter().any(|violation| Class::of(violation) == class)
            };
            let Some(witness) = legal.iter().find(guilty) else { continue };
            let list: BTreeSet<String> = legal
                .iter()
                .flat_map(|connection| connection.violations())
                .filter(|violation| Class::of(violation) == class)
                .map(|violation| violation.to_string())
                .collect();
            let list: Vec<String> = list.into_iter().collect();
            let summary = format!("{what}: {} (RFC 6455 §4.1)", list.join(", "));
            let finding = self.scene.finding(&RULE, case, Confidence::Proven, summary);
            findings.push(finding.with_severity(severity).with_evidence(self.scene.evidence(witness)));
        }
        findings
    }
}

/// What kind of wrong an answer is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Accept,
    Offer,
    Form,
}

impl Class {
    const fn of(violation: &ResponseViolation) -> Self {
        match violation {
            ResponseViolation::AcceptMissing
            | ResponseViolation::AcceptRepeated
            | ResponseViolation::AcceptWrong => Self::Accept,
            ResponseViolation::ExtensionNotOffered
            | ResponseViolation::ProtocolNotOffered
            | ResponseViolation::Deflate(_) => Self::Offer,
            ResponseViolation::Status(_)
            | ResponseViolation::HttpVersion
            | ResponseViolation::Upgrade
            | ResponseViolation::Connection
            | ResponseViolation::ProtocolRepeated
            | ResponseViolation::ExtensionsMalformed
            | ResponseViolation::Body => Self::Form,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        Bench,
        servers::{self, Server},
    };

    const URL: &str = "wss://app.example/ws";

    #[test]
    fn a_server_that_takes_anything_takes_every_case() {
        let sloppy = Server { strict_handshake: false, ..servers::echo() };
        let findings = Bench::new(URL, sloppy).findings(&HandshakeNotStrict);
        let cases: Vec<_> = findings.iter().map(|f| (f.case.as_str(), f.severity)).collect();
        assert_eq!(cases, [("ambiguous-head", Severity::Medium), ("lenient", Severity::Low)]);
        let all: String = findings.iter().map(|finding| finding.summary.as_str()).collect();
        for case in CASES {
            assert!(all.contains(case.title), "{} was not accepted", case.title);
        }
    }

    #[test]
    fn a_wrong_answer_is_named() {
        let check = |server: Server, expected: (&str, Severity)| {
            let expected = [(expected.0.to_owned(), expected.1)];
            assert_eq!(Bench::new(URL, server).cases(&HandshakeNotStrict), expected);
        };
        check(Server { right_accept: false, ..servers::echo() }, ("wrong-accept", Severity::Medium));
        check(
            Server { extra_header: "Sec-WebSocket-Protocol: mqtt\r\n", ..servers::echo() },
            ("not-offered", Severity::Low),
        );
        check(
            Server { extra_header: "Sec-WebSocket-Extensions: permessage-deflate\r\n", ..servers::echo() },
            ("not-offered", Severity::Low),
        );
        check(
            Server { extra_header: "Transfer-Encoding: chunked\r\n", ..servers::echo() },
            ("malformed-answer", Severity::Low),
        );
        // Answers the sub-protocol whether or not it is offered.
        let mut bench =
            Bench::new(URL, Server { extra_header: "Sec-WebSocket-Protocol: mqtt\r\n", ..servers::echo() });
        bench.target.subprotocols = vec!["mqtt".to_owned()];
        assert_eq!(bench.cases(&HandshakeNotStrict), [("not-offered".to_owned(), Severity::Low)]);
    }

    #[test]
    fn strict_servers_are_silent() {
        for server in [servers::echo(), servers::silent(), servers::chat()] {
            assert_eq!(Bench::new(URL, server).severities(&HandshakeNotStrict), []);
        }
        assert_eq!(Bench::new(URL, servers::correct()).as_mara().severities(&HandshakeNotStrict), []);
        let refused = Bench::new(URL, servers::refusing(401)).skip(&HandshakeNotStrict);
        assert_eq!(refused, Skip::NoWayIn("the handshake was answered 401".to_owned()));
    }
}

//! `frame-rules-broken`: illegal frames are processed.

use std::{sync::Arc, time::Duration};

use sockwarden_model::{Confidence, Rule, rule};
use sockwarden_proto::Violation;

use crate::{
    check::{Check, Conclusion, Machine, Scene, Skip, Step},
    dice::Dice,
    exchange::{Connection, End, Exchange},
    illegal::{CASES, Case, Sign},
    survey::{Way, handshake_of},
    talk::{Listen, Opening, Talk, Turn, Until},
};

rule! {
    /// # What it does
    /// Sends illegal frames, each on its own connection and on the wire as such: reserved bits, reserved opcodes, an unmasked
    /// frame, lengths with the top bit set or longer than need be, oversize and fragmented control frames, text that is no
    /// UTF-8, malformed close frames, a continuation of nothing, a message inside a message. A ping follows each. The target
    /// must fail the connection (close code 1002 or 1007, or drop it); that it answers the ping, or returns the malformed
    /// close code, shows that the frame was processed.
    ///
    /// # Why is this bad
    /// Two readers that disagree about what a frame is see different messages: what a filter in front takes for padding is a
    /// command behind it. Unmasked frames let a script choose the bytes on the wire (RFC 6455 §10.3); text that is no UTF-8
    /// breaks whoever trusted it.
    ///
    /// # How to fix
    /// Use a current library and leave its checks on; let a strict proxy stand in front of what cannot be updated.
    ///
    /// ```js
    /// new WebSocketServer({ skipUTF8Validation: false });   // Node, ws: the default
    /// ```
    /// Socket.IO: the same through `new Server(server, { wsEngine })`. Spring: keep the container (Tomcat, Jetty) up to date. Django
    /// Channels: keep `autobahn` and `websockets` up to date. ASP.NET SignalR: nothing to set. Go: prefer `coder/websocket`
    /// or a current `gorilla/websocket`, and handle the error that `ReadMessage` returns by closing. nginx passes frames
    /// unseen: it does not help here.
    pub(crate) static RULE = Check {
        id: "frame-rules-broken",
        summary: "illegal frames are processed",
        severity: Low,
        threats: [T5],
        cwe: [20],
        references: ["RFC 6455 §5", "RFC 6455 §7.4", "RFC 6455 §8.1", "RFC 6455 §10.7"],
        lifecycle: Preview,
        counterparts: ["protocol-rules"],
        profile: Safe,
        may_change: "nothing in a server that refuses illegal frames; another may take a short text for a message",
    }
}

/// How long a target may take to answer a ping.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How many transcripts go into the finding.
const EVIDENCE: usize = 8;

pub(crate) struct FrameRulesBroken;

impl Check for FrameRulesBroken {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn start(&self, scene: Arc<Scene>, dice: Dice) -> Box<dyn Machine> {
        let way = scene.survey.way_in();
        Box::new(Breaker { scene, dice, way, marks: Vec::new() })
    }
}

struct Breaker {
    scene: Arc<Scene>,
    dice: Dice,
    way: Option<Way>,
    /// The payload of the ping that follows, one for each connection; the first connection is a control without a fault.
    marks: Vec<Vec<u8>>,
}

impl Machine for Breaker {
    fn next(&mut self, exchange: &Exchange) -> Step {
        let Some(way) = self.way else {
            return Step::Skip(Skip::NoWayIn(self.scene.survey.refusal()));
        };
        if let Some(shut) = exchange.last().filter(|last| !last.is_upgraded()) {
            return Step::Skip(shut.overloaded());
        }
        if let (Some(control), Some(mark)) = (exchange.connections.first(), self.marks.first())
            && !control.has_pong(mark)
        {
            return Step::Skip(Skip::Silent);
        }
        let made = exchange.connections.len();
        let case = match made.checked_sub(1).map(|index| CASES.get(index)) {
            None => None,
            Some(Some(case)) => Some(case),
            Some(None) => return self.conclude(exchange).into(),
        };
        let handshake = handshake_of(way, &self.scene.target, &mut self.dice);
        let mark = self.dice.word().into_bytes();
        let Turn::Send(ping) = Turn::ping(&mark, &mut self.dice) else {
            return Conclusion::clean().into();
        };
        let illegal = case.map(|case| (case.frames)(&mut self.dice)).unwrap_or_default();
        // One write, so that a server cannot answer the ping before it has seen the fault.
        let turns = vec![
            Turn::Send([illegal, ping].concat()),
            Turn::Listen(Listen { until: Until::Pong(mark.clone()), at_most: PATIENCE }),
            // A library may answer pings while the application's side is still failing the connection.
            Turn::Listen(Listen { until: Until::Quiet(Turn::QUIET), at_most: PATIENCE }),
        ];
        self.marks.push(mark);
        let title = case.map_or("a legal ping", |case| case.title).to_owned();
        Step::Talk(Talk { title, opening: Opening::legal(handshake), turns })
    }
}

impl Breaker {
    fn conclude(&self, exchange: &Exchange) -> Conclusion {
        let asked = || CASES.iter().zip(exchange.connections.iter().zip(&self.marks).skip(1));
        let broken: Vec<(&Case, &Connection)> = asked()
            .filter(|(case, (connection, mark))| was_processed(case, connection, mark))
            .map(|(case, (connection, _))| (case, connection))
            .collect();
        let unclear: Vec<&str> = asked()
            .filter(|(case, (connection, mark))| {
                connection.is_open() && !was_processed(case, connection, mark)
            })
            .map(|(case, _)| case.title)
            .collect();
        let mut conclusion = Conclusion::clean();
        if !unclear.is_empty() {
            conclusion = conclusion.with_remark(format!(
                "neither an answer nor the end of the connection within {} ms after: {}",
                PATIENCE.as_millis(),
                unclear.join(", ")
            ));
        }
        if !broken.is_empty() {
            let list: Vec<String> =
                broken.iter().map(|(case, _)| format!("{} ({})", case.title, case.section)).collect();
            let summary = format!("illegal frames are processed: {}", list.join(", "));
            let finding = self.scene.finding(&RULE, "", Confidence::Proven, summary);
            let with_evidence = broken.iter().take(EVIDENCE).fold(finding, |finding, (_, connection)| {
                finding.with_evidence(self.scene.evidence(connection))
            });
            conclusion.findings.push(with_evidence);
        }
        conclusion
    }
}

/// Tells whether the target processed an illegal frame instead of failing the connection.
fn was_processed(case: &Case, connection: &Connection, mark: &[u8]) -> bool {
    match case.sign {
        // A pong may come back as oversize or fragmented as the ping was.
        Sign::Pong => {
            let alike = [Violation::OversizeControl, Violation::FragmentedControl];
            connection.has_pong(mark) && connection.is_open()
                || matches!(connection.end(), Some(End::Violation(own)) if alike.contains(&own))
        }
        Sign::ClosedAlike(violation) => connection.end() == Some(End::Violation(violation)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        Bench,
        servers::{self, Server},
    };
    use sockwarden_model::Severity;

    const URL: &str = "wss://app.example/ws";

    #[test]
    fn a_server_that_takes_any_frame_is_found_and_each_rule_named() {
        let sloppy = Server { strict_frames: false, ..servers::echo() };
        let findings = Bench::new(URL, sloppy).findings(&FrameRulesBroken);
        assert_eq!(findings.iter().map(|f| f.severity).collect::<Vec<_>>(), [Severity::Low]);
        for case in CASES {
            assert!(findings[0].summary.contains(case.title), "{} was not processed", case.title);
        }
        assert_eq!(findings[0].evidence.len(), EVIDENCE);
    }

    #[test]
    fn strict_servers_are_silent() {
        for server in [servers::echo(), servers::silent(), servers::chat()] {
            assert_eq!(Bench::new(URL, server).severities(&FrameRulesBroken), []);
        }
        assert_eq!(Bench::new(URL, servers::correct()).as_mara().severities(&FrameRulesBroken), []);
    }

    #[test]
    fn what_answers_no_ping_cannot_be_tested() {
        let mute = Server { pongs: false, ..servers::silent() };
        assert_eq!(Bench::new(URL, mute).skip(&FrameRulesBroken), Skip::Silent);
    }
}

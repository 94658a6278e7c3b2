//! `compression-bomb-accepted`: a small message is inflated to any size.

use std::{sync::Arc, time::Duration};

use sockwarden_model::{Confidence, Finding, Rule, rule};
use sockwarden_proto::{MessageKind, Role, Transmitter, deflate::Agreement};

use crate::{
    check::{Check, Conclusion, Machine, Scene, Skip, Step},
    dice::Dice,
    exchange::{Connection, Exchange},
    load::{bytes, ending},
    survey::{Way, handshake_of},
    talk::{Listen, Opening, Talk, Turn, Until},
};

rule! {
    /// # What it does
    /// Offers permessage-deflate. Where the target agrees to it, a text of 1 MiB of one letter is sent, compressed to about 1 KiB,
    /// and on another connection one of 8 MiB, compressed to about 8 KiB, unless the user allows no message of that size. A size
    /// counts as inflated when the target answers a ping afterwards. It is a finding when the longest is.
    ///
    /// # Why is this bad
    /// DEFLATE makes a thousand bytes out of one. A limit on what arrives says nothing about what it becomes: who may send 64 KiB
    /// fills 64 MiB, with each message, on each connection, from a line that is slow.
    ///
    /// # How to fix
    /// Limit what a message holds once it is inflated, not only what is on the wire, and close with 1009 beyond it; or do without
    /// compression, which small messages gain little from:
    ///
    /// ```js
    /// new WebSocketServer({ perMessageDeflate: false });                      // Node, ws: the default
    /// new WebSocketServer({ perMessageDeflate: true, maxPayload: 64 * 1024 }); // counts inflated bytes
    /// ```
    ///
    /// ```python
    /// websockets.serve(handler, host, port, max_size=64 * 1024)  # counts inflated bytes; compression=None turns it off
    /// ```
    ///
    /// Java, Jetty: `setMaxTextMessageSize`. Go, coder/websocket: `conn.SetReadLimit` counts inflated bytes; gorilla: its
    /// `SetReadLimit` counts what is on the wire, so read through an `io.LimitReader`.
    pub(crate) static RULE = Check {
        id: "compression-bomb-accepted",
        summary: "a small compressed message is inflated to any size",
        severity: Medium,
        threats: [T2],
        cwe: [409, 770],
        references: [
            "RFC 7692 §8",
            "RFC 6455 §10.4",
            "https://cheatsheetseries.owasp.org/cheatsheets/WebSocket_Security_Cheat_Sheet.html",
        ],
        lifecycle: Preview,
        counterparts: ["frame-limits"],
        profile: Intrusive,
        may_change: "it may cost the target the memory of two messages of together 9 MiB, and what it does with them",
    }
}

/// What a message holds, in bytes.
const SIZES: [usize; 2] = [1 << 20, 8 << 20];
/// How long a target may work on one message before it counts as stalled.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct CompressionBombAccepted;

impl Check for CompressionBombAccepted {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn loads(&self) -> bool {
        true
    }

    fn start(&self, scene: Arc<Scene>, dice: Dice) -> Box<dyn Machine> {
        let way = scene.survey.way_in();
        let sizes = SIZES.into_iter().filter(|&size| size <= scene.max_size).collect();
        Box::new(Bomber { scene, dice, way, sizes, sent: Vec::new(), marks: Vec::new() })
    }
}

struct Bomber {
    scene: Arc<Scene>,
    dice: Dice,
    way: Option<Way>,
    sizes: Vec<usize>,
    /// How many bytes each message was on the wire.
    sent: Vec<usize>,
    /// The payload of the ping that follows, one for each connection; the first is a control without a message.
    marks: Vec<Vec<u8>>,
}

impl Machine for Bomber {
    fn next(&mut self, exchange: &Exchange) -> Step {
        let Some(way) = self.way else {
            return Step::Skip(Skip::NoWayIn(self.scene.survey.refusal()));
        };
        if self.sizes.is_empty() {
            return Step::Skip(Skip::TooLong { needed: SIZES[0], allowed: self.scene.max_size });
        }
        let Some(last) = exchange.last() else { return self.open(way) };
        let Some(agreement) = last.agreement() else {
            return match last.is_upgraded() && self.marks.is_empty() {
                true => Step::Skip(Skip::NoCompression),
                false => Step::Skip(last.overloaded()),
            };
        };
        let made = exchange.connections.len();
        if self.marks.len() < made {
            return self.send(&agreement);
        }
        let answered = self.marks.last().is_some_and(|mark| last.has_pong(mark));
        match (made - 1, answered) {
            (0, false) => Step::Skip(Skip::Silent),
            (done, true) if done < self.sizes.len() => self.open(way),
            (_, true | false) => self.conclude(last, answered).into(),
        }
    }
}

impl Bomber {
    fn open(&mut self, way: Way) -> Step {
        let mut handshake = handshake_of(way, &self.scene.target, &mut self.dice);
        handshake.extensions.push("permessage-deflate".to_owned());
        let title = match self.marks.len().checked_sub(1) {
            None => "a ping alone, compression offered".to_owned(),
            Some(done) => format!("a compressed message that holds {}", bytes(self.sizes[done])),
        };
        Step::Talk(Talk { title, opening: Opening::legal(handshake), turns: Vec::new() })
    }

    /// Sends the next message, none on the first connection, and a ping.
    fn send(&mut self, agreement: &Agreement) -> Step {
        let mut turns = Vec::new();
        if let Some(done) = self.marks.len().checked_sub(1) {
            let (mut payload, mut frame) = (Vec::new(), Vec::new());
            agreement.deflater(Role::Client).deflate(&vec![b'a'; self.sizes[done]], &mut payload);
            let transmitter = Transmitter::new(Role::Client);
            transmitter.compressed(MessageKind::Text, &payload, &mut self.dice, &mut frame);
            self.sent.push(payload.len());
            turns.push(Turn::Send(frame));
        }
        let mark = self.dice.word().into_bytes();
        turns.push(Turn::ping(&mark, &mut self.dice));
        turns.push(Turn::Listen(Listen { until: Until::Pong(mark.clone()), at_most: PATIENCE }));
        turns.push(Turn::farewell(&mut self.dice));
        self.marks.push(mark);
        Step::More(turns)
    }

    fn conclude(&self, last: &Connection, answered: bool) -> Conclusion {
        let Some(at) = self.sent.len().checked_sub(1) else { return Conclusion::clean() };
        let (holds, sent) = (bytes(self.sizes[at]), self.sent[at]);
        if answered {
            let confidence =
                if self.sizes.len() == SIZES.len() { Confidence::Proven } else { Confidence::Firm };
            let summary = format!("a message of {sent} bytes is inflated to {holds}");
            return Conclusion::found(vec![self.finding("", confidence, summary, last)]);
        }
        if last.is_open() {
            let summary = format!(
                "a message of {sent} bytes that holds {holds} stalls the connection: no pong within {} s",
                PATIENCE.as_secs()
            );
            return Conclusion::found(vec![self.finding("stalled", Confidence::Firm, summary, last)]);
        }
        let how = ending(last, last.last_sent_at().unwrap_or_default());
        let remark = match at.checked_sub(1) {
            None => format!("a message of {sent} bytes that holds {holds} is refused: {how}"),
            Some(before) => {
                format!(
                    "one that holds {} is inflated, one of {holds} is refused: {how}",
                    bytes(self.sizes[before])
                )
            }
        };
        Conclusion::clean().with_remark(remark)
    }

    fn finding(&self, case: &str, confidence: Confidence, summary: String, last: &Connection) -> Finding {
        self.scene.finding(&RULE, case, confidence, summary).with_evidence(self.scene.evidence(last))
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Severity;

    use super::*;
    use crate::testing::{
        Bench,
        servers::{self, Server},
    };

    const URL: &str = "wss://app.example/ws";

    /// Inflates messages of so many bytes; what is on the wire may be 64 KiB.
    fn inflating(inflates: u64, server: Server) -> Server {
        Server { inflates: Some(inflates), ..server }
    }

    #[test]
    fn it_fires_where_anything_is_inflated() {
        for server in [servers::echo(), servers::chat(), servers::silent()] {
            let findings = Bench::new(URL, inflating(1 << 30, server)).findings(&CompressionBombAccepted);
            assert_eq!(
                (findings[0].severity, findings[0].confidence),
                (Severity::Medium, Confidence::Proven)
            );
            let summary = &findings[0].summary;
            assert!(
                summary.starts_with("a message of 8") && summary.ends_with(" bytes is inflated to 8 MiB"),
                "{summary}"
            );
        }
        let short = Bench::new(URL, inflating(1 << 30, servers::echo())).up_to(2 << 20);
        assert_eq!(short.findings(&CompressionBombAccepted)[0].confidence, Confidence::Firm);
    }

    #[test]
    fn a_limit_is_measured_and_no_finding() {
        let check = |limit, expected: &str| {
            for server in [servers::echo(), servers::chat(), servers::silent()] {
                let remarks = Bench::new(URL, inflating(limit, server)).remarks(&CompressionBombAccepted);
                assert!(remarks.len() == 1 && remarks[0].contains(expected), "{remarks:?}");
            }
        };
        check(64 << 10, " bytes that holds 1 MiB is refused: closed with 1009 after 0.00 s");
        check(1 << 20, "one that holds 1 MiB is inflated, one of 8 MiB is refused: closed with 1009 after");
    }

    #[test]
    fn what_cannot_be_told_is_skipped() {
        let check = |server, expected| {
            assert_eq!(Bench::new(URL, server).skip(&CompressionBombAccepted), expected);
        };
        check(servers::echo(), Skip::NoCompression);
        check(Server { pongs: false, ..inflating(1 << 30, servers::echo()) }, Skip::Silent);
        check(servers::correct(), Skip::NoWayIn("the handshake was answered 401".to_owned()));
        let small = Bench::new(URL, inflating(1 << 30, servers::echo())).up_to(1000);
        assert_eq!(small.skip(&CompressionBombAccepted), Skip::TooLong { needed: 1 << 20, allowed: 1000 });
    }
}

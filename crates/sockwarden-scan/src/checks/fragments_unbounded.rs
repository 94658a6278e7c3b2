//! `fragments-unbounded`: a message may come in any number of fragments.

use std::{sync::Arc, time::Duration};

use sockwarden_model::{Confidence, Finding, Rule, rule};
use sockwarden_proto::{Opcode, Role, Transmitter};

use crate::{
    check::{Check, Conclusion, Machine, Scene, Skip, Step},
    dice::Dice,
    exchange::{Connection, Exchange},
    load::ending,
    survey::{Way, handshake_of},
    talk::{Listen, Opening, Talk, Turn, Until},
};

rule! {
    /// # What it does
    /// Sends a text message in 1,000 fragments of one byte, then on another connection one in 10,000; and two more whose
    /// fragments are all empty but the last. It stops at the first of each that is refused. A number counts as taken in
    /// when the target answers a ping afterwards. It is a finding when 10,000 fragments are.
    ///
    /// # Why is this bad
    /// Limits on the size of a message do not see fragments that hold nothing. Each costs the server the reading of a header, often
    /// an allocation and an entry in a list that grows for as long as the message goes on, and where the list is joined anew with
    /// each fragment the time grows with the square of their number.
    ///
    /// # How to fix
    /// Bound the fragments of a message beside its size; no browser sends more than a few dozen:
    ///
    /// ```js
    /// new WebSocketServer({ maxPayload: 64 * 1024, maxFragments: 64 }); // Node, ws 8.23: its default is 16,384
    /// ```
    ///
    /// Most libraries have no such limit: count frames in front of the application, and the time that a message takes from its
    /// first fragment to its last.
    pub(crate) static RULE = Check {
        id: "fragments-unbounded",
        summary: "a message may come in any number of fragments",
        severity: Low,
        threats: [T2],
        cwe: [770, 400],
        references: ["RFC 6455 §5.4", "RFC 6455 §10.4"],
        lifecycle: Preview,
        counterparts: ["frame-limits"],
        profile: Intrusive,
        may_change: "it may cost the target time and memory, and it stores what the target stores of messages of 10,000 bytes",
    }
}

/// In how many fragments, and what they hold.
const TRIALS: [(usize, Kind); 4] =
    [(1_000, Kind::Tiny), (10_000, Kind::Tiny), (1_000, Kind::Empty), (10_000, Kind::Empty)];
const MOST: usize = 10_000;
/// How long a target may work on one message before it counts as stalled.
const PATIENCE: Duration = Duration::from_secs(20);

/// What fragments hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One byte each.
    Tiny,
    /// Nothing, but for the last.
    Empty,
}

pub(crate) struct FragmentsUnbounded;

impl Check for FragmentsUnbounded {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn loads(&self) -> bool {
        true
    }

    fn start(&self, scene: Arc<Scene>, dice: Dice) -> Box<dyn Machine> {
        let way = scene.survey.way_in();
        Box::new(Cutter { scene, dice, way, trials: Vec::new(), marks: Vec::new() })
    }
}

struct Cutter {
    scene: Arc<Scene>,
    dice: Dice,
    way: Option<Way>,
    /// What was tried on each connection but the first, which is a control without a message.
    trials: Vec<(usize, Kind)>,
    /// The payload of the ping that follows, one for each connection.
    marks: Vec<Vec<u8>>,
}

impl Machine for Cutter {
    fn next(&mut self, exchange: &Exchange) -> Step {
        let Some(way) = self.way else {
            return Step::Skip(Skip::NoWayIn(self.scene.survey.refusal()));
        };
        let (Some(last), Some(mark)) = (exchange.last(), self.marks.last()) else {
            return self.send(way, None);
        };
        if !last.is_upgraded() {
            return Step::Skip(last.overloaded());
        }
        let answered = last.has_pong(mark);
        let next = match self.trials.last() {
            None if !answered => return Step::Skip(Skip::Silent),
            None => Some(0),
            // What refuses few fragments is not asked about more.
            Some(tried) => TRIALS
                .iter()
                .position(|trial| trial == tried)
                .and_then(|at| (at + 1..TRIALS.len()).find(|&next| answered || TRIALS[next].1 != tried.1)),
        };
        match next {
            Some(next) => self.send(way, Some(TRIALS[next])),
            None => self.conclude(exchange).into(),
        }
    }
}

impl Cutter {
    /// Sends a message in fragments, if any, and a ping.
    fn send(&mut self, way: Way, trial: Option<(usize, Kind)>) -> Step {
        let handshake = handshake_of(way, &self.scene.target, &mut self.dice);
        let mut turns = Vec::new();
        let mut title = "a ping alone".to_owned();
        if let Some((count, kind)) = trial {
            title = format!("a message in {}", fragments(count, kind));
            turns.push(Turn::Send(message(count, kind, &mut self.dice)));
            self.trials.push((count, kind));
        }
        let mark = self.dice.word().into_bytes();
        turns.push(Turn::ping(&mark, &mut self.dice));
        turns.push(Turn::Listen(Listen { until: Until::Pong(mark.clone()), at_most: PATIENCE }));
        turns.push(Turn::farewell(&mut self.dice));
        self.marks.push(mark);
        Step::Talk(Talk { title, opening: Opening::legal(handshake), turns })
    }

    fn conclude(&self, exchange: &Exchange) -> Conclusion {
        let mut conclusion = Conclusion::clean();
        let tried = self.trials.iter().zip(exchange.connections.iter().zip(&self.marks).skip(1));
        for (&(count, kind), (connection, mark)) in tried {
            let what = fragments(count, kind);
            let case = match kind {
                Kind::Tiny => "tiny",
                Kind::Empty => "empty",
            };
            if connection.has_pong(mark) {
                if count == MOST {
                    let summary = format!("a message in {what} is taken in");
                    conclusion.findings.push(self.finding(case, Confidence::Proven, summary, connection));
                }
            } else if connection.is_open() {
                let summary = format!(
                    "a message in {what} stalls the connection: no pong within {} s",
                    PATIENCE.as_secs()
                );
                conclusion.findings.push(self.finding(case, Confidence::Firm, summary, connection));
            } else {
                let how = ending(connection, sent_at(connection));
                conclusion = conclusion.with_remark(format!("a message in {what} is refused: {how}"));
            }
        }
        conclusion
    }

    fn finding(&self, case: &str, confidence: Confidence, summary: String, last: &Connection) -> Finding {
        self.scene.finding(&RULE, case, confidence, summary).with_evidence(self.scene.evidence(last))
    }
}

/// Gives when the message was begun to be sent: what is written after the answer to the handshake.
fn sent_at(connection: &Connection) -> Duration {
    let sent =
        |record: &&crate::exchange::Record| matches!(record.happening, crate::exchange::Happening::Sent(_));
    connection.records().iter().filter(sent).nth(1).map_or(Duration::ZERO, |record| record.at)
}

/// Writes a message in `count` fragments.
fn message(count: usize, kind: Kind, dice: &mut Dice) -> Vec<u8> {
    let mut out = Vec::new();
    for at in 0..count {
        let is_last = at + 1 == count;
        let payload: &[u8] = if is_last || kind == Kind::Tiny { b"a" } else { b"" };
        let opcode = if at == 0 { Opcode::Text } else { Opcode::Continuation };
        Transmitter::new(Role::Client).frame(opcode, is_last, payload, dice, &mut out);
    }
    out
}

/// Names the fragments of a trial.
fn fragments(count: usize, kind: Kind) -> String {
    match kind {
        Kind::Tiny => format!("{count} fragments of one byte"),
        Kind::Empty => format!("{count} empty fragments"),
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

    #[test]
    fn it_fires_where_ten_thousand_fragments_are_taken_in() {
        for server in [servers::echo(), servers::chat(), servers::silent()] {
            let bench = Bench::new(URL, server);
            assert_eq!(
                bench.cases(&FragmentsUnbounded),
                [("tiny".to_owned(), Severity::Low), ("empty".to_owned(), Severity::Low)]
            );
        }
        let findings = Bench::new(URL, servers::echo()).findings(&FragmentsUnbounded);
        assert_eq!(findings[0].summary, "a message in 10000 fragments of one byte is taken in");
        assert_eq!(findings[1].summary, "a message in 10000 empty fragments is taken in");
    }

    #[test]
    fn a_limit_is_measured_and_no_finding() {
        let check = |fragments, counts: usize| {
            for server in [servers::echo(), servers::chat(), servers::silent()] {
                let bench = Bench::new(URL, Server { fragments, ..server });
                let expected = [Kind::Tiny, Kind::Empty].map(|kind| {
                    let what = super::fragments(counts, kind);
                    format!("a message in {what} is refused: closed with 1008 after 0.00 s")
                });
                assert_eq!(bench.remarks(&FragmentsUnbounded), expected);
            }
        };
        check(64, 1_000);
        check(5_000, 10_000);
    }

    #[test]
    fn a_limit_on_bytes_alone_still_lets_empty_fragments_through() {
        let server = Server { limit: 5_000, ..servers::silent() };
        assert_eq!(Bench::new(URL, server).cases(&FragmentsUnbounded), [("empty".to_owned(), Severity::Low)]);
    }

    #[test]
    fn what_cannot_be_told_is_skipped() {
        let mute = Server { pongs: false, ..servers::echo() };
        assert_eq!(Bench::new(URL, mute).skip(&FragmentsUnbounded), Skip::Silent);
        let refused = Bench::new(URL, servers::correct()).skip(&FragmentsUnbounded);
        assert_eq!(refused, Skip::NoWayIn("the handshake was answered 401".to_owned()));
    }
}

//! `ping-flood-accepted`: pings are answered as fast as they come.

use std::{sync::Arc, time::Duration};

use sockwarden_model::{Confidence, Rule, rule};

use crate::{
    check::{Check, Conclusion, Machine, Scene, Skip, Step},
    dice::Dice,
    exchange::{Connection, Exchange},
    load::{AT_ONCE, PATIENCE, ending, seconds},
    survey::{Way, handshake_of},
    talk::{Listen, Opening, Talk, Turn, Until},
};

rule! {
    /// # What it does
    /// Sends a ping; then 50, 200 and 1,000 at once on the same connection. It stops at the first step that is not wholly answered
    /// within a second, and says where that was. It is a finding when 1,000 pings are answered within a second.
    ///
    /// # Why is this bad
    /// Each ping makes the server write a frame, and nothing counts it: libraries answer by themselves, beneath the rate limit
    /// and the log of the application. A client that reads no answers makes the server hold them as well. CVE-2019-9512
    /// is the same flood in HTTP/2.
    ///
    /// # How to fix
    /// Count control frames and close with 1008 beyond what a client needs, which is one ping now and then; only the last of several
    /// pings has to be answered (RFC 6455 §5.5.3):
    ///
    /// ```js
    /// new WebSocketServer({ maxPendingAutoPongs: 20 });        // Node, ws 8.23: it drops the connection; its default is 60
    /// const wss = new WebSocketServer({ autoPong: false });    // or by oneself
    /// wss.on('connection', (ws) => {
    ///   let pings = 0;
    ///   setInterval(() => { pings = 0; }, 1000).unref();
    ///   ws.on('ping', (data) => (++pings > 20 ? ws.close(1008) : ws.pong(data)));
    /// });
    /// ```
    ///
    /// Go, gorilla: `conn.SetPingHandler` with a counter. Where the library has no such hook, count frames in front of the
    /// application.
    pub(crate) static RULE = Check {
        id: "ping-flood-accepted",
        summary: "pings are answered as fast as they come",
        severity: Low,
        threats: [T2],
        cwe: [770, 400],
        references: ["RFC 6455 §5.5.2", "RFC 6455 §5.5.3", "CVE-2019-9512"],
        lifecycle: Preview,
        counterparts: ["frame-limits"],
        profile: Intrusive,
        may_change: "it makes the target answer 1,251 pings, 1,000 of them within a second",
    }
}

/// How many pings are sent at once.
const STEPS: [usize; 3] = [50, 200, 1_000];

pub(crate) struct PingFloodAccepted;

impl Check for PingFloodAccepted {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn loads(&self) -> bool {
        true
    }

    fn start(&self, scene: Arc<Scene>, dice: Dice) -> Box<dyn Machine> {
        let way = scene.survey.way_in();
        Box::new(Drummer { scene, dice, way, before: Vec::new() })
    }
}

struct Drummer {
    scene: Arc<Scene>,
    dice: Dice,
    way: Option<Way>,
    /// How many pongs had come before each step.
    before: Vec<usize>,
}

impl Machine for Drummer {
    fn next(&mut self, exchange: &Exchange) -> Step {
        let Some(way) = self.way else {
            return Step::Skip(Skip::NoWayIn(self.scene.survey.refusal()));
        };
        let Some(connection) = exchange.last() else {
            let handshake = handshake_of(way, &self.scene.target, &mut self.dice);
            let title = format!("one ping, then {} at once", STEPS.map(|count| count.to_string()).join(", "));
            let turns = self.drum(0, 1, Turn::QUIET);
            return Step::Talk(Talk { title, opening: Opening::legal(handshake), turns });
        };
        if !connection.is_upgraded() {
            return Step::Skip(connection.overloaded());
        }
        let came = connection.pongs().len();
        if self.before.is_empty() && came == 0 {
            return Step::Skip(if connection.is_open() { Skip::Silent } else { connection.overloaded() });
        }
        let Some(done) = self.before.len().checked_sub(1) else {
            return self.step(came, 0);
        };
        match judge(connection, self.before[done], STEPS[done]) {
            Err(held) => Conclusion::clean().with_remark(held).into(),
            Ok(_) if done + 1 < STEPS.len() => self.step(came, done + 1),
            Ok(took) => self.found(connection, took).into(),
        }
    }
}

impl Drummer {
    fn step(&mut self, came: usize, step: usize) -> Step {
        self.before.push(came);
        Step::More(self.drum(came, STEPS[step], AT_ONCE))
    }

    /// Sends pings, awaits their answers, and waits on for as long as nothing comes.
    fn drum(&mut self, came: usize, count: usize, rest: Duration) -> Vec<Turn> {
        let mut pings = Vec::new();
        for at in 0..count {
            if let Turn::Send(ping) = Turn::ping(format!("{at}").as_bytes(), &mut self.dice) {
                pings.extend(ping);
            }
        }
        vec![
            Turn::Send(pings),
            Turn::Listen(Listen { until: Until::Pongs(came + count), at_most: PATIENCE }),
            Turn::Listen(Listen { until: Until::Quiet(rest), at_most: PATIENCE }),
        ]
    }

    fn found(&self, connection: &Connection, took: Duration) -> Conclusion {
        let count = STEPS[STEPS.len() - 1];
        let summary = format!("{count} pings sent at once were all answered within {}", seconds(took));
        let finding = self.scene.finding(&RULE, "", Confidence::Proven, summary);
        Conclusion::found(vec![finding.with_evidence(self.scene.evidence(connection))])
    }
}

/// Tells how long `count` pings took to be answered; else what held them back.
fn judge(connection: &Connection, before: usize, count: usize) -> Result<Duration, String> {
    let sent = connection.last_sent_at().unwrap_or_default();
    let pongs = connection.pongs().get(before..).unwrap_or_default();
    if !connection.is_open() {
        let how = ending(connection, sent);
        return Err(format!("of {count} pings sent at once {} were answered, then {how}", pongs.len()));
    }
    let Some((at, _)) = pongs.get(count - 1) else {
        return Err(format!(
            "of {count} pings sent at once {} were answered within {}",
            pongs.len(),
            seconds(PATIENCE)
        ));
    };
    match at.saturating_sub(sent) {
        took if took <= AT_ONCE => Ok(took),
        took => Err(format!("{count} pings sent at once were answered over {}", seconds(took))),
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
    fn it_fires_where_every_ping_is_answered_at_once() {
        for server in [servers::echo(), servers::chat(), servers::silent()] {
            let findings = Bench::new(URL, server).findings(&PingFloodAccepted);
            assert_eq!((findings[0].severity, findings[0].confidence), (Severity::Low, Confidence::Proven));
            assert_eq!(findings[0].summary, "1000 pings sent at once were all answered within 0.00 s");
        }
    }

    #[test]
    fn a_limit_is_measured_and_no_finding() {
        let check = |server: Server, expected: &str| {
            assert_eq!(Bench::new(URL, server).remarks(&PingFloodAccepted), [expected]);
        };
        for (server, pings) in [(servers::echo(), 20), (servers::chat(), 20), (servers::silent(), 20)] {
            let expected = "of 50 pings sent at once 20 were answered, then closed with 1008 after 0.00 s";
            check(Server { pings, ..server }, expected);
        }
        check(
            Server { pings: 500, ..servers::echo() },
            "of 1000 pings sent at once 500 were answered, then closed with 1008 after 0.00 s",
        );
        check(
            Server { last_pong_only: true, ..servers::echo() },
            "of 50 pings sent at once 1 were answered within 3.00 s",
        );
    }

    #[test]
    fn what_cannot_be_told_is_skipped() {
        let mute = Server { pongs: false, ..servers::echo() };
        assert_eq!(Bench::new(URL, mute).skip(&PingFloodAccepted), Skip::Silent);
        let refused = Bench::new(URL, servers::correct()).skip(&PingFloodAccepted);
        assert_eq!(refused, Skip::NoWayIn("the handshake was answered 401".to_owned()));
    }
}

//! `connections-unbounded`: one address opens as many connections as it likes.

use std::{sync::Arc, time::Duration};

use sockwarden_model::{Confidence, Rule, rule};

use crate::{
    check::{Check, Conclusion, Machine, Scene, Skip, Step},
    dice::Dice,
    exchange::{Connection, Exchange},
    load::seconds,
    survey::{Way, handshake_of},
    talk::{Listen, Opening, Talk, Turn, Until},
};

rule! {
    /// # What it does
    /// Opens up to 100 connections from one address and keeps them, at most as many in a second as the scan's rate allows. It
    /// stops at the first that is refused or takes longer than two seconds, and says which that was. Then it pings
    /// each. It is a finding when all 100 answer.
    ///
    /// # Why is this bad
    /// A connection costs the client nothing and the server a socket, buffers, often a session and a subscription. A machine with
    /// one address can hold tens of thousands, and whoever comes then is not let in. Limits that count messages or bytes by
    /// connection are multiplied by their number, too.
    ///
    /// # How to fix
    /// Count the open connections of each address and each user, and refuse the handshake with 429 or 503 when there are too many:
    ///
    /// ```js
    /// server.on('upgrade', (request, socket, head) => {           // Node, ws
    ///   const open = perAddress.get(request.socket.remoteAddress) ?? 0;
    ///   if (open >= 20) { socket.end('HTTP/1.1 429 Too Many Requests\r\n\r\n'); return; }
    ///   wss.handleUpgrade(request, socket, head, (ws) => admit(ws, request));
    /// });
    /// ```
    ///
    /// ```nginx
    /// limit_conn_zone $binary_remote_addr zone=sockets:10m;       # in http {}
    /// location /ws { limit_conn sockets 20; proxy_pass http://app; }
    /// ```
    ///
    /// HAProxy: a `stick-table` with `conn_cur`. Spring and Django Channels: count in the handshake interceptor or `connect`, by user.
    /// Sockwarden's `limits.connections` bounds all connections together.
    pub(crate) static RULE = Check {
        id: "connections-unbounded",
        summary: "one address may open any number of connections",
        severity: Medium,
        threats: [T2],
        cwe: [770, 400],
        references: [
            "RFC 6455 §10.4",
            "https://cheatsheetseries.owasp.org/cheatsheets/WebSocket_Security_Cheat_Sheet.html",
        ],
        lifecycle: Preview,
        counterparts: [],
        profile: Intrusive,
        may_change: "it holds up to 100 connections for a few seconds, which others may then lack",
    }
}

/// How many connections are opened.
const MOST: usize = 100;
/// How long one may take before the target counts as slowing down.
const SLOW: Duration = Duration::from_secs(2);

pub(crate) struct ConnectionsUnbounded;

impl Check for ConnectionsUnbounded {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn loads(&self) -> bool {
        true
    }

    fn start(&self, scene: Arc<Scene>, dice: Dice) -> Box<dyn Machine> {
        let way = scene.survey.way_in();
        Box::new(Crowd { scene, dice, way, marks: Vec::new() })
    }
}

struct Crowd {
    scene: Arc<Scene>,
    dice: Dice,
    way: Option<Way>,
    /// The payloads of the pings, to the last connection first.
    marks: Vec<Vec<u8>>,
}

impl Machine for Crowd {
    fn next(&mut self, exchange: &Exchange) -> Step {
        let Some(way) = self.way else {
            return Step::Skip(Skip::NoWayIn(self.scene.survey.refusal()));
        };
        let made = exchange.connections.len();
        if let Some(asked) = self.marks.len().checked_sub(1) {
            let at = MOST - 1 - asked;
            if !exchange.connections[at].has_pong(&self.marks[asked]) {
                return lost(at, &exchange.connections[at]);
            }
            return match at.checked_sub(1) {
                Some(next) => self.ping(next),
                None => self.found(exchange).into(),
            };
        }
        match exchange.last() {
            Some(last) if !last.is_open() && made == 1 => return Step::Skip(last.overloaded()),
            Some(last) if !last.is_open() => {
                let why = last.dial_problem().map_or_else(|| last.answered(), str::to_owned);
                let open = made - 1;
                return Conclusion::clean()
                    .with_remark(format!("with {open} connections open: {why}"))
                    .into();
            }
            Some(last) if took(last) > SLOW => {
                let took = seconds(took(last));
                let slow = format!("with {} connections open, the next handshake took {took}", made - 1);
                return Conclusion::clean().with_remark(slow).into();
            }
            Some(_) | None => {}
        }
        if made == MOST { self.ping(MOST - 1) } else { self.open(way, made) }
    }
}

impl Crowd {
    fn open(&mut self, way: Way, made: usize) -> Step {
        let handshake = handshake_of(way, &self.scene.target, &mut self.dice);
        let opening = Opening { alongside: true, ..Opening::legal(handshake) };
        Step::Talk(Talk { title: format!("{} of {MOST} connections", made + 1), opening, turns: Vec::new() })
    }

    /// Asks a connection whether it is still served.
    fn ping(&mut self, index: usize) -> Step {
        let mark = self.dice.word().into_bytes();
        let ping = Turn::ping(&mark, &mut self.dice);
        self.marks.push(mark.clone());
        Step::Return(index, vec![ping, Turn::Listen(Listen { until: Until::Pong(mark), at_most: SLOW })])
    }

    fn found(&self, exchange: &Exchange) -> Conclusion {
        let summary = format!("{MOST} connections from one address are open and served at once");
        let finding = self.scene.finding(&RULE, "", Confidence::Proven, summary);
        let shown = exchange.connections.iter().take(1).chain(exchange.last());
        Conclusion::found(vec![
            shown.fold(finding, |finding, shown| finding.with_evidence(self.scene.evidence(shown))),
        ])
    }
}

/// Gives how long the answer to the handshake took.
fn took(connection: &Connection) -> Duration {
    connection.records().last().map_or(Duration::ZERO, |record| record.at)
}

/// Concludes where a connection does not answer any more.
fn lost(at: usize, connection: &Connection) -> Step {
    if connection.is_open() && at == MOST - 1 {
        return Step::Skip(Skip::Silent);
    }
    let what = if connection.is_open() { "is not served any more" } else { "was ended" };
    let remark = format!("{MOST} connections were opened, but number {} {what}", at + 1);
    Conclusion::clean().with_remark(remark).into()
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
    fn it_fires_where_a_hundred_connections_are_served() {
        for server in [servers::echo(), servers::chat(), servers::silent()] {
            let findings = Bench::new(URL, server).findings(&ConnectionsUnbounded);
            assert_eq!(findings.len(), 1);
            assert_eq!(
                (findings[0].severity, findings[0].confidence),
                (Severity::Medium, Confidence::Proven)
            );
            assert_eq!(findings[0].summary, "100 connections from one address are open and served at once");
            assert_eq!(findings[0].evidence.len(), 2);
        }
        let barely = Server { most_open: 100, ..servers::echo() };
        assert_eq!(Bench::new(URL, barely).severities(&ConnectionsUnbounded), [Severity::Medium]);
    }

    #[test]
    fn a_limit_is_measured_and_no_finding() {
        let check = |server: Server, expected: &str| {
            assert_eq!(Bench::new(URL, server).remarks(&ConnectionsUnbounded), [expected]);
        };
        let refuses = Server { most_open: 20, ..servers::chat() };
        check(refuses, "with 20 connections open: the handshake was answered 503");
        let ends_oldest = Server { most_open: 99, ends_oldest: true, ..servers::echo() };
        check(ends_oldest, "100 connections were opened, but number 1 was ended");
        let one_at_a_time = Server { most_open: 1, ends_oldest: true, ..servers::echo() };
        check(one_at_a_time, "100 connections were opened, but number 99 was ended");
    }

    #[test]
    fn what_cannot_be_told_is_skipped() {
        let mute = Server { pongs: false, ..servers::echo() };
        assert_eq!(Bench::new(URL, mute).skip(&ConnectionsUnbounded), Skip::Silent);
        let refused = Bench::new(URL, servers::correct()).skip(&ConnectionsUnbounded);
        assert_eq!(refused, Skip::NoWayIn("the handshake was answered 401".to_owned()));
    }
}

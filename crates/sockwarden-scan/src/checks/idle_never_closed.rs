//! `idle-never-closed`: a connection on which nothing happens is kept for ever.

use std::{sync::Arc, time::Duration};

use sockwarden_model::{Confidence, Rule, rule};

use crate::{
    check::{Check, Conclusion, Machine, Scene, Skip, Step},
    dice::Dice,
    exchange::{Connection, Exchange},
    load::{ending, seconds},
    survey::{Way, handshake_of},
    talk::{Listen, Opening, Talk, Turn, Until},
};

rule! {
    /// # What it does
    /// Opens a connection and says nothing for as long as `--idle-wait` says, 90 seconds where it says nothing. It is a finding
    /// when the target sends neither a ping nor a message and does not end the connection. As it waits so long, it is
    /// made only where that is no more than a quarter of the time for the whole scan (`--time`).
    ///
    /// # Why is this bad
    /// A client whose network is gone, or whose lid was closed, says nothing, not even that it has left. Without a ping the server
    /// keeps its socket, its buffers and its subscriptions until it is restarted, and believes the user present. An attacker
    /// gets the same for the price of a handshake.
    ///
    /// # How to fix
    /// Ping every half a minute and end connections that do not answer; end those without messages after the time that the
    /// application can bear:
    ///
    /// ```js
    /// const beat = setInterval(() => wss.clients.forEach((ws) => { // Node, ws; Socket.IO: pingInterval, pingTimeout
    ///   if (!ws.isAlive) return ws.terminate();
    ///   ws.isAlive = false; ws.ping();
    /// }), 30_000);
    /// wss.on('connection', (ws) => { ws.isAlive = true; ws.on('pong', () => { ws.isAlive = true; }); });
    /// ```
    ///
    /// Python, websockets: `ping_interval=20, ping_timeout=20` (the default). Django Channels: `daphne --ping-interval 20`. Go,
    /// gorilla: a ticker that writes pings, and `conn.SetReadDeadline` in the pong handler. Spring: a heartbeat in STOMP, or
    /// `session.setMaxIdleTimeout`. ASP.NET: `WebSocketOptions.KeepAliveInterval` with `KeepAliveTimeout`.
    /// Sockwarden's `timeouts.ping_interval`, `timeouts.pong`, `timeouts.idle` and `timeouts.lifetime` do it in front of any of
    /// them; it pings after 25 seconds by default.
    pub(crate) static RULE = Check {
        id: "idle-never-closed",
        summary: "a silent connection is neither pinged nor closed",
        severity: Low,
        threats: [T2],
        cwe: [772, 400],
        references: [
            "RFC 6455 §5.5.2",
            "https://cheatsheetseries.owasp.org/cheatsheets/WebSocket_Security_Cheat_Sheet.html",
        ],
        lifecycle: Preview,
        counterparts: [],
        profile: Intrusive,
        may_change: "it holds one silent connection for a minute and a half, or as long as was asked for",
    }
}

pub(crate) struct IdleNeverClosed;

impl Check for IdleNeverClosed {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn start(&self, scene: Arc<Scene>, dice: Dice) -> Box<dyn Machine> {
        let way = scene.survey.way_in();
        Box::new(Sleeper { scene, dice, way, greeted: None })
    }
}

struct Sleeper {
    scene: Arc<Scene>,
    dice: Dice,
    way: Option<Way>,
    /// How many messages had come when the silence began, and when that was.
    greeted: Option<(usize, Duration)>,
}

impl Machine for Sleeper {
    fn next(&mut self, exchange: &Exchange) -> Step {
        let Some(way) = self.way else {
            return Step::Skip(Skip::NoWayIn(self.scene.survey.refusal()));
        };
        if let Err(skip) = self.scene.may_wait(self.scene.idle_wait) {
            return Step::Skip(skip);
        }
        match (exchange.last(), self.greeted) {
            (None, _) => {
                let handshake = handshake_of(way, &self.scene.target, &mut self.dice);
                let title = "a connection that says nothing".to_owned();
                Step::Talk(Talk { title, opening: Opening::legal(handshake), turns: vec![Turn::settle()] })
            }
            (Some(shut), None) if !shut.is_open() => Step::Skip(shut.overloaded()),
            (Some(connection), None) => {
                let now = connection.records().last().map_or(Duration::ZERO, |record| record.at);
                self.greeted = Some((connection.messages().len(), now));
                Step::More(vec![Turn::Listen(Listen { until: Until::Ping, at_most: self.scene.idle_wait })])
            }
            (Some(connection), Some((greeting, since))) => self.conclude(connection, greeting, since).into(),
        }
    }
}

impl Sleeper {
    fn conclude(&self, connection: &Connection, greeting: usize, since: Duration) -> Conclusion {
        let clean = |remark: String| Conclusion::clean().with_remark(remark);
        if let Some(at) = connection.pinged_at() {
            return clean(format!(
                "a silent connection is pinged after {}",
                seconds(at.saturating_sub(since))
            ));
        }
        if !connection.is_open() {
            return clean(format!("a silent connection is {}", ending(connection, since)));
        }
        if connection.messages().len() > greeting {
            return clean(
                "the target says something by itself, which tells it who has gone as a ping would".to_owned(),
            );
        }
        let wait = seconds(self.scene.idle_wait);
        let summary = format!("a connection that was silent for {wait} is neither pinged nor closed");
        let finding = self.scene.finding(&RULE, "", Confidence::Firm, summary);
        Conclusion::found(vec![finding.with_evidence(self.scene.evidence(connection))])
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Severity;

    use super::*;
    use crate::testing::{
        Bench,
        servers::{self, Server, Silence},
    };

    const URL: &str = "wss://app.example/ws";
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn it_fires_where_silence_is_borne() {
        for server in [servers::echo(), servers::chat(), servers::silent()] {
            let findings = Bench::new(URL, server).findings(&IdleNeverClosed);
            assert_eq!((findings[0].severity, findings[0].confidence), (Severity::Low, Confidence::Firm));
            assert_eq!(
                findings[0].summary,
                "a connection that was silent for 90 s is neither pinged nor closed"
            );
        }
        let later = Server { silence: Silence::Closes(MINUTE * 5), ..servers::echo() };
        assert_eq!(Bench::new(URL, later).severities(&IdleNeverClosed), [Severity::Low]);
    }

    #[test]
    fn who_asks_or_ends_is_no_finding() {
        let check = |silence, expected: &str| {
            let server = Server { silence, ..servers::chat() };
            assert_eq!(Bench::new(URL, server).remarks(&IdleNeverClosed), [expected]);
        };
        check(Silence::Pings(MINUTE / 2), "a silent connection is pinged after 30 s");
        check(Silence::Closes(MINUTE), "a silent connection is dropped after 60 s");
        let speaks = "the target says something by itself, which tells it who has gone as a ping would";
        check(Silence::Speaks(MINUTE), speaks);
    }

    #[test]
    fn it_is_skipped_unless_there_is_time() {
        let usual = Bench::new(URL, servers::echo()).within(MINUTE * 5);
        let why = usual.skip(&IdleNeverClosed).to_string();
        assert_eq!(
            why,
            "it waits 90s, which is more than a quarter of the time budget of 300s: give more time"
        );
        let longer = Bench::new(URL, servers::echo()).within(MINUTE * 6);
        assert_eq!(longer.severities(&IdleNeverClosed), [Severity::Low]);
    }
}

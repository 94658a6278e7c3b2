//! `handshake-slow-accepted`: a handshake may take as long as the client likes.

use std::{sync::Arc, time::Duration};

use sockwarden_model::{Confidence, Finding, Rule, rule};

use crate::{
    check::{Check, Conclusion, Machine, Scene, Skip, Step},
    dice::Dice,
    exchange::{Connection, Exchange},
    load::seconds,
    survey::{Way, handshake_of},
    talk::{Opening, Slow, Talk},
};

rule! {
    /// # What it does
    /// Opens a connection with a legal handshake whose last 80 bytes come one by one, each after 200 ms, so that it takes 16
    /// seconds. Over TLS it opens another that says nothing for 16 seconds before TLS begins. It is a finding when the
    /// handshake is answered 101 all the same.
    ///
    /// # Why is this bad
    /// A connection that is in its handshake has no user, no message and no line in a log yet, but it has a socket and buffers, and
    /// in servers with a thread for each connection a thread. One machine that opens thousands and feeds each a byte now
    /// and then keeps everybody else out, with hardly any traffic (Slowloris).
    ///
    /// # How to fix
    /// Give a request head, and the TLS handshake before it, ten seconds in all:
    ///
    /// ```js
    /// http.createServer({ headersTimeout: 10_000, requestTimeout: 10_000, connectionsCheckingInterval: 1_000 }); // Node
    /// https.createServer({ handshakeTimeout: 10_000, headersTimeout: 10_000, ...tls });
    /// ```
    ///
    /// ```go
    /// &http.Server{ReadHeaderTimeout: 10 * time.Second} // none by default; counts from the end of the TLS handshake
    /// ```
    ///
    /// ```nginx
    /// client_header_timeout 10s; # 60 s by default
    /// ```
    ///
    /// HAProxy: `timeout http-request 10s` and `timeout client-hs 10s`. Tomcat (Spring): `connectionTimeout`. ASP.NET Kestrel:
    /// `Limits.RequestHeadersTimeout`. Sockwarden's `limits.handshake_timeout` counts from connecting to the end of the request,
    /// TLS included; it is 10 seconds by default.
    pub(crate) static RULE = Check {
        id: "handshake-slow-accepted",
        summary: "a handshake may take any time",
        severity: Low,
        threats: [T2],
        cwe: [400, 770],
        references: [
            "OWASP API Security Top 10 API4:2023",
            "https://owasp.org/www-community/attacks/Denial_of_Service",
        ],
        lifecycle: Preview,
        counterparts: [],
        profile: Intrusive,
        may_change: "it holds one connection for 16 seconds, over TLS a second one after that",
    }
}

/// How long an opening takes.
const LONG: Duration = Duration::from_secs(16);

/// What is slow about an opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    Header,
    Tls,
}

pub(crate) struct HandshakeSlowAccepted;

impl Check for HandshakeSlowAccepted {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn start(&self, scene: Arc<Scene>, dice: Dice) -> Box<dyn Machine> {
        let way = scene.survey.way_in();
        let trials = if scene.target.url.tls { &[Trial::Header, Trial::Tls][..] } else { &[Trial::Header] };
        Box::new(Dawdler { scene, dice, way, trials })
    }
}

struct Dawdler {
    scene: Arc<Scene>,
    dice: Dice,
    way: Option<Way>,
    trials: &'static [Trial],
}

impl Machine for Dawdler {
    fn next(&mut self, exchange: &Exchange) -> Step {
        let Some(way) = self.way else {
            return Step::Skip(Skip::NoWayIn(self.scene.survey.refusal()));
        };
        if let Err(skip) = self.scene.may_wait(LONG * self.trials.len() as u32) {
            return Step::Skip(skip);
        }
        match self.trials.get(exchange.connections.len()) {
            Some(&trial) => Step::Talk(self.dawdle(way, trial)),
            None => self.conclude(exchange).into(),
        }
    }
}

impl Dawdler {
    fn dawdle(&mut self, way: Way, trial: Trial) -> Talk {
        let handshake = handshake_of(way, &self.scene.target, &mut self.dice);
        let (handshake, slow, title) = match trial {
            Trial::Header => {
                // What comes slowly is nothing but filling.
                let handshake = handshake.with_header("X-Sockwarden-Waits", "a".repeat(Slow::TAIL as usize));
                let title =
                    format!("a handshake whose last {} bytes come one by one, in {LONG:?}", Slow::TAIL);
                (handshake, Slow::Tail(LONG), title)
            }
            Trial::Tls => (handshake, Slow::Hello(LONG), format!("nothing for {LONG:?} before TLS begins")),
        };
        Talk { title, opening: Opening { slow, ..Opening::legal(handshake) }, turns: Vec::new() }
    }

    fn conclude(&self, exchange: &Exchange) -> Conclusion {
        let mut conclusion = Conclusion::clean();
        for (&trial, connection) in self.trials.iter().zip(&exchange.connections) {
            let at = connection.records().last().map_or(Duration::ZERO, |record| record.at);
            // Who answers before all was said has not waited.
            if connection.is_upgraded() && at >= LONG {
                conclusion.findings.push(self.finding(trial, connection));
            } else {
                let what = match trial {
                    Trial::Header => "a slow request",
                    Trial::Tls => "a connection that does not begin TLS",
                };
                let how = match connection.status() {
                    Some(status) => format!("answered {status}"),
                    None => "ended".to_owned(),
                };
                conclusion = conclusion.with_remark(format!("{what} is {how} after {}", seconds(at)));
            }
        }
        conclusion
    }

    fn finding(&self, trial: Trial, connection: &Connection) -> Finding {
        let long = seconds(LONG);
        let (case, summary) = match trial {
            Trial::Header => {
                ("header", format!("a handshake whose last {} bytes take {long} is accepted", Slow::TAIL))
            }
            Trial::Tls => ("tls", format!("a client that begins TLS after {long} is served")),
        };
        let finding = self.scene.finding(&RULE, case, Confidence::Proven, summary);
        finding.with_evidence(self.scene.evidence(connection))
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

    const PLAIN: &str = "ws://app.example/ws";
    const TLS: &str = "wss://app.example/ws";

    fn patient(seconds: u64) -> Server {
        Server { opening_time: Duration::from_secs(seconds), ..servers::echo() }
    }

    #[test]
    fn it_fires_where_nobody_is_hurried() {
        let both = [("header".to_owned(), Severity::Low), ("tls".to_owned(), Severity::Low)];
        assert_eq!(Bench::new(PLAIN, patient(60)).cases(&HandshakeSlowAccepted), both[..1]);
        assert_eq!(Bench::new(TLS, patient(60)).cases(&HandshakeSlowAccepted), both);
        let known = Bench::new(TLS, servers::correct()).as_mara();
        let findings = known.findings(&HandshakeSlowAccepted);
        assert_eq!(findings[0].summary, "a handshake whose last 80 bytes take 16 s is accepted");
        assert_eq!(findings[1].summary, "a client that begins TLS after 16 s is served");
    }

    #[test]
    fn a_limit_is_measured_and_no_finding() {
        let slow = "a slow request is ended after 10 s";
        assert_eq!(Bench::new(PLAIN, patient(10)).remarks(&HandshakeSlowAccepted), [slow]);
        let late = "a connection that does not begin TLS is ended after 10 s";
        assert_eq!(Bench::new(TLS, patient(10)).remarks(&HandshakeSlowAccepted), [slow, late]);
    }

    #[test]
    fn it_is_skipped_where_it_would_take_too_long_or_nobody_is_let_in() {
        let short = Bench::new(PLAIN, patient(60)).within(Duration::from_secs(60));
        let needed = Duration::from_secs(16);
        assert_eq!(
            short.skip(&HandshakeSlowAccepted),
            Skip::TooSlow { needed, budget: Duration::from_secs(60) }
        );
        let refused = Bench::new(TLS, servers::correct()).skip(&HandshakeSlowAccepted);
        assert_eq!(refused, Skip::NoWayIn("the handshake was answered 401".to_owned()));
    }
}

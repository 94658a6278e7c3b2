//! `origin-is-authentication`: a header that anyone can forge is taken for a proof of who is there.

use std::sync::Arc;

use sockwarden_model::{Confidence, Rule, Severity, rule};

use crate::{
    check::{Check, Conclusion, Machine, Scene, Step},
    dice::Dice,
    exchange::{Connection, Exchange},
    personal,
    survey::{Part, Survey, Way, Who, conversation, handshake},
    talk::{Opening, Talk},
};

rule! {
    /// # What it does
    /// Connects without credentials and without an `Origin`. Where that is refused it tries again, still without credentials,
    /// with a forged header: the site's own `Origin`, then `X-Requested-With: XMLHttpRequest`. It is a finding when the forged
    /// header opens the connection and data arrive that are no echo: *high* when they are personal (*proven* when an identity
    /// receives the same), else *medium* and *tentative*, for a public service may insist on its Origin too.
    ///
    /// # Why is this bad
    /// Browsers set these headers truthfully and everything else sets them at will: a script in any language sends the `Origin`
    /// that is expected. A server that takes it for a login has none. `Origin` tells a browser's user which page talks; it
    /// never tells who.
    ///
    /// # How to fix
    /// Keep the `Origin` check as advice against cross-site hijacking and authenticate besides: by the session, or by a
    /// single-use ticket that your own pages fetch over HTTPS with the session and send in the handshake.
    ///
    /// Node, ws:
    /// ```js
    /// server.on('upgrade', async (req, socket, head) => {
    ///   const user = allowed.has(req.headers.origin) && await takeTicket(req);   // both, not either
    ///   if (!user) return socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
    ///   wss.handleUpgrade(req, socket, head, ws => wss.emit('connection', ws, req, user));
    /// });
    /// ```
    /// Socket.IO: check `socket.handshake.auth.token` in `io.use`, besides `allowRequest`. Spring: `setAllowedOrigins` and
    /// `authorizeHttpRequests(a -> a.requestMatchers("/ws/**").authenticated())`. Django Channels: `AllowedHostsOriginValidator`
    /// around `AuthMiddlewareStack`. ASP.NET SignalR: `[Authorize]`. Go, gorilla: `CheckOrigin` decides nothing about users.
    pub(crate) static RULE = Check {
        id: "origin-is-authentication",
        summary: "a forged Origin or X-Requested-With opens what is refused without it",
        severity: High,
        threats: [T1, T7],
        cwe: [287, 346],
        references: ["RFC 6455 §10.1", "RFC 6454 §8.3", "OWASP ASVS 5.0 V4.4.3"],
        lifecycle: Preview,
        counterparts: ["authentication"],
        profile: Safe,
        may_change: "nothing but what the messages to say change, at most three times",
    }
}

pub(crate) struct OriginIsAuthentication;

impl Check for OriginIsAuthentication {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn start(&self, scene: Arc<Scene>, dice: Dice) -> Box<dyn Machine> {
        Box::new(Forger { scene, dice })
    }
}

struct Forger {
    scene: Arc<Scene>,
    dice: Dice,
}

/// What is tried without credentials, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    Bare,
    SiteOrigin,
    RequestedWith,
}

impl Attempt {
    const ALL: [Self; 3] = [Self::Bare, Self::SiteOrigin, Self::RequestedWith];

    const fn case(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::SiteOrigin => "origin",
            Self::RequestedWith => "requested-with",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Bare => "without credentials and without an Origin",
            Self::SiteOrigin => "without credentials, with the site's Origin forged",
            Self::RequestedWith => "without credentials, with X-Requested-With forged",
        }
    }
}

impl Machine for Forger {
    fn next(&mut self, exchange: &Exchange) -> Step {
        let connections = &exchange.connections;
        // What opens to everybody needs no forging.
        if connections.first().is_some_and(Connection::is_admitted) {
            return Conclusion::clean().into();
        }
        match Attempt::ALL.get(connections.len()) {
            Some(&attempt) => self.attempt(attempt),
            None => self.conclude(exchange).into(),
        }
    }
}

impl Forger {
    fn attempt(&mut self, attempt: Attempt) -> Step {
        let target = &self.scene.target;
        let mut opening = handshake(target, &mut self.dice);
        match attempt {
            Attempt::Bare => {}
            Attempt::SiteOrigin => opening = opening.with_header("Origin", target.site_origin()),
            Attempt::RequestedWith => opening = opening.with_header("X-Requested-With", "XMLHttpRequest"),
        }
        let turns = conversation(target, &mut self.dice);
        Step::Talk(Talk { title: attempt.title().to_owned(), opening: Opening::legal(opening), turns })
    }

    fn conclude(&self, exchange: &Exchange) -> Conclusion {
        let scene = &*self.scene;
        let mut conclusion = Conclusion::clean();
        for (attempt, connection) in Attempt::ALL.into_iter().zip(&exchange.connections) {
            if attempt == Attempt::Bare || !connection.is_admitted() {
                continue;
            }
            let received = Part::All.values(connection).without_echo(&scene.target.say).telling();
            if received.is_empty() {
                let remark = format!("{} the connection opens, but no data arrive", attempt.title());
                conclusion.remarks.push(remark);
                continue;
            }
            let theirs = of_identities(&scene.survey, scene.target.identities.len());
            let stolen = received.common(&theirs);
            let kinds = personal::kinds(&received);
            let (severity, confidence, what) = if !personal::kinds(&stolen).is_empty() {
                (
                    Severity::High,
                    Confidence::Proven,
                    format!("an identity's data arrive ({})", stolen.places()),
                )
            } else if !kinds.is_empty() {
                (
                    Severity::High,
                    Confidence::Firm,
                    format!("{} arrive ({})", kinds.join(", "), received.places()),
                )
            } else {
                (Severity::Medium, Confidence::Tentative, format!("data arrive ({})", received.places()))
            };
            let summary = format!("{} the connection opens that is refused else: {what}", attempt.title());
            let mut finding =
                scene.finding(&RULE, attempt.case(), confidence, summary).with_severity(severity);
            finding = finding.with_evidence(scene.evidence(connection));
            if let Some(bare) = exchange.connections.first() {
                finding = finding.with_evidence(scene.evidence(bare));
            }
            conclusion.findings.push(finding);
        }
        conclusion
    }
}

/// Gives everything that any identity stably receives.
fn of_identities(survey: &Survey, count: usize) -> crate::values::Values {
    (0..count)
        .filter_map(|index| survey.way_of(Who::Identity(index)))
        .map(|Way { who, .. }| survey.stable(who, Part::All))
        .fold(crate::values::Values::default(), |all, values| all.and(&values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        Bench,
        servers::{self, Gate, Request, Server},
    };

    const URL: &str = "wss://app.example/ws";
    const ASK: &str = r#"{"type":"account"}"#;

    fn trusting(name: &'static str, gate: fn(&Request) -> Gate) -> Server {
        Server {
            name,
            gate,
            answer: |_, n, _| vec![servers::account_of("mara", n)],
            greeting: servers::account_greeting,
            ..servers::echo()
        }
    }

    fn admit_if(allowed: bool, request: &Request) -> Gate {
        if allowed || request.user().is_some() { Gate::Admit(request.user()) } else { Gate::Refuse(403) }
    }

    fn by_origin() -> Server {
        trusting("by origin", |r| admit_if(r.origin.as_deref() == Some("https://app.example"), r))
    }

    #[test]
    fn it_fires_where_a_header_is_a_login() {
        let check = |bench: Bench, expected: &[(&str, Severity, Confidence)]| {
            let findings = bench.findings(&OriginIsAuthentication);
            let found: Vec<_> =
                findings.iter().map(|f| (f.case.as_str(), f.severity, f.confidence)).collect();
            assert_eq!(found, expected, "{}", bench.name());
        };
        check(
            Bench::new(URL, by_origin()).as_mara().saying(ASK),
            &[("origin", Severity::High, Confidence::Proven)],
        );
        check(Bench::new(URL, by_origin()).saying(ASK), &[("origin", Severity::High, Confidence::Firm)]);
        check(Bench::new(URL, by_origin()), &[("origin", Severity::Medium, Confidence::Tentative)]);
        let by_header =
            trusting("by header", |r| admit_if(r.requested_with.as_deref() == Some("XMLHttpRequest"), r));
        check(
            Bench::new(URL, by_header).as_mara().saying(ASK),
            &[("requested-with", Severity::High, Confidence::Proven)],
        );
        let closing = trusting("closing", |r| match r.origin.as_deref() {
            Some("https://app.example") => Gate::Admit(None),
            Some(_) | None => Gate::CloseAtOnce(sockwarden_proto::CloseCode::POLICY),
        });
        check(Bench::new(URL, closing).saying(ASK), &[("origin", Severity::High, Confidence::Firm)]);
    }

    #[test]
    fn it_is_silent_where_a_header_opens_nothing() {
        let check = |bench: Bench| {
            assert_eq!(bench.severities(&OriginIsAuthentication), [], "{}", bench.name());
        };
        check(Bench::new(URL, servers::echo()).saying(ASK));
        check(Bench::new(URL, servers::silent()).saying(ASK));
        check(Bench::new(URL, servers::chat()).saying(ASK));
        check(Bench::new(URL, servers::correct()).as_mara().saying(ASK));
        check(Bench::new(URL, servers::refusing(401)).saying(ASK));
        // An echo behind a strict Origin policy gives nobody's data.
        let guarded_echo = Server {
            gate: |r| admit_if(r.origin.as_deref() == Some("https://app.example"), r),
            ..servers::echo()
        };
        check(Bench::new(URL, guarded_echo).saying(ASK));
    }
}

//! `unauthenticated-access`: whoever connects is given what is meant for users.

use std::sync::Arc;

use sockwarden_model::{Confidence, Rule, Severity, rule};

use crate::{
    check::{Check, Conclusion, Machine, Scene, Skip, Step},
    dice::Dice,
    exchange::Exchange,
    personal,
    survey::{Part, Survey, Who},
    values::Values,
};

rule! {
    /// # What it does
    /// Connects without cookie and token, says the messages to say, and looks at what is answered. With an identity it
    /// compares: *proven* are personal data (an e-mail address, a card number, an account's figures, a token) that the same
    /// messages give to the identity and to nobody in particular, twice the same. Without one it is *firm* when the answer
    /// holds such data that were not in the question. An echo, a greeting that all get, and an error are no data. Other
    /// answers that are the same with and without credentials are *low*, for they may be meant to be public.
    ///
    /// # Why is this bad
    /// The WebSocket protocol knows no users. A server that checks the session on its pages and forgets it on the socket gives
    /// everything to anyone who finds the address, and addresses stand in the page's script.
    ///
    /// # How to fix
    /// Authenticate before the handshake is answered, refuse with 401, and decide for each message whether this user may send
    /// it and see the answer. Close the socket when the session ends.
    ///
    /// Node, ws:
    /// ```js
    /// server.on('upgrade', async (req, socket, head) => {
    ///   const user = await sessionOf(req.headers.cookie);
    ///   if (!user) return socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
    ///   wss.handleUpgrade(req, socket, head, ws => wss.emit('connection', ws, req, user));
    /// });
    /// ```
    /// Socket.IO: `io.use((socket, next) => sessionOf(socket) ? next() : next(new Error('unauthorized')))`. Spring:
    /// ```java
    /// http.authorizeHttpRequests(a -> a.requestMatchers("/ws/**").authenticated());
    /// messages.simpDestMatchers("/app/admin/**").hasRole("ADMIN").anyMessage().authenticated();
    /// ```
    /// Django Channels: `AuthMiddlewareStack`, and `if not self.scope["user"].is_authenticated: await self.close(4401)`. ASP.NET
    /// SignalR: `[Authorize]` on the hub and on each method. Go, gorilla: check the session before `upgrader.Upgrade`. nginx:
    /// `auth_request /session;` in the location of the socket.
    pub(crate) static RULE = Check {
        id: "unauthenticated-access",
        summary: "data are given to whoever connects without credentials",
        severity: High,
        threats: [T1],
        cwe: [306],
        references: [
            "RFC 6455 §10.5",
            "OWASP API Security Top 10 API2:2023",
            "OWASP ASVS 5.0 V4.4.3",
            "https://cheatsheetseries.owasp.org/cheatsheets/WebSocket_Security_Cheat_Sheet.html",
        ],
        lifecycle: Preview,
        counterparts: ["authentication"],
        profile: Passive,
        may_change: "nothing but what the messages to say change",
    }
}

pub(crate) struct UnauthenticatedAccess;

impl Check for UnauthenticatedAccess {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn start(&self, scene: Arc<Scene>, _dice: Dice) -> Box<dyn Machine> {
        Box::new(Judge { scene })
    }
}

/// All that it needs to know the survey has seen.
struct Judge {
    scene: Arc<Scene>,
}

/// Gives what is told in answer to the messages to say, leaving out what greets everybody, echoes and errors.
fn answers(survey: &Survey, who: Who, said: &[String]) -> Values {
    let greeting = survey.any(who, Part::Greeting);
    survey.stable(who, Part::Answers).without(&greeting).without_echo(said).telling()
}

impl Machine for Judge {
    fn next(&mut self, _exchange: &Exchange) -> Step {
        let (target, survey) = (&self.scene.target, &self.scene.survey);
        let Some(anonymous) = survey.admitted(Who::Anonymous).next() else {
            return Conclusion::clean().into();
        };
        let identity =
            (0..target.identities.len()).find(|&i| survey.admitted(Who::Identity(i)).next().is_some());
        if target.say.is_empty() {
            return Step::Skip(if identity.is_none() { Skip::NoIdentity } else { Skip::NothingToSay });
        }
        let told = answers(survey, Who::Anonymous, &target.say);
        let (shared, compared) = match identity {
            Some(index) => (told.common(&answers(survey, Who::Identity(index), &target.say)), Some(index)),
            None => (told, None),
        };
        let kinds = personal::kinds(&shared);
        let (severity, confidence, case, what) = match (compared, kinds.is_empty()) {
            (Some(index), false) => {
                let name = &target.identities[index].name;
                let what = format!("the same as for {name}: {} ({})", kinds.join(", "), shared.places());
                (Severity::High, Confidence::Proven, "personal-data", what)
            }
            (None, false) => {
                let what = format!("{} ({})", kinds.join(", "), shared.places());
                (Severity::High, Confidence::Firm, "personal-data", what)
            }
            (Some(index), true) if !shared.is_empty() => {
                let name = &target.identities[index].name;
                let what = format!("the same as for {name} ({}); is it meant to be public?", shared.places());
                (Severity::Low, Confidence::Tentative, "same-answers", what)
            }
            (Some(_), true) => return Conclusion::clean().into(),
            (None, true) => return Step::Skip(Skip::NoIdentity),
        };
        let summary = format!("without credentials the messages are answered with data, {what}");
        let mut finding = self.scene.finding(&RULE, case, confidence, summary).with_severity(severity);
        finding = finding.with_evidence(self.scene.evidence(&anonymous.connection));
        if let Some(visit) = compared.and_then(|index| survey.admitted(Who::Identity(index)).next()) {
            finding = finding.with_evidence(self.scene.evidence(&visit.connection));
        }
        Conclusion::found(vec![finding]).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        Bench,
        servers::{self, Gate, Server},
    };

    const URL: &str = "wss://app.example/ws";
    const ASK: &str = r#"{"type":"account","of":"mara"}"#;

    /// A server that answers anybody about anybody.
    fn open() -> Server {
        Server {
            name: "open",
            gate: |request| Gate::Admit(request.user()),
            greeting: servers::account_greeting,
            answer: |_, n, text| match text.contains("account") {
                true => vec![servers::account_of("mara", n)],
                false => Vec::new(),
            },
            ..servers::echo()
        }
    }

    #[test]
    fn it_fires_where_anybody_is_given_a_users_data() {
        let findings = Bench::new(URL, open()).as_mara().saying(ASK).findings(&UnauthenticatedAccess);
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].severity, findings[0].confidence), (Severity::High, Confidence::Proven));
        assert_eq!(
            findings[0].summary,
            "without credentials the messages are answered with data, the same as for mara: an account's figures, \
             an e-mail address (account.balance, account.email)"
        );
        assert_eq!(findings[0].evidence.len(), 2);

        let alone = Bench::new(URL, open()).saying(ASK).findings(&UnauthenticatedAccess);
        assert_eq!((alone[0].severity, alone[0].confidence), (Severity::High, Confidence::Firm));
        assert_eq!(alone[0].fingerprint, findings[0].fingerprint);
    }

    #[test]
    fn it_is_silent_where_nothing_is_given() {
        let check = |bench: Bench| {
            assert_eq!(bench.severities(&UnauthenticatedAccess), [], "{}", bench.name());
        };
        check(Bench::new(URL, servers::echo()).as_mara().saying(ASK));
        check(Bench::new(URL, servers::echo()).as_mara().saying(r#"{"email":"me@harbor.example"}"#));
        check(Bench::new(URL, servers::silent()).as_mara().saying(ASK));
        check(Bench::new(URL, servers::chat()).as_mara().saying("hello there, I am me@harbor.example"));
        check(Bench::new(URL, servers::correct()).as_mara().saying(ASK));
        check(Bench::new(URL, servers::correct()));
        // Lets everybody in and asks strangers to log in.
        let polite = Server { gate: |request| Gate::Admit(request.user()), ..servers::correct() };
        check(Bench::new(URL, polite).as_mara().saying(ASK));
        // Greets everybody with an address.
        let greeter = Server {
            greeting: |_, _| vec![r#"{"operator":"joris@harbor.example"}"#.to_owned()],
            answer: |_, _, _| vec![r#"{"operator":"joris@harbor.example"}"#.to_owned()],
            ..servers::echo()
        };
        check(Bench::new(URL, greeter).as_mara().saying(ASK));
    }

    #[test]
    fn answers_that_may_be_public_are_low() {
        let weather = Server {
            answer: |_, _, _| vec![r#"{"type":"weather","sky":"overcast"}"#.to_owned()],
            ..servers::echo()
        };
        let bench = Bench::new(URL, weather).as_mara().saying(ASK);
        assert_eq!(bench.cases(&UnauthenticatedAccess), [("same-answers".to_owned(), Severity::Low)]);
    }

    #[test]
    fn it_is_not_tested_without_a_yardstick() {
        let check = |bench: Bench, expected| assert_eq!(bench.skip(&UnauthenticatedAccess), expected);
        check(Bench::new(URL, servers::echo()), Skip::NoIdentity);
        check(Bench::new(URL, servers::echo()).saying(ASK), Skip::NoIdentity);
        check(Bench::new(URL, servers::chat()).saying("hello"), Skip::NoIdentity);
        check(Bench::new(URL, servers::echo()).as_mara(), Skip::NothingToSay);
    }
}

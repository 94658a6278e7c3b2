//! `token-in-url`: what proves who is there stands in the address.

use std::sync::Arc;

use sockwarden_model::{Confidence, Rule, rule};

use super::token_never_expires::matters;
use crate::{
    check::{Check, Conclusion, Machine, Scene, Skip, Step},
    credential::{Credential, Place, credentials, without},
    dice::Dice,
    exchange::Exchange,
    survey::{Way, conversation, handshake_of},
    talk::{Opening, Talk},
};

rule! {
    /// # What it does
    /// Looks for a credential in the query of the address that is scanned (`token`, `access_token`, `ticket`, `jwt`, `session`
    /// and the like, or anything that is a JSON Web Token), and finds out whether the server goes by it: it connects without
    /// the parameter, and then with it again. It is a finding when the parameter opens the connection, or brings data that do
    /// not come without it, more than once. A ticket that is refused when it comes for the second time is none.
    ///
    /// # Why is this bad
    /// Addresses are written down: in the access logs of every proxy on the way, in monitoring, in error reports, in the
    /// history of the browser. Whoever reads one of those has the credential, for as long as it is good.
    ///
    /// # How to fix
    /// Keep the session in a cookie (with an `Origin` check besides), or fetch a single-use ticket that lives for seconds and
    /// send it as a sub-protocol or in the first message. Where a query is the only way, let it be such a ticket.
    ///
    /// Browser:
    /// ```js
    /// const { ticket } = await (await fetch('/ticket', { method: 'POST', credentials: 'include' })).json();
    /// const socket = new WebSocket('wss://app.example/ws', ['app', `ticket.${ticket}`]);
    /// ```
    /// Socket.IO: `io(url, { auth: { token } })` instead of `query`. Spring: a `Bearer` in the STOMP `CONNECT` frame. Django
    /// Channels: `AuthMiddlewareStack` with the session's cookie. ASP.NET SignalR sends `access_token` in the query from
    /// browsers: keep it short, and out of the logs. nginx: leave `$args` out of the `log_format`. In front of it all:
    /// `authentication` with `ticket`, which takes each ticket once and removes it from what the application sees.
    pub(crate) static RULE = Check {
        id: "token-in-url",
        summary: "a credential that can be used again stands in the address",
        severity: Medium,
        threats: [T1, T4],
        cwe: [598],
        references: [
            "RFC 6750 §5.3",
            "RFC 9700 §4.3.2",
            "OWASP ASVS 5.0 V14.2.1",
            "https://cheatsheetseries.owasp.org/cheatsheets/WebSocket_Security_Cheat_Sheet.html",
        ],
        lifecycle: Preview,
        counterparts: ["authentication"],
        profile: Safe,
        may_change: "nothing but what the messages to say change, twice for each credential in the address",
    }
}

pub(crate) struct TokenInUrl;

impl Check for TokenInUrl {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn start(&self, scene: Arc<Scene>, mut dice: Dice) -> Box<dyn Machine> {
        let way = scene.survey.way_in();
        let in_url = |credential: &Credential| match credential.place {
            Place::Query(_) => true,
            Place::Cookie(_) | Place::Header(_) | Place::Protocol => false,
        };
        let handshake = crate::survey::handshake(&scene.target, &mut dice);
        let given = credentials(&handshake).into_iter().filter(in_url).collect();
        Box::new(Reader { scene, dice, way, given })
    }
}

struct Reader {
    scene: Arc<Scene>,
    dice: Dice,
    way: Option<Way>,
    /// The credentials in the address.
    given: Vec<Credential>,
}

impl Machine for Reader {
    fn next(&mut self, exchange: &Exchange) -> Step {
        if self.given.is_empty() {
            return Step::Skip(Skip::NoTokenInUrl);
        }
        let Some(way) = self.way else {
            return Step::Skip(Skip::NoWayIn(self.scene.survey.refusal()));
        };
        let done = exchange.connections.len();
        let Some(credential) = self.given.get(done / 2) else { return self.conclude(way, exchange).into() };
        let with = handshake_of(way, &self.scene.target, &mut self.dice);
        let place = credential.place.describe();
        let (title, opening) = if done.is_multiple_of(2) {
            (format!("without {place}"), without(&with, credential))
        } else {
            (format!("with {place} again"), with)
        };
        let turns = conversation(&self.scene.target, &mut self.dice);
        Step::Talk(Talk { title, opening: Opening::legal(opening), turns })
    }
}

impl Reader {
    fn conclude(&self, way: Way, exchange: &Exchange) -> Conclusion {
        let mut conclusion = Conclusion::clean();
        for (credential, pair) in self.given.iter().zip(exchange.connections.chunks_exact(2)) {
            let [without, with] = pair else { continue };
            let place = credential.place.describe();
            if !with.is_admitted() {
                conclusion = conclusion.with_remark(format!("{place} was taken once and not again"));
            } else if matters(&self.scene, way.who, without, with) {
                let summary = format!("{place} opens the connection again and again");
                let finding = self.scene.finding(&RULE, &case(credential), Confidence::Proven, summary);
                let finding = finding.with_evidence(self.scene.evidence(with));
                conclusion.findings.push(finding.with_evidence(self.scene.evidence(without)));
            }
        }
        conclusion
    }
}

/// Names the case by the parameter, which tells several apart.
fn case(credential: &Credential) -> String {
    match &credential.place {
        Place::Query(name) => sockwarden_model::printable(name.as_bytes(), 40),
        Place::Cookie(_) | Place::Header(_) | Place::Protocol => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        Bench,
        servers::{self, Gate, Server},
    };

    const URL: &str = "wss://app.example/ws?room=7&token=mara-0123456789";
    const ASK: &str = r#"{"type":"account"}"#;

    /// A server that goes by the token in the address.
    fn careless() -> Server {
        Server {
            gate: |request| match request.target.contains("=mara-0123456789") {
                true => Gate::Admit(Some("mara")),
                false => Gate::Refuse(401),
            },
            ..servers::correct()
        }
    }

    #[test]
    fn it_fires_where_the_address_opens_again_and_again() {
        let findings = Bench::new(URL, careless()).saying(ASK).findings(&TokenInUrl);
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].case.as_str(), findings[0].confidence), ("token", Confidence::Proven));
        assert_eq!(
            findings[0].summary,
            "the parameter `token` of the address opens the connection again and again"
        );
        assert!(!format!("{findings:?}").contains("mara-0123456789"), "the token stays out of the report");
        // Lets strangers in, and gives data to the token only.
        let lax = Server {
            gate: |request| Gate::Admit(request.target.contains("=mara-").then_some("mara")),
            ..servers::correct()
        };
        assert_eq!(Bench::new(URL, lax).saying(ASK).findings(&TokenInUrl).len(), 1);
    }

    #[test]
    fn a_ticket_that_is_taken_once_is_none() {
        let once = Server {
            gate: |request| match request.target.contains("token=") && request.number == 1 {
                true => Gate::Admit(Some("mara")),
                false => Gate::Refuse(401),
            },
            ..servers::correct()
        };
        let conclusion = Bench::new(URL, once).saying(ASK).run(&TokenInUrl).unwrap();
        assert_eq!(conclusion.findings, []);
        assert_eq!(conclusion.remarks, ["the parameter `token` of the address was taken once and not again"]);
    }

    #[test]
    fn it_is_silent_where_the_address_decides_nothing() {
        let check = |bench: Bench| assert_eq!(bench.severities(&TokenInUrl), [], "{}", bench.name());
        check(Bench::new(URL, servers::echo()).saying(ASK));
        check(Bench::new(URL, servers::silent()).saying(ASK));
        check(Bench::new(URL, servers::chat()).saying("hello"));
        check(Bench::new(URL, servers::guest_book()).saying("hello"));
        check(Bench::new(URL, servers::correct()).as_mara().saying(ASK));
    }

    #[test]
    fn it_is_not_tested_without_a_credential_in_the_address() {
        let check = |bench: Bench, expected| assert_eq!(bench.skip(&TokenInUrl), expected);
        check(Bench::new("wss://app.example/ws?room=7", servers::echo()), Skip::NoTokenInUrl);
        check(Bench::new("wss://app.example/ws?token=", servers::echo()), Skip::NoTokenInUrl);
        let refused = Skip::NoWayIn("the handshake was answered 401".into());
        check(Bench::new(URL, servers::refusing(401)), refused);
    }
}

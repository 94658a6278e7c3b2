//! `ticket-not-bound`: a ticket works for others than those it was made for.

use std::sync::Arc;

use sockwarden_model::{Confidence, Finding, Rule, printable, rule};

use super::ticket_replayable::{made_up, opened, talk, tickets_of};
use crate::{
    check::{Check, Conclusion, Machine, Scene, Skip, Step},
    dice::Dice,
    errand::Which,
    exchange::{Connection, Exchange},
    origins,
    talk::{Opening, Talk},
    ticket::Tickets,
};

rule! {
    /// # What it does
    /// Needs the request that tickets are fetched with. It fetches a fresh ticket as the first user for each trial: one is used
    /// as it should be, one with the Origin of another site, one from another address (127.0.0.2, where the target is on this
    /// machine), and one on each further route that is given. Each that opens the connection, where a made-up ticket does not,
    /// is a finding of its own.
    ///
    /// # Why is this bad
    /// A ticket travels where others can see it, in an address or a sub-protocol. Bound to nothing, whoever sees it before
    /// it is used is its user, from any page, machine or route; the few seconds of its life are all that protects.
    ///
    /// # How to fix
    /// Keep with the ticket the Origin, the address and the route that it was asked for, and compare them when it is taken. Burn
    /// it where they differ: it has leaked.
    ///
    /// Node, ws:
    /// ```js
    /// const t = await takeTicket(ticket);                               // one atomic step
    /// const same = t && t.origin === req.headers.origin && t.address === req.socket.remoteAddress && t.path === req.url.split('?')[0];
    /// if (!same) return socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
    /// ```
    /// Spring: compare in a `HandshakeInterceptor`. Django Channels: in a middleware, with `scope["client"]` and the `origin`
    /// header. ASP.NET: in middleware before `UseWebSockets`. Where users change addresses (mobile networks), compare the
    /// network, /24 or /64. In front of it all: `authentication` with `ticket`, which binds all three.
    pub(crate) static RULE = Check {
        id: "ticket-not-bound",
        summary: "a ticket works from another Origin, address or route",
        severity: Medium,
        threats: [T1, T7],
        cwe: [346, 290],
        references: [
            "OWASP ASVS 5.0 V4.4.3",
            "RFC 9700 §4.10",
            "https://cheatsheetseries.owasp.org/cheatsheets/WebSocket_Security_Cheat_Sheet.html",
        ],
        lifecycle: Preview,
        counterparts: ["authentication"],
        profile: Safe,
        may_change: "a ticket of the first user is fetched for each trial and used up",
    }
}

pub(crate) struct TicketNotBound;

impl Check for TicketNotBound {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn start(&self, scene: Arc<Scene>, mut dice: Dice) -> Box<dyn Machine> {
        let origin = origins::foreign(&dice.word()).value.unwrap_or_default();
        let plan = plan(&scene);
        Box::new(Stranger { scene, dice, plan, origin, fetched: 0 })
    }
}

/// One connection with a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    /// As it should be.
    Proper,
    /// A ticket that nobody issued, on the target's own route.
    MadeUp,
    Origin,
    Address,
    /// On the route with this index.
    Route(usize),
    /// The same with a ticket that nobody issued.
    MadeUpOnRoute(usize),
}

fn plan(scene: &Scene) -> Vec<Trial> {
    let url = &scene.target.url;
    let mut plan = vec![Trial::Proper, Trial::MadeUp, Trial::Origin];
    if url.is_loopback() && !url.host.contains(':') {
        plan.push(Trial::Address);
    }
    for index in 0..scene.target.routes.len() {
        plan.extend([Trial::Route(index), Trial::MadeUpOnRoute(index)]);
    }
    plan
}

struct Stranger {
    scene: Arc<Scene>,
    dice: Dice,
    plan: Vec<Trial>,
    /// The Origin of another site.
    origin: String,
    /// How many connections had their ticket fetched.
    fetched: usize,
}

impl Machine for Stranger {
    fn next(&mut self, exchange: &Exchange) -> Step {
        let scene = Arc::clone(&self.scene);
        let tickets = match tickets_of(&scene) {
            Ok(tickets) => tickets,
            Err(skip) => return Step::Skip(skip),
        };
        let done = exchange.connections.len();
        if let [first] = exchange.connections.as_slice()
            && !first.is_admitted()
        {
            return Step::Skip(Skip::TicketRefused(first.answered()));
        }
        let Some(&trial) = self.plan.get(done) else { return self.conclude(tickets, exchange).into() };
        if self.fetched == done {
            self.fetched += 1;
            return Step::Errand(Which::Ticket, 0);
        }
        let Some(ticket) = exchange.replies.last().and_then(|reply| tickets.in_reply(reply)) else {
            let answered = exchange.replies.last().map(|reply| reply.answered()).unwrap_or_default();
            return Step::Skip(Skip::TicketNotGiven(answered));
        };
        Step::Talk(self.talk(trial, tickets, &ticket))
    }
}

impl Stranger {
    fn talk(&mut self, trial: Trial, tickets: &Tickets, ticket: &str) -> Talk {
        let scene = &*self.scene;
        let ticket = match trial {
            Trial::MadeUp | Trial::MadeUpOnRoute(_) => made_up(ticket, &mut self.dice),
            Trial::Proper | Trial::Origin | Trial::Address | Trial::Route(_) => ticket.to_owned(),
        };
        let title = match trial {
            Trial::Proper => "with a ticket".to_owned(),
            Trial::MadeUp | Trial::MadeUpOnRoute(_) => "with a made-up ticket".to_owned(),
            Trial::Origin => "with a ticket and the Origin of another site".to_owned(),
            Trial::Address => "with a ticket, from another address".to_owned(),
            Trial::Route(index) => format!("with a ticket, on the route {}", scene.target.routes[index]),
        };
        let mut talk = talk(scene, tickets, &ticket, &title, &mut self.dice);
        let Some(mut handshake) = talk.opening.handshake.take() else { return talk };
        match trial {
            Trial::Proper | Trial::MadeUp | Trial::Address => {}
            Trial::Origin => {
                handshake.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("origin"));
                handshake = handshake.with_header("Origin", self.origin.clone());
            }
            Trial::Route(index) | Trial::MadeUpOnRoute(index) => {
                // The ticket's own parameter comes along.
                let asked = handshake.target.strip_prefix(scene.target.url.target.as_str());
                let rest = asked.unwrap_or_default();
                let route = &scene.target.routes[index];
                let pair = rest.trim_start_matches(['?', '&']);
                let mark = if route.contains('?') { "&" } else { "?" };
                let mark = if pair.is_empty() { "" } else { mark };
                handshake.target = format!("{route}{mark}{pair}");
            }
        }
        talk.opening = Opening { elsewhere: trial == Trial::Address, ..Opening::legal(handshake) };
        talk
    }

    fn conclude(&self, tickets: &Tickets, exchange: &Exchange) -> Conclusion {
        let at = |wanted: Trial| {
            let place = self.plan.iter().position(|trial| *trial == wanted)?;
            exchange.connections.get(place)
        };
        let (Some(proper), Some(made_up)) = (at(Trial::Proper), at(Trial::MadeUp)) else {
            return Conclusion::clean();
        };
        let mut findings = Vec::new();
        for (&trial, connection) in self.plan.iter().zip(&exchange.connections) {
            let (case, what, control) = match trial {
                Trial::Proper | Trial::MadeUp | Trial::MadeUpOnRoute(_) => continue,
                Trial::Origin => ("origin".to_owned(), "with the Origin of another site".to_owned(), made_up),
                Trial::Address => ("address".to_owned(), "from another address".to_owned(), made_up),
                Trial::Route(index) => {
                    let route = printable(self.scene.target.routes[index].as_bytes(), 60);
                    let control = at(Trial::MadeUpOnRoute(index)).unwrap_or(made_up);
                    (format!("route {route}"), format!("on the route {route}"), control)
                }
            };
            let Some(stolen) = opened(&self.scene, proper, control, connection) else { continue };
            let (confidence, data) = match stolen.is_empty() {
                true => (Confidence::Firm, String::new()),
                false => (Confidence::Proven, format!(" and brings data ({})", stolen.places())),
            };
            let summary = format!("a ticket opens the connection {what}{data}");
            findings.push(self.finding(
                tickets,
                exchange,
                &case,
                (confidence, summary),
                [connection, control],
            ));
        }
        Conclusion::found(findings)
    }

    fn finding(
        &self,
        tickets: &Tickets,
        exchange: &Exchange,
        case: &str,
        (confidence, summary): (Confidence, String),
        shown: [&Connection; 2],
    ) -> Finding {
        let mut finding = self.scene.finding(&RULE, case, confidence, summary);
        for connection in shown {
            let fetched: Vec<String> =
                exchange.replies.iter().filter_map(|reply| tickets.in_reply(reply)).collect();
            finding = finding.with_evidence(self.scene.evidence_without(connection, &fetched));
        }
        finding
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Severity;

    use super::*;
    use crate::testing::{
        Bench,
        servers::{self, Request, Server},
    };

    const URL: &str = "ws://127.0.0.1/ws";
    const ASK: &str = r#"{"type":"account"}"#;

    fn bench(server: Server) -> Bench {
        let mut bench = Bench::new(URL, server).as_mara().saying(ASK).with_tickets("?ticket={ticket}");
        bench.target.routes.push("/admin".to_owned());
        bench
    }

    fn once(request: &Request) -> bool {
        request.ticket_uses == 1
    }

    fn cases(server: Server) -> Vec<String> {
        let cases = bench(server).cases(&TicketNotBound);
        assert!(cases.iter().all(|(_, severity)| *severity == Severity::Medium));
        cases.into_iter().map(|(case, _)| case).collect()
    }

    #[test]
    fn each_binding_that_is_missing_is_a_finding() {
        let check = |takes: fn(&Request) -> bool, expected: &[&str]| {
            assert_eq!(cases(servers::ticketed(takes)), expected);
        };
        check(once, &["origin", "address", "route /admin"]);
        check(|r| once(r) && r.origin.as_deref() == Some("http://127.0.0.1"), &["address", "route /admin"]);
        check(|r| once(r) && !r.elsewhere, &["origin", "route /admin"]);
        check(|r| once(r) && r.target.starts_with("/ws?"), &["origin", "address"]);
        let findings = bench(servers::ticketed(once)).findings(&TicketNotBound);
        assert_eq!(findings[0].confidence, Confidence::Proven);
        assert!(!format!("{findings:?}").contains("0123456789abcdef"), "the ticket stays out of the report");
    }

    #[test]
    fn it_is_silent_where_tickets_are_bound_or_decide_nothing() {
        let check = |server: Server| assert_eq!(cases(server), [] as [&str; 0]);
        check(servers::ticketed(|r| {
            let home = r.origin.as_deref() == Some("http://127.0.0.1") && r.target.starts_with("/ws?");
            once(r) && home && !r.elsewhere
        }));
        check(servers::echo());
        check(servers::silent());
        check(servers::chat());
        check(servers::guest_book());
    }

    #[test]
    fn an_address_elsewhere_is_tried_only_where_the_target_is_here() {
        let bench = Bench::new("wss://app.example/ws", servers::ticketed(once)).as_mara();
        let cases = bench.with_tickets("X-Ticket: {ticket}").cases(&TicketNotBound);
        assert_eq!(cases, [("origin".to_owned(), Severity::Medium)]);
    }

    #[test]
    fn it_is_not_tested_without_tickets() {
        let check = |bench: Bench, expected| assert_eq!(bench.skip(&TicketNotBound), expected);
        check(Bench::new(URL, servers::correct()).as_mara(), Skip::NoTicket);
        check(bench(servers::refusing(401)), Skip::TicketRefused("the handshake was answered 401".into()));
    }
}

//! `ticket-replayable`: a ticket opens more than one connection.

use std::sync::Arc;

use sockwarden_model::{Confidence, Rule, rule};

use crate::{
    check::{Check, Conclusion, Machine, Scene, Skip, Step},
    dice::Dice,
    errand::Which,
    exchange::{Connection, Exchange},
    survey::{Part, Way, Who, conversation, handshake_of},
    talk::{Opening, Talk},
    ticket::Tickets,
    values::Values,
};

rule! {
    /// # What it does
    /// Needs the request that tickets are fetched with. It fetches one as the first user, opens the socket with it and with
    /// nothing else, tries a made-up one, and then opens the socket with the first ticket again. It is a finding when that
    /// works, and *proven* when data come back that the made-up ticket did not bring. Where a made-up ticket does as well as
    /// a true one, tickets decide nothing, and the check is silent.
    ///
    /// # Why is this bad
    /// A ticket is made to be sent where a session must not be: in an address or a sub-protocol, which logs, proxies and
    /// scripts see. That is safe only because it is worthless once it was used. A ticket that works again is a password
    /// that is written down everywhere.
    ///
    /// # How to fix
    /// Take the ticket in one atomic step that also deletes it, keep only its hash, and let it live for half a minute.
    ///
    /// Node, ws with Redis:
    /// ```js
    /// const owner = await redis.getDel('ticket:' + sha256(ticket));   // one step: found and gone
    /// if (!owner) return socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
    /// ```
    /// SQL: `DELETE FROM tickets WHERE hash = $1 AND expires > now() RETURNING owner`. Spring: `cache.evictIfPresent`. Django:
    /// `Ticket.objects.filter(hash=h, expires__gt=now()).delete()` and look at the count. Go: `sync.Map.LoadAndDelete`. In front
    /// of it all: `authentication` with `ticket`, which does this for any application, on several replicas too.
    pub(crate) static RULE = Check {
        id: "ticket-replayable",
        summary: "a ticket that was used opens another connection",
        severity: High,
        threats: [T1],
        cwe: [294],
        references: [
            "OWASP ASVS 5.0 V7.2.1",
            "RFC 9700 §4.5",
            "https://cheatsheetseries.owasp.org/cheatsheets/WebSocket_Security_Cheat_Sheet.html",
        ],
        lifecycle: Preview,
        counterparts: ["authentication"],
        profile: Safe,
        may_change: "one ticket of the first user is fetched and used up",
    }
}

pub(crate) struct TicketReplayable;

impl Check for TicketReplayable {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn start(&self, scene: Arc<Scene>, dice: Dice) -> Box<dyn Machine> {
        Box::new(Replayer { scene, dice })
    }
}

struct Replayer {
    scene: Arc<Scene>,
    dice: Dice,
}

impl Machine for Replayer {
    fn next(&mut self, exchange: &Exchange) -> Step {
        let tickets = match tickets_of(&self.scene) {
            Ok(tickets) => tickets,
            Err(skip) => return Step::Skip(skip),
        };
        let Some(reply) = exchange.replies.first() else { return Step::Errand(Which::Ticket, 0) };
        let Some(ticket) = tickets.in_reply(reply) else {
            return Step::Skip(Skip::TicketNotGiven(reply.answered()));
        };
        let (title, ticket) = match exchange.connections.as_slice() {
            [] => ("with a ticket", ticket),
            [first] if !first.is_admitted() => {
                return Step::Skip(Skip::TicketRefused(first.answered()));
            }
            [_] => ("with a made-up ticket", made_up(&ticket, &mut self.dice)),
            [_, _] => ("with the first ticket again", ticket),
            [first, made_up, again, ..] => return self.conclude(&ticket, first, made_up, again).into(),
        };
        Step::Talk(talk(&self.scene, tickets, &ticket, title, &mut self.dice))
    }
}

impl Replayer {
    fn conclude(
        &self,
        ticket: &str,
        first: &Connection,
        made_up: &Connection,
        again: &Connection,
    ) -> Conclusion {
        let Some(stolen) = opened(&self.scene, first, made_up, again) else { return Conclusion::clean() };
        let (confidence, what) = match stolen.is_empty() {
            true => (Confidence::Firm, String::new()),
            false => (Confidence::Proven, format!(" and brings the same data ({})", stolen.places())),
        };
        let summary = format!("a ticket that has opened a connection opens another one{what}");
        let mut finding = self.scene.finding(&RULE, "again", confidence, summary);
        for connection in [first, again, made_up] {
            finding = finding.with_evidence(self.scene.evidence_without(connection, &[ticket.to_owned()]));
        }
        Conclusion::found(vec![finding])
    }
}

/// Finds how tickets are fetched, or why no check can be made with them.
pub(super) fn tickets_of(scene: &Scene) -> Result<&Tickets, Skip> {
    let tickets = scene.target.tickets.as_ref().ok_or(Skip::NoTicket)?;
    if scene.target.identities.is_empty() { Err(Skip::NoIdentity) } else { Ok(tickets) }
}

/// Makes the talk that opens with a ticket, the site's own Origin, and no other credential.
pub(super) fn talk(scene: &Scene, tickets: &Tickets, ticket: &str, title: &str, dice: &mut Dice) -> Talk {
    let handshake = handshake_of(Way { who: Who::Anonymous, origin: true }, &scene.target, dice);
    let opening = Opening::legal(tickets.put(handshake, ticket));
    Talk { title: title.to_owned(), opening, turns: conversation(&scene.target, dice) }
}

/// Makes a ticket that nobody has issued: of the same length, ending otherwise.
pub(super) fn made_up(ticket: &str, dice: &mut Dice) -> String {
    let word = dice.word();
    let kept = ticket.len() - ticket.len().min(word.len());
    format!("{}{}", &ticket[..kept], &word[..ticket.len() - kept])
}

/// Tells what the connection `again` was given by its ticket: nothing (`None`), the opening, or data. `first` was opened by a
/// ticket as it should be, `made_up` by none that is good.
pub(super) fn opened(
    scene: &Scene,
    first: &Connection,
    made_up: &Connection,
    again: &Connection,
) -> Option<Values> {
    let stolen = Part::All
        .values(first)
        .common(&Part::All.values(again))
        .without(&Part::All.values(made_up))
        .without_echo(&scene.target.say)
        .telling();
    (again.is_admitted() && (!made_up.is_admitted() || !stolen.is_empty())).then_some(stolen)
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Severity;

    use super::*;
    use crate::testing::{
        Bench,
        servers::{self, Gate, Server},
    };

    const URL: &str = "wss://app.example/ws";
    const ASK: &str = r#"{"type":"account"}"#;

    fn bench(server: Server) -> Bench {
        Bench::new(URL, server).as_mara().saying(ASK).with_tickets("?ticket={ticket}")
    }

    #[test]
    fn it_fires_where_a_ticket_works_again() {
        let findings = bench(servers::ticketed(|_| true)).findings(&TicketReplayable);
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].severity, findings[0].confidence), (Severity::High, Confidence::Proven));
        assert_eq!(
            findings[0].summary,
            "a ticket that has opened a connection opens another one and brings the same data (account.balance, \
             account.email, account.user, hello.user)"
        );
        assert!(!format!("{findings:?}").contains("0123456789abcdef"), "the ticket stays out of the report");
        let mute = Server {
            greeting: |_, _| Vec::new(),
            answer: |_, _, _| Vec::new(),
            ..servers::ticketed(|_| true)
        };
        assert_eq!(bench(mute).findings(&TicketReplayable)[0].confidence, Confidence::Firm);
        for place in ["X-Ticket: {ticket}", "sockwarden.ticket.{ticket}"] {
            let bench = Bench::new(URL, servers::ticketed(|_| true)).as_mara().with_tickets(place);
            assert_eq!(bench.findings(&TicketReplayable).len(), 1, "{place}");
        }
    }

    #[test]
    fn it_is_silent_where_a_ticket_is_taken_once_or_decides_nothing() {
        let check = |server: Server| {
            let bench = bench(server);
            assert_eq!(bench.severities(&TicketReplayable), [], "{}", bench.name());
        };
        check(servers::ticketed(|request| request.ticket_uses == 1));
        check(servers::echo());
        check(servers::silent());
        check(servers::chat());
        check(servers::guest_book());
    }

    #[test]
    fn it_is_not_tested_without_tickets() {
        let check = |bench: Bench, expected| assert_eq!(bench.skip(&TicketReplayable), expected);
        check(Bench::new(URL, servers::correct()).as_mara(), Skip::NoTicket);
        check(Bench::new(URL, servers::echo()).with_tickets("?ticket={ticket}"), Skip::NoIdentity);
        let refused = Server { gate: |_| Gate::Refuse(401), ..servers::echo() };
        check(bench(refused), Skip::TicketRefused("the handshake was answered 401".into()));
        let none = Server { ticket_status: 403, ..servers::echo() };
        check(bench(none), Skip::TicketNotGiven("it was answered 403".into()));
    }
}

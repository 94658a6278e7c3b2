//! `horizontal-access`: a user is given what is another user's.

use std::sync::Arc;

use sockwarden_model::{Confidence, Rule, Severity, printable, rule};

use crate::{
    check::{Check, Conclusion, Machine, Scene, Skip, Step},
    dice::Dice,
    exchange::{Connection, Exchange},
    personal,
    survey::{Part, Who, handshake_of, saying},
    talk::{Opening, Talk},
    values::Values,
};

rule! {
    /// # What it does
    /// Needs two users without privileges, each with a message that asks for its own data. Each says its own message, then
    /// that of the other, then its own again. *Proven* are personal data (an e-mail address, a card number, an account's
    /// figures, a token) that the owner is given both times, and that another user is given for the owner's message but not
    /// for its own. Left out is what merely comes back, and what those without credentials are given as well
    /// (`unauthenticated-access` tells of that). Other answers that are the same are *low*, for they may be meant to be shared.
    ///
    /// # Why is this bad
    /// A socket that is authenticated says who is there, not what belongs to whom. Where a message names the record (an
    /// account, a room, an order) and the server looks up whatever is named, one user reads and changes the data of all by
    /// counting through names: the most frequent flaw of interfaces, and no log of failed logins shows it.
    ///
    /// # How to fix
    /// Decide for each message, not for each connection. Take the owner from the session instead of the message, or ask the
    /// database for the record *and* its owner at once, so that there is nothing to forget.
    ///
    /// Node, ws:
    /// ```js
    /// ws.on('message', async data => {
    ///   const { type, id } = JSON.parse(data);
    ///   const row = await db.get('SELECT * FROM accounts WHERE id = ? AND owner = ?', id, ws.user);
    ///   ws.send(JSON.stringify(row ? { type, ...row } : { type: 'error', code: 'forbidden' }));
    /// });
    /// ```
    /// Socket.IO: put each user in a room of its own (`socket.join(socket.data.user)`) and look the owner up in
    /// `socket.data`. Spring: `@PreAuthorize("#id == principal.name")` on the `@MessageMapping`, and `/user/queue/…` for
    /// answers. Django Channels: `Account.objects.get(pk=id, owner=self.scope["user"])`. ASP.NET SignalR:
    /// `IAuthorizationService` with the resource, `Context.UserIdentifier` as the owner. In front of it all:
    /// `message-authorization` with a rule that compares a field with the caller's claim.
    pub(crate) static RULE = Check {
        id: "horizontal-access",
        summary: "a user's message for another user's data is answered with them",
        severity: High,
        threats: [T1],
        cwe: [639],
        references: [
            "OWASP API Security Top 10 API1:2023",
            "OWASP ASVS 5.0 V8.2.2",
            "https://cheatsheetseries.owasp.org/cheatsheets/Insecure_Direct_Object_Reference_Prevention_Cheat_Sheet.html",
        ],
        lifecycle: Preview,
        counterparts: ["message-authorization"],
        profile: Safe,
        may_change: "nothing but what the users' own messages change, said by each of the other users too",
    }
}

pub(crate) struct HorizontalAccess;

impl Check for HorizontalAccess {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn start(&self, scene: Arc<Scene>, dice: Dice) -> Box<dyn Machine> {
        let plan = plan(&scene);
        Box::new(Neighbour { scene, dice, plan })
    }
}

/// One visit: who says the messages of which identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Visit {
    speaker: Who,
    owner: usize,
}

struct Neighbour {
    scene: Arc<Scene>,
    dice: Dice,
    plan: Vec<Visit>,
}

/// Plans the visits: all say their own, then those of the others, then their own again, so that what changes with time
/// differs between the first and the last. Nothing is planned where there are not two to compare.
fn plan(scene: &Scene) -> Vec<Visit> {
    let (identities, survey) = (&scene.target.identities, &scene.survey);
    let users: Vec<usize> = (0..identities.len())
        .filter(|&index| !identities[index].privileged && !identities[index].say.is_empty())
        .filter(|&index| survey.way_of(Who::Identity(index)).is_some())
        .collect();
    if users.len() < 2 {
        return Vec::new();
    }
    let own = || users.iter().map(|&owner| Visit { speaker: Who::Identity(owner), owner });
    let others = users.iter().flat_map(|&owner| {
        let speakers = users.iter().filter(move |&&speaker| speaker != owner);
        speakers.map(move |&speaker| Visit { speaker: Who::Identity(speaker), owner })
    });
    let strangers = survey.way_of(Who::Anonymous).is_some();
    let nobody = users.iter().filter(|_| strangers).map(|&owner| Visit { speaker: Who::Anonymous, owner });
    own().chain(others).chain(nobody).chain(own()).collect()
}

impl Machine for Neighbour {
    fn next(&mut self, exchange: &Exchange) -> Step {
        if self.plan.is_empty() {
            return Step::Skip(Skip::NoNeighbours);
        }
        if let Some(last) = exchange.last()
            && !last.is_admitted()
        {
            return Step::Skip(last.overloaded());
        }
        match self.plan.get(exchange.connections.len()) {
            Some(&visit) => self.visit(visit),
            None => self.conclude(exchange).into(),
        }
    }
}

impl Neighbour {
    fn visit(&mut self, Visit { speaker, owner }: Visit) -> Step {
        let target = &self.scene.target;
        // Only those who were let in are planned.
        let Some(way) = self.scene.survey.way_of(speaker) else {
            return Step::Skip(Skip::NoNeighbours);
        };
        let whose = &target.identities[owner].name;
        let title = match speaker {
            Who::Anonymous => format!("without credentials, with the messages of {whose}"),
            Who::Identity(index) if index == owner => format!("as {whose}, with its own messages"),
            Who::Identity(index) => {
                format!("as {}, with the messages of {whose}", target.identities[index].name)
            }
        };
        let opening = Opening::legal(handshake_of(way, target, &mut self.dice));
        let turns = saying(&target.identities[owner].say, &mut self.dice);
        Step::Talk(Talk { title, opening, turns })
    }

    /// Gives what was received on the visits of `speaker` with the messages of `owner`.
    fn visits<'a>(&self, exchange: &'a Exchange, speaker: Who, owner: usize) -> Vec<&'a Connection> {
        let wanted = Visit { speaker, owner };
        let visits = self.plan.iter().zip(&exchange.connections);
        visits.filter(|(visit, _)| **visit == wanted).map(|(_, connection)| connection).collect()
    }

    /// Gives what is the owner's alone and was given to `speaker`.
    fn taken(&self, exchange: &Exchange, speaker: usize, owner: usize) -> Values {
        let all = |part: Part, who: Who, of: usize| {
            let visits = self.visits(exchange, who, of).into_iter().map(|visit| part.values(visit));
            visits.collect::<Vec<_>>()
        };
        let any = |values: Vec<Values>| values.iter().fold(Values::default(), |all, some| all.and(some));
        let mut own = all(Part::Answers, Who::Identity(owner), owner).into_iter();
        let first = own.next().unwrap_or_default();
        let stable = own.fold(first, |stable, values| stable.common(&values));
        stable
            .common(&any(all(Part::Answers, Who::Identity(speaker), owner)))
            .without(&any(all(Part::All, Who::Identity(speaker), speaker)))
            .without(&self.scene.survey.any(Who::Identity(speaker), Part::All))
            .without(&any(all(Part::All, Who::Anonymous, owner)))
            .without_echo(&self.scene.target.identities[owner].say)
            .telling()
    }

    fn conclude(&self, exchange: &Exchange) -> Conclusion {
        let name = |index: usize| printable(self.scene.target.identities[index].name.as_bytes(), 40);
        let mut personal_data = Vec::new();
        let mut same_answers = Vec::new();
        let mut seen = Vec::new();
        for &Visit { speaker, owner } in &self.plan {
            let Who::Identity(speaker) = speaker else { continue };
            if speaker == owner || seen.contains(&(speaker, owner)) {
                continue;
            }
            seen.push((speaker, owner));
            let taken = self.taken(exchange, speaker, owner);
            if !personal::kinds(&taken).is_empty() {
                personal_data.push((speaker, owner, taken));
            } else if !taken.is_empty() {
                same_answers.push((speaker, owner, taken));
            }
        }
        let (case, severity, confidence, pairs) = if personal_data.is_empty() {
            ("same-answers", Severity::Low, Confidence::Tentative, same_answers)
        } else {
            ("personal-data", Severity::High, Confidence::Proven, personal_data)
        };
        let Some((speaker, owner, taken)) = pairs.first() else { return Conclusion::clean() };
        let kinds = personal::kinds(taken);
        let what = if kinds.is_empty() {
            format!("({}); is it meant to be shared?", taken.places())
        } else {
            format!("{} ({})", kinds.join(", "), taken.places())
        };
        let more = match pairs.len() - 1 {
            0 => String::new(),
            1 => ", and so for another pair of users".to_owned(),
            count => format!(", and so for {count} other pairs of users"),
        };
        let summary = format!(
            "{} is answered with data of {} by the message that asks for them: {what}{more}",
            name(*speaker),
            name(*owner)
        );
        let mut finding = self.scene.finding(&RULE, case, confidence, summary).with_severity(severity);
        let shown = [(*owner, *owner), (*speaker, *owner), (*speaker, *speaker)];
        for (speaker, owner) in shown {
            if let Some(visit) = self.visits(exchange, Who::Identity(speaker), owner).first() {
                finding = finding.with_evidence(self.scene.evidence(visit));
            }
        }
        Conclusion::found(vec![finding])
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
    const OF_MARA: &str = r#"{"type":"account","of":"mara"}"#;
    const OF_JORIS: &str = r#"{"type":"account","of":"joris"}"#;

    fn two(server: Server) -> Bench {
        Bench::new(URL, server).as_mara().saying_own(OF_MARA).as_joris().saying_own(OF_JORIS)
    }

    /// Gives the account of whoever is named to anyone who is logged in.
    fn careless(user: Option<&str>, n: u32, text: &str) -> Vec<String> {
        let named = ["mara", "joris"].into_iter().find(|name| text.contains(*name));
        match (user, named) {
            (Some(_), Some(named)) => vec![servers::account_of(named, n)],
            (None, _) | (_, None) => vec![r#"{"type":"error","message":"no"}"#.to_owned()],
        }
    }

    /// The same, with the owner compared.
    fn careful(user: Option<&str>, n: u32, text: &str) -> Vec<String> {
        match user.is_some_and(|user| text.contains(user)) {
            true => careless(user, n, text),
            false => careless(None, n, text),
        }
    }

    #[test]
    fn it_fires_where_a_user_is_given_anothers_account() {
        let bench = two(Server { answer: careless, ..servers::correct() });
        let findings = bench.findings(&HorizontalAccess);
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].severity, findings[0].confidence), (Severity::High, Confidence::Proven));
        assert_eq!(
            findings[0].summary,
            "joris is answered with data of mara by the message that asks for them: an e-mail address \
             (account.email), and so for another pair of users"
        );
        assert_eq!(findings[0].evidence.len(), 3);
    }

    #[test]
    fn it_is_silent_where_users_get_what_is_theirs() {
        let check = |server: Server| {
            let bench = two(server);
            assert_eq!(bench.severities(&HorizontalAccess), [], "{}", bench.name());
        };
        check(Server { answer: careful, ..servers::correct() });
        // Gives everybody their own, whoever is named.
        check(servers::correct());
        check(servers::echo());
        check(servers::silent());
        check(servers::chat());
        check(servers::guest_book());
        // Tells all the same, strangers included.
        check(Server {
            answer: |_, n, _| vec![servers::account_of("mara", n)],
            gate: |request| Gate::Admit(request.user()),
            ..servers::echo()
        });
        // Tells all users the same, whatever they ask.
        check(Server { answer: |_, n, _| vec![servers::account_of("mara", n)], ..servers::correct() });
    }

    #[test]
    fn what_may_be_meant_to_be_shared_is_low() {
        let notes = Server {
            answer: |_, _, text| {
                let note = if text.contains("mara") { "lantern oil" } else { "tug ropes" };
                vec![format!(r#"{{"type":"note","text":"{note}"}}"#)]
            },
            ..servers::correct()
        };
        assert_eq!(two(notes).cases(&HorizontalAccess), [("same-answers".to_owned(), Severity::Low)]);
    }

    #[test]
    fn it_is_not_tested_without_two_users_who_have_something_to_say() {
        let check = |bench: Bench| assert_eq!(bench.skip(&HorizontalAccess), Skip::NoNeighbours);
        check(Bench::new(URL, servers::echo()));
        check(Bench::new(URL, servers::echo()).as_mara().saying_own(OF_MARA));
        check(Bench::new(URL, servers::echo()).as_mara().as_joris());
        check(
            Bench::new(URL, servers::echo())
                .as_mara()
                .saying_own("a")
                .as_joris()
                .saying_own("b")
                .privileged(),
        );
        check(two(servers::refusing(401)));
    }
}

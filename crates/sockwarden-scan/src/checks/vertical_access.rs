//! `vertical-access`: an operation of the privileged is carried out for anybody.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value as Json;
use sockwarden_model::{Confidence, Finding, Rule, printable, rule};

use crate::{
    check::{Check, Conclusion, Machine, Scene, Skip, Step},
    dice::Dice,
    exchange::{Connection, Exchange, Message},
    personal,
    survey::{Part, Who, handshake_of, saying},
    talk::{Opening, Talk},
    values::{Values, is_error, json},
};

rule! {
    /// # What it does
    /// Needs a privileged user with the messages that only such a user may send, and a user without privileges. The user
    /// without says the privileged messages, then the same messages with another operation's name in them, and at last the
    /// privileged user says its own. It is *proven* when personal data (an e-mail address, a card number, an account's
    /// figures, a token) come back to both that the plain user has not been told otherwise, and *firm* when an answer of the
    /// same form with the same words comes to both that is no error, no echo, and not given to an operation that does not exist. Strangers who
    /// are let in are tried too: what they get as well is not told here.
    ///
    /// # Why is this bad
    /// Pages hide the administrator's buttons; the socket behind takes any message from anyone who has a session. Whoever
    /// reads the script, or another user's traffic, knows the operations, and sends one: grants a role, lists all accounts,
    /// stops a machine.
    ///
    /// # How to fix
    /// Keep one table of operations with the role that each needs, deny what is not in it, and ask it before a message is
    /// carried out, with the role of that moment rather than that of the handshake.
    ///
    /// Node, ws:
    /// ```js
    /// const needs = { 'post': 'member', 'admin.grant': 'admin' };
    /// ws.on('message', async data => {
    ///   const message = JSON.parse(data);
    ///   if (!(await rolesOf(ws.user)).has(needs[message.type])) return ws.send('{"type":"error","code":"forbidden"}');
    ///   await operations[message.type](ws.user, message);
    /// });
    /// ```
    /// Socket.IO: a `socket.use` that looks the event up, or a namespace of its own with its own `use`. Spring:
    /// `messages.simpDestMatchers("/app/admin/**").hasRole("ADMIN").anyMessage().denyAll()`. Django Channels: a consumer of
    /// its own behind `self.scope["user"].is_staff`. ASP.NET SignalR: `[Authorize(Roles = "Admin")]` on the method. In front
    /// of it all: `message-authorization` with one rule for each operation.
    pub(crate) static RULE = Check {
        id: "vertical-access",
        summary: "a privileged operation is carried out for a user without privileges",
        severity: High,
        threats: [T1],
        cwe: [862, 285],
        references: [
            "OWASP API Security Top 10 API5:2023",
            "OWASP ASVS 5.0 V8.2.1",
            "https://cheatsheetseries.owasp.org/cheatsheets/Authorization_Cheat_Sheet.html",
        ],
        lifecycle: Preview,
        counterparts: ["message-authorization"],
        profile: Safe,
        may_change: "what the privileged users' messages change, if the flaw is there; they are said by each user, and once by their owner",
    }
}

pub(crate) struct VerticalAccess;

impl Check for VerticalAccess {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn start(&self, scene: Arc<Scene>, mut dice: Dice) -> Box<dyn Machine> {
        let plan = plan(&scene);
        let word = dice.word();
        Box::new(Climber { scene, dice, plan, word })
    }
}

/// One visit: who says the messages of which privileged identity, or some like them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Visit {
    speaker: Who,
    owner: usize,
    like: Like,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Like {
    /// The messages as they are.
    Real,
    /// The same with the name of an operation that nobody has.
    Made,
}

struct Climber {
    scene: Arc<Scene>,
    dice: Dice,
    plan: Vec<Visit>,
    /// The name of an operation that nobody has.
    word: String,
}

/// Plans the visits. The owner comes last, so that an operation that works once is not used up before it is tried. Nothing
/// is planned where there are not two to compare.
fn plan(scene: &Scene) -> Vec<Visit> {
    let (identities, survey) = (&scene.target.identities, &scene.survey);
    let inside: Vec<usize> =
        (0..identities.len()).filter(|&index| survey.way_of(Who::Identity(index)).is_some()).collect();
    let plain: Vec<usize> = inside.iter().copied().filter(|&index| !identities[index].privileged).collect();
    let owners =
        inside.iter().copied().filter(|&at| identities[at].privileged && !identities[at].say.is_empty());
    if plain.is_empty() {
        return Vec::new();
    }
    owners
        .flat_map(|owner| {
            let visit = move |speaker, like| Visit { speaker, owner, like };
            let tried = plain.iter().flat_map(move |&speaker| {
                [Like::Real, Like::Made].map(|like| visit(Who::Identity(speaker), like))
            });
            let nobody = survey.way_of(Who::Anonymous).map(|_| visit(Who::Anonymous, Like::Real));
            tried.chain(nobody).chain([visit(Who::Identity(owner), Like::Real)]).collect::<Vec<_>>()
        })
        .collect()
}

impl Machine for Climber {
    fn next(&mut self, exchange: &Exchange) -> Step {
        if self.plan.is_empty() {
            return Step::Skip(Skip::NoPrivileged);
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

impl Climber {
    fn visit(&mut self, Visit { speaker, owner, like }: Visit) -> Step {
        let target = &self.scene.target;
        // Only those who were let in are planned.
        let Some(way) = self.scene.survey.way_of(speaker) else { return Step::Skip(Skip::NoPrivileged) };
        let whose = &target.identities[owner].name;
        let who = match speaker {
            Who::Anonymous => "without credentials".to_owned(),
            Who::Identity(index) => format!("as {}", target.identities[index].name),
        };
        let (title, texts) = match like {
            Like::Real => {
                (format!("{who}, with the messages of {whose}"), target.identities[owner].say.clone())
            }
            Like::Made => {
                let made = target.identities[owner].say.iter().map(|text| renamed(text, &self.word));
                (format!("{who}, with an operation that does not exist"), made.collect())
            }
        };
        let opening = Opening::legal(handshake_of(way, target, &mut self.dice));
        Step::Talk(Talk { title, opening, turns: saying(&texts, &mut self.dice) })
    }

    fn visited<'a>(&self, exchange: &'a Exchange, wanted: Visit) -> Option<&'a Connection> {
        self.plan.iter().zip(&exchange.connections).find(|(visit, _)| **visit == wanted).map(|(_, c)| c)
    }

    fn conclude(&self, exchange: &Exchange) -> Conclusion {
        let identities = &self.scene.target.identities;
        let survey = &self.scene.survey;
        let mut findings: Vec<Finding> = Vec::new();
        for visit in &self.plan {
            let &Visit { speaker: Who::Identity(speaker), owner, like: Like::Real } = visit else { continue };
            if speaker == owner {
                continue;
            }
            let of = |speaker, like| self.visited(exchange, Visit { speaker, owner, like });
            let (Some(owners), Some(plain), Some(made)) = (
                of(Who::Identity(owner), Like::Real),
                of(Who::Identity(speaker), Like::Real),
                of(Who::Identity(speaker), Like::Made),
            ) else {
                continue;
            };
            let stranger = of(Who::Anonymous, Like::Real);
            let otherwise = survey
                .any(Who::Identity(speaker), Part::All)
                .and(&Part::All.values(made))
                .and(&Part::Greeting.values(plain))
                .and(&stranger.map(|c| Part::All.values(c)).unwrap_or_default());
            let given = alike(owners, plain)
                .common(&alike(plain, owners))
                .without(&otherwise)
                .without_echo(&identities[owner].say)
                .telling();
            let kinds = personal::kinds(&given);
            let known = survey.admitted(Who::Identity(speaker)).map(|visit| &visit.connection);
            let known: BTreeSet<String> =
                known.chain([made]).chain(stranger).flat_map(|c| forms(c.messages())).collect();
            let said: BTreeSet<String> =
                identities[owner].say.iter().filter_map(|t| form(t.as_bytes())).collect();
            let same: Vec<String> = forms(owners.replies())
                .intersection(&forms(plain.replies()))
                .filter(|form| !known.contains(*form) && !said.contains(*form))
                .filter(|form| words(owners, form) == words(plain, form))
                .cloned()
                .collect();
            let name = |index: usize| printable(identities[index].name.as_bytes(), 40);
            let (confidence, case, what) = match (kinds.is_empty(), same.first()) {
                (false, _) => {
                    let what = format!("is given the same data: {} ({})", kinds.join(", "), given.places());
                    (Confidence::Proven, "personal-data", what)
                }
                (true, Some(form)) => {
                    let form = printable(form.as_bytes(), 80);
                    (Confidence::Firm, "same-answer", format!("gets an answer of the same form ({form})"))
                }
                (true, None) => continue,
            };
            let summary = format!("{} says what only {} may say, and {what}", name(speaker), name(owner));
            let mut finding = self.scene.finding(&RULE, case, confidence, summary);
            for connection in [plain, owners, made] {
                finding = finding.with_evidence(self.scene.evidence(connection));
            }
            // One finding of each kind: who else may do the same is told by the first.
            if !findings.iter().any(|known| known.case == finding.case) {
                findings.push(finding);
            }
        }
        Conclusion::found(findings)
    }
}

/// Gives the forms of the messages that are no errors.
fn forms<'a>(messages: impl IntoIterator<Item = &'a Message>) -> BTreeSet<String> {
    let messages = messages.into_iter().filter(|message| !is_error(&message.payload));
    messages.filter_map(|message| form(&message.payload)).collect()
}

/// Gives the words of the replies of one form. Where each gets its own they differ, and nobody got what is another's.
fn words(connection: &Connection, of: &str) -> Values {
    let replies = connection.replies().filter(|reply| form(&reply.payload).as_deref() == Some(of));
    Values::of(replies).telling().wordy()
}

/// Gives what the answers of `one` tell, without those in whose stead `other` got its own. Plain texts have no form.
fn alike(one: &Connection, other: &Connection) -> Values {
    let replies = one.replies().filter(|reply| !is_error(&reply.payload));
    Values::of(
        replies
            .filter(|reply| form(&reply.payload).is_none_or(|form| words(one, &form) == words(other, &form))),
    )
}

/// Names the form of a message in JSON, its operation and its fields: `granted: role, type, user`.
fn form(payload: &[u8]) -> Option<String> {
    let json = json(payload)?;
    let (kind, fields) = match &json {
        Json::Array(items) => (items.first().and_then(Json::as_str), items.iter().find_map(Json::as_object)),
        Json::Object(fields) => (OPERATION.iter().find_map(|key| fields.get(*key)?.as_str()), Some(fields)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => return None,
    };
    let names: BTreeSet<&str> =
        fields.into_iter().flat_map(|fields| fields.keys()).map(String::as_str).collect();
    let names: Vec<&str> = names.into_iter().collect();
    Some(format!("{}: {}", kind.unwrap_or_default(), names.join(", ")))
}

/// The fields that name an operation, the likeliest first.
const OPERATION: [&str; 6] = ["type", "event", "op", "action", "method", "kind"];

/// Gives the message with the name of its operation replaced; a message without one is replaced as a whole.
fn renamed(text: &str, word: &str) -> String {
    match serde_json::from_str::<Json>(text) {
        Ok(Json::Object(mut fields)) => {
            let key = OPERATION.into_iter().find(|key| fields.get(*key).is_some_and(Json::is_string));
            match key {
                Some(key) => {
                    fields.insert(key.to_owned(), Json::String(word.to_owned()));
                    Json::Object(fields).to_string()
                }
                None => format!(r#"{{"type":"{word}"}}"#),
            }
        }
        Ok(Json::Array(mut items)) if items.first().is_some_and(Json::is_string) => {
            items[0] = Json::String(word.to_owned());
            Json::Array(items).to_string()
        }
        Ok(_) | Err(_) => word.to_owned(),
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
    const GRANT: &str = r#"{"type":"admin.grant","user":"mara","role":"admin"}"#;
    const LIST: &str = r#"{"type":"admin.accounts"}"#;

    fn bench(server: Server, operation: &str) -> Bench {
        Bench::new(URL, server).as_mara().as_joris().saying_own(operation).privileged()
    }

    fn administer(user: Option<&str>, n: u32, text: &str) -> Vec<String> {
        vec![if user.is_none() {
            r#"{"type":"error","code":"not-logged-in"}"#.to_owned()
        } else if text.contains("admin.grant") {
            r#"{"type":"granted","user":"mara","role":"admin"}"#.to_owned()
        } else if text.contains("admin.accounts") {
            format!(r#"{{"type":"accounts","accounts":[{}]}}"#, servers::account_of("ines", n))
        } else {
            r#"{"type":"error","code":"unknown-type"}"#.to_owned()
        }]
    }

    fn flawed() -> Server {
        Server { answer: administer, ..servers::correct() }
    }

    fn fixed() -> Server {
        Server {
            answer: |user, n, text| match user {
                Some("joris") => administer(user, n, text),
                Some(_) | None => vec![r#"{"type":"error","code":"forbidden"}"#.to_owned()],
            },
            ..servers::correct()
        }
    }

    #[test]
    fn it_fires_where_a_plain_user_may_do_what_the_privileged_do() {
        let check = |operation: &str, confidence, summary: &str| {
            let findings = bench(flawed(), operation).findings(&VerticalAccess);
            assert_eq!(findings.len(), 1);
            assert_eq!((findings[0].severity, findings[0].confidence), (Severity::High, confidence));
            assert_eq!(findings[0].summary, summary);
            assert_eq!(findings[0].evidence.len(), 3);
        };
        check(
            LIST,
            Confidence::Proven,
            "mara says what only joris may say, and is given the same data: an account's figures, an e-mail address \
             (accounts.accounts.balance, accounts.accounts.email, accounts.accounts.user)",
        );
        check(
            GRANT,
            Confidence::Firm,
            "mara says what only joris may say, and gets an answer of the same form (granted: role, type, user)",
        );
    }

    #[test]
    fn it_is_silent_where_operations_are_kept_or_nothing_is_carried_out() {
        let check = |server: Server| {
            for operation in [GRANT, LIST, "grant mara admin"] {
                let bench = bench(server.clone(), operation);
                assert_eq!(bench.severities(&VerticalAccess), [], "{}: {operation}", bench.name());
            }
        };
        check(fixed());
        check(servers::echo());
        check(servers::silent());
        check(servers::chat());
        check(servers::guest_book());
        check(servers::correct());
        // Says yes to everything.
        check(Server {
            answer: |_, _, _| vec![r#"{"type":"ack","ok":true}"#.to_owned()],
            ..servers::correct()
        });
    }

    #[test]
    fn it_is_not_tested_without_a_privileged_and_a_plain_user() {
        let check = |bench: Bench| assert_eq!(bench.skip(&VerticalAccess), Skip::NoPrivileged);
        check(Bench::new(URL, servers::echo()));
        check(Bench::new(URL, servers::correct()).as_mara().saying_own(GRANT).as_joris());
        check(Bench::new(URL, servers::correct()).as_mara().saying_own(GRANT).privileged());
        check(Bench::new(URL, servers::correct()).as_mara().as_joris().privileged());
    }

    #[test]
    fn an_operation_is_renamed_where_it_stands() {
        let read = |text: &str| serde_json::from_str::<Json>(text).map_err(|_| text.to_owned());
        let check =
            |text: &str, expected: &str| assert_eq!(read(&renamed(text, "x")), read(expected), "{text}");
        check(r#"{"type":"grant","user":"mara"}"#, r#"{"type":"x","user":"mara"}"#);
        check(r#"{"method":"grant","id":7}"#, r#"{"id":7,"method":"x"}"#);
        check(r#"["grant",{"user":"mara"}]"#, r#"["x",{"user":"mara"}]"#);
        check(r#"{"user":"mara"}"#, r#"{"type":"x"}"#);
        check("grant mara", "x");
    }
}

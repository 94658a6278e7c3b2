//! `session-outlives-logout`: who has logged out is still answered on the socket.

use std::{sync::Arc, time::Duration};

use sockwarden_model::{Confidence, Rule, Severity, printable, rule};

use crate::{
    check::{Check, Conclusion, Machine, Scene, Skip, Step},
    dice::Dice,
    errand::Which,
    exchange::{Exchange, Message},
    survey::{Part, Who, handshake_of, saying},
    talk::{Listen, Opening, Talk, Turn, Until},
    values::{Values, is_error},
};

rule! {
    /// # What it does
    /// Needs the request that logs a user out. It opens the socket as the first user, says the messages to say, logs the user
    /// out by that request with the user's own headers, waits (five seconds unless told otherwise), says the messages again on
    /// the same socket, and at last tries to connect anew. It is *high* when the socket still answers with data that only this
    /// user is given, *medium* when the credentials go on to open connections as if nothing had happened, and *low* when
    /// the socket merely stays open. It is made after all other checks, because the session is over then.
    ///
    /// # Why is this bad
    /// A user logs out of a shared computer, or an administrator ends a stolen session, and the page says that it is done.
    /// A socket that was opened before goes on as that user, for hours, since nobody asks it for the session again.
    ///
    /// # How to fix
    /// Remember for each socket which session it was opened with. Close it (4401, or 1008) when that session ends, and ask for
    /// the session again every few minutes, for the ways that an end can come without your notice.
    ///
    /// Node, ws:
    /// ```js
    /// wss.on('connection', (ws, req, session) => { live.add(session.id, ws); ws.on('close', () => live.delete(ws)); });
    /// app.post('/logout', (req, res) => {
    ///   for (const ws of live.of(req.session.id)) ws.close(4401, 'logged out');
    ///   req.session.destroy(() => res.sendStatus(204));
    /// });
    /// ```
    /// Socket.IO: `io.in(sessionId).disconnectSockets()` with a room for each session. Spring: a listener on
    /// `SessionDestroyedEvent` that closes the `WebSocketSession`s. Django Channels: a group for each session and a handler of
    /// `user_logged_out` that sends it `close`. ASP.NET SignalR: `CloseOnAuthenticationExpiration`, and `Context.Abort()`. In
    /// front of it all: `authentication`, whose sockets end with the session, by revalidation or by a revocation.
    pub(crate) static RULE = Check {
        id: "session-outlives-logout",
        summary: "the socket goes on as a user who has logged out",
        severity: Medium,
        threats: [T1],
        cwe: [613],
        references: [
            "OWASP ASVS 5.0 V7.4.1",
            "RFC 6455 §10.5",
            "https://cheatsheetseries.owasp.org/cheatsheets/WebSocket_Security_Cheat_Sheet.html",
        ],
        lifecycle: Preview,
        counterparts: ["authentication"],
        profile: Safe,
        may_change: "the session of the first user ends, which is why it is made last and only where the request is given",
    }
}

pub(crate) struct SessionOutlivesLogout;

impl Check for SessionOutlivesLogout {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn start(&self, scene: Arc<Scene>, dice: Dice) -> Box<dyn Machine> {
        let index =
            (0..scene.target.identities.len()).find(|&i| scene.survey.way_of(Who::Identity(i)).is_some());
        Box::new(Leaver { scene, dice, index, stage: Stage::Begin })
    }

    fn ends_sessions(&self) -> bool {
        true
    }
}

/// What was asked for last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    Opened,
    LoggedOut,
    Waited,
    Tried,
}

struct Leaver {
    scene: Arc<Scene>,
    dice: Dice,
    /// The identity that logs out.
    index: Option<usize>,
    stage: Stage,
}

impl Machine for Leaver {
    fn next(&mut self, exchange: &Exchange) -> Step {
        let Some(index) = self.index else { return Step::Skip(Skip::NoIdentity) };
        if self.scene.target.logout.is_none() {
            return Step::Skip(Skip::NoLogout);
        }
        match self.stage {
            Stage::Begin => {
                self.stage = Stage::Opened;
                self.open(index, "before the logout", false)
            }
            Stage::Opened => {
                if let Some(last) = exchange.last()
                    && !last.is_open()
                {
                    return Step::Skip(last.overloaded());
                }
                self.stage = Stage::LoggedOut;
                Step::Errand(Which::Logout, index)
            }
            Stage::LoggedOut => {
                if let Some(reply) = exchange.replies.last()
                    && !reply.is_done()
                {
                    return Step::Skip(Skip::LogoutFailed(reply.answered()));
                }
                self.stage = Stage::Waited;
                let at_most = self.scene.target.logout_wait;
                let mut turns = vec![Turn::Listen(Listen { until: Until::End, at_most })];
                for text in self.texts(index) {
                    turns.extend([Turn::text(&text, &mut self.dice), Turn::settle()]);
                }
                // A target that closes because of a message needs a moment to say so.
                turns.push(Turn::Listen(Listen { until: Until::End, at_most: Duration::from_secs(1) }));
                Step::More(turns)
            }
            Stage::Waited => {
                self.stage = Stage::Tried;
                self.open(index, "after the logout", true)
            }
            Stage::Tried => self.conclude(index, exchange).into(),
        }
    }
}

impl Leaver {
    /// Gives the messages that ask for the user's data.
    fn texts(&self, index: usize) -> Vec<String> {
        let target = &self.scene.target;
        target.say.iter().chain(&target.identities[index].say).cloned().collect()
    }

    fn open(&mut self, index: usize, when: &str, leaves: bool) -> Step {
        let target = &self.scene.target;
        // Only an identity that was let in is chosen.
        let Some(way) = self.scene.survey.way_of(Who::Identity(index)) else {
            return Step::Skip(Skip::NoIdentity);
        };
        let title = format!("as {}, {when}", target.identities[index].name);
        let opening = Opening::legal(handshake_of(way, target, &mut self.dice));
        let mut turns = saying(&self.texts(index), &mut self.dice);
        if !leaves {
            turns.pop();
        }
        Step::Talk(Talk { title, opening, turns })
    }

    fn conclude(&self, index: usize, exchange: &Exchange) -> Conclusion {
        let [socket, fresh] = exchange.connections.as_slice() else { return Conclusion::clean() };
        let survey = &self.scene.survey;
        let said = self.texts(index);
        let is_before = |message: &&Message| message.after_sends <= said.len();
        let before = Values::of(socket.messages().iter().filter(is_before));
        let after = Values::of(socket.messages().iter().filter(|m| !is_before(m) && !is_error(&m.payload)));
        let anonymous = survey.any(Who::Anonymous, Part::All);
        let strangers_in = survey.way_of(Who::Anonymous).is_some();
        let stable = survey.stable(Who::Identity(index), Part::All);
        let own = before.common(&stable).without(&anonymous).without_echo(&said).telling();
        let name = printable(self.scene.target.identities[index].name.as_bytes(), 40);
        let still = own.common(&after);
        let renewed = own.common(&Part::All.values(fresh));
        // What those who come anew are given is no matter of the session, once that is over.
        let kept = still.without(&Part::All.values(fresh));
        let wait = self.scene.target.logout_wait.as_secs();
        let goes_on = fresh.is_admitted() && (!strangers_in || !renewed.is_empty());
        let (severity, confidence, case, summary) = if goes_on {
            let what = format!("after the logout the credentials of {name} open the connection as before");
            (Severity::Medium, Confidence::Firm, "logout-without-effect", what)
        } else if !kept.is_empty() {
            let places = kept.places();
            let what =
                format!("{wait} seconds after the logout the socket gives the data of {name} ({places})");
            (Severity::High, Confidence::Proven, "answers-with-data", what)
        } else if socket.is_open() && !strangers_in {
            let what = format!("{wait} seconds after the logout the socket of {name} is still open");
            (Severity::Low, Confidence::Firm, "stays-open", what)
        } else {
            return Conclusion::clean();
        };
        let mut finding = self.scene.finding(&RULE, case, confidence, summary).with_severity(severity);
        for connection in [socket, fresh] {
            finding = finding.with_evidence(self.scene.evidence(connection));
        }
        Conclusion::found(vec![finding])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        Bench,
        servers::{self, Server},
    };

    const URL: &str = "wss://app.example/ws";
    const ASK: &str = r#"{"type":"account"}"#;

    fn bench(server: Server) -> Bench {
        Bench::new(URL, server).as_mara().saying(ASK).logging_out()
    }

    fn forgetful() -> Server {
        Server { ends_with_session: false, ..servers::correct() }
    }

    #[test]
    fn it_fires_where_the_socket_goes_on() {
        let findings = bench(forgetful()).findings(&SessionOutlivesLogout);
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].severity, findings[0].confidence), (Severity::High, Confidence::Proven));
        assert_eq!(
            findings[0].summary,
            "5 seconds after the logout the socket gives the data of mara (account.balance, account.email, \
             account.user)"
        );
        assert_eq!(findings[0].evidence.len(), 2);
    }

    #[test]
    fn a_socket_that_only_stays_open_is_low_and_a_logout_without_effect_is_medium() {
        let mute = Server { answer: |_, _, _| Vec::new(), greeting: |_, _| Vec::new(), ..forgetful() };
        assert_eq!(bench(mute).cases(&SessionOutlivesLogout), [("stays-open".to_owned(), Severity::Low)]);
        let deaf = Server { logs_out: false, ..forgetful() };
        assert_eq!(
            bench(deaf).cases(&SessionOutlivesLogout),
            [("logout-without-effect".to_owned(), Severity::Medium)]
        );
    }

    #[test]
    fn it_is_silent_where_the_session_ends_or_there_is_none() {
        let check = |server: Server| {
            let bench = bench(server);
            assert_eq!(bench.severities(&SessionOutlivesLogout), [], "{}", bench.name());
        };
        check(servers::correct());
        check(servers::echo());
        check(servers::silent());
        check(servers::chat());
        check(servers::guest_book());
    }

    #[test]
    fn it_is_not_tested_without_a_way_to_log_out() {
        let check = |bench: Bench, expected| assert_eq!(bench.skip(&SessionOutlivesLogout), expected);
        check(Bench::new(URL, servers::correct()).as_mara(), Skip::NoLogout);
        check(Bench::new(URL, servers::echo()).logging_out(), Skip::NoIdentity);
        let refusing = Server { logout_status: 403, ..servers::correct() };
        check(bench(refusing), Skip::LogoutFailed("it was answered 403".into()));
    }
}

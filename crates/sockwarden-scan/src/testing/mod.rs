//! A bench for checks: a server in memory, the survey, the check itself, and its replay.

pub(crate) mod servers;

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use sockwarden_model::{Finding, Severity};

use self::servers::{Output, Server, Session};
use crate::{
    check::{Check, Halt, Scene, Skip},
    dice::Dice,
    engine::{Verdict, drive, replay},
    errand::{Reply, Which},
    exchange::{Connection, Exchange, Happening},
    probe::Probe,
    redact::Redactor,
    survey::Surveyor,
    talk::{Opening, Slow, Turn, Until},
    target::{Identity, SameSite, Target},
    ticket::Tickets,
};

/// When it is, in seconds since 1970.
pub(crate) const NOW: u64 = 1_790_000_000;

/// A target with a server behind it.
pub(crate) struct Bench {
    pub(crate) target: Target,
    server: Server,
    max_size: usize,
    time_budget: Duration,
}

impl Bench {
    pub(crate) fn new(url: &str, server: Server) -> Self {
        Self {
            target: Target::new(url.parse().unwrap()),
            server,
            max_size: 16 << 20,
            time_budget: Duration::from_secs(600),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.server.name
    }

    /// Adds an identity that the servers know, with a cookie that is sent from every site.
    #[expect(clippy::wrong_self_convention, reason = "it reads as the phrase that it is: scan this as Mara")]
    pub(crate) fn as_mara(self) -> Self {
        self.as_mara_with(SameSite::None)
    }

    #[expect(clippy::wrong_self_convention, reason = "it reads as the phrase that it is: scan this as Mara")]
    pub(crate) fn as_mara_with(mut self, same_site: SameSite) -> Self {
        let identity = Identity::new("mara", "Cookie", servers::MARA);
        self.target.identities.push(Identity { same_site, ..identity });
        self
    }

    /// Adds a second identity that the servers know.
    #[expect(clippy::wrong_self_convention, reason = "it reads as the phrase that it is: scan this as Joris")]
    pub(crate) fn as_joris(self) -> Self {
        self.with_identity(Identity::new("joris", "Cookie", servers::JORIS))
    }

    /// Gives the last identity a message that asks for its own data.
    pub(crate) fn saying_own(mut self, text: &str) -> Self {
        self.target.identities.last_mut().unwrap().say.push(text.to_owned());
        self
    }

    /// Tells how a user logs out.
    pub(crate) fn logging_out(mut self) -> Self {
        self.target.logout = Some("POST https://app.example/logout".parse().unwrap());
        self
    }

    /// Tells how tickets are fetched and where they go.
    pub(crate) fn with_tickets(mut self, place: &str) -> Self {
        let from = "POST https://app.example/ticket".parse().unwrap();
        self.target.tickets = Some(Tickets { from, at: "/ticket".into(), place: place.parse().unwrap() });
        self
    }

    /// Makes the last identity a privileged one.
    pub(crate) fn privileged(mut self) -> Self {
        self.target.identities.last_mut().unwrap().privileged = true;
        self
    }

    pub(crate) fn with_identity(mut self, identity: Identity) -> Self {
        self.target.identities.push(identity);
        self
    }

    pub(crate) fn saying(mut self, text: &str) -> Self {
        self.target.say.push(text.to_owned());
        self
    }

    pub(crate) fn up_to(mut self, max_size: usize) -> Self {
        self.max_size = max_size;
        self
    }

    pub(crate) fn within(mut self, time_budget: Duration) -> Self {
        self.time_budget = time_budget;
        self
    }

    /// Surveys the server, makes the check, and makes sure that its replay comes to the same.
    pub(crate) fn run(&self, check: &dyn Check) -> Verdict {
        let mut probe = Scripted::new(&self.server);
        let mut surveyor = Surveyor::new(&self.target, Dice::new(1));
        let mut exchange = Exchange::default();
        ready(drive(&mut surveyor, &mut probe, &mut exchange)).unwrap();
        drop(probe);
        let scene = Arc::new(Scene {
            target: self.target.clone(),
            survey: surveyor.survey(exchange),
            now: NOW,
            max_size: self.max_size,
            idle_wait: Duration::from_secs(90),
            time_budget: self.time_budget,
            redactor: Redactor::new(&self.target),
        });
        let mut probe = Scripted::new(&self.server);
        let mut exchange = Exchange::default();
        let verdict =
            ready(drive(&mut *check.start(Arc::clone(&scene), Dice::new(2)), &mut probe, &mut exchange));
        let again = replay(&mut *check.start(scene, Dice::new(2)), &exchange);
        assert_eq!(verdict, again, "the replay of {} differs", check.rule().id);
        verdict
    }

    /// Gives the remarks of a check that finds nothing.
    pub(crate) fn remarks(&self, check: &dyn Check) -> Vec<String> {
        let conclusion = self.run(check).unwrap_or_else(|skip| panic!("{}: {skip}", self.name()));
        assert_eq!(conclusion.findings, [], "{}", self.name());
        conclusion.remarks
    }

    /// Gives the findings; fails where the check was not made.
    pub(crate) fn findings(&self, check: &dyn Check) -> Vec<Finding> {
        self.run(check).unwrap_or_else(|skip| panic!("{}: {skip}", self.name())).findings
    }

    pub(crate) fn severities(&self, check: &dyn Check) -> Vec<Severity> {
        self.findings(check).iter().map(|finding| finding.severity).collect()
    }

    /// Gives the cases that fired, each with its severity.
    pub(crate) fn cases(&self, check: &dyn Check) -> Vec<(String, Severity)> {
        self.findings(check).into_iter().map(|finding| (finding.case, finding.severity)).collect()
    }

    pub(crate) fn skip(&self, check: &dyn Check) -> Skip {
        self.run(check).expect_err("the check was made")
    }
}

/// A probe whose network is a function call; its clock moves when somebody waits.
struct Scripted<'a> {
    server: &'a Server,
    lines: Vec<Line<'a>>,
    current: usize,
    clock: Duration,
}

/// One connection.
struct Line<'a> {
    session: Option<Session<'a>>,
    begun: Duration,
    /// What is on its way, with when it arrives, the soonest first.
    later: Vec<(Duration, Output)>,
}

impl<'a> Scripted<'a> {
    const fn new(server: &'a Server) -> Self {
        Self { server, lines: Vec::new(), current: 0, clock: Duration::ZERO }
    }

    fn note(&self, connection: &mut Connection, happening: Happening) {
        connection.record(self.clock - self.lines[self.current].begun, happening);
    }

    fn say(&mut self, bytes: &[u8], connection: &mut Connection) {
        if self.lines[self.current].session.is_none() {
            return;
        }
        self.note(connection, Happening::Sent(bytes.to_vec()));
        self.clock += Duration::from_millis(1);
        let (line, clock) = (&mut self.lines[self.current], self.clock);
        for output in line.session.as_mut().map(|session| session.receive(bytes, clock)).into_iter().flatten()
        {
            let (after, output) = match output {
                Output::Later(after, output) => (after, *output),
                Output::Bytes(_) | Output::End => (Duration::ZERO, output),
            };
            line.later.push((clock + after, output));
        }
        line.later.sort_by_key(|(at, _)| *at);
        self.deliver(connection);
    }

    /// Hands over what has arrived by now.
    fn deliver(&mut self, connection: &mut Connection) {
        while self.lines[self.current].later.first().is_some_and(|(at, _)| *at <= self.clock) {
            match self.lines[self.current].later.remove(0).1 {
                // Cut in two, as a network may.
                Output::Bytes(bytes) => {
                    let (first, last) = bytes.split_at(bytes.len() / 2);
                    for part in [first, last].into_iter().filter(|part| !part.is_empty()) {
                        self.note(connection, Happening::Received(part.to_vec()));
                    }
                }
                Output::End => {
                    self.note(connection, Happening::Closed);
                    self.lines[self.current].session = None;
                    self.lines[self.current].later.clear();
                }
                Output::Later(..) => unreachable!("it was unpacked when it was sent"),
            }
        }
    }

    /// Waits for so long at most, and no longer than until what comes satisfies.
    fn wait(&mut self, at_most: Duration, over: impl Fn(&Connection) -> bool, connection: &mut Connection) {
        let until = self.clock + at_most;
        while !over(connection) && !connection.is_transport_over() {
            match self.lines[self.current].later.first() {
                Some((at, _)) if *at <= until => self.clock = *at,
                Some(_) | None => {
                    self.clock = until;
                    return self.note(connection, Happening::Quiet);
                }
            }
            self.deliver(connection);
        }
    }
}

impl Probe for Scripted<'_> {
    async fn open(&mut self, opening: &Opening, connection: &mut Connection) -> Result<(), Halt> {
        if !opening.alongside {
            for line in &mut self.lines {
                line.session = None;
            }
        }
        self.current = self.lines.len();
        let session = Some(self.server.accept(opening.elsewhere));
        self.lines.push(Line { session, begun: self.clock, later: Vec::new() });
        let limit = self.server.opening_time;
        let slow = match opening.slow {
            Slow::Not => Duration::ZERO,
            Slow::Hello(time) | Slow::Tail(time) => time,
        };
        self.clock += slow.min(limit);
        if slow > limit {
            let end = match opening.slow {
                Slow::Hello(_) => Happening::NotDialled("the server ended the connection".into()),
                Slow::Tail(_) | Slow::Not => Happening::Closed,
            };
            self.lines[self.current].session = None;
            self.note(connection, end);
            return Ok(());
        }
        self.note(connection, Happening::Dialled);
        self.say(&opening.bytes, connection);
        self.wait(opening.patience, |connection| connection.status().is_some(), connection);
        Ok(())
    }

    async fn errand(&mut self, which: Which, _index: usize) -> Result<Reply, Halt> {
        Ok(self.server.errand(which))
    }

    fn take_up(&mut self, index: usize) {
        self.current = index;
    }

    async fn turn(&mut self, turn: &Turn, connection: &mut Connection) -> Result<(), Halt> {
        match turn {
            Turn::Send(bytes) => self.say(bytes, connection),
            Turn::Listen(listen) => {
                let over = |connection: &Connection| {
                    let heard = match &listen.until {
                        Until::Pong(payload) => connection.has_pong(payload),
                        Until::Reply(payload) => {
                            connection.has_pong(payload) || connection.replies().next().is_some()
                        }
                        Until::Messages(count) => connection.messages().len() >= *count,
                        Until::Pongs(count) => connection.pongs().len() >= *count,
                        Until::Ping => connection.pinged_at().is_some(),
                        Until::Quiet(_) | Until::End => false,
                    };
                    heard || !connection.is_open()
                };
                let at_most = match listen.until {
                    Until::Quiet(quiet) => quiet,
                    Until::Pong(_)
                    | Until::Reply(_)
                    | Until::Messages(_)
                    | Until::Pongs(_)
                    | Until::Ping
                    | Until::End => listen.at_most,
                };
                self.wait(at_most, over, connection);
            }
        }
        Ok(())
    }
}

/// Runs a future that never waits.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing here waits"),
    }
}

//! `rate-unbounded`: one client's messages are taken in as fast as it sends them.

use std::{sync::Arc, time::Duration};

use sockwarden_model::{Confidence, Rule, rule};

use crate::{
    check::{Check, Conclusion, Machine, Scene, Skip, Step},
    dice::Dice,
    exchange::{Connection, Exchange, Message},
    load::{AT_ONCE, PATIENCE, ending, seconds},
    survey::{Way, handshake_of},
    talk::{Listen, Opening, Talk, Turn, Until},
    values::is_error,
};

rule! {
    /// # What it does
    /// Sends one message and counts its answers; then 50, 200 and 500 of the same at once on the same connection. The message is
    /// the last of those that were given to say, after those before it, else a short text. It stops at the first step that is not
    /// wholly answered within a second, and says where that was. It is a finding when 500 messages are answered within a
    /// second, each as the first one was. What is answered late (a gateway that delays does that), otherwise, with a close
    /// frame or not at all is none.
    ///
    /// # Why is this bad
    /// A handshake is one request in the log and in front of every rate limit, and what follows it is none. Each message costs the
    /// application a query, a hash or a broadcast; one client that sends as fast as it can takes that from all others, and can
    /// guess passwords and codes as fast.
    ///
    /// # How to fix
    /// Count messages per user, not per connection, and delay or refuse what exceeds the rate:
    ///
    /// ```js
    /// // Node, ws: rate-limiter-flexible; Socket.IO alike, in socket.use()
    /// const limiter = new RateLimiterMemory({ points: 100, duration: 1 });
    /// ws.on('message', (data) => limiter.consume(userId).then(() => handle(data), () => ws.close(1008, 'slow down')));
    /// ```
    ///
    /// ```go
    /// limiter := rate.NewLimiter(100, 200) // golang.org/x/time/rate, one for each user
    /// if err := limiter.Wait(ctx); err != nil { return }
    /// ```
    ///
    /// Spring: a `ChannelInterceptor` on the inbound channel that asks Bucket4j. Django Channels: count in `receive_json` of the
    /// consumer, in the cache. ASP.NET SignalR: an `IHubFilter` with a `PartitionedRateLimiter`. Sockwarden's `rate-limit` does it
    /// in front of any of them.
    pub(crate) static RULE = Check {
        id: "rate-unbounded",
        summary: "messages are taken in as fast as one client sends them",
        severity: Medium,
        threats: [T2],
        cwe: [770, 799],
        references: [
            "OWASP API Security Top 10 API4:2023",
            "https://cheatsheetseries.owasp.org/cheatsheets/WebSocket_Security_Cheat_Sheet.html",
        ],
        lifecycle: Preview,
        counterparts: ["rate-limit"],
        profile: Intrusive,
        may_change: "it has the message that was given carried out 751 times, 500 of them within a second",
    }
}

/// How many messages are sent at once.
const STEPS: [usize; 3] = [50, 200, 500];
/// The most bytes that are sent at once.
const MOST: usize = 1 << 20;
/// What is said where nothing was given.
const NEUTRAL: &str = "sockwarden";

pub(crate) struct RateUnbounded;

impl Check for RateUnbounded {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn loads(&self) -> bool {
        true
    }

    fn start(&self, scene: Arc<Scene>, dice: Dice) -> Box<dyn Machine> {
        let way = scene.survey.way_in();
        Box::new(Flooder { scene, dice, way, before: Vec::new() })
    }
}

struct Flooder {
    scene: Arc<Scene>,
    dice: Dice,
    way: Option<Way>,
    /// How many messages had come before each step was sent, that of the single message included.
    before: Vec<usize>,
}

impl Machine for Flooder {
    fn next(&mut self, exchange: &Exchange) -> Step {
        let Some(way) = self.way else {
            return Step::Skip(Skip::NoWayIn(self.scene.survey.refusal()));
        };
        let text = self.scene.target.say.last().map_or(NEUTRAL, String::as_str).to_owned();
        let (needed, allowed) = (text.len() * STEPS[STEPS.len() - 1], MOST.min(self.scene.max_size));
        if needed > allowed {
            return Step::Skip(Skip::TooLong { needed, allowed });
        }
        let Some(connection) = exchange.last() else {
            return self.open(way);
        };
        if !connection.is_upgraded() {
            return Step::Skip(connection.overloaded());
        }
        let came = connection.messages().len();
        let Some(asked) = self.before.len().checked_sub(1) else {
            if !connection.is_open() {
                return Step::Skip(connection.overloaded());
            }
            self.before.push(came);
            return Step::More(vec![Turn::text(&text, &mut self.dice), Turn::settle()]);
        };
        if self.answers(connection).is_empty() {
            return Step::Skip(Skip::Unanswered);
        }
        if let Some(count) = asked.checked_sub(1).map(|step| STEPS[step]) {
            if let Err(held) = self.judge(connection, count) {
                return Conclusion::clean().with_remark(held).into();
            }
        } else if !connection.is_open() {
            return Step::Skip(connection.overloaded());
        }
        match STEPS.get(asked) {
            None => self.found(connection).into(),
            Some(&count) => {
                self.before.push(came);
                let all = came + count * self.answers(connection).len();
                Step::More(vec![
                    Turn::texts(&text, count, &mut self.dice),
                    Turn::Listen(Listen { until: Until::Messages(all), at_most: PATIENCE }),
                    // What else comes belongs to this step, and a bucket may fill again.
                    Turn::Listen(Listen { until: Until::Quiet(AT_ONCE), at_most: PATIENCE }),
                ])
            }
        }
    }
}

impl Flooder {
    /// Opens the connection and says what leads up to the message.
    fn open(&mut self, way: Way) -> Step {
        let handshake = handshake_of(way, &self.scene.target, &mut self.dice);
        let mut turns = vec![Turn::settle()];
        for text in self.scene.target.say.split_last().map_or(&[][..], |(_, before)| before) {
            turns.extend([Turn::text(text, &mut self.dice), Turn::settle()]);
        }
        let title = format!("one message, then {} at once", STEPS.map(|count| count.to_string()).join(", "));
        Step::Talk(Talk { title, opening: Opening::legal(handshake), turns })
    }

    /// Gives the answers to the single message.
    fn answers<'a>(&self, connection: &'a Connection) -> &'a [Message] {
        let from = self.before.first().copied().unwrap_or(0);
        let to = self.before.get(1).copied().unwrap_or(connection.messages().len());
        connection.messages().get(from..to).unwrap_or_default()
    }

    /// Tells how long the last step took to be answered; else what held it back.
    fn judge(&self, connection: &Connection, count: usize) -> Result<Duration, String> {
        let usual: Vec<Option<String>> = self.answers(connection).iter().map(complaint).collect();
        let from = self.before.last().copied().unwrap_or(0);
        let came = connection.messages().get(from..).unwrap_or_default();
        let sent = connection.last_sent_at().unwrap_or_default();
        let alike: Vec<&Message> =
            came.iter().filter(|message| usual.contains(&complaint(message))).collect();
        let in_time = alike.iter().filter(|message| message.at.saturating_sub(sent) <= PATIENCE).count();
        let answered = in_time / usual.len();
        if !connection.is_open() {
            let how = ending(connection, sent);
            return Err(format!("of {count} messages sent at once {answered} were answered, then {how}"));
        }
        let Some(last) = alike.get(count * usual.len() - 1) else {
            let otherwise = match came.len() - alike.len() {
                0 => String::new(),
                others => format!(" as usual and {others} otherwise"),
            };
            return Err(format!(
                "of {count} messages sent at once {answered} were answered{otherwise} within {}",
                seconds(PATIENCE)
            ));
        };
        match last.at.saturating_sub(sent) {
            took if took <= AT_ONCE => Ok(took),
            took => Err(format!("{count} messages sent at once were answered over {}", seconds(took))),
        }
    }

    fn found(&self, connection: &Connection) -> Conclusion {
        let count = STEPS[STEPS.len() - 1];
        let took = self.judge(connection, count).unwrap_or_default();
        let summary = format!("{count} messages sent at once were all answered within {}", seconds(took));
        let finding = self.scene.finding(&RULE, "", Confidence::Proven, summary);
        Conclusion::found(vec![finding.with_evidence(self.scene.evidence(connection))])
    }
}

/// Gives what an answer complains of, without its numbers; nothing where it is no error.
fn complaint(message: &Message) -> Option<String> {
    let text = String::from_utf8_lossy(&message.payload);
    is_error(&message.payload).then(|| text.chars().filter(|c| !c.is_ascii_digit()).collect())
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Severity;
    use sockwarden_proto::CloseCode;

    use super::*;
    use crate::testing::{
        Bench,
        servers::{self, Over, Pace, Server},
    };

    const URL: &str = "wss://app.example/ws";

    /// A hundred messages a second, and as many at once.
    fn limited(over: Over, server: Server) -> Server {
        Server { pace: Some(Pace { burst: 100, every: Duration::from_millis(10), over }), ..server }
    }

    /// Knows no such message.
    fn puzzled() -> Server {
        let answer: fn(Option<&str>, u32, &str) -> Vec<String> =
            |_, _, _| vec![r#"{"type":"error","message":"what?"}"#.into()];
        Server { answer, ..servers::echo() }
    }

    #[test]
    fn it_fires_where_every_message_is_answered_at_once() {
        for server in [servers::echo(), servers::chat(), puzzled()] {
            let findings = Bench::new(URL, server).findings(&RateUnbounded);
            assert_eq!(findings.len(), 1);
            assert_eq!(
                (findings[0].severity, findings[0].confidence),
                (Severity::Medium, Confidence::Proven)
            );
            assert!(
                findings[0].summary.starts_with("500 messages sent at once were all answered within 0.0"),
                "{}",
                findings[0].summary
            );
        }
        let asked = Bench::new(URL, servers::correct()).as_mara().saying("hello").saying("account");
        assert_eq!(asked.severities(&RateUnbounded), [Severity::Medium]);
    }

    #[test]
    fn a_limit_is_measured_and_no_finding() {
        let check = |over: Over, expected: &str| {
            for server in [servers::echo(), servers::chat(), puzzled()] {
                assert_eq!(Bench::new(URL, limited(over, server)).remarks(&RateUnbounded), [expected]);
            }
        };
        check(
            Over::Closes(CloseCode::POLICY),
            "of 200 messages sent at once 100 were answered, then closed with 1008 after 0.00 s",
        );
        check(
            Over::Complains,
            "of 200 messages sent at once 100 were answered as usual and 100 otherwise within 3.00 s",
        );
        check(Over::IsDropped, "of 200 messages sent at once 100 were answered within 3.00 s");
    }

    #[test]
    fn who_delays_is_no_finding() {
        let slow = |burst| Pace { burst, every: Duration::from_millis(5), over: Over::Waits };
        let check = |burst, expected: &str| {
            let server = Server { pace: Some(slow(burst)), ..servers::echo() };
            assert_eq!(Bench::new(URL, server).remarks(&RateUnbounded), [expected]);
        };
        check(100, "500 messages sent at once were answered over 2.00 s");
        check(10, "500 messages sent at once were answered over 2.45 s");
        // So slow that the end is not waited for.
        let pace = Pace { burst: 10, every: Duration::from_millis(200), over: Over::Waits };
        let crawling = Server { pace: Some(pace), ..servers::echo() };
        let expected = "of 50 messages sent at once 24 were answered within 3.00 s";
        assert_eq!(Bench::new(URL, crawling).remarks(&RateUnbounded), [expected]);
    }

    #[test]
    fn what_cannot_be_told_is_skipped() {
        assert_eq!(Bench::new(URL, servers::silent()).skip(&RateUnbounded), Skip::Unanswered);
        let long = "x".repeat(10_000);
        let too_long = Skip::TooLong { needed: 5_000_000, allowed: 1 << 20 };
        assert_eq!(Bench::new(URL, servers::echo()).saying(&long).skip(&RateUnbounded), too_long);
        let refused = Bench::new(URL, servers::correct()).skip(&RateUnbounded);
        assert_eq!(refused, Skip::NoWayIn("the handshake was answered 401".to_owned()));
    }
}

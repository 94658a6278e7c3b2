//! `message-size-unbounded`: messages of any size are taken in.

use std::{sync::Arc, time::Duration};

use serde_json::Value as Json;
use sockwarden_model::{Confidence, Finding, Rule, rule};

use crate::{
    check::{Check, Conclusion, Machine, Scene, Skip, Step},
    dice::Dice,
    exchange::{Connection, Exchange},
    load::bytes,
    options::Options,
    survey::{Way, handshake_of},
    talk::{Listen, Opening, Talk, Turn, Until},
};

rule! {
    /// # What it does
    /// Sends text messages of 64 KiB, 256 KiB, 1, 4 and 16 MiB, each on its own connection, and stops at the first that is
    /// refused (close code 1009, or the connection is dropped) or at the limit that the user set. Where messages to say are
    /// given and the last is JSON, one of its texts is lengthened, so that the application itself has to deal with it. A size
    /// counts as taken in when the target answers a ping afterwards. It is a finding when the longest message is.
    ///
    /// # Why is this bad
    /// One message is one allocation, often several: frame, message, string, parsed tree, log line. A few clients with long
    /// messages take the memory of all the others, and what is stored stays.
    ///
    /// # How to fix
    /// Set the largest message that the application needs; 64 KiB suffice for most. Close with 1009 what exceeds it, before
    /// it is read whole.
    ///
    /// ```js
    /// new WebSocketServer({ maxPayload: 64 * 1024 });          // Node, ws (its default is 100 MiB)
    /// new Server(server, { maxHttpBufferSize: 64 * 1024 });    // Socket.IO
    /// ```
    /// Spring: `registration.setMessageSizeLimit(64 * 1024)` and the container's `maxTextMessageBufferSize`. Django Channels:
    /// `daphne --websocket_max_message_size`, or `uvicorn --ws-max-size 65536`. ASP.NET SignalR:
    /// `options.MaximumReceiveMessageSize = 64 * 1024`. Go, gorilla: `conn.SetReadLimit(64 << 10)`. nginx passes messages
    /// unseen and has no limit for them.
    pub(crate) static RULE = Check {
        id: "message-size-unbounded",
        summary: "messages of any size are taken in",
        severity: Medium,
        threats: [T2],
        cwe: [770],
        references: [
            "RFC 6455 §10.4",
            "OWASP API Security Top 10 API4:2023",
            "https://cheatsheetseries.owasp.org/cheatsheets/WebSocket_Security_Cheat_Sheet.html",
        ],
        lifecycle: Preview,
        counterparts: ["frame-limits"],
        profile: Intrusive,
        may_change: "it may cost the target memory and time, and it stores what the target stores of up to 21 MiB of messages",
    }
}

/// The sizes, in bytes.
const SIZES: [usize; 5] = [64 << 10, 256 << 10, 1 << 20, 4 << 20, Options::MAX_SIZE];
/// How long a target may work on one message before it counts as stalled.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct MessageSizeUnbounded;

impl Check for MessageSizeUnbounded {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn start(&self, scene: Arc<Scene>, dice: Dice) -> Box<dyn Machine> {
        let way = scene.survey.way_in();
        let mut sizes: Vec<usize> = SIZES.into_iter().filter(|&size| size < scene.max_size).collect();
        sizes.push(scene.max_size);
        Box::new(Feeder { scene, dice, way, sizes, marks: Vec::new() })
    }
}

struct Feeder {
    scene: Arc<Scene>,
    dice: Dice,
    way: Option<Way>,
    sizes: Vec<usize>,
    /// The payload of the ping that follows, one for each connection; the first connection is a control without a message.
    marks: Vec<Vec<u8>>,
}

impl Machine for Feeder {
    fn next(&mut self, exchange: &Exchange) -> Step {
        let Some(way) = self.way else {
            return Step::Skip(Skip::NoWayIn(self.scene.survey.refusal()));
        };
        if let Some(shut) = exchange.last().filter(|last| !last.is_upgraded()) {
            return Step::Skip(shut.overloaded());
        }
        let made = exchange.connections.len();
        if let (Some(last), Some(mark)) = (exchange.last(), self.marks.last())
            && !last.has_pong(mark)
        {
            return if made == 1 { Step::Skip(Skip::Silent) } else { self.conclude(exchange).into() };
        }
        let size = match made.checked_sub(1) {
            None => 0,
            Some(done) if done == self.sizes.len() => return self.conclude(exchange).into(),
            Some(done) => self.sizes[done],
        };
        self.feed(way, size)
    }
}

impl Feeder {
    /// Sends a message of `size` bytes after the messages that lead up to it, then a ping.
    fn feed(&mut self, way: Way, size: usize) -> Step {
        let handshake = handshake_of(way, &self.scene.target, &mut self.dice);
        let mark = self.dice.word().into_bytes();
        let mut turns = Vec::new();
        if size > 0 {
            let (before, message) = match self.scene.target.say.split_last() {
                Some((last, before)) => (before, padded(last, size)),
                None => (&[][..], padded("{\"sockwarden\":\"\"}", size)),
            };
            for text in before {
                turns.extend([Turn::text(text, &mut self.dice), Turn::settle()]);
            }
            turns.push(Turn::text(&message, &mut self.dice));
        }
        turns.push(Turn::ping(&mark, &mut self.dice));
        turns.push(Turn::Listen(Listen { until: Until::Pong(mark.clone()), at_most: PATIENCE }));
        turns.push(Turn::farewell(&mut self.dice));
        self.marks.push(mark);
        let title =
            if size == 0 { "a ping alone".to_owned() } else { format!("a message of {}", bytes(size)) };
        Step::Talk(Talk { title, opening: Opening::legal(handshake), turns })
    }

    fn conclude(&self, exchange: &Exchange) -> Conclusion {
        let tried: Vec<(usize, &Connection, &Vec<u8>)> = self
            .sizes
            .iter()
            .zip(exchange.connections.iter().zip(&self.marks).skip(1))
            .map(|(&size, (connection, mark))| (size, connection, mark))
            .collect();
        let Some(&(size, connection, mark)) = tried.last() else { return Conclusion::clean() };
        if connection.has_pong(mark) {
            let confidence = if size >= Options::MAX_SIZE { Confidence::Proven } else { Confidence::Firm };
            let more =
                if size < Options::MAX_SIZE { ", the longest that was allowed to be tried" } else { "" };
            let summary = format!("a message of {} is taken in{more}", bytes(size));
            return Conclusion::found(vec![self.finding("", confidence, summary, connection)]);
        }
        let taken = tried.iter().rev().nth(1).map_or(0, |(size, ..)| *size);
        if connection.is_open() {
            let summary = format!(
                "a message of {} stalls the connection: no pong within {} s",
                bytes(size),
                PATIENCE.as_secs()
            );
            return Conclusion::found(vec![self.finding("stalled", Confidence::Firm, summary, connection)]);
        }
        let remark = match taken {
            0 => format!("a message of {} is refused", bytes(size)),
            taken => format!("a message of {} is taken in, one of {} is refused", bytes(taken), bytes(size)),
        };
        Conclusion::clean().with_remark(remark)
    }

    fn finding(
        &self,
        case: &str,
        confidence: Confidence,
        summary: String,
        connection: &Connection,
    ) -> Finding {
        self.scene.finding(&RULE, case, confidence, summary).with_evidence(self.scene.evidence(connection))
    }
}

/// Lengthens a message to `size` bytes: inside one of its texts where it is JSON, at its end where it is not.
fn padded(message: &str, size: usize) -> String {
    let fill = "a".repeat(size.saturating_sub(message.len()));
    let Some(mut json) = crate::values::json(message.as_bytes()).filter(|json| json.is_object()) else {
        return format!("{message}{fill}");
    };
    match longest_text(&mut json) {
        Some(text) => text.push_str(&fill),
        None => return format!("{message}{fill}"),
    }
    let mut padded = json.to_string();
    // Writing JSON anew may have saved some blanks.
    if padded.len() < size {
        padded.push_str(&" ".repeat(size - padded.len()));
    }
    padded
}

/// Finds the text that an application would store: by its key, else the longest that does not shape the message.
fn longest_text(json: &mut Json) -> Option<&mut String> {
    const CONTENT: [&str; 9] =
        ["text", "message", "body", "content", "data", "payload", "msg", "comment", "sockwarden"];
    const SHAPE: [&str; 8] = ["type", "event", "op", "action", "method", "id", "channel", "room"];
    let fields = json.as_object_mut()?;
    let best = fields
        .iter()
        .filter_map(|(key, value)| Some((key, value.as_str()?.len())))
        .filter(|(key, _)| !SHAPE.contains(&key.as_str()))
        .max_by_key(|(key, length)| (CONTENT.contains(&key.as_str()), *length))
        .map(|(key, _)| key.clone());
    let key = match best {
        Some(key) => key,
        None => fields.iter().find(|(_, value)| value.is_object()).map(|(key, _)| key.clone())?,
    };
    match fields.get_mut(&key)? {
        Json::String(text) => Some(text),
        nested @ Json::Object(_) => longest_text(nested),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        Bench,
        servers::{self, Server},
    };
    use sockwarden_model::Severity;

    const URL: &str = "wss://app.example/ws";

    fn limited(limit: u64) -> Server {
        Server { limit, ..servers::silent() }
    }

    #[test]
    fn it_fires_where_the_longest_message_is_taken_in() {
        let findings = Bench::new(URL, limited(1 << 30)).findings(&MessageSizeUnbounded);
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].severity, findings[0].confidence), (Severity::Medium, Confidence::Proven));
        assert_eq!(findings[0].summary, "a message of 16 MiB is taken in");

        let asked = r#"{"type":"post","text":"hi"}"#;
        let short = Bench::new(URL, limited(1 << 30)).up_to(100_000).saying(asked);
        let findings = short.findings(&MessageSizeUnbounded);
        assert_eq!(findings[0].confidence, Confidence::Firm);
        assert_eq!(
            findings[0].summary,
            "a message of 100000 bytes is taken in, the longest that was allowed to be tried"
        );
    }

    #[test]
    fn a_limit_is_remarked_on() {
        let check = |limit, expected: &str| {
            let conclusion = Bench::new(URL, limited(limit)).run(&MessageSizeUnbounded).unwrap();
            assert_eq!((conclusion.findings.len(), conclusion.remarks[0].as_str()), (0, expected));
        };
        check(1000, "a message of 64 KiB is refused");
        check(64 << 10, "a message of 64 KiB is taken in, one of 256 KiB is refused");
        check(1 << 20, "a message of 1 MiB is taken in, one of 4 MiB is refused");
    }

    #[test]
    fn servers_with_a_limit_are_silent() {
        for server in [servers::echo(), servers::silent(), servers::chat()] {
            assert_eq!(Bench::new(URL, server).severities(&MessageSizeUnbounded), []);
        }
        let correct = Bench::new(URL, servers::correct()).as_mara().saying("account");
        assert_eq!(correct.severities(&MessageSizeUnbounded), []);
        let mute = Server { pongs: false, ..limited(1 << 30) };
        assert_eq!(Bench::new(URL, mute).skip(&MessageSizeUnbounded), Skip::Silent);
    }

    #[test]
    fn a_message_is_lengthened_where_the_application_will_look() {
        let check = |message: &str, expected: &str| assert_eq!(padded(message, message.len() + 3), expected);
        check(r#"{"text":"x","type":"post"}"#, r#"{"text":"xaaa","type":"post"}"#);
        check(r#"{"q":"long one","text":"x"}"#, r#"{"q":"long one","text":"xaaa"}"#);
        check(r#"{"q":"long one","w":"x"}"#, r#"{"q":"long oneaaa","w":"x"}"#);
        check(r#"{"a":{"text":"x"},"type":"post"}"#, r#"{"a":{"text":"xaaa"},"type":"post"}"#);
        check(r#"{"n": 1}"#, r#"{"n": 1}aaa"#);
        check("hello", "helloaaa");
        assert_eq!(padded(r#"{ "text" : "x" }"#, 100).len(), 100);
    }
}

//! `message-format`: what every reader understands alike.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_inspect::{Anomaly, Bound, Place, Step};
use sockwarden_model::{Direction, Limit, Mode, Rule, printable, rule};
use sockwarden_proto::CloseCode;

use crate::{Closure, Content, Defence, Fact, Guard, Hears, Verdict};

rule! {
    /// # What it does
    /// Reads every message as its receiver will and stops those that two readers understand differently or that cannot be read to
    /// their end: JSON, MessagePack, CBOR or XML that is not well-formed, a name that stands twice in one object, half of a surrogate
    /// pair, text that is not UTF-8, a declared document type or entity, a message that breaks the rules of its sub-protocol.
    /// Of the application's messages it stops those alone that exceed a bound of `inspect` (depth, values, names, elements, lengths, encodings inside one another), unless
    /// `server` is set.
    ///
    /// What is neither JSON nor anything else that is known is text or bytes, and passes. So does what only begins as JSON, and what breaks a
    /// sub-protocol that was only recognised, unless `strict` is set; where the handshake or the configuration names the sub-protocol, its
    /// rules hold. A body of an ordinary request is held to what its `Content-Type` says.
    ///
    /// # Why is this bad
    /// Who inspects and who acts must see the same message. `{"role":"user","role":"admin"}` is `user` to a reader that takes the first member
    /// and `admin` to one that takes the last; a filter and an application that differ in this let through what the filter was
    /// made to stop. A thousand objects inside one another exhaust a recursive reader.
    ///
    /// # How to fix
    /// Use one strict reader for a message, and act on what it gives:
    ///
    /// ```js
    /// const message = JSON.parse(text); // strict, but takes the last of two members: check with a schema that forbids more
    /// ```
    ///
    /// ```python
    /// def once(pairs):
    ///     names = [name for name, _ in pairs]
    ///     if len(names) != len(set(names)):
    ///         raise ValueError("a name stands twice")
    ///     return dict(pairs)
    ///
    /// json.loads(text, object_pairs_hook=once)
    /// ```
    ///
    /// ```java
    /// mapper.enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION.mappedFeature()); // Jackson
    /// ```
    ///
    /// ```go
    /// decoder.DisallowUnknownFields() // encoding/json takes the last of two members; encoding/json/v2 refuses them
    /// ```
    pub static RULE = Defence {
        id: "message-format",
        summary: "messages that readers understand differently are not forwarded",
        severity: Medium,
        threats: [T6],
        cwe: [436, 20],
        references: ["RFC 8259 §4", "RFC 8259 §8.2", "CWE-436"],
        lifecycle: Stable,
        counterparts: [],
        profile: Passive,
        may_change: "clients that send what is not well-formed, or names twice, are closed",
    }
}

/// `message-format`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MessageFormatConfig {
    /// off, observe or block.
    pub mode: Mode,
    /// Whether the application's messages are judged as strictly as the client's.
    pub server: bool,
    /// Whether a message that begins as JSON must be JSON to its end, although no sub-protocol says so, and whether encodings inside one another beyond `inspect.layers` stop it.
    pub strict: bool,
    /// What becomes of the connection.
    pub answer: AnswerKind,
}

impl Default for MessageFormatConfig {
    fn default() -> Self {
        Self { mode: Mode::Block, server: false, strict: false, answer: AnswerKind::Close }
    }
}

/// What becomes of a connection whose message is not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnswerKind {
    /// Both sides are closed.
    Close,
    /// It lives on without the message.
    Drop,
    /// The same, and the sender is told so, as far as the sub-protocol has words for it.
    Error,
}

impl AnswerKind {
    /// Makes the verdict on a message that is not forwarded.
    pub(crate) const fn verdict(self, code: CloseCode, reason: String, told: &'static str) -> Verdict {
        match self {
            Self::Close => Verdict::Close(Closure { code, reason, told, limit: None }),
            Self::Drop | Self::Error => Verdict::Drop { reason },
        }
    }

    /// Tells whether the sender of a message that is left out is told so.
    pub(crate) const fn tells(self) -> bool {
        matches!(self, Self::Error)
    }
}

/// Stops what readers understand differently.
#[derive(Clone, Copy, Debug)]
pub struct MessageFormat {
    server: bool,
    strict: bool,
    answer: AnswerKind,
    /// Whether the sub-protocol is known from the handshake or the configuration: what is only recognised may be another one.
    sure: bool,
    /// Whether who sends a message says in what format it is.
    declared: bool,
}

impl MessageFormat {
    /// Takes what is configured.
    pub const fn new(config: &MessageFormatConfig) -> Self {
        let &MessageFormatConfig { mode: _, server, strict, answer } = config;
        Self { server, strict, answer, sure: false, declared: false }
    }

    fn judge(self, direction: Direction, anomaly: Anomaly, place: Place<'_>) -> Verdict {
        if !self.objects_to(direction, anomaly, place) {
            return Verdict::Pass;
        }
        let is_bound = matches!(anomaly, Anomaly::Bound(_));
        let code = if is_bound { CloseCode::TOO_BIG } else { CloseCode::INVALID_DATA };
        let place = printable(place.to_string().as_bytes(), 100);
        let reason = if place.is_empty() { anomaly.to_string() } else { format!("{anomaly}, at {place}") };
        let mut verdict = self.answer.verdict(code, reason, "the message cannot be read");
        if let (Verdict::Close(closure), Anomaly::Bound(bound)) = (&mut verdict, anomaly) {
            closure.limit = Some(limit(bound));
        }
        verdict
    }

    fn objects_to(self, direction: Direction, anomaly: Anomaly, place: Place<'_>) -> bool {
        let judged = direction == Direction::Client || self.server;
        // What stands in a value is only taken for an encoding; if it is none, nobody reads it so.
        let certain = judged && !is_guessed(place);
        let agreed = self.sure || self.strict;
        match anomaly {
            // What stands in encodings so deep was told encoded, and few applications would ever decode it; it counts as not looked at.
            Anomaly::Bound(Bound::Layers) => self.strict,
            Anomaly::Bound(_) => true,
            Anomaly::Malformed { .. } => certain && (agreed || self.declared),
            Anomaly::Doubtful { .. } | Anomaly::TrailingData(_) => certain && self.strict,
            Anomaly::LoneSurrogate
            | Anomaly::InvalidUtf8
            | Anomaly::KeyOfOtherKind
            | Anomaly::Reserved(_)
            | Anomaly::NotCanonical(_) => certain,
            Anomaly::Breach(..) => judged && agreed,
            Anomaly::DuplicateKey | Anomaly::XmlDeclaration => judged,
            // Readers agree on what it is; whether they can hold it is theirs to say.
            Anomaly::BigNumber | Anomaly::NulCharacter => false,
        }
    }
}

/// Names a bound as one of the gateway's limits.
const fn limit(bound: Bound) -> Limit {
    match bound {
        Bound::Depth => Limit::Depth,
        Bound::Values => Limit::Values,
        Bound::Keys => Limit::Keys,
        Bound::Items => Limit::Items,
        Bound::Text => Limit::Text,
        Bound::Digits => Limit::Digits,
        Bound::Layers => Limit::Layers,
        Bound::Decoded => Limit::Decoded,
        Bound::Pending => Limit::Pending,
    }
}

/// Tells whether a place lies in what a value was taken to encode.
pub(crate) fn is_guessed(place: Place<'_>) -> bool {
    place.steps().any(|step| matches!(step, Step::Inside(_)))
}

impl Defence for MessageFormat {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn hears(&self) -> Hears {
        Hears::ANOMALIES
    }

    fn tells(&self) -> bool {
        self.answer.tells()
    }

    fn guard(&self) -> Box<dyn Guard> {
        Box::new(*self)
    }
}

impl Guard for MessageFormat {
    fn observe(&mut self, fact: &Fact<'_>, _now: Duration) -> Verdict {
        match fact {
            Fact::Content { direction, content: Content::Anomaly(anomaly, place) } => {
                self.judge(*direction, *anomaly, *place)
            }
            Fact::Open(open) => {
                self.sure = open.protocol.is_some();
                self.declared = open.in_bodies;
                Verdict::Pass
            }
            Fact::Handshake(_)
            | Fact::Request(_)
            | Fact::Answer(_)
            | Fact::Upstream(_)
            | Fact::Frame { .. }
            | Fact::Inflated { .. }
            | Fact::Content { .. }
            | Fact::Violation { .. } => Verdict::Pass,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::defences::samples::judge_texts;

    use super::*;

    #[test]
    fn what_readers_understand_differently_is_stopped() {
        let check = |direction, text: &str, expected: Option<&str>| {
            let defence = MessageFormat::new(&MessageFormatConfig::default());
            let verdict = judge_texts(&defence, None, &[(direction, text)]).pop();
            let said = verdict.map(|verdict| match verdict {
                Verdict::Close(closure) => format!("{}: {}", closure.code.0, closure.reason),
                other @ (Verdict::Pass
                | Verdict::Identified(_)
                | Verdict::Refuse(_)
                | Verdict::Drop { .. }
                | Verdict::Count(_)
                | Verdict::Ask(_)) => format!("{other:?}"),
            });
            assert_eq!(said.as_deref(), expected, "{text}");
        };
        let client = Direction::Client;
        let twice = "1007: a name stands twice in one object, at /a";
        check(client, r#"{"a":1,"a":2}"#, Some(twice));
        check(client, r#"{"a":"\ud800"}"#, Some("1007: half of a surrogate pair, at /a"));
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100), "]".repeat(100));
        check(client, &deep, Some("1009: beyond the bound `depth`"));
        check(Direction::Server, &deep, Some("1009: beyond the bound `depth`"));
        check(Direction::Server, r#"{"a":1,"a":2}"#, None);
        for harmless in [
            "hello",
            "",
            "[12:01] hello {there}",
            "{hi}",
            r#"{"a":"{not json}","b":"[1, 2"}"#,
            r#"{"id":12345678901234567890}"#,
            "<b>bold</b>",
            "a=1&a=2",
        ] {
            check(client, harmless, None);
        }
    }

    #[test]
    fn what_begins_as_json_must_be_json_where_that_is_said() {
        let check = |strict, protocol, text: &str, expected: &[&str]| {
            let config = MessageFormatConfig { strict, answer: AnswerKind::Drop, ..Default::default() };
            let verdicts = judge_texts(&MessageFormat::new(&config), protocol, &[(Direction::Client, text)]);
            let expected: Vec<_> =
                expected.iter().map(|reason| Verdict::Drop { reason: (*reason).to_owned() }).collect();
            assert_eq!(verdicts, expected, "{text}");
        };
        let rpc = Some(sockwarden_inspect::Protocol::JsonRpc);
        let cut = r#"{"id":1"#;
        check(false, None, cut, &[]);
        check(true, None, cut, &["begins as json and is none from byte 7 on"]);
        check(false, rpc, cut, &["no well-formed json from byte 7 on"]);
        // What looks like another protocol's greeting at first is held to nothing.
        check(false, None, r#"{"jsonrpc":"2.0","method":7}"#, &[]);
        check(
            false,
            rpc,
            r#"{"jsonrpc":"2.0","method":7}"#,
            &["json-rpc: a field has a value that it cannot have"],
        );
        check(false, None, "{} {}", &[]);
        check(true, None, "{} {}", &["something follows the end of the json"]);
    }

    #[test]
    fn it_can_be_told_to_drop_and_to_judge_the_application() {
        let config = MessageFormatConfig { server: true, answer: AnswerKind::Drop, ..Default::default() };
        let twice = [(Direction::Server, r#"{"a":1,"a":2}"#)];
        let verdicts = judge_texts(&MessageFormat::new(&config), None, &twice);
        assert_eq!(verdicts, [Verdict::Drop { reason: "a name stands twice in one object, at /a".into() }]);
    }
}

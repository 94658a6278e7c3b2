//! `topic-policy`: which topics, destinations and channels a client may use.

use std::{sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_inspect::{Action, Operation, Protocol};
use sockwarden_model::{Direction, Mode, Rule, rule};
use sockwarden_proto::CloseCode;

use crate::{
    BadSetting, Content, Defence, Fact, Guard, Hears, Verdict,
    defences::AnswerKind,
    reading::{Reading, described, is_ambiguous},
    topics::Topics,
};

rule! {
    /// # What it does
    /// Lets a client publish and subscribe only where the route says so: topics of MQTT, destinations of STOMP, topics of Phoenix, channels of
    /// Action Cable, topics and registrations of WAMP. `publish` and `subscribe` list patterns; a list that is not there restricts
    /// nothing, an empty one allows nothing. A subscription passes only where one pattern covers all that its filter asks for: who may
    /// have `rooms/+` may not subscribe to `#`. A will of MQTT is published in the client's name, and judged like that.
    ///
    /// Patterns are in the style of what is spoken: `+` and `#` in MQTT, `*` and `**` between `/` in STOMP, a `*` at the end elsewhere.
    /// `{user}` stands for the name that authentication gave the client; nothing is matched where there is none, or where it could be taken for
    /// more than a name.
    ///
    /// Where there is a list, a client's message is stopped, too, in which none of these protocols is recognised or which can be read
    /// in more ways than one.
    ///
    /// A message is left out and the session lives on, unless `answer = "close"`. The sender is not told: MQTT 3.1.1 has no way to refuse a
    /// publication, so a client with QoS 1 or 2 waits for an acknowledgement and may send it again. A message that holds only a part of a
    /// packet cannot be left out: the connection is closed.
    ///
    /// # Why is this bad
    /// A broker hands every message to whoever asks for its topic. Without a list for each user one subscription to `#` reads
    /// everything that anyone says, and one publication to a topic of commands moves somebody else's device.
    ///
    /// # How to fix
    /// Give each user a list of topics in the broker. Mosquitto:
    ///
    /// ```text
    /// pattern readwrite users/%u/#
    /// pattern read news/#
    /// ```
    ///
    /// ```java
    /// messages.simpSubscribeDestMatchers("/user/**").authenticated().simpDestMatchers("/app/**").hasRole("USER")
    ///         .anyMessage().denyAll(); // Spring
    /// ```
    ///
    /// ```elixir
    /// def join("user:" <> id, _params, socket) do
    ///   if id == socket.assigns.user_id, do: {:ok, socket}, else: {:error, %{reason: "forbidden"}}
    /// end
    /// ```
    ///
    /// ```toml
    /// [routes.topic_policy]
    /// publish = ["users/{user}/#"]
    /// subscribe = ["users/{user}/#", "news/#"]
    /// ```
    pub static RULE = Defence {
        id: "topic-policy",
        summary: "who may not use a topic, destination or channel neither publishes nor subscribes to it",
        severity: High,
        threats: [T1, T6],
        cwe: [863, 284],
        references: ["MQTT 5.0 §5.4.2", "OWASP API Security 2023 API1", "CWE-863"],
        lifecycle: Preview,
        counterparts: [],
        profile: Passive,
        may_change: "where a list is configured, what is published elsewhere never arrives, and other subscriptions are not answered",
    }
}

/// `topic-policy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TopicPolicyConfig {
    /// off, observe or block.
    pub mode: Mode,
    /// Where clients may publish, such as `users/{user}/#`; anywhere where it is not said, nowhere where the list is empty.
    pub publish: Option<Vec<String>>,
    /// What clients may subscribe to; anything where it is not said, nothing where the list is empty.
    pub subscribe: Option<Vec<String>>,
    /// What becomes of the connection: `drop` leaves the message out, `error` does so and tells the sender in the words of the sub-protocol, `close` closes with 1008.
    pub answer: AnswerKind,
}

impl Default for TopicPolicyConfig {
    fn default() -> Self {
        Self { mode: Mode::Block, publish: None, subscribe: None, answer: AnswerKind::Drop }
    }
}

/// Lets a client publish and subscribe where it may.
#[derive(Clone, Debug)]
pub struct TopicPolicy {
    publish: Option<Arc<[Topics]>>,
    subscribe: Option<Arc<[Topics]>>,
    answer: AnswerKind,
}

impl TopicPolicy {
    /// Takes what is configured.
    ///
    /// # Errors
    /// Patterns that mean nothing in any style.
    pub fn new(config: &TopicPolicyConfig) -> Result<Self, Vec<BadSetting>> {
        let mut wrong = Vec::new();
        let mut read = |list: &str, texts: &Option<Vec<String>>| {
            let texts = texts.as_ref()?;
            let mut patterns = Vec::with_capacity(texts.len());
            for (index, text) in texts.iter().enumerate() {
                match Topics::new(None, text) {
                    Ok(pattern) => patterns.push(pattern),
                    Err(error) => wrong.push(BadSetting {
                        key: format!("topic_policy.{list}[{index}]"),
                        message: error.to_string(),
                        help: "a pattern such as `users/{user}/#` (MQTT), `/topic/**` (STOMP) or `room:*`"
                            .to_owned(),
                    }),
                }
            }
            Some(patterns.into())
        };
        let (publish, subscribe) = (read("publish", &config.publish), read("subscribe", &config.subscribe));
        if wrong.is_empty() { Ok(Self { publish, subscribe, answer: config.answer }) } else { Err(wrong) }
    }

    /// Gives the list that an operation must be on.
    fn list(&self, action: Action) -> Option<&[Topics]> {
        match action {
            Action::Publish => self.publish.as_deref(),
            Action::Subscribe => self.subscribe.as_deref(),
            Action::Connect
            | Action::Connected
            | Action::Disconnect
            | Action::Unsubscribe
            | Action::Deliver
            | Action::Call
            | Action::Event
            | Action::Reply
            | Action::Error
            | Action::Acknowledge
            | Action::KeepAlive
            | Action::Stream => None,
        }
    }

    fn objection(&self, operation: &Operation<'_>, user: Option<&str>) -> Option<String> {
        let list = self.list(operation.action)?;
        let allowed = list.iter().any(|topics| topics.allow(operation, user));
        (!allowed).then(|| format!("{} is not allowed", described(operation)))
    }
}

/// Tells whether what a sub-protocol's operations are about is a topic that a broker keeps apart.
fn has_topics(protocol: Protocol) -> bool {
    use Protocol::{ActionCable, Mqtt, Phoenix, Stomp, Wamp};
    matches!(protocol, Mqtt | Stomp | Phoenix | ActionCable | Wamp)
}

impl Defence for TopicPolicy {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn hears(&self) -> Hears {
        if self.publish.is_none() && self.subscribe.is_none() {
            return Hears::NOTHING;
        }
        Hears::OPERATIONS | Hears::ANOMALIES | Hears::MESSAGES
    }

    fn tells(&self) -> bool {
        self.answer.tells()
    }

    fn guard(&self) -> Box<dyn Guard> {
        Box::new(Watch { policy: self.clone(), user: None, reading: Reading::default() })
    }
}

struct Watch {
    policy: TopicPolicy,
    user: Option<Box<str>>,
    reading: Reading,
}

impl Watch {
    fn judge(&mut self, content: Content<'_>) -> Verdict {
        let objection = match content {
            Content::Begin => {
                self.reading.begin();
                None
            }
            Content::Operation(operation) if has_topics(operation.protocol) => {
                self.reading.recognised();
                self.policy.objection(operation, self.user.as_deref())
            }
            Content::Anomaly(anomaly, place) => {
                is_ambiguous(anomaly, place).then(|| format!("what it does is not clear: {anomaly}"))
            }
            Content::Whole { goes_on, .. } => {
                let unknown = self.reading.is_unknown(goes_on);
                unknown.then(|| "no operation of a protocol with topics is recognised in it".to_owned())
            }
            Content::Operation(_) | Content::Value(_) => None,
        };
        let answer = self.policy.answer;
        objection.map_or(Verdict::Pass, |reason| {
            answer.verdict(CloseCode::POLICY, reason, "the topic is not allowed")
        })
    }
}

impl Guard for Watch {
    fn observe(&mut self, fact: &Fact<'_>, _now: Duration) -> Verdict {
        match fact {
            Fact::Open(open) => {
                self.user = open.identity.user.as_deref().map(Into::into);
                Verdict::Pass
            }
            Fact::Content { direction: Direction::Client, content } => self.judge(*content),
            Fact::Handshake(_)
            | Fact::Request(_)
            | Fact::Answer(_)
            | Fact::Upstream(_)
            | Fact::Frame { .. }
            | Fact::Inflated { .. }
            | Fact::Content { direction: Direction::Server, .. }
            | Fact::Violation { .. } => Verdict::Pass,
        }
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Direction::{Client, Server};
    use sockwarden_proto::MessageKind;

    use super::*;
    use crate::defences::samples::{judge_messages, judge_texts, reasons};

    fn policy(publish: &[&str], subscribe: &[&str]) -> TopicPolicy {
        let list = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
        let config =
            TopicPolicyConfig { publish: list(publish), subscribe: list(subscribe), ..Default::default() };
        TopicPolicy::new(&config).unwrap()
    }

    #[test]
    fn a_subscription_is_covered_and_a_publication_matched() {
        let mqtt = policy(&["users/{user}/#"], &["users/{user}/#", "news/+"]);
        let check = |packet: &[u8], expected: Option<&str>| {
            let connect = b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01c".as_slice();
            let messages = [connect, packet].map(|bytes| (Client, MessageKind::Binary, bytes));
            let said = reasons(&judge_messages(&mqtt, Some(Protocol::Mqtt), &messages));
            assert_eq!(said.first().map(String::as_str), expected, "{}", packet.escape_ascii());
        };
        check(b"0\x0d\0\x0busers/ann/x", None);
        check(b"0\x0d\0\x0busers/bob/x", Some("mqtt: publish on `users/bob/x` is not allowed"));
        check(b"\x82\x0b\0\x01\0\x06news/+\0", None);
        check(b"\x82\x06\0\x01\0\x01#\0", Some("mqtt: subscribe on `#` is not allowed"));
        check(b"\xc0\0", None);
    }

    #[test]
    fn other_protocols_have_topics_in_their_own_style() {
        let check = |protocol, text: &str, expected: usize| {
            let policy = policy(&["/app/**", "room:{user}"], &["/topic/*", "room:{user}", "ChatChannel"]);
            let verdicts = judge_texts(&policy, Some(protocol), &[(Client, text)]);
            assert_eq!(verdicts.len(), expected, "{text} {verdicts:?}");
        };
        let phoenix = |topic: &str, event: &str| format!(r#"["1","2","{topic}","{event}",{{}}]"#);
        check(Protocol::Phoenix, &phoenix("room:ann", "phx_join"), 0);
        check(Protocol::Phoenix, &phoenix("room:bob", "phx_join"), 1);
        check(Protocol::Phoenix, &phoenix("room:bob", "say"), 1);
        check(Protocol::Phoenix, &phoenix("room:bob", "phx_leave"), 0);
        check(Protocol::Phoenix, &phoenix("phoenix", "heartbeat"), 0);
        let cable = |channel: &str| {
            format!(r#"{{"command":"subscribe","identifier":"{{\"channel\":\"{channel}\"}}"}}"#)
        };
        check(Protocol::ActionCable, &cable("ChatChannel"), 0);
        check(Protocol::ActionCable, &cable("AdminChannel"), 1);
        check(Protocol::JsonRpc, r#"{"jsonrpc":"2.0","method":"x","topic":"room:bob"}"#, 1);
    }

    #[test]
    fn what_cannot_be_judged_is_dropped_and_the_application_is_not_judged() {
        let none = policy(&[], &[]);
        assert_eq!(judge_texts(&none, None, &[(Client, "hello"), (Server, "hello")]).len(), 1);
        let open = TopicPolicy::new(&TopicPolicyConfig::default()).unwrap();
        assert_eq!(open.hears(), Hears::NOTHING);
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let config =
            TopicPolicyConfig { subscribe: Some(vec!["a".into(), "{name}".into()]), ..Default::default() };
        let wrong = TopicPolicy::new(&config).unwrap_err();
        assert_eq!(wrong[0].key, "topic_policy.subscribe[1]");
        assert_eq!(wrong[0].message, "`{name}` holds braces; only `{user}` may stand in them");
    }
}

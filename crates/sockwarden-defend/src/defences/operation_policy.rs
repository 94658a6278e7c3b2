//! `operation-policy`: what may be done in a sub-protocol.

use std::{sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_inspect::{Action, Operation, Pattern, Protocol, Style};
use sockwarden_model::{Direction, Mode, Rule, printable, rule};
use sockwarden_proto::CloseCode;

use crate::{
    BadSetting, Content, Defence, Fact, Guard, Hears, Verdict,
    defences::AnswerKind,
    reading::{Readings, described, is_ambiguous},
    topics::Topics,
};

rule! {
    /// # What it does
    /// Lets through only the operations that a route lists in `allow`, whatever the sub-protocol calls them: methods of JSON-RPC, actions of OCPP,
    /// events and namespaces of Socket.IO, targets of SignalR, commands of STOMP, procedures of WAMP, root fields of GraphQL. What stands in
    /// `deny` is stopped even so. A message that does several things passes only if all of them may be done.
    ///
    /// Where `allow` lists anything, a message of that side is stopped, too, in which no operation is recognised or which can be read in more
    /// ways than one. What keeps a session going (connect, disconnect, acknowledge, keep-alive) and unsubscribing pass unless `deny` names
    /// them; an entry of `allow` with one of these actions makes a list of them as well (with `connect`, list Socket.IO's `upgrade`, too, if clients begin
    /// with long polling). Where `allow` is empty nothing is restricted but what
    /// `deny` names, and what is not recognised passes: a list of what is forbidden is only as good as its author's imagination.
    ///
    /// Names and subjects are patterns: a `*` at the end stands for any rest, `{user}` for the name of the user. With `protocol = "mqtt"`
    /// or `"stomp"` subjects are patterns in the style of that protocol, without `protocol` in the style of the one that is spoken. Names in
    /// `deny` are compared without regard to case, and a subscription to several subjects is denied if one of them may be meant.
    ///
    /// A message is left out and the session lives on, unless `answer = "close"`. Where packets go over the ends of messages (MQTT, STOMP) a
    /// message that holds only a part of one cannot be left out: the connection is closed.
    ///
    /// # Why is this bad
    /// A socket is one door to everything that the application can do. HTTP has a path and a method for each operation, which proxies and
    /// frameworks check; in a message the name of the operation is a string that a dispatcher looks up, and what is registered for
    /// administrators, tests or other services is found by the same look-up. Whoever is let in can call it.
    ///
    /// # How to fix
    /// Check in the application whether this user may do this, for each operation, where it is dispatched:
    ///
    /// ```js
    /// const allowed = { user: new Set(["chat", "typing"]), admin: new Set(["chat", "typing", "ban"]) };
    /// io.use((socket, next) => {
    ///   socket.use(([event], next) => next(allowed[socket.data.role].has(event) ? undefined : new Error("forbidden")));
    ///   next();
    /// });
    /// ```
    ///
    /// ```python
    /// METHODS = {"balance": balance, "history": history}   # a table, never getattr(api, request["method"])
    /// ```
    ///
    /// ```csharp
    /// [Authorize(Roles = "admin")] public Task Ban(string user) => // on the method of a SignalR hub
    /// ```
    ///
    /// In the gateway, say which sub-protocol is spoken (`inspect.protocol`), so that no client can choose how it is read:
    ///
    /// ```toml
    /// [routes.operation_policy]
    /// allow = [{ protocol = "socket-io", name = "chat:*", subject = "/" }, { action = "reply" }]
    /// deny = [{ action = "connect", subject = "/admin*" }]
    /// ```
    pub static RULE = Defence {
        id: "operation-policy",
        summary: "an operation that the route does not allow is not forwarded",
        severity: High,
        threats: [T1, T6],
        cwe: [862, 749],
        references: ["OWASP API Security 2023 API5", "CWE-862", "CWE-749"],
        lifecycle: Preview,
        counterparts: [],
        profile: Passive,
        may_change: "where a list is configured, what is not on it never arrives",
    }
}

/// `operation-policy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OperationPolicyConfig {
    /// off, observe or block.
    pub mode: Mode,
    /// What may be done, such as `{ protocol = "socket-io", name = "chat:*" }`; anything where nothing is listed.
    pub allow: Vec<OperationConfig>,
    /// What may not be done, even if `allow` lists it.
    pub deny: Vec<OperationConfig>,
    /// What becomes of the connection: `drop` leaves the message out, `error` does so and tells the sender in the words of the sub-protocol, `close` closes with 1008.
    pub answer: AnswerKind,
}

impl Default for OperationPolicyConfig {
    fn default() -> Self {
        Self { mode: Mode::Block, allow: Vec::new(), deny: Vec::new(), answer: AnswerKind::Drop }
    }
}

/// Operations that are alike: what is not said may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OperationConfig {
    /// The sub-protocol, such as `socket-io` or `json-rpc`.
    pub protocol: Option<String>,
    /// What is done, such as `call`, `event`, `publish` or `subscribe`.
    pub action: Option<String>,
    /// The method, event or command, such as `chat:*`.
    pub name: Option<String>,
    /// The room, topic, channel, destination or namespace, such as `room/{user}`.
    pub subject: Option<String>,
    /// Who does it.
    pub from: SenderKind,
}

/// Whose messages are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SenderKind {
    /// The client's.
    #[default]
    Client,
    /// The application's.
    Server,
}

/// Lets through what is allowed.
#[derive(Clone, Debug)]
pub struct OperationPolicy {
    allow: Arc<[Entry]>,
    deny: Arc<[Entry]>,
    answer: AnswerKind,
}

impl OperationPolicy {
    /// Takes what is configured.
    ///
    /// # Errors
    /// Entries that mean nothing.
    pub fn new(config: &OperationPolicyConfig) -> Result<Self, Vec<BadSetting>> {
        let mut wrong = Vec::new();
        let mut read = |list: &str, entries: &[OperationConfig], denies| {
            let mut built = Vec::with_capacity(entries.len());
            for (index, entry) in entries.iter().enumerate() {
                match Entry::new(entry, denies) {
                    Ok(entry) => built.push(entry),
                    Err((key, message, help)) => wrong.push(BadSetting {
                        key: format!("operation_policy.{list}[{index}]{key}"),
                        message,
                        help,
                    }),
                }
            }
            built.into()
        };
        let (allow, deny) = (read("allow", &config.allow, false), read("deny", &config.deny, true));
        if wrong.is_empty() { Ok(Self { allow, deny, answer: config.answer }) } else { Err(wrong) }
    }

    /// Tells whether a side may do only what is listed.
    fn restricts(&self, from: Direction) -> bool {
        self.allow.iter().any(|entry| entry.from == from)
    }

    /// Tells what is wrong with an operation.
    fn objection(
        &self,
        from: Direction,
        operation: &Operation<'_>,
        user: Option<&str>,
    ) -> Option<&'static str> {
        if self.deny.iter().any(|entry| entry.denies(from, operation, user)) {
            return Some("is in `deny`");
        }
        let is_listed = || {
            let of_this = |entry: &Entry| entry.from == from && entry.names(operation.action);
            keeps_going(operation.action) && !self.allow.iter().any(of_this)
                || self.allow.iter().any(|entry| entry.allows(from, operation, user))
        };
        (self.restricts(from) && !is_listed()).then_some("is not in `allow`")
    }
}

/// Tells whether an action does nothing but keep a session going.
pub(super) fn keeps_going(action: Action) -> bool {
    match action {
        Action::Connect
        | Action::Connected
        | Action::Disconnect
        | Action::Unsubscribe
        | Action::Acknowledge
        | Action::KeepAlive => true,
        Action::Subscribe
        | Action::Publish
        | Action::Deliver
        | Action::Call
        | Action::Event
        | Action::Reply
        | Action::Error
        | Action::Stream => false,
    }
}

/// Operations that are alike.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    protocol: Option<Protocol>,
    action: Option<Action>,
    name: Option<Pattern>,
    subject: Option<Topics>,
    from: Direction,
}

impl Entry {
    /// Reads an entry; gives the key, what is wrong, and what would be right.
    pub(super) fn new(
        config: &OperationConfig,
        denies: bool,
    ) -> Result<Self, (&'static str, String, String)> {
        let OperationConfig { protocol, action, name, subject, from } = config;
        if protocol.is_none() && action.is_none() && name.is_none() && subject.is_none() {
            let help = "name a `protocol`, an `action`, a `name` or a `subject`";
            return Err(("", "an entry that says nothing means everything".to_owned(), help.to_owned()));
        }
        let one_of = |key, text: &str, known: Vec<&str>| {
            (
                key,
                format!("`{}` is not known", printable(text.as_bytes(), 60)),
                format!("one of {}", known.join(", ")),
            )
        };
        let protocol =
            match protocol {
                None => None,
                Some(text) => Some(Protocol::named(text).ok_or_else(|| {
                    one_of(".protocol", text, Protocol::all().map(Protocol::name).collect())
                })?),
            };
        let action = match action {
            None => None,
            Some(text) => Some(
                Action::named(text)
                    .ok_or_else(|| one_of(".action", text, Action::ALL.map(Action::name).to_vec()))?,
            ),
        };
        let name = match name {
            None => None,
            Some(text) => {
                let text = if denies { text.to_lowercase() } else { text.clone() };
                let help = "a name, with `*` at its end for any rest, such as `chat:*`";
                let read = Pattern::new(Style::Prefix, &text);
                Some(read.map_err(|error| (".name", error.to_string(), help.to_owned()))?)
            }
        };
        let subject = match subject {
            None => None,
            Some(text) => {
                let help = "a subject in the style of the sub-protocol, such as `room/{user}`, `room:*` or `devices/+/state`";
                let read = Topics::new(protocol, text);
                Some(read.map_err(|error| (".subject", error.to_string(), help.to_owned()))?)
            }
        };
        let from = match from {
            SenderKind::Client => Direction::Client,
            SenderKind::Server => Direction::Server,
        };
        Ok(Self { protocol, action, name, subject, from })
    }

    pub(super) fn allows(&self, from: Direction, operation: &Operation<'_>, user: Option<&str>) -> bool {
        let is_name = |name: &Pattern| operation.name.is_some_and(|asked| name.matches(asked, user));
        self.is_about(from, operation)
            && self.name.as_ref().is_none_or(is_name)
            && self.subject.as_ref().is_none_or(|subject| subject.allow(operation, user))
    }

    /// Tells whether an operation may be one of these. Dispatchers compare names without regard to case, some of them.
    pub(super) fn denies(&self, from: Direction, operation: &Operation<'_>, user: Option<&str>) -> bool {
        let is_name = |name: &Pattern| {
            let (asked, user) =
                (operation.name.unwrap_or_default().to_lowercase(), user.map(str::to_lowercase));
            name.matches(&asked, user.as_deref()) || name.covers(&asked, user.as_deref())
        };
        self.is_about(from, operation)
            && self.name.as_ref().is_none_or(is_name)
            && self.subject.as_ref().is_none_or(|subject| subject.touch(operation, user))
    }

    /// Tells whether it says this action by its name.
    pub(super) fn names(&self, action: Action) -> bool {
        self.action == Some(action)
    }

    fn is_about(&self, from: Direction, operation: &Operation<'_>) -> bool {
        // What is attached to an event of Socket.IO is a part of it.
        let is_attached = operation.protocol == Protocol::SocketIo && operation.action == Action::Stream;
        let is_action = |action| {
            action == operation.action
                || is_attached && matches!(action, Action::Event | Action::Call | Action::Reply)
        };
        self.from == from
            && self.protocol.is_none_or(|protocol| protocol == operation.protocol)
            && self.action.is_none_or(is_action)
    }
}

impl Defence for OperationPolicy {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn hears(&self) -> Hears {
        match (self.allow.is_empty(), self.deny.is_empty()) {
            (true, true) => Hears::NOTHING,
            (true, false) => Hears::OPERATIONS,
            (false, _) => Hears::OPERATIONS | Hears::ANOMALIES | Hears::MESSAGES,
        }
    }

    fn tells(&self) -> bool {
        self.answer.tells()
    }

    fn guard(&self) -> Box<dyn Guard> {
        Box::new(Watch { policy: self.clone(), user: None, readings: Readings::default() })
    }
}

struct Watch {
    policy: OperationPolicy,
    user: Option<Box<str>>,
    readings: Readings,
}

impl Watch {
    fn judge(&mut self, from: Direction, content: Content<'_>) -> Verdict {
        let restricts = self.policy.restricts(from);
        let reading = self.readings.of(from);
        let objection = match content {
            Content::Begin => {
                reading.begin();
                None
            }
            Content::Operation(operation) => {
                reading.recognised();
                let objection = self.policy.objection(from, operation, self.user.as_deref());
                objection.map(|objection| format!("{} {objection}", described(operation)))
            }
            Content::Anomaly(anomaly, place) => {
                let unclear = restricts && is_ambiguous(anomaly, place);
                unclear.then(|| format!("what it does is not clear: {anomaly}"))
            }
            Content::Whole { goes_on, .. } => {
                let unknown = restricts && reading.is_unknown(goes_on);
                unknown.then(|| "no operation is recognised in it".to_owned())
            }
            Content::Value(_) => None,
        };
        let answer = self.policy.answer;
        objection.map_or(Verdict::Pass, |reason| {
            answer.verdict(CloseCode::POLICY, reason, "the operation is not allowed")
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
            Fact::Content { direction, content } => self.judge(*direction, *content),
            Fact::Handshake(_)
            | Fact::Request(_)
            | Fact::Answer(_)
            | Fact::Upstream(_)
            | Fact::Frame { .. }
            | Fact::Inflated { .. }
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

    fn entry(text: &str) -> OperationConfig {
        let mut entry = OperationConfig::default();
        for pair in text.split_whitespace() {
            let (key, value) = pair.split_once('=').unwrap();
            let value = Some(value.to_owned());
            match key {
                "protocol" => entry.protocol = value,
                "action" => entry.action = value,
                "name" => entry.name = value,
                "subject" => entry.subject = value,
                "from" => entry.from = SenderKind::Server,
                other => panic!("{other}"),
            }
        }
        entry
    }

    fn policy(allow: &[&str], deny: &[&str]) -> OperationPolicy {
        let read = |entries: &[&str]| entries.iter().map(|text| entry(text)).collect();
        let config = OperationPolicyConfig { allow: read(allow), deny: read(deny), ..Default::default() };
        OperationPolicy::new(&config).unwrap()
    }

    #[track_caller]
    fn check(policy: &OperationPolicy, protocol: Protocol, text: &str, expected: Option<&str>) {
        let verdicts = judge_texts(policy, Some(protocol), &[(Client, text)]);
        assert_eq!(reasons(&verdicts).first().map(String::as_str), expected, "{text}");
    }

    #[test]
    fn what_is_not_allowed_is_dropped() {
        let rpc = policy(&["protocol=json-rpc name=chat.*", "action=call name=whoami"], &["name=chat.purge"]);
        let rpc = |text: &str, expected| check(&rpc, Protocol::JsonRpc, text, expected);
        rpc(r#"{"jsonrpc":"2.0","method":"chat.send","id":1}"#, None);
        rpc(r#"{"jsonrpc":"2.0","method":"whoami","id":1}"#, None);
        rpc(r#"{"jsonrpc":"2.0","method":"whoami"}"#, Some("json-rpc: event `whoami` is not in `allow`"));
        rpc(r#"{"jsonrpc":"2.0","method":"admin","id":1}"#, Some("json-rpc: call `admin` is not in `allow`"));
        rpc(r#"{"jsonrpc":"2.0","method":"chat.purge"}"#, Some("json-rpc: event `chat.purge` is in `deny`"));
        rpc(r#"{"jsonrpc":"2.0","method":"Chat.purge"}"#, Some("json-rpc: event `Chat.purge` is in `deny`"));
        let both = r#"[{"jsonrpc":"2.0","method":"chat.send"},{"jsonrpc":"2.0","method":"admin"}]"#;
        rpc(both, Some("json-rpc: event `admin` is not in `allow`"));
        let chat = policy(&["action=event name=chat:* subject=/"], &["action=connect subject=/admin*"]);
        let chat = |text: &str, expected| check(&chat, Protocol::SocketIo, text, expected);
        chat(r#"42["chat:1","hi"]"#, None);
        chat("2", None);
        chat("40", None);
        chat("40/admin,", Some("socket-io: connect `connect` on `/admin` is in `deny`"));
        chat(r#"42["ban","bob"]"#, Some("socket-io: event `ban` on `/` is not in `allow`"));
        chat(r#"42/other,["chat:1"]"#, Some("socket-io: event `chat:1` on `/other` is not in `allow`"));
        let own = policy(&["subject=room:{user}"], &[]);
        check(&own, Protocol::Phoenix, r#"["1","2","room:ann","say",{}]"#, None);
        let others = "phoenix: publish `say` on `room:bob` is not in `allow`";
        check(&own, Protocol::Phoenix, r#"["1","2","room:bob","say",{}]"#, Some(others));
    }

    #[test]
    fn what_cannot_be_judged_is_dropped_where_anything_is_listed() {
        let listed = policy(&["name=chat"], &[]);
        let nothing = Some("no operation is recognised in it");
        check(
            &listed,
            Protocol::SocketIo,
            "4hello",
            Some("what it does is not clear: socket-io: a type that the protocol does not have"),
        );
        let verdicts = judge_texts(&listed, None, &[(Client, "hello")]);
        assert_eq!(reasons(&verdicts).first().map(String::as_str), nothing);
        let twice = r#"{"jsonrpc":"2.0","method":"admin","method":"chat"}"#;
        let unclear = "what it does is not clear: a name stands twice in one object";
        check(&listed, Protocol::JsonRpc, twice, Some(unclear));
        let denied = policy(&[], &["name=admin"]);
        assert_eq!(judge_texts(&denied, None, &[(Client, "hello")]), []);
        assert_eq!(judge_texts(&listed, None, &[(Server, "hello")]), []);
    }

    #[test]
    fn a_message_that_was_stopped_lends_nothing_to_the_next_one() {
        let listed = policy(&["name=chat"], &[]);
        let both = r#"[{"jsonrpc":"2.0","method":"chat"},{"jsonrpc":"2.0","method":"admin"}]"#;
        let verdicts = judge_texts(&listed, Some(Protocol::JsonRpc), &[(Client, both), (Client, "5")]);
        assert_eq!(verdicts.len(), 2, "{verdicts:?}");
    }

    #[test]
    fn the_application_is_restricted_by_entries_about_it_alone() {
        let listed = policy(&["name=news from=server"], &[]);
        let rpc = |from, method: &str| {
            let text = format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#);
            judge_texts(&listed, Some(Protocol::JsonRpc), &[(from, &text)]).len()
        };
        assert_eq!([rpc(Client, "any"), rpc(Server, "news"), rpc(Server, "secret")], [0, 0, 1]);
    }

    #[test]
    fn an_attachment_is_allowed_and_denied_with_its_event() {
        let text = |text: &'static str| (Client, MessageKind::Text, text.as_bytes());
        let bytes = (Client, MessageKind::Binary, b"x".as_slice());
        let placeholder = r#"{"_placeholder":true,"num":0}"#;
        let [image, virus] = ["image", "virus"].map(|name| format!(r#"451-["{name}",{placeholder}]"#));
        let messages = [
            text("40"),
            (Client, MessageKind::Text, image.as_bytes()),
            bytes,
            (Client, MessageKind::Text, virus.as_bytes()),
            bytes,
        ];
        let listed = policy(&["action=event name=image"], &[]);
        assert_eq!(judge_messages(&listed, Some(Protocol::SocketIo), &messages).len(), 2);
        let denied = policy(&[], &["action=event name=virus"]);
        assert_eq!(judge_messages(&denied, Some(Protocol::SocketIo), &messages).len(), 2);
    }

    #[test]
    fn a_piece_of_a_packet_waits_for_its_end() {
        let (topic, forbidden) = (b"0\x05\0\x01a", b"0\x05\0\x01b");
        let listed = policy(&["action=publish subject=a"], &[]);
        let judge = |pieces: [&[u8]; 2]| {
            let messages = pieces.map(|bytes| (Client, MessageKind::Binary, bytes));
            reasons(&judge_messages(&listed, Some(Protocol::Mqtt), &messages))
        };
        let [whole, other] = [topic, forbidden].map(|head| [head.as_slice(), b"xy"].concat());
        let connect = b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01c";
        let with = |packet: &[u8]| [connect.as_slice(), packet].concat();
        assert_eq!(judge([&with(topic), b"xy"]), [""; 0]);
        assert_eq!(judge([&with(&whole), &whole]), [""; 0]);
        assert_eq!(judge([&with(forbidden), b"xy"]), ["mqtt: publish on `b` is not in `allow`"]);
        assert_eq!(judge([&with(&whole), &other]).len(), 1);
    }

    #[test]
    fn entries_that_mean_nothing_are_named() {
        let check = |text: &str, key: &str, help: &str| {
            let config = OperationPolicyConfig { deny: vec![entry(text)], ..Default::default() };
            let wrong = OperationPolicy::new(&config).unwrap_err();
            assert_eq!(wrong[0].key, format!("operation_policy.deny[0]{key}"));
            assert!(wrong[0].help.contains(help), "{}", wrong[0].help);
        };
        check("", "", "name a `protocol`");
        check("protocol=socket.io", ".protocol", "socket-io");
        check("action=shout", ".action", "publish");
        check("name=a*b", ".name", "at its end");
        check("subject=a/{name}", ".subject", "room/{user}");
        check("protocol=mqtt subject=a/#/b", ".subject", "room/{user}");
    }

    #[test]
    fn where_nothing_is_listed_nothing_is_heard() {
        assert_eq!(policy(&[], &[]).hears(), Hears::NOTHING);
    }
}

//! `message-authorization`: which user may say what.

use std::{fmt, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_inspect::{Anomaly, Operation, Pattern, Style};
use sockwarden_model::{Direction, Identity, Mode, Rule, rule};
use sockwarden_proto::CloseCode;

use crate::{
    BadSetting, Content, Defence, Fact, Guard, Hears, Verdict,
    defences::{
        AnswerKind, OperationConfig, SenderKind,
        operation_policy::{Entry, keeps_going},
    },
    pointer::Pointer,
    probe::{Answers, Asker, Known, Probe, Test},
    reading::{Readings, described, is_ambiguous},
};

rule! {
    /// # What it does
    /// Holds each message against the rules of its route, in their order; the first one that fits decides, and `default` decides where none
    /// does. A rule says what it is about: an operation of the sub-protocol (`protocol`, `action`, `operation`, `subject`, as in
    /// `operation-policy`) or a field (`field`, a place as `sockwarden inspect` shows it, and what stands there); who (`roles`, `users`,
    /// `authenticated`); and under which conditions (`when`), which compare fields with the user, the roles, a claim or a constant. What is
    /// not said may be anything.
    ///
    /// A rule that allows fits only what every reader understands alike: each occurrence of a field must be as it should be, and a field that is
    /// absent, no single value, or written in another case does not fit. A rule that denies fits if any occurrence may be meant. With
    /// `default = "deny"` a message that can be read in more ways than one is stopped, and so is one that cannot be read at all. Of several operations in one message
    /// each is judged, with the fields of all that came before it. What keeps a session going (connect, disconnect, acknowledge, keep-alive)
    /// and unsubscribing fall under `default` only where some rule names that action.
    ///
    /// The application's messages are judged only where a rule says `from = "server"`, and then by those rules alone.
    /// A message is left out and the session lives on, unless `answer = "close"`. `sockwarden authorize` tries rules out.
    ///
    /// # Why is this bad
    /// A user who was let in can name any object and any operation in a message: another user's room, another account, what only
    /// administrators should do. Each message is a request of its own, and an application that checks at the handshake alone, or in the
    /// page, checks nothing: the client is not bound to the page.
    ///
    /// # How to fix
    /// Check in the application, where an operation is carried out, whether this user may do it with this object. What the
    /// message says about the user counts for nothing; the session says it:
    ///
    /// ```js
    /// socket.on("room:say", ({ room, text }) => {
    ///   if (!socket.data.rooms.includes(room)) return; // rooms from the session, room from the message
    ///   io.to(room).emit("said", { user: socket.data.user, text });
    /// });
    /// ```
    ///
    /// ```python
    /// if not await may_read(session.user, message["account"]):
    ///     raise Forbidden
    /// ```
    ///
    /// In the gateway, the same without changing the application:
    ///
    /// ```toml
    /// [routes.authorize]
    /// default = "deny"
    /// [[routes.authorize.rules]]
    /// field = { at = "/type", is = "admin.*" }
    /// roles = ["admin"]
    /// allow = true
    /// [[routes.authorize.rules]]
    /// field = { at = "/type", is = "say" }
    /// when = [{ field = "/room", in = "claims.rooms" }, { field = "/userId", is = "user" }]
    /// allow = true
    /// ```
    pub static RULE = Defence {
        id: "message-authorization",
        summary: "a message that its sender may not send is not forwarded",
        severity: High,
        threats: [T1, T6],
        cwe: [862, 863, 639],
        references: ["OWASP API Security 2023 API1", "OWASP API Security 2023 API5", "CWE-862", "CWE-639"],
        lifecycle: Preview,
        counterparts: ["horizontal-access", "vertical-access"],
        profile: Passive,
        may_change: "where rules are configured, messages that they deny never arrive",
    }
}

/// `message-authorization`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthorizeConfig {
    /// off, observe or block.
    pub mode: Mode,
    /// Who may say what, such as `{ field = { at = "/type", is = "say" }, when = [{ field = "/room", in = "claims.rooms" }], allow = true }`; the first rule that fits decides. Everybody may say everything where there is none.
    pub rules: Vec<AuthorizeRule>,
    /// What becomes of a message that no rule fits; it must be said where there are rules.
    #[schemars(example = DefaultKind::Deny)]
    pub default: Option<DefaultKind>,
    /// What becomes of the connection: `drop` leaves the message out, `error` does so and tells the sender in the words of the sub-protocol, `close` closes with 1008.
    pub answer: AnswerKind,
}

impl Default for AuthorizeConfig {
    fn default() -> Self {
        Self { mode: Mode::Block, rules: Vec::new(), default: None, answer: AnswerKind::Drop }
    }
}

/// What becomes of a message that no rule fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DefaultKind {
    /// It passes.
    Allow,
    /// It is stopped.
    Deny,
}

/// What is allowed or denied to whom: what is not said may be anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizeRule {
    /// The sub-protocol of the operation, such as `socket-io` or `json-rpc`.
    #[serde(default)]
    pub protocol: Option<String>,
    /// What the operation does, such as `call`, `event`, `publish` or `subscribe`.
    #[serde(default)]
    pub action: Option<String>,
    /// The operation's method, event or command, such as `chat:*`.
    #[serde(default)]
    pub operation: Option<String>,
    /// The operation's room, topic, channel, destination or namespace, such as `room/{user}`.
    #[serde(default)]
    pub subject: Option<String>,
    /// A field of the message by which it is recognised, such as `{ at = "/type", is = "admin.*" }`.
    #[serde(default)]
    pub field: Option<AuthorizeField>,
    /// Whose messages are meant.
    #[serde(default)]
    pub from: SenderKind,
    /// The roles, one of which the user has.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The users, one of whom it is.
    #[serde(default)]
    pub users: Vec<String>,
    /// Whether it must be known who the user is.
    #[serde(default)]
    pub authenticated: bool,
    /// What must hold of fields of the message, all of it.
    #[serde(default)]
    pub when: Vec<AuthorizeCondition>,
    /// Whether the message passes.
    pub allow: bool,
}

/// A field and what stands there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizeField {
    /// Where it stands: a JSON pointer such as `/type`, or a place as `sockwarden inspect` shows it.
    pub at: String,
    /// What stands there; a `*` at the end stands for any rest, `{user}` for the name of the user.
    pub is: String,
}

/// What must hold of a field: one of `is`, `in`, `one_of`, `at_most` and `at_least`, or both of the last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizeCondition {
    /// Where it stands: a JSON pointer such as `/room`, or a place as `sockwarden inspect` shows it; `*` stands for every member or element.
    pub field: String,
    /// What is known of the caller and equal to it: `user`, `claims.NAME`, or `claims/…` with a JSON pointer into the claims.
    #[serde(default)]
    pub is: Option<String>,
    /// The list that is known of the caller and holds it: `roles`, `claims.NAME`, or `claims/…` with a JSON pointer into the claims.
    #[serde(default, rename = "in")]
    pub is_in: Option<String>,
    /// The texts or numbers, one of which it is.
    #[serde(default)]
    pub one_of: Vec<String>,
    /// The number that it is at most.
    #[serde(default)]
    pub at_most: Option<f64>,
    /// The number that it is at least.
    #[serde(default)]
    pub at_least: Option<f64>,
}

/// Judges who may say what.
#[derive(Clone, Debug)]
pub struct MessageAuthorization(Arc<Policy>);

#[derive(Debug)]
struct Policy {
    rules: Vec<Built>,
    probes: Vec<Probe>,
    denies: bool,
    answer: AnswerKind,
}

#[derive(Debug)]
struct Built {
    /// Which operations; `None` where the rule is about none.
    operations: Option<Entry>,
    from: Direction,
    roles: Vec<String>,
    users: Vec<String>,
    authenticated: bool,
    /// The places of its probes, all of which must be answered.
    probes: Vec<usize>,
    allow: bool,
}

/// What was decided about a message, or about one operation in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// Whether it passes.
    pub is_allowed: bool,
    /// The rule that decided, from zero; none where no rule fits.
    pub rule: Option<usize>,
    /// What it was about, and why. Bytes of the peer are escaped.
    pub reason: String,
}

/// The most rules of a route.
const MOST_RULES: usize = 256;
/// The most conditions of a rule.
const MOST_CONDITIONS: usize = 16;

impl MessageAuthorization {
    /// Takes what is configured.
    ///
    /// # Errors
    /// Rules that mean nothing, and a `default` that is not said.
    pub fn new(config: &AuthorizeConfig) -> Result<Self, Vec<BadSetting>> {
        let mut wrong = Vec::new();
        let mut add = |key: String, message: String, help: &str| {
            wrong.push(BadSetting { key: format!("authorize.{key}"), message, help: help.to_owned() });
        };
        let (rules, default) = (&config.rules, config.default);
        match (rules.is_empty(), default) {
            (false, None) => add(
                "default".to_owned(),
                "it is not said what becomes of a message that no rule fits".to_owned(),
                "`default = \"deny\"`, or \"allow\" where the rules name what is forbidden",
            ),
            (true, Some(_)) => {
                add(
                    "default".to_owned(),
                    "there are no rules".to_owned(),
                    "add `[[routes.authorize.rules]]`",
                );
            }
            (true, None) | (false, Some(_)) => {}
        }
        if rules.len() > MOST_RULES {
            add(
                "rules".to_owned(),
                format!("there are more than {MOST_RULES}"),
                "let patterns stand for several",
            );
        }
        let mut probes = Vec::new();
        let mut built = Vec::with_capacity(rules.len());
        for (index, rule) in rules.iter().enumerate() {
            match Built::new(rule, &mut probes) {
                Ok(rule) => built.push(rule),
                Err((key, message, help)) => add(format!("rules[{index}]{key}"), message, &help),
            }
        }
        let denies = default == Some(DefaultKind::Deny);
        let policy = Policy { rules: built, probes, denies, answer: config.answer };
        if wrong.is_empty() { Ok(Self(Arc::new(policy))) } else { Err(wrong) }
    }

    /// Begins to judge what is said on a connection of this caller.
    pub fn judge(&self, identity: &Identity) -> Judge {
        let known = self.0.probes.iter().map(|probe| match &probe.test {
            Test::Known(known) => known.of(identity),
            Test::Like(_) | Test::OneOf(_) | Test::AtMost(_) | Test::AtLeast(_) => Vec::new(),
        });
        let fits = self.0.rules.iter().map(|rule| rule.is_for(identity)).collect();
        Judge {
            known: known.collect(),
            fits,
            user: identity.user.as_deref().map(Into::into),
            client: Side::new(&self.0),
            server: Side::new(&self.0),
            readings: Readings::default(),
            policy: Arc::clone(&self.0),
        }
    }
}

/// What is wrong with a rule: the key below it, what, and what would be right.
type Wrong = (String, String, String);

impl Built {
    fn new(config: &AuthorizeRule, probes: &mut Vec<Probe>) -> Result<Self, Wrong> {
        let AuthorizeRule { protocol, action, operation, subject, field, from, .. } = config;
        let is_about_operations =
            [protocol, action, operation, subject].into_iter().any(std::option::Option::is_some);
        let says_who = config.authenticated || !config.roles.is_empty() || !config.users.is_empty();
        if !is_about_operations && field.is_none() && !says_who && config.when.is_empty() {
            let help = "say what, who or when; what becomes of everything else is `default`";
            return Err((
                String::new(),
                "a rule that says nothing means everything".to_owned(),
                help.to_owned(),
            ));
        }
        let operations = OperationConfig {
            protocol: protocol.clone(),
            action: action.clone(),
            name: operation.clone(),
            subject: subject.clone(),
            from: *from,
        };
        let operations = is_about_operations.then(|| Entry::new(&operations, !config.allow)).transpose();
        let operations = operations.map_err(|(key, message, help)| {
            let key = if key == ".name" { ".operation" } else { key };
            (key.to_owned(), message, help)
        })?;
        let mut own = Vec::new();
        let mut ask = |key: &str, pointer: &str, test: Test| {
            let pointer = Pointer::new(pointer).map_err(|error| {
                let help = "a JSON pointer such as `/room`, or a place as `sockwarden inspect` shows it";
                (key.to_owned(), error.to_string(), help.to_owned())
            })?;
            own.push(probes.len());
            probes.push(Probe { pointer, test });
            Ok::<_, Wrong>(())
        };
        if let Some(AuthorizeField { at, is }) = field {
            let is = if config.allow { is.clone() } else { is.to_lowercase() };
            let like = Pattern::new(Style::Prefix, &is).map_err(|error| {
                let help = "a text, with `*` at its end for any rest, such as `admin.*`";
                (".field.is".to_owned(), error.to_string(), help.to_owned())
            })?;
            ask(".field.at", at, Test::Like(like))?;
        }
        if config.when.len() > MOST_CONDITIONS {
            let message = format!("there are more than {MOST_CONDITIONS} conditions");
            return Err((".when".to_owned(), message, "make two rules of it".to_owned()));
        }
        for (index, condition) in config.when.iter().enumerate() {
            let key = format!(".when[{index}]");
            for test in
                tests(condition).map_err(|(below, message, help)| (key.clone() + &below, message, help))?
            {
                ask(&format!("{key}.field"), &condition.field, test)?;
            }
        }
        Ok(Self {
            operations,
            from: match from {
                SenderKind::Client => Direction::Client,
                SenderKind::Server => Direction::Server,
            },
            roles: config.roles.clone(),
            users: config.users.clone(),
            authenticated: config.authenticated,
            probes: own,
            allow: config.allow,
        })
    }

    /// Tells whether it is about this caller.
    fn is_for(&self, identity: &Identity) -> bool {
        let user = identity.user.as_ref();
        (!self.authenticated || user.is_some())
            && (self.users.is_empty() || user.is_some_and(|user| self.users.contains(user)))
            && (self.roles.is_empty() || identity.roles.iter().any(|role| self.roles.contains(role)))
    }

    fn is_about(&self, operation: Option<&Operation<'_>>, user: Option<&str>) -> bool {
        match (&self.operations, operation) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(entry), Some(operation)) if self.allow => entry.allows(self.from, operation, user),
            (Some(entry), Some(operation)) => entry.denies(self.from, operation, user),
        }
    }
}

/// Reads what a condition asks.
fn tests(condition: &AuthorizeCondition) -> Result<Vec<Test>, Wrong> {
    let AuthorizeCondition { field: _, is, is_in, one_of, at_most, at_least } = condition;
    let wrong =
        |key: &str, message: &str, help: &str| Err((key.to_owned(), message.to_owned(), help.to_owned()));
    let numbers = at_most.is_some() || at_least.is_some();
    let kinds = [is.is_some(), is_in.is_some(), !one_of.is_empty(), numbers];
    if kinds.into_iter().filter(|is_said| *is_said).count() != 1 {
        let help = "one of `is`, `in`, `one_of`, and `at_most` with or without `at_least`";
        return wrong("", "a condition compares its field with one thing", help);
    }
    for (key, text, is_list) in [(".is", is, false), (".in", is_in, true)] {
        let Some(text) = text else { continue };
        return match Known::named(text, is_list) {
            Some(known) => Ok(vec![Test::Known(known)]),
            None => wrong(
                key,
                "nothing of this name is known of a caller",
                "`user` with `is`, `roles` with `in`, `claims.NAME`, or `claims/…` with a JSON pointer; constants with `one_of`",
            ),
        };
    }
    if !one_of.is_empty() {
        return Ok(vec![Test::OneOf(one_of.clone())]);
    }
    if [at_most, at_least].into_iter().flatten().any(|number| number.is_nan()) {
        return wrong("", "nothing is compared with what is no number", "a number");
    }
    let (most, least) = (at_most.map(Test::AtMost), at_least.map(Test::AtLeast));
    Ok(most.into_iter().chain(least).collect())
}

impl Policy {
    /// Tells whether anything is said about this side.
    fn is_about(&self, from: Direction) -> bool {
        self.rules.iter().any(|rule| rule.from == from)
    }

    /// Tells whether what the side's operations are called decides something.
    fn asks_for_operations(&self, from: Direction) -> bool {
        self.rules.iter().any(|rule| rule.from == from && rule.operations.is_some())
    }
}

/// Judges the messages of one connection.
#[derive(Debug)]
pub struct Judge {
    policy: Arc<Policy>,
    /// For each probe, what it compares with.
    known: Vec<Vec<Box<str>>>,
    /// For each rule, whether it is about this caller.
    fits: Vec<bool>,
    user: Option<Box<str>>,
    client: Side,
    server: Side,
    readings: Readings,
}

/// What was heard of one side's message.
#[derive(Debug)]
struct Side {
    answers: Vec<Answers>,
    /// How many parts of the message have begun: an operation ends one.
    part: u32,
    /// Whether the last thing heard was an operation.
    is_told: bool,
    /// How many elements the outermost array has, as far as they hold more than one value.
    elements: u32,
}

impl Side {
    fn new(policy: &Policy) -> Self {
        Self { answers: vec![Answers::default(); policy.probes.len()], part: 1, is_told: false, elements: 0 }
    }

    fn begin(&mut self) {
        self.answers.fill(Answers::default());
        (self.part, self.is_told, self.elements) = (1, false, 0);
    }
}

impl Judge {
    /// Takes what is told of a message, and gives a ruling where something in it can be ruled on: each operation, or the whole message.
    pub fn hear(&mut self, from: Direction, content: Content<'_>) -> Option<Ruling> {
        if !self.policy.is_about(from) {
            return None;
        }
        match content {
            Content::Begin => {
                self.readings.of(from).begin();
                self.side(from).begin();
                None
            }
            Content::Value(value) => {
                let Self { policy, known, user, client, server, .. } = self;
                let side = match from {
                    Direction::Client => client,
                    Direction::Server => server,
                };
                if std::mem::take(&mut side.is_told) {
                    side.part = side.part.saturating_add(1);
                }
                if let (Some(sockwarden_inspect::Step::Index(index)), true) =
                    (value.place.step(0), value.place.len() > 1)
                {
                    side.elements = side.elements.max(index.saturating_add(1));
                }
                for ((answers, probe), known) in side.answers.iter_mut().zip(&policy.probes).zip(&*known) {
                    answers.hear(probe, value, &Asker { user: user.as_deref(), known }, side.part);
                }
                None
            }
            Content::Operation(operation) => {
                self.readings.of(from).recognised();
                self.side(from).is_told = true;
                Some(self.rule(from, Some(operation)))
            }
            Content::Anomaly(anomaly, place) => {
                // Each occurrence of a field is judged; of an operation there is one, whatever its name stands beside.
                let is_judged = anomaly == Anomaly::DuplicateKey && !self.policy.asks_for_operations(from);
                let is_unclear = self.policy.denies && !is_judged && is_ambiguous(anomaly, place);
                is_unclear.then(|| Ruling {
                    is_allowed: false,
                    rule: None,
                    reason: format!("what it says is not clear: {anomaly}"),
                })
            }
            Content::Whole { goes_on, .. } => {
                self.readings.of(from).is_unknown(goes_on).then(|| self.rule(from, None))
            }
        }
    }

    fn side(&mut self, from: Direction) -> &mut Side {
        match from {
            Direction::Client => &mut self.client,
            Direction::Server => &mut self.server,
        }
    }

    /// Rules on an operation, or on a message in which none is recognised.
    fn rule(&self, from: Direction, operation: Option<&Operation<'_>>) -> Ruling {
        let side = match from {
            Direction::Client => &self.client,
            Direction::Server => &self.server,
        };
        // Where operations are told, each ends the part of the message that it stands for.
        let elements = operation.is_none().then_some(side.elements);
        let is_answered = |rule: &Built| {
            rule.probes
                .iter()
                .filter_map(|probe| side.answers.get(*probe))
                .all(|answers| if rule.allow { answers.all(side.part, elements) } else { answers.any() })
        };
        let rules = self.policy.rules.iter().zip(&self.fits).enumerate();
        let mut fitting = rules.filter(|(_, (rule, fits))| {
            **fits && rule.from == from && rule.is_about(operation, self.user.as_deref()) && is_answered(rule)
        });
        let what = operation.map_or_else(|| "a message".to_owned(), described);
        match fitting.next() {
            Some((index, (rule, _))) => Ruling {
                is_allowed: rule.allow,
                rule: Some(index),
                reason: format!(
                    "{what} is {} by `rules[{index}]`",
                    if rule.allow { "allowed" } else { "denied" }
                ),
            },
            None => {
                let keeps = operation.is_some_and(|operation| {
                    let names = |rule: &Built| {
                        rule.from == from
                            && rule.operations.as_ref().is_some_and(|entry| entry.names(operation.action))
                    };
                    keeps_going(operation.action) && !self.policy.rules.iter().any(names)
                });
                let is_allowed = keeps || !self.policy.denies;
                let why = match (is_allowed, keeps) {
                    (true, true) => "keeps the session going",
                    (true, false) => "is allowed by `default`: no rule fits",
                    (false, _) => "is denied by `default`: no rule fits",
                };
                Ruling { is_allowed, rule: None, reason: format!("{what} {why}") }
            }
        }
    }
}

impl fmt::Display for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Defence for MessageAuthorization {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn hears(&self) -> Hears {
        if self.0.rules.is_empty() {
            return Hears::NOTHING;
        }
        Hears::VALUES | Hears::OPERATIONS | Hears::ANOMALIES | Hears::MESSAGES
    }

    fn tells(&self) -> bool {
        self.0.answer.tells()
    }

    fn guard(&self) -> Box<dyn Guard> {
        Box::new(Watch { defence: self.clone(), judge: self.judge(&Identity::default()) })
    }
}

struct Watch {
    defence: MessageAuthorization,
    judge: Judge,
}

impl Guard for Watch {
    fn observe(&mut self, fact: &Fact<'_>, _now: Duration) -> Verdict {
        match fact {
            Fact::Open(open) => {
                self.judge = self.defence.judge(open.identity);
                Verdict::Pass
            }
            Fact::Content { direction, content } => match self.judge.hear(*direction, *content) {
                Some(Ruling { is_allowed: false, reason, .. }) => {
                    let answer = self.defence.0.answer;
                    answer.verdict(CloseCode::POLICY, reason, "the message is not allowed")
                }
                Some(_) | None => Verdict::Pass,
            },
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
mod tests;

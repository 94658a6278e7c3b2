//! The root of the configuration file.

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::{ByteSize, Diagnostic, Inheritance, locate};
use sockwarden_console::AdminConfig;
use sockwarden_defend::Way;
use sockwarden_gateway::{
    Auth, Built, DefaultsConfig, DrainConfig, LimitsConfig, ListenerConfig, Problem, ReloadConfig,
    RouteConfig,
};
use sockwarden_model::ListenAddress;
use sockwarden_state::StateConfig;
use sockwarden_store::{Destination, Rotation};

use crate::admin;
pub use crate::sandbox::{IsolationConfig, SandboxKind};

/// The version of the configuration format that this program reads.
pub const VERSION: u32 = 1;

/// The most old files of events that are kept.
const MOST_KEPT: u32 = 1000;

/// A Sockwarden gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The version of this format: 1.
    pub version: u32,
    /// Where clients connect.
    pub listeners: Vec<ListenerConfig>,
    /// What routes have that do not say otherwise: each table is taken key by key; a list is taken whole.
    #[serde(default, skip_serializing_if = "DefaultsConfig::is_empty")]
    pub defaults: DefaultsConfig,
    /// Where requests go and what guards them.
    pub routes: Vec<RouteConfig>,
    /// What the gateway holds at most, and how long it waits.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// Where events are written.
    #[serde(default)]
    pub events: EventsConfig,
    /// Where tickets, revocations and rates are kept; a change takes a restart.
    #[serde(default)]
    pub state: StateConfig,
    /// What a new configuration does to live sessions (SIGHUP).
    #[serde(default)]
    pub reload: ReloadConfig,
    /// How the gateway ends (SIGTERM).
    #[serde(default)]
    pub drain: DrainConfig,
    /// Where the gateway is watched and operated; without it, nowhere.
    #[serde(default)]
    pub admin: Option<AdminConfig>,
    /// How the gateway confines itself.
    #[serde(default)]
    pub isolation: IsolationConfig,
}

impl Default for Config {
    /// A gateway on the loopback in front of an application on the loopback.
    fn default() -> Self {
        Self {
            version: VERSION,
            listeners: vec![ListenerConfig { tls_dev: true, ..ListenerConfig::new("127.0.0.1:8443") }],
            defaults: DefaultsConfig::default(),
            routes: vec![RouteConfig::new("app", "ws://127.0.0.1:3000", Auth::NONE)],
            limits: LimitsConfig::default(),
            events: EventsConfig::default(),
            state: StateConfig::default(),
            reload: ReloadConfig::default(),
            drain: DrainConfig::default(),
            admin: None,
            isolation: IsolationConfig::default(),
        }
    }
}

/// Where events are written, one JSON object a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventsConfig {
    /// `stdout`, `none`, or `file`.
    pub to: EventsTo,
    /// The file to append to; needed where `to = "file"`.
    pub file: Option<PathBuf>,
    /// The size at which the file is replaced by a new one: it becomes `FILE.1`, what was that becomes `FILE.2`, and so on; not at all where nothing is said.
    pub rotate_size: Option<ByteSize>,
    /// How many of the old files are kept.
    #[schemars(range(min = 1, max = 1000))]
    pub keep: u32,
    /// The most events that wait to be written; further ones are dropped and counted.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub queue: usize,
}

/// A kind of destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EventsTo {
    /// Standard output.
    Stdout,
    /// A file.
    File,
    /// Nowhere.
    None,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self { to: EventsTo::Stdout, file: None, rotate_size: None, keep: 5, queue: 10_000 }
    }
}

impl Config {
    /// Reads a configuration; `name` is what errors call it.
    ///
    /// # Errors
    /// Everything that is wrong with its form, each with its place.
    pub fn read(name: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let config: Self = sockwarden_config::read_inheriting(name, text, &DefaultsConfig::INHERITANCE)?;
        let mut errors = Vec::new();
        if config.version != VERSION {
            let message = format!("version {} is not known", config.version);
            errors.push(
                Diagnostic::error(name, text, "version", message)
                    .with_help(format!("this program reads version {VERSION}")),
            );
        }
        for problem in [config.destination().err(), config.rotation().err()].into_iter().flatten() {
            errors.push(diagnostic(Diagnostic::error, name, text, &problem));
        }
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    /// Builds what runs: certificates are read and URLs understood.
    ///
    /// # Errors
    /// Everything that keeps it from running.
    pub fn build(&self) -> Result<Built, Vec<Problem>> {
        let mut problems = self.admin().err().unwrap_or_default();
        let address = |text: &str| text.parse::<ListenAddress>().ok();
        let of_admin = self.admin.as_ref().and_then(|admin| address(&admin.address));
        let is_taken = |admin: &ListenAddress| {
            self.listeners.iter().filter_map(|l| address(&l.address)).any(|other| other.excludes(admin))
        };
        if of_admin.is_some_and(|admin| is_taken(&admin)) {
            problems.push(Problem {
                key: "admin.address".to_owned(),
                message: "clients connect to the same address".to_owned(),
                help: Some("the admin listener needs one of its own".to_owned()),
            });
        }
        let state = sockwarden_state::build(&self.state).map_err(|wrong| {
            problems.extend(wrong.into_iter().map(|problem| Problem {
                key: format!("state.{}", problem.key),
                message: problem.message,
                help: problem.help.map(str::to_owned),
            }));
        });
        match (sockwarden_gateway::build(&self.listeners, &self.routes, &self.limits), state) {
            (Ok(built), Ok(state)) if problems.is_empty() => Ok(built.with_state(state)),
            (Ok(_), _) => Err(problems),
            (Err(error), _) => {
                problems.extend(error.0);
                Err(problems)
            }
        }
    }

    /// Prepares the admin listener, if there shall be one.
    ///
    /// # Errors
    /// Everything that keeps it from running.
    pub(crate) fn admin(&self) -> Result<Option<admin::Prepared>, Vec<Problem>> {
        self.admin.as_ref().map(admin::prepare).transpose()
    }

    /// Names what works but is unsafe.
    pub fn warnings(&self) -> Vec<Problem> {
        let mut warnings = sockwarden_gateway::warnings(&self.listeners, &self.routes, &self.limits);
        warnings.extend(self.admin.iter().flat_map(admin::warnings));
        if !self.admin.as_ref().is_some_and(AdminConfig::names_issuers) {
            warnings.extend(self.tickets_of_nobody());
        }
        warnings
    }

    /// Names the routes whose tickets clients cannot ask for, and nobody but an operator issues.
    fn tickets_of_nobody(&self) -> impl Iterator<Item = Problem> {
        let cannot_ask = |route: &RouteConfig| {
            route.auth.has(Way::Ticket)
                && route.ticket.as_ref().is_none_or(|ticket| ticket.issue_to.is_empty())
        };
        let routes = self.routes.iter().enumerate().filter(move |(_, route)| cannot_ask(route));
        routes.map(|(index, _)| Problem {
            key: format!("routes[{index}].auth"),
            message: "clients cannot ask for tickets, and the application's server has no token to issue them".to_owned(),
            help: Some(
                "`ticket.issue_to = [\"forward\"]` issues them to whom the application knows; `admin.issuer_token_file` lets its server issue them"
                    .to_owned(),
            ),
        })
    }

    /// Names every file that is read for it, by key; where events go is not among them.
    pub(crate) fn files(&self) -> Vec<(String, PathBuf)> {
        let mut files = Vec::new();
        let mut add = |key: String, path: &Path| files.push((key, path.to_owned()));
        for (index, listener) in self.listeners.iter().enumerate() {
            listener
                .files()
                .into_iter()
                .for_each(|(key, path)| add(format!("listeners[{index}].{key}"), path));
        }
        for (index, route) in self.routes.iter().enumerate() {
            route.files().into_iter().for_each(|(key, path)| add(format!("routes[{index}].{key}"), path));
        }
        self.state.files().into_iter().for_each(|(key, path)| add(format!("state.{key}"), path));
        for (key, path) in self.admin.iter().flat_map(AdminConfig::files) {
            add(format!("admin.{key}"), path);
        }
        files
    }

    /// Tells how the file that events go to is replaced; `None` where others see to that.
    ///
    /// # Errors
    /// A size of nothing, no file to keep, or no file at all.
    pub fn rotation(&self) -> Result<Option<Rotation>, Problem> {
        let EventsConfig { to, rotate_size, keep, .. } = &self.events;
        let Some(size) = rotate_size.map(ByteSize::as_u64) else { return Ok(None) };
        let wrong = |key: &str, message: &str| {
            Err(Problem { key: format!("events.{key}"), message: message.to_owned(), help: None })
        };
        if *to != EventsTo::File {
            return wrong("rotate_size", "`to` is not \"file\": there is nothing to replace");
        }
        if size == 0 {
            return wrong("rotate_size", "with 0 every event would have a file of its own");
        }
        match NonZeroU32::new(*keep).filter(|keep| keep.get() <= MOST_KEPT) {
            Some(keep) => Ok(Some(Rotation { size, keep })),
            None => wrong("keep", "at least 1 and at most 1000 old files are kept"),
        }
    }

    /// Tells where events go.
    ///
    /// # Errors
    /// `to = "file"` without a file, or a file without it.
    pub fn destination(&self) -> Result<Destination, Problem> {
        let wrong = |key: &str, message: &str| Problem {
            key: key.to_owned(),
            message: message.to_owned(),
            help: None,
        };
        match (self.events.to, &self.events.file) {
            (EventsTo::Stdout, None) => Ok(Destination::Stdout),
            (EventsTo::None, None) => Ok(Destination::Nowhere),
            (EventsTo::File, Some(path)) => Ok(Destination::File(path.clone())),
            (EventsTo::File, None) => Err(wrong("events.to", "\"file\" needs `file`")),
            (EventsTo::Stdout | EventsTo::None, Some(_)) => {
                Err(wrong("events.file", "a file is named, but `to` is not \"file\""))
            }
        }
    }
}

/// Gives a problem its place in a file; `kind` is [`Diagnostic::error`] or [`Diagnostic::warning`].
pub fn diagnostic(
    kind: fn(&str, &str, &str, String) -> Diagnostic,
    name: &str,
    text: &str,
    problem: &Problem,
) -> Diagnostic {
    let key = match origin(text, &problem.key) {
        Some(Origin::Defaults(key)) => key,
        Some(Origin::Own) | None => problem.key.clone(),
    };
    let diagnostic = kind(name, text, &key, format!("`{}`: {}", problem.key, problem.message));
    match &problem.help {
        Some(help) => diagnostic.with_help(help),
        None => diagnostic,
    }
}

/// Where in a file a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From where its key says.
    Own,
    /// From the defaults, under this key.
    Defaults(String),
}

/// Finds where the value of a key such as `routes[1].timeouts.idle` comes from; `None` where the file does not say it.
pub(crate) fn origin(text: &str, key: &str) -> Option<Origin> {
    if locate(text, key).is_some() {
        return Some(Origin::Own);
    }
    let (list, inherited) = key.split_once("].")?;
    let Inheritance { from, into, .. } = DefaultsConfig::INHERITANCE;
    let inherited = format!("{from}.{inherited}");
    let is_entry = list.strip_prefix(into).is_some_and(|index| index.starts_with('['));
    (is_entry && locate(text, &inherited).is_some()).then_some(Origin::Defaults(inherited))
}

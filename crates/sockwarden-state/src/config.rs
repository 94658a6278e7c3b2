//! What an operator says of the shared state.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::{Hidden, HumanDuration, Secret, SecretSource};

use crate::url::{Server, StateUrl, Target};

/// The longest password and the largest file of authorities, in bytes.
const LONGEST_PASSWORD: u64 = 4096;
const LARGEST_CA: u64 = 1024 * 1024;

/// The longest prefix, in bytes.
const LONGEST_PREFIX: usize = 64;

/// Where tickets, revocations and rates are kept: in this process, or on a server that all replicas share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StateConfig {
    /// `memory`, or a Redis or Valkey server that all replicas share: `redis://[user[:password]@]host[:port][/database]`, or `rediss://` with TLS. Replicas with `memory` know nothing of each other.
    pub url: StateUrl,
    /// The password of the user in the URL, or of the default user where it names none.
    pub password: Option<Secret>,
    /// The authorities that may sign the server's certificate, in PEM; the platform's own where none are named.
    pub ca: Option<PathBuf>,
    /// Whether the server is a node of a cluster, by which the others are found.
    pub cluster: bool,
    /// What every key on the server begins with; replicas that share their state have the same.
    pub prefix: String,
    /// How long the server may take to answer; then tickets are refused, and each replica keeps to the rates by itself. At least 10 ms, at most 10 s.
    pub timeout: HumanDuration,
    /// The most outstanding tickets in memory; further ones are refused.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub tickets: usize,
    /// Whether a `redis://` server beyond this machine is acceptable: tickets' records, revocations and the password can then be read and changed on the path.
    pub insecure_plaintext: bool,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self {
            url: StateUrl::default(),
            password: None,
            ca: None,
            cluster: false,
            prefix: "sockwarden".to_owned(),
            timeout: HumanDuration::from_millis(500),
            tickets: 100_000,
            insecure_plaintext: false,
        }
    }
}

impl StateConfig {
    /// Names the files that are read for it, by its keys.
    pub fn files(&self) -> Vec<(&'static str, &Path)> {
        let password = self.password.as_ref().and_then(|secret| secret.file.as_deref());
        [("ca", self.ca.as_deref()), ("password.file", password)]
            .into_iter()
            .filter_map(|(key, path)| Some((key, path?)))
            .collect()
    }
}

/// What is wrong with a [`StateConfig`], and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key within the table.
    pub key: &'static str,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<&'static str>,
}

/// A configuration of the shared state that can be used.
#[derive(Clone, Debug)]
pub struct Settings(pub(crate) Kind);

/// What [`Settings`] come to.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// In this process, with so many tickets at most.
    Memory { most: usize },
    /// On a server.
    Redis(RedisSettings),
}

/// How a server is used.
#[derive(Clone, Debug)]
pub(crate) struct RedisSettings {
    /// The server, with its password.
    pub(crate) server: Server,
    /// The authorities in PEM, where not those of the platform are asked.
    pub(crate) ca: Option<Vec<u8>>,
    pub(crate) cluster: bool,
    pub(crate) prefix: String,
    pub(crate) timeout: Duration,
}

/// Reads the password and the authorities, and refuses what is unsafe; it does not connect.
///
/// # Errors
/// Every problem that was found.
pub fn build(config: &StateConfig) -> Result<Settings, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut add = |key, message: String, help| problems.push(Problem { key, message, help });
    if !(1..=10_000_000).contains(&config.tickets) {
        add("tickets", "there may be 1 to 10,000,000 outstanding tickets".to_owned(), None);
    }
    if !(10..=10_000).contains(&config.timeout.get().as_millis()) {
        add("timeout", "a server is waited for at least 10 ms and at most 10 s".to_owned(), None);
    }
    let is_prefix = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    if config.prefix.is_empty()
        || config.prefix.len() > LONGEST_PREFIX
        || !config.prefix.bytes().all(is_prefix)
    {
        let help = "take 1 to 64 letters, digits, `_`, `-`, `.` and `:`";
        add("prefix", "it cannot begin the name of a key".to_owned(), Some(help));
    }
    let kind = match &config.url.0 {
        Target::Memory => {
            let surplus = [
                ("password", config.password.is_some()),
                ("ca", config.ca.is_some()),
                ("cluster", config.cluster),
            ];
            for (key, _) in surplus.into_iter().filter(|(_, is_said)| *is_said) {
                add(key, "state in memory has no server".to_owned(), Some("say which one: `url`"));
            }
            Kind::Memory { most: config.tickets }
        }
        Target::Redis(server) => {
            let mut server = server.clone();
            judge_server(config, &server, &mut add);
            if let Some(secret) = &config.password {
                match read_secret(secret) {
                    Ok(password) => server.password = Some(password),
                    Err(message) => add("password", message, None),
                }
            }
            let ca = config.ca.as_deref().and_then(|path| {
                read_ca(path).map_err(|error| add("ca", format!("`{}`: {error}", path.display()), None)).ok()
            });
            let (prefix, timeout) = (config.prefix.clone(), config.timeout.get());
            Kind::Redis(RedisSettings { server, ca, cluster: config.cluster, prefix, timeout })
        }
    };
    if problems.is_empty() { Ok(Settings(kind)) } else { Err(problems) }
}

/// Refuses what is unsafe or makes no sense of a server.
fn judge_server(
    config: &StateConfig,
    server: &Server,
    add: &mut impl FnMut(&'static str, String, Option<&'static str>),
) {
    if !server.tls && !server.is_loopback() && !config.insecure_plaintext {
        let help = "use `rediss://`, or say `insecure_plaintext = true`";
        add("url", "beyond this machine the server needs TLS".to_owned(), Some(help));
    }
    if server.password.is_some() && config.password.is_some() {
        add("password", "the URL has a password already".to_owned(), Some("leave out one of them"));
    }
    if server.user.is_some() && server.password.is_none() && config.password.is_none() {
        add("url", "the user has no password".to_owned(), Some("add `password`"));
    }
    if config.ca.is_some() && !server.tls {
        add("ca", "without TLS no certificate is shown".to_owned(), Some("use `rediss://`"));
    }
    if config.cluster && server.database != 0 {
        add("url", "a cluster has no database but 0".to_owned(), None);
    }
}

fn read_secret(secret: &Secret) -> Result<Hidden, String> {
    let password = match secret.source().map_err(|error| error.to_string())? {
        SecretSource::Env(name) => match std::env::var(name) {
            Ok(password) => password,
            Err(std::env::VarError::NotPresent) => return Err(format!("the variable `{name}` is not set")),
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(format!("the variable `{name}` is no text"));
            }
        },
        SecretSource::File(path) => {
            let text = read_file(path, LONGEST_PASSWORD + 2)
                .and_then(|bytes| String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into()))
                .map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
            let line = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
            line.unwrap_or(&text).to_owned()
        }
        SecretSource::Inline(password) => password.expose().to_owned(),
    };
    if password.is_empty() {
        return Err("it is empty".to_owned());
    }
    if password.len() as u64 > LONGEST_PASSWORD {
        return Err(format!("it is longer than {LONGEST_PASSWORD} bytes"));
    }
    Ok(Hidden::new(password))
}

fn read_ca(path: &Path) -> Result<Vec<u8>, String> {
    let pem = read_file(path, LARGEST_CA).map_err(|error| format!("it cannot be read: {error}"))?;
    if pem.windows(27).any(|line| line == b"-----BEGIN CERTIFICATE-----") {
        Ok(pem)
    } else {
        Err("it holds no certificate in PEM".to_owned())
    }
}

/// Reads the first bytes of a file.
fn read_file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read_with_defaults() {
        let config: StateConfig = toml::from_str("").unwrap();
        assert_eq!(config, StateConfig::default());
        assert!(toml::from_str::<StateConfig>("uri = \"memory\"").is_err());
        assert!(toml::from_str::<StateConfig>("url = \"memoir\"").is_err());
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<StateConfig>(&text).unwrap(), config);
    }

    #[test]
    fn what_is_unsafe_or_contradictory_does_not_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let password = file("password", "hunter2\n");
        let long = file("long", &"x".repeat(5000));
        let authority = file("ca.pem", "-----BEGIN CERTIFICATE-----\n");
        let check = |text: &str, expected: &[&str]| {
            let config: StateConfig = toml::from_str(text).unwrap();
            let found = build(&config).err().unwrap_or_default();
            let keys: Vec<&str> = found.iter().map(|problem| problem.key).collect();
            assert_eq!(keys, expected, "{text}: {found:?}");
            assert!(!format!("{config:?} {:?} {found:?}", build(&config)).contains("hunter2"));
        };
        let inline = "password = { inline = \"hunter2\" }";
        check("", &[]);
        check("tickets = 0", &["tickets"]);
        check("timeout = \"1ms\"", &["timeout"]);
        check("timeout = \"11s\"", &["timeout"]);
        check("prefix = \"\"", &["prefix"]);
        check("prefix = \"a{b}\"", &["prefix"]);
        check(&format!("cluster = true\n{inline}"), &["password", "cluster"]);
        let at = |url: &str, more: &str| format!("url = \"{url}\"\n{more}");
        check(&at("redis://localhost", ""), &[]);
        check(&at("redis://10.0.0.1", ""), &["url"]);
        check(&at("redis://10.0.0.1", "insecure_plaintext = true"), &[]);
        check(&at("rediss://10.0.0.1", ""), &[]);
        check(&at("rediss://gate:hunter2@10.0.0.1", ""), &[]);
        check(&at("rediss://gate@10.0.0.1", ""), &["url"]);
        check(&at("rediss://gate@10.0.0.1", inline), &[]);
        check(&at("rediss://gate:hunter2@10.0.0.1", inline), &["password"]);
        check(&at("rediss://10.0.0.1", &format!("password.file = {password:?}")), &[]);
        check(&at("rediss://10.0.0.1", &format!("password.file = {long:?}")), &["password"]);
        check(&at("rediss://10.0.0.1", "password.file = \"/nonexistent\""), &["password"]);
        check(&at("rediss://10.0.0.1", "password.env = \"SOCKWARDEN_NOT_SET\""), &["password"]);
        check(&at("rediss://10.0.0.1", "password = {}"), &["password"]);
        check(&at("rediss://10.0.0.1", &format!("ca = {authority:?}")), &[]);
        check(&at("rediss://10.0.0.1", &format!("ca = {password:?}")), &["ca"]);
        check(&at("redis://localhost", &format!("ca = {authority:?}")), &["ca"]);
        check(&at("rediss://10.0.0.1/1", "cluster = true"), &["url"]);
        check(&at("rediss://10.0.0.1", "cluster = true"), &[]);
    }

    #[test]
    fn a_password_in_a_file_ends_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "hunter2\r\n").unwrap();
        let secret = Secret { file: Some(path), ..Secret::default() };
        assert_eq!(read_secret(&secret).unwrap().expose(), "hunter2");
    }
}

//! Where the shared state is, as people write it.

use std::{fmt, net::IpAddr, str::FromStr};

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::Hidden;

/// `memory`, or a server: `redis://[user[:password]@]host[:port][/database]`, `rediss://…` with TLS. The password is never shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct StateUrl(pub(crate) Target);

/// Where the state is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Target {
    /// In this process.
    #[default]
    Memory,
    /// On a server.
    Redis(Server),
}

/// A server, and who we are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Hidden>,
    pub(crate) database: i64,
}

/// Why a text is no [`StateUrl`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoStateUrl {
    /// It is neither `memory` nor of a scheme that is known.
    #[error("the state is `memory`, or a URL that begins with `redis://` or `rediss://`")]
    Scheme,
    /// It has a part that none has, such as a query.
    #[error("such a URL ends with the number of the database: it has no query and no fragment")]
    Surplus,
    /// It is no URL, or names no host or database.
    #[error("such a URL is made as in `rediss://user@state.example:6379/0`")]
    Form,
}

impl Server {
    /// Tells whether it is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.host.parse::<IpAddr>().map_or_else(
            |_| self.host.eq_ignore_ascii_case("localhost"),
            |address| address.to_canonical().is_loopback(),
        )
    }
}

impl FromStr for StateUrl {
    type Err = NoStateUrl;

    fn from_str(text: &str) -> Result<Self, NoStateUrl> {
        if text == "memory" {
            return Ok(Self(Target::Memory));
        }
        if !text.starts_with("redis://") && !text.starts_with("rediss://") {
            return Err(NoStateUrl::Scheme);
        }
        // What they may say to the library is for us to decide: `#insecure` would accept any certificate.
        if text.contains(['?', '#']) {
            return Err(NoStateUrl::Surplus);
        }
        let info: ConnectionInfo = text.into_connection_info().map_err(|_| NoStateUrl::Form)?;
        #[expect(clippy::wildcard_enum_match_arm, reason = "another crate's open-ended list")]
        let (tls, host, port) = match info.addr() {
            ConnectionAddr::Tcp(host, port) => (false, host.clone(), *port),
            ConnectionAddr::TcpTls { host, port, insecure: false, .. } => (true, host.clone(), *port),
            _ => return Err(NoStateUrl::Form),
        };
        let settings = info.redis_settings();
        if host.is_empty() || settings.db() < 0 {
            return Err(NoStateUrl::Form);
        }
        Ok(Self(Target::Redis(Server {
            tls,
            host,
            port,
            user: settings.username().map(str::to_owned),
            password: settings.password().map(|password| Hidden::new(password.to_owned())),
            database: settings.db(),
        })))
    }
}

impl TryFrom<String> for StateUrl {
    type Error = NoStateUrl;

    fn try_from(text: String) -> Result<Self, NoStateUrl> {
        text.parse()
    }
}

impl From<StateUrl> for String {
    fn from(url: StateUrl) -> Self {
        url.to_string()
    }
}

impl fmt::Display for StateUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Target::Memory => f.write_str("memory"),
            Target::Redis(server) => {
                f.write_str(if server.tls { "rediss://" } else { "redis://" })?;
                let user = server.user.as_deref().unwrap_or_default();
                match &server.password {
                    Some(password) => write!(f, "{user}:{password}@")?,
                    None if !user.is_empty() => write!(f, "{user}@")?,
                    None => {}
                }
                let host = &server.host;
                if host.contains(':') { write!(f, "[{host}]") } else { f.write_str(host) }?;
                write!(f, ":{}/{}", server.port, server.database)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_the_state_is_and_hides_the_password() {
        let check = |text: &str, shown: &str, is_loopback| {
            let url: StateUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("hunter2"));
            let Target::Redis(server) = &url.0 else { panic!("{text}") };
            assert_eq!(server.is_loopback(), is_loopback, "{text}");
        };
        assert_eq!("memory".parse(), Ok(StateUrl::default()));
        check("redis://localhost", "redis://localhost:6379/0", true);
        check("redis://127.0.0.1:6380/3", "redis://127.0.0.1:6380/3", true);
        check("redis://[::1]", "redis://[::1]:6379/0", true);
        check("rediss://state.example:6380", "rediss://state.example:6380/0", false);
        check("rediss://gate:hunter2@10.0.0.1/1", "rediss://gate:***@10.0.0.1:6379/1", false);
        check("rediss://:hunter2@10.0.0.1/1", "rediss://:***@10.0.0.1:6379/1", false);
        check("rediss://gate@localhost.example", "rediss://gate@localhost.example:6379/0", false);
    }

    #[test]
    fn everything_else_is_refused() {
        let check = |text: &str, expected| assert_eq!(text.parse::<StateUrl>(), Err(expected), "{text}");
        check("", NoStateUrl::Scheme);
        check("Memory", NoStateUrl::Scheme);
        check("https://state.example", NoStateUrl::Scheme);
        check("unix:///run/redis.sock", NoStateUrl::Scheme);
        check("rediss://state.example/#insecure", NoStateUrl::Surplus);
        check("redis://localhost/?protocol=resp3", NoStateUrl::Surplus);
        check("redis://", NoStateUrl::Form);
        check("redis://localhost:port", NoStateUrl::Form);
        check("redis://localhost/one", NoStateUrl::Form);
        check("redis://localhost/-1", NoStateUrl::Form);
    }

    #[test]
    fn a_password_is_decoded() {
        let url: StateUrl = "rediss://gate:a%40b@state.example".parse().unwrap();
        let Target::Redis(server) = url.0 else { panic!("a server") };
        assert_eq!(server.password.unwrap().expose(), "a@b");
    }
}

//! Asking the application's own endpoint about a caller.

use std::{net::IpAddr, time::Duration};

use http_body_util::Empty;
use hyper::{
    HeaderMap, Request, Response,
    body::{Bytes, Incoming},
};
use hyper_util::rt::TokioIo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::HumanDuration;
use sockwarden_defend::{Denial, Denied};
use sockwarden_model::Identity;
use sockwarden_net::{ClientTls, DialOptions, dial};
use sockwarden_proto::{WsUrl, handshake::Headers};

/// The caller's headers that the application is shown.
const SHOWN: [&str; 4] = ["Cookie", "Authorization", "Origin", "User-Agent"];
/// The longest list of roles, and the longest claims, in bytes.
const LONGEST: usize = 4096;

/// Whom to ask about callers, and what of the answer counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForwardAuthConfig {
    /// The application's own endpoint that knows its sessions, such as `https://127.0.0.1:3000/api/session`.
    pub url: String,
    /// The header of its answer that names the user.
    #[serde(default)]
    pub user_header: Option<String>,
    /// The header of its answer that names the user's roles, separated by commas.
    #[serde(default)]
    pub roles_header: Option<String>,
    /// The header of its answer with what else is known of the user: a JSON object.
    #[serde(default)]
    pub claims_header: Option<String>,
    /// The header of its answer that says when the session ends, in seconds since the Unix epoch.
    #[serde(default)]
    pub expires_header: Option<String>,
    /// How long it may take to answer.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
}

impl ForwardAuthConfig {
    /// Asks `url`, with everything else at its default.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            user_header: None,
            roles_header: None,
            claims_header: None,
            expires_header: None,
            timeout: default_timeout(),
        }
    }
}

fn default_timeout() -> HumanDuration {
    HumanDuration::from_secs(3)
}

/// Whom to ask.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) url: WsUrl,
    pub(crate) tls: ClientTls,
    pub(crate) config: ForwardAuthConfig,
}

impl Forward {
    /// Asks with the caller's Cookie and Authorization; `target` and `client` tell the application what for and from where.
    pub(crate) async fn ask(
        &self,
        caller: &Headers,
        target: &str,
        client: IpAddr,
    ) -> Result<Identity, Denied> {
        let patience = self.config.timeout.get();
        let asked = tokio::time::timeout(patience, self.exchange(caller, target, client, patience)).await;
        let answer = match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => return Err(unreachable(why)),
            Err(_) => return Err(unreachable(format!("no answer within {patience:?}"))),
        };
        let status = answer.status().as_u16();
        let denied = |denial, code, what| {
            Err(Denied {
                denial,
                code,
                reason: format!("the application answered {status}{what} about the caller"),
            })
        };
        match status {
            200..=299 => identity(&self.config, answer.headers()),
            401 => denied(Denial::Rejected, "forward-refused", ""),
            403 => denied(Denial::Forbidden, "forward-refused", ""),
            _ => denied(Denial::Unavailable, "forward-unclear", ", neither yes nor no,"),
        }
    }

    async fn exchange(
        &self,
        caller: &Headers,
        target: &str,
        client: IpAddr,
        patience: Duration,
    ) -> Result<Response<Incoming>, String> {
        let options = DialOptions { tls: self.tls.clone(), timeout: patience, connect_to: None };
        let stream = dial(&self.url, &options).await.map_err(|e| e.to_string())?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        let mut request = Request::get(&self.url.target)
            .header("Host", self.url.authority())
            .header("Connection", "close")
            .header("X-Original-URI", target)
            .header("X-Forwarded-For", client.to_canonical().to_string());
        for name in SHOWN {
            for value in caller.all(name) {
                request = request.header(name, value);
            }
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|e| e.to_string())?;
        // The connection's own future must run while the answer is awaited; when it ends, the answer has come or never will.
        let mut answer = std::pin::pin!(sender.send_request(request));
        let response = tokio::select! {
            biased;
            response = &mut answer => response,
            _ = connection => answer.await,
        };
        response.map_err(|e| e.to_string())
    }
}

fn unreachable(why: String) -> Denied {
    let reason = format!("the application could not be asked about the caller: {why}");
    Denied { denial: Denial::Unavailable, code: "forward-unreachable", reason }
}

/// Takes from a yes whom it is about. What the route wants to know must be said clearly, for others will rely on it.
fn identity(config: &ForwardAuthConfig, headers: &HeaderMap) -> Result<Identity, Denied> {
    let user = read(headers, &config.user_header, |text| {
        (text.len() <= Identity::LONGEST_USER).then(|| text.to_owned())
    })?;
    let roles = |text: &str| {
        let roles = text.split(',').map(str::trim).filter(|role| !role.is_empty());
        Some(roles.map(str::to_owned).collect())
    };
    Ok(Identity {
        user,
        roles: read(headers, &config.roles_header, roles)?.unwrap_or_default(),
        claims: read(headers, &config.claims_header, |text| serde_json::from_str(text).ok())?
            .unwrap_or_default(),
        expires_at: read(headers, &config.expires_header, |text| text.parse().ok())?,
        ..Identity::default()
    })
}

/// Understands the one header of this name; none, and an empty one, say nothing.
fn read<T>(
    headers: &HeaderMap,
    name: &Option<String>,
    understand: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Denied> {
    let Some(name) = name else { return Ok(None) };
    let mut values = headers.get_all(name.as_str()).iter();
    let understood = match (values.next().map(|value| value.to_str()), values.next()) {
        (None, _) | (Some(Ok("")), None) => return Ok(None),
        (Some(Ok(text)), None) if text.len() <= LONGEST => understand(text),
        (Some(_), _) => None,
    };
    let unclear = || Denied {
        denial: Denial::Unavailable,
        code: "forward-unclear",
        reason: format!("the application's `{name}` cannot be understood"),
    };
    understood.map(Some).ok_or_else(unclear)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_must_say_clearly_whom_it_is_about() {
        let name = |name: &str| Some(name.to_owned());
        let config = ForwardAuthConfig {
            user_header: name("x-user"),
            roles_header: name("x-roles"),
            claims_header: name("x-claims"),
            expires_header: name("x-expires"),
            ..ForwardAuthConfig::new("http://127.0.0.1/")
        };
        let said = |headers: &[(&'static str, &str)]| {
            let pairs = headers
                .iter()
                .map(|(name, value)| (hyper::header::HeaderName::from_static(name), value.parse().unwrap()));
            let mut map = HeaderMap::new();
            pairs.for_each(|(name, value): (_, hyper::header::HeaderValue)| {
                map.append(name, value);
            });
            identity(&config, &map).map_err(|denied| denied.code)
        };
        assert_eq!(said(&[]), Ok(Identity::default()));
        assert_eq!(said(&[("x-user", "mara")]), Ok(Identity::of_user("mara")));
        let full =
            said(&[("x-roles", "admin, ,user"), ("x-claims", "{\"room\":1}"), ("x-expires", "12")]).unwrap();
        assert_eq!(full.roles, ["admin", "user"]);
        assert_eq!((full.claims["room"].as_u64(), full.expires_at), (Some(1), Some(12)));
        let unclear = Err("forward-unclear");
        assert_eq!(said(&[("x-user", "mara"), ("x-user", "nils")]), unclear);
        assert_eq!(said(&[("x-user", &"m".repeat(257))]), unclear);
        assert_eq!(said(&[("x-claims", "[1]")]), unclear);
        assert_eq!(said(&[("x-expires", "soon")]), unclear);
    }
}

//! Who a caller is: each way to find out is one file, and what a route wants to know of it is built here.

mod forward;
mod ways;

use sockwarden_defend::{Denial, Denied, Way};
use sockwarden_model::Identity;
use sockwarden_net::ClientTls;
use sockwarden_proto::{WsUrl, handshake::RequestHead};

pub use forward::ForwardAuthConfig;
pub use ways::Auth;

use crate::{build::Problems, client_address::ClientAddress, config::RouteConfig};
use forward::Forward;

/// Finds out for one route who callers are.
#[derive(Debug)]
pub(crate) struct Authenticator {
    forward: Option<Forward>,
}

impl Authenticator {
    /// Finds out in one way who has sent a request.
    pub(crate) async fn identify(
        &self,
        way: Way,
        head: &RequestHead,
        from: &ClientAddress,
    ) -> Result<Identity, Denied> {
        let not_configured = || Denied {
            denial: Denial::Unavailable,
            code: "not-configured",
            reason: format!("the route does not say how to authenticate by `{}`", way.label()),
        };
        let identity = match way {
            Way::Forward => {
                let forward = self.forward.as_ref().ok_or_else(not_configured)?;
                forward.ask(&head.headers, &head.target, from.ip).await
            }
            Way::Ticket | Way::Jwt => Err(not_configured()),
        }?;
        // Users are written into headers, events and metrics, and compared.
        match &identity.user {
            Some(user) if user.is_empty() || user.len() > Identity::LONGEST_USER => Err(Denied {
                denial: Denial::Rejected,
                code: "user-malformed",
                reason: format!("the user's name is empty or longer than {} bytes", Identity::LONGEST_USER),
            }),
            _ => Ok(identity),
        }
    }
}

/// Builds it: each way has its table, and each table its way.
pub(crate) fn build(
    config: &RouteConfig,
    key: &dyn Fn(&str) -> String,
    tls: Option<&ClientTls>,
    problems: &mut Problems,
) -> Authenticator {
    let mut is_wanted = |way: Way, table: &str, said: bool, example: &str| {
        let wanted = config.auth.has(way);
        if wanted && !said {
            let help = format!("add `{example}`");
            let message = format!("\"{}\" needs `{table}`", way.label());
            problems.add(&key("auth"), &message, Some(&help));
        }
        if said && !wanted {
            let help = format!("say `auth = \"{}\"` or remove it", way.label());
            problems.add(&key(table), &format!("`auth` does not name \"{}\"", way.label()), Some(&help));
        }
        wanted && said
    };
    let said = config.forward_auth.is_some();
    let forward = is_wanted(Way::Forward, "forward_auth", said, "forward_auth = { url = … }");
    let forward = config.forward_auth.as_ref().filter(|_| forward);
    let forward = forward.and_then(|forward| build_forward(forward, config, key, tls, problems));
    Authenticator { forward }
}

fn build_forward(
    forward: &ForwardAuthConfig,
    config: &RouteConfig,
    key: &dyn Fn(&str) -> String,
    tls: Option<&ClientTls>,
    problems: &mut Problems,
) -> Option<Forward> {
    let url = forward.url.parse::<WsUrl>().map_err(|error| format!("`{}`: {error}", forward.url));
    let url = problems.take(&key("forward_auth.url"), url)?;
    if !url.tls && !url.is_loopback() && !config.cleartext_upstream {
        problems.add(
            &key("forward_auth.url"),
            "sessions would be sent in the clear beyond this machine",
            Some("use https://, or say `cleartext_upstream = true`"),
        );
    }
    Some(Forward { url, tls: tls?.clone(), config: forward.clone() })
}

//! From what an operator says about callers to what finds out who they are.

use std::sync::Arc;

use sockwarden_defend::Way;
use sockwarden_identity::Tokens;
use sockwarden_model::Mode;
use sockwarden_net::ClientTls;
use sockwarden_proto::WsUrl;

use super::{
    Authenticator, ForwardAuthConfig,
    bearer::Bearer,
    endpoint,
    forward::Forward,
    ticket::{TicketConfig, Tickets},
};
use crate::{build::Problems, config::RouteConfig};

/// What a client may say of a ticket's name in a query or a cookie.
const LONGEST_NAME: usize = 64;

/// Builds it: each way has its table, and each table its way.
pub(crate) fn build(
    config: &RouteConfig,
    key: &dyn Fn(&str) -> String,
    tls: Option<&ClientTls>,
    problems: &mut Problems,
) -> Authenticator {
    refuse_nonsense(config, key, problems);
    let issues_to = |way: Way| config.ticket.as_ref().is_some_and(|ticket| ticket.issue_to.contains(&way));
    let is_named = |way: Way| config.auth.has(way) || issues_to(way);
    let mut demand = |table: &str, way: Way, wanted: bool, said: bool, example: &str| {
        let name = way.label();
        if wanted && !said {
            let place = if config.auth.has(way) { "auth" } else { "ticket.issue_to" };
            problems.add(
                &key(place),
                &format!("\"{name}\" needs `{table}`"),
                Some(&format!("add `{example}`")),
            );
        }
        if said && !wanted {
            let help = format!("say `auth = \"{name}\"` or remove it");
            problems.add(&key(table), &format!("`auth` does not name \"{name}\""), Some(&help));
        }
    };
    let has_certificates = is_named(Way::Mtls);
    demand("mtls", Way::Mtls, has_certificates, has_certificates || config.mtls.is_some(), "");
    let asks_again = config.session.revalidate.is_some();
    let forward = &config.forward_auth;
    demand(
        "forward_auth",
        Way::Forward,
        is_named(Way::Forward) || asks_again && forward.is_some(),
        forward.is_some(),
        "forward_auth = { url = … }",
    );
    demand("jwt", Way::Jwt, is_named(Way::Jwt), config.jwt.is_some(), "jwt = { algorithms = […], … }");
    let has_tickets = config.auth.has(Way::Ticket);
    demand("ticket", Way::Ticket, has_tickets, has_tickets || config.ticket.is_some(), "");
    if asks_again && forward.is_none() {
        let help = "add `forward_auth = { url = … }`";
        problems.add(&key("session.revalidate"), "nobody is named who could be asked again", Some(help));
    }
    let forward = forward.as_ref().and_then(|forward| build_forward(forward, config, key, tls, problems));
    let bearer = config.jwt.as_ref().and_then(|jwt| match Tokens::build(jwt, tls?) {
        Ok(tokens) => Some(Bearer::new(&config.bearer, Arc::new(tokens))),
        Err(wrong) => {
            for setting in wrong {
                problems.add(
                    &key(&format!("jwt.{}", setting.key)),
                    &setting.message,
                    setting.help.as_deref(),
                );
            }
            None
        }
    });
    let ticket = config.ticket.clone().unwrap_or_default();
    let tickets = has_tickets.then(|| {
        let tickets = Tickets::new(&ticket, &config.name);
        let defences = endpoint::defences(config, &tickets);
        (tickets, defences)
    });
    let mtls = has_certificates.then(|| config.mtls.unwrap_or_default());
    Authenticator { forward, tickets, bearer, mtls }
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

/// Refuses what could let nobody in, or what means something else than it says.
fn refuse_nonsense(config: &RouteConfig, key: &dyn Fn(&str) -> String, problems: &mut Problems) {
    let mut refuse = |name: &str, is_wrong: bool, message: &str| {
        if is_wrong {
            problems.add(&key(name), message, None);
        }
    };
    if let Some(forward) = &config.forward_auth {
        let is_zero = forward.timeout.is_zero();
        refuse("forward_auth.timeout", is_zero, "in no time the application could not answer");
    }
    let session = &config.session;
    refuse("session.code", session.is_code_wrong(), "a close code here is 1008, or from 3000 to 4999");
    let too_often = session.revalidate.is_some_and(|every| every.get().as_millis() < 1000);
    refuse("session.revalidate", too_often, "the application is asked once a second at most");
    let Some(TicketConfig {
        issue_to,
        path,
        accept,
        query,
        cookie,
        lifetime,
        address: _,
        outstanding,
        per_minute,
    }) = &config.ticket
    else {
        return;
    };
    let circle = issue_to.contains(&Way::Ticket);
    refuse(
        "ticket.issue_to",
        circle,
        "a ticket is not given for a ticket: say \"forward\", \"jwt\" or \"mtls\"",
    );
    let is_path = path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && !b"?#%".contains(&b));
    refuse("ticket.path", !is_path, "a path begins with `/` and has no query");
    refuse("ticket.accept", accept.is_empty(), "no handshake could have a ticket");
    let is_name = |name: &str| {
        (1..=LONGEST_NAME).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    };
    let no_name = "a name has 1 to 64 letters, digits, `_`, `-` and `.`";
    refuse("ticket.query", !is_name(query), no_name);
    refuse("ticket.cookie", !is_name(cookie), no_name);
    let lives = (5..=300).contains(&lifetime.get().as_secs());
    refuse("ticket.lifetime", !lives, "a ticket is good for 5 s to 5 min");
    refuse("ticket.outstanding", !(1..=1000).contains(outstanding), "it is from 1 to 1000");
    refuse("ticket.per_minute", !(1..=60_000).contains(per_minute), "it is from 1 to 60000");
}

/// Names what works but is unwise.
pub(crate) fn warnings(config: &RouteConfig, mut warn: impl FnMut(&str, &str, Option<&'static str>)) {
    if config.auth.is_none() {
        warn(
            "auth",
            "anyone can connect unless the application refuses them (T1)",
            Some("`auth = \"forward\"` asks the application before the upgrade"),
        );
        return;
    }
    let secret = config.jwt.as_ref().and_then(|jwt| jwt.secret.as_ref());
    if secret.is_some_and(|secret| secret.inline.is_some()) {
        warn(
            "jwt.secret",
            "whoever reads the configuration can make tokens for anybody (T1)",
            Some("say `{ env = \"NAME\" }` or `{ file = \"PATH\" }`"),
        );
    }
    if config.authentication.mode != Mode::Block {
        let message =
            format!("authentication does not stop anybody in mode {} (T1)", config.authentication.mode);
        warn("authentication.mode", &message, None);
    }
    let cookie_only = |way: &Way| match way {
        Way::Forward => true,
        Way::Jwt => config.bearer.cookie.is_some(),
        Way::Ticket | Way::Mtls => false,
    };
    if config.auth.ways().iter().all(cookie_only) && config.origin_policy.mode != Mode::Block {
        warn(
            "auth",
            "browsers send cookies with handshakes of any site's page, and `origin_policy` does not stop them (T7)",
            Some(
                "block by `origin_policy`, or issue tickets: `auth = \"ticket\"`, `ticket.issue_to = [\"forward\"]`",
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Auth;

    #[test]
    fn a_secret_that_stands_in_the_configuration_is_named() {
        let warned = |secret: &str| {
            let jwt =
                format!(r#"{{"algorithms":["HS256"],"issuer":"a","audience":["b"],"secret":{secret}}}"#);
            let jwt = serde_json::from_str(&jwt).expect("settings of tokens");
            let auth = Auth::by(Way::Jwt);
            let config = RouteConfig { jwt: Some(jwt), ..RouteConfig::new("a", "ws://127.0.0.1:1", auth) };
            let mut keys = Vec::new();
            warnings(&config, |key, _, _| keys.push(key.to_owned()));
            keys
        };
        assert_eq!(warned(r#"{"inline":"0123456789abcdef0123456789abcdef"}"#), ["jwt.secret"]);
        assert_eq!(warned(r#"{"env":"SECRET"}"#), Vec::<String>::new());
    }
}

//! The stage: Harbor with its flaws, and a gateway in front of it as an operator would configure it.

use std::{io::Write as _, net::SocketAddr};

use anyhow::Context as _;
use sockwarden_config::ByteSize;
use sockwarden_defend::Way;
use sockwarden_gateway::{Auth, ForwardAuthConfig, Gateway, ListenerConfig, RouteConfig};
use sockwarden_lab::{Config as LabConfig, Lab, Ledger, seed::SeedAccount};
use sockwarden_model::{EventId, EventSender, Mode, event_channel};
use sockwarden_net::ClientTls;
use sockwarden_proto::WsUrl;

use super::{
    Target,
    events::EventLog,
    victim::{self, Endpoint, Session, Socket},
};
use crate::config::Config;

/// Where Harbor's socket is.
const PATH: &str = "/ws";

/// The application and the gateways, running on free ports of the loopback.
pub struct Stage {
    lab: Lab,
    plain: Endpoint,
    tls: Endpoint,
    route: RouteConfig,
    front: Front,
    sender: EventSender,
    events: EventLog,
    /// What gateways trust when they connect to the application; the file goes with it.
    _authority: tempfile::TempPath,
}

/// A running gateway.
pub(crate) struct Front {
    gateway: Gateway,
    pub(crate) endpoint: Endpoint,
    /// The authority that clients must trust, in PEM.
    pub(crate) authority: String,
}

impl Stage {
    /// Starts everything; `change` may alter the route as the demo has it.
    ///
    /// # Errors
    /// A port, a file or a certificate cannot be had.
    pub async fn start(change: impl FnOnce(&mut RouteConfig)) -> anyhow::Result<Self> {
        let lab = Lab::start(LabConfig::vulnerable()).await?;
        let tls_address = lab.tls_addr().context("the lab has no TLS port")?;
        let plain_address = lab.http_addr().context("the lab has no plain port")?;
        let lab_tls = ClientTls::with_roots(lab.certificate_pem().as_bytes())?;
        let mut authority = tempfile::NamedTempFile::new()?;
        authority.write_all(lab.certificate_pem().as_bytes())?;
        let authority = authority.into_temp_path();

        let mut route =
            RouteConfig::new("harbor", &format!("wss://{tls_address}{PATH}"), Auth::by(Way::Forward));
        route.path = PATH.to_owned();
        route.upstream_ca = Some(authority.to_path_buf());
        route.forward_auth = Some(ForwardAuthConfig {
            user_header: Some("X-Harbor-User".to_owned()),
            ..ForwardAuthConfig::new(&format!("https://{tls_address}/api/session"))
        });
        change(&mut route);

        let (sender, receiver) = event_channel(10_000);
        let front = Front::start(route.clone(), sender.clone()).await?;
        Ok(Self {
            plain: Endpoint { url: url("ws", plain_address)?, tls: lab_tls.clone() },
            tls: Endpoint { url: url("wss", tls_address)?, tls: lab_tls },
            lab,
            route,
            front,
            sender,
            events: EventLog::new(receiver),
            _authority: authority,
        })
    }

    /// Gives the id of the defence that decided the event, as the gateways reported it.
    pub fn stopper(&self, event: EventId) -> Option<String> {
        self.events.verdict(event).filter(|verdict| verdict.mode == Mode::Block).map(|verdict| verdict.rule)
    }

    /// Gives the latest event of a defence, as the gateways reported it.
    pub(crate) fn latest_of(&self, defence: &str) -> Option<EventId> {
        self.events.latest_of(defence)
    }

    /// Gives the authority that clients of the gateway must trust, in PEM.
    pub fn authority(&self) -> &str {
        &self.front.authority
    }

    /// Stops the gateway, then the application.
    pub async fn stop(self) {
        self.front.gateway.stop().await;
        self.lab.shutdown().await;
    }

    /// Gives the application's plain port, which anyone can reach.
    pub(crate) const fn plain(&self) -> &Endpoint {
        &self.plain
    }

    /// Gives the application's TLS port.
    pub(crate) const fn tls(&self) -> &Endpoint {
        &self.tls
    }

    /// Gives the gateway that stands in front.
    pub(crate) const fn front(&self) -> &Front {
        &self.front
    }

    /// Gives where an attack is tried that does not care about TLS.
    pub(crate) const fn endpoint(&self, target: Target) -> &Endpoint {
        match target {
            Target::Direct => &self.plain,
            Target::Gateway => &self.front.endpoint,
        }
    }

    /// Gives the application as the gateway's route reaches it.
    pub(crate) fn hop(&self) -> anyhow::Result<Endpoint> {
        Ok(Endpoint { url: self.route.upstream.parse()?, tls: self.tls.tls.clone() })
    }

    /// Starts a further gateway, the same but for the application's address.
    pub(crate) async fn front_to(&self, upstream: &WsUrl) -> anyhow::Result<Front> {
        let route = RouteConfig { upstream: upstream.to_string(), ..self.route.clone() };
        Front::start(route, self.sender.clone()).await
    }

    /// Gives the look into the database, to judge what an attack really did.
    pub(crate) fn ledger(&self) -> Ledger {
        self.lab.ledger()
    }

    /// Logs somebody in as their browser would: over TLS, at the application.
    pub(crate) async fn log_in(&self, account: SeedAccount) -> anyhow::Result<Session> {
        victim::log_in(&self.tls, account).await
    }

    /// Makes sure that who may use the application still can, through the gateway and from its own page.
    pub(crate) async fn serves(&self, account: SeedAccount) -> anyhow::Result<()> {
        let session = self.log_in(account).await?;
        let at = &self.front.endpoint;
        let origin = at.url.web_origin();
        let mut socket = Socket::open(at, &[("Cookie", &session.cookie), ("Origin", &origin)]).await?;
        let answer = socket.ask(serde_json::json!({"type": "me"})).await?;
        anyhow::ensure!(answer["email"] == account.email, "{} did not get her account", account.user);
        Ok(())
    }
}

impl Front {
    /// Builds and starts a gateway as `guard -c` does.
    async fn start(route: RouteConfig, events: EventSender) -> anyhow::Result<Self> {
        let listener = ListenerConfig { tls_dev: true, ..ListenerConfig::new("127.0.0.1:0") };
        let config = Config { listeners: vec![listener], routes: vec![route], ..Config::default() };
        let built = config.build().map_err(sockwarden_gateway::BuildError)?;
        let authority = built.dev_authority.clone().context("the gateway has no certificate")?;
        let gateway = Gateway::start(built, events).await?;
        let address = gateway.listening().first().context("the gateway does not listen")?.address;
        let tls = ClientTls::with_roots(authority.as_bytes())?;
        Ok(Self { gateway, endpoint: Endpoint { url: url("wss", address)?, tls }, authority })
    }
}

fn url(scheme: &str, address: SocketAddr) -> anyhow::Result<WsUrl> {
    Ok(format!("{scheme}://{address}{PATH}").parse()?)
}

/// The defences that can be switched off.
pub const SWITCHES: [&str; 9] = [
    "tls-required",
    "strict-handshake",
    "origin-policy",
    "authentication",
    "upstream-tls",
    "frame-limits",
    "injection",
    "active-content",
    "rate-limit",
];

/// Switches off the defence called `id`, one of [`SWITCHES`]; tells whether there is such a switch.
pub fn switch_off(id: &str, route: &mut RouteConfig) -> bool {
    match id {
        "tls-required" => route.tls_required.mode = Mode::Off,
        "strict-handshake" => route.strict_handshake.mode = Mode::Off,
        "origin-policy" => route.origin_policy.mode = Mode::Off,
        "authentication" => (route.auth, route.forward_auth) = (Auth::NONE, None),
        "upstream-tls" => route.upstream_tls.mode = Mode::Off,
        "frame-limits" => {
            route.frame_limits.mode = Mode::Off;
            // How long one text may be is said elsewhere, and would stop most of what is too long.
            route.inspect.text = ByteSize::mib(64);
        }
        "injection" => route.injection.mode = Mode::Off,
        "active-content" => route.active_content.mode = Mode::Off,
        "rate-limit" => route.rate_limit.mode = Mode::Off,
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_switch_changes_the_route() {
        let route = RouteConfig::new("a", "ws://127.0.0.1:1", Auth::by(Way::Forward));
        for id in SWITCHES {
            let mut changed = route.clone();
            assert!(switch_off(id, &mut changed) && changed != route, "{id}");
        }
        assert!(!switch_off("protocol-rules", &mut route.clone()));
    }
}

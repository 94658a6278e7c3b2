//! From what was said to what runs: files read, URLs understood, contradictions refused, all of them at once.

mod warnings;
mod zeros;

pub use warnings::warnings;

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use sockwarden_defend::{Configured, Defences, Way};
use sockwarden_identity::Signer;
use sockwarden_model::{EventSender, ListenAddress};
use sockwarden_net::{DevCertificate, ServerTls};
use sockwarden_state::{Settings, State};

use crate::{
    admission::Comings,
    auth::{self, Authenticator},
    certificates::{CertificateConfig, CertificateFiles, Clients, server_tls},
    client_address::ProxiesConfig,
    compression::{CompressionKind, InflateConfig},
    config::{LimitsConfig, ListenerConfig, RouteConfig},
    counters::RouteTally,
    inspection::Inspection,
    liveness::TimeoutsConfig,
    pass_through::HttpKind,
    rates::Rates,
    routing::{self, Asked, Matcher, Unrouted},
    upstream::{self, AddedHeader, Upstreams},
};

/// What is wrong with a configuration, or unwise about it, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, such as `routes[1].upstream`.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

/// Everything that keeps a gateway from starting.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(|p| format!("{}: {}", p.key, p.message)).collect::<Vec<_>>().join("; "))]
pub struct BuildError(pub Vec<Problem>);

/// A configuration that can run.
#[derive(Debug)]
pub struct Built {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) routes: Vec<Arc<Route>>,
    /// The places of the routes, the most specific first.
    order: Vec<usize>,
    pub(crate) limits: LimitsConfig,
    /// How often addresses may come.
    pub(crate) comings: Arc<Comings>,
    /// Where tickets, revocations and rates are kept; it counts when a gateway starts.
    pub(crate) state: Option<Settings>,
    /// The authority of the certificate made for `tls_dev`, in PEM, where one was made.
    pub dev_authority: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) address: ListenAddress,
    /// Whether it may be reached from beyond this machine.
    pub(crate) may_be_exposed: bool,
    pub(crate) tls: Option<ServerTls>,
    /// The files behind `tls`, where it has any.
    pub(crate) certificates: Option<CertificateFiles>,
    pub(crate) proxies: Arc<ProxiesConfig>,
}

#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) name: Arc<str>,
    pub(crate) path: String,
    matcher: Matcher,
    pub(crate) upstreams: Upstreams,
    pub(crate) upstream_headers: Vec<AddedHeader>,
    pub(crate) authenticator: Authenticator,
    /// Signs what the application is told about callers.
    pub(crate) signer: Option<Signer>,
    pub(crate) defences: Arc<[Configured]>,
    pub(crate) inspection: Inspection,
    pub(crate) rates: Rates,
    pub(crate) timeouts: TimeoutsConfig,
    pub(crate) compression: CompressionKind,
    pub(crate) inflate: InflateConfig,
    pub(crate) tally: Arc<RouteTally>,
    /// Whether a reload has ended its sessions: who becomes one later, having begun before, is told so at once.
    pub(crate) is_closed: AtomicBool,
    /// What it was built from: its configuration and a hash of the files that it names.
    made_of: (RouteConfig, u64),
}

impl Route {
    /// Begins what goes on beside requests; a second call changes nothing.
    pub(crate) fn tend(&self, state: &State, events: &EventSender) {
        self.upstreams.tend(events);
        self.authenticator.tend(events);
        self.rates.tend(&self.name, state, events);
    }

    /// Gives what it was built from.
    pub(crate) const fn config(&self) -> &RouteConfig {
        &self.made_of.0
    }
}

impl Built {
    /// Keeps tickets, revocations and rates as `settings` say, and not in this process.
    pub fn with_state(self, settings: Settings) -> Self {
        Self { state: Some(settings), ..self }
    }

    /// Takes over from an older gateway the routes that are the same, and the counters of those that are not; gives the
    /// old routes that are gone or different now.
    pub(crate) fn adopt(&mut self, old: &Self) -> Vec<Arc<Route>> {
        if self.limits.per_address == old.limits.per_address {
            self.comings = Arc::clone(&old.comings);
        }
        for route in &mut self.routes {
            let Some(before) = old.routes.iter().find(|before| before.name == route.name) else { continue };
            if before.made_of == route.made_of {
                *route = Arc::clone(before);
            } else if let Some(route) = Arc::get_mut(route) {
                route.tally = Arc::clone(&before.tally);
            }
        }
        let lives_on = |before: &&Arc<Route>| self.routes.iter().any(|route| Arc::ptr_eq(route, before));
        old.routes.iter().filter(|before| !lives_on(before)).cloned().collect()
    }

    /// Finds the route that a request takes.
    pub(crate) fn route(&self, asked: &Asked<'_>) -> Result<&Arc<Route>, Unrouted> {
        let sorted = self.order.iter().map(|place| &self.routes[*place]);
        let place = routing::choose(sorted.map(|route| &route.matcher), asked)?;
        Ok(&self.routes[self.order[place]])
    }
}

/// Builds what runs.
///
/// # Errors
/// Every problem that was found, each with its key.
pub fn build(
    listeners: &[ListenerConfig],
    routes: &[RouteConfig],
    limits: &LimitsConfig,
) -> Result<Built, BuildError> {
    let mut problems = Problems(Vec::new());
    let mut dev_authority = None;
    if listeners.is_empty() {
        problems.add("listeners", "there is no listener", Some("add `[[listeners]]` with an `address`"));
    }
    if routes.is_empty() {
        problems.add(
            "routes",
            "there is no route",
            Some("add `[[routes]]` with a `name`, an `upstream` and `auth`"),
        );
    }
    let mut built_listeners = Vec::new();
    for (index, config) in listeners.iter().enumerate() {
        let key = |name: &str| format!("listeners[{index}].{name}");
        let address = |config: &ListenerConfig| config.address.parse::<ListenAddress>().ok();
        let is_taken = |own: &ListenAddress| {
            listeners[..index].iter().filter_map(address).any(|other| other.excludes(own))
        };
        if address(config).is_some_and(|own| is_taken(&own)) {
            problems.add(
                &key("address"),
                "another listener has the same address",
                Some("leave out one of them"),
            );
        }
        built_listeners.extend(build_listener(config, &key, &mut dev_authority, &mut problems));
    }
    let mut built_routes: Vec<Arc<Route>> = Vec::new();
    for (index, config) in routes.iter().enumerate() {
        let key = |name: &str| format!("routes[{index}].{name}");
        for earlier in &routes[..index] {
            if earlier.name == config.name {
                problems.add(&key("name"), "another route has the same name", None);
            }
        }
        built_routes.extend(build_route(config, &key, &mut problems).map(Arc::new));
    }
    let asks = listeners.iter().any(|listener| listener.client_ca.is_some());
    for (index, _) in routes.iter().enumerate().filter(|(_, route)| route.auth.has(Way::Mtls) && !asks) {
        let message = "no listener asks clients for certificates";
        problems.add(&format!("routes[{index}].auth"), message, Some("add `client_ca` to a listener"));
    }
    zeros::refuse(routes, limits, &mut problems);
    if problems.0.is_empty() {
        let mut order: Vec<usize> = (0..built_routes.len()).collect();
        // The sort is stable: of equals the first stays the first.
        order.sort_by(|left, right| built_routes[*left].matcher.compare(&built_routes[*right].matcher));
        let comings = Arc::new(Comings::new(&limits.per_address));
        let limits = limits.clone();
        Ok(Built {
            comings,
            listeners: built_listeners,
            routes: built_routes,
            order,
            limits,
            state: None,
            dev_authority,
        })
    } else {
        Err(BuildError(problems.0))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl Problems {
    pub(crate) fn add(&mut self, key: &str, message: &str, help: Option<&str>) {
        self.0.push(Problem {
            key: key.to_owned(),
            message: message.to_owned(),
            help: help.map(str::to_owned),
        });
    }

    /// Gives the value, or notes the error under `key`.
    pub(crate) fn take<T, E: std::fmt::Display>(&mut self, key: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(key, &error.to_string(), None)).ok()
    }

    pub(crate) fn read(&mut self, key: &str, path: &Path) -> Option<Vec<u8>> {
        self.take(
            key,
            std::fs::read(path).map_err(|error| format!("`{}` cannot be read: {error}", path.display())),
        )
    }
}

fn build_listener(
    config: &ListenerConfig,
    key: &dyn Fn(&str) -> String,
    dev_authority: &mut Option<String>,
    problems: &mut Problems,
) -> Option<Listener> {
    let address = config.address.parse::<ListenAddress>();
    let address = address.map_err(|error| format!("`{}` {error}", config.address));
    let address = problems.take(&key("address"), address)?;
    // Where an inherited socket listens shows at the start, and is judged there.
    let loopback = address.is_loopback();
    if config.certificate.is_none() && !config.more_certificates.is_empty() {
        problems.add(
            &key("more_certificates"),
            "there is no first certificate",
            Some("add `certificate` and `key`"),
        );
    }
    let clients = config.client_ca.as_deref().and_then(|path| {
        let authorities = problems.read(&key("client_ca"), path)?;
        Some(Clients { authorities, required: config.require_client_certificate })
    });
    if config.client_ca.is_some() && config.certificate.is_none() && !config.tls_dev {
        let message = "clients show certificates over TLS only";
        problems.add(&key("client_ca"), message, Some("add `certificate` and `key`"));
    }
    if config.require_client_certificate && config.client_ca.is_none() {
        let help = Some("add `client_ca`");
        problems.add(&key("require_client_certificate"), "nobody is named who could vouch for clients", help);
    }
    let mut files_of = None;
    let tls = match (&config.certificate, &config.key) {
        (Some(_), _) | (_, Some(_)) if config.tls_dev => {
            problems.add(&key("tls_dev"), "a certificate is given already", Some("leave out one of them"));
            return None;
        }
        (Some(certificate), Some(private)) => {
            let first = CertificateConfig { certificate: certificate.clone(), key: private.clone() };
            let files = std::iter::once(first).chain(config.more_certificates.iter().cloned()).collect();
            let loaded = CertificateFiles::load(files, clients.as_ref()).map_err(|errors| {
                for error in errors {
                    let name = if error.in_key { "key" } else { "certificate" };
                    let name = match error.index {
                        0 => name.to_owned(),
                        more => format!("more_certificates[{}].{name}", more - 1),
                    };
                    problems.add(&key(&name), &format!("`{}` {}", error.path.display(), error.why), None);
                }
            });
            files_of = Some(loaded.ok()?);
            files_of.as_ref().map(|files| files.tls.clone())
        }
        (Some(_), None) => {
            problems.add(&key("certificate"), "a certificate needs its key", Some("add `key`"));
            return None;
        }
        (None, Some(_)) => {
            problems.add(&key("key"), "a key needs its certificate", Some("add `certificate`"));
            return None;
        }
        (None, None) if config.tls_dev && loopback != Some(true) => {
            problems.add(&key("tls_dev"), "a development certificate is for loopback addresses only", None);
            return None;
        }
        (None, None) if config.tls_dev => {
            let dev = problems.take(&key("tls_dev"), DevCertificate::generate())?;
            let pair = (dev.certificate.as_bytes(), dev.key.as_bytes());
            let tls = server_tls(&[pair], clients.as_ref());
            *dev_authority = Some(dev.authority);
            Some(problems.take(&key("tls_dev"), tls)?)
        }
        (None, None) if loopback == Some(false) && !config.insecure_plaintext => {
            problems.add(
                &key("address"),
                "beyond this machine a listener needs a certificate",
                Some("add `certificate` and `key`; `insecure_plaintext = true` goes without"),
            );
            return None;
        }
        (None, None) => None,
    };
    Some(Listener {
        address,
        may_be_exposed: tls.is_some() || config.insecure_plaintext,
        tls,
        certificates: files_of,
        proxies: Arc::new(config.proxies.clone()),
    })
}

fn build_route(config: &RouteConfig, key: &dyn Fn(&str) -> String, problems: &mut Problems) -> Option<Route> {
    let matcher =
        Matcher::new(config).map_err(|error| problems.add(&key(error.key()), &error.to_string(), None));
    let upstreams = upstream::build(config, key, problems);
    let tls = upstreams.as_ref().map(|(_, tls, _)| tls);
    let authenticator = auth::build(config, key, tls, problems);
    if let Some((upstreams, ..)) = &upstreams
        && config.http == HttpKind::Pass
        && upstreams.url().target != "/"
    {
        problems.add(
            &key("http"),
            "every page would be asked for at the path of `upstream`",
            Some("leave the path out of `upstream`, or `http = \"pass\"` to a route of its own"),
        );
    }
    let defences = Defences {
        tls_required: config.tls_required.clone(),
        strict_handshake: config.strict_handshake.clone(),
        origin_policy: config.origin_policy.clone(),
        authentication: config.authentication,
        ways: config.auth.ways().to_vec(),
        upstream_tls: config.upstream_tls.clone(),
        cleartext_upstream: config.cleartext_upstream,
        frame_limits: config.frame_limits.clone(),
        message_format: config.message_format.clone(),
        operation_policy: config.operation_policy.clone(),
        authorize: config.authorize.clone(),
        topic_policy: config.topic_policy.clone(),
        graphql_limits: config.graphql_limits.clone(),
        cdp_refused: config.cdp_refused.clone(),
        ocpp_session: config.ocpp_session.clone(),
        injection: config.injection.clone(),
        active_content: config.active_content.clone(),
        rate_limit: config.rate_limit.clone(),
    };
    let defences = defences.build().map_err(|wrong| {
        for setting in wrong {
            problems.add(&key(&setting.key), &setting.message, Some(&setting.help));
        }
    });
    let inspection = problems.take(&key("inspect.protocol"), config.inspect.build());
    let mut files = DefaultHasher::new();
    let upstream_headers = upstream::build_headers(&config.upstream_headers, key, problems, &mut files);
    let signer = config.upstream_token.as_ref().and_then(|token| {
        token.files().iter().for_each(|(_, path)| std::fs::read(path).unwrap_or_default().hash(&mut files));
        let wrong = Signer::build(token).map_err(|wrong| {
            for setting in wrong {
                let key = key(&format!("upstream_token.{}", setting.key));
                problems.add(&key, &setting.message, setting.help.as_deref());
            }
        });
        wrong.ok()
    });
    if let Some(secret) = config.jwt.as_ref().and_then(|jwt| jwt.secret.as_ref()?.file.as_deref()) {
        // What cannot be read was refused with the tokens' other settings.
        std::fs::read(secret).unwrap_or_default().hash(&mut files);
    }
    let (upstreams, _, of_upstreams) = upstreams?;
    of_upstreams.hash(&mut files);
    Some(Route {
        name: config.name.as_str().into(),
        path: config.path.clone(),
        matcher: matcher.ok()?,
        upstreams,
        upstream_headers,
        authenticator,
        signer,
        defences: defences.ok()?,
        inspection: inspection?,
        rates: Rates::new(&config.rate_limit),
        timeouts: config.timeouts.clone(),
        compression: config.compression,
        inflate: config.inflate.clone(),
        tally: Arc::default(),
        is_closed: AtomicBool::new(false),
        made_of: (config.clone(), files.finish()),
    })
}

#[cfg(test)]
mod tests {
    use sockwarden_config::{ByteSize, HumanDuration};
    use sockwarden_defend::defences::{FrameLimitsConfig, GraphqlLimitsConfig, OperationConfig};

    use super::*;
    use crate::{
        auth::{Auth, ForwardAuthConfig},
        config::{ConnectionLimitsConfig, HeadLimitsConfig, PerAddressConfig},
        pass_through::HttpLimitsConfig,
        routing::PathMatch,
    };

    fn listener(address: &str) -> ListenerConfig {
        ListenerConfig::new(address)
    }

    fn keys(listeners: &[ListenerConfig], routes: &[RouteConfig]) -> Vec<String> {
        match build(listeners, routes, &LimitsConfig::default()) {
            Ok(_) => Vec::new(),
            Err(BuildError(problems)) => problems.into_iter().map(|p| p.key).collect(),
        }
    }

    #[test]
    fn what_is_unsafe_or_contradictory_does_not_start() {
        let good = RouteConfig::new("app", "ws://127.0.0.1:3000", Auth::NONE);
        let loopback = listener("127.0.0.1:0");
        let check = |l: &ListenerConfig, r: &RouteConfig, expected: &[&str]| {
            assert_eq!(keys(std::slice::from_ref(l), std::slice::from_ref(r)), expected);
        };
        check(&loopback, &good, &[]);
        check(&listener("0.0.0.0:0"), &good, &["listeners[0].address"]);
        check(&ListenerConfig { insecure_plaintext: true, ..listener("0.0.0.0:0") }, &good, &[]);
        check(&ListenerConfig { tls_dev: true, ..listener("0.0.0.0:0") }, &good, &["listeners[0].tls_dev"]);
        check(&ListenerConfig { tls_dev: true, ..loopback.clone() }, &good, &[]);
        check(
            &ListenerConfig { certificate: Some("x".into()), ..loopback.clone() },
            &good,
            &["listeners[0].certificate"],
        );
        check(&listener("nonsense"), &good, &["listeners[0].address"]);
        check(&listener("fd:web"), &good, &[]);
        check(&ListenerConfig { tls_dev: true, ..listener("fd:web") }, &good, &["listeners[0].tls_dev"]);
        let with = |upstream: &str| RouteConfig::new("app", upstream, Auth::NONE);
        check(&loopback, &with("ws://app.internal:1"), &["routes[0].upstream"]);
        check(&loopback, &RouteConfig { cleartext_upstream: true, ..with("ws://app.internal:1") }, &[]);
        check(&loopback, &with("wss://app.internal:1"), &[]);
        check(&loopback, &with("app"), &["routes[0].upstream"]);
        let pass = |upstream: &str| RouteConfig { http: HttpKind::Pass, ..with(upstream) };
        check(&loopback, &pass("ws://127.0.0.1:1"), &[]);
        check(&loopback, &pass("ws://127.0.0.1:1/socket"), &["routes[0].http"]);
        check(&loopback, &RouteConfig { auth: Auth::by(Way::Forward), ..good.clone() }, &["routes[0].auth"]);
        assert_eq!(keys(&[], &[]), ["listeners", "routes"]);
        let one = std::slice::from_ref(&good);
        let twice = [listener("127.0.0.1:5"), listener("[::1]:5"), listener("127.0.0.1:05")];
        assert_eq!(keys(&twice, one), ["listeners[2].address"]);
        assert_eq!(
            keys(&[listener("nonsense"), listener("nonsense")], one).len(),
            2,
            "no more than their own"
        );
        assert_eq!(keys(&[loopback], &[good.clone(), good]), ["routes[1].name"]);
    }

    #[test]
    fn patterns_that_mean_nothing_are_named_with_their_keys() {
        let mut route = RouteConfig::new("app", "ws://127.0.0.1:3000", Auth::NONE);
        let bad = OperationConfig { protocol: Some("smoke".into()), ..OperationConfig::default() };
        route.operation_policy.allow = vec![bad];
        route.topic_policy.publish = Some(vec!["a".into(), "{x}".into()]);
        route.graphql_limits.allow = vec!["a*b".into()];
        let expected = [
            "routes[0].operation_policy.allow[0].protocol",
            "routes[0].topic_policy.publish[1]",
            "routes[0].graphql_limits.allow[0]",
        ];
        assert_eq!(keys(&[listener("127.0.0.1:0")], &[route]), expected);
    }

    #[test]
    fn limits_under_which_nothing_could_pass_are_refused() {
        let nothing = LimitsConfig {
            connections: 0,
            per_address: PerAddressConfig {
                connections: 0,
                connections_per_second: 0,
                handshakes_per_second: 0,
            },
            tls_handshakes: 0,
            head: HeadLimitsConfig { bytes: ByteSize::default(), fields: 0, target: ByteSize::default() },
            workers: Some(0),
            handshake_timeout: HumanDuration::default(),
            upstream_timeout: HumanDuration::default(),
            close_timeout: HumanDuration::default(),
            certificate_poll: HumanDuration::default(),
            memory: ByteSize::default(),
            message_memory: ByteSize::default(),
            write_buffer: ByteSize::default(),
        };
        let mut route = RouteConfig::new("app", "ws://127.0.0.1:3000", Auth::by(Way::Forward));
        route.forward_auth = Some(ForwardAuthConfig {
            timeout: HumanDuration::default(),
            ..ForwardAuthConfig::new("http://127.0.0.1:1/")
        });
        route.frame_limits = FrameLimitsConfig {
            frame: ByteSize::default(),
            message: ByteSize::default(),
            server_frame: ByteSize::default(),
            server_message: ByteSize::default(),
            fragments: 0,
            frames_per_second: 0,
            server_frames_per_second: 0,
            control_frames_per_second: 0,
            ..FrameLimitsConfig::default()
        };
        route.connection_limits = ConnectionLimitsConfig { connections: Some(0), per_user: 0 };
        route.graphql_limits = GraphqlLimitsConfig {
            depth: 0,
            breadth: 0,
            fields: 0,
            operations: 0,
            length: ByteSize::default(),
            ..GraphqlLimitsConfig::default()
        };
        route.http_limits = HttpLimitsConfig {
            body_timeout: HumanDuration::default(),
            response_head: ByteSize::default(),
            response_timeout: HumanDuration::default(),
            idle_timeout: HumanDuration::default(),
            ..HttpLimitsConfig::default()
        };
        route.inflate = crate::InflateConfig {
            max_ratio: 0,
            overhead: ByteSize::default(),
            time: HumanDuration::from_millis(0),
            time_per_second: HumanDuration::from_millis(0),
            ..crate::InflateConfig::default()
        };
        let BuildError(problems) = build(&[listener("127.0.0.1:0")], &[route], &nothing).unwrap_err();
        let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "routes[0].forward_auth.timeout",
                "limits.per_address.connections",
                "limits.per_address.connections_per_second",
                "limits.per_address.handshakes_per_second",
                "limits.tls_handshakes",
                "limits.head.bytes",
                "limits.head.fields",
                "limits.head.target",
                "limits.certificate_poll",
                "limits.connections",
                "limits.workers",
                "limits.handshake_timeout",
                "limits.upstream_timeout",
                "limits.memory",
                "limits.message_memory",
                "limits.write_buffer",
                "routes[0].connection_limits.connections",
                "routes[0].connection_limits.per_user",
                "routes[0].frame_limits.frame",
                "routes[0].frame_limits.message",
                "routes[0].frame_limits.server_frame",
                "routes[0].frame_limits.server_message",
                "routes[0].frame_limits.fragments",
                "routes[0].frame_limits.frames_per_second",
                "routes[0].frame_limits.server_frames_per_second",
                "routes[0].frame_limits.control_frames_per_second",
                "routes[0].graphql_limits.depth",
                "routes[0].graphql_limits.breadth",
                "routes[0].graphql_limits.fields",
                "routes[0].graphql_limits.operations",
                "routes[0].graphql_limits.length",
                "routes[0].http_limits.body_timeout",
                "routes[0].http_limits.response_head",
                "routes[0].http_limits.response_timeout",
                "routes[0].http_limits.idle_timeout",
                "routes[0].inflate.max_ratio",
                "routes[0].inflate.overhead",
                "routes[0].inflate.time_per_second",
                "routes[0].inflate.time",
            ]
        );
    }

    #[test]
    fn a_request_takes_the_most_specific_route_and_a_reload_does_not_change_that() {
        let route = |name: &str, host: Option<&str>, path: &str| RouteConfig {
            host: host.map(str::to_owned),
            path: path.to_owned(),
            ..RouteConfig::new(name, "ws://127.0.0.1:1", Auth::NONE)
        };
        let built = |routes: &[RouteConfig]| {
            build(&[listener("127.0.0.1:0")], routes, &LimitsConfig::default()).unwrap()
        };
        let [all, chat, app] =
            [route("all", None, "/"), route("chat", None, "/chat"), route("app", Some("app"), "/")];
        let old = built(&[all.clone(), chat.clone()]);
        let mut new = built(&[chat, app, all]);
        assert!(new.adopt(&old).is_empty());
        for (host, target, expected) in
            [("app:1", "/chat", "app"), ("b", "/chat/1?x", "chat"), ("b", "/chatter", "all")]
        {
            let asked = Asked { host: Some(host), target, subprotocols: &[] };
            assert_eq!(&*new.route(&asked).unwrap().name, expected, "{host} {target}");
        }
    }

    #[test]
    fn a_route_that_is_never_taken_is_named() {
        let check = |paths: &[(&str, PathMatch)], expected: &[&str]| {
            let routes: Vec<_> = paths
                .iter()
                .map(|(path, path_match)| RouteConfig {
                    path: (*path).to_owned(),
                    path_match: *path_match,
                    ..RouteConfig::new(path, "ws://127.0.0.1:1", Auth::by(Way::Forward))
                })
                .collect();
            let warnings = warnings(&[], &routes, &LimitsConfig::default());
            let keys: Vec<_> = warnings.iter().map(|warning| warning.key.as_str()).collect();
            assert_eq!(keys, expected, "{paths:?}");
        };
        use PathMatch::{Exact, Glob, Prefix};
        check(&[("/", Prefix), ("/chat", Prefix), ("/chat", Exact), ("/chat/*", Glob)], &[]);
        check(&[("/chat/**", Glob), ("/chat", Prefix)], &["routes[1].path"]);
        check(&[("/chat", Prefix), ("/chat/", Prefix)], &["routes[1].path"]);
        check(&[("/**", Glob), ("/", Prefix), ("/**/log", Glob)], &["routes[1].path"]);
    }
}

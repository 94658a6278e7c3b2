//! What an operator says of listeners, routes and limits.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::{ByteSize, HumanDuration};
use sockwarden_defend::defences::{
    ActiveContentConfig, AuthenticationConfig, AuthorizeConfig, CdpRefusedConfig, FrameLimitsConfig,
    GraphqlLimitsConfig, InjectionConfig, MessageFormatConfig, OcppSessionConfig, OperationPolicyConfig,
    OriginPolicyConfig, RateLimitConfig, StrictHandshakeConfig, TlsRequiredConfig, TopicPolicyConfig,
    UpstreamTlsConfig,
};
use sockwarden_identity::{JwtConfig, MtlsConfig, SignerConfig};
use sockwarden_proto::handshake::HeadLimits;

use crate::{
    auth::{Auth, BearerConfig, ForwardAuthConfig, SessionConfig, TicketConfig},
    certificates::CertificateConfig,
    client_address::ProxiesConfig,
    compression::{CompressionKind, InflateConfig},
    inspection::InspectConfig,
    liveness::TimeoutsConfig,
    pass_through::{HttpKind, HttpLimitsConfig},
    routing::PathMatch,
    upstream::{HeaderConfig, UpstreamsConfig},
};

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// The address and port, such as `127.0.0.1:8443`; port 0 takes a free one. `fd:NAME` takes a socket that the service manager has opened.
    pub address: String,
    /// The certificate chain in PEM, the listener's own certificate first.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// The certificate's private key in PEM.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// Further certificates with their keys; a client gets the first that is for the name it asks for.
    #[serde(default)]
    pub more_certificates: Vec<CertificateConfig>,
    /// The authorities whose certificates clients may show, in PEM; needed where a route's `auth` names "mtls". A change takes a reload.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Whether nobody is let in without such a certificate, on any route.
    #[serde(default)]
    pub require_client_certificate: bool,
    /// Whether to make a certificate for development; on a loopback address only.
    #[serde(default)]
    pub tls_dev: bool,
    /// Whether to listen without TLS beyond this machine: everything can then be read and changed on the path.
    #[serde(default)]
    pub insecure_plaintext: bool,
    /// Whose word about the client's address is taken.
    #[serde(default)]
    pub proxies: ProxiesConfig,
}

impl ListenerConfig {
    /// Makes a listener without TLS that trusts no proxy.
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            certificate: None,
            key: None,
            more_certificates: Vec::new(),
            client_ca: None,
            require_client_certificate: false,
            tls_dev: false,
            insecure_plaintext: false,
            proxies: ProxiesConfig::default(),
        }
    }

    /// Names the files that are read for it, by its keys.
    pub fn files(&self) -> Vec<(String, &Path)> {
        let mut files = Vec::new();
        files.extend(self.certificate.iter().map(|path| ("certificate".to_owned(), path.as_path())));
        files.extend(self.key.iter().map(|path| ("key".to_owned(), path.as_path())));
        files.extend(self.client_ca.iter().map(|path| ("client_ca".to_owned(), path.as_path())));
        for (index, pair) in self.more_certificates.iter().enumerate() {
            let key = |name: &str| format!("more_certificates[{index}].{name}");
            files.push((key("certificate"), pair.certificate.as_path()));
            files.push((key("key"), pair.key.as_path()));
        }
        files
    }
}

/// Where a request goes and what guards it. Of several routes that fit, the most specific is taken: by host, then by path, then by sub-protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// The name in events and messages.
    pub name: String,
    /// The host that clients ask for, such as `app.example`, or `*.app.example` for everything below it; any where none is named. Its port does not matter.
    #[serde(default)]
    pub host: Option<String>,
    /// The path of requests, compared by whole segments: as a prefix, `/chat` covers `/chat` and `/chat/1`, not `/chatter`.
    #[serde(default = "root_path")]
    pub path: String,
    /// How the path is compared.
    #[serde(default, rename = "match")]
    pub path_match: PathMatch,
    /// The sub-protocol of requests that offer it and no other; any where none is named.
    #[serde(default)]
    pub subprotocol: Option<String>,
    /// The application's WebSocket URL, `wss://` or `ws://`; with a path other than `/` every request goes to that path.
    pub upstream: String,
    /// The authorities that may sign the application's certificate, in PEM; the platform's own where none are named.
    #[serde(default)]
    pub upstream_ca: Option<PathBuf>,
    /// The certificate chain in PEM that the application is shown where it asks for one, the gateway's own certificate first.
    #[serde(default)]
    pub upstream_certificate: Option<PathBuf>,
    /// That certificate's private key in PEM.
    #[serde(default)]
    pub upstream_key: Option<PathBuf>,
    /// Whether every connection to the application begins with a PROXY protocol header (version 2) that names the client. It is sent before TLS begins, so it is readable on the path.
    #[serde(default)]
    pub upstream_proxy_protocol: bool,
    /// Headers that every handshake with the application has.
    #[serde(default)]
    pub upstream_headers: Vec<HeaderConfig>,
    /// A short signed token (JWT) about the caller in `Sockwarden-Token`, for applications that do not take a header's word; the admin listener gives the public keys (`/.well-known/jwks.json`).
    #[serde(default)]
    pub upstream_token: Option<SignerConfig>,
    /// Several addresses of one application: which there are, how connections are spread, when one is left alone.
    #[serde(default)]
    pub upstreams: UpstreamsConfig,
    /// Whether a `ws://` application beyond this machine is acceptable.
    #[serde(default)]
    pub cleartext_upstream: bool,
    /// How clients are authenticated: `none`, a way, or a list of ways that are tried in their order; it must be said.
    pub auth: Auth,
    /// Whether one of several ways is enough, and what happens to callers that nobody vouches for.
    #[serde(default)]
    pub authentication: AuthenticationConfig,
    /// What becomes of requests that ask for no upgrade.
    #[serde(default)]
    pub http: HttpKind,
    /// How much such a request may bring, and how long it may take.
    #[serde(default)]
    pub http_limits: HttpLimitsConfig,
    /// How many sessions there may be at once.
    #[serde(default)]
    pub connection_limits: ConnectionLimitsConfig,
    /// Tickets: who gets one, how it comes with a handshake, and what it is bound to; used where `auth` names "ticket".
    #[serde(default)]
    pub ticket: Option<TicketConfig>,
    /// Which tokens are taken, and what they say; needed where `auth` names "jwt".
    #[serde(default)]
    pub jwt: Option<JwtConfig>,
    /// Which name in a client's certificate is the user; used where `auth` names "mtls".
    #[serde(default)]
    pub mtls: Option<MtlsConfig>,
    /// Where in a request a token stands.
    #[serde(default)]
    pub bearer: BearerConfig,
    /// When sockets end because the session behind them does.
    #[serde(default)]
    pub session: SessionConfig,
    /// Asks the application about each caller; needed where `auth` names "forward".
    #[serde(default)]
    pub forward_auth: Option<ForwardAuthConfig>,
    /// Refuses clients without TLS where the listener has a certificate.
    #[serde(default)]
    pub tls_required: TlsRequiredConfig,
    /// Refuses handshakes that break RFC 6455.
    #[serde(default)]
    pub strict_handshake: StrictHandshakeConfig,
    /// Refuses pages of other origins.
    #[serde(default)]
    pub origin_policy: OriginPolicyConfig,
    /// Refuses an application that cannot be reached safely.
    #[serde(default)]
    pub upstream_tls: UpstreamTlsConfig,
    /// Closes on frames and messages beyond the limits.
    #[serde(default)]
    pub frame_limits: FrameLimitsConfig,
    /// Stops messages that readers understand differently.
    #[serde(default)]
    pub message_format: MessageFormatConfig,
    /// Stops operations of a sub-protocol that are not allowed.
    #[serde(default)]
    pub operation_policy: OperationPolicyConfig,
    /// Stops messages that their senders may not send.
    #[serde(default)]
    pub authorize: AuthorizeConfig,
    /// Stops publications and subscriptions that are not allowed.
    #[serde(default)]
    pub topic_policy: TopicPolicyConfig,
    /// Limits what one GraphQL document may ask for.
    #[serde(default)]
    pub graphql_limits: GraphqlLimitsConfig,
    /// Refuses the Chrome DevTools Protocol.
    #[serde(default)]
    pub cdp_refused: CdpRefusedConfig,
    /// Lets a charging station have one connection.
    #[serde(default)]
    pub ocpp_session: OcppSessionConfig,
    /// Stops attacks in what clients send.
    #[serde(default)]
    pub injection: InjectionConfig,
    /// Stops script and errors in what the application sends.
    #[serde(default)]
    pub active_content: ActiveContentConfig,
    /// Makes wait what a user sends beyond its share.
    #[serde(default)]
    pub rate_limit: RateLimitConfig,
    /// How messages are read.
    #[serde(default)]
    pub inspect: InspectConfig,
    /// What becomes of compression (permessage-deflate).
    #[serde(default)]
    pub compression: CompressionKind,
    /// How far compressed messages may expand.
    #[serde(default)]
    pub inflate: InflateConfig,
    /// How long a connection may be silent, slow or old.
    #[serde(default)]
    pub timeouts: TimeoutsConfig,
}

fn root_path() -> String {
    "/".to_owned()
}

impl RouteConfig {
    /// Makes the route of every path to `upstream`, with every defence at its default.
    pub fn new(name: &str, upstream: &str, auth: Auth) -> Self {
        Self {
            name: name.to_owned(),
            host: None,
            path: root_path(),
            path_match: PathMatch::default(),
            subprotocol: None,
            upstream: upstream.to_owned(),
            upstream_ca: None,
            upstream_certificate: None,
            upstream_key: None,
            upstream_proxy_protocol: false,
            upstream_headers: Vec::new(),
            upstream_token: None,
            upstreams: UpstreamsConfig::default(),
            cleartext_upstream: false,
            auth,
            http: HttpKind::default(),
            http_limits: HttpLimitsConfig::default(),
            connection_limits: ConnectionLimitsConfig::default(),
            authentication: AuthenticationConfig::default(),
            ticket: None,
            jwt: None,
            mtls: None,
            bearer: BearerConfig::default(),
            session: SessionConfig::default(),
            forward_auth: None,
            tls_required: TlsRequiredConfig::default(),
            strict_handshake: StrictHandshakeConfig::default(),
            origin_policy: OriginPolicyConfig::default(),
            upstream_tls: UpstreamTlsConfig::default(),
            frame_limits: FrameLimitsConfig::default(),
            message_format: MessageFormatConfig::default(),
            operation_policy: OperationPolicyConfig::default(),
            authorize: AuthorizeConfig::default(),
            topic_policy: TopicPolicyConfig::default(),
            graphql_limits: GraphqlLimitsConfig::default(),
            cdp_refused: CdpRefusedConfig::default(),
            ocpp_session: OcppSessionConfig::default(),
            injection: InjectionConfig::default(),
            active_content: ActiveContentConfig::default(),
            rate_limit: RateLimitConfig::default(),
            inspect: InspectConfig::default(),
            compression: CompressionKind::default(),
            inflate: InflateConfig::default(),
            timeouts: TimeoutsConfig::default(),
        }
    }

    /// Names the files that are read for it, by its keys.
    pub fn files(&self) -> Vec<(String, &Path)> {
        let all = [
            ("upstream_ca", &self.upstream_ca),
            ("upstream_certificate", &self.upstream_certificate),
            ("upstream_key", &self.upstream_key),
        ];
        let named = all.into_iter().filter_map(|(key, path)| Some((key.to_owned(), path.as_deref()?)));
        let secrets = self.upstream_headers.iter().enumerate().filter_map(|(index, header)| {
            let file = header.secret.as_ref()?.file.as_deref()?;
            Some((format!("upstream_headers[{index}].secret"), file))
        });
        let tokens = self.jwt.iter().flat_map(|jwt| jwt.files());
        let tokens = tokens.map(|(key, path)| (format!("jwt.{key}"), path));
        let signer = self.upstream_token.iter().flat_map(|signer| signer.files());
        let signer = signer.map(|(key, path)| (format!("upstream_token.{key}"), path));
        named.chain(secrets).chain(tokens).chain(signer).collect()
    }
}

/// What one gateway holds at most, and how long it waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// The most connections at once, those in their handshake included; further ones are dropped at once. Each takes two descriptors: where the process may not have so many, fewer are let in.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: u32,
    /// What one address may have of them, and how often it may come.
    pub per_address: PerAddressConfig,
    /// The most TLS handshakes under way at once; further connections are dropped. Each costs a signature, and memory while a slow client takes its time.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub tls_handshakes: u32,
    /// How large a request's head may be.
    pub head: HeadLimitsConfig,
    /// How many threads relay; as many as there are cores where it is not said. It takes a restart to change.
    #[schemars(range(min = 1, max = 256))]
    pub workers: Option<u32>,
    /// How long a client may take from connecting to the end of its request, TLS included.
    pub handshake_timeout: HumanDuration,
    /// How long connecting to the application may take, all attempts together, and then how long its answer to the handshake may take.
    pub upstream_timeout: HumanDuration,
    /// How long a peer may take to answer a close frame.
    pub close_timeout: HumanDuration,
    /// How often the files of certificates are looked at; new ones are taken without a restart.
    pub certificate_poll: HumanDuration,
    /// The most that all connections together may hold in memory; above it new ones are refused with 503.
    pub memory: ByteSize,
    /// The most that one message may hold in memory, whatever the mode of `frame_limits`.
    pub message_memory: ByteSize,
    /// The most that waits to be written to one peer; while more waits, nothing is read for it.
    pub write_buffer: ByteSize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: 10_000,
            per_address: PerAddressConfig::default(),
            // More than one address may have connections, so that no single one can take them all.
            tls_handshakes: 2_000,
            head: HeadLimitsConfig::default(),
            workers: None,
            handshake_timeout: HumanDuration::from_secs(10),
            upstream_timeout: HumanDuration::from_secs(10),
            close_timeout: HumanDuration::from_secs(5),
            certificate_poll: HumanDuration::from_secs(10),
            memory: ByteSize::mib(2048),
            message_memory: ByteSize::mib(16),
            write_buffer: ByteSize::kib(256),
        }
    }
}

impl LimitsConfig {
    /// Gives what `--limits relaxed` stands for: messages of 64 MiB, and all connections from one address.
    pub fn relaxed() -> Self {
        let per_address = PerAddressConfig {
            connections: 1_000_000,
            connections_per_second: 1_000_000,
            handshakes_per_second: 1_000_000,
        };
        Self { message_memory: ByteSize::mib(64), per_address, ..Self::default() }
    }
}

/// What one address may have of a gateway's connections: of IPv6 64 bits, which is what one customer has.
///
/// Who is named in a listener's `proxies` is not counted itself: those are for whom it speaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PerAddressConfig {
    /// The most connections at once; further ones are dropped, or answered 429 where a proxy brings them. An office of 250 people with two tabs each may be behind one address.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: u32,
    /// The most new connections in a second, where clients connect to us; further ones are dropped. As many as may be there at once may also come at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections_per_second: u32,
    /// The most WebSocket handshakes in a second; further ones are answered 429 with `Retry-After`. As many as may be there at once may also come at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub handshakes_per_second: u32,
}

impl Default for PerAddressConfig {
    fn default() -> Self {
        // Twenty such addresses fill a gateway of the default size; one cannot.
        Self { connections: 500, connections_per_second: 100, handshakes_per_second: 50 }
    }
}

/// How large a request's head may be: that of a handshake, and of an ordinary request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeadLimitsConfig {
    /// The most bytes of the whole head; a larger one is answered 431.
    pub bytes: ByteSize,
    /// The most header fields; a head with more is answered 431.
    #[schemars(range(min = 1, max = 10_000))]
    pub fields: u32,
    /// The most bytes of path and query; longer ones are answered 414.
    pub target: ByteSize,
}

impl Default for HeadLimitsConfig {
    fn default() -> Self {
        let HeadLimits { bytes, fields, target } = HeadLimits::default();
        let size = |bytes: usize| ByteSize::bytes(bytes as u64);
        Self { bytes: size(bytes), fields: u32::try_from(fields).unwrap_or(u32::MAX), target: size(target) }
    }
}

impl HeadLimitsConfig {
    /// Gives them as heads are read with them.
    pub(crate) fn limits(&self) -> HeadLimits {
        HeadLimits {
            bytes: self.bytes.as_usize(),
            fields: self.fields as usize,
            target: self.target.as_usize(),
        }
    }
}

/// How many sessions a route may have at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionLimitsConfig {
    /// The most sessions on the route; further handshakes are answered 503. As many as `limits.connections` where it is not said.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: Option<u32>,
    /// The most sessions of one user on the route; further handshakes are answered 429. It counts where callers are authenticated; ten tabs on each of five devices are 50.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub per_user: u32,
}

impl Default for ConnectionLimitsConfig {
    fn default() -> Self {
        Self { connections: None, per_user: 50 }
    }
}

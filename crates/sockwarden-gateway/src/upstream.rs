//! The application: where it is, how it is, and the handshake with it.

mod address;
mod balance;
mod build;
mod check;
mod headers;
mod health;
mod identity;
mod pool;
mod queue;
mod resolve;
mod search;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::HumanDuration;
use sockwarden_model::{AddressState, EventSender, Identity, UpstreamCounters};
use sockwarden_net::{Stream, random_array};
use sockwarden_proto::{
    WsUrl,
    deflate::Agreement,
    handshake::{ClientHandshake, HeadLimits, Headers, ResponseHead, UpgradeRequest},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::AbortHandle,
};

use crate::client_address::ClientAddress;

pub use balance::Balance;
pub use check::CheckConfig;
pub use headers::HeaderConfig;
pub use health::HealthConfig;

pub(crate) use build::{build, warnings};
pub(crate) use headers::{AddedHeader, build as build_headers};
pub(crate) use pool::Lease;
pub(crate) use search::{Seeker, Unreached};

use pool::Pool;
use search::Search;

/// Where a route's application is, and which address a connection goes to.
///
/// An address that cannot be connected to is followed by the next one. Once the first byte of a request was sent it is never
/// sent again: no request reaches the application twice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamsConfig {
    /// Where to connect instead of to the host of `upstream`: `HOST:PORT` or `unix:/PATH`. Scheme, name in the certificate and path stay those of `upstream`; a name is every address it resolves to.
    #[schemars(example = ["10.0.0.1:8443", "unix:/run/app.sock"])]
    pub addresses: Vec<String>,
    /// How connections are spread over the addresses.
    pub balance: Balance,
    /// The most connections to one address at once, those of ordinary requests included; further ones wait for one to end. Without it there is no limit but those on clients.
    #[schemars(range(min = 1, max = 1_000_000), example = 1000)]
    pub connections: Option<u32>,
    /// How many may wait for that at once; further ones are answered 503. They wait in the order in which they came.
    #[schemars(range(max = 1_000_000))]
    pub queue: u32,
    /// How long one may wait; then it is answered 503.
    pub queue_timeout: HumanDuration,
    /// How long connecting to one address may take, TLS included; then the next is tried.
    pub connect_timeout: HumanDuration,
    /// How many addresses are tried for one connection.
    #[schemars(range(min = 1, max = 16))]
    pub attempts: u32,
    /// How often names are asked for anew; while that fails the last good answer stays.
    pub resolve: HumanDuration,
    /// When an address that fails is left alone, and for how long.
    pub health: HealthConfig,
    /// Asks every address on an interval, whether clients come or not; without it only connections tell.
    pub check: Option<CheckConfig>,
}

impl Default for UpstreamsConfig {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            balance: Balance::default(),
            connections: None,
            queue: 100,
            // A person waits that long for a page; a browser much longer.
            queue_timeout: HumanDuration::from_secs(5),
            connect_timeout: HumanDuration::from_secs(3),
            attempts: 3,
            resolve: HumanDuration::from_secs(30),
            health: HealthConfig::default(),
            check: None,
        }
    }
}

/// The application of one route.
#[derive(Debug)]
pub(crate) struct Upstreams {
    pool: Arc<Pool>,
    /// What runs beside the connections; ends with this.
    tending: OnceLock<Vec<AbortHandle>>,
}

impl Upstreams {
    fn new(pool: Pool) -> Self {
        Self { pool: Arc::new(pool), tending: OnceLock::new() }
    }

    pub(crate) fn url(&self) -> &WsUrl {
        &self.pool.way.url
    }

    /// Begins to ask for names and to check addresses, where there is something to ask; a second call does nothing.
    pub(crate) fn tend(&self, events: &EventSender) {
        self.pool.events.get_or_init(|| events.clone());
        self.tending.get_or_init(|| {
            let mut tasks = Vec::new();
            if self.pool.names().next().is_some() {
                tasks.push(
                    tokio::spawn(resolve::resolve(Arc::clone(&self.pool), resolve::look_up)).abort_handle(),
                );
            }
            if let Some(config) = self.pool.config.check.clone() {
                tasks.push(tokio::spawn(check::check(Arc::clone(&self.pool), config)).abort_handle());
            }
            tasks
        });
    }

    /// Ends what [`Self::tend`] began: no new connection will come. Those that are made go by what is known.
    pub(crate) fn leave(&self) {
        self.tending.get().into_iter().flatten().for_each(AbortHandle::abort);
    }

    /// Tells how each address is.
    pub(crate) fn states(&self) -> Vec<AddressState> {
        self.pool.states()
    }

    /// Counts addresses and what became of them.
    pub(crate) fn counters(&self) -> UpstreamCounters {
        self.pool.counters()
    }

    /// Begins a search that ends by itself after `longest`.
    pub(crate) fn search<'a>(&self, seeker: Seeker<'a>, longest: Duration) -> Search<'a> {
        Search::new(Arc::clone(&self.pool), seeker, longest)
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        self.leave();
    }
}

/// What of a client's request is never passed on: what belongs to one hop, what we say ourselves, and what only we may say.
const HELD_BACK: [&str; 14] = [
    "connection",
    "content-length",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-real-ip",
];
const HELD_BACK_PREFIXES: [&str; 3] = ["sec-websocket-", "sockwarden-", "x-forwarded-"];

/// An application that has agreed to the upgrade.
pub(crate) struct Upstream {
    pub(crate) stream: Stream,
    pub(crate) protocol: Option<String>,
    /// What it agreed to of the compression that it was offered.
    pub(crate) deflate: Option<Agreement>,
    /// Cookies that the application sets with its answer.
    pub(crate) cookies: Vec<Vec<u8>>,
    /// What it sent right after its answer.
    pub(crate) early: Vec<u8>,
}

impl Refused {
    /// Tells whether the address is to blame: an answer that is one is a sign of life, whatever its status.
    pub(crate) const fn is_failure(&self) -> bool {
        match self {
            Self::Status(_) => false,
            Self::Broken(_) | Self::Late(_) => true,
        }
    }
}

/// Why the application did not agree.
pub(crate) enum Refused {
    /// It answered another status.
    Status(u16),
    /// It answered wrongly or not at all; the text is for the operator.
    Broken(String),
    /// It did not answer in time.
    Late(Duration),
}

/// Who asks, as the application is told.
pub(crate) struct Caller<'a> {
    pub(crate) request: &'a UpgradeRequest,
    pub(crate) from: &'a ClientAddress,
    pub(crate) identity: &'a Identity,
    /// What we sign about them.
    pub(crate) token: Option<&'a str>,
    /// The extensions to offer.
    pub(crate) extensions: Vec<String>,
    /// What the route adds, instead of what the client sent of the same name.
    pub(crate) added: &'a [AddedHeader],
}

/// Who asks, as far as a request of any kind tells the application.
pub(crate) struct Told<'a> {
    pub(crate) from: &'a ClientAddress,
    pub(crate) identity: &'a Identity,
    /// What we sign about them.
    pub(crate) token: Option<&'a str>,
    /// What the route adds, instead of what the client sent of the same name.
    pub(crate) added: &'a [AddedHeader],
}

impl Told<'_> {
    /// Gives what the route adds and what only we may say.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (String, Vec<u8>)> {
        let added = self.added.iter().map(|added| (added.name.clone(), added.value.expose().into()));
        let ours = [
            ("X-Forwarded-For", self.from.ip.to_string()),
            ("X-Forwarded-Proto", if self.from.tls { "https" } else { "http" }.to_owned()),
            ("X-Forwarded-Host", self.from.host.clone().unwrap_or_default()),
        ];
        let token = self.token.map(|token| ("Sockwarden-Token", token.to_owned()));
        let ours = ours.into_iter().chain(identity::headers(self.identity)).chain(token);
        added.chain(ours.map(|(name, value)| (name.to_owned(), value.into_bytes())))
    }
}

/// Does the handshake on a connection to the application and verifies its answer.
pub(crate) async fn upgrade(
    mut stream: Stream,
    url: &WsUrl,
    caller: &Caller<'_>,
    timeout: Duration,
) -> Result<Upstream, Refused> {
    let handshake = handshake(url, caller);
    let exchange = async {
        let broken = |error: std::io::Error| {
            Refused::Broken(format!("the connection to the application broke: {error}"))
        };
        stream.write_all(&handshake.encode()).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        let mut buffer = Vec::new();
        loop {
            match ResponseHead::parse(&buffer, HeadLimits::default()) {
                Ok(Some((head, length))) => return Ok((head, buffer.split_off(length))),
                Ok(None) => {}
                Err(violation) => {
                    return Err(Refused::Broken(format!(
                        "the application's answer is malformed: {violation}"
                    )));
                }
            }
            if stream.read_buf(&mut buffer).await.map_err(broken)? == 0 {
                return Err(Refused::Broken(
                    "the application ended the connection without an answer".to_owned(),
                ));
            }
        }
    };
    let (head, early) =
        tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(Refused::Late(timeout)))?;
    if head.status != 101 {
        return Err(Refused::Status(head.status));
    }
    let accepted = handshake.verify(&head).map_err(|violations| {
        let list: Vec<String> = violations.iter().map(ToString::to_string).collect();
        Refused::Broken(format!("the application's answer is wrong: {}", list.join("; ")))
    })?;
    let cookies = head.headers.all("set-cookie").map(<[u8]>::to_vec).collect();
    Ok(Upstream { stream, protocol: accepted.protocol, deflate: accepted.deflate, cookies, early })
}

/// Builds our own handshake from the client's: its sub-protocols and end-to-end headers, and of extensions what the route offers.
fn handshake(url: &WsUrl, caller: &Caller<'_>) -> ClientHandshake {
    let head = &caller.request.head;
    let host = caller.from.host.as_deref().unwrap_or_default();
    let key = ClientHandshake::key_from_random(random_array());
    let mut handshake = ClientHandshake::new(host, &target(url, &head.target), &key);
    handshake.protocols = caller.request.protocols();
    handshake.extensions.clone_from(&caller.extensions);
    handshake.headers = passed_on(&head.headers, caller.added);
    let Caller { from, identity, token, added, .. } = *caller;
    let told = Told { from, identity, token, added };
    handshake.headers.extend(told.headers());
    handshake
}

/// Gives those of a client's headers that the application may see.
pub(crate) fn passed_on(headers: &Headers, added: &[AddedHeader]) -> Vec<(String, Vec<u8>)> {
    // A client may name further headers of its hop in Connection (RFC 9110 §7.6.1).
    headers
        .0
        .iter()
        .filter(|header| {
            let name = header.name.to_ascii_lowercase();
            !HELD_BACK.contains(&name.as_str())
                && !HELD_BACK_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
                && !headers.list_has("connection", &name)
                && !added.iter().any(|added| added.name.eq_ignore_ascii_case(&name))
        })
        .map(|header| (header.name.clone(), header.value.clone()))
        .collect()
}

/// Gives the target to ask for: the client's own, or the upstream's path with the client's query.
fn target(url: &WsUrl, asked: &str) -> String {
    if url.target == "/" {
        return asked.to_owned();
    }
    match asked.split_once('?') {
        Some((_, query)) if url.target.contains('?') => format!("{}&{query}", url.target),
        Some((_, query)) => format!("{}?{query}", url.target),
        None => url.target.clone(),
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_config::Hidden;
    use sockwarden_proto::handshake::RequestHead;

    use super::*;

    #[test]
    fn the_query_of_the_client_follows_the_upstreams_path() {
        let check = |url: &str, asked: &str, expected: &str| {
            assert_eq!(target(&url.parse().unwrap(), asked), expected);
        };
        check("ws://h", "/a?b", "/a?b");
        check("ws://h/ws", "/a", "/ws");
        check("ws://h/ws", "/a?b", "/ws?b");
        check("ws://h/ws?x=1", "/a?b", "/ws?x=1&b");
    }

    #[test]
    fn a_client_cannot_speak_for_the_gateway() {
        let text = "GET /chat HTTP/1.1\r\nHost: app.example\r\nUpgrade: websocket\r\nConnection: Upgrade, X-Hop\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\
            Cookie: a=b\r\nOrigin: https://app.example\r\nX-TENANT: evil\r\nX-Hop: 1\r\nX-Real-IP: 6.6.6.6\r\n\
            X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nSockwarden-User: admin\r\n\r\n";
        let (head, _) = RequestHead::parse(text.as_bytes(), HeadLimits::default()).unwrap().unwrap();
        let request = UpgradeRequest::judge(head, 0);
        let from =
            ClientAddress { ip: [192, 0, 2, 1].into(), tls: true, host: Some("app.example".to_owned()) };
        let extensions = vec!["ours".to_owned()];
        let added = [AddedHeader { name: "X-Tenant".to_owned(), value: Hidden::new("acme".to_owned()) }];
        let mara = Identity::of_user("mara");
        let caller = Caller {
            request: &request,
            from: &from,
            identity: &mara,
            token: Some("a.b.c"),
            extensions,
            added: &added,
        };
        let ours = handshake(&"ws://127.0.0.1:1".parse().unwrap(), &caller);
        let sent: Vec<String> =
            ours.headers.iter().map(|(n, v)| format!("{n}: {}", String::from_utf8_lossy(v))).collect();
        assert_eq!(
            sent,
            [
                "Cookie: a=b",
                "Origin: https://app.example",
                "X-Tenant: acme",
                "X-Forwarded-For: 192.0.2.1",
                "X-Forwarded-Proto: https",
                "X-Forwarded-Host: app.example",
                "Sockwarden-User: mara",
                "Sockwarden-Token: a.b.c",
            ]
        );
        assert_eq!(
            (ours.host.as_str(), ours.protocols.as_slice()),
            ("app.example", &["chat".to_owned()][..])
        );
        assert!(ours.extensions == ["ours"] && ours.key != "dGhlIHNhbXBsZSBub25jZQ==");
    }
}

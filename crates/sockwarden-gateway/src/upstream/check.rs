//! Health checks: every address is asked now and then, whether clients come or not.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::HumanDuration;
use sockwarden_net::{PlaceOptions, Stream, dial_place, proxy_header, random_u64};
use sockwarden_proto::handshake::{HeadLimits, ResponseHead};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::pool::{Member, Pool};

/// How many addresses of a route are asked at once.
const AT_ONCE: usize = 8;

/// How the application's addresses are checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckConfig {
    /// The path that is asked for with GET and must be answered 2xx; where there is none, a connection is enough, with its TLS handshake.
    #[schemars(example = "/healthz")]
    pub path: Option<String>,
    /// How long after a round of checks the next one begins.
    pub interval: HumanDuration,
    /// How long an address may take to pass; one that takes longer has failed.
    pub timeout: HumanDuration,
}

impl Default for CheckConfig {
    fn default() -> Self {
        Self { path: None, interval: HumanDuration::from_secs(5), timeout: HumanDuration::from_secs(2) }
    }
}

/// Checks every address of `pool` on the interval of `config`.
pub(super) async fn check(pool: Arc<Pool>, config: CheckConfig) {
    loop {
        let mut checks = JoinSet::new();
        for member in pool.members() {
            if checks.len() >= AT_ONCE {
                checks.join_next().await;
            }
            let (pool, config) = (Arc::clone(&pool), config.clone());
            checks.spawn(async move {
                let passed = timeout(config.timeout.get(), passes(&pool, &member, &config)).await;
                pool.checked(&member, passed == Ok(true));
            });
        }
        while checks.join_next().await.is_some() {}
        // A little more or less, so that replicas do not all ask at once.
        let interval = config.interval.get();
        let spread = u32::try_from(random_u64() % 200).unwrap_or_default();
        sleep(interval.saturating_sub(interval / 10).saturating_add(interval / 1_000 * spread)).await;
    }
}

async fn passes(pool: &Pool, member: &Member, config: &CheckConfig) -> bool {
    let way = &pool.way;
    let tls = if way.verified { way.tls.clone() } else { way.tls.unverified() };
    let prelude = if way.proxy_protocol { proxy_header(None) } else { Vec::new() };
    let options = PlaceOptions { tls: &tls, timeout: config.timeout.get(), prelude: &prelude };
    match (dial_place(&way.url, &member.place, options).await, &config.path) {
        (Ok(stream), Some(path)) => status(stream, &way.url.authority(), path).await.is_some_and(is_good),
        (Ok(_), None) => true,
        (Err(_), _) => false,
    }
}

const fn is_good(status: u16) -> bool {
    matches!(status, 200..=299)
}

async fn status(mut stream: Stream, host: &str, path: &str) -> Option<u16> {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: sockwarden\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    stream.flush().await.ok()?;
    let mut buffer = Vec::new();
    loop {
        if let Some((head, _)) = ResponseHead::parse(&buffer, HeadLimits::default()).ok()? {
            return Some(head.status);
        }
        if stream.read_buf(&mut buffer).await.ok()? == 0 {
            return None;
        }
    }
}

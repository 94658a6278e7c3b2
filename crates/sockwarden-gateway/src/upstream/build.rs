//! From what an operator says of an application to how it is reached.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use sockwarden_model::Mode;
use sockwarden_net::{ClientTls, TlsError};
use sockwarden_proto::WsUrl;

use super::{
    Balance, CheckConfig, HealthConfig, Upstreams, UpstreamsConfig,
    address::Address,
    headers,
    pool::{Pool, Way},
};
use crate::{
    build::Problems,
    config::{LimitsConfig, RouteConfig},
};

/// The most addresses that a route names.
const MOST_ADDRESSES: usize = 64;

/// Builds the application of a route, how certificates of its servers are judged, and a hash of the files that this takes.
pub(crate) fn build(
    config: &RouteConfig,
    key: &dyn Fn(&str) -> String,
    problems: &mut Problems,
) -> Option<(Upstreams, ClientTls, u64)> {
    refuse_zeros(&config.upstreams, key, problems);
    let url = config.upstream.parse::<WsUrl>().map_err(|error| format!("`{}`: {error}", config.upstream));
    let url = problems.take(&key("upstream"), url);
    let addresses = addresses(&config.upstreams.addresses, key, problems);
    if let Some(url) = &url
        && is_cleartext(url, &addresses)
        && !config.cleartext_upstream
    {
        problems.add(
            &key("upstream"),
            "a ws:// application beyond this machine can be read and changed on the path",
            Some("use wss://, or say `cleartext_upstream = true`"),
        );
    }
    let mut files = DefaultHasher::new();
    let tls = client_tls(config, url.as_ref(), key, problems, &mut files);
    let (url, tls) = (url?, tls?);
    let sources = if addresses.is_empty() { vec![Address::of_url(&url)] } else { addresses };
    let way = Way {
        url,
        tls: tls.clone(),
        verified: config.upstream_tls.mode == Mode::Block,
        proxy_protocol: config.upstream_proxy_protocol,
    };
    let pool = Pool::new(&config.name, way, config.upstreams.clone(), sources);
    Some((Upstreams::new(pool), tls, files.finish()))
}

/// Names what works but is unwise.
pub(crate) fn warnings(
    config: &RouteConfig,
    limits: &LimitsConfig,
    mut warn: impl FnMut(&str, &str, Option<&'static str>),
) {
    let addresses: Vec<Address> = config.upstreams.addresses.iter().filter_map(|a| a.parse().ok()).collect();
    if config.cleartext_upstream && config.upstream.parse().is_ok_and(|url| is_cleartext(&url, &addresses)) {
        warn(
            "cleartext_upstream",
            "messages to the application can be read and changed on the path (T8)",
            Some("use `wss://`"),
        );
    }
    if config.upstreams.balance == Balance::HashUser && config.auth.is_none() {
        warn(
            "upstreams.balance",
            "with `auth = \"none\"` no user is known: the client's address is taken instead",
            Some("say \"hash-address\", or authenticate"),
        );
    }
    headers::warnings(&config.upstream_headers, &mut warn);
    if config.upstreams.connect_timeout > limits.upstream_timeout {
        warn(
            "upstreams.connect_timeout",
            "longer than `limits.upstream_timeout`: a second address is never tried after a silent one",
            None,
        );
    }
}

/// Tells whether messages would be readable on a path beyond this machine.
fn is_cleartext(url: &WsUrl, addresses: &[Address]) -> bool {
    let is_local =
        if addresses.is_empty() { url.is_loopback() } else { addresses.iter().all(Address::is_local) };
    !url.tls && !is_local
}

fn addresses(texts: &[String], key: &dyn Fn(&str) -> String, problems: &mut Problems) -> Vec<Address> {
    if texts.len() > MOST_ADDRESSES {
        let message = format!("there are {}, at most {MOST_ADDRESSES} are allowed", texts.len());
        problems.add(&key("upstreams.addresses"), &message, Some("a name may stand for many"));
        return Vec::new();
    }
    let mut addresses: Vec<Address> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let key = key(&format!("upstreams.addresses[{index}]"));
        let address = text.parse::<Address>().map_err(|error| format!("`{text}`: {error}"));
        let Some(address) = problems.take(&key, address) else { continue };
        if addresses.contains(&address) {
            problems.add(&key, &format!("`{text}` is named twice"), None);
        } else {
            addresses.push(address);
        }
    }
    addresses
}

fn client_tls(
    config: &RouteConfig,
    url: Option<&WsUrl>,
    key: &dyn Fn(&str) -> String,
    problems: &mut Problems,
    files: &mut DefaultHasher,
) -> Option<ClientTls> {
    let tls = match &config.upstream_ca {
        None => problems.take(&key("upstream"), ClientTls::platform()),
        Some(path) => problems.read(&key("upstream_ca"), path).and_then(|pem| {
            pem.hash(files);
            let tls = ClientTls::with_roots(&pem).map_err(|error| format!("`{}`: {error}", path.display()));
            problems.take(&key("upstream_ca"), tls)
        }),
    };
    let (certificate, private) = match (&config.upstream_certificate, &config.upstream_key) {
        (None, None) => return tls,
        (Some(_), None) => {
            let help = Some("add `upstream_key`");
            problems.add(&key("upstream_certificate"), "a certificate needs its key", help);
            return None;
        }
        (None, Some(_)) => {
            let help = Some("add `upstream_certificate`");
            problems.add(&key("upstream_key"), "a key needs its certificate", help);
            return None;
        }
        (Some(certificate), Some(private)) => (certificate, private),
    };
    if url.is_some_and(|url| !url.tls) {
        let message = "a certificate is shown over TLS only, and the application is ws://";
        problems.add(&key("upstream_certificate"), message, Some("use `wss://`"));
    }
    let chain = problems.read(&key("upstream_certificate"), certificate);
    let secret = problems.read(&key("upstream_key"), private);
    let (chain, secret) = (chain?, secret?);
    (&chain, &secret).hash(files);
    tls?.with_certificate(&chain, &secret)
        .map_err(|error| {
            let (name, path) = match &error {
                TlsError::NoKey | TlsError::KeyMismatch => ("upstream_key", private),
                TlsError::NoCertificate
                | TlsError::Malformed
                | TlsError::Unusable(_)
                | TlsError::Generate(_)
                | TlsError::Roots(_) => ("upstream_certificate", certificate),
            };
            problems.add(&key(name), &format!("`{}`: {error}", path.display()), None);
        })
        .ok()
}

/// Refuses settings under which no connection could be made, and checks that no server could pass.
fn refuse_zeros(config: &UpstreamsConfig, key: &dyn Fn(&str) -> String, problems: &mut Problems) {
    let mut refuse = |name: &str, is_wrong: bool, message: &str| {
        if is_wrong {
            problems.add(&key(&format!("upstreams.{name}")), message, None);
        }
    };
    let UpstreamsConfig {
        addresses: _,
        balance: _,
        connections,
        queue: _,
        queue_timeout: _,
        connect_timeout,
        attempts,
        resolve,
        health,
        check,
    } = config;
    let HealthConfig { failures, eject, eject_at_most } = health;
    refuse("connections", *connections == Some(0), "with 0 nothing would be connected to");
    refuse("connect_timeout", connect_timeout.is_zero(), "in no time nothing could be connected to");
    refuse("attempts", *attempts == 0, "with 0 nothing would be connected to");
    refuse("resolve", resolve.is_zero(), "names cannot be asked for all the time");
    refuse("health.failures", *failures == 0, "with 0 an address would fail before it is tried");
    refuse("health.eject", eject.is_zero(), "for no time nothing is ejected");
    refuse("health.eject_at_most", eject_at_most < eject, "less than `eject`, the first ejection");
    if let Some(CheckConfig { path, interval, timeout }) = check {
        let is_target =
            |path: &str| path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        let is_wrong = path.as_deref().is_some_and(|path| !is_target(path));
        refuse("check.path", is_wrong, "a path begins with `/` and has no blanks");
        refuse("check.interval", interval.is_zero(), "addresses cannot be checked all the time");
        refuse("check.timeout", timeout.is_zero(), "in no time nothing could answer");
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_config::HumanDuration;

    use super::*;
    use crate::Auth;

    fn keys(route: &RouteConfig) -> Vec<String> {
        let mut problems = Problems::default();
        build(route, &|name| format!("r.{name}"), &mut problems);
        problems.0.into_iter().map(|problem| problem.key).collect()
    }

    fn route(upstream: &str, change: impl FnOnce(&mut RouteConfig)) -> RouteConfig {
        let mut route = RouteConfig::new("app", upstream, Auth::NONE);
        change(&mut route);
        route
    }

    fn at(addresses: &[&str]) -> impl FnOnce(&mut RouteConfig) {
        let addresses = addresses.iter().map(|&a| a.to_owned()).collect();
        |route| route.upstreams.addresses = addresses
    }

    #[test]
    fn it_is_the_addresses_that_must_be_on_this_machine() {
        let check = |upstream, addresses: &[&str], expected: &[&str]| {
            assert_eq!(keys(&route(upstream, at(addresses))), expected, "{upstream} {addresses:?}");
        };
        check("ws://app.internal", &["unix:/run/app.sock", "127.0.0.1:1", "localhost:2"], &[]);
        check("ws://127.0.0.1:1", &["10.0.0.1:1"], &["r.upstream"]);
        check("wss://app.internal", &["10.0.0.1:1"], &[]);
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_key() {
        let check = |route: RouteConfig, expected: &[&str]| assert_eq!(keys(&route), expected);
        let good = "wss://app.internal";
        let wrong = ["10.0.0.1", "10.0.0.1:1", "wss://a:1", "unix:a", "10.0.0.1:1"];
        let wrong_ones = [0, 2, 3, 4].map(|index| format!("r.upstreams.addresses[{index}]"));
        assert_eq!(keys(&route(good, at(&wrong))), wrong_ones);
        let many: Vec<String> = (0..65).map(|n| format!("10.0.0.{n}:1")).collect();
        check(route(good, |r| r.upstreams.addresses = many), &["r.upstreams.addresses"]);
        check(route(good, |r| r.upstream_certificate = Some("x".into())), &["r.upstream_certificate"]);
        check(route(good, |r| r.upstream_key = Some("x".into())), &["r.upstream_key"]);
        let zero = HumanDuration::default();
        let nothing = UpstreamsConfig {
            connections: Some(0),
            connect_timeout: zero,
            attempts: 0,
            resolve: zero,
            health: HealthConfig { failures: 0, eject: zero, eject_at_most: zero },
            check: Some(CheckConfig { path: Some("a b".to_owned()), interval: zero, timeout: zero }),
            ..UpstreamsConfig::default()
        };
        check(
            route(good, |r| r.upstreams = nothing),
            &[
                "r.upstreams.connections",
                "r.upstreams.connect_timeout",
                "r.upstreams.attempts",
                "r.upstreams.resolve",
                "r.upstreams.health.failures",
                "r.upstreams.health.eject",
                "r.upstreams.check.path",
                "r.upstreams.check.interval",
                "r.upstreams.check.timeout",
            ],
        );
        let backwards =
            HealthConfig { eject_at_most: HumanDuration::from_secs(1), ..HealthConfig::default() };
        check(route(good, |r| r.upstreams.health = backwards), &["r.upstreams.health.eject_at_most"]);
    }

    #[test]
    fn a_client_certificate_is_read_with_its_key() {
        let [one, other] = [(); 2].map(|()| sockwarden_net::DevCertificate::generate().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            Some(folder.path().join(name))
        };
        let (certificate, key, wrong) =
            (file("c", &one.certificate), file("k", &one.key), file("w", &other.key));
        let with = |upstream: &str, key: &Option<std::path::PathBuf>| {
            keys(&route(upstream, |r| {
                (r.upstream_certificate, r.upstream_key) = (certificate.clone(), key.clone());
            }))
        };
        assert_eq!(with("wss://app.internal", &key), [""; 0]);
        assert_eq!(with("wss://app.internal", &wrong), ["r.upstream_key"]);
        assert_eq!(with("wss://app.internal", &Some("/nowhere".into())), ["r.upstream_key"]);
    }

    #[test]
    fn what_is_unwise_is_warned_of() {
        let check = |route: RouteConfig, expected: &[&str]| {
            let mut keys = Vec::new();
            warnings(&route, &LimitsConfig::default(), |key, _, _| keys.push(key.to_owned()));
            assert_eq!(keys, expected);
        };
        let good = "wss://app.internal";
        check(route(good, |_| ()), &[]);
        check(route(good, |r| r.upstreams.balance = Balance::HashUser), &["upstreams.balance"]);
        let slow = HumanDuration::from_secs(11);
        check(route(good, |r| r.upstreams.connect_timeout = slow), &["upstreams.connect_timeout"]);
        check(route("ws://127.0.0.1", |r| r.cleartext_upstream = true), &[]);
        let elsewhere = |r: &mut RouteConfig| {
            r.cleartext_upstream = true;
            r.upstreams.addresses = vec!["10.0.0.1:1".to_owned()];
        };
        check(route("ws://127.0.0.1", elsewhere), &["cleartext_upstream"]);
    }
}

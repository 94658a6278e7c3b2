//! Proxies in front: believed where they are listed, ignored or refused elsewhere.

use sockwarden_gateway::{LimitsConfig, ListenerConfig, ProxiesConfig};
use sockwarden_model::Event;
use tokio::io::AsyncWriteExt as _;

use crate::stage::{App, GOOD, Seen, Stage, read_out, route_to, status};

const LOOPBACK: &str = "127.0.0.0/8";

/// Sends `bytes` through a gateway with these proxies and gives the status, the address in its log, and what the application was told.
async fn through(proxies: ProxiesConfig, bytes: String) -> (u16, String, String) {
    let app = App::start().await;
    let listener = ListenerConfig { proxies, ..ListenerConfig::new("127.0.0.1:0") };
    let stage = Stage::listening(listener, route_to(app.address), LimitsConfig::default()).await;
    let status = status(&stage.raw(bytes.as_bytes()).await);
    let logged = stage.events().into_iter().find_map(|event| match event {
        Event::Open(open) => Some(open.client),
        Event::Verdict(verdict) => Some(verdict.client),
        Event::Close(_) | Event::Notice(_) | Event::Request(_) | Event::Audit(_) => None,
    });
    let told = app.seen().into_iter().find_map(|seen| match seen {
        Seen::Headers(headers) => {
            headers.into_iter().find(|(name, _)| name == "x-forwarded-for").map(|(_, value)| value)
        }
        Seen::Text(_) | Seen::Binary(_) | Seen::Close(_) | Seen::Vanished => None,
    });
    let ip = |text: String| text.rsplit_once(':').map_or(text.clone(), |(ip, _)| ip.to_owned());
    (status, logged.map(ip).unwrap_or_default(), told.unwrap_or_default())
}

fn networks(list: &[&str]) -> Vec<sockwarden_config::Network> {
    list.iter().map(|n| n.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_proxy_header_counts_from_listed_networks_only() {
    let check = async |listed: &[&str], header: &str, expected: (u16, &str, &str)| {
        let proxies = ProxiesConfig { proxy_protocol: networks(listed), ..ProxiesConfig::default() };
        let (status, logged, told) = through(proxies, format!("{header}{GOOD}\r\n")).await;
        assert_eq!((status, logged.as_str(), told.as_str()), expected, "{listed:?} {header:?}");
    };
    let header = "PROXY TCP4 192.0.2.7 198.51.100.1 5 443\r\n";
    check(&[LOOPBACK], header, (101, "192.0.2.7", "192.0.2.7")).await;
    check(&[LOOPBACK], "PROXY UNKNOWN\r\n", (101, "127.0.0.1", "127.0.0.1")).await;
    check(&[LOOPBACK], "", (400, "127.0.0.1", "")).await;
    check(&[LOOPBACK], "PROXY TCP4 192.0.2.256 198.51.100.1 5 443\r\n", (400, "127.0.0.1", "")).await;
    check(&[], header, (400, "127.0.0.1", "")).await;
    check(&["10.0.0.0/8"], header, (400, "127.0.0.1", "")).await;
}

#[tokio::test]
async fn a_proxy_that_only_looks_whether_we_are_there_is_no_event() {
    let app = App::start().await;
    let proxies = ProxiesConfig { proxy_protocol: networks(&[LOOPBACK]), ..ProxiesConfig::default() };
    let listener = ListenerConfig { proxies, ..ListenerConfig::new("127.0.0.1:0") };
    let stage = Stage::listening(listener, route_to(app.address), LimitsConfig::default()).await;
    for check in ["", "PROXY TC", "PROXY UNKNOWN\r\n"] {
        let mut tcp = tokio::net::TcpStream::connect(stage.address).await.unwrap();
        tcp.write_all(check.as_bytes()).await.unwrap();
        tcp.shutdown().await.unwrap();
        assert_eq!(read_out(&mut tcp).await, b"", "{check:?}");
    }
    assert_eq!(stage.events(), []);
}

#[tokio::test]
async fn forwarded_headers_count_from_trusted_proxies_only() {
    let check = async |trusted: &[&str], headers: &str, expected: (u16, &str)| {
        let proxies = ProxiesConfig { trusted: networks(trusted), ..ProxiesConfig::default() };
        let (status, logged, told) = through(proxies, format!("{GOOD}{headers}\r\n")).await;
        assert_eq!((status, logged.as_str()), expected, "{trusted:?} {headers:?}");
        assert!(status != 101 || told == expected.1);
    };
    let spoof = "X-Forwarded-For: 6.6.6.6\r\n";
    check(&[], spoof, (101, "127.0.0.1")).await;
    check(&["10.0.0.0/8"], spoof, (101, "127.0.0.1")).await;
    check(&[LOOPBACK], "X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\n", (101, "192.0.2.7")).await;
    // The origin is compared with the host that the page was asked for, and an untrusted peer cannot choose it.
    let page = "X-Forwarded-Host: app.public\r\nX-Forwarded-Proto: https\r\nOrigin: https://app.public\r\n";
    check(&[LOOPBACK], page, (101, "127.0.0.1")).await;
    check(&[], page, (403, "127.0.0.1")).await;
}

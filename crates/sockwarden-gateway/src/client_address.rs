//! Who the client is when proxies stand in between: their word counts only where they are trusted.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_config::Network;
use sockwarden_proto::handshake::Headers;

/// Whose word about the client is taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProxiesConfig {
    /// The networks of proxies that begin every connection with a PROXY protocol header (version 1 or 2). One that does not is refused; the header of anyone else is refused as well.
    pub proxy_protocol: Vec<Network>,
    /// The networks of proxies whose `X-Forwarded-…` or `Forwarded` headers are believed.
    pub trusted: Vec<Network>,
    /// Which header names the addresses on the way; the other one is never read.
    pub header: ForwardedHeader,
}

impl ProxiesConfig {
    /// Tells whether an address brings other people's connections or requests, so that it says nothing about whose they are.
    pub(crate) fn is_proxy(&self, ip: IpAddr) -> bool {
        self.proxy_protocol.iter().chain(&self.trusted).any(|network| network.contains(ip))
    }

    /// Tells whether nobody's word is taken.
    pub(crate) const fn is_empty(&self) -> bool {
        self.proxy_protocol.is_empty() && self.trusted.is_empty()
    }
}

/// Which header names the addresses on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, with `X-Forwarded-Proto` and `X-Forwarded-Host`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// What is known of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientAddress {
    /// Its address.
    pub(crate) ip: IpAddr,
    /// Whether it came over TLS, to us or to the first proxy.
    pub(crate) tls: bool,
    /// The host and port that it asked for.
    pub(crate) host: Option<String>,
}

/// One proxy's word.
#[derive(Debug, Default, PartialEq)]
struct Hop<'a> {
    by: Option<IpAddr>,
    proto: Option<&'a str>,
    host: Option<&'a str>,
}

/// Finds the client of a request that `peer` sent.
///
/// The addresses are read from the right, each believed because the one after it is a trusted proxy; the first that is none
/// is the client. What a client wrote itself stands further left and is never reached.
pub(crate) fn identify(config: &ProxiesConfig, peer: IpAddr, tls: bool, headers: &Headers) -> ClientAddress {
    let host = headers.text("host").map(str::to_owned);
    let mut client = ClientAddress { ip: peer.to_canonical(), tls, host };
    let is_trusted = |ip: IpAddr| config.trusted.iter().any(|network| network.contains(ip));
    if !is_trusted(peer) {
        return client;
    }
    let hops = match config.header {
        ForwardedHeader::XForwardedFor => x_forwarded(headers),
        ForwardedHeader::Forwarded => forwarded(headers),
    };
    for hop in hops.iter().rev() {
        if let Some(proto) = hop.proto {
            client.tls = proto.eq_ignore_ascii_case("https") || proto.eq_ignore_ascii_case("wss");
        }
        if let Some(host) = hop.host {
            client.host = Some(host.to_owned());
        }
        // What cannot be read is not believed, and neither is anything behind it.
        let Some(ip) = hop.by else { break };
        client.ip = ip.to_canonical();
        if !is_trusted(ip) {
            break;
        }
    }
    client
}

/// Reads X-Forwarded-For; protocol and host are those that the last proxy says.
fn x_forwarded(headers: &Headers) -> Vec<Hop<'_>> {
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let last = |name| headers.list(name).last().and_then(text);
    let mut hops: Vec<Hop<'_>> = headers
        .list("x-forwarded-for")
        .map(|member| Hop { by: text(member).and_then(address), ..Hop::default() })
        .collect();
    let said = (last("x-forwarded-proto"), last("x-forwarded-host"));
    if hops.is_empty() {
        hops.push(Hop::default());
    }
    if let Some(nearest) = hops.last_mut() {
        (nearest.proto, nearest.host) = said;
    }
    hops
}

/// Reads Forwarded (RFC 7239 §4).
fn forwarded(headers: &Headers) -> Vec<Hop<'_>> {
    headers
        .list("forwarded")
        .map(|element| {
            let mut hop = Hop::default();
            for pair in std::str::from_utf8(element).unwrap_or_default().split(';') {
                let Some((name, value)) = pair.split_once('=') else { continue };
                let value = value.trim().trim_matches('"');
                match name.trim().to_ascii_lowercase().as_str() {
                    "for" => hop.by = address(value),
                    "proto" => hop.proto = Some(value),
                    "host" => hop.host = Some(value),
                    _ => {}
                }
            }
            hop
        })
        .collect()
}

/// Reads an address with or without a port, an IPv6 one with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return Some(address.ip());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use sockwarden_proto::handshake::Header;

    use super::*;

    fn identified(header: ForwardedHeader, peer: &str, fields: &[(&str, &str)]) -> String {
        let config = ProxiesConfig {
            trusted: ["10.0.0.0/8", "fd00::/8"].map(|n| n.parse().unwrap()).to_vec(),
            header,
            ..ProxiesConfig::default()
        };
        let headers = Headers(
            std::iter::once(("Host", "inner"))
                .chain(fields.iter().copied())
                .map(|(name, value)| Header { name: name.to_owned(), value: value.as_bytes().to_vec() })
                .collect(),
        );
        let client = identify(&config, peer.parse().unwrap(), false, &headers);
        let scheme = if client.tls { "https" } else { "http" };
        format!("{} {scheme} {}", client.ip, client.host.unwrap_or_default())
    }

    #[test]
    fn x_forwarded_for_is_read_from_the_right_and_only_from_trusted_peers() {
        let check = |peer, fields: &[(&str, &str)], expected: &str| {
            assert_eq!(identified(ForwardedHeader::XForwardedFor, peer, fields), expected, "{fields:?}");
        };
        let all =
            |list| [("X-Forwarded-For", list), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "outer")];
        check("192.0.2.9", &all("6.6.6.6"), "192.0.2.9 http inner");
        check("10.0.0.1", &all("192.0.2.1"), "192.0.2.1 https outer");
        check("10.0.0.1", &all("6.6.6.6, 192.0.2.1"), "192.0.2.1 https outer");
        check("10.0.0.1", &all("6.6.6.6, 192.0.2.1, 10.0.0.2"), "192.0.2.1 https outer");
        check("10.0.0.1", &all("10.0.0.3, 10.0.0.2"), "10.0.0.3 https outer");
        check("10.0.0.1", &all("6.6.6.6, nonsense"), "10.0.0.1 https outer");
        check("10.0.0.1", &all("192.0.2.1:1234"), "192.0.2.1 https outer");
        check("10.0.0.1", &all("[2001:db8::1]:1"), "2001:db8::1 https outer");
        check("fd00::1", &all("2001:db8::1"), "2001:db8::1 https outer");
        check("::ffff:10.0.0.1", &all("::ffff:192.0.2.1"), "192.0.2.1 https outer");
        check(
            "10.0.0.1",
            &[("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "192.0.2.1")],
            "192.0.2.1 http inner",
        );
        check("10.0.0.1", &[("Forwarded", "for=6.6.6.6;proto=https")], "10.0.0.1 http inner");
        check("10.0.0.1", &[("X-Forwarded-Proto", "http, https")], "10.0.0.1 https inner");
        check("10.0.0.1", &[], "10.0.0.1 http inner");
    }

    #[test]
    fn forwarded_is_read_where_it_is_chosen() {
        let check = |fields: &[(&str, &str)], expected: &str| {
            assert_eq!(identified(ForwardedHeader::Forwarded, "10.0.0.1", fields), expected, "{fields:?}");
        };
        check(&[("Forwarded", "for=192.0.2.1;proto=https;host=outer")], "192.0.2.1 https outer");
        check(&[("Forwarded", "for=6.6.6.6, For=\"[2001:db8::1]:47\";Proto=wss")], "2001:db8::1 https inner");
        check(&[("Forwarded", "for=6.6.6.6, for=_hidden")], "10.0.0.1 http inner");
        check(&[("Forwarded", "for=192.0.2.1, for=10.0.0.2")], "192.0.2.1 http inner");
        check(&[("X-Forwarded-For", "6.6.6.6")], "10.0.0.1 http inner");
    }
}

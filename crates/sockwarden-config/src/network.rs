//! A network as people write it.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A network, such as `10.0.0.0/8` or `fd00::/8`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Network(IpNet);

/// Says that a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a network is an address and a prefix, such as 10.0.0.0/8 or fd00::/8, or a single address")]
pub struct NetworkError;

impl Network {
    /// Gives the network of the first `bits` bits around an address, at most all of them; an IPv4 address that is written as
    /// IPv6 counts as what it is.
    pub fn around(address: IpAddr, bits: u8) -> Self {
        let whole = IpNet::from(address.to_canonical());
        Self(IpNet::new(whole.addr(), bits.min(whole.max_prefix_len())).unwrap_or(whole).trunc())
    }

    /// Gives how many bits its addresses have in common.
    pub fn bits(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Tells whether its addresses are those of IPv4.
    pub fn is_ipv4(&self) -> bool {
        matches!(self.0, IpNet::V4(_))
    }

    /// Tells whether an address lies in the network; an IPv4 address that is written as IPv6 counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl std::str::FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address.to_canonical()),
            Err(_) => text.parse::<IpNet>().map_err(|_| NetworkError)?,
        };
        Ok(Self(network.trunc()))
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_lies_in_a_network_or_does_not() {
        let check = |network: &str, address: &str, expected: bool| {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), expected, "{network} {address}");
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.1.2.3/8", "10.9.9.9", true);
        check("10.0.0.0/8", "::ffff:10.0.0.1", true);
        check("127.0.0.1", "127.0.0.1", true);
        check("127.0.0.1", "127.0.0.2", false);
        check("fd00::/8", "fd12::1", true);
        check("fd00::/8", "10.0.0.1", false);
        check("0.0.0.0/0", "::1", false);
    }

    #[test]
    fn every_address_has_networks_around_it() {
        let check = |address: &str, bits, expected: &str, is_ipv4| {
            let network = Network::around(address.parse().unwrap(), bits);
            assert_eq!((network.to_string().as_str(), network.is_ipv4()), (expected, is_ipv4));
            assert!(network.contains(address.parse().unwrap()));
        };
        check("10.1.2.3", 24, "10.1.2.0/24", true);
        check("10.1.2.3", 0, "0.0.0.0/0", true);
        check("::ffff:10.1.2.3", 64, "10.1.2.3/32", true);
        check("fd00:1:2:3:4::5", 64, "fd00:1:2:3::/64", false);
        check("fd00::5", 255, "fd00::5/128", false);
        assert_eq!(Network::around("10.1.2.3".parse().unwrap(), 24).bits(), 24);
    }

    #[test]
    fn only_a_network_is_a_network() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "localhost", "10.0.0.0/-1"] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text}");
        }
        assert_eq!("10.1.2.3/8".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
    }
}

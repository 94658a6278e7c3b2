//! Who is counted as one.

use std::net::{IpAddr, Ipv6Addr};

/// Whom messages are counted for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A user, by the name under which somebody vouches for it.
    User(Box<str>),
    /// An address of IPv4, or the first 64 bits of one of IPv6, all of which one client may have.
    Address(IpAddr),
    /// One connection, by its number.
    Connection(u64),
}

impl Subject {
    /// Gives the subject of an address.
    pub fn of_address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            v4 @ IpAddr::V4(_) => v4,
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        })
    }

    /// Tells whether other replicas know it by the same name: numbers of connections are each replica's own.
    pub(crate) const fn is_known_elsewhere(&self) -> bool {
        match self {
            Self::User(_) | Self::Address(_) => true,
            Self::Connection(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_has_64_bits_of_addresses() {
        let of = |text: &str| Subject::of_address(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }
}

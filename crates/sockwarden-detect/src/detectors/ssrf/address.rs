//! Addresses of hosts in every spelling that some resolver takes.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// Where a cloud tells its machines their secrets.
    Metadata,
    /// The machine itself.
    Loopback,
    /// A network that nobody outside reaches.
    Private,
    /// Anything else.
    Public,
}

/// Reads a host; tells also whether it is an address that is not written as people write it.
pub(super) fn read(host: &[u8]) -> (Host, bool) {
    let mut small = [0_u8; 80];
    let mut length = 0;
    for byte in host {
        let Some(room) = small.get_mut(length) else { return (Host::Public, false) };
        *room = byte.to_ascii_lowercase();
        length += 1;
    }
    let host = small.get(..length).unwrap_or_default();
    let host = host.strip_suffix(b".").unwrap_or(host);
    if let Some(inner) = host.strip_prefix(b"[") {
        let inner = inner.split(|byte| matches!(byte, b']' | b'%')).next().unwrap_or(inner);
        return std::str::from_utf8(inner)
            .ok()
            .and_then(|text| text.parse().ok())
            .map_or((Host::Public, true), of_v6);
    }
    if let Some((address, plain)) = v4(host) {
        return (of_v4(address), !plain);
    }
    (of_name(host), false)
}

fn of_name(host: &[u8]) -> Host {
    const METADATA: &[&[u8]] = &[
        b"metadata.google.internal",
        b"metadata",
        b"instance-data",
        b"metadata.packet.net",
        b"metadata.tencentyun.com",
        b"metadata.goog",
        b"rancher-metadata",
    ];
    const LOOPBACK: &[&[u8]] = &[
        b"localhost",
        b"localhost4",
        b"localhost6",
        b"localhost.localdomain",
        b"localhost4.localdomain4",
        b"localhost6.localdomain6",
        b"ip6-localhost",
        b"ip6-loopback",
    ];
    const RESOLVING: &[&[u8]] = &[
        b".localhost",
        b".localtest.me",
        b".nip.io",
        b".xip.io",
        b".sslip.io",
        b".vcap.me",
        b".lvh.me",
        b".lacolhost.com",
        b".docker.internal",
        b".svc.cluster.local",
        b".localdomain",
    ];
    if METADATA.contains(&host) {
        return Host::Metadata;
    }
    let resolves = RESOLVING.iter().any(|end| host.ends_with(end) || end.get(1..) == Some(host));
    if LOOPBACK.contains(&host) || resolves || host == b"kubernetes.default" {
        return Host::Loopback;
    }
    Host::Public
}

fn of_v4(address: Ipv4Addr) -> Host {
    match address.octets() {
        [169, 254, 169, 254]
        | [169, 254, 170, 2]
        | [100, 100, 100, 200]
        | [192, 0, 0, 192]
        | [168, 63, 129, 16] => Host::Metadata,
        [127 | 0, ..] => Host::Loopback,
        [10, ..] | [192, 168, ..] | [169, 254, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] => {
            Host::Private
        }
        _ => Host::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> (Host, bool) {
    let segments = address.segments();
    if address.is_loopback() || address.is_unspecified() {
        return (Host::Loopback, false);
    }
    if let [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] = segments {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        return (of_v4(Ipv4Addr::new(a, b, c, d)), true);
    }
    match segments {
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] => (Host::Metadata, false),
        [0xfc00..=0xfdff, ..] | [0xfe80..=0xfebf, ..] => (Host::Private, false),
        _ => (Host::Public, false),
    }
}

/// Reads one to four numbers, decimal, octal or hexadecimal, as `inet_aton` does; tells also whether they are four in decimal.
fn v4(host: &[u8]) -> Option<(Ipv4Addr, bool)> {
    let mut parts = [0_u64; 4];
    let mut count = 0;
    let mut plain = true;
    for part in host.split(|byte| *byte == b'.') {
        let (digits, radix) = match part {
            [b'0', b'x', digits @ ..] => (digits, 16),
            [b'0', digits @ ..] if !digits.is_empty() => (digits, 8),
            digits => (digits, 10),
        };
        plain &= radix == 10;
        if digits.len() > 20 || digits.is_empty() && radix != 16 {
            return None;
        }
        let number = digits.iter().try_fold(0_u64, |sum, digit| {
            char::from(*digit)
                .to_digit(radix)
                .map(|digit| sum.wrapping_mul(u64::from(radix)).wrapping_add(u64::from(digit)))
        })?;
        *parts.get_mut(count)? = number;
        count += 1;
    }
    let last = *parts.get(count.checked_sub(1)?)?;
    // What is too large wraps round, as it does in some readers.
    let mut address = last & (u64::from(u32::MAX) >> (8 * (count - 1)));
    for (number, part) in parts.iter().take(count - 1).enumerate() {
        address |= (part & 0xff) << (24 - 8 * number);
    }
    // A lone small number is a number.
    if count == 1 && plain && last < 1 << 24 {
        return None;
    }
    Some((Ipv4Addr::from(u32::try_from(address).ok()?), plain && count == 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_known_in_every_spelling() {
        let check = |host: &str, expected| assert_eq!(read(host.as_bytes()), expected, "{host}");
        check("127.0.0.1", (Host::Loopback, false));
        check("127.1", (Host::Loopback, true));
        check("2130706433", (Host::Loopback, true));
        check("0x7f000001", (Host::Loopback, true));
        check("0177.0.0.01", (Host::Loopback, true));
        check("017700000001", (Host::Loopback, true));
        check("0xA9.0xFE.0xA9.0xFE", (Host::Metadata, true));
        check("169.16689662", (Host::Metadata, true));
        check("0x41414141A9FEA9FE", (Host::Metadata, true));
        check("169.254.169.254", (Host::Metadata, false));
        check("[::1]", (Host::Loopback, false));
        check("[::ffff:127.0.0.1]", (Host::Loopback, true));
        check("[::ffff:a9fe:a9fe]", (Host::Metadata, true));
        check("10.0.0.7", (Host::Private, false));
        check("8.8.8.8", (Host::Public, false));
        check("LocalHost.", (Host::Loopback, false));
        check("127.0.0.1.nip.io", (Host::Loopback, false));
        check("example.com", (Host::Public, false));
        check("12.com", (Host::Public, false));
        check("", (Host::Public, false));
    }
}

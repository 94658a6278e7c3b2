//! The PROXY protocol, versions 1 and 2: a proxy in front tells whose connection it hands over.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The longest header of version 1, its line break included.
const LONGEST_V1: usize = 107;
/// The longest header of version 2 that is accepted: addresses and some extensions.
const LONGEST_V2: usize = 1024;
/// What precedes the addresses of version 2: signature, version, family, length.
const FIXED_V2: usize = 16;

/// Why there is no PROXY header where one must be.
#[derive(Debug, thiserror::Error)]
pub enum ProxyProtocolError {
    /// What came is none, or a malformed one.
    #[error("the PROXY protocol header is missing or malformed")]
    Malformed,
    /// The connection ended or broke before its end.
    #[error("the connection ended within the PROXY protocol header: {0}")]
    Io(#[from] io::Error),
}

/// Reads a PROXY header and not a byte more; gives the client's address, or `None` where the proxy speaks for itself
/// (`UNKNOWN` of version 1, `LOCAL` of version 2) or the client has no IP address.
///
/// # Errors
/// There is no header, or it is malformed.
pub async fn read_proxy_header(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<SocketAddr>, ProxyProtocolError> {
    let first = stream.read_u8().await?;
    match first {
        b'P' => read_v1(stream).await,
        b'\r' => read_v2(stream).await,
        _ => Err(ProxyProtocolError::Malformed),
    }
}

/// Writes a header of version 2 that hands over a connection from the first address to the second; without addresses it says
/// that the connection is the proxy's own (`LOCAL`), as for a health check.
pub fn proxy_header(addresses: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let (command, family) = match addresses {
        None => (v2::Command::Local, v2::Addresses::Unspecified),
        Some((from, to)) => {
            let (from, to) = same_family(from, to);
            (v2::Command::Proxy, (from, to).into())
        }
    };
    let protocol = match family {
        v2::Addresses::Unspecified => v2::Protocol::Unspecified,
        v2::Addresses::IPv4(_) | v2::Addresses::IPv6(_) | v2::Addresses::Unix(_) => v2::Protocol::Stream,
    };
    let built = v2::Builder::with_addresses(v2::Version::Two | command, protocol, family).build();
    // Only extensions can make a header too long, and it has none.
    built.unwrap_or_default()
}

/// Gives both addresses as IPv4 where both are, else as IPv6: a header has one family for the two.
fn same_family(from: SocketAddr, to: SocketAddr) -> (SocketAddr, SocketAddr) {
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let wide = |address: SocketAddr| match address.ip() {
        IpAddr::V4(v4) => SocketAddr::new(v4.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    let (from, to) = (canonical(from), canonical(to));
    if from.is_ipv4() && to.is_ipv4() { (from, to) } else { (wide(from), wide(to)) }
}

async fn read_v1(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<SocketAddr>, ProxyProtocolError> {
    let mut line = vec![b'P'];
    // Byte by byte: what follows the line break belongs to TLS or HTTP.
    while !line.ends_with(b"\r\n") {
        if line.len() == LONGEST_V1 {
            return Err(ProxyProtocolError::Malformed);
        }
        line.push(stream.read_u8().await?);
    }
    let header = v1::Header::try_from(line.as_slice()).map_err(|_| ProxyProtocolError::Malformed)?;
    Ok(match header.addresses {
        v1::Addresses::Tcp4(a) => Some((a.source_address, a.source_port).into()),
        v1::Addresses::Tcp6(a) => Some((a.source_address, a.source_port).into()),
        v1::Addresses::Unknown => None,
    })
}

async fn read_v2(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<SocketAddr>, ProxyProtocolError> {
    let mut header = vec![0; FIXED_V2];
    header[0] = b'\r';
    stream.read_exact(&mut header[1..]).await?;
    let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
    if !header.starts_with(v2::PROTOCOL_PREFIX) || FIXED_V2 + length > LONGEST_V2 {
        return Err(ProxyProtocolError::Malformed);
    }
    header.resize(FIXED_V2 + length, 0);
    stream.read_exact(&mut header[FIXED_V2..]).await?;
    let header = v2::Header::try_from(header.as_slice()).map_err(|_| ProxyProtocolError::Malformed)?;
    if header.command == v2::Command::Local {
        return Ok(None);
    }
    Ok(match header.addresses {
        v2::Addresses::IPv4(a) => Some((a.source_address, a.source_port).into()),
        v2::Addresses::IPv6(a) => Some((a.source_address, a.source_port).into()),
        v2::Addresses::Unix(_) | v2::Addresses::Unspecified => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a header from `bytes`; gives the address (or `?` for an error) and what is left.
    async fn read(bytes: &[u8]) -> (String, usize) {
        let mut rest = bytes;
        let outcome = match read_proxy_header(&mut rest).await {
            Ok(Some(address)) => address.to_string(),
            Ok(None) => "none".to_owned(),
            Err(_) => "?".to_owned(),
        };
        (outcome, rest.len())
    }

    fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let mut bytes = v2::PROTOCOL_PREFIX.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(addresses.len()).unwrap().to_be_bytes());
        bytes.extend(addresses);
        bytes
    }

    #[tokio::test]
    async fn both_versions_are_read_to_their_end_and_no_further() {
        let check = async |bytes: &[u8], expected: &str| {
            let mut followed = bytes.to_vec();
            followed.extend(b"GET / ");
            assert_eq!(read(&followed).await, (expected.to_owned(), 6), "{bytes:02x?}");
            for cut in 0..bytes.len() {
                assert_eq!(read(&bytes[..cut]).await.0, "?", "cut at {cut}");
            }
        };
        check(b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", "192.0.2.1:56324").await;
        check(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n", "[2001:db8::1]:1").await;
        check(b"PROXY UNKNOWN\r\n", "none").await;
        let v4 = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 1, 0xbb];
        check(&v2(0x21, 0x11, &v4), "192.0.2.1:56324").await;
        check(&v2(0x20, 0x11, &v4), "none").await;
        check(&v2(0x20, 0x00, &[]), "none").await;
        let with_extension = [&v4[..], &[0x04, 0, 2, 1, 2]].concat();
        check(&v2(0x21, 0x11, &with_extension), "192.0.2.1:56324").await;
    }

    #[tokio::test]
    async fn what_is_written_is_read() {
        let check = async |from: &str, to: &str, length: usize| {
            let header = proxy_header(Some((from.parse().unwrap(), to.parse().unwrap())));
            assert_eq!((read(&header).await, header.len()), ((from.to_owned(), 0), length), "{from} {to}");
            let library = v2::Header::try_from(header.as_slice()).unwrap();
            assert_eq!(library.protocol, v2::Protocol::Stream);
        };
        check("192.0.2.1:5", "198.51.100.1:443", 28).await;
        check("[2001:db8::1]:5", "[2001:db8::2]:443", 52).await;
        check("[2001:db8::1]:5", "198.51.100.1:443", 52).await;
        check("[::ffff:192.0.2.1]:5", "[2001:db8::2]:443", 52).await;
        let own = proxy_header(None);
        assert_eq!((read(&own).await, own.len()), (("none".to_owned(), 0), 16));
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let check = async |bytes: &[u8]| assert_eq!(read(bytes).await.0, "?", "{bytes:02x?}");
        check(b"GET / HTTP/1.1\r\n\r\n").await;
        check(b"PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n").await;
        check(b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n\r\n").await;
        check(&[&b"PROXY UNKNOWN"[..], &[b' '; 200], b"\r\n"].concat()).await;
        check(&v2(0x21, 0x11, &[0; 4])).await;
        check(&v2(0x31, 0x11, &[0; 12])).await;
        check(&v2(0x21, 0x00, &[0; 2000])).await;
    }
}

//! The opening handshake, as little of it as a benchmark needs.

use anyhow::{Context as _, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha1::{Digest as _, Sha1};

/// The key of RFC 6455 §1.3; what is measured does not depend on it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const APART: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
const TAKEOVER: &str = "permessage-deflate";
/// The longest head that is read.
pub(crate) const LONGEST_HEAD: usize = 8 * 1024;

/// How messages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    /// Not at all.
    None,
    /// Each by itself.
    Apart,
    /// Each on top of all before it (RFC 7692 §7.1.1): one that is lost or changed spoils all that follow.
    Takeover,
}

impl Compression {
    fn header(self) -> String {
        match self {
            Self::None => String::new(),
            Self::Apart => format!("Sec-WebSocket-Extensions: {APART}\r\n"),
            Self::Takeover => format!("Sec-WebSocket-Extensions: {TAKEOVER}\r\n"),
        }
    }

    /// Reads what a request offers or an answer agrees to.
    fn of(head: &str) -> Self {
        match header(head, "sec-websocket-extensions") {
            Some(text) if text.contains("client_no_context_takeover") => Self::Apart,
            Some(text) if text.contains("permessage-deflate") => Self::Takeover,
            Some(_) | None => Self::None,
        }
    }
}

/// The client's request.
pub(crate) fn request(host: &str, compression: Compression) -> String {
    let extension = compression.header();
    format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extension}\r\n"
    )
}

/// The server's answer to a request, and the compression that it agrees to.
pub(crate) fn answer(request: &str) -> anyhow::Result<(String, Compression)> {
    let key = header(request, "sec-websocket-key").context("no key in the request")?;
    let compression = Compression::of(request);
    let extension = compression.header();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{extension}\r\n",
        accept(key)
    );
    Ok((answer, compression))
}

/// Checks the server's answer to [`request`].
pub(crate) fn check_answer(answer: &str, offered: Compression) -> anyhow::Result<()> {
    let status = answer.lines().next().unwrap_or_default();
    ensure!(status.split(' ').nth(1) == Some("101"), "the upgrade was answered `{}`", status.escape_debug());
    ensure!(header(answer, "sec-websocket-accept") == Some(&accept(KEY)), "the answer is for another key");
    let agreed = Compression::of(answer);
    ensure!(agreed == offered, "compression was offered as {offered:?} and came back as {agreed:?}");
    Ok(())
}

/// Where a head ends, if all of it is there.
pub(crate) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn accept(key: &str) -> String {
    let digest = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    BASE64_STANDARD.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_6455_1_3() {
        assert_eq!(accept(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn an_answer_fits_its_request() {
        for compression in [Compression::None, Compression::Apart, Compression::Takeover] {
            let (answer, agreed) = answer(&request("localhost", compression)).unwrap();
            assert_eq!(agreed, compression);
            check_answer(&answer, compression).unwrap();
        }
        let (answer, _) = answer(&request("localhost", Compression::None)).unwrap();
        assert!(check_answer(&answer, Compression::Apart).is_err());
        assert!(check_answer("HTTP/1.1 403 Forbidden\r\n\r\n", Compression::None).is_err());
    }
}

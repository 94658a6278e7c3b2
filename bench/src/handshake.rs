//! The opening handshake, as little of it as a benchmark needs.

use anyhow::{Context as _, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha1::{Digest as _, Sha1};

/// The key of RFC 6455 §1.3; what is measured does not depend on it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const DEFLATE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
/// The longest head that is read.
pub(crate) const LONGEST_HEAD: usize = 8 * 1024;

/// The client's request.
pub(crate) fn request(host: &str, compressed: bool) -> String {
    let extension =
        if compressed { format!("Sec-WebSocket-Extensions: {DEFLATE}\r\n") } else { String::new() };
    format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extension}\r\n"
    )
}

/// The server's answer to a request.
pub(crate) fn answer(request: &str) -> anyhow::Result<String> {
    let key = header(request, "sec-websocket-key").context("no key in the request")?;
    let offers = header(request, "sec-websocket-extensions").unwrap_or_default();
    let extension = if offers.contains("permessage-deflate") {
        format!("Sec-WebSocket-Extensions: {DEFLATE}\r\n")
    } else {
        String::new()
    };
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{extension}\r\n",
        accept(key)
    ))
}

/// Checks the server's answer to [`request`].
pub(crate) fn check_answer(answer: &str, compressed: bool) -> anyhow::Result<()> {
    let status = answer.lines().next().unwrap_or_default();
    ensure!(status.split(' ').nth(1) == Some("101"), "the upgrade was answered `{}`", status.escape_debug());
    ensure!(header(answer, "sec-websocket-accept") == Some(&accept(KEY)), "the answer is for another key");
    let agreed = header(answer, "sec-websocket-extensions").is_some_and(|e| e.contains("permessage-deflate"));
    ensure!(
        agreed == compressed,
        "compression was {} on the way",
        if agreed { "added" } else { "taken out" }
    );
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
        for compressed in [false, true] {
            let answer = answer(&request("localhost", compressed)).unwrap();
            check_answer(&answer, compressed).unwrap();
            assert!(check_answer(&answer, !compressed).is_err());
        }
        assert!(check_answer("HTTP/1.1 403 Forbidden\r\n\r\n", false).is_err());
    }
}

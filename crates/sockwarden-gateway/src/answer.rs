//! What the gateway itself answers a request with; the connection ends with that.

use std::time::Duration;

use sockwarden_net::Stream;
use sockwarden_proto::handshake::http_response;
use tokio::io::AsyncWriteExt as _;

use crate::{connection::HSTS, farewell::linger};

/// An answer of our own on its way to the client.
pub(crate) struct Answer {
    pub(crate) status: u16,
    told: String,
    is_json: bool,
    /// Header lines of its own.
    headers: Vec<String>,
}

impl Answer {
    /// Answers with a text for a person.
    pub(crate) const fn new(status: u16, told: String) -> Self {
        Self { status, told, is_json: false, headers: Vec::new() }
    }

    /// Answers in JSON.
    pub(crate) const fn json(status: u16, told: String) -> Self {
        Self { status, told, is_json: true, headers: Vec::new() }
    }

    /// Adds a header line.
    pub(crate) fn with(mut self, header: &str) -> Self {
        self.headers.push(header.to_owned());
        self
    }
}

/// Gives the header line that says when to come back, in whole seconds (RFC 9110 §10.2.3).
pub(crate) fn retry_after(wait: Duration) -> String {
    format!("Retry-After: {}", wait.as_millis().div_ceil(1000).max(1))
}

/// Answers and ends the connection: nothing behind what was asked is read.
pub(crate) async fn answer(mut stream: Stream, answer: &Answer, tls: bool) {
    let mut headers: Vec<&str> = answer.headers.iter().map(String::as_str).collect();
    match answer.status {
        401 => headers.push("WWW-Authenticate: Session"),
        405 if headers.is_empty() => headers.push("Allow: GET"),
        426 => headers.extend(["Upgrade: websocket", "Sec-WebSocket-Version: 13"]),
        _ => {}
    }
    if tls {
        headers.push(HSTS);
    }
    let kind = if answer.is_json { "application/json" } else { "text/plain; charset=utf-8" };
    let end = if answer.told.is_empty() { "" } else { "\n" };
    let bytes = http_response(answer.status, &headers, kind, &format!("{}{end}", answer.told));
    if stream.write_all(&bytes).await.is_ok() && stream.flush().await.is_ok() {
        linger(stream).await;
    }
}

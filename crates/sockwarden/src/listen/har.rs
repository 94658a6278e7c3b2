//! A conversation as an HTTP archive (HAR 1.2) with `_webSocketMessages`, as browsers write and read it.

use std::io;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::{Value, json};
use sockwarden_model::Direction;
use sockwarden_proto::{
    MessageKind, WsUrl,
    handshake::{ClientHandshake, ResponseHead},
};
use sockwarden_scan::{is_credential, is_secret_name};

use crate::moment::date_time;

/// How many bytes of messages are kept.
const MOST: usize = 256 << 20;
/// What stands where a secret was.
const GONE: &str = "[redacted]";

/// What will be written.
#[derive(Debug)]
pub(crate) struct Har {
    url: String,
    query: Vec<Value>,
    request: Vec<Value>,
    response: Value,
    began_ms: u64,
    opened_ms: u64,
    messages: Vec<Entry>,
    held: usize,
    left_out: u64,
}

/// One message.
#[derive(Debug, Serialize)]
struct Entry {
    r#type: &'static str,
    /// Seconds since the Unix epoch.
    time: f64,
    opcode: u8,
    /// The text, or base64 of the bytes.
    data: String,
}

impl Har {
    /// Begins an archive with the handshake; without `with_secrets`, cookies, credentials and tokens are left out of it.
    pub(crate) fn new(
        url: &WsUrl,
        handshake: &ClientHandshake,
        answer: &ResponseHead,
        (began_ms, opened_ms): (u64, u64),
        with_secrets: bool,
    ) -> Self {
        let shown = if with_secrets { url.clone() } else { without_secrets(url) };
        let query = shown.target.split_once('?').map_or("", |(_, query)| query);
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            json!({"name": name, "value": value})
        });
        let header = |name: &str, value: &[u8]| {
            let secret =
                is_credential(name) || name.eq_ignore_ascii_case("set-cookie") || is_secret_name(name);
            let value = if secret && !with_secrets { GONE.into() } else { String::from_utf8_lossy(value) };
            json!({"name": name, "value": value})
        };
        let request = handshake.encode();
        let lines = request.split(|&byte| byte == b'\n').skip(1);
        let request = lines
            .filter_map(|line| {
                let line = line.trim_ascii();
                let colon = line.iter().position(|&byte| byte == b':')?;
                Some(header(&String::from_utf8_lossy(&line[..colon]), line[colon + 1..].trim_ascii()))
            })
            .collect();
        let headers: Vec<Value> =
            answer.headers.0.iter().map(|field| header(&field.name, &field.value)).collect();
        let response = json!({
            "status": answer.status,
            "statusText": String::from_utf8_lossy(&answer.reason),
            "httpVersion": format!("HTTP/1.{}", answer.minor_version),
            "headers": headers,
            "cookies": [],
            "content": {"size": 0, "mimeType": "x-unknown"},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
        });
        Self {
            url: shown.to_string(),
            query: query.collect(),
            request,
            response,
            began_ms,
            opened_ms,
            messages: Vec::new(),
            held: 0,
            left_out: 0,
        }
    }

    /// Keeps a message, where there is room.
    pub(crate) fn message(&mut self, at_ms: u64, direction: Direction, kind: MessageKind, bytes: &[u8]) {
        if bytes.len() > MOST - self.held {
            self.left_out += 1;
            return;
        }
        self.held += bytes.len();
        let data = match (kind, std::str::from_utf8(bytes)) {
            (MessageKind::Text, Ok(text)) => text.to_owned(),
            (MessageKind::Text | MessageKind::Binary, _) => STANDARD.encode(bytes),
        };
        self.messages.push(Entry {
            r#type: match direction {
                Direction::Client => "send",
                Direction::Server => "receive",
            },
            #[expect(clippy::cast_precision_loss, reason = "milliseconds fit a double for 285,000 years")]
            time: at_ms as f64 / 1000.0,
            opcode: kind.opcode().bits(),
            data,
        });
    }

    /// Writes the archive; tells how many messages it had no room for.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(&self, ended_ms: u64, out: &mut impl io::Write) -> io::Result<u64> {
        let (wait, whole) =
            (self.opened_ms.saturating_sub(self.began_ms), ended_ms.saturating_sub(self.began_ms));
        let mut entry = json!({
            "startedDateTime": date_time(self.began_ms),
            "time": whole,
            "request": {
                "method": "GET",
                "url": self.url,
                "httpVersion": "HTTP/1.1",
                "headers": self.request,
                "queryString": self.query,
                "cookies": [],
                "headersSize": -1,
                "bodySize": 0,
            },
            "response": self.response,
            "cache": {},
            "timings": {"send": 0, "wait": wait, "receive": whole - wait},
            "_resourceType": "websocket",
            "_webSocketMessages": self.messages,
        });
        if self.left_out > 0 {
            entry["comment"] =
                format!("{} messages were left out: the archive was full", self.left_out).into();
        }
        let archive = json!({"log": {
            "version": "1.2",
            "creator": {"name": "sockwarden", "version": env!("CARGO_PKG_VERSION")},
            "pages": [],
            "entries": [entry],
        }});
        serde_json::to_writer_pretty(&mut *out, &archive)?;
        out.write_all(b"\n")?;
        out.flush()?;
        Ok(self.left_out)
    }
}

/// Takes the values of parameters out of an address whose names say that they are secret.
pub(crate) fn without_secrets(url: &WsUrl) -> WsUrl {
    let mut shown = url.clone();
    if let Some((path, query)) = url.target.split_once('?') {
        let pair = |pair: &str| match pair.split_once('=') {
            Some((name, _)) if is_secret_name(name) => format!("{name}={GONE}"),
            Some(_) | None => pair.to_owned(),
        };
        shown.target = format!("{path}?{}", query.split('&').map(pair).collect::<Vec<_>>().join("&"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use sockwarden_proto::handshake::HeadLimits;

    use super::*;

    fn archive(with_secrets: bool) -> Value {
        let url: WsUrl = "wss://app.example/ws?room=1&token=marked-secret&x".parse().unwrap();
        let handshake = ClientHandshake::new(&url.authority(), &url.target, "dGhlIHNhbXBsZSBub25jZQ==")
            .with_header("Cookie", "sid=marked-secret")
            .with_header("X-Team", "red");
        let answer =
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSet-Cookie: a=marked-secret\r\n\r\n";
        let (answer, _) = ResponseHead::parse(answer, HeadLimits::default()).unwrap().unwrap();
        let mut har =
            Har::new(&url, &handshake, &answer, (1_700_000_000_000, 1_700_000_000_020), with_secrets);
        har.message(1_700_000_000_500, Direction::Client, MessageKind::Text, "hü".as_bytes());
        har.message(1_700_000_001_000, Direction::Server, MessageKind::Binary, b"\x00\xff");
        let mut out = Vec::new();
        assert_eq!(har.write(1_700_000_002_000, &mut out).unwrap(), 0);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn an_archive_holds_the_handshake_and_the_messages_without_secrets() {
        let archive = archive(false);
        assert!(!archive.to_string().contains("marked-secret"));
        let entry = &archive["log"]["entries"][0];
        assert_eq!(entry["startedDateTime"], "2023-11-14T22:13:20.000Z");
        assert_eq!(entry["request"]["url"], "wss://app.example/ws?room=1&token=[redacted]&x");
        assert_eq!(entry["request"]["headers"][6], json!({"name": "X-Team", "value": "red"}));
        assert_eq!(entry["response"]["status"], 101);
        assert_eq!(entry["timings"], json!({"send": 0, "wait": 20, "receive": 1980}));
        let expected = json!([
            {"type": "send", "time": 1_700_000_000.5, "opcode": 1, "data": "hü"},
            {"type": "receive", "time": 1_700_000_001.0, "opcode": 2, "data": "AP8="},
        ]);
        assert_eq!(entry["_webSocketMessages"], expected);
    }

    #[test]
    fn secrets_stay_where_they_are_asked_for() {
        assert_eq!(archive(true).to_string().matches("marked-secret").count(), 4);
    }
}

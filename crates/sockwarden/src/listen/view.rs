//! What was said, written as it happens: for people, or one JSON object a line.

use std::{
    io::{self, Write},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sockwarden_model::{Direction, printable, printable_text};
use sockwarden_proto::{CloseCode, MessageKind};

use crate::{
    seen::{Seen, harmless_json, say_operation},
    style::{ERROR, FAINT, GOOD, STRONG, WARNING},
};

use super::{Room, body};

/// How it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// For people.
    Text(Room),
    /// One JSON object a line.
    Json,
}

/// Something that was said.
#[derive(Debug)]
pub(crate) struct Said<'a> {
    /// Since the connection was opened.
    pub(crate) after: Duration,
    /// Milliseconds since the Unix epoch.
    pub(crate) at_ms: u64,
    pub(crate) direction: Direction,
    pub(crate) what: What<'a>,
}

#[derive(Debug)]
pub(crate) enum What<'a> {
    Message(MessageKind, &'a [u8], &'a Seen),
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    Close(Option<CloseCode>, &'a str),
    /// The server broke the protocol, in words.
    Violation(&'a str),
}

/// Where it is written to.
pub(crate) struct View {
    form: Form,
    out: Box<dyn Write>,
}

impl View {
    pub(crate) fn new(form: Form, out: Box<dyn Write>) -> Self {
        Self { form, out }
    }

    /// Writes what was said, at once.
    ///
    /// # Errors
    /// Nobody takes it.
    pub(crate) fn write(&mut self, said: &Said<'_>) -> io::Result<()> {
        let text = match self.form {
            Form::Text(room) => text(said, room),
            Form::Json => format!("{}\n", harmless_json(&object(said).to_string())),
        };
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Writes that the connection is open; people are told elsewhere.
    ///
    /// # Errors
    /// Nobody takes it.
    pub(crate) fn opened(&mut self, at_ms: u64, url: &str, subprotocol: Option<&str>) -> io::Result<()> {
        match self.form {
            Form::Text(_) => Ok(()),
            Form::Json => {
                let opened = json!({"event": "open", "at_ms": at_ms, "url": url, "subprotocol": subprotocol});
                writeln!(self.out, "{}", harmless_json(&opened.to_string()))?;
                self.out.flush()
            }
        }
    }
}

fn text(said: &Said<'_>, room: Room) -> String {
    const INDENT: &str = "    ";
    let after = format!("{:>8.3}s", said.after.as_secs_f64());
    let (style, arrow) = match said.direction {
        Direction::Client => (STRONG, "→"),
        Direction::Server => (GOOD, "←"),
    };
    let mut out = format!("{FAINT}{after}{FAINT:#} {style}{arrow}{style:#} ");
    let mut below = Vec::new();
    match said.what {
        What::Message(kind, bytes, seen) => {
            out.push_str(&format!("{STRONG}{}{STRONG:#} {FAINT}{} B{FAINT:#}", kind_name(kind), bytes.len()));
            if let Some(protocol) = &seen.protocol {
                out.push_str(&format!("  {}", protocol.name));
            }
            let operations: Vec<String> = seen.operations.iter().take(8).map(say_operation).collect();
            if !operations.is_empty() {
                let more = if seen.operations.len() > operations.len() { "; …" } else { "" };
                out.push_str(&format!("  {STRONG}{}{more}{STRONG:#}", operations.join("; ")));
            }
            let width = room.width.saturating_sub(INDENT.len()).max(20);
            below = body::lines(kind, bytes, Room { width, ..room });
            for anomaly in seen.anomalies.iter().take(8) {
                let place = if anomaly.place.is_empty() { "the message" } else { &anomaly.place };
                let place = printable_text(place, 60);
                below.push(format!("{WARNING}!{WARNING:#} {place}: {}", anomaly.words));
            }
        }
        What::Ping(payload) => out.push_str(&control("ping", payload)),
        What::Pong(payload) => out.push_str(&control("pong", payload)),
        What::Close(code, reason) => {
            let code = code
                .map_or_else(|| "without a code".to_owned(), |code| format!("{code} ({})", meaning(code)));
            out.push_str(&format!("{STRONG}close{STRONG:#} {code} {}", printable_text(reason, 200)));
        }
        What::Violation(words) => out.push_str(&format!("{ERROR}broke the protocol:{ERROR:#} {words}")),
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    for line in below {
        out.push_str(&format!("{INDENT}{line}\n"));
    }
    out
}

fn control(name: &str, payload: &[u8]) -> String {
    format!("{STRONG}{name}{STRONG:#} {FAINT}{} B{FAINT:#} {}", payload.len(), printable(payload, 125))
}

fn object(said: &Said<'_>) -> Value {
    let mut object = json!({
        "event": match said.what {
            What::Message(..) => "message",
            What::Ping(_) => "ping",
            What::Pong(_) => "pong",
            What::Close(..) => "close",
            What::Violation(_) => "violation",
        },
        "at_ms": said.at_ms,
        "after_ms": u64::try_from(said.after.as_millis()).unwrap_or(u64::MAX),
        "direction": said.direction.to_string(),
    });
    match said.what {
        What::Message(kind, bytes, seen) => {
            object["opcode"] = kind_name(kind).into();
            payload(&mut object, bytes);
            object["seen"] = json!(seen);
        }
        What::Ping(bytes) | What::Pong(bytes) => payload(&mut object, bytes),
        What::Close(code, reason) => {
            object["code"] = code.map(|code| code.0).into();
            object["meaning"] = code.map(meaning).into();
            object["reason"] = reason.into();
        }
        What::Violation(words) => object["words"] = words.into(),
    }
    object
}

fn payload(object: &mut Value, bytes: &[u8]) {
    object["size"] = bytes.len().into();
    match std::str::from_utf8(bytes) {
        Ok(text) => object["text"] = text.into(),
        Err(_) => object["base64"] = STANDARD.encode(bytes).into(),
    }
}

fn kind_name(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Text => "text",
        MessageKind::Binary => "binary",
    }
}

/// Says what a close code means (RFC 6455 §7.4 and its registry).
pub(crate) fn meaning(code: CloseCode) -> &'static str {
    match code.0 {
        1000 => "normal",
        1001 => "going away",
        1002 => "protocol error",
        1003 => "unsupported data",
        1007 => "invalid data",
        1008 => "policy",
        1009 => "too big",
        1010 => "an extension is missing",
        1011 => "internal error",
        1012 => "restart",
        1013 => "try again later",
        1014 => "bad gateway",
        3000..=3999 => "of a library or framework",
        4000..=4999 => "of the application",
        _ => "reserved",
    }
}

#[cfg(test)]
mod tests {
    use sockwarden_inspect::{InspectLimits, Message, Opening, Reader};

    use super::*;
    use crate::seen::Choice;

    fn seen(kind: MessageKind, bytes: &[u8]) -> Seen {
        let message = Message { direction: Direction::Client, kind, bytes };
        let mut conversation = Choice::Auto.begin(&Opening::default());
        Seen::of(&mut conversation, &mut Reader::default(), &InspectLimits::default(), &message)
    }

    /// A short conversation in one form.
    fn shown(form: impl Fn(&Said<'_>) -> String) -> String {
        let call = br#"{"jsonrpc":"2.0","id":1,"method":"add","params":{"a":1,"a":2}}"#;
        let (call_seen, bytes_seen) =
            (seen(MessageKind::Text, call), seen(MessageKind::Binary, b"\x00\x1b[2J\xff"));
        let all = [
            (Direction::Client, What::Message(MessageKind::Text, call, &call_seen)),
            (Direction::Server, What::Message(MessageKind::Binary, b"\x00\x1b[2J\xff", &bytes_seen)),
            (Direction::Server, What::Ping(b"\x1b[2J")),
            (Direction::Client, What::Pong(b"")),
            (Direction::Server, What::Close(Some(CloseCode(4001)), "bye\u{1b}[2J ü")),
            (Direction::Server, What::Close(None, "")),
            (Direction::Server, What::Violation("a masked frame")),
        ];
        let said = all.into_iter().zip(0_u64..).map(|((direction, what), at)| Said {
            after: Duration::from_millis(at * 1500),
            at_ms: 1_700_000_000_000 + at * 1500,
            direction,
            what,
        });
        said.map(|said| form(&said)).collect()
    }

    #[test]
    fn people_read_times_arrows_operations_and_bodies() {
        let text = shown(|said| text(said, Room { width: 60, lines: Some(6) }));
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string(), @r#"
           0.000s → text 62 B  json-rpc  call add (1)
            {
              "jsonrpc": "2.0",
              "id": 1,
              "method": "add",
              "params": {
                "a": 1,
            … 3 more lines (--full shows them)
            ! /params/a: a name stands twice in one object
           1.500s ← binary 6 B
            00000000  00 1b 5b 32 4a ff                                 |..[2J.|
           3.000s ← ping 4 B \x1b[2J
           4.500s → pong 0 B
           6.000s ← close 4001 (of the application) bye\u{1b}[2J ü
           7.500s ← close without a code
           9.000s ← broke the protocol: a masked frame
        "#);
        assert!(!anstream::adapter::strip_str(&text).to_string().contains('\u{1b}'));
    }

    #[test]
    fn programs_read_one_object_a_line() {
        let values = |line: Value| {
            let count = line["seen"]["values"].as_array().map(Vec::len);
            let mut line = line;
            if let Some(count) = count {
                line["seen"]["values"] = count.into();
            }
            format!("{line}\n")
        };
        insta::assert_snapshot!(shown(|said| values(object(said))), @r#"
        {"event":"message","at_ms":1700000000000,"after_ms":0,"direction":"client","opcode":"text","size":62,"text":"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"add\",\"params\":{\"a\":1,\"a\":2}}","seen":{"protocol":{"name":"json-rpc","by":"first messages"},"operations":[{"protocol":"json-rpc","action":"call","name":"add","subject":null,"id":"1"}],"values":11,"anomalies":[{"place":"/params/a","id":"duplicate-key","words":"a name stands twice in one object"}]}}
        {"event":"message","at_ms":1700000001500,"after_ms":1500,"direction":"server","opcode":"binary","size":6,"base64":"ABtbMkr/","seen":{"protocol":null,"operations":[],"values":1,"anomalies":[]}}
        {"event":"ping","at_ms":1700000003000,"after_ms":3000,"direction":"server","size":4,"text":"\u001b[2J"}
        {"event":"pong","at_ms":1700000004500,"after_ms":4500,"direction":"client","size":0,"text":""}
        {"event":"close","at_ms":1700000006000,"after_ms":6000,"direction":"server","code":4001,"meaning":"of the application","reason":"bye\u001b[2J ü"}
        {"event":"close","at_ms":1700000007500,"after_ms":7500,"direction":"server","code":null,"meaning":null,"reason":""}
        {"event":"violation","at_ms":1700000009000,"after_ms":9000,"direction":"server","words":"a masked frame"}
        "#);
    }
}

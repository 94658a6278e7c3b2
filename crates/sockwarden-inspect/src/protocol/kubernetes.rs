//! The channels of Kubernetes: exec, attach and port-forward of a pod.
//!
//! The first byte of a message is its channel; where the sub-protocol says base64 it is a digit and base64 follows. Each message is an
//! operation whose subject is the channel's name: `stdin`, `stdout`, `stderr`, `error`, `resize`, of a forwarded port `data` and
//! `error` with the port as the id. `close` ends the channel that is its subject. What runs in a tunnel of SPDY is told as bytes.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sockwarden_model::Direction;

use super::{Declaration, Protocol, Speaker};
use crate::{
    Action, Anomaly, Breach, Format, Message, Opening, Operation, content, format::json, walk::Walk,
};

pub(super) static DECLARATION: Declaration = Declaration {
    protocol: Protocol::Kubernetes,
    name: "kubernetes",
    tokens: &[
        "channel.k8s.io",
        "base64.channel.k8s.io",
        "v4.channel.k8s.io",
        "v4.base64.channel.k8s.io",
        "v5.channel.k8s.io",
        "v5.base64.channel.k8s.io",
        "portforward.k8s.io",
        "v2.portforward.k8s.io",
        "SPDY/3.1+portforward.k8s.io",
    ],
    target: |target| verb(target).is_some(),
    message: |_| false,
    speaker: || Box::<Kubernetes>::default(),
};

/// What a channel is for, by its number.
static CHANNELS: [(&str, Direction); 5] = [
    ("stdin", Direction::Client),
    ("stdout", Direction::Server),
    ("stderr", Direction::Server),
    ("error", Direction::Server),
    ("resize", Direction::Client),
];

const RESIZE: u8 = 4;

/// The channel that closes others, from version 5 on.
const CLOSE: u8 = 255;

#[derive(Default)]
struct Kubernetes {
    base64: bool,
    closes: bool,
    carries: Carries,
    /// Ports by the channels that belong to them.
    ports: BTreeMap<u8, u16>,
}

/// What a connection carries.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Carries {
    /// The streams of a command.
    #[default]
    Streams,
    /// Two channels for each port.
    Ports,
    /// SPDY, in which ports have streams.
    Tunnel,
}

impl Speaker for Kubernetes {
    fn open(&mut self, opening: &Opening<'_>) {
        let token = opening.subprotocol.unwrap_or_default().to_ascii_lowercase();
        self.base64 = token.contains("base64.");
        self.closes = token.starts_with("v5.");
        self.carries = match verb(opening.target) {
            _ if token.ends_with("portforward.k8s.io") => Carries::Tunnel,
            Some("portforward") => Carries::Ports,
            Some(_) | None => Carries::Streams,
        };
    }

    fn message(&mut self, message: &Message<'_>, walk: &mut Walk<'_>) {
        if self.carries == Carries::Tunnel {
            content::bytes(walk, message.bytes);
            return tell(walk, None, "tunnel", None);
        }
        let Some((&first, payload)) = message.bytes.split_first() else {
            return broken(walk, Breach::MissingField);
        };
        if !self.base64 {
            return self.channel(walk, first, payload);
        }
        if !first.is_ascii_digit() {
            broken(walk, Breach::NotOfTheProtocol);
            return content::message(walk, message);
        }
        if !walk.decoded(payload.len() / 4 * 3) {
            return content::text(walk, payload);
        }
        let mut decoded = walk.buffer();
        match STANDARD.decode_vec(payload, &mut decoded) {
            Ok(()) => self.channel(walk, first - b'0', &decoded),
            Err(_) => {
                broken(walk, Breach::BadField);
                self.channel(walk, first - b'0', payload);
            }
        }
        walk.give(decoded);
    }
}

impl Kubernetes {
    /// Reads what is sent on a channel.
    fn channel(&mut self, walk: &mut Walk<'_>, number: u8, payload: &[u8]) {
        if self.carries == Carries::Ports {
            return self.port(walk, number, payload);
        }
        if number == CLOSE && self.closes {
            return close(walk, payload);
        }
        let Some((name, sender)) = CHANNELS.get(usize::from(number)).copied() else {
            broken(walk, Breach::UnknownType);
            return content::body(walk, payload);
        };
        if sender != walk.direction {
            broken(walk, Breach::WrongDirection);
        }
        walk.at_key(name.as_bytes(), |walk| {
            if number == RESIZE && json::begins(payload) {
                return content::declared(walk, Format::Json, payload);
            }
            if number == RESIZE {
                broken(walk, Breach::BadField);
            }
            stream(walk, payload);
        });
        tell(walk, None, name, None);
    }

    /// Reads what is sent on a channel of a forwarded port: the first message of a server on each says which it is.
    fn port(&mut self, walk: &mut Walk<'_>, number: u8, payload: &[u8]) {
        let name = if number.is_multiple_of(2) { "data" } else { "error" };
        if walk.direction == Direction::Client && name == "error" {
            broken(walk, Breach::WrongDirection);
        }
        let known = self.ports.contains_key(&number);
        match payload {
            [low, high] if !known && walk.direction == Direction::Server => {
                self.ports.insert(number, u16::from_le_bytes([*low, *high]));
            }
            _ => {
                if !known {
                    broken(walk, Breach::OutOfOrder);
                }
                walk.at_key(name.as_bytes(), |walk| stream(walk, payload));
            }
        }
        let port = self.ports.get(&number).map(u16::to_string);
        tell(walk, None, name, port.as_deref());
    }
}

/// Reads a piece of a stream; empty ones tell that a stream is there.
fn stream(walk: &mut Walk<'_>, payload: &[u8]) {
    if !payload.is_empty() {
        content::body(walk, payload);
    }
}

/// Reads which channel is closed.
fn close(walk: &mut Walk<'_>, payload: &[u8]) {
    if walk.direction == Direction::Server {
        broken(walk, Breach::WrongDirection);
    }
    let name = match payload {
        [number] => CHANNELS.get(usize::from(*number)).map(|(name, _)| *name),
        _ => None,
    };
    match name {
        Some(name) => tell(walk, Some("close"), name, None),
        None => {
            broken(walk, Breach::BadField);
            stream(walk, payload);
        }
    }
}

/// Gives what a target asks of a pod: `exec`, `attach` or `portforward`.
fn verb(target: &str) -> Option<&str> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let mut parts = path.rsplit('/');
    let verb = parts.next().filter(|verb| matches!(*verb, "exec" | "attach" | "portforward"))?;
    let (pod, pods) = (parts.next()?, parts.next()?);
    let (namespace, namespaces) = (parts.next()?, parts.next()?);
    let version = (parts.next()?, parts.next()?);
    let named = !pod.is_empty() && !namespace.is_empty();
    (named && pods == "pods" && namespaces == "namespaces" && version == ("v1", "api")).then_some(verb)
}

fn tell(walk: &mut Walk<'_>, name: Option<&str>, subject: &str, id: Option<&str>) {
    let subject = Some(subject);
    walk.operation(&Operation { protocol: Protocol::Kubernetes, action: Action::Stream, name, subject, id });
}

fn broken(walk: &mut Walk<'_>, breach: Breach) {
    walk.anomaly(Anomaly::Breach(Protocol::Kubernetes, breach));
}

#[cfg(test)]
mod tests {
    use sockwarden_proto::MessageKind;

    use super::*;
    use crate::{Conversation, InspectLimits, Reader, testing::Notes};

    const EXEC: &str = "/api/v1/namespaces/default/pods/web-0/exec?command=sh&stdin=true";
    const FORWARD: &str = "/api/v1/namespaces/default/pods/web-0/portforward?ports=80";

    fn talk(token: &str, target: &str, messages: &[(&str, &[u8])]) -> Notes {
        let opening = Opening { subprotocol: Some(token).filter(|token| !token.is_empty()), target };
        let mut conversation = Conversation::new(None, &opening);
        assert_eq!(conversation.protocol().map(|(protocol, _)| protocol), Some(Protocol::Kubernetes));
        let (mut notes, mut reader) = (Notes::default(), Reader::default());
        for (side, bytes) in messages {
            let direction = if *side == ">" { Direction::Client } else { Direction::Server };
            let message = Message { direction, kind: MessageKind::Binary, bytes };
            conversation.message(&mut reader, &InspectLimits::default(), &message, &mut notes);
        }
        notes
    }

    #[test]
    fn a_size_that_is_no_text_is_told_as_bytes() {
        let notes = talk("v5.channel.k8s.io", EXEC, &[(">", b"\x04{\"Hei\xc2ght\":24}")]);
        assert_eq!(notes.said, ["! text that is not UTF-8", "stream on resize"]);
        assert_eq!(notes.values[0], r#"/resize binary {\"Hei\xc2ght\":24}"#);
    }

    #[test]
    fn streams_are_values_under_the_name_of_their_channel() {
        let notes = talk(
            "v5.channel.k8s.io",
            EXEC,
            &[
                ("<", b"\x01"),
                (">", b"\x04{\"Width\":80,\"Height\":24}"),
                (">", b"\x00ls -l; cat /etc/passwd"),
                ("<", b"\x01a\xff"),
                ("<", b"\x02oops"),
                ("<", b"\x03{\"status\":\"Success\"}"),
                (">", b"\xff\x00"),
            ],
        );
        let said = [
            "stream on stdout",
            "stream on resize",
            "stream on stdin",
            "stream on stdout",
            "stream on stderr",
            "stream on error",
            "stream close on stdin",
        ];
        assert_eq!(notes.said, said);
        assert!(
            notes.values.contains(&"/stdin text ls -l; cat /etc/passwd".to_owned()),
            "{:?}",
            notes.values
        );
        assert!(notes.values.contains(&"/resize/Width number 80".to_owned()));
        assert!(notes.values.contains(&"/error/status identifier Success".to_owned()));
        assert!(notes.values.contains(&"/stdout binary a\\xff".to_owned()));
    }

    #[test]
    fn base64_is_resolved() {
        for token in ["base64.channel.k8s.io", "v4.base64.channel.k8s.io"] {
            let notes = talk(token, "", &[(">", b"0bHMgLWw="), ("<", b"1"), ("<", b"1!!")]);
            assert_eq!(notes.values[0], "/stdin text ls -l");
            assert_eq!(
                notes.said,
                [
                    "stream on stdin",
                    "stream on stdout",
                    "! a field has a value that it cannot have",
                    "stream on stdout"
                ]
            );
        }
    }

    #[test]
    fn ports_are_told_by_the_first_message_of_each_channel() {
        let notes = talk(
            "v4.channel.k8s.io",
            FORWARD,
            &[("<", b"\x00\x50\x00"), ("<", b"\x01\x50\x00"), (">", b"\x00GET / HTTP/1.1"), ("<", b"\x00ok")],
        );
        let said =
            ["stream on data id 80", "stream on error id 80", "stream on data id 80", "stream on data id 80"];
        assert_eq!(notes.said, said);
        let early = talk("v4.channel.k8s.io", FORWARD, &[(">", b"\x00x"), (">", b"\x01x")]).said;
        assert_eq!(early.iter().filter(|said| said.starts_with('!')).count(), 3, "{early:?}");
        assert_eq!(
            talk("SPDY/3.1+portforward.k8s.io", FORWARD, &[(">", b"\x80\x03\0\x01")]).said,
            ["stream on tunnel"]
        );
    }

    #[test]
    fn what_breaks_the_protocol_is_told() {
        let check = |token: &str, side: &str, bytes: &[u8], expected: &[&str]| {
            assert_eq!(talk(token, EXEC, &[(side, bytes)]).said, expected, "{bytes:x?}");
        };
        let (v4, side) = ("v4.channel.k8s.io", "! sent by the side that must not send it");
        check("", ">", b"\x00x", &["stream on stdin"]);
        check(v4, ">", b"", &["! a field that it must have is missing"]);
        check(v4, ">", b"\x01x", &[side, "stream on stdout"]);
        check(v4, "<", b"\x00x", &[side, "stream on stdin"]);
        check(v4, ">", b"\x05x", &["! a type that the protocol does not have"]);
        check(v4, ">", b"\xff\x00", &["! a type that the protocol does not have"]);
        check(v4, ">", b"\x04x", &["! a field has a value that it cannot have", "stream on resize"]);
        check("v5.channel.k8s.io", ">", b"\xff\x09", &["! a field has a value that it cannot have"]);
        check("v5.channel.k8s.io", "<", b"\xff\x01", &[side, "stream close on stdout"]);
        check("base64.channel.k8s.io", ">", b"x", &["! no message of the protocol"]);
    }

    #[test]
    fn pods_are_recognised_by_the_path() {
        assert_eq!(verb(EXEC), Some("exec"));
        assert_eq!(verb("/k8s/clusters/c-1/api/v1/namespaces/a/pods/b/attach"), Some("attach"));
        assert_eq!(verb(FORWARD), Some("portforward"));
        for target in [
            "/exec",
            "/api/v1/pods/a/exec",
            "/api/v1/namespaces//pods/b/exec",
            "/x?/api/v1/namespaces/a/pods/b/exec",
        ] {
            assert_eq!(verb(target), None, "{target}");
        }
    }
}

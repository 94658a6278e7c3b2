//! SockJS: a letter and JSON from the server, arrays of strings from the client; what stands in the strings is a conversation of its own.
//!
//! The messages inside are read as if they had come by themselves (STOMP, for one), at the places of their strings: `/0|text`. What opens,
//! keeps alive and closes a session is an operation of SockJS.

use sockwarden_model::Direction;
use sockwarden_proto::MessageKind;

use super::{Declaration, Protocol, Speaker, envelope};
use crate::{
    Action, Anomaly, Breach, Chosen, Format, Message, Operation, Role, Shape, Sink, Step, Value, content,
    conversation::Spoken, format::json, walk::Walk,
};

pub(super) static DECLARATION: Declaration = Declaration {
    protocol: Protocol::SockJs,
    name: "sockjs",
    tokens: &[],
    target: is_target,
    message: opens,
    speaker: || Box::new(SockJs { inner: Spoken::inside(Protocol::SockJs), state: State::Fresh }),
};

struct SockJs {
    inner: Spoken,
    state: State,
}

/// How far the session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The server has said nothing yet.
    Fresh,
    /// It was opened.
    Open,
    /// The server closed it.
    Closed,
}

impl Speaker for SockJs {
    fn inner(&self) -> Option<(Protocol, Chosen)> {
        self.inner.protocol()
    }

    fn is_within(&self, direction: Direction) -> bool {
        self.inner.is_within(direction)
    }

    fn message(&mut self, message: &Message<'_>, walk: &mut Walk<'_>) {
        if message.kind == MessageKind::Binary {
            breach(walk, Breach::WrongKind);
            if !envelope::is_text(message) {
                return content::bytes(walk, message.bytes);
            }
        }
        match walk.direction {
            // Servers pass over a message that holds nothing.
            Direction::Client if message.bytes.is_empty() => {}
            Direction::Client => self.messages(message.bytes, walk),
            Direction::Server => self.frame(message, walk),
        }
    }
}

fn breach(walk: &mut Walk<'_>, breach: Breach) {
    walk.anomaly(Anomaly::Breach(Protocol::SockJs, breach));
}

impl SockJs {
    /// Reads what a server sends.
    fn frame(&mut self, message: &Message<'_>, walk: &mut Walk<'_>) {
        let Some((letter, rest)) = message.bytes.split_first() else {
            return breach(walk, Breach::NotOfTheProtocol);
        };
        let in_order = match (self.state, letter) {
            (State::Fresh, b'o' | b'c') => true,
            (State::Fresh, _) | (State::Open, b'o') | (State::Closed, _) => false,
            (State::Open, _) => true,
        };
        if !in_order {
            breach(walk, Breach::OutOfOrder);
        }
        if self.state != State::Closed {
            self.state = if *letter == b'c' { State::Closed } else { State::Open };
        }
        let (action, name) = match letter {
            b'o' => (Action::Connected, "open"),
            b'h' => (Action::KeepAlive, "heartbeat"),
            b'c' => (Action::Disconnect, "close"),
            b'a' | b'm' => return self.messages(rest, walk),
            _ => {
                breach(walk, Breach::UnknownType);
                return content::message(walk, message);
            }
        };
        if *letter == b'c' && json::begins(rest) {
            walk.json(rest);
        } else if *letter == b'c' || !rest.is_empty() {
            breach(walk, Breach::BadField);
            content::rest(walk, rest);
        }
        let protocol = Protocol::SockJs;
        walk.operation(&Operation { protocol, action, name: Some(name), subject: None, id: None });
    }

    /// Reads messages of the conversation inside: strings in an array, or one string.
    fn messages(&mut self, json: &[u8], walk: &mut Walk<'_>) {
        let is_array = match json.trim_ascii_start().first() {
            Some(b'[') => true,
            Some(b'"') => false,
            _ => {
                breach(walk, Breach::NotOfTheProtocol);
                return content::text(walk, json);
            }
        };
        let depth = walk.state.path.len() + usize::from(is_array);
        let (mut texts, mut ends, mut others) = (walk.buffer(), Vec::new(), false);
        let mut tap = |value: &Value<'_>, sink: &mut dyn Sink| {
            if value.shape == Shape::String && value.place.len() == depth && value.role == Role::Value {
                texts.extend_from_slice(value.bytes);
                let number = match value.place.last() {
                    Some(Step::Index(number)) => number,
                    Some(Step::Key(_) | Step::Inside(_)) | None => 0,
                };
                ends.push((texts.len(), number));
            } else {
                others = true;
                sink.value(value);
            }
        };
        walk.caught(&mut tap, |walk| walk.json(json));
        if others {
            breach(walk, Breach::BadField);
        }
        let mut start = 0;
        for (end, number) in ends {
            let text = texts.get(start..end).unwrap_or_default();
            start = end;
            if is_array {
                walk.at_index(number, |walk| self.message_inside(text, walk));
            } else {
                self.message_inside(text, walk);
            }
        }
        walk.give(texts);
    }

    fn message_inside(&mut self, text: &[u8], walk: &mut Walk<'_>) {
        let message = Message { direction: walk.direction, kind: MessageKind::Text, bytes: text };
        let read = walk.inside(Format::Text, |walk| self.inner.message(&message, walk));
        if read.is_none() {
            content::rest(walk, text);
        }
    }
}

/// Tells whether the path is the one of a session: `/base/000/session/websocket`.
fn is_target(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    let mut parts = path.rsplit('/');
    parts.next() == Some("websocket")
        && parts.next().is_some_and(|session| !session.is_empty() && !session.contains('.'))
        && parts
            .next()
            .is_some_and(|server| server.len() == 3 && server.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Tells whether a message opens a session.
fn opens(message: &Message<'_>) -> bool {
    message.direction == Direction::Server && message.kind == MessageKind::Text && message.bytes == b"o"
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Direction::{self, Client, Server};

    use super::*;
    use crate::testing::{Notes, read};

    fn of(messages: &[(Direction, &'static str)]) -> Notes {
        let text =
            |(direction, text): &(Direction, &'static str)| (*direction, MessageKind::Text, text.as_bytes());
        let messages: Vec<_> = messages.iter().map(text).collect();
        read(Some(Protocol::SockJs), &messages)
    }

    #[test]
    fn frames_are_told_as_what_they_do() {
        let check = |messages: &[(Direction, &'static str)], expected: &str| {
            assert_eq!(of(messages).said.join("; "), expected, "{messages:?}");
        };
        check(
            &[(Server, "o"), (Server, "h"), (Server, "c[3000,\"Go away!\"]")],
            "connected open; keep-alive heartbeat; disconnect close",
        );
        check(
            &[(Server, "o"), (Server, r#"a["x"]"#), (Client, r#"["x"]"#), (Client, ""), (Client, "\"x\"")],
            "connected open",
        );
        let order = "! sent before the session began or after it ended";
        check(&[(Server, "h")], &format!("{order}; keep-alive heartbeat"));
        check(&[(Server, "o"), (Server, "o")], &format!("connected open; {order}; connected open"));
        check(&[(Server, "c[1,\"\"]"), (Server, "a[]")], &format!("disconnect close; {order}"));
        check(&[(Server, "o"), (Server, "x")], "connected open; ! a type that the protocol does not have");
        check(&[(Server, "ohello")], "! a field has a value that it cannot have; connected open");
        check(&[(Server, "c")], "! a field has a value that it cannot have; disconnect close");
        check(&[(Server, "")], "! no message of the protocol");
        check(&[(Client, "hello")], "! no message of the protocol");
        check(&[(Client, "[7]")], "! a field has a value that it cannot have");
        check(&[(Client, r#"["a",{"b":"c"}]"#)], "! a field has a value that it cannot have");
        check(&[(Client, r#"["a""#)], "! no well-formed json from byte 4 on");
    }

    #[test]
    fn what_stands_inside_is_read_as_a_conversation() {
        let notes = of(&[
            (
                Client,
                r#"["{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":1}","{\"jsonrpc\":\"2.0\",\"method\":\"b\"}"]"#,
            ),
            (Server, r#"a["{\"jsonrpc\":\"2.0\",\"result\":[2],\"id\":1}"]"#),
        ]);
        let said: Vec<&str> =
            notes.said.iter().map(String::as_str).filter(|said| !said.starts_with('!')).collect();
        assert_eq!(said, ["call a id 1", "event b", "reply id 1"]);
        assert!(notes.values.contains(&"/1|text/method identifier b".to_owned()), "{:?}", notes.values);
        assert!(notes.values.contains(&"/0|text/result/0 number 2".to_owned()), "{:?}", notes.values);
    }

    #[test]
    fn nothing_inside_is_lost_or_told_twice() {
        let check = |text: &'static str, expected: &[&str]| {
            assert_eq!(of(&[(Client, text)]).values, expected, "{text}")
        };
        check(r#"["{\"a\":\"b c\"}"]"#, &["/0|text/a key a", "/0|text/a text b c"]);
        check(r#"["plain words",7]"#, &["/1 number 7", "/0|text text plain words"]);
        check(r#""one""#, &["|text identifier one"]);
        check(r#"[["x"],"y"]"#, &["/0/0 identifier x", "/1|text identifier y"]);
    }

    #[test]
    fn a_target_of_a_session_has_three_parts() {
        let check = |target: &str, expected| assert_eq!(is_target(target), expected, "{target}");
        check("/ws/123/k2jf8sd9/websocket", true);
        check("/000/x/websocket?a=b", true);
        check("/ws/websocket", false);
        check("/ws/12a/x/websocket", false);
        check("/ws/123/x.y/websocket", false);
        check("/ws/123//websocket", false);
    }
}

//! Telling a peer, in the words of its own sub-protocol, that what it asked for is refused.

use sockwarden_proto::MessageKind;

use crate::{Action, Operation, Protocol};

/// What a message asked for, as far as an answer needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    protocol: Protocol,
    action: Action,
    subject: Option<Box<str>>,
    id: Option<Box<str>>,
}

impl Asked {
    /// Remembers an operation.
    pub fn of(operation: &Operation<'_>) -> Self {
        let &Operation { protocol, action, name: _, subject, id } = operation;
        Self { protocol, action, subject: subject.map(Into::into), id: id.map(Into::into) }
    }

    /// Words the refusal of what a message asked for, whose bytes are `message`; `None` where the protocol has no words for it, or
    /// nobody waits for an answer.
    ///
    /// | protocol | shape |
    /// |---|---|
    /// | JSON-RPC 2.0, CDP | an error object with code -32001 |
    /// | GraphQL over WebSocket | `error` of the operation |
    /// | WAMP 2 | `ERROR` with `wamp.error.not_authorized` |
    /// | OCPP-J | `CALLERROR` with `SecurityError` |
    /// | Socket.IO 4 | the event `error` in the namespace; where an acknowledgement is awaited, that, with `{ error }` |
    /// | Phoenix channels | `phx_reply` with status `error` |
    /// | SignalR (JSON) | a completion with an error |
    /// | Action Cable | `reject_subscription` |
    pub fn refused(&self, told: &str, message: &[u8]) -> Option<(MessageKind, Vec<u8>)> {
        let told = quoted(told);
        let id = || self.id.as_deref().map(|id| literal(id, message));
        let text = match self.protocol {
            Protocol::JsonRpc if self.action == Action::Call => {
                format!(r#"{{"jsonrpc":"2.0","error":{{"code":-32001,"message":{told}}},"id":{}}}"#, id()?)
            }
            Protocol::Cdp => format!(r#"{{"id":{},"error":{{"code":-32001,"message":{told}}}}}"#, id()?),
            Protocol::GraphQlTransportWs => {
                let id = quoted(self.id.as_deref()?);
                format!(r#"{{"id":{id},"type":"error","payload":[{{"message":{told}}}]}}"#)
            }
            Protocol::GraphQlWs => {
                let id = quoted(self.id.as_deref()?);
                format!(r#"{{"type":"error","id":{id},"payload":{{"message":{told}}}}}"#)
            }
            Protocol::Wamp => {
                let id = self.id.as_deref().filter(|id| is_number(id))?;
                let kinds = [(Action::Call, 48), (Action::Publish, 16), (Action::Subscribe, 32)];
                let (_, kind) = kinds.into_iter().find(|(action, _)| *action == self.action)?;
                format!(r#"[8,{kind},{id},{{}},"wamp.error.not_authorized",[{told}]]"#)
            }
            Protocol::Ocpp if self.action == Action::Call => {
                format!(r#"[4,{},"SecurityError",{told},{{}}]"#, quoted(self.id.as_deref()?))
            }
            Protocol::SocketIo => {
                let namespace = self.subject.as_deref().filter(|subject| *subject != "/");
                let namespace = namespace.map(|subject| format!("{subject},")).unwrap_or_default();
                match self.id.as_deref().filter(|id| is_number(id)) {
                    Some(id) => format!(r#"43{namespace}{id}[{{"error":{told}}}]"#),
                    None => format!(r#"42{namespace}["error",{{"message":{told}}}]"#),
                }
            }
            Protocol::Phoenix => {
                let (id, topic) = (quoted(self.id.as_deref()?), quoted(self.subject.as_deref()?));
                format!(
                    r#"[null,{id},{topic},"phx_reply",{{"status":"error","response":{{"reason":{told}}}}}]"#
                )
            }
            Protocol::SignalR if message.ends_with(b"\x1e") => {
                format!(
                    "{{\"type\":3,\"invocationId\":{},\"error\":{told}}}\u{1e}",
                    quoted(self.id.as_deref()?)
                )
            }
            Protocol::ActionCable if self.action == Action::Subscribe => {
                let identifier = quoted(self.subject.as_deref()?);
                format!(r#"{{"identifier":{identifier},"type":"reject_subscription"}}"#)
            }
            // An event has no answer; a broker's error ends the connection; the rest has no words for it.
            Protocol::JsonRpc
            | Protocol::Ocpp
            | Protocol::SignalR
            | Protocol::ActionCable
            | Protocol::EngineIo
            | Protocol::SockJs
            | Protocol::Mqtt
            | Protocol::Stomp
            | Protocol::Kubernetes => return None,
        };
        Some((MessageKind::Text, text.into_bytes()))
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() < 17 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Writes an id as its sender has: a number as one, unless it stands in quotes there.
fn literal(id: &str, message: &[u8]) -> String {
    let in_quotes = quoted(id);
    let is_quoted = message.windows(in_quotes.len()).any(|window| window == in_quotes.as_bytes());
    if is_number(id) && !is_quoted { id.to_owned() } else { in_quotes }
}

/// Writes a text as JSON.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Direction;

    use super::*;
    use crate::{Anomaly, Conversation, InspectLimits, Message, Opening, Place, Reader, Sink, Value};

    /// Keeps the first operation.
    #[derive(Default)]
    struct First(Option<Asked>);

    impl Sink for First {
        fn value(&mut self, _: &Value<'_>) {}

        fn operation(&mut self, operation: &Operation<'_>) {
            self.0.get_or_insert_with(|| Asked::of(operation));
        }

        fn anomaly(&mut self, _: Anomaly, _: Place<'_>) {}
    }

    /// Gives the refusal of a message, and what it is itself for a reader: no anomaly, and the same id.
    fn refused(protocol: Protocol, before: &[&str], message: &str) -> Option<String> {
        let mut conversation = Conversation::new(Some(protocol), &Opening::default());
        let (mut reader, limits) = (Reader::default(), InspectLimits::default());
        let mut read = |direction, text: &str| {
            let mut first = First::default();
            let message = Message { direction, kind: MessageKind::Text, bytes: text.as_bytes() };
            conversation.message(&mut reader, &limits, &message, &mut first);
            first.0
        };
        for text in before {
            read(Direction::Client, text);
        }
        let asked = read(Direction::Client, message)?;
        let (kind, bytes) = asked.refused("not \"allowed\"", message.as_bytes())?;
        assert_eq!(kind, MessageKind::Text);
        let text = String::from_utf8(bytes).expect("a text");
        let answer = read(Direction::Server, &text).expect("it is read as an operation");
        assert!(answer.id == asked.id || answer.id.is_none(), "{answer:?} {asked:?}");
        Some(text)
    }

    #[test]
    fn each_protocol_has_its_own_words() {
        let told = r#""not \"allowed\"""#;
        let check = |protocol, before: &[&str], message: &str, expected: &str| {
            let expected = expected.replace("TOLD", told);
            assert_eq!(refused(protocol, before, message).as_deref(), Some(expected.as_str()), "{message}");
        };
        check(
            Protocol::JsonRpc,
            &[],
            r#"{"jsonrpc":"2.0","id":7,"method":"a"}"#,
            r#"{"jsonrpc":"2.0","error":{"code":-32001,"message":TOLD},"id":7}"#,
        );
        check(
            Protocol::JsonRpc,
            &[],
            r#"{"jsonrpc":"2.0","id":"7","method":"a"}"#,
            r#"{"jsonrpc":"2.0","error":{"code":-32001,"message":TOLD},"id":"7"}"#,
        );
        check(
            Protocol::GraphQlTransportWs,
            &[r#"{"type":"connection_init"}"#],
            r#"{"id":"1","type":"subscribe","payload":{"query":"{ a }"}}"#,
            r#"{"id":"1","type":"error","payload":[{"message":TOLD}]}"#,
        );
        check(Protocol::Ocpp, &[], r#"[2,"19","Heartbeat",{}]"#, r#"[4,"19","SecurityError",TOLD,{}]"#);
        check(Protocol::SocketIo, &[], r#"42["chat","x"]"#, r#"42["error",{"message":TOLD}]"#);
        check(Protocol::SocketIo, &[], r#"42/admin,5["chat","x"]"#, r#"43/admin,5[{"error":TOLD}]"#);
        check(
            Protocol::Phoenix,
            &[],
            r#"["1","2","room:a","shout",{}]"#,
            r#"[null,"2","room:a","phx_reply",{"status":"error","response":{"reason":TOLD}}]"#,
        );
        check(
            Protocol::Wamp,
            &[],
            r#"[48,123,{},"com.example.add",[1]]"#,
            r#"[8,48,123,{},"wamp.error.not_authorized",[TOLD]]"#,
        );
    }

    #[test]
    fn who_waits_for_no_answer_gets_none() {
        assert_eq!(refused(Protocol::JsonRpc, &[], r#"{"jsonrpc":"2.0","method":"a"}"#), None);
        assert_eq!(refused(Protocol::Stomp, &[], "SEND\ndestination:/a\n\nx\0"), None);
    }
}

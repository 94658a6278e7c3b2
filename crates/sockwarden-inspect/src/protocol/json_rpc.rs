//! JSON-RPC 2.0: calls, notifications and their answers, alone or in batches.

use super::{
    Declaration, Protocol, Speaker,
    envelope::{self, Envelope},
    hint, no_target,
};
use crate::{
    Action, Anomaly, Breach, Message, Operation, Sink, Step, Value, content, format::json, walk::Walk,
};

pub(super) static DECLARATION: Declaration = Declaration {
    protocol: Protocol::JsonRpc,
    name: "json-rpc",
    tokens: &["jsonrpc", "jsonrpc-2.0", "jsonrpc2"],
    target: no_target,
    message: is_one,
    speaker: || Box::new(JsonRpc),
};

/// The members of the envelope.
const MEMBERS: [&str; 5] = ["jsonrpc", "method", "id", "result", "error"];
const VERSION: usize = 0;
const METHOD: usize = 1;
const ID: usize = 2;
const RESULT: usize = 3;
const ERROR: usize = 4;

struct JsonRpc;

impl Speaker for JsonRpc {
    fn message(&mut self, message: &Message<'_>, walk: &mut Walk<'_>) {
        if !json::begins(message.bytes) || !envelope::is_text(message) {
            walk.anomaly(Anomaly::Breach(Protocol::JsonRpc, Breach::NotOfTheProtocol));
            return content::message(walk, message);
        }
        let mut envelope = Envelope::at(walk, MEMBERS);
        let base = walk.state.path.len();
        let mut element = None;
        // Of a batch each element is a message; it is complete when the next one begins.
        let mut tap = |value: &Value<'_>, sink: &mut dyn Sink| {
            let current = match value.place.step(base) {
                Some(Step::Index(number)) => Some(number),
                Some(Step::Key(_) | Step::Inside(_)) | None => None,
            };
            if current != element {
                if element.is_some() {
                    match operation(&envelope) {
                        Ok(operation) => sink.operation(&operation),
                        Err(breach) => sink.anomaly(breach, value.place),
                    }
                }
                envelope.begin(base + 1);
                element = current;
            }
            envelope.tap(value);
        };
        walk.tapped(&mut tap, |walk| walk.json(message.bytes));
        match operation(&envelope) {
            Ok(operation) => walk.operation(&operation),
            Err(breach) => walk.anomaly(breach),
        }
        envelope.release(walk);
    }
}

/// Tells what an object does.
fn operation<const N: usize>(envelope: &Envelope<N>) -> Result<Operation<'_>, Anomaly> {
    let broken = |breach| Err(Anomaly::Breach(Protocol::JsonRpc, breach));
    if envelope.string(VERSION) != Some("2.0") {
        return broken(Breach::BadField);
    }
    let action = match (envelope.has(METHOD), envelope.has(ID), envelope.has(RESULT), envelope.has(ERROR)) {
        (true, true, false, false) => Action::Call,
        (true, false, false, false) => Action::Event,
        (false, true, true, false) => Action::Reply,
        (false, true, false, true) => Action::Error,
        (true, _, _, _) | (false, _, true, true) => return broken(Breach::BadField),
        (false, _, _, _) => return broken(Breach::MissingField),
    };
    let name = envelope.string(METHOD);
    if envelope.has(METHOD) && name.is_none() {
        return broken(Breach::BadField);
    }
    Ok(Operation { protocol: Protocol::JsonRpc, action, name, subject: None, id: envelope.text(ID) })
}

/// Tells whether a message is JSON-RPC: nothing else says so in this member.
fn is_one(message: &Message<'_>) -> bool {
    json::begins(message.bytes) && hint::says(message.bytes, "jsonrpc", "\"2.0\"")
}

#[cfg(test)]
mod tests {
    use crate::{Protocol, testing::check_protocol};

    #[test]
    fn messages_are_told_as_what_they_do() {
        let check = |text: &str, expected: &str| check_protocol(Protocol::JsonRpc, text, expected);
        check(r#"{"jsonrpc":"2.0","method":"subtract","params":[42,23],"id":1}"#, "call subtract id 1");
        check(r#"{"jsonrpc":"2.0","method":"update","params":[1]}"#, "event update");
        check(r#"{"jsonrpc":"2.0","result":{"a":1},"id":"x"}"#, "reply id x");
        check(r#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"no"},"id":null}"#, "error");
        check(
            r#"[{"jsonrpc":"2.0","method":"a","id":1},{"jsonrpc":"2.0","method":"b"}]"#,
            "call a id 1; event b",
        );
        check(r#"{"method":"a","id":1}"#, "! a field has a value that it cannot have");
        check(r#"{"jsonrpc":"2.0","id":1}"#, "! a field that it must have is missing");
        check(r#"{"jsonrpc":"2.0","method":{},"id":1}"#, "! a field has a value that it cannot have");
        check("hello", "! no message of the protocol");
        check(
            r#"{"jsonrpc":"2.0","method":"a","method":"b","id":1}"#,
            "! a name stands twice in one object; call b id 1",
        );
    }
}

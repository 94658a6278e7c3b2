//! Action Cable, the channels of Rails: commands of the client, confirmations and messages of the server.
//!
//! An identifier is JSON in a string; the subject is the channel that it names. A message performs an action, which is the name of the
//! operation; where it names none that is `receive`, as in Rails.

use sockwarden_model::Direction;

use super::{
    Declaration, Protocol, Speaker,
    envelope::{self, Envelope},
    hint, no_target,
};
use crate::{
    Action, Anomaly, Breach, Format, Message, Operation, Sink, Step, Value, format::json, walk::Walk,
};

pub(super) static DECLARATION: Declaration = Declaration {
    protocol: Protocol::ActionCable,
    name: "action-cable",
    tokens: &["actioncable-v1-json", "actioncable-unsupported"],
    target: no_target,
    message: is_one,
    speaker: || Box::new(ActionCable),
};

const MEMBERS: [&str; 5] = ["command", "identifier", "data", "type", "message"];
const COMMAND: usize = 0;
const IDENTIFIER: usize = 1;
const DATA: usize = 2;
const TYPE: usize = 3;
const MESSAGE: usize = 4;

struct ActionCable;

impl Speaker for ActionCable {
    fn message(&mut self, message: &Message<'_>, walk: &mut Walk<'_>) {
        if !envelope::is_json(walk, Protocol::ActionCable, message) {
            return;
        }
        let base = walk.state.path.len();
        let mut envelope = Envelope::at(walk, MEMBERS);
        let mut channel = Envelope::at(walk, ["channel"]);
        let mut action = Envelope::at(walk, ["action"]);
        channel.begin(base + 2);
        action.begin(base + 2);
        let mut tap = |value: &Value<'_>, _: &mut dyn Sink| {
            envelope.tap(value);
            if value.place.len() == base + 3 && value.place.step(base + 1) == Some(Step::Inside(Format::Json))
            {
                match value.place.step(base) {
                    Some(Step::Key(b"identifier")) => channel.tap(value),
                    Some(Step::Key(b"data")) => action.tap(value),
                    Some(Step::Key(_) | Step::Index(_) | Step::Inside(_)) | None => {}
                }
            }
        };
        walk.tapped(&mut tap, |walk| walk.json(message.bytes));
        let told = match walk.direction {
            Direction::Client => command(&envelope, action.text(0)),
            Direction::Server => event(&envelope),
        };
        if let Some(wrong) = told.breach {
            breach(walk, wrong);
        }
        if told.about_channel && channel.string(0).is_none() {
            let is_named = envelope.has(IDENTIFIER);
            breach(walk, if is_named { Breach::BadField } else { Breach::MissingField });
        }
        if let Some((action, name)) = told.operation {
            let subject = channel.string(0);
            walk.operation(&Operation { protocol: Protocol::ActionCable, action, name, subject, id: None });
        }
        envelope.release(walk);
        channel.release(walk);
        action.release(walk);
    }
}

fn breach(walk: &mut Walk<'_>, breach: Breach) {
    walk.anomaly(Anomaly::Breach(Protocol::ActionCable, breach));
}

/// What a message is.
struct Told<'a> {
    operation: Option<(Action, Option<&'a str>)>,
    /// Whether it must have an identifier.
    about_channel: bool,
    breach: Option<Breach>,
}

impl<'a> Told<'a> {
    fn is(action: Action, name: Option<&'a str>, about_channel: bool) -> Self {
        Self { operation: Some((action, name)), about_channel, breach: None }
    }

    fn wrong(breach: Breach) -> Self {
        Self { operation: None, about_channel: false, breach: Some(breach) }
    }
}

/// Reads what a client says.
fn command<'a>(envelope: &'a Envelope<5>, action: Option<&'a str>) -> Told<'a> {
    match envelope.string(COMMAND) {
        Some(name @ "subscribe") => Told::is(Action::Subscribe, Some(name), true),
        Some(name @ "unsubscribe") => Told::is(Action::Unsubscribe, Some(name), true),
        Some("message") => {
            let name = action.filter(|action| !action.is_empty()).unwrap_or("receive");
            let breach = match (envelope.has(DATA), envelope.string(DATA)) {
                (true, Some(_)) => None,
                (true, None) => Some(Breach::BadField),
                (false, _) => Some(Breach::MissingField),
            };
            Told { breach, ..Told::is(Action::Publish, Some(name), true) }
        }
        Some(_) => Told::wrong(Breach::UnknownType),
        None if envelope.has(COMMAND) => Told::wrong(Breach::BadField),
        None if envelope.has(TYPE) => Told::wrong(Breach::WrongDirection),
        None => Told::wrong(Breach::MissingField),
    }
}

/// Reads what a server says.
fn event(envelope: &Envelope<5>) -> Told<'_> {
    match envelope.string(TYPE) {
        Some(name @ "welcome") => Told::is(Action::Connected, Some(name), false),
        Some(name @ "ping") => Told::is(Action::KeepAlive, Some(name), false),
        Some(name @ "confirm_subscription") => Told::is(Action::Acknowledge, Some(name), true),
        Some(name @ "reject_subscription") => Told::is(Action::Error, Some(name), true),
        Some(name @ "disconnect") => Told::is(Action::Disconnect, Some(name), false),
        Some(_) => Told::wrong(Breach::UnknownType),
        None if envelope.has(TYPE) => Told::wrong(Breach::BadField),
        None if envelope.has(COMMAND) => Told::wrong(Breach::WrongDirection),
        None if envelope.has(MESSAGE) => Told::is(Action::Deliver, None, true),
        None => Told::wrong(Breach::MissingField),
    }
}

/// Tells whether a message welcomes a client, or subscribes to a channel.
fn is_one(message: &Message<'_>) -> bool {
    json::begins(message.bytes)
        && match message.direction {
            // Others welcome, too, and say whom: these are the words of Rails and of AnyCable, letter by letter.
            Direction::Server => {
                message.bytes == br#"{"type":"welcome"}"#
                    || message.bytes.starts_with(br#"{"type":"welcome","sid":""#)
            }
            Direction::Client => {
                hint::says(message.bytes, "command", "\"subscribe\"")
                    && hint::says(message.bytes, "identifier", "\"{\\\"")
            }
        }
}

#[cfg(test)]
mod tests {
    use sockwarden_model::Direction::Server;
    use sockwarden_proto::MessageKind;

    use super::*;
    use crate::testing::{check_protocol, read};

    #[test]
    fn commands_are_told_as_what_they_do() {
        let check = |text: &str, expected: &str| check_protocol(Protocol::ActionCable, text, expected);
        check(
            r#"{"command":"subscribe","identifier":"{\"channel\":\"ChatChannel\",\"room\":1}"}"#,
            "subscribe subscribe on ChatChannel",
        );
        check(
            r#"{"command":"message","identifier":"{\"channel\":\"ChatChannel\"}","data":"{\"action\":\"speak\",\"text\":\"x\"}"}"#,
            "publish speak on ChatChannel",
        );
        check(
            r#"{"command":"message","identifier":"{\"channel\":\"C\"}","data":"{\"x\":1}"}"#,
            "publish receive on C",
        );
        check(
            r#"{"command":"unsubscribe","identifier":"{\"channel\":\"C\"}"}"#,
            "unsubscribe unsubscribe on C",
        );
    }

    #[test]
    fn what_servers_say_is_told() {
        let check = |text: &str, expected: &str| {
            let notes = read(Some(Protocol::ActionCable), &[(Server, MessageKind::Text, text.as_bytes())]);
            assert_eq!(notes.said.join("; "), expected, "{text}");
        };
        check(r#"{"type":"welcome"}"#, "connected welcome");
        check(r#"{"type":"ping","message":1548000000}"#, "keep-alive ping");
        check(
            r#"{"identifier":"{\"channel\":\"C\"}","type":"confirm_subscription"}"#,
            "acknowledge confirm_subscription on C",
        );
        check(
            r#"{"identifier":"{\"channel\":\"C\"}","type":"reject_subscription"}"#,
            "error reject_subscription on C",
        );
        check(r#"{"identifier":"{\"channel\":\"C\"}","message":{"a":1}}"#, "deliver on C");
        check(r#"{"type":"disconnect","reason":"unauthorized","reconnect":false}"#, "disconnect disconnect");
        check(r#"{"type":"x"}"#, "! a type that the protocol does not have");
        check(r#"{"a":1}"#, "! a field that it must have is missing");
        check(r#"{"command":"subscribe"}"#, "! sent by the side that must not send it");
    }

    #[test]
    fn what_breaks_the_protocol_is_told() {
        let check = |text: &str, expected: &str| check_protocol(Protocol::ActionCable, text, expected);
        let (missing, bad) =
            ("! a field that it must have is missing", "! a field has a value that it cannot have");
        check(r#"{"command":"subscribe"}"#, &format!("{missing}; subscribe subscribe"));
        check(r#"{"command":"subscribe","identifier":"C"}"#, &format!("{bad}; subscribe subscribe"));
        check(
            r#"{"command":"subscribe","identifier":{"channel":"C"}}"#,
            &format!("{bad}; subscribe subscribe"),
        );
        check(
            r#"{"command":"subscribe","identifier":"{\"channel\":7}"}"#,
            &format!("{bad}; subscribe subscribe"),
        );
        check(
            r#"{"command":"message","identifier":"{\"channel\":\"C\"}"}"#,
            &format!("{missing}; publish receive on C"),
        );
        check(r#"{"command":"hack"}"#, "! a type that the protocol does not have");
        check(r#"{"type":"welcome"}"#, "! sent by the side that must not send it");
        check("hi", "! no message of the protocol");
    }
}

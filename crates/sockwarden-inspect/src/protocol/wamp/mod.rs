//! WAMP 2, basic and advanced profile, in JSON or MessagePack, alone or in batches.
//!
//! The name of an operation is the type of the message, its subject the topic or procedure: of messages that name it by an id that
//! of the request, subscription or registration which the id was given to. A subscription by prefix ends in `*`, and one by wildcard
//! has `*` for each component that may be anything. Places are those in each message of a batch.

mod kinds;
mod shape;

use sockwarden_model::Direction;
use sockwarden_proto::MessageKind;

use self::{
    kinds::{CLIENT, For, KINDS, Kind, ROUTER, Subject},
    shape::misshapen,
};
use super::{
    Declaration, Protocol, Speaker,
    elements::{Elements, Is},
    hint,
    memory::Memory,
    no_target,
};
use crate::{
    Anomaly, Bound, Breach, Message, Opening, Operation, Role, Shape, Step, Value, content,
    format::{Read, json, message_pack},
    walk::Walk,
};

pub(super) static DECLARATION: Declaration = Declaration {
    protocol: Protocol::Wamp,
    name: "wamp",
    tokens: &["wamp.2.json", "wamp.2.json.batched", "wamp.2.msgpack", "wamp.2.msgpack.batched"],
    target: no_target,
    message: is_one,
    speaker: || Box::<Wamp>::default(),
};

/// What separates the messages of a batch in JSON.
const SEPARATOR: u8 = 0x1e;

/// The most elements that a message has.
const MOST: usize = 7;

/// How a subscription or a registration matches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Match {
    Exact,
    Prefix,
    Wildcard,
}

/// What the options or details of a message say.
struct Options {
    matches: Match,
    /// Whether more results of the same call follow.
    progress: bool,
}

/// How messages are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    /// In JSON, alone or with separators between them.
    Json,
    /// In MessagePack.
    Packed,
    /// In MessagePack, each behind its length in four bytes.
    PackedBatch,
}

impl Written {
    fn of_token(token: &str) -> Self {
        let token = token.to_ascii_lowercase();
        match (token.contains("msgpack"), token.ends_with(".batched")) {
            (true, true) => Self::PackedBatch,
            (true, false) => Self::Packed,
            (false, _) => Self::Json,
        }
    }
}

#[derive(Default)]
struct Wamp {
    /// How messages are written: as the handshake agreed, or else as the first one is.
    written: Option<Written>,
    client_began: bool,
    router_began: bool,
    /// Topics and procedures by what they are for and an id.
    names: Memory,
}

impl Speaker for Wamp {
    fn open(&mut self, opening: &Opening<'_>) {
        self.written = opening.subprotocol.map(Written::of_token);
    }

    fn message(&mut self, message: &Message<'_>, walk: &mut Walk<'_>) {
        let is_text = message.kind == MessageKind::Text;
        let first = if is_text { Written::Json } else { Written::Packed };
        let written = *self.written.get_or_insert(first);
        if is_text != (written == Written::Json) {
            broken(walk, Breach::WrongKind);
        }
        match (is_text, written) {
            // A batch ends with a separator too.
            (true, _) => {
                let batch = message.bytes.strip_suffix(&[SEPARATOR]).unwrap_or(message.bytes);
                batch
                    .split(|byte| *byte == SEPARATOR)
                    .for_each(|text| self.one(walk, MessageKind::Text, text));
            }
            (false, Written::Json) => content::message(walk, message),
            (false, Written::Packed) => self.one(walk, MessageKind::Binary, message.bytes),
            (false, Written::PackedBatch) => self.batch(walk, message.bytes),
        }
    }
}

impl Wamp {
    /// Reads messages behind their lengths.
    fn batch(&mut self, walk: &mut Walk<'_>, mut rest: &[u8]) {
        while !rest.is_empty() {
            let one = rest.split_first_chunk().and_then(|(length, rest)| {
                rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
            });
            let Some((one, after)) = one else {
                broken(walk, Breach::BadLength);
                return content::bytes(walk, rest);
            };
            self.one(walk, MessageKind::Binary, one);
            rest = after;
        }
    }

    /// Reads one message.
    fn one(&mut self, walk: &mut Walk<'_>, kind: MessageKind, bytes: &[u8]) {
        let (format, is_array): (Read, _) = match kind {
            MessageKind::Text => (json::whole, bytes.trim_ascii_start().starts_with(b"[")),
            MessageKind::Binary => (message_pack::whole, message_pack::is_array(bytes)),
        };
        if !is_array {
            broken(walk, Breach::NotOfTheProtocol);
            return content::body(walk, bytes);
        }
        let base = walk.state.path.len();
        let mut options = Options { matches: Match::Exact, progress: false };
        let elements = Elements::<MOST>::read(walk, format, bytes, |value| options.tap(value, base));
        let number = elements.digits(0);
        match KINDS.iter().find(|kind| Some(kind.number) == number) {
            Some(kind) => self.judge(walk, kind, &elements, &options),
            None if elements.is(0) == Some(Is::Number) => broken(walk, Breach::UnknownType),
            None => broken(walk, Breach::NotOfTheProtocol),
        }
        elements.release(walk);
    }

    /// Tells what a message does, and what is wrong with it.
    fn judge(&mut self, walk: &mut Walk<'_>, kind: &Kind, elements: &Elements<MOST>, options: &Options) {
        if let Some(breach) = misshapen(kind, elements, options.matches) {
            broken(walk, breach);
        }
        let failed = (kind.number == "8").then(|| elements.digits(1)).flatten();
        // What an invoked client could not do it says itself; the rest a router says.
        let sender = match failed {
            Some("68") => CLIENT,
            Some(_) => ROUTER,
            None => kind.sender,
        };
        if sender.is_some_and(|sender| sender != walk.direction) {
            broken(walk, Breach::WrongDirection);
        } else if !self.is_in_order(kind, walk.direction) {
            broken(walk, Breach::OutOfOrder);
        }
        let id = match kind.number {
            "8" | "36" => elements.digits(2),
            _ => elements.digits(1),
        };
        let resolved;
        let subject = match self.subject(walk, kind, elements, options) {
            Named::Here(at) if options.matches == Match::Exact => elements.text(at),
            Named::Here(at) => {
                resolved = elements.text(at).map(|name| spelled(name, options.matches));
                resolved.as_deref()
            }
            Named::Before(name) => {
                resolved = Some(name.into());
                resolved.as_deref()
            }
            Named::Not => None,
        };
        walk.operation(&Operation {
            protocol: Protocol::Wamp,
            action: kind.action,
            name: Some(kind.name),
            subject,
            id,
        });
    }

    /// Takes note of how a session goes on, and tells whether it may go on like that.
    fn is_in_order(&mut self, kind: &Kind, sender: Direction) -> bool {
        let began = match sender {
            Direction::Client => &mut self.client_began,
            Direction::Server => &mut self.router_began,
        };
        match kind.name {
            "HELLO" | "WELCOME" => {
                // Ids begin anew with a session.
                self.names = Memory::default();
                !std::mem::replace(began, true)
            }
            "ABORT" => {
                *began = false;
                true
            }
            "CHALLENGE" => !*began,
            "GOODBYE" => std::mem::replace(began, false),
            _ => *began,
        }
    }

    /// Finds what a message is about, and remembers what later ones refer back to.
    fn subject(
        &mut self,
        walk: &mut Walk<'_>,
        kind: &Kind,
        elements: &Elements<MOST>,
        options: &Options,
    ) -> Named {
        let id = |number: usize| elements.digits(number).unwrap_or_default();
        let named = |name: Option<Box<str>>| name.map_or(Named::Not, Named::Before);
        match kind.subject {
            Subject::Nothing => match kind.number {
                "8" => {
                    let what = match id(1) {
                        "48" => For::Call,
                        "32" => For::Subscribe,
                        "64" => For::Register,
                        "68" => For::Invocation,
                        _ => return Named::Not,
                    };
                    self.settled(walk, what, id(2))
                }
                "35" | "67" => {
                    let (what, whose) = if kind.number == "35" {
                        (For::Leaving, For::Subscription)
                    } else {
                        (For::Retiring, For::Registration)
                    };
                    let given_up = self.names.take(&key(what, id(1)));
                    named(given_up.and_then(|id| self.names.take(&key(whose, &id))))
                }
                _ => Named::Not,
            },
            Subject::At(at) => Named::Here(at),
            Subject::Asked(at, what) => {
                if let Some(name) = elements.text(at) {
                    self.keep(walk, what, id(1), &spelled(name, options.matches));
                }
                Named::Here(at)
            }
            Subject::Of(what) if options.progress => self.standing(walk, what, id(1)),
            Subject::Of(what) => self.settled(walk, what, id(1)),
            Subject::Given(asked, given) => {
                let name = self.settled(walk, asked, id(1));
                if let Named::Before(name) = &name {
                    self.keep(walk, given, id(2), name);
                }
                name
            }
            Subject::Standing(at, what) => {
                let name = self.standing(walk, what, id(at));
                match (kind.name, &name) {
                    ("INVOCATION", Named::Before(name)) => self.keep(walk, For::Invocation, id(1), name),
                    ("UNSUBSCRIBE", _) => self.keep(walk, For::Leaving, id(1), id(at)),
                    ("UNREGISTER", _) => self.keep(walk, For::Retiring, id(1), id(at)),
                    _ => {}
                }
                name
            }
        }
    }

    fn keep(&mut self, walk: &mut Walk<'_>, what: For, id: &str, name: &str) {
        if !self.names.keep(&key(what, id), name, walk.limits.pending) {
            walk.anomaly(Anomaly::Bound(Bound::Pending));
        }
    }

    /// Gives what an id stands for; one that stands for nothing is a breach.
    fn standing(&mut self, walk: &mut Walk<'_>, what: For, id: &str) -> Named {
        let name = self.names.get(&key(what, id)).map(Into::into);
        known(walk, name)
    }

    /// Gives what was asked for by a request that is now answered.
    fn settled(&mut self, walk: &mut Walk<'_>, what: For, id: &str) -> Named {
        let name = self.names.take(&key(what, id));
        known(walk, name)
    }
}

/// Where the name of a subject stands.
enum Named {
    /// In the message, as the element of this number.
    Here(usize),
    /// In a message before.
    Before(Box<str>),
    Not,
}

fn known(walk: &mut Walk<'_>, name: Option<Box<str>>) -> Named {
    if name.is_none() {
        broken(walk, Breach::OutOfOrder);
    }
    name.map_or(Named::Not, Named::Before)
}

fn key(what: For, id: &str) -> Vec<u8> {
    [&[what as u8], id.as_bytes()].concat()
}

impl Options {
    /// Takes a value that goes by: options and details that matter are always the element of number 2.
    fn tap(&mut self, value: &Value<'_>, base: usize) {
        if value.role == Role::Key
            || value.place.len() != base + 2
            || value.place.step(base) != Some(Step::Index(2))
        {
            return;
        }
        match (value.place.last(), value.shape) {
            (Some(Step::Key(b"match")), Shape::String) => match value.bytes {
                b"prefix" => self.matches = Match::Prefix,
                b"wildcard" => self.matches = Match::Wildcard,
                _ => self.matches = Match::Exact,
            },
            (Some(Step::Key(b"progress")), Shape::Boolean) => self.progress = value.bytes == b"true",
            _ => {}
        }
    }
}

/// Spells out what a subscription or a registration matches.
fn spelled(name: &str, matches: Match) -> String {
    match matches {
        Match::Exact => name.to_owned(),
        Match::Prefix => format!("{name}*"),
        Match::Wildcard => {
            let parts: Vec<_> =
                name.split('.').map(|part| if part.is_empty() { "*" } else { part }).collect();
            parts.join(".")
        }
    }
}

/// Tells whether a message is the HELLO of a client.
fn is_one(message: &Message<'_>) -> bool {
    message.direction == Direction::Client
        && match message.kind {
            MessageKind::Text => is_hello(message.bytes),
            MessageKind::Binary => is_packed_hello(message.bytes),
        }
}

fn is_hello(text: &[u8]) -> bool {
    let begins = |bytes: &'_ [u8], byte: u8| bytes.trim_ascii_start().starts_with(&[byte]);
    let mut rest = text;
    for byte in *b"[1,\"" {
        if !begins(rest, byte) {
            return false;
        }
        rest = rest.trim_ascii_start().get(1..).unwrap_or_default();
    }
    let realm = rest.iter().position(|byte| *byte == b'"').unwrap_or(rest.len());
    hint::find(&rest[realm..], b"\"roles\"").is_some()
}

/// An array of three that begins with a one and a text, and in whose map roles are named.
fn is_packed_hello(bytes: &[u8]) -> bool {
    matches!(bytes, [0x93, 1, 0xa1..=0xbf | 0xd9, ..])
        && hint::find(bytes, b"\xa5roles").is_some()
        && message_pack::begins(bytes)
}

fn broken(walk: &mut Walk<'_>, breach: Breach) {
    walk.anomaly(Anomaly::Breach(Protocol::Wamp, breach));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Conversation, InspectLimits, Reader,
        testing::{Notes, check_talk, read},
    };

    const BEGIN: [&str; 2] = [
        r#">[1,"realm1",{"roles":{"caller":{},"subscriber":{}}}]"#,
        r#"<[2,9129137332,{"roles":{"broker":{}}}]"#,
    ];

    /// Compares what is said after a session began.
    #[track_caller]
    fn check(texts: &[&str], expected: &[&str]) {
        let texts = [&BEGIN, texts].concat();
        let begun = ["connect HELLO on realm1", "connected WELCOME id 9129137332"];
        check_talk(Protocol::Wamp, &texts, &[&begun, expected].concat());
    }

    #[test]
    fn publications_and_subscriptions_have_their_topic() {
        check(
            &[
                r#">[32,713845233,{},"com.app.topic1"]"#,
                "<[33,713845233,5512315355]",
                r#"<[36,5512315355,4429313566,{},[],{"color":"orange"}]"#,
                r#">[16,239714735,{"acknowledge":true},"com.app.topic2",["hi"]]"#,
                "<[17,239714735,4429313567]",
                ">[34,85346237,5512315355]",
                r#"<[36,5512315355,4429313568,{}]"#,
                "<[35,85346237]",
                r#"<[35,0,{"subscription":1}]"#,
                r#">[32,2,{"match":"prefix"},"com.app"]"#,
                r#">[32,3,{"match":"wildcard"},"com..name"]"#,
                r#"<[8,32,3,{},"wamp.error.not_authorized"]"#,
                r#">[6,{},"wamp.close.goodbye_and_out"]"#,
                r#"<[6,{},"wamp.close.goodbye_and_out"]"#,
            ],
            &[
                "subscribe SUBSCRIBE on com.app.topic1 id 713845233",
                "acknowledge SUBSCRIBED on com.app.topic1 id 713845233",
                "deliver EVENT on com.app.topic1 id 4429313566",
                "publish PUBLISH on com.app.topic2 id 239714735",
                "acknowledge PUBLISHED id 239714735",
                "unsubscribe UNSUBSCRIBE on com.app.topic1 id 85346237",
                "deliver EVENT on com.app.topic1 id 4429313568",
                "acknowledge UNSUBSCRIBED on com.app.topic1 id 85346237",
                "acknowledge UNSUBSCRIBED id 0",
                "subscribe SUBSCRIBE on com.app* id 2",
                "subscribe SUBSCRIBE on com.*.name id 3",
                "error ERROR on com.*.name id 3",
                "disconnect GOODBYE",
                "disconnect GOODBYE",
            ],
        );
    }

    #[test]
    fn calls_and_registrations_have_their_procedure() {
        check(
            &[
                r#">[48,1,{},"com.app.add",[23,7]]"#,
                r#"<[50,1,{"progress":true},[1]]"#,
                r#"<[50,1,{},[30]]"#,
                r#">[48,2,{"receive_progress":true},"com.app.slow"]"#,
                ">[49,2,{}]",
                r#"<[8,48,2,{},"wamp.error.canceled",["no"]]"#,
                r#">[64,3,{},"com.app.mine"]"#,
                "<[65,3,77]",
                "<[68,4,77,{},[1]]",
                "<[69,4,{}]",
                r#">[8,68,4,{},"com.app.error"]"#,
                "<[68,5,77,{}]",
                ">[70,5,{},[2]]",
                ">[66,6,77]",
                "<[67,6]",
            ],
            &[
                "call CALL on com.app.add id 1",
                "reply RESULT on com.app.add id 1",
                "reply RESULT on com.app.add id 1",
                "call CALL on com.app.slow id 2",
                "event CANCEL on com.app.slow id 2",
                "error ERROR on com.app.slow id 2",
                "subscribe REGISTER on com.app.mine id 3",
                "acknowledge REGISTERED on com.app.mine id 3",
                "call INVOCATION on com.app.mine id 4",
                "event INTERRUPT on com.app.mine id 4",
                "error ERROR on com.app.mine id 4",
                "call INVOCATION on com.app.mine id 5",
                "reply YIELD on com.app.mine id 5",
                "unsubscribe UNREGISTER on com.app.mine id 6",
                "acknowledge UNREGISTERED on com.app.mine id 6",
            ],
        );
    }

    #[test]
    fn a_session_may_begin_with_a_challenge_or_not_at_all() {
        let hello = r#">[1,null,{"roles":{}}]"#;
        check_talk(
            Protocol::Wamp,
            &[hello, r#"<[4,"wampcra",{}]"#, r#">[5,"sig",{}]"#, "<[2,1,{}]"],
            &["connect HELLO", "call CHALLENGE", "reply AUTHENTICATE", "connected WELCOME id 1"],
        );
        check_talk(
            Protocol::Wamp,
            &[hello, r#"<[3,{"message":"no"},"wamp.error.no_such_realm"]"#],
            &["connect HELLO", "error ABORT"],
        );
    }

    #[test]
    fn batches_hold_several_messages() {
        check(
            &[">[16,1,{},\"a.b\"]\u{1e}[16,2,{},\"a.c\"]\u{1e}"],
            &["publish PUBLISH on a.b id 1", "publish PUBLISH on a.c id 2"],
        );
    }

    #[test]
    fn what_breaks_the_protocol_is_told() {
        let bad = "! a field has a value that it cannot have";
        let missing = "! a field that it must have is missing";
        let order = "! sent before the session began or after it ended";
        let side = "! sent by the side that must not send it";
        check(&[">[99,1]"], &["! a type that the protocol does not have"]);
        check(&[r#">["16",1]"#], &["! no message of the protocol"]);
        check(&[r#">{"a":1}"#], &["! no message of the protocol"]);
        check(&[">hello"], &["! no message of the protocol"]);
        check(&[r#">[16,1,{}]"#], &[missing, "publish PUBLISH id 1"]);
        check(&[r#">[16,0,{},"a"]"#], &[bad, "publish PUBLISH on a id 0"]);
        check(&[r#">[16,1,[],"a"]"#], &[bad, "publish PUBLISH on a id 1"]);
        check(&[r#">[16,1,{},"a b"]"#], &[bad, "publish PUBLISH on a b id 1"]);
        check(&[r#">[16,1,{},"a..b"]"#], &[bad, "publish PUBLISH on a..b id 1"]);
        check(&[r#">[16,1,{},"a",{}]"#], &[bad, "publish PUBLISH on a id 1"]);
        check(&[r#">[16,1,{},"a",[],{},1]"#], &["! something follows its end", "publish PUBLISH on a id 1"]);
        check(&[r#"<[16,1,{},"a"]"#], &[side, "publish PUBLISH on a id 1"]);
        check(&["<[50,1,{}]"], &[order, "reply RESULT id 1"]);
        check(&["<[36,1,2,{}]"], &[order, "deliver EVENT id 2"]);
        check(&[r#">[8,48,1,{},"a.b"]"#], &[side, order, "error ERROR id 1"]);
        check(&[BEGIN[0]], &[order, "connect HELLO on realm1"]);
        check_talk(Protocol::Wamp, &[r#">[16,1,{},"a"]"#], &[order, "publish PUBLISH on a id 1"]);
        let binary = read(
            Some(Protocol::Wamp),
            &[
                (Direction::Client, MessageKind::Text, b"[1]"),
                (Direction::Client, MessageKind::Binary, b"[1]"),
            ],
        );
        assert_eq!(binary.said, [missing, "connect HELLO", "! text where it must be binary, or the reverse"]);
    }

    /// The same message in MessagePack.
    fn packed(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        rmpv::encode::write_value(&mut out, &crate::testing::packed(&serde_json::from_str(text).unwrap()))
            .unwrap();
        out
    }

    #[test]
    fn the_same_is_told_of_the_same_in_message_pack() {
        let texts = [
            BEGIN[0],
            BEGIN[1],
            r#">[16,239714735,{"acknowledge":true},"com.app.topic2",["hi",{"a":1}],{"b":[]}]"#,
            r#">[32,2,{"match":"prefix"},"com.app"]"#,
            "<[33,2,5512315355]",
            r#"<[36,5512315355,4429313568,{},[],{"color":"orange"}]"#,
            r#">[48,2,{},"com.app.slow"]"#,
            r#"<[8,48,2,{},"wamp.error.canceled",["no"]]"#,
            r#">[16,1,{}]"#,
            r#">[16,1,[],"a"]"#,
            ">[99,1]",
        ];
        let pairs: Vec<(Direction, &str, Vec<u8>)> = texts
            .iter()
            .map(|text| {
                (if text.starts_with('>') { CLIENT } else { ROUTER }.unwrap(), &text[1..], packed(&text[1..]))
            })
            .collect();
        let written: Vec<_> =
            pairs.iter().map(|(side, text, _)| (*side, MessageKind::Text, text.as_bytes())).collect();
        let in_bytes: Vec<_> =
            pairs.iter().map(|(side, _, bytes)| (*side, MessageKind::Binary, bytes.as_slice())).collect();
        let (json, pack) = (read(Some(Protocol::Wamp), &written), read(Some(Protocol::Wamp), &in_bytes));
        assert_eq!(json.said, pack.said);
        assert_eq!(json.values, pack.values);
        assert!(json.said.iter().filter(|said| !said.starts_with('!')).count() > 8);

        let batch: Vec<u8> = pairs[2..4]
            .iter()
            .flat_map(|(_, _, bytes)| [&(bytes.len() as u32).to_be_bytes(), bytes.as_slice()].concat())
            .collect();
        let check = |bytes: &[u8], expected: &[&str]| {
            let opening = Opening { subprotocol: Some("wamp.2.msgpack.batched"), target: "/" };
            let mut conversation = Conversation::new(None, &opening);
            let mut notes = Notes::default();
            let hello = [&(pairs[0].2.len() as u32).to_be_bytes(), pairs[0].2.as_slice()].concat();
            for bytes in [hello.as_slice(), bytes] {
                let message = Message { direction: Direction::Client, kind: MessageKind::Binary, bytes };
                conversation.message(&mut Reader::default(), &InspectLimits::default(), &message, &mut notes);
            }
            assert_eq!(notes.said[1..], *expected);
        };
        check(
            &batch,
            &["publish PUBLISH on com.app.topic2 id 239714735", "subscribe SUBSCRIBE on com.app* id 2"],
        );
        check(
            &batch[..batch.len() - 1],
            &["publish PUBLISH on com.app.topic2 id 239714735", "! its length is not what it states"],
        );
        check(b"\0\0\0\x01\x80", &["! no message of the protocol"]);
    }

    #[test]
    fn a_hello_is_recognised() {
        let check = |text: &str, expected: bool| {
            let message =
                Message { direction: Direction::Client, kind: MessageKind::Text, bytes: text.as_bytes() };
            assert_eq!(is_one(&message), expected, "{text}");
        };
        check(&BEGIN[0][1..], true);
        check(r#" [ 1 , "r" , { "roles" : {} } ]"#, true);
        check(r#"[1,"r",{}]"#, false);
        check(r#"[1,"1","topic","phx_join",{}]"#, false);
        check("[1,", false);
        check("", false);
        let check = |bytes: &[u8], expected: bool| {
            let message = Message { direction: Direction::Client, kind: MessageKind::Binary, bytes };
            assert_eq!(is_one(&message), expected, "{}", bytes.escape_ascii());
        };
        check(&packed(&BEGIN[0][1..]), true);
        check(&packed(r#"[1,"r",{}]"#), false);
        check(&packed(r#"[2,"r",{"roles":{}}]"#), false);
        check(b"", false);
    }
}

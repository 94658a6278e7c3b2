//! OCPP-J 1.6, 2.0.1 and 2.1: calls between a charging station, which is the client, and its management system.
//!
//! The name of an operation is the action, of an answer that of the call which it answers; the id is the message's. An action that
//! the version which was agreed on does not have (or no version, where none was), and one of the other side, are breaches: what a
//! vendor adds goes by `DataTransfer`.

mod actions;

use sockwarden_model::Direction;

use self::actions::{Called, Version};
use super::{
    Declaration, Protocol, Speaker,
    elements::{Elements, Is},
    envelope::is_text,
    memory::Memory,
    no_target,
};
use crate::{Action, Anomaly, Bound, Breach, Message, Opening, Operation, content, format::json, walk::Walk};

pub(super) static DECLARATION: Declaration = Declaration {
    protocol: Protocol::Ocpp,
    name: "ocpp",
    tokens: &["ocpp1.6", "ocpp2.0", "ocpp2.0.1", "ocpp2.1"],
    target: no_target,
    message: is_one,
    speaker: || Box::<Ocpp>::default(),
};

/// The longest id of a message (1.6-J §4.1.4, 2.0.1 part 4 §4.1.4).
const LONGEST_ID: usize = 36;

/// The id of an error that answers what had no readable id (2.0.1 part 4 §4.2.3).
const NO_ID: &str = "-1";

/// The codes of errors (1.6-J §4.2.3, 2.0.1 part 4 §4.3); versions spell two of them differently.
static CODES: [&str; 14] = [
    "FormatViolation",
    "FormationViolation",
    "GenericError",
    "InternalError",
    "MessageTypeNotSupported",
    "NotImplemented",
    "NotSupported",
    "OccurenceConstraintViolation",
    "OccurrenceConstraintViolation",
    "PropertyConstraintViolation",
    "ProtocolError",
    "RpcFrameworkError",
    "SecurityError",
    "TypeConstraintViolation",
];

#[derive(Default)]
struct Ocpp {
    /// What the handshake agreed on; any version is taken where it named none.
    version: Option<Version>,
    /// Actions by the ids of the calls that are not answered yet.
    station: Memory,
    system: Memory,
}

/// A message by its type (2.0.1 part 4 §4.2; 2.1 part 4 §4.2).
#[derive(Clone, Copy)]
enum Type {
    Call,
    Result,
    Error,
    ResultError,
    Send,
}

impl Type {
    /// Finds the type of this number in a version; errors about answers and calls without one came with 2.1.
    fn of(number: Option<&str>, version: Option<Version>) -> Option<Self> {
        let latest = !matches!(version, Some(Version::One | Version::Two));
        match number? {
            "2" => Some(Self::Call),
            "3" => Some(Self::Result),
            "4" => Some(Self::Error),
            "5" if latest => Some(Self::ResultError),
            "6" if latest => Some(Self::Send),
            _ => None,
        }
    }

    /// What its elements are.
    fn elements(self) -> &'static [Is] {
        match self {
            Self::Call | Self::Send => &[Is::Number, Is::Text, Is::Text, Is::Object],
            Self::Result => &[Is::Number, Is::Text, Is::Object],
            Self::Error | Self::ResultError => &[Is::Number, Is::Text, Is::Text, Is::Text, Is::Object],
        }
    }

    fn action(self) -> Action {
        match self {
            Self::Call => Action::Call,
            Self::Result => Action::Reply,
            Self::Error | Self::ResultError => Action::Error,
            Self::Send => Action::Event,
        }
    }
}

impl Speaker for Ocpp {
    fn open(&mut self, opening: &Opening<'_>) {
        self.version = opening.subprotocol.and_then(Version::of);
    }

    fn message(&mut self, message: &Message<'_>, walk: &mut Walk<'_>) {
        if !message.bytes.trim_ascii_start().starts_with(b"[") || !is_text(message) {
            broken(walk, Breach::NotOfTheProtocol);
            return content::message(walk, message);
        }
        let elements = Elements::<5>::read(walk, json::whole, message.bytes, |_| {});
        match Type::of(elements.digits(0), self.version) {
            Some(kind) => self.tell(walk, kind, &elements),
            None if elements.is(0) == Some(Is::Number) => broken(walk, Breach::UnknownType),
            None => broken(walk, Breach::NotOfTheProtocol),
        }
        elements.release(walk);
    }
}

impl Ocpp {
    fn tell(&mut self, walk: &mut Walk<'_>, kind: Type, elements: &Elements<5>) {
        if let Some(breach) = misshapen(kind.elements(), elements) {
            broken(walk, breach);
        }
        let (id, third) = (elements.text(1), elements.text(2));
        if id.is_some_and(|id| id.is_empty() || id.chars().nth(LONGEST_ID).is_some()) {
            broken(walk, Breach::BadField);
        }
        let (own, others) = match walk.direction {
            Direction::Client => (&mut self.station, &mut self.system),
            Direction::Server => (&mut self.system, &mut self.station),
        };
        let answered;
        let name = match kind {
            Type::Call | Type::Send => {
                if let Some(breach) = third.and_then(|action| misplaced(action, self.version, walk.direction))
                {
                    broken(walk, breach);
                }
                if let (Type::Call, Some(id), Some(action)) = (kind, id, third)
                    && !own.keep(id.as_bytes(), action, walk.limits.pending)
                {
                    walk.anomaly(Anomaly::Bound(Bound::Pending));
                }
                third
            }
            Type::Result | Type::Error => {
                answered = id.and_then(|id| others.take(id.as_bytes()));
                if answered.is_none() && !(matches!(kind, Type::Error) && id == Some(NO_ID)) {
                    broken(walk, Breach::OutOfOrder);
                }
                answered.as_deref()
            }
            // It is about an answer to a call that is settled.
            Type::ResultError => None,
        };
        let is_error = matches!(kind, Type::Error | Type::ResultError);
        if is_error && third.is_some_and(|code| !CODES.contains(&code)) {
            broken(walk, Breach::BadField);
        }
        let protocol = Protocol::Ocpp;
        walk.operation(&Operation { protocol, action: kind.action(), name, subject: None, id });
    }
}

/// Tells what is wrong with the elements of a message.
fn misshapen(wanted: &[Is], elements: &Elements<5>) -> Option<Breach> {
    let is = |number: usize| elements.is(number);
    if elements.count() < wanted.len() {
        return Some(Breach::MissingField);
    }
    if wanted.iter().enumerate().any(|(number, wanted)| is(number) != Some(*wanted)) {
        return Some(Breach::BadField);
    }
    (elements.count() > wanted.len()).then_some(Breach::TrailingData)
}

/// Tells what is wrong with an action of this version that this side calls.
fn misplaced(action: &str, version: Option<Version>, sender: Direction) -> Option<Breach> {
    let Some(called) = Called::named(action).filter(|called| called.is_in(version)) else {
        return Some(Breach::UnknownType);
    };
    (!called.is_of(sender)).then_some(Breach::WrongDirection)
}

/// Tells whether a message is a call of a charging station: its action is one that nothing else calls like that.
fn is_one(message: &Message<'_>) -> bool {
    let Some(rest) = skip(message.bytes, b"[").and_then(|rest| skip(rest, b"2")) else { return false };
    let action = || {
        let id = skip(skip(rest, b",")?, b"\"")?;
        let end = id.iter().position(|byte| *byte == b'"').filter(|end| *end <= LONGEST_ID * 4)?;
        let action = skip(skip(&id[end + 1..], b",")?, b"\"")?;
        let end = action.iter().take(40).position(|byte| *byte == b'"')?;
        skip(&action[end + 1..], b",").and_then(|rest| skip(rest, b"{"))?;
        std::str::from_utf8(&action[..end]).ok()
    };
    message.direction == Direction::Client
        && action().and_then(Called::named).is_some_and(Called::is_of_station)
}

/// Passes over blanks and this byte.
fn skip<'a>(bytes: &'a [u8], byte: &[u8; 1]) -> Option<&'a [u8]> {
    bytes.trim_ascii_start().strip_prefix(byte)
}

fn broken(walk: &mut Walk<'_>, breach: Breach) {
    walk.anomaly(Anomaly::Breach(Protocol::Ocpp, breach));
}

#[cfg(test)]
mod tests {
    use sockwarden_proto::MessageKind;

    use super::*;
    use crate::{
        Conversation, InspectLimits, Reader,
        testing::{Notes, check_talk, read},
    };

    fn check(texts: &[&str], expected: &[&str]) {
        check_talk(Protocol::Ocpp, texts, expected);
    }

    #[test]
    fn answers_carry_the_action_of_their_call() {
        check(
            &[
                r#">[2,"19223201","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]"#,
                r#"<[3,"19223201",{"status":"Accepted","currentTime":"2013-02-01T20:53:32.486Z","interval":300}]"#,
                r#"<[2,"a","Reset",{"type":"Soft"}]"#,
                r#">[2,"a","Heartbeat",{}]"#,
                r#">[4,"a","NotSupported","",{}]"#,
                r#"<[3, "a", {}]"#,
                r#">[2,"d1","DataTransfer",{"vendorId":"x"}]"#,
                r#"<[2,"d1","DataTransfer",{"vendorId":"x"}]"#,
                r#"<[4,"-1","RpcFrameworkError","",{}]"#,
                r#">[6,"s1","NotifyPeriodicEventStream",{}]"#,
                r#">[5,"d1","TypeConstraintViolation","",{}]"#,
            ],
            &[
                "call BootNotification id 19223201",
                "reply BootNotification id 19223201",
                "call Reset id a",
                "call Heartbeat id a",
                "error Reset id a",
                "reply Heartbeat id a",
                "call DataTransfer id d1",
                "call DataTransfer id d1",
                "error id -1",
                "event NotifyPeriodicEventStream id s1",
                "error id d1",
            ],
        );
    }

    #[test]
    fn what_breaks_the_protocol_is_told() {
        let bad = "! a field has a value that it cannot have";
        let missing = "! a field that it must have is missing";
        check(&[r#">[2,"1","Reset",{}]"#], &["! sent by the side that must not send it", "call Reset id 1"]);
        check(
            &[r#"<[2,"1","Authorize",{}]"#],
            &["! sent by the side that must not send it", "call Authorize id 1"],
        );
        check(
            &[r#"<[2,"1","Explode",{}]"#],
            &["! a type that the protocol does not have", "call Explode id 1"],
        );
        check(&[r#"<[3,"1",{}]"#], &["! sent before the session began or after it ended", "reply id 1"]);
        check(
            &[r#">[2,"1","Heartbeat",{}]"#, r#"<[3,"1",{}]"#, r#"<[3,"1",{}]"#],
            &[
                "call Heartbeat id 1",
                "reply Heartbeat id 1",
                "! sent before the session began or after it ended",
                "reply id 1",
            ],
        );
        check(&[r#">[2,"1","Heartbeat"]"#], &[missing, "call Heartbeat id 1"]);
        check(&[r#">[2,"1","Heartbeat",[]]"#], &[bad, "call Heartbeat id 1"]);
        check(&[r#">[2,1,"Heartbeat",{}]"#], &[bad, "call Heartbeat"]);
        check(&[r#">[2,"","Heartbeat",{}]"#], &[bad, "call Heartbeat id "]);
        check(&[r#">[2,"1","Heartbeat",{},{}]"#], &["! something follows its end", "call Heartbeat id 1"]);
        check(&[r#"<[4,"-1","Oops","",{}]"#], &[bad, "error id -1"]);
        check(&[r#">[9,"1"]"#], &["! a type that the protocol does not have"]);
        check(&[r#">["2","1","Heartbeat",{}]"#], &["! no message of the protocol"]);
        check(&[r#">{"a":1}"#], &["! no message of the protocol"]);
        check(&[">hello"], &["! no message of the protocol"]);
        check(&[">[]"], &["! no message of the protocol"]);
        let bytes = b"[2,\"1\",\"Heartbeat\",{\"a\":\"\xff\"}]".as_slice();
        let said = read(Some(Protocol::Ocpp), &[(Direction::Client, MessageKind::Binary, bytes)]).said;
        assert_eq!(said, ["! no message of the protocol"], "what is no text is none");
        let long = format!(r#">[2,"{}","Heartbeat",{{}}]"#, "x".repeat(37));
        check(&[&long], &[bad, &format!("call Heartbeat id {}", "x".repeat(37))]);
    }

    #[test]
    fn a_version_that_was_agreed_on_has_its_own_actions_only() {
        let check = |token: &str, text: &str, expected: &str| {
            let mut conversation =
                Conversation::new(None, &Opening { subprotocol: Some(token), target: "/" });
            let (side, bytes) = text.split_at(1);
            let direction = if side == ">" { Direction::Client } else { Direction::Server };
            let message = Message { direction, kind: MessageKind::Text, bytes: bytes.as_bytes() };
            let mut notes = Notes::default();
            conversation.message(&mut Reader::default(), &InspectLimits::default(), &message, &mut notes);
            assert_eq!(notes.said.join("; "), expected, "{token} {text}");
        };
        let unknown = "! a type that the protocol does not have";
        let start = r#">[2,"1","StartTransaction",{}]"#;
        check("ocpp1.6", start, "call StartTransaction id 1");
        check("ocpp2.0.1", start, &format!("{unknown}; call StartTransaction id 1"));
        check("ocpp2.1", start, &format!("{unknown}; call StartTransaction id 1"));
        let event = r#">[2,"1","TransactionEvent",{}]"#;
        check("ocpp1.6", event, &format!("{unknown}; call TransactionEvent id 1"));
        check("ocpp2.0.1", event, "call TransactionEvent id 1");
        let tariffs = r#"<[2,"1","GetTariffs",{}]"#;
        check("ocpp2.0.1", tariffs, &format!("{unknown}; call GetTariffs id 1"));
        check("ocpp2.1", tariffs, "call GetTariffs id 1");
        check("ocpp2.0.1", r#">[6,"1","NotifyEvent",{}]"#, unknown);
        check("ocpp2.1", r#">[6,"1","NotifyEvent",{}]"#, "event NotifyEvent id 1");
        check("ocpp1.6", r#">[2,"1","DataTransfer",{}]"#, "call DataTransfer id 1");
    }

    #[test]
    fn calls_that_are_never_answered_are_bounded() {
        let call = format!(r#"[2,"{}","Heartbeat",{{}}]"#, "x".repeat(1 << 20));
        let said = crate::testing::read(
            Some(Protocol::Ocpp),
            &[(Direction::Client, MessageKind::Text, call.as_bytes())],
        )
        .said;
        assert!(said.contains(&"! beyond the bound `pending`".to_owned()));
    }

    #[test]
    fn a_call_of_a_station_is_recognised() {
        let check = |text: &str, expected: bool| {
            let message =
                Message { direction: Direction::Client, kind: MessageKind::Text, bytes: text.as_bytes() };
            assert_eq!(is_one(&message), expected, "{text}");
        };
        check(r#"[2,"1","BootNotification",{"a":1}]"#, true);
        check(r#"[ 2 , "1" , "BootNotification" , {} ]"#, true);
        check(r#"[2,"1","phx_join",{}]"#, false);
        check(r#"[2,"1","Reset",{}]"#, false);
        check(r#"[48,1,{},"BootNotification",{}]"#, false);
        check(r#"[2,"1"#, false);
    }
}

//! The Chrome DevTools Protocol: commands, their results, and events of a browser that is remote-controlled.
//!
//! The name of an operation is the method, also of a result's that of its command; its subject is the domain of the method.

use sockwarden_model::Direction;
use sockwarden_proto::MessageKind;

use super::{Declaration, Protocol, Speaker, envelope::Envelope, hint, memory::Memory};
use crate::{
    Action, Anomaly, Bound, Breach, Message, Operation, Sink, Value, content, format::json, walk::Walk,
};

pub(super) static DECLARATION: Declaration = Declaration {
    protocol: Protocol::Cdp,
    name: "cdp",
    tokens: &[],
    target: is_target,
    message: is_first,
    speaker: || Box::<Cdp>::default(),
};

/// The members of a message.
const MEMBERS: [&str; 5] = ["id", "method", "result", "error", "sessionId"];
const ID: usize = 0;
const METHOD: usize = 1;
const RESULT: usize = 2;
const ERROR: usize = 3;
const SESSION: usize = 4;

/// The domains that a browser or a runtime has; others' protocols have methods with a dot too.
static DOMAINS: [&str; 53] = [
    "Accessibility",
    "Animation",
    "Audits",
    "Autofill",
    "BackgroundService",
    "BluetoothEmulation",
    "Browser",
    "CSS",
    "CacheStorage",
    "Cast",
    "Console",
    "DOM",
    "DOMDebugger",
    "DOMSnapshot",
    "DOMStorage",
    "Database",
    "Debugger",
    "DeviceAccess",
    "DeviceOrientation",
    "Emulation",
    "EventBreakpoints",
    "Extensions",
    "FedCm",
    "Fetch",
    "FileSystem",
    "HeadlessExperimental",
    "HeapProfiler",
    "IO",
    "IndexedDB",
    "Input",
    "Inspector",
    "LayerTree",
    "Log",
    "Media",
    "Memory",
    "Network",
    "NodeRuntime",
    "NodeTracing",
    "NodeWorker",
    "Overlay",
    "Page",
    "Performance",
    "PerformanceTimeline",
    "Profiler",
    "Runtime",
    "Schema",
    "Security",
    "ServiceWorker",
    "Storage",
    "SystemInfo",
    "Target",
    "Tracing",
    "WebAuthn",
];

#[derive(Default)]
struct Cdp {
    /// Methods by session and id of the commands that have no answer yet.
    commands: Memory,
}

impl Speaker for Cdp {
    fn message(&mut self, message: &Message<'_>, walk: &mut Walk<'_>) {
        if message.kind == MessageKind::Binary {
            broken(walk, Breach::WrongKind);
            return content::message(walk, message);
        }
        if !message.bytes.trim_ascii_start().starts_with(b"{") {
            broken(walk, Breach::NotOfTheProtocol);
            return content::message(walk, message);
        }
        let mut envelope = Envelope::at(walk, MEMBERS);
        let mut tap = |value: &Value<'_>, _: &mut dyn Sink| envelope.tap(value);
        walk.tapped(&mut tap, |walk| walk.json(message.bytes));
        match message.direction {
            Direction::Client => self.command(walk, &envelope),
            Direction::Server => self.answer(walk, &envelope),
        }
        envelope.release(walk);
    }
}

impl Cdp {
    fn command<const N: usize>(&mut self, walk: &mut Walk<'_>, envelope: &Envelope<N>) {
        let (id, method) = (envelope.text(ID), envelope.string(METHOD));
        if let Some(breach) = bad_command(envelope) {
            broken(walk, breach);
        }
        if let (Some(id), Some(method)) = (id, method)
            && !self.commands.keep(&key(envelope, id), method, walk.limits.pending)
        {
            walk.anomaly(Anomaly::Bound(Bound::Pending));
        }
        if method.is_some() {
            tell(walk, Action::Call, method, id);
        }
    }

    fn answer<const N: usize>(&mut self, walk: &mut Walk<'_>, envelope: &Envelope<N>) {
        let id = envelope.text(ID);
        if envelope.has(METHOD) {
            let method = envelope.string(METHOD);
            if envelope.has(ID) {
                broken(walk, Breach::WrongDirection);
            } else if !method.is_some_and(is_method) {
                broken(walk, Breach::BadField);
            }
            return tell(walk, Action::Event, method, id);
        }
        let action = match (envelope.has(RESULT), envelope.has(ERROR)) {
            (true, false) => Action::Reply,
            (false, true) => Action::Error,
            (true, true) => {
                broken(walk, Breach::BadField);
                Action::Error
            }
            (false, false) => return broken(walk, Breach::MissingField),
        };
        let command = id.and_then(|id| self.commands.take(&key(envelope, id)));
        // What could not be read has no id that an error could name.
        if command.is_none() && (id.is_some() || action == Action::Reply) {
            broken(walk, if id.is_some() { Breach::OutOfOrder } else { Breach::MissingField });
        }
        tell(walk, action, command.as_deref(), id);
    }
}

/// Tells what is wrong with a command.
fn bad_command<const N: usize>(envelope: &Envelope<N>) -> Option<Breach> {
    if envelope.has(RESULT) || envelope.has(ERROR) {
        return Some(Breach::WrongDirection);
    }
    if !envelope.has(ID) || !envelope.has(METHOD) {
        return Some(Breach::MissingField);
    }
    let number = envelope.string(ID).is_none() && envelope.text(ID).is_some_and(is_integer);
    let method = envelope.string(METHOD).is_some_and(is_method);
    let session = !envelope.has(SESSION) || envelope.string(SESSION).is_some();
    (!number || !method || !session).then_some(Breach::BadField)
}

/// Each session counts its commands by itself.
fn key<const N: usize>(envelope: &Envelope<N>, id: &str) -> Vec<u8> {
    [envelope.string(SESSION).unwrap_or_default().as_bytes(), b"\0", id.as_bytes()].concat()
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<i64>().is_ok()
}

/// Tells whether this is `Domain.method`.
fn is_method(name: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    name.split_once('.').is_some_and(|(domain, method)| {
        word(domain) && word(method) && domain.starts_with(|c: char| c.is_ascii_uppercase())
    })
}

/// Tells whether a target is one of a browser's: `/devtools/browser/ID` and the like.
fn is_target(target: &str) -> bool {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    ["/devtools/browser/", "/devtools/page/"].iter().any(|known| {
        path.rfind(known).is_some_and(|at| {
            let id = path.get(at + known.len()..).unwrap_or_default();
            !id.is_empty() && !id.contains('/')
        })
    })
}

/// Tells whether a message is a command of a client: a method of a domain and an id that is a number.
fn is_first(message: &Message<'_>) -> bool {
    let bytes = message.bytes;
    if message.direction != Direction::Client || !json::begins(bytes) || find(bytes, b"\"jsonrpc\"").is_some()
    {
        return false;
    }
    let method = find(bytes, b"\"method\"").and_then(|rest| {
        let name = rest.strip_prefix(b"\"")?;
        let end = name.iter().take(80).position(|byte| *byte == b'"')?;
        std::str::from_utf8(&name[..end]).ok()
    });
    let id = find(bytes, b"\"id\"").and_then(<[u8]>::first);
    let known = |name: &str| {
        let parts = name.split_once('.');
        parts.is_some_and(|(domain, method)| {
            DOMAINS.contains(&domain) && method.starts_with(|c: char| c.is_ascii_lowercase())
        })
    };
    method.is_some_and(known) && id.is_some_and(u8::is_ascii_digit)
}

/// Finds a member, and gives what follows its colon.
fn find<'a>(bytes: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let at = hint::find(bytes, name)?;
    bytes[at + name.len()..].trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start)
}

fn tell(walk: &mut Walk<'_>, action: Action, name: Option<&str>, id: Option<&str>) {
    let subject = name.and_then(|name| name.split_once('.')).map(|(domain, _)| domain);
    walk.operation(&Operation { protocol: Protocol::Cdp, action, name, subject, id });
}

fn broken(walk: &mut Walk<'_>, breach: Breach) {
    walk.anomaly(Anomaly::Breach(Protocol::Cdp, breach));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_talk, read};

    fn check(texts: &[&str], expected: &[&str]) {
        check_talk(Protocol::Cdp, texts, expected);
    }

    #[test]
    fn results_carry_the_method_of_their_command() {
        check(
            &[
                r#">{"id":1,"method":"Page.navigate","params":{"url":"file:///etc/passwd"}}"#,
                r#"<{"id":1,"result":{"frameId":"F"}}"#,
                r#">{"id":1,"method":"Runtime.evaluate","params":{},"sessionId":"S"}"#,
                r#"<{"method":"Network.requestWillBeSent","params":{"a":1},"sessionId":"S"}"#,
                r#"<{"id":1,"error":{"code":-32000,"message":"no"},"sessionId":"S"}"#,
                r#"<{"error":{"code":-32700,"message":"JSON: parse error"}}"#,
            ],
            &[
                "call Page.navigate on Page id 1",
                "reply Page.navigate on Page id 1",
                "call Runtime.evaluate on Runtime id 1",
                "event Network.requestWillBeSent on Network",
                "error Runtime.evaluate on Runtime id 1",
                "error",
            ],
        );
    }

    #[test]
    fn what_breaks_the_protocol_is_told() {
        let bad = "! a field has a value that it cannot have";
        let missing = "! a field that it must have is missing";
        let side = "! sent by the side that must not send it";
        check(&[r#">{"id":"1","method":"A.b"}"#], &[bad, "call A.b on A id 1"]);
        check(&[r#">{"id":1.5,"method":"A.b"}"#], &[bad, "call A.b on A id 1.5"]);
        check(&[r#">{"id":1,"method":"go"}"#], &[bad, "call go id 1"]);
        check(&[r#">{"id":1,"method":"A.b","sessionId":2}"#], &[bad, "call A.b on A id 1"]);
        check(&[r#">{"method":"A.b"}"#], &[missing, "call A.b on A"]);
        check(&[r#">{"id":1}"#], &[missing]);
        check(&[r#">{"id":1,"result":{}}"#], &[side]);
        check(&[r#"<{"id":1,"method":"A.b"}"#], &[side, "event A.b on A id 1"]);
        check(
            &[r#"<{"id":1,"result":{}}"#],
            &["! sent before the session began or after it ended", "reply id 1"],
        );
        check(&[r#"<{"id":1}"#], &[missing]);
        check(&[r#"<{"result":{}}"#], &[missing, "reply"]);
        check(&[">[1]"], &["! no message of the protocol"]);
        check(&[">hello"], &["! no message of the protocol"]);
        let binary = read(Some(Protocol::Cdp), &[(Direction::Client, MessageKind::Binary, b"x")]);
        assert_eq!(binary.said, ["! text where it must be binary, or the reverse"]);
    }

    #[test]
    fn a_browser_is_recognised() {
        for target in ["/devtools/browser/4b-c1", "/devtools/page/AB12?x=1", "/proxy/devtools/page/A"] {
            assert!(is_target(target), "{target}");
        }
        for target in ["/devtools/", "/devtools/page/", "/devtools/page/a/b", "/?/devtools/page/A"] {
            assert!(!is_target(target), "{target}");
        }
        let check = |text: &str, expected: bool| {
            let message =
                Message { direction: Direction::Client, kind: MessageKind::Text, bytes: text.as_bytes() };
            assert_eq!(is_first(&message), expected, "{text}");
        };
        check(r#"{"id":1,"method":"Target.getTargets"}"#, true);
        check(r#"{ "method" : "Page.enable" , "id" : 7 }"#, true);
        check(r#"{"id":1,"jsonrpc":"2.0","method":"Page.enable"}"#, false);
        check(r#"{"id":"1","method":"Page.enable"}"#, false);
        check(r#"{"id":1,"method":"login"}"#, false);
        check(r#"{"id":1,"method":"user.login"}"#, false);
        check(r#"{"id":1,"src":"me","method":"Shelly.GetStatus"}"#, false);
        check(r#"{"id":1,"method":"Input.GetStatus"}"#, false);
        check("[]", false);
    }
}

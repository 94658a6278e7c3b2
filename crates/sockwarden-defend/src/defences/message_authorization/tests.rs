//! Who may say what: users, rooms, administrators, and those who try to get around it.

use serde_json::{Value as Json, json};
use sockwarden_inspect::{
    Conversation, InspectLimits, Message, Opening, Place, Protocol, Reader, Sink, Value,
};
use sockwarden_model::Direction::{Client, Server};
use sockwarden_proto::MessageKind;

use super::*;
use crate::defences::samples::{judge_texts, reasons};

fn config(text: Json) -> AuthorizeConfig {
    serde_json::from_value(text).unwrap()
}

fn defence(default: &str, rules: Json) -> MessageAuthorization {
    MessageAuthorization::new(&config(json!({"default": default, "rules": rules}))).unwrap()
}

/// Mara may use the rooms a and b, and is an editor.
fn mara() -> Identity {
    let identity = json!({
        "user": "mara", "roles": ["editor"], "claims": {"rooms": ["a", "b"], "tenant": "t1", "limit": 100},
    });
    serde_json::from_value(identity).unwrap()
}

struct Rulings<'a> {
    judge: &'a mut Judge,
    from: Direction,
    rulings: Vec<Ruling>,
}

impl Rulings<'_> {
    fn hear(&mut self, content: Content<'_>) {
        self.rulings.extend(self.judge.hear(self.from, content));
    }
}

impl Sink for Rulings<'_> {
    fn value(&mut self, value: &Value<'_>) {
        self.hear(Content::Value(value));
    }

    fn operation(&mut self, operation: &Operation<'_>) {
        self.hear(Content::Operation(operation));
    }

    fn anomaly(&mut self, anomaly: Anomaly, place: Place<'_>) {
        self.hear(Content::Anomaly(anomaly, place));
    }
}

/// Gives which rule lets a message through, or else why none does.
fn ruled(
    defence: &MessageAuthorization,
    identity: &Identity,
    protocol: Option<Protocol>,
    from: Direction,
    text: &str,
) -> Result<Option<usize>, String> {
    let mut judge = defence.judge(identity);
    // What was said before lends nothing.
    let before = r#"{"type":"say","room":"a","userId":"mara","amount":1}"#;
    for text in [before, text] {
        let (bytes, kind) = (text.as_bytes(), MessageKind::Text);
        let mut rulings = Rulings { judge: &mut judge, from, rulings: Vec::new() };
        rulings.hear(Content::Begin);
        let mut conversation = Conversation::new(protocol, &Opening::default());
        let message = Message { direction: from, kind, bytes };
        conversation.message(&mut Reader::default(), &InspectLimits::default(), &message, &mut rulings);
        rulings.hear(Content::Whole { kind, bytes, goes_on: conversation.is_within(from) });
        if text == before && protocol.is_none() {
            continue;
        }
        let rulings = rulings.rulings;
        if let Some(denied) = rulings.iter().find(|ruling| !ruling.is_allowed) {
            if text != before {
                return Err(denied.reason.clone());
            }
        } else if text != before || rulings.is_empty() {
            return Ok(rulings.first().and_then(|ruling| ruling.rule));
        }
    }
    unreachable!("the last message was ruled on")
}

fn rooms() -> MessageAuthorization {
    defence(
        "deny",
        json!([
            {"field": {"at": "/type", "is": "admin.*"}, "roles": ["admin"], "allow": true},
            {"field": {"at": "/type", "is": "say"}, "when": [
                {"field": "/room", "in": "claims.rooms"}, {"field": "/userId", "is": "user"},
            ], "allow": true},
            {"field": {"at": "/type", "is": "pay"}, "when": [{"field": "/amount", "at_least": 1, "at_most": 100}], "allow": true},
        ]),
    )
}

#[test]
fn a_user_may_speak_for_himself_in_his_rooms_and_do_what_his_roles_allow() {
    let rooms = rooms();
    let by_default = "a message is denied by `default`: no rule fits";
    let check = |identity: &Identity, text: &str, expected: Result<usize, &str>| {
        let ruled = ruled(&rooms, identity, None, Client, text);
        assert_eq!(ruled, expected.map(Some).map_err(str::to_owned), "{text}");
    };
    let denied = |text: &str| check(&mara(), text, Err(by_default));
    check(&mara(), r#"{"type":"say","room":"a","userId":"mara"}"#, Ok(1));
    check(&mara(), r#"{"userId":"mara","more":{"room":"c"},"room":"b","type":"say"}"#, Ok(1));
    denied(r#"{"type":"say","room":"c","userId":"mara"}"#);
    denied(r#"{"type":"say","room":"a","userId":"bob"}"#);
    denied(r#"{"type":"say","room":"a"}"#);
    denied(r#"{"type":"say","userId":"mara"}"#);
    denied(r#"{"type":"admin.delete","room":"a","userId":"mara"}"#);
    denied(r#"{"room":"a","userId":"mara"}"#);
    denied("hello");
    denied("{}");
    denied("");
    let admin = Identity { roles: vec!["admin".to_owned()], ..Identity::of_user("root") };
    check(&admin, r#"{"type":"admin.delete","id":7}"#, Ok(0));
    check(&admin, r#"{"type":"say","room":"a","userId":"root"}"#, Err(by_default));
    check(&Identity::default(), r#"{"type":"say","room":"a","userId":""}"#, Err(by_default));
    check(&Identity::default(), r#"{"type":"admin.delete"}"#, Err(by_default));

    check(&mara(), r#"{"type":"pay","amount":100}"#, Ok(2));
    for amount in ["100.5", "0", "-1", "1e3", "1e999", "\"50\"", "null", "true", "[50]", "{\"n\":50}"] {
        denied(&format!(r#"{{"type":"pay","amount":{amount}}}"#));
    }
}

#[test]
fn what_two_readers_understand_differently_is_never_allowed() {
    let rooms = rooms();
    let check = |text: &str| {
        let ruled = ruled(&rooms, &mara(), None, Client, text);
        assert!(ruled.is_err(), "{text}: {ruled:?}");
    };
    // A name that stands twice, whichever a reader takes.
    check(r#"{"type":"say","room":"a","room":"c","userId":"mara"}"#);
    check(r#"{"type":"say","room":"c","room":"a","userId":"mara"}"#);
    check(r#"{"type":"say","type":"admin.delete","room":"a","userId":"mara"}"#);
    check(r#"{"type":"say","room":"a","room":{},"userId":"mara"}"#);
    check(r#"{"type":"say","room":"a","room":[],"userId":"mara"}"#);
    check(r#"{"type":"say","room":"a","room":["c"],"userId":"mara"}"#);
    check(r#"{"type":"say","room":"a","room":null,"userId":"mara"}"#);
    check(r#"{"type":"say","room":"a","r\u006fom":"c","userId":"mara"}"#);
    // A name in another case, which some readers take for the same.
    check(r#"{"type":"say","room":"a","Room":"c","userId":"mara"}"#);
    check(r#"{"type":"say","Room":"a","userId":"mara"}"#);
    // A list where one thing should be, and the other way round.
    check(r#"{"type":"say","room":["a"],"userId":"mara"}"#);
    check(r#"{"type":["say"],"room":"a","userId":"mara"}"#);
    check(r#"{"type":"say","room":{"id":"a"},"userId":"mara"}"#);
    // Several messages in one array: each must be allowed.
    let good = r#"{"type":"say","room":"a","userId":"mara"}"#;
    check(&format!("[{good},{}]", good.replace("\"a\"", "\"c\"")));
    check(&format!(r#"[{good},{{"type":"say","userId":"mara"}}]"#));
    check(&format!(r#"[{{"type":"say","userId":"mara"}},{good}]"#));
    check(&format!(r#"[{good},{{"type":"admin.delete","room":"a","userId":"mara"}}]"#));
    assert_eq!(ruled(&rooms, &mara(), None, Client, &format!("[{good},{good}]")), Ok(Some(1)));
    // What follows the end, and what has none.
    check(&format!("{good}{good}"));
    check(&format!("{good} x"));
    check(&good[..good.len() - 1]);
    check(&format!("\u{feff}{good}"));
}

#[test]
fn what_a_rule_denies_is_denied_however_it_is_spelt() {
    let rules = defence(
        "allow",
        json!([
            {"field": {"at": "/type", "is": "Admin.*"}, "allow": false},
            {"when": [{"field": "/room", "one_of": ["secret"]}], "allow": false},
            {"when": [{"field": "/amount", "at_least": 1000}], "allow": false},
            {"when": [{"field": "/tenant", "is": "claims.tenant"}], "allow": false},
            {"when": [{"field": "/tags/*", "one_of": ["x"]}], "allow": false},
        ]),
    );
    let check = |text: &str, expected: Option<usize>| {
        let expected = match expected {
            Some(rule) => Err(format!("a message is denied by `rules[{rule}]`")),
            None => Ok(None),
        };
        assert_eq!(ruled(&rules, &mara(), None, Client, text), expected, "{text}");
    };
    check(r#"{"type":"say"}"#, None);
    check("hello", None);
    check(r#"{"type":"admin.delete"}"#, Some(0));
    check(r#"{"type":"ADMIN.delete"}"#, Some(0));
    check(r#"{"type":"say","type":"admin.delete"}"#, Some(0));
    check(r#"{"type":"admin.delete","type":"say"}"#, Some(0));
    check(r#"{"Type":"admin.delete"}"#, Some(0));
    check(r#"[{"type":"say"},{"type":"admin.delete"}]"#, Some(0));
    check(r#"{"room":"Secret"}"#, Some(1));
    check(r#"{"room":"public"}"#, None);
    check(r#"{"amount":"1000"}"#, Some(2));
    check(r#"{"amount":" 1e3 "}"#, Some(2));
    check(r#"{"amount":999}"#, None);
    check(r#"{"tenant":"T1"}"#, Some(3));
    check(r#"{"tenant":"t2"}"#, None);
    check(r#"{"tags":["a","x"]}"#, Some(4));
    check(r#"{"tags":[]}"#, None);
}

#[test]
fn the_first_rule_that_fits_decides() {
    let rules = defence(
        "deny",
        json!([
            {"users": ["bob"], "allow": false},
            {"roles": ["admin", "editor"], "field": {"at": "/type", "is": "edit"}, "allow": true},
            {"field": {"at": "/type", "is": "edit"}, "allow": false},
            {"authenticated": true, "allow": true},
        ]),
    );
    let bob = Identity { roles: vec!["admin".to_owned()], ..Identity::of_user("bob") };
    let edit = r#"{"type":"edit"}"#;
    let check = |identity: &Identity, text: &str| ruled(&rules, identity, None, Client, text);
    assert_eq!(check(&mara(), edit), Ok(Some(1)));
    assert_eq!(check(&Identity::of_user("ann"), edit), Err("a message is denied by `rules[2]`".to_owned()));
    assert_eq!(check(&bob, edit), Err("a message is denied by `rules[0]`".to_owned()));
    assert_eq!(check(&mara(), "hello"), Ok(Some(3)));
    let nobody = check(&Identity::default(), "hello");
    assert_eq!(nobody, Err("a message is denied by `default`: no rule fits".to_owned()));
}

#[test]
fn operations_of_a_sub_protocol_are_judged_each() {
    let rules = defence(
        "deny",
        json!([
            {"protocol": "json-rpc", "operation": "room.*", "when": [{"field": "/params/room", "in": "claims.rooms"}], "allow": true},
            {"operation": "ping", "allow": true},
            {"operation": "admin.*", "roles": ["admin"], "allow": true},
        ]),
    );
    let rpc = |text: &str| ruled(&rules, &mara(), Some(Protocol::JsonRpc), Client, text);
    let call = |method: &str, params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
    };
    let own = call("room.say", r#"{"room":"a"}"#);
    let other = call("room.say", r#"{"room":"c"}"#);
    let without = call("room.say", "{}");
    let denied = |what: &str| Err(format!("json-rpc: call `{what}` is denied by `default`: no rule fits"));
    assert_eq!(rpc(&own), Ok(Some(0)));
    assert_eq!(rpc(&other), denied("room.say"));
    assert_eq!(rpc(&without), denied("room.say"));
    assert_eq!(rpc(&call("admin.ban", "{}")), denied("admin.ban"));
    assert_eq!(rpc(&format!("[{own},{}]", call("ping", "{}"))), Ok(Some(0)));
    for bad in [&other, &without, &call("admin.ban", "{}")] {
        assert!(rpc(&format!("[{own},{bad}]")).is_err(), "{bad}");
        assert!(rpc(&format!("[{bad},{own}]")).is_err(), "{bad}");
    }
    let twice = own.replace("\"method\"", "\"method\":\"admin.ban\",\"method\"");
    assert_eq!(rpc(&twice), Err("what it says is not clear: a name stands twice in one object".to_owned()));

    let chat = defence(
        "deny",
        json!([{"operation": "say", "subject": "/", "when": [{"field": "/1/room", "in": "claims.rooms"}], "allow": true}]),
    );
    let io = |text: &str| judge_texts(&chat, Some(Protocol::SocketIo), &[(Client, text)]).len();
    // The judge of samples knows no claims.
    assert_eq!([io("2"), io("40"), io(r#"42["say",{"room":"a"}]"#)], [0, 0, 1]);
    let io = |text: &str| ruled(&chat, &mara(), Some(Protocol::SocketIo), Client, text).is_ok();
    assert!(io(r#"42["say",{"room":"a"}]"#) && io("2"));
    assert!(!io(r#"42["say",{"room":"c"}]"#) && !io(r#"42["kick",{"room":"a"}]"#));
    assert!(!io(r#"42["say","x",{"room":"a"}]"#));
}

#[test]
fn the_application_is_judged_by_rules_about_it_alone() {
    let rules = defence("deny", json!([{"field": {"at": "/type", "is": "say"}, "allow": true}]));
    assert_eq!(judge_texts(&rules, None, &[(Server, "secret")]), []);
    assert_eq!(judge_texts(&rules, None, &[(Client, "secret")]).len(), 1);
    let rules = defence(
        "deny",
        json!([{"from": "server", "when": [{"field": "/room", "in": "claims.rooms"}], "allow": true}]),
    );
    assert_eq!(judge_texts(&rules, None, &[(Client, "anything")]), []);
    assert_eq!(ruled(&rules, &mara(), None, Server, r#"{"room":"a"}"#), Ok(Some(0)));
    assert!(ruled(&rules, &mara(), None, Server, r#"{"room":"c"}"#).is_err());
}

#[test]
fn a_message_is_left_out_or_the_connection_closed() {
    let rules = json!({"default": "deny", "rules": [{"users": ["ann"], "field": {"at": "/a", "is": "1"}, "allow": true}]});
    let mut said = config(rules);
    let judge = |config: &AuthorizeConfig, text: &str| {
        judge_texts(&MessageAuthorization::new(config).unwrap(), None, &[(Client, text)])
    };
    assert_eq!(judge(&said, r#"{"a":1}"#), []);
    let reason = "a message is denied by `default`: no rule fits".to_owned();
    assert_eq!(judge(&said, r#"{"a":2}"#), [Verdict::Drop { reason: reason.clone() }]);
    said.answer = AnswerKind::Close;
    let closed = judge(&said, r#"{"a":2}"#);
    assert!(matches!(&closed[..], [Verdict::Close(closure)] if closure.code == CloseCode::POLICY));
    assert_eq!(reasons(&closed), [reason]);
}

#[test]
fn where_there_are_no_rules_nothing_is_heard() {
    let silent = MessageAuthorization::new(&AuthorizeConfig::default()).unwrap();
    assert_eq!(silent.hears(), Hears::NOTHING);
    assert_eq!(judge_texts(&silent, None, &[(Client, "anything")]), []);
}

#[test]
fn rules_that_mean_nothing_are_named() {
    let check = |text: Json, expected: &[&str]| {
        let wrong = MessageAuthorization::new(&config(text)).err().unwrap_or_default();
        assert_eq!(wrong.iter().map(|wrong| wrong.key.as_str()).collect::<Vec<_>>(), expected);
        assert!(wrong.iter().all(|wrong| !wrong.help.is_empty()));
    };
    let rule = |rule: Json, expected: &str| {
        let mut rule = rule;
        rule["allow"] = true.into();
        check(json!({"default": "deny", "rules": [rule]}), &[&format!("authorize.rules[0]{expected}")]);
    };
    check(json!({}), &[]);
    check(json!({"default": "deny"}), &["authorize.default"]);
    check(json!({"rules": [{"authenticated": true, "allow": true}]}), &["authorize.default"]);
    check(
        json!({"default": "deny", "rules": vec![json!({"users": ["a"], "allow": true}); 257]}),
        &["authorize.rules"],
    );
    rule(json!({}), "");
    rule(json!({"from": "server"}), "");
    rule(json!({"protocol": "soap"}), ".protocol");
    rule(json!({"action": "shout"}), ".action");
    rule(json!({"operation": "a*b"}), ".operation");
    rule(json!({"subject": "a/{name}"}), ".subject");
    rule(json!({"field": {"at": "type", "is": "x"}}), ".field.at");
    rule(json!({"field": {"at": "/type", "is": ""}}), ".field.is");
    rule(json!({"when": [{"field": "/a"}]}), ".when[0]");
    rule(json!({"when": [{"field": "/a", "is": "user", "one_of": ["x"]}]}), ".when[0]");
    rule(json!({"when": [{"field": "/a", "is": "user"}, {"field": "/a", "is": "name"}]}), ".when[1].is");
    rule(json!({"when": [{"field": "/a", "in": "user"}]}), ".when[0].in");
    rule(json!({"when": [{"field": "a", "is": "user"}]}), ".when[0].field");
    rule(json!({"when": vec![json!({"field": "/a", "is": "user"}); 17]}), ".when");
    let unsaid = json!({"default": "deny", "rules": [{"users": ["a"]}]});
    assert!(serde_json::from_value::<AuthorizeConfig>(unsaid).is_err());
}

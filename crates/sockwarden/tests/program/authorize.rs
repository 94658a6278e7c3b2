//! Trying rules of who may say what.

use std::{
    io::Write as _,
    path::Path,
    process::{Output, Stdio},
};

use serde_json::{Value, json};

use crate::run::{finished, program};

const CONFIG: &str = r#"version = 1
[[listeners]]
address = "127.0.0.1:0"

[[routes]]
name = "chat"
upstream = "ws://127.0.0.1:9"
auth = "none"
inspect.protocol = "none"
[routes.authorize]
default = "deny"
[[routes.authorize.rules]]
field = { at = "/type", is = "admin.*" }
roles = ["admin"]
allow = true
[[routes.authorize.rules]]
field = { at = "/type", is = "say" }
when = [{ field = "/room", in = "claims.rooms" }]
allow = true
"#;

const MESSAGES: &str = r#"{"payload":"{\"type\":\"say\",\"room\":\"a\"}","connection":"x"}

{"payload":"{\"type\":\"say\",\"room\":\"c\"}"}
{"payload":"{\"type\":\"admin.delete\"}"}
{"payload":"{\"type\":\"news\"}","direction":"server"}
{"payload_base64":"/w=="}
"#;

fn authorize(folder: &Path, arguments: &str, input: &str) -> Output {
    let mut command = program(folder);
    command.arg("authorize").args(arguments.split_whitespace()).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    finished(child)
}

fn rulings(output: &Output) -> Vec<(String, Value)> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            assert!(line["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{line}");
            (line["verdict"].as_str().unwrap().to_owned(), line["rule"].clone())
        })
        .collect()
}

#[test]
fn each_message_is_ruled_on_as_the_gateway_would() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("sockwarden.toml", CONFIG);
    write("mara.json", r#"{"user":"mara","claims":{"rooms":["a"]}}"#);
    write("root.json", r#"{"user":"root","roles":["admin"]}"#);
    let check = |arguments: &str, expected: [(&str, Value); 5]| {
        let output = authorize(folder.path(), arguments, MESSAGES);
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
        assert_eq!(
            rulings(&output),
            expected.map(|(verdict, rule)| (verdict.to_owned(), rule)),
            "{arguments}"
        );
    };
    let (null, allow, deny) = (Value::Null, "allow", "deny");
    let nobody = [
        (deny, null.clone()),
        (deny, null.clone()),
        (deny, null.clone()),
        (allow, null.clone()),
        (deny, null.clone()),
    ];
    check("", nobody.clone());
    let mut mara = nobody.clone();
    mara[0] = (allow, json!(1));
    check("--as mara.json --route chat", mara);
    let mut root = nobody;
    root[2] = (allow, json!(0));
    check("-c sockwarden.toml --as root.json", root);
}

#[test]
fn what_cannot_be_tried_ends_with_one_error_and_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("sockwarden.toml", CONFIG);
    write("wrong.toml", &CONFIG.replace("default = \"deny\"", ""));
    write("bad.toml", &CONFIG.replace("at = \"/type\"", "at = \"type\""));
    write(
        "both.toml",
        &format!("{CONFIG}\n[[routes]]\nname = \"feed\"\nupstream = \"ws://127.0.0.1:9\"\nauth = \"none\"\n"),
    );
    write("who.json", r#"{"user":"mara","admin":true}"#);
    let check = |arguments: &str, input: &str, code: i32, words: &str| {
        let output = authorize(folder.path(), arguments, input);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments}: {told}");
        assert!(told.contains(words), "{arguments}: {told}");
    };
    let good = r#"{"payload":"x"}"#;
    check("--route no", good, 2, "there is no route `no`: there are chat");
    check("-c both.toml", good, 2, "say which route with --route: there are chat, feed");
    check("-c wrong.toml", good, 1, "it is not said what becomes of a message that no rule fits");
    check("-c bad.toml", good, 1, "does not begin with `/`");
    check("-c missing.toml", good, 1, "cannot be read");
    check("--as missing.json", good, 1, "cannot be read");
    check("--as who.json", good, 1, "unknown field `admin`");
    check("", "{\"payload\":\"x\"}\nrubbish", 2, "line 2");
}

//! What `inspect` makes of lines of messages.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Output, Stdio},
};

use serde_json::{Value, json};

use crate::run::{finished, program};

fn inspect(arguments: &str, input: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(folder.path());
    command.args(["inspect", "--show", "values"]).args(arguments.split_whitespace()).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    finished(child)
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_line_is_told_in_order_with_what_was_beside_it() {
    let input = r#"{"id":9,"payload":"42[\"chat\",{\"a\":\"<b>x</b>\"}]","connection":1}

{"payload_base64":"/w==","direction":"server","label":{"x":[1.5]}}
"#;
    let output = inspect("--protocol socket-io", input);
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    let expected = [
        json!({
            "direction": "client",
            "connection": "1",
            "protocol": {"name": "socket-io", "by": "configured"},
            "operations": [{"protocol": "socket-io", "action": "event", "name": "chat", "subject": "/", "id": null}],
            "values": [
                {"place": "/0", "role": "value", "shape": "string", "kind": "identifier", "text": "chat", "marks": ["letter"]},
                {"place": "/1/a", "role": "key", "shape": "string", "kind": "identifier", "text": "a", "marks": ["letter"]},
                {"place": "/1/a", "role": "value", "shape": "string", "kind": "markup", "text": "<b>x</b>", "marks": ["letter", "angle", "slash"]},
                {"place": "/1/a|xml/b", "role": "key", "shape": "string", "kind": "identifier", "text": "b", "marks": ["letter"]},
                {"place": "/1/a|xml/b", "role": "value", "shape": "string", "kind": "identifier", "text": "x", "marks": ["letter"]},
            ],
            "anomalies": [],
            "input": {"id": 9},
        }),
        json!({
            "direction": "server",
            "protocol": {"name": "socket-io", "by": "configured"},
            "operations": [],
            "values": [{"place": "", "role": "value", "shape": "bytes", "kind": "binary", "base64": "/w==", "marks": ["high"]}],
            "anomalies": [{"place": "", "id": "socket-io:bad-attachments", "words": "socket-io: its attachments are not those that it announced"}],
            "input": {"label": {"x": [1.5]}},
        }),
    ];
    assert_eq!(lines(&output), expected);
}

#[test]
fn the_messages_of_one_connection_are_one_conversation() {
    let input = r#"{"connection":"a","payload":"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}"}
{"connection":"b","payload":"{\"result\":1}"}
{"connection":"a","payload":"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}","direction":"server"}
"#;
    let known = |arguments: &str| -> Vec<Value> {
        lines(&inspect(arguments, input)).iter().map(|line| line["protocol"]["by"].clone()).collect()
    };
    assert_eq!(known(""), [json!("first messages"), json!(null), json!("first messages")]);
    assert_eq!(known("--protocol none"), [json!(null), json!(null), json!(null)]);
}

#[test]
fn a_wrong_line_ends_it_with_2_and_what_stands_before_it_is_told() {
    let output = inspect(
        "--summary",
        "{\"payload\":\"one\"}\n{\"payload\":\"two\"}\n{\"payload\":3}\n{\"payload\":\"four\"}\n",
    );
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(lines(&output).len(), 2);
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @r"
    2 messages: 2 by the client, 0 by the server
    SORT      COUNT  NAME
    protocol  2      none
    kind      2      identifier
    error: line 3, column 12: invalid type: integer `3`, expected a string
    ");
}

#[test]
fn a_bound_that_is_hit_is_an_anomaly() {
    let output = inspect("--limits depth=2,values=100", r#"{"payload":"[[[1]]]"}"#);
    assert_eq!(lines(&output)[0]["anomalies"][0]["id"], "bound:depth");
    let output = inspect("--limits depth=none", "");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn who_writes_lines_one_by_one_gets_each_answer_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(folder.path());
    let mut child = command.args(["inspect", "--show", "values"]).stdin(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    for _ in 0..3 {
        input.write_all(b"{\"payload\":\"x\"}\n").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(line.ends_with("}\n"), "{line}");
    }
    drop(input);
    assert_eq!(finished(child).status.code(), Some(0));
}

//! What `inspect` judges, by the defaults, by a route and by a rule set.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Output, Stdio},
};

use serde_json::{Value, json};

use crate::run::{finished, program};

const ATTACK: &str = r#"{"payload":"{\"text\":\"x' UNION SELECT password FROM users-- \"}","id":7}"#;
const HARMLESS: &str = r#"{"payload":"{\"text\":\"Did you select a seat, or union dues?\"}"}"#;
const WICKED: &str = r#"{"payload":"{\"text\":\"something wicked\"}"}"#;

fn run(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = program(folder);
    command.args(arguments).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    finished(child)
}

fn verdicts(output: &Output) -> Vec<(String, Vec<String>)> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let of = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let rules = line["observations"].as_array().unwrap().iter();
        let rules = rules.map(|seen| seen["rule"].as_str().unwrap().to_owned()).collect();
        (line["verdict"].as_str().unwrap().to_owned(), rules)
    };
    text.lines().map(of).collect()
}

#[test]
fn messages_are_judged_as_the_gateway_would() {
    let folder = tempfile::tempdir().unwrap();
    let input = [ATTACK, HARMLESS].join("\n");
    let output = run(folder.path(), &["inspect", "--summary"], &input);
    assert_eq!(output.status.code(), Some(0));
    let [attack, harmless] = <[_; 2]>::try_from(verdicts(&output)).unwrap();
    assert_eq!((attack.0.as_str(), attack.1.contains(&"sql-union".to_owned())), ("block", true));
    assert_eq!(harmless, ("pass".to_owned(), vec![]));
    let first: Value =
        serde_json::from_slice(output.stdout.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    assert_eq!((&first["input"], &first["observations"][0]["where"]), (&json!({"id": 7}), &"/text".into()));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("2 messages, 1 blocked (50.00 %)") && told.contains("sql-union"), "{told}");

    let config = "version = 1\n[[listeners]]\naddress = \"127.0.0.1:0\"\n[[routes]]\nname = \"app\"\n\
        upstream = \"ws://127.0.0.1:9\"\nauth = \"none\"\ninjection.exclusions = [\"* /text\"]\n";
    fs::write(folder.path().join("a.toml"), config).unwrap();
    let output = run(folder.path(), &["inspect", "-c", "a.toml", "--route", "app"], ATTACK);
    assert_eq!(verdicts(&output), [("pass".to_owned(), vec![])]);
    let output = run(folder.path(), &["inspect", "-c", "a.toml", "--route", "other"], ATTACK);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_rule_set_is_asked_as_well_and_reported_rule_by_rule() {
    let folder = tempfile::tempdir().unwrap();
    let rules = concat!(
        "SecRule ARGS \"@rx wicked\" \"id:10,phase:2,deny,msg:'a wicked word',severity:CRITICAL,tag:'attack-words'\"\n",
        "SecRule FILES \"@rx x\" \"id:11,phase:2,deny\"\n",
        "SecRule ARGS \"@rx (a)\\1\" \"id:12,phase:2,deny\"\n",
    );
    fs::create_dir(folder.path().join("set")).unwrap();
    fs::write(folder.path().join("set/a.conf"), rules).unwrap();
    let output = run(folder.path(), &["inspect", "--rules", "set"], &[WICKED, HARMLESS].join("\n"));
    assert_eq!(verdicts(&output), [("block".to_owned(), vec!["10".to_owned()]), ("pass".to_owned(), vec![])]);

    let output = run(folder.path(), &["rules", "check", "set", "--json"], "");
    let text = String::from_utf8(output.stdout).unwrap();
    let standings: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|rule| (rule["id"].as_u64().unwrap(), rule["standing"].as_str().unwrap().to_owned()))
        .collect();
    let expected = [(10, "compiled"), (11, "not-applicable"), (12, "unsupported")];
    assert_eq!(standings, expected.map(|(id, standing)| (id, standing.to_owned())));

    fs::write(folder.path().join("set/b.conf"), "SecRuul ARGS\n").unwrap();
    for command in [&["rules", "check", "set"][..], &["inspect", "--rules", "set"]] {
        let output = run(folder.path(), command, "");
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{told}");
        assert!(told.contains("b.conf:1:1: unknown directive `SecRuul`"), "{told}");
    }
}

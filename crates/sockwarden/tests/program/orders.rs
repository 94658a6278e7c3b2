//! Reload and drain by the admin API, against the built program.

use std::{fs, net::TcpStream, time::Duration};

use serde_json::Value;
use tungstenite::Message;

use crate::{
    admin::{admin_of, application, ask, configure, new_token},
    run::{Guard, soon},
};

/// The status and the body of an answer.
fn parts(answer: &str) -> (u16, Value) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[test]
fn a_reload_by_the_api_says_what_changed_or_why_it_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path(), "operator");
    let app = application();
    configure(folder.path(), app, "token_file = \"operator\"");
    let guard = Guard::start(folder.path(), &["-c", "a.toml"]);
    let admin = admin_of(&guard);
    let path = folder.path().join("a.toml");
    let good = fs::read_to_string(&path).unwrap();
    let reload = || parts(&ask(admin, "POST", "/api/v1/reload", &token));
    let (status, body) = reload();
    assert_eq!((status, &body["unchanged"], &body["changed"]), (200, &1.into(), &0.into()), "{body}");

    let more = format!(
        "{good}\n[[routes]]\nname = \"more\"\npath = \"/more\"\nupstream = \"ws://{app}\"\nauth = \"none\"\n"
    );
    fs::write(&path, &more).unwrap();
    let (status, body) = reload();
    assert_eq!((status, &body["unchanged"], &body["changed"]), (200, &1.into(), &1.into()), "{body}");

    fs::write(&path, more.replace("auth = \"none\"", "auth = \"nobody\"")).unwrap();
    let (status, body) = reload();
    assert_eq!((status, &body["error"]), (422, &"`a.toml` is not a configuration that can run".into()));
    let details = body["details"].as_array().unwrap();
    assert!(details.len() == 2 && details[0].as_str().unwrap().contains("a.toml:7:"), "{body}");

    fs::write(&path, format!("{more}\n[events]\nto = \"none\"\n")).unwrap();
    let (status, body) = reload();
    assert_eq!((status, &body["error"]), (409, &"`events` cannot be changed without a restart".into()));

    let routes = ask(admin, "GET", "/api/v1/routes", &token);
    assert_eq!(parts(&routes).1["routes"].as_array().unwrap().len(), 2, "the last good one is in force");
    let ended = guard.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("`a.toml` is not a configuration that can run; the configuration in force stays")
    );
    let events: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |key: &str, value: &str| events.iter().filter(|event| event[key] == value).count();
    assert_eq!(
        (count("action", "reload"), count("notice", "reloaded"), count("notice", "reload-rejected")),
        (4, 2, 2)
    );
}

#[test]
fn a_drain_by_the_api_withdraws_readiness_answers_to_its_end_and_reopens_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path(), "operator");
    let more = "token_file = \"operator\"\n[drain]\ndelay = \"1s\"\nwindow = \"0s\"\n\
        [events]\nto = \"file\"\nfile = \"events.jsonl\"";
    configure(folder.path(), application(), more);
    let guard = Guard::start(folder.path(), &["-c", "a.toml"]);
    let admin = admin_of(&guard);
    let tcp = TcpStream::connect(guard.address).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (mut client, _) = tungstenite::client(format!("ws://{}/", guard.address), tcp).unwrap();
    let drain = || parts(&ask(admin, "POST", "/api/v1/drain", &token));
    let (status, body) = drain();
    assert_eq!((status, &body["drain"]), (202, &"begun".into()));
    let (status, body) = parts(&ask(admin, "GET", "/readyz", ""));
    assert_eq!((status, &body["status"]), (503, &"draining".into()));
    assert_eq!(drain().1["drain"], "under-way");
    let (status, body) = parts(&ask(admin, "POST", "/api/v1/reload", &token));
    assert_eq!((status, &body["error"]), (409, &"the gateway is about to end".into()));
    assert!(ask(admin, "GET", "/api/v1/sessions", &token).contains("\"total\":1"));

    let (log, rotated) = (folder.path().join("events.jsonl"), folder.path().join("old.jsonl"));
    fs::rename(&log, &rotated).unwrap();
    guard.signal("USR1");
    assert!(soon(|| guard.said().contains("reopened").then_some(())).is_some(), "{}", guard.said());

    let Message::Close(Some(frame)) = client.read().unwrap() else { panic!("no close frame came") };
    assert_eq!(u16::from(frame.code), 1012);
    let _ = client.flush();
    drop(client);
    let ended = guard.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let before = fs::read_to_string(&rotated).unwrap();
    assert_eq!(before.matches("\"action\":\"drain\"").count(), 2, "{before}");
    let after = fs::read_to_string(&log).unwrap();
    assert!(after.contains("\"code\":1012"), "{after}");
}

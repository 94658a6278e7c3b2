//! `guard` with an admin listener, as an operator has it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    thread,
};

use serde_json::Value;
use tungstenite::Message;

use crate::run::{Guard, finished, program, soon};

#[test]
fn an_operator_sees_a_session_closes_it_and_leaves_a_trace_without_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path(), "operator");
    configure(folder.path(), application(), "token_file = \"operator\"");
    let guard = Guard::start(folder.path(), &["-c", "a.toml"]);
    let admin = admin_of(&guard);
    assert!(ask(admin, "GET", "/readyz", "").starts_with("HTTP/1.1 200 "));
    assert!(ask(admin, "GET", "/api/v1/sessions", "wrong").starts_with("HTTP/1.1 401 "));
    let tcp = TcpStream::connect(guard.address).unwrap();
    let (mut client, _) = tungstenite::client(format!("ws://{}/", guard.address), tcp).unwrap();
    client.send(Message::text("hello")).unwrap();
    assert_eq!(client.read().unwrap(), Message::text("hello"));

    let listed = ask(admin, "GET", "/api/v1/sessions", &token);
    let page: Value = serde_json::from_str(listed.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(page["sessions"][0]["from_client"]["bytes"], 5, "{listed}");
    let id = page["sessions"][0]["id"].as_str().unwrap();
    let path = format!("/api/v1/sessions/{id}?code=4000");
    assert!(ask(admin, "DELETE", &path, &token).starts_with("HTTP/1.1 202 "));
    let Message::Close(Some(frame)) = client.read().unwrap() else { panic!("no close frame came") };
    assert_eq!(u16::from(frame.code), 4000);
    let _ = client.flush();
    drop(client);
    let ended = guard.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let events: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let audits: Vec<&Value> = events.iter().filter(|event| event["event"] == "audit").collect();
    assert_eq!(audits.len(), 2, "{}", ended.stdout);
    assert_eq!(audits[0]["by"]["role"], "nobody");
    assert_eq!(
        (&audits[1]["by"]["role"], &audits[1]["action"]["close-session"]["connection"]),
        (&"operator".into(), &id.into())
    );
    assert!(audits[1]["by"]["from"].as_str().unwrap().starts_with("127.0.0.1:"));
    let close = events.iter().find(|event| event["event"] == "close").unwrap();
    assert_eq!((&close["connection"], &close["initiator"]), (&id.into(), &"operator".into()));
    assert!(!ended.stdout.contains(&token) && !ended.stderr.contains(&token));
}

#[test]
fn an_admin_listener_that_is_unsafe_does_not_start_and_check_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path(), "operator");
    let check = |admin: &str, code: i32, says: &str| {
        configure(folder.path(), "127.0.0.1:9".parse().unwrap(), admin);
        let output = finished(program(folder.path()).args(["check", "-c", "a.toml"]).spawn().unwrap());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{admin}: {said}");
        assert!(said.contains(says) && !said.contains(&token), "{admin}: {said}");
    };
    check(
        "token_file = \"operator\"",
        0,
        "warning: a.toml:11:1: `admin.token_file`: whoever reads the metrics",
    );
    new_token(folder.path(), "viewer");
    check("token_file = \"operator\"\nviewer_token_file = \"viewer\"", 0, "2 warnings");
    check(
        "token_file = \"operator\"\nviewer_token_file = \"operator\"",
        1,
        "viewers have the operators' token",
    );
    check("token_file = \"nowhere\"", 1, "`admin.token_file`: `nowhere`: it cannot be read");
    check("", 1, "token_file");
    check("token_file = \"operator\"\noperator_names = [\"mara\"]", 1, "add `client_ca`");
    let both = "token_file = \"operator\"\n[[listeners]]\naddress = \"127.0.0.1:7443\"";
    configure(folder.path(), "127.0.0.1:9".parse().unwrap(), both);
    let path = folder.path().join("a.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("[admin]\naddress = \"127.0.0.1:0\"", "[admin]\naddress = \"127.0.0.1:7443\""),
    )
    .unwrap();
    let same = finished(program(folder.path()).args(["check", "-c", "a.toml"]).spawn().unwrap());
    let said = String::from_utf8(same.stderr).unwrap();
    assert_eq!(same.status.code(), Some(1), "{said}");
    assert!(said.contains("a.toml:10:1: `admin.address`: clients connect to the same address"), "{said}");
    fs::set_permissions(folder.path().join("operator"), fs::Permissions::from_mode(0o644)).unwrap();
    check("token_file = \"operator\"", 1, "others can read it (mode 644)");
}

#[test]
fn a_token_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path(), "operator");
    assert_ne!(token, new_token(folder.path(), "viewer"));
    let again = program(folder.path()).args(["config", "--new-token", "operator"]).spawn().unwrap();
    assert_eq!(finished(again).status.code(), Some(1));
    assert_eq!(fs::read_to_string(folder.path().join("operator")).unwrap().trim(), token);
}

/// Where a gateway is administered.
pub(crate) fn admin_of(guard: &Guard) -> SocketAddr {
    let address = soon(|| {
        let said = guard.said();
        let line = said.lines().find_map(|line| line.strip_prefix("administered on "))?;
        Some(line.split_once("://")?.1.parse().unwrap())
    });
    address.unwrap_or_else(|| panic!("it is not administered: {}", guard.said()))
}

/// Makes a token by the program and gives it.
pub(crate) fn new_token(folder: &Path, name: &str) -> String {
    let made = finished(program(folder).args(["config", "--new-token", name]).spawn().unwrap());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let token = fs::read_to_string(folder.join(name)).unwrap().trim().to_owned();
    assert!(token.len() > 40 && !String::from_utf8_lossy(&made.stderr).contains(&token));
    token
}

pub(crate) fn configure(folder: &Path, app: SocketAddr, admin: &str) {
    let text = format!(
        "version = 1\n[[listeners]]\naddress = \"127.0.0.1:0\"\n[[routes]]\nname = \"app\"\nupstream = \"ws://{app}\"\n\
         auth = \"none\"\n\n[admin]\naddress = \"127.0.0.1:0\"\n{admin}\n"
    );
    fs::write(folder.join("a.toml"), text).unwrap();
}

/// Asks the admin listener and gives its whole answer.
pub(crate) fn ask(admin: SocketAddr, method: &str, path: &str, token: &str) -> String {
    let mut tcp = TcpStream::connect(admin).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {admin}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    tcp.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    answer
}

/// An echo server.
pub(crate) fn application() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for tcp in listener.incoming() {
            thread::spawn(move || {
                let mut socket = tungstenite::accept(tcp.unwrap()).unwrap();
                while let Ok(message) = socket.read() {
                    if message.is_text() || message.is_binary() {
                        socket.send(message).unwrap();
                    }
                }
            });
        }
    });
    address
}

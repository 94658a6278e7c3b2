//! The commands that operate a running gateway.

use std::{fs, net::TcpStream, path::Path, time::Duration};

use serde_json::Value;
use tungstenite::Message;

use crate::{
    admin::{admin_of, application, configure, new_token},
    run::{Guard, finished, program},
};

/// A gateway in a folder of its own, with tokens `operator` and `viewer`.
struct Stage {
    folder: tempfile::TempDir,
    guard: Guard,
    url: String,
}

/// How a command ended.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Stage {
    fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        new_token(folder.path(), "operator");
        new_token(folder.path(), "viewer");
        let admin = format!("token_file = \"operator\"\nviewer_token_file = \"viewer\"\n{more}");
        configure(folder.path(), application(), &admin);
        let guard = Guard::start(folder.path(), &["-c", "a.toml"]);
        let url = format!("http://{}", admin_of(&guard));
        Self { folder, guard, url }
    }

    /// Runs a command with the token of a role.
    fn told(&self, command: &str, role: &str) -> Said {
        told(self.folder.path(), &format!("{command} --admin {} --token-file {role}", self.url))
    }
}

/// Runs a command.
pub(crate) fn told(folder: &Path, command: &str) -> Said {
    let output = finished(program(folder).args(command.split_whitespace()).spawn().unwrap());
    Said {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn sessions_are_listed_shown_and_closed() {
    let stage = Stage::start("[drain]\nwindow = \"0s\"\ngrace = \"0s\"");
    let connect = || {
        let tcp = TcpStream::connect(stage.guard.address).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        tungstenite::client(format!("ws://{}/", stage.guard.address), tcp).unwrap().0
    };
    let mut client = connect();
    let _others = [connect(), connect()];
    client.send(Message::text("hello")).unwrap();
    assert_eq!(client.read().unwrap(), Message::text("hello"));

    let page: Value = serde_json::from_str(&stage.told("sessions --json", "viewer").out).unwrap();
    assert_eq!((page["total"].as_u64(), page["sessions"].as_array().unwrap().len()), (Some(3), 3));
    let talked = |session: &&Value| session["from_client"]["bytes"] == 5;
    let id = page["sessions"].as_array().unwrap().iter().find(talked).unwrap()["id"].as_str().unwrap();
    let two = stage.told("sessions list --limit 2", "viewer");
    assert_eq!((two.code, two.out.lines().count()), (0, 3), "{}", two.out);
    assert!(two.out.starts_with("ID          ROUTE  USER  CLIENT"), "{}", two.out);
    assert_eq!(two.err.trim(), "2 shown of 3 on all routes; there are more (`--limit`)");
    let shown = stage.told(&format!("sessions show {id}"), "viewer");
    assert!(shown.out.contains("from client       1 messages, 5 bytes\n"), "{}", shown.out);

    let refused = stage.told(&format!("sessions close {id}"), "viewer");
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("the role does not suffice"), "{}", refused.err);
    let closed = stage.told(&format!("sessions close {id} --code 4007 --reason go&now#%"), "operator");
    assert_eq!((closed.code, closed.out), (0, format!("closing {id} with 4007\n")), "{}", closed.err);
    let Message::Close(Some(frame)) = client.read().unwrap() else { panic!("no close frame came") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4007, "go&now#%"));
    assert_eq!(stage.told("sessions show 0000000000", "viewer").code, 1);
    assert_eq!(stage.told("sessions show nonsense", "viewer").code, 2);
    stage.guard.stop();
}

#[test]
fn modes_change_for_a_time_and_the_status_tells() {
    let stage = Stage::start("");
    let status = || stage.told("status", "viewer").out;
    assert!(status().contains("app    active-content  observe"), "{}", status());
    assert!(!status().contains("frame-limits"), "{}", status());
    let told = |command: &str| {
        let said = stage.told(command, "operator");
        (said.code, said.out.trim().to_owned())
    };
    assert_eq!(
        told("mode observe --route app --rule frame-limits --for 10m"),
        (0, "switched 1 defence to observe for 10m".to_owned())
    );
    let now = status();
    assert!(
        now.contains("app    frame-limits    observe  block again in 10m") || now.contains("in 9m5"),
        "{now}"
    );
    assert_eq!(told("mode restore"), (0, "restored 1 defence to the configured mode".to_owned()));
    assert!(told("mode observe --all-routes --all-rules --for 1m").1.starts_with("switched 13 defences"));
    assert_eq!(told("mode observe --route nowhere --all-rules --for 1m").0, 1);
    assert_eq!(told("mode observe --route app --all-rules --for 25h").0, 1);
    for unclear in
        ["--route app --for 1m", "--all-rules --for 1m", "--route app --all-routes --all-rules --for 1m"]
    {
        assert_eq!(told(&format!("mode off {unclear}")).0, 2, "{unclear}");
    }
    assert_eq!(told("mode off --all-routes --all-rules").0, 2, "no time is said");
    stage.guard.stop();
}

#[test]
fn a_reload_and_a_drain_are_ordered_and_their_outcome_is_told() {
    let stage = Stage::start("[drain]\ndelay = \"0s\"");
    let done = stage.told("reload", "operator");
    assert_eq!(
        (done.code, done.out.as_str()),
        (0, "reloaded routes: 1 unchanged, 0 changed, 0 removed; 0 sessions closing\n")
    );
    let path = stage.folder.path().join("a.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("auth", "oauth")).unwrap();
    let refused = stage.told("reload", "operator");
    assert_eq!((refused.code, refused.out.as_str()), (1, ""));
    assert!(
        refused.err.contains("a.toml:7:1: ") && refused.err.contains("; the configuration in force stays")
    );
    // Without a session the gateway ends right away: the answer comes all the same.
    let drain = stage.told("drain --json", "operator");
    assert_eq!((drain.code, drain.err.as_str()), (0, ""));
    assert_eq!(serde_json::from_str::<Value>(&drain.out).unwrap()["drain"], "begun");
    assert_eq!(stage.guard.ended().code, Some(0));
    let gone = told(stage.folder.path(), &format!("status --admin {} --token-file viewer", stage.url));
    assert_eq!(gone.code, 3);
    assert!(gone.err.contains("no gateway answers at http://127.0.0.1:"), "{}", gone.err);
}

#[test]
fn what_keeps_an_order_from_being_given_is_said_in_one_line() {
    let stage = Stage::start("");
    let token = fs::read_to_string(stage.folder.path().join("operator")).unwrap();
    let folder = stage.folder.path();
    fs::write(folder.join("wrong"), "w".repeat(40)).unwrap();
    fs::write(folder.join("empty"), "").unwrap();
    fs::write(folder.join("none.toml"), "version = 1\nlisteners = []\nroutes = []\n").unwrap();
    let check = |arguments: &str, code: i32, says: &str| {
        let said = told(folder, &format!("status {arguments}"));
        assert!(said.code == code && said.err.contains(says), "{arguments}: {} {}", said.code, said.err);
        assert!(said.err.lines().count() == 1 && !said.err.contains(token.trim()), "{}", said.err);
    };
    let url = &stage.url;
    check(&format!("--admin {url} --token-file wrong"), 1, "the gateway does not know who asks");
    check(&format!("--admin {url}"), 1, "add `--token-file FILE`");
    check(&format!("--admin {url} --token-file empty"), 1, "`empty` holds no token");
    check(&format!("--admin {url} --token-file absent"), 1, "`absent` cannot be read");
    check(&format!("--admin {} --token-file viewer", url.replace("http", "https")), 3, "does not speak TLS");
    check(
        &format!("--admin http://{} --token-file viewer", stage.guard.address),
        3,
        "is not the admin listener",
    );
    check("--admin http://192.0.2.1:9443 --token-file viewer", 2, "in the clear");
    check("--admin 127.0.0.1:9443 --token-file viewer", 2, "write http://HOST:PORT");
    check("-c a.toml", 1, "leaves the port to the system");
    check("-c none.toml", 1, "`none.toml` has no `[admin]`");
    check("-c absent.toml", 1, "`absent.toml` cannot be read");
    check("-c a.toml --admin http://127.0.0.1:1", 2, "cannot be used with");
    stage.guard.stop();
}

#[test]
fn the_configuration_of_the_gateway_says_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    new_token(folder.path(), "operator");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    configure(folder.path(), application(), "token_file = \"operator\"");
    let path = folder.path().join("a.toml");
    let text = fs::read_to_string(&path).unwrap();
    let admin = text.replace("[admin]\naddress = \"127.0.0.1:0\"", &format!("[admin]\naddress = \"{free}\""));
    fs::write(&path, admin).unwrap();
    let guard = Guard::start(folder.path(), &["-c", "a.toml"]);
    let said = told(folder.path(), "status -c a.toml");
    assert!(said.code == 0 && said.out.starts_with(&format!("ready at http://{free}: ")), "{}", said.err);
    guard.stop();
}

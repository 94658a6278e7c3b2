//! Who may connect: tickets and revocations from the command line, as an operator and as the application's server.

use std::{
    fs,
    io::Write as _,
    net::{SocketAddr, TcpStream},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;
use tungstenite::{Message, WebSocket, client::IntoClientRequest as _, http::HeaderValue};

use crate::{
    admin::{admin_of, application, ask, new_token},
    operator::{Said, told},
    run::{Ended, Guard, finished, program},
};

/// A gateway whose route `chat` takes tickets, in a folder of its own, with a token for each role.
struct Stage {
    folder: tempfile::TempDir,
    guard: Guard,
    admin: SocketAddr,
}

impl Stage {
    fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for role in ["operator", "viewer", "issuer"] {
            new_token(folder.path(), role);
        }
        let app = application();
        let text = format!(
            "version = 1\n[[listeners]]\naddress = \"127.0.0.1:0\"\n\
             [[routes]]\nname = \"chat\"\nupstream = \"ws://{app}\"\nauth = \"ticket\"\n\
             [[routes]]\nname = \"open\"\npath = \"/open\"\nupstream = \"ws://{app}\"\nauth = \"none\"\n\
             [admin]\naddress = \"127.0.0.1:0\"\ntoken_file = \"operator\"\nviewer_token_file = \"viewer\"\n\
             issuer_token_file = \"issuer\"\n{more}\n"
        );
        fs::write(folder.path().join("a.toml"), text).unwrap();
        let guard = Guard::start(folder.path(), &["-c", "a.toml"]);
        let admin = admin_of(&guard);
        Self { folder, guard, admin }
    }

    /// Runs a command with the token of a role.
    fn told(&self, command: &str, role: &str) -> Said {
        told(self.folder.path(), &format!("{command} --admin http://{} --token-file {role}", self.admin))
    }

    /// Gets a ticket as the application's server does.
    fn ticket(&self, user: &str) -> String {
        let said = self.told(&format!("ticket --route chat --user {user}"), "issuer");
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(said.out.starts_with("swt_") && !said.err.contains("swt_"), "{} {}", said.out, said.err);
        said.out.trim().to_owned()
    }

    /// Opens a socket with a ticket.
    fn enter(&self, ticket: &str) -> Option<WebSocket<TcpStream>> {
        let tcp = TcpStream::connect(self.guard.address).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut request = format!("ws://{}/", self.guard.address).into_client_request().unwrap();
        let offered = HeaderValue::from_str(&format!("sockwarden.ticket.{ticket}, sockwarden.v1")).unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", offered);
        let mut socket = tungstenite::client(request, tcp).ok()?.0;
        socket.send(Message::text("hello")).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text("hello"));
        Some(socket)
    }

    /// Runs `revoke ticket -` with a text on standard input.
    fn revoke_ticket(&self, text: &str) -> Said {
        let admin = format!("http://{}", self.admin);
        let mut command = program(self.folder.path());
        command.args(["revoke", "ticket", "-", "--admin", &admin, "--token-file", "issuer"]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = finished(child);
        Said {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Ends it; nothing that it wrote holds a ticket or a token.
    fn stop(self) -> Ended {
        let ended = self.guard.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!said.contains("swt_"), "{said}");
        for role in ["operator", "viewer", "issuer"] {
            let token = fs::read_to_string(self.folder.path().join(role)).unwrap();
            assert!(!said.contains(token.trim()), "{said}");
        }
        ended
    }
}

/// Waits for the close frame and gives its code.
fn closed(socket: &mut WebSocket<TcpStream>) -> u16 {
    let Message::Close(Some(frame)) = socket.read().unwrap() else { panic!("no close frame came") };
    frame.code.into()
}

#[test]
fn a_ticket_opens_a_socket_and_what_is_revoked_closes_within_a_second() {
    let stage = Stage::start("");
    let first = stage.ticket("mara");
    let mut mara = stage.enter(&first).unwrap();
    assert!(stage.enter(&first).is_none(), "a ticket is good once");
    let mut nils = stage.enter(&stage.ticket("nils")).unwrap();
    let begun = Instant::now();
    let revoked = stage.told("revoke user mara --for 8h", "issuer");
    assert_eq!(
        (revoked.code, revoked.out.as_str()),
        (0, "revoked user mara on every replica, for 8h\n"),
        "{}",
        revoked.err
    );
    let ordered = begun.elapsed();
    assert_eq!(closed(&mut mara), 1008);
    assert!(begun.elapsed() - ordered < Duration::from_secs(1), "{:?} {ordered:?}", begun.elapsed());
    nils.send(Message::text("still here")).unwrap();
    assert_eq!(nils.read().unwrap(), Message::text("still here"));

    let page: Value = serde_json::from_str(&stage.told("sessions --user nils --json", "viewer").out).unwrap();
    let id = page["sessions"][0]["id"].as_str().unwrap();
    assert_eq!(stage.told(&format!("revoke session {id}"), "operator").code, 0);
    assert_eq!(closed(&mut nils), 1008);
    let ticket = stage.ticket("mara");
    let mut mara = stage.enter(&ticket).unwrap();
    let said = stage.revoke_ticket(&format!("{ticket}\n"));
    let expected = "revoked a ticket on every replica, for 30d\n";
    assert_eq!((said.code, said.out.as_str()), (0, expected), "{}", said.err);
    assert_eq!(closed(&mut mara), 1008);
    let mut mara = stage.enter(&stage.ticket("mara")).unwrap();
    assert_eq!(stage.told("revoke token-id j1", "issuer").code, 0);
    assert_eq!(stage.told("revoke issued-before 2026-01-01T00:00:00Z", "issuer").code, 0);
    let json = stage.told("revoke address 127.0.0.0/8 --for 1m --json", "issuer");
    let answer: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(answer, serde_json::json!({ "revoked": "address 127.0.0.0/8", "seconds": 60 }));
    assert_eq!(closed(&mut mara), 1008);

    let token = fs::read_to_string(stage.folder.path().join("viewer")).unwrap();
    let metrics = ask(stage.admin, "GET", "/metrics", token.trim());
    for line in [
        "sockwarden_tickets_total{outcome=\"issued\"} 4",
        "sockwarden_tickets_total{outcome=\"taken\"} 4",
        "sockwarden_tickets_outstanding 0",
        "sockwarden_state_up{kind=\"memory\"} 1",
        "sockwarden_revocations 6",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no `{line}` in {metrics}");
    }
    let ended = stage.stop();
    let events: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let by = |action: &str| -> Vec<&str> {
        let audits = events.iter().filter(|event| event["action"].get(action).is_some());
        audits.map(|event| event["by"]["role"].as_str().unwrap()).collect()
    };
    assert_eq!(by("issue-ticket"), ["issuer"; 4]);
    assert_eq!(by("revoke"), ["issuer", "operator", "issuer", "issuer", "issuer", "issuer"]);
}

#[test]
fn what_a_ticket_carries_is_said_on_the_command_line() {
    let stage = Stage::start("");
    let all = "ticket --route chat --user mara --role editor --role member --claims {\"rooms\":[\"a\"]} --expires 1h \
               --client 127.0.0.1 --note n --json";
    let said = stage.told(all, "operator");
    assert_eq!(said.code, 0, "{}", said.err);
    let grant: Value = serde_json::from_str(&said.out).unwrap();
    let ticket = grant["ticket"].as_str().unwrap();
    assert_eq!(grant["subprotocol"], format!("sockwarden.ticket.{ticket}"));
    assert!(stage.enter(ticket).is_some());
    let bound = stage.told("ticket --route chat --user mara --origin https://app.example", "issuer");
    assert!(stage.enter(bound.out.trim()).is_none(), "it comes from no page of that origin");
    let elsewhere = stage.told("ticket --route chat --user mara --client 192.0.2.1", "issuer");
    assert!(stage.enter(elsewhere.out.trim()).is_none(), "it is for another address");
    stage.stop();
}

#[test]
fn what_keeps_a_ticket_or_a_revocation_back_is_said_in_one_line() {
    let stage = Stage::start("");
    let check = |command: &str, role: &str, code: i32, says: &str| {
        let said = stage.told(command, role);
        assert!(said.code == code && said.err.contains(says), "{command}: {} {}", said.code, said.err);
        assert!(said.err.trim().lines().count() == 1 && said.out.is_empty(), "{command}: {}", said.err);
    };
    check("ticket --route nowhere --user mara", "issuer", 1, "no route of that name");
    check("ticket --route open --user mara", "issuer", 1, "takes no tickets");
    check("ticket --route chat --user mara --expires 0", "issuer", 1, "has ended already");
    check("ticket --route chat --user mara --origin app", "issuer", 1, "the origin is none");
    check("ticket --route chat --user mara", "viewer", 1, "the role does not suffice");
    check("ticket --route chat --user mara --claims 1", "issuer", 2, "claims are a JSON object");
    check("ticket --route chat --user mara --expires later", "issuer", 2, "a span such as 8h");
    check("ticket --route chat", "issuer", 2, "--user");
    check("revoke user mara", "viewer", 1, "the role does not suffice");
    check("revoke user mara --for 366d", "issuer", 1, "at most a year");
    check("revoke user mara --for 0s", "issuer", 2, "some time is needed");
    check("revoke session nonsense", "issuer", 2, "nonsense");
    check("revoke issued-before 2099-01-01T00:00:00Z", "issuer", 1, "lies ahead");
    check("revoke issued-before yesterday", "issuer", 2, "a moment is");
    check("revoke address ten", "issuer", 2, "ten");
    check("revoke ticket -", "issuer", 2, "no ticket on standard input");
    check("sessions", "issuer", 1, "the role does not suffice");
    check("status", "issuer", 1, "the role does not suffice");
    let ticket = stage.ticket("mara");
    check(&format!("revoke ticket {ticket}"), "issuer", 2, "a ticket is a secret");
    let said = stage.told(&format!("revoke ticket {ticket}"), "issuer");
    assert!(!said.err.contains(&ticket), "{}", said.err);
    let wrong = stage.revoke_ticket("no ticket");
    assert!(wrong.code == 1 && wrong.err.contains("begins with `swt_`"), "{}", wrong.err);
    stage.stop();
}

#[test]
fn without_the_shared_state_there_are_no_tickets_and_a_revocation_is_in_force_here_only() {
    // Nobody listens there any more.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stage = Stage::start(&format!("[state]\nurl = \"redis://{nobody}\"\ntimeout = \"100ms\""));
    let ticket = stage.told("ticket --route chat --user mara", "issuer");
    assert!(
        ticket.code == 1 && ticket.err.contains("the shared state cannot be reached"),
        "{} {}",
        ticket.code,
        ticket.err
    );
    let revoked = stage.told("revoke user mara", "issuer");
    assert!(
        revoked.code == 1 && revoked.err.contains("in force on this replica only") && revoked.out.is_empty(),
        "{} {}",
        revoked.code,
        revoked.err
    );
    let token = fs::read_to_string(stage.folder.path().join("viewer")).unwrap();
    let metrics = ask(stage.admin, "GET", "/metrics", token.trim());
    for line in [
        "sockwarden_tickets_total{outcome=\"issued\"} 0",
        "sockwarden_state_up{kind=\"redis\"} 0",
        "sockwarden_revocations 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no `{line}` in {metrics}");
    }
    let errors = metrics.lines().find_map(|line| line.strip_prefix("sockwarden_state_errors_total "));
    assert!(errors.is_some_and(|count| count != "0"), "{metrics}");
    assert!(!metrics.contains("outstanding"), "it is known in memory only: {metrics}");
    stage.stop();
}

#[test]
fn the_issuers_token_is_judged_like_the_others_and_read_again_by_a_reload() {
    let stage = Stage::start("");
    let path = stage.folder.path().join("a.toml");
    let text = fs::read_to_string(&path).unwrap();
    let check = |issuer: &str, says: &str| {
        fs::write(&path, text.replace("issuer_token_file = \"issuer\"", issuer)).unwrap();
        let said = told(stage.folder.path(), "check -c a.toml");
        assert!(said.code == 1 && said.err.contains(says), "{issuer}: {} {}", said.code, said.err);
    };
    check("issuer_token_file = \"operator\"", "issuers have the operators' token");
    check("issuer_token_file = \"viewer\"", "issuers have the viewers' token");
    check("issuer_token_file = \"nowhere\"", "`admin.issuer_token_file`: `nowhere`: it cannot be read");
    check("issuer_names = [\"app\"]", "add `client_ca`");
    new_token(stage.folder.path(), "another");
    fs::write(&path, text.replace("issuer_token_file = \"issuer\"", "issuer_token_file = \"another\""))
        .unwrap();
    assert_eq!(stage.told("ticket --route chat --user mara", "another").code, 1);
    assert_eq!(stage.told("reload", "operator").code, 0);
    assert_eq!(stage.told("ticket --route chat --user mara", "another").code, 0);
    assert_eq!(stage.told("ticket --route chat --user mara", "issuer").code, 1);
    stage.stop();
}

#[test]
fn the_example_of_the_documentation_runs() {
    let pages = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md")).unwrap();
    let section = pages.split("\n## Who may connect\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let example = section.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["operator", "viewer", "issuer"] {
        new_token(folder.path(), &format!("{name}.token"));
    }
    fs::write(folder.path().join("a.toml"), example).unwrap();
    let said = told(folder.path(), "check -c a.toml");
    assert!(said.code == 0 && said.err.contains("no warnings"), "{}", said.err);
    // Free ports, and an application that is there.
    let example = example.replace("127.0.0.1:8443", "127.0.0.1:0").replace("127.0.0.1:9443", "127.0.0.1:0");
    let example = example.replace("127.0.0.1:3000", &application().to_string());
    fs::write(folder.path().join("a.toml"), example).unwrap();
    let guard = Guard::start(folder.path(), &["-c", "a.toml"]);
    let at = format!("--admin http://{} --token-file issuer.token", admin_of(&guard));
    let ticket =
        told(folder.path(), &format!("ticket --route chat --user mara --role editor --expires 8h {at}"));
    assert!(ticket.code == 0 && ticket.out.starts_with("swt_"), "{}", ticket.err);
    assert_eq!(told(folder.path(), &format!("revoke user mara {at}")).code, 0);
    assert_eq!(guard.stop().code, Some(0));
}

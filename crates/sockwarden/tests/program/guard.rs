//! `guard` in front of an application, with the commands around it: `why`, `check`, `config`.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    thread,
    time::Duration,
};

use serde_json::Value;
use sockwarden_net::{Client, ClientTls, DialOptions};
use sockwarden_proto::{CloseCode, Limits};
use tungstenite::{ClientRequestBuilder, Message, WebSocket};

use crate::run::{Ended, Guard, finished, program, soon};

/// What must never be written anywhere.
const SECRET: &str = "marked-secret";

#[test]
fn started_by_flags_it_relays_reports_and_ends_with_0() {
    let folder = tempfile::tempdir().unwrap();
    let app = format!("ws://{}", application());
    let guard = Guard::start(
        folder.path(),
        &["--listen", "127.0.0.1:0", "--upstream", &app, "--auth", "none", "--events", "events.jsonl"],
    );
    talk(&mut connect(guard.address));
    let ended = guard.stop();
    let events = log(folder.path());
    assert_eq!(ended.stdout, "");
    assert_clean(&ended, &events);
    assert_one_conversation(&events);
    let mode = fs::metadata(folder.path().join("events.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "who else may read the log?");
}

#[test]
fn started_from_a_file_it_writes_events_to_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let app = application();
    let text = format!(
        "version = 1\nlisteners = [{{ address = \"127.0.0.1:0\" }}]\n[[routes]]\nname = \"default\"\n\
         upstream = \"ws://{app}\"\nauth = \"none\"\n"
    );
    fs::write(folder.path().join("a.toml"), text).unwrap();
    let guard = Guard::start(folder.path(), &["-c", "a.toml"]);
    talk(&mut connect(guard.address));
    let ended = guard.stop();
    let events = ended.stdout.clone();
    assert_clean(&ended, &events);
    assert_one_conversation(&events);
}

#[test]
fn a_signal_closes_what_is_open() {
    for (signal, code, reason) in [("INT", 1001, "the gateway stops"), ("TERM", 1012, "the gateway restarts")]
    {
        let folder = tempfile::tempdir().unwrap();
        let app = format!("ws://{}", application());
        let guard =
            Guard::start(folder.path(), &["--listen", "127.0.0.1:0", "--upstream", &app, "--auth", "none"]);
        let mut client = connect(guard.address);
        client.send(Message::text("still there")).unwrap();
        assert_eq!(client.read().unwrap(), Message::text("still there"));
        let ended = thread::scope(|scope| {
            let ended = scope.spawn(|| guard.signalled(signal));
            assert_eq!(close_of(&mut client), (code, reason.to_owned()));
            ended.join().unwrap()
        });
        assert_eq!(ended.code, Some(0));
        let events = parsed(&ended.stdout);
        assert_eq!(events.len(), 2, "{}", ended.stdout);
        assert_eq!((&events[1]["code"], &events[1]["initiator"]), (&code.into(), &"gateway".into()));
    }
}

#[test]
fn a_hangup_takes_the_new_configuration_or_keeps_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let app = format!("ws://{}", application());
    let write = |limit: &str| {
        let text = format!(
            "version = 1\n[[listeners]]\naddress = \"127.0.0.1:0\"\n[[routes]]\nname = \"app\"\n\
             upstream = \"{app}\"\nauth = \"none\"\nframe_limits = {{ message = {limit} }}\n"
        );
        std::fs::write(folder.path().join("a.toml"), text).unwrap();
    };
    write("100");
    let guard = Guard::start(folder.path(), &["-c", "a.toml"]);
    let mut first = connect(guard.address);
    write("\"ten\"");
    guard.signal("HUP");
    assert!(soon(|| guard.said().contains("the configuration in force stays").then_some(())).is_some());
    write("10");
    guard.signal("HUP");
    let reloaded = soon(|| guard.said().contains("0 unchanged, 1 changed").then_some(()));
    assert!(reloaded.is_some(), "{}", guard.said());
    let mut second = connect(guard.address);
    for (client, passes) in [(&mut first, true), (&mut second, false)] {
        client.send(Message::text("longer than ten bytes")).unwrap();
        match client.read().unwrap() {
            Message::Text(text) => assert!(passes, "{text}"),
            Message::Close(frame) => assert!(!passes, "{frame:?}"),
            other @ (Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {
                panic!("{other:?}")
            }
        }
    }
    drop((first, second));
    let ended = guard.stop();
    assert!(
        ended.stdout.contains("reload-rejected") && ended.stdout.contains("\"reloaded\""),
        "{}",
        ended.stdout
    );
}

#[test]
fn why_explains_a_refusal_and_a_close_by_the_id_that_the_client_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let app = format!("ws://{}", application());
    let guard = Guard::start(
        folder.path(),
        &["--listen", "127.0.0.1:0", "--upstream", &app, "--auth", "none", "--events", "events.jsonl"],
    );
    let answer = raw(guard.address, &handshake("Origin: https://evil.example\r\n"));
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let refused = id_after("Event: ", &answer);

    let mut client = connect(guard.address);
    client.send(Message::binary(vec![b'x'; 70_000])).unwrap();
    let (code, reason) = close_of(&mut client);
    assert_eq!(code, 1009);
    let closed = id_after("event ", &reason);

    let malformed = raw(guard.address, &handshake(&format!("Cookie : sid={SECRET}\r\n")));
    assert!(malformed.starts_with("HTTP/1.1 400 "), "{malformed}");
    let unreadable = id_after("Event: ", &malformed);

    let ended = guard.stop();
    let events = log(folder.path());
    assert_clean(&ended, &events);
    let verdicts: Vec<_> = parsed(&events).into_iter().filter(|event| event["event"] == "verdict").collect();
    let rules: Vec<_> = verdicts.iter().map(|verdict| verdict["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["origin-policy", "frame-limits", "strict-handshake"]);

    let check = |id: &str, expected: &[&str]| {
        let text = why(folder.path(), id);
        for part in expected {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    };
    check(
        &refused,
        &[
            "refused with 403 by origin-policy: ",
            "https://evil.example",
            "client      127.0.0.1:",
            "route       default",
            "severity    ",
            "more: sockwarden explain origin-policy",
        ],
    );
    check(
        // As a person may type it.
        &closed.to_lowercase(),
        &[
            "closed with 1009 by frame-limits: ",
            "sent by     the client",
            "forwarded   0 messages from the client",
        ],
    );
    check(&unreadable, &["refused with 400 by strict-handshake: "]);
}

#[test]
fn who_is_not_let_in_by_the_application_is_refused_and_no_credential_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let app = format!("ws://{}", application());
    let endpoint = format!("forward:http://{}/session?key={SECRET}", session_endpoint());
    let guard = Guard::start(
        folder.path(),
        &[
            "--listen",
            "127.0.0.1:0",
            "--upstream",
            &app,
            "--auth",
            &endpoint,
            "--auth-user-header",
            "X-User",
            "--events",
            "events.jsonl",
        ],
    );
    talk(&mut connect(guard.address));
    let answer = raw(guard.address, &handshake(&format!("Authorization: Bearer {SECRET}-forged\r\n")));
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(!answer.contains(SECRET), "{answer}");
    let ended = guard.stop();
    let events = log(folder.path());
    assert_clean(&ended, &events);
    let events = parsed(&events);
    let kinds: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["open", "close", "verdict"]);
    assert_eq!((&events[0]["user"], &events[2]["rule"]), (&"mara".into(), &"authentication".into()));
}

#[test]
fn check_warns_of_what_works_but_is_unsafe() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"version = 1
[[listeners]]
address = "0.0.0.0:0"
insecure_plaintext = true
[[routes]]
name = "app"
upstream = "ws://192.0.2.1"
cleartext_upstream = true
auth = "none"
origin_policy = { mode = "off", allow_null = true }
upstream_tls.mode = "observe"
frame_limits = { message = "32 MiB", frame = "32 MiB" }
"#;
    fs::write(folder.path().join("a.toml"), text).unwrap();
    let output = finished(program(folder.path()).args(["check", "-c", "a.toml"]).spawn().unwrap());
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @r#"
    warning: a.toml:2:1: `listeners[0].proxies`: where a proxy in front ends TLS, all its clients count as one address (`limits.per_address`)
      2 | [[listeners]]
        | ^
      help: name it in `trusted` or `proxy_protocol`
    warning: a.toml:4:1: `listeners[0].insecure_plaintext`: everything can be read and changed on the path (T4)
      4 | insecure_plaintext = true
        | ^
      help: give the listener a certificate
    warning: a.toml:8:1: `routes[0].cleartext_upstream`: messages to the application can be read and changed on the path (T8)
      8 | cleartext_upstream = true
        | ^
      help: use `wss://`
    warning: a.toml:9:1: `routes[0].auth`: anyone can connect unless the application refuses them (T1)
      9 | auth = "none"
        | ^
      help: `auth = "forward"` asks the application before the upgrade
    warning: a.toml:10:19: `routes[0].origin_policy.mode`: this defence is off
      10 | origin_policy = { mode = "off", allow_null = true }
         |                   ^
    warning: a.toml:10:33: `routes[0].origin_policy.allow_null`: any web page can make a browser send `Origin: null` (T7)
      10 | origin_policy = { mode = "off", allow_null = true }
         |                                 ^
    warning: a.toml:11:14: `routes[0].upstream_tls.mode`: an application with a wrong certificate is talked to all the same (T8)
      11 | upstream_tls.mode = "observe"
         |              ^
    warning: a.toml:12:18: `routes[0].frame_limits.message`: larger than `limits.message_memory`, which closes the connection first
      12 | frame_limits = { message = "32 MiB", frame = "32 MiB" }
         |                  ^
    ok: a.toml: 1 listener(s), 1 route(s), 8 warnings
    "#);
}

#[test]
fn the_example_passes_check_and_guards_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let example = finished(program(folder.path()).args(["config", "--example"]).spawn().unwrap());
    assert_eq!((example.status.code(), example.stderr.len()), (Some(0), 0));
    let example = String::from_utf8(example.stdout).unwrap();
    fs::write(folder.path().join("sockwarden.toml"), &example).unwrap();
    let check = finished(program(folder.path()).arg("check").spawn().unwrap());
    let said = String::from_utf8(check.stderr).unwrap();
    assert_eq!(check.status.code(), Some(0), "{said}");
    assert!(said.ends_with("ok: sockwarden.toml: 1 listener(s), 1 route(s), 1 warning\n"), "{said}");

    let app = application();
    let (listener, upstream) = ("\"127.0.0.1:8443\"", "\"ws://127.0.0.1:3000\"");
    assert!(example.contains(listener) && example.contains(upstream));
    let here = example.replace(listener, "\"127.0.0.1:0\"").replace(upstream, &format!("\"ws://{app}\""));
    fs::write(folder.path().join("here.toml"), here).unwrap();
    let guard = Guard::start(folder.path(), &["-c", "here.toml"]);
    let authority = soon(|| {
        let said = guard.said();
        let (begin, end) = (said.find("-----BEGIN")?, said.find("-----END CERTIFICATE-----")?);
        Some(format!("{}-----END CERTIFICATE-----\n", &said[begin..end]))
    })
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = format!("wss://{}/", guard.address).parse().unwrap();
        let tls = ClientTls::with_roots(authority.as_bytes()).unwrap();
        let options = DialOptions { tls, timeout: Duration::from_secs(10), connect_to: None };
        let limits = Limits { frame: 1 << 20, message: 1 << 20 };
        let mut client = Client::connect(&url, &options, limits, |_| ()).await.unwrap();
        client.send_text("over TLS").await.unwrap();
        let incoming = client.next().await.unwrap();
        let message =
            sockwarden_net::Incoming::Message(sockwarden_proto::MessageKind::Text, b"over TLS".to_vec());
        assert_eq!(incoming, message);
        client.close(CloseCode(1000), "").await.unwrap();
        client.next().await.unwrap();
    });
    let plain = raw(guard.address, &handshake(""));
    assert!(plain.starts_with("HTTP/1.1 403 ") && plain.contains("wss://"), "{plain}");
    let ended = guard.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let events = parsed(&ended.stdout);
    assert_eq!((&events[0]["event"], &events[0]["tls"]), (&"open".into(), &true.into()));
}

#[test]
fn the_schema_is_json_and_knows_the_keys() {
    let folder = tempfile::tempdir().unwrap();
    let output = finished(program(folder.path()).args(["config", "--schema"]).spawn().unwrap());
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["required"], serde_json::json!(["version", "listeners", "routes"]));
    assert_eq!(schema["additionalProperties"], false);
}

/// An application that echoes, to be found at the address.
fn application() -> SocketAddr {
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

/// An endpoint that knows the session of [`connect`] as mara's and no other.
fn session_endpoint() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for tcp in listener.incoming() {
            let mut tcp = tcp.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                tcp.read_exact(&mut byte).unwrap();
                asked.extend(byte);
            }
            let known = String::from_utf8(asked).unwrap().contains(&format!("sid={SECRET}-cookie"));
            let status = if known { "204 No Content\r\nX-User: mara" } else { "401 Unauthorized" };
            let body = format!("{SECRET}-body");
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            let _ = tcp.write_all(answer.as_bytes());
        }
    });
    address
}

/// Connects with secrets in the path, a cookie and a header.
fn connect(address: SocketAddr) -> WebSocket<TcpStream> {
    let url = format!("ws://{address}/chat?ticket={SECRET}-ticket").parse().unwrap();
    let request = ClientRequestBuilder::new(url)
        .with_header("Cookie", format!("sid={SECRET}-cookie"))
        .with_header("Authorization", format!("Bearer {SECRET}-token"))
        .with_header("Origin", format!("http://{address}"));
    let tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    tungstenite::client(request, tcp).unwrap().0
}

/// Says something secret, hears it back, and closes with 4000.
fn talk(client: &mut WebSocket<TcpStream>) {
    let text = Message::text(format!("{SECRET}-payload"));
    let binary = Message::binary(format!("{SECRET}-binary").into_bytes());
    for message in [text, binary] {
        client.send(message.clone()).unwrap();
        assert_eq!(client.read().unwrap(), message);
    }
    let code = tungstenite::protocol::frame::coding::CloseCode::from(4000);
    let reason = format!("{SECRET}-reason").into();
    client.close(Some(tungstenite::protocol::CloseFrame { code, reason })).unwrap();
    assert_eq!(close_of(client), (4000, format!("{SECRET}-reason")));
}

/// Reads up to the close frame.
fn close_of(client: &mut WebSocket<TcpStream>) -> (u16, String) {
    loop {
        if let Message::Close(frame) = client.read().unwrap() {
            // The library answers when it is asked for more.
            assert!(client.read().is_err(), "something came after the close frame");
            let frame = frame.unwrap();
            return (frame.code.into(), frame.reason.to_string());
        }
    }
}

/// Writes a legal handshake with further header lines.
fn handshake(more: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: app.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    )
}

/// Sends bytes and gives the whole answer.
fn raw(address: SocketAddr, request: &str) -> String {
    let mut tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    tcp.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    answer
}

/// Gives the event id after `mark`.
fn id_after(mark: &str, text: &str) -> String {
    let (_, rest) = text.split_once(mark).unwrap_or_else(|| panic!("no {mark:?} in {text}"));
    rest.chars().take(10).collect()
}

fn why(folder: &Path, id: &str) -> String {
    let output = finished(program(folder).args(["why", id, "--log", "events.jsonl"]).spawn().unwrap());
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{id}");
    String::from_utf8(output.stdout).unwrap()
}

fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("events.jsonl")).unwrap()
}

fn parsed(events: &str) -> Vec<Value> {
    events.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The gateway ended well, and nothing that it wrote holds a secret.
fn assert_clean(ended: &Ended, events: &str) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for text in [&ended.stdout, &ended.stderr, events] {
        assert!(!text.contains(SECRET), "{text}");
    }
}

/// The log tells of one conversation as [`talk`] has it.
fn assert_one_conversation(events: &str) {
    let events = parsed(events);
    assert_eq!(events.len(), 2, "{events:?}");
    let (open, close) = (&events[0], &events[1]);
    assert_eq!((&open["event"], &close["event"]), (&"open".into(), &"close".into()));
    assert_eq!(open["connection"], close["connection"]);
    assert_eq!((&open["route"], &open["tls"]), (&"default".into(), &false.into()));
    assert!(open["origin"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    let traffic = serde_json::json!({
        "messages": 2, "bytes": 41, "inspected_messages": 2, "inspected_bytes": 41
    });
    assert_eq!((&close["from_client"], &close["from_server"]), (&traffic, &traffic));
    assert_eq!((&close["code"], &close["initiator"]), (&4000.into(), &"client".into()));
}

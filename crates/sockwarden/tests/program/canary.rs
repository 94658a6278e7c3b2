//! Secrets that are sent through every part of a connection, and everything that the gateway writes searched for them.
//!
//! What is shown on purpose is not among them: the Origin, the sub-protocol that was agreed and the user whom the application
//! names, escaped and cut. They are who is connected, not what proves it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, pki_types::CertificateDer};
use serde_json::Value;
use tungstenite::{
    Message, WebSocket,
    client::IntoClientRequest as _,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::run::{Guard, finished, program, soon};

/// What every secret begins with: none of them may be found anywhere, nor cut to half of it.
const MARK: &str = "CANARY";

/// Makes secrets and remembers how many.
#[derive(Default)]
struct Canaries(usize);

impl Canaries {
    fn next(&mut self) -> String {
        self.0 += 1;
        format!("{MARK}{:04}", self.0)
    }
}

#[test]
fn no_secret_reaches_a_log_a_metric_or_an_answer_of_the_api() {
    let folder = tempfile::tempdir().unwrap();
    let mut canaries = Canaries::default();
    let (ours, inline, in_file) = (canaries.next(), canaries.next(), canaries.next());
    fs::write(folder.path().join("secret"), format!("Bearer {in_file}\n")).unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    fs::write(folder.path().join("certificate.pem"), made.cert.pem()).unwrap();
    fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let output = finished(program(folder.path()).args(["config", "--new-token", "token"]).spawn().unwrap());
    assert!(output.status.success());
    let token = fs::read_to_string(folder.path().join("token")).unwrap().trim().to_owned();
    let (app, heard) = application(canaries.next());
    configure(folder.path(), app, &inline);
    let variables = [("APP_HEADER", ours.as_str())];
    let guard = Guard::start_in(folder.path(), &["-c", "a.toml"], &variables);
    let addresses: Vec<SocketAddr> = soon(|| {
        let said = guard.said();
        let found: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("listening on ")).collect();
        (found.len() == 2)
            .then(|| found.iter().map(|l| l.split_once("://").unwrap().1.parse().unwrap()).collect())
    })
    .unwrap();
    let admin: SocketAddr = soon(|| {
        let said = guard.said();
        Some(said.lines().find_map(|line| line.strip_prefix("administered on http://"))?.parse().unwrap())
    })
    .unwrap();
    let feed = watch(admin, &token);

    let mut open = Vec::new();
    let doors = [
        Door { address: addresses[0], tls: None },
        Door { address: addresses[1], tls: Some(trusting(made.cert.der().clone())) },
    ];
    for door in &doors {
        // Let in, refused for its Origin, refused by the application, with a broken head, as plain HTTP, with nonsense.
        let mut client = enter(door, &mut canaries);
        talk(&mut client, &mut canaries);
        open.push(enter(door, &mut canaries));
        for request in refusals(&mut canaries) {
            let answer = raw(door, request.as_bytes());
            assert!(!answer.contains(MARK), "{answer}");
        }
        // Frames that break the rules, and a message that is too large, full of it.
        let mut broken = enter(door, &mut canaries);
        let mut nonsense = vec![0xff, 0x80 | 0x20, 0, 0, 0, 0];
        nonsense.extend(canaries.next().repeat(10).into_bytes());
        broken.get_mut().write_all(&nonsense).unwrap();
        while broken.read().is_ok() {}
        let mut large = enter(door, &mut canaries);
        large.send(Message::text(canaries.next().repeat(9000))).unwrap();
        while large.read().is_ok() {}
        // A close that says much and one that is none.
        let mut vain = enter(door, &mut canaries);
        let reason = canaries.next().repeat(10).into();
        vain.close(Some(CloseFrame { code: CloseCode::from(4000), reason })).unwrap();
        while vain.read().is_ok() {}
    }
    // The application closes with a secret in its reason.
    open[0].send(Message::text("close")).unwrap();
    while open[0].read().is_ok() {}

    let mut searched = String::new();
    let lists = [
        "/livez",
        "/readyz",
        "/metrics",
        "/api/v1/sessions",
        "/api/v1/sessions?limit=1",
        "/api/v1/routes",
        "/api/v1/openapi.json",
        "/api/v1/nothing",
        "/api/v1/sessions/0000000000",
    ];
    for path in lists {
        searched += &ask(admin, path, &token);
    }
    let wrong = canaries.next();
    for path in lists {
        searched += &ask(admin, &format!("{path}?token={wrong}"), &wrong);
    }
    let page = ask(admin, "/api/v1/sessions", &token);
    let page: Value = serde_json::from_str(page.split_once("\r\n\r\n").unwrap().1).unwrap();
    let sessions = page["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 1, "{page}");
    searched += &ask(admin, &format!("/api/v1/sessions/{}", sessions[0]["id"].as_str().unwrap()), &token);
    for command in [&["check", "-c", "a.toml"][..], &["config", "--effective", "-c", "a.toml"]] {
        let run = program(folder.path()).args(command).envs(variables).spawn().unwrap();
        let output = finished(run);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        searched += &String::from_utf8_lossy(&[output.stdout, output.stderr].concat());
    }
    let heard = heard.lock().unwrap().clone();
    for secret in [&ours, &inline, &in_file] {
        assert!(heard.contains(secret.as_str()), "the application was never told {secret}");
    }
    // A mistake right beside a secret, which is shown with its line.
    let text = fs::read_to_string(folder.path().join("a.toml")).unwrap();
    fs::write(folder.path().join("a.toml"), text.replace("{ inline =", "{ inlin =")).unwrap();
    guard.signal("HUP");
    assert!(soon(|| guard.said().contains("did you mean `inline`").then_some(())).is_some());
    drop(open);
    let seen = feed.seen.clone();
    assert!(soon(|| seen.lock().unwrap().contains("\"close\"").then_some(())).is_some());
    let ended = guard.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let events = fs::read_to_string(folder.path().join("events.jsonl")).unwrap();
    let watched = seen.lock().unwrap().clone();
    for (place, text) in [
        ("the log", &events),
        ("standard output", &ended.stdout),
        ("standard error", &ended.stderr),
        ("the feed", &watched),
        ("the admin listener or a command", &searched),
    ] {
        for line in text.lines() {
            assert!(!line.contains(MARK) && !line.contains(&token), "{place}: {line}");
        }
    }
    // What was searched is not empty.
    for event in ["\"open\"", "\"close\"", "\"verdict\"", "\"audit\""] {
        assert!(events.contains(event) && watched.contains(event), "no {event}");
    }
    assert!(searched.contains("sockwarden_websocket_connections_total") && searched.contains("***"));
    assert!(events.lines().count() > 30 && canaries.0 > 100, "{} canaries", canaries.0);
}

fn configure(folder: &Path, app: SocketAddr, inline: &str) {
    let text = format!(
        "version = 1\n\
         [[listeners]]\naddress = \"127.0.0.1:0\"\n\
         [[listeners]]\naddress = \"127.0.0.1:0\"\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n\
         [[routes]]\nname = \"app\"\nupstream = \"ws://{app}\"\nauth = \"forward\"\n\
         origin_policy.allow = [\"https://app.example\"]\n\
         forward_auth = {{ url = \"http://{app}/session\", user_header = \"X-User\" }}\n\
         [[routes.upstream_headers]]\nname = \"X-One\"\nsecret = {{ env = \"APP_HEADER\" }}\n\
         [[routes.upstream_headers]]\nname = \"X-Two\"\nsecret = {{ inline = \"{inline}\" }}\n\
         [[routes.upstream_headers]]\nname = \"Authorization\"\nsecret = {{ file = \"secret\" }}\n\
         [events]\nto = \"file\"\nfile = \"events.jsonl\"\n\
         [admin]\naddress = \"127.0.0.1:0\"\ntoken_file = \"token\"\n"
    );
    fs::write(folder.join("a.toml"), text).unwrap();
}

/// An application that lets in who has a cookie, and puts a secret wherever it answers; it remembers what it was sent.
fn application(secret: String) -> (SocketAddr, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Arc::new(Mutex::new(String::new()));
    let hearing = Arc::clone(&heard);
    thread::spawn(move || {
        for tcp in listener.incoming() {
            let (secret, hearing) = (secret.clone(), Arc::clone(&hearing));
            thread::spawn(move || answer(tcp.unwrap(), &secret, &hearing));
        }
    });
    (address, heard)
}

fn answer(mut tcp: TcpStream, secret: &str, hearing: &Mutex<String>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && tcp.read(&mut byte).is_ok_and(|n| n == 1) {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    hearing.lock().unwrap().push_str(&head);
    let find = |name: &str| {
        head.lines()
            .find_map(|line| Some(line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name))?.1))
    };
    let plain = |tcp: &mut TcpStream, status: &str, more: &str| {
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nX-Secret: {secret}\r\n{more}\r\n");
        tcp.write_all(text.as_bytes()).unwrap();
    };
    if head.starts_with("GET /session") {
        let status = if find("cookie").is_some() { "200 OK" } else { "401 No" };
        return plain(&mut tcp, status, &format!("X-User: mara\r\nSet-Cookie: sid={secret}\r\n"));
    }
    if head.contains("please-refuse") {
        return plain(&mut tcp, &format!("403 {secret}"), "");
    }
    let Some(key) = find("sec-websocket-key") else { return };
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    let protocol =
        find("sec-websocket-protocol").map(|_| "Sec-WebSocket-Protocol: chat\r\n").unwrap_or_default();
    let upgraded = format!(
        "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n{protocol}\
         Set-Cookie: sid={secret}\r\n\r\n"
    );
    tcp.write_all(upgraded.as_bytes()).unwrap();
    let mut socket = WebSocket::from_raw_socket(tcp, tungstenite::protocol::Role::Server, None);
    while let Ok(message) = socket.read() {
        if message == Message::text("close") {
            let _ = socket
                .close(Some(CloseFrame { code: CloseCode::from(4001), reason: secret.to_owned().into() }));
        } else if message.is_text() || message.is_binary() {
            let _ = socket.send(Message::text(secret));
            let _ = socket.send(Message::Ping(secret.to_owned().into()));
        }
    }
}

/// A stream to the gateway, with TLS or without.
trait Stream: std::io::Read + std::io::Write {}
impl<T: std::io::Read + std::io::Write> Stream for T {}

type Client = WebSocket<Box<dyn Stream>>;

/// Where the gateway listens, and how it is spoken to.
struct Door {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

fn trusting(certificate: CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

fn stream(door: &Door) -> Box<dyn Stream> {
    let tcp = TcpStream::connect(door.address).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    match &door.tls {
        None => Box::new(tcp),
        Some(config) => {
            let name = door.address.ip().into();
            let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
            Box::new(StreamOwned::new(connection, tcp))
        }
    }
}

/// Connects with secrets in every header, the query and the offered sub-protocols.
fn enter(door: &Door, canaries: &mut Canaries) -> Client {
    let query = canaries.next();
    let mut request =
        format!("ws://app.example/chat/{}?ticket={query}", canaries.next()).into_client_request().unwrap();
    let headers = request.headers_mut();
    for name in
        ["Authorization", "X-Api-Key", "User-Agent", "Referer", "X-One", "X-Forwarded-For", "Forwarded"]
    {
        headers.insert(name, canaries.next().parse().unwrap());
    }
    headers.insert("Cookie", format!("sid={}; other={}", canaries.next(), canaries.next()).parse().unwrap());
    let protocols = format!("chat, ticket.{}", canaries.next());
    headers.insert("Sec-WebSocket-Protocol", protocols.parse().unwrap());
    headers.insert("Sec-WebSocket-Extensions", format!("x-{}", canaries.next()).parse().unwrap());
    headers.insert("Origin", "https://app.example".parse().unwrap());
    let (client, answer) = tungstenite::client(request, stream(door)).unwrap();
    assert_eq!(answer.status(), 101);
    client
}

/// Says secrets in every kind of message.
fn talk(client: &mut Client, canaries: &mut Canaries) {
    client.send(Message::text(canaries.next())).unwrap();
    client.send(Message::binary(canaries.next().into_bytes())).unwrap();
    client.send(Message::Ping(canaries.next().into())).unwrap();
    client.send(Message::Pong(canaries.next().into())).unwrap();
    assert!(client.read().unwrap().to_text().unwrap().starts_with(MARK), "the application is heard");
    let reason = canaries.next().into();
    client.close(Some(CloseFrame { code: CloseCode::from(4000), reason })).unwrap();
    while client.read().is_ok() {}
}

/// Requests that are not let in, each with secrets.
fn refusals(canaries: &mut Canaries) -> Vec<String> {
    let mut secrets = || canaries.next();
    let upgrade = "Host: app.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    let good = "Origin: https://app.example\r\n";
    vec![
        // No cookie: the application refuses.
        format!("GET /?t={} HTTP/1.1\r\n{upgrade}{good}Authorization: {}\r\n\r\n", secrets(), secrets()),
        // Another origin.
        format!(
            "GET /?t={} HTTP/1.1\r\n{upgrade}Origin: https://evil.example\r\nCookie: {}\r\n\r\n",
            secrets(),
            secrets()
        ),
        // The application's handshake refuses, with a secret in its reason.
        format!(
            "GET /please-refuse?{} HTTP/1.1\r\n{upgrade}{good}Cookie: a={}\r\n\r\n",
            secrets(),
            secrets()
        ),
        // No upgrade at all.
        format!("GET /{}?{} HTTP/1.1\r\nHost: a\r\nCookie: {}\r\n\r\n", secrets(), secrets(), secrets()),
        format!("POST /{} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{}", secrets(), secrets()),
        // Heads that are malformed, where secrets stand.
        format!("GET / HTTP/1.1\r\n{upgrade}Cookie : {}\r\n\r\n", secrets()),
        format!("GET / HTTP/1.1\r\n{upgrade}{}\r\n\r\n", secrets()),
        format!("GET / HTTP/1.1\r\n{upgrade}Cookie: {}\n \r\n\r\n", secrets()),
        format!("GET /{} {}\r\n\r\n", secrets(), secrets()),
        format!("{} / HTTP/1.1\r\n\r\n", secrets()),
        format!("GET / HTTP/1.1\r\nHost: {}\r\nHost: {}\r\n\r\n", secrets(), secrets()),
        format!(
            "GET / HTTP/1.1\r\nHost: app.example\r\nUpgrade: {}\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {}\r\nSec-WebSocket-Version: {}\r\n\r\n",
            secrets(),
            secrets(),
            secrets()
        ),
        format!("GET / HTTP/1.1\r\n{upgrade}Sec-WebSocket-Key: {}\r\n\r\n", secrets()),
        format!("GET / HTTP/1.1\r\n{upgrade}Sec-WebSocket-Protocol: {}, a b{}\r\n\r\n", secrets(), secrets()),
        format!(
            "GET / HTTP/1.1\r\n{upgrade}Sec-WebSocket-Extensions: permessage-deflate; {}=\"\r\n\r\n",
            secrets()
        ),
        format!("GET /%2e%2e/{} HTTP/1.1\r\n{upgrade}X-Token: {}\r\n\r\n", secrets(), secrets()),
        format!("GET / HTTP/1.1\r\n{upgrade}X-Long: {}\r\n\r\n", secrets().repeat(5000)),
        secrets().repeat(20) + "\r\n\r\n",
    ]
}

fn raw(door: &Door, request: &[u8]) -> String {
    let mut stream = stream(door);
    stream.write_all(request).unwrap();
    stream.flush().unwrap();
    let mut answer = Vec::new();
    // How the other side ends it does not matter.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn ask(address: SocketAddr, path: &str, token: &str) -> String {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    raw(&Door { address, tls: None }, request.as_bytes())
}

/// The feed of events, as a watcher has it.
struct Feed {
    seen: Arc<Mutex<String>>,
}

fn watch(address: SocketAddr, token: &str) -> Feed {
    let mut tcp = TcpStream::connect(address).unwrap();
    let request =
        format!("GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    tcp.write_all(request.as_bytes()).unwrap();
    let seen = Arc::new(Mutex::new(String::new()));
    let writing = Arc::clone(&seen);
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        // It ends with the gateway.
        while let Ok(length @ 1..) = tcp.read(&mut bytes) {
            writing.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
    });
    assert!(soon(|| seen.lock().unwrap().contains("200 OK").then_some(())).is_some());
    Feed { seen }
}

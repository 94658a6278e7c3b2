//! Harbor as its honest users know it, with every flaw off.

use std::time::Duration;

use crate::client::{Client, Link, dial, get, host, http, log_in};
use serde_json::{Value, json};
use sockwarden_lab::{Config, Flaw, Lab, Role, seed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Bytes, Message};

#[tokio::test]
async fn the_page_is_served_with_everything_it_names() {
    let lab = Lab::start(Config::safe()).await.unwrap();
    let page = get(&lab, Link::Tls, "/", &[]).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_well_formed(&page.body);

    let named = page.body.split('"').filter(|value| value.starts_with('/') && value.contains('.'));
    let mut files = Vec::new();
    for path in named {
        let file = get(&lab, Link::Tls, path, &[]).await;
        assert_eq!(file.status, 200, "{path}");
        assert!(!file.body.is_empty(), "{path}");
        files.push((path, file.body));
    }
    let names: Vec<_> = files.iter().map(|(path, _)| *path).collect();
    assert_eq!(names, ["/harbor.css", "/render.js", "/harbor.js"]);

    let script = &files[2].1;
    for id in script.split("byId(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(page.body.contains(&format!("id=\"{id}\"")), "the script uses #{id}, the page has none");
    }
    lab.shutdown().await;
}

#[tokio::test]
async fn logging_in_opens_a_session_and_logging_out_ends_it() {
    let lab = Lab::start(Config::safe()).await.unwrap();
    assert_eq!(get(&lab, Link::Tls, "/api/session", &[]).await.status, 401);

    let login = log_in(&lab, Link::Tls, seed::INES).await;
    assert_eq!(login.json(), json!({"user": "ines", "role": "clerk"}));
    let set_cookie = login.header("set-cookie").unwrap().to_owned();
    for attribute in ["Path=/", "HttpOnly", "SameSite=Strict", "Secure"] {
        assert!(set_cookie.split("; ").any(|part| part == attribute), "{attribute} in {attribute:?}");
    }
    let cookie = login.cookie();

    let session = get(&lab, Link::Tls, "/api/session", &[("Cookie", &cookie)]).await;
    assert_eq!((session.status, session.json()), (200, json!({"user": "ines", "role": "clerk"})));
    assert_eq!(session.header("x-harbor-user"), Some("ines"));
    assert_eq!(session.header("x-harbor-role"), Some("clerk"));
    let sessions = lab.ledger().sessions().unwrap();
    assert_eq!(sessions.iter().map(|session| session.user.as_str()).collect::<Vec<_>>(), ["ines"]);

    let logout = http(&lab, Link::Tls, "POST", "/logout", &[("Cookie", &cookie)], "").await;
    assert_eq!(logout.status, 204);
    assert!(logout.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(get(&lab, Link::Tls, "/api/session", &[("Cookie", &cookie)]).await.status, 401);
    assert_eq!(lab.ledger().sessions().unwrap(), []);
    lab.shutdown().await;
}

#[tokio::test]
async fn a_bad_login_is_refused_and_opens_no_session() {
    let lab = Lab::start(Config::safe()).await.unwrap();
    let padding = "x".repeat(5000);
    for (body, status) in [
        (r#"{"user":"mara","password":"wrong"}"#.to_owned(), 401),
        (r#"{"user":"nobody","password":"wrong"}"#.to_owned(), 401),
        (r#"{"user":"mara' --","password":"x"}"#.to_owned(), 401),
        (format!(r#"{{"user":"mara","password":"{}"}}"#, &padding[..300]), 401),
        (r#"{"user":"mara"}"#.to_owned(), 400),
        ("user=mara".to_owned(), 400),
        (String::new(), 400),
        (format!(r#"{{"user":"mara","password":"{padding}"}}"#), 413),
    ] {
        assert_eq!(http(&lab, Link::Tls, "POST", "/login", &[], &body).await.status, status, "{body}");
    }
    assert_eq!(lab.ledger().sessions().unwrap(), []);
    lab.shutdown().await;
}

#[tokio::test]
async fn requests_that_fit_nowhere_get_the_right_status() {
    let lab = Lab::start(Config::safe()).await.unwrap();
    let upgrade = [("Upgrade", "websocket"), ("Connection", "Upgrade")];
    let key = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    for (method, path, headers, status) in [
        ("GET", "/nowhere", &[][..], 404),
        ("POST", "/", &[], 405),
        ("GET", "/login", &[], 405),
        ("DELETE", "/login", &[], 405),
        ("POST", "/ws", &[], 405),
        ("GET", "/ws", &[], 426),
        ("GET", "/ws", &[upgrade[0], upgrade[1], key, ("Sec-WebSocket-Version", "8")], 426),
        ("GET", "/ws", &[upgrade[0], upgrade[1], ("Sec-WebSocket-Version", "13")], 400),
        ("GET", "/ws", &[upgrade[0], upgrade[1], key, ("Sec-WebSocket-Version", "13")], 401),
    ] {
        let answer = raw(&lab, method, path, headers).await;
        assert_eq!(answer, status, "{method} {path} {headers:?}");
    }
    lab.shutdown().await;
}

#[tokio::test]
async fn people_see_themselves_and_the_administrator_sees_all() {
    let lab = Lab::start(Config::safe()).await.unwrap();
    let mut mara = Client::logged_in(&lab, Link::Tls, seed::MARA).await;
    let me = mara.ask(r#"{"type":"me","id":1}"#).await;
    let account = json!({
        "type": "account", "user": "mara", "name": "Mara Lindqvist", "role": "member",
        "email": seed::MARA.email, "card": seed::MARA.card, "balance_cents": seed::MARA.balance_cents, "id": 1,
    });
    assert_eq!(me, account);
    assert_eq!(mara.ask(r#"{"type":"account","user":"mara","id":1}"#).await, account);

    let mut admin = Client::logged_in(&lab, Link::Tls, seed::ADMIN).await;
    assert_eq!(admin.ask(r#"{"type":"account","user":"mara","id":1}"#).await, account);
    let missing = admin.ask(r#"{"type":"account","user":"nobody"}"#).await;
    assert_eq!(missing["code"], "no-such-account");
    let all = admin.ask(r#"{"type":"admin.accounts"}"#).await;
    assert_eq!(all["accounts"].as_array().map(Vec::len), Some(seed::ACCOUNTS.len()));
    let granted = admin.ask(r#"{"type":"admin.grant","user":"tomas","role":"clerk"}"#).await;
    assert_eq!(granted, json!({"type": "granted", "user": "tomas", "role": "clerk"}));
    assert_eq!(lab.ledger().role_of("tomas").unwrap(), Some(Role::Clerk));
    lab.shutdown().await;
}

#[tokio::test]
async fn a_post_reaches_the_room_and_stays_in_its_history() {
    let lab = Lab::start(Config::safe()).await.unwrap();
    let mut mara = Client::logged_in(&lab, Link::Tls, seed::MARA).await;
    let mut tomas = Client::logged_in(&lab, Link::Tls, seed::TOMAS).await;
    let mut yusuf = Client::logged_in(&lab, Link::Tls, seed::YUSUF).await;
    assert_eq!(tomas.ask(r#"{"type":"join","room":"berths"}"#).await["listening"], 1);
    assert_eq!(yusuf.ask(r#"{"type":"join","room":"berths"}"#).await["code"], "no-such-room");
    assert_eq!(yusuf.ask(r#"{"type":"join","room":"office"}"#).await["type"], "joined");

    let posted = mara.ask(r#"{"type":"post","room":"berths","text":"Berth 4 is free.","id":"p"}"#).await;
    assert_eq!(
        (&posted["type"], &posted["words"], &posted["id"]),
        (&json!("posted"), &json!(4), &json!("p"))
    );
    let chat = tomas.next().await;
    assert_eq!(chat["type"], "chat");
    assert_eq!((&chat["room"], &chat["user"]), (&json!("berths"), &json!("mara")));
    assert_eq!(chat["text"], "Berth 4 is free.");
    let history = tomas.ask(r#"{"type":"history","room":"berths"}"#).await;
    let last = history["posts"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["post"], &last["text"]), (&chat["post"], &chat["text"]));

    let found = tomas.ask(r#"{"type":"history","room":"berths","find":"fender"}"#).await;
    assert_eq!(found["posts"].as_array().map(Vec::len), Some(1));
    // Who is not in the room heard nothing: the next thing that arrives is the answer to a question.
    assert_eq!(yusuf.ask(r#"{"type":"me"}"#).await["type"], "account");
    lab.shutdown().await;
}

#[tokio::test]
async fn rooms_are_listed_for_who_may_enter_them() {
    let lab = Lab::start(Config::safe()).await.unwrap();
    for (account, expected) in [
        (seed::YUSUF, &["office", "quayside"][..]),
        (seed::MARA, &["office", "berths", "quayside"]),
        (seed::ADMIN, &["office", "berths", "customs", "security", "quayside"]),
    ] {
        let mut client = Client::logged_in(&lab, Link::Tls, account).await;
        let rooms = client.ask(r#"{"type":"rooms"}"#).await;
        let names: Vec<_> =
            rooms["rooms"].as_array().unwrap().iter().filter_map(|room| room["room"].as_str()).collect();
        assert_eq!(names, expected, "{}", account.user);
    }
    lab.shutdown().await;
}

#[tokio::test]
async fn joining_an_open_room_makes_a_member() {
    let lab = Lab::start(Config::safe()).await.unwrap();
    let mut yusuf = Client::logged_in(&lab, Link::Tls, seed::YUSUF).await;
    assert!(!lab.ledger().is_member("quayside", "yusuf").unwrap());
    yusuf.ask(r#"{"type":"join","room":"quayside"}"#).await;
    assert!(lab.ledger().is_member("quayside", "yusuf").unwrap());
    lab.shutdown().await;
}

#[tokio::test]
async fn the_search_finds_vessels_and_cargoes() {
    let lab = Lab::start(Config::safe()).await.unwrap();
    let mut mara = Client::logged_in(&lab, Link::Tls, seed::MARA).await;
    let results = mara.ask(r#"{"type":"search","q":"halcyon"}"#).await;
    let shipments = results["shipments"].as_array().unwrap();
    assert!(!shipments.is_empty() && shipments.iter().all(|shipment| shipment["vessel"] == "Halcyon"));
    assert_eq!(results["more"], false);
    let all = mara.ask(r#"{"type":"search","q":""}"#).await;
    assert_eq!((all["shipments"].as_array().map(Vec::len), &all["more"]), (Some(100), &json!(true)));
    lab.shutdown().await;
}

#[tokio::test]
async fn the_status_feed_goes_on_by_itself() {
    let config = Config { status_interval: Duration::from_millis(50), ..Config::safe() };
    let lab = Lab::start(config).await.unwrap();
    let mut mara = Client::logged_in(&lab, Link::Tls, seed::MARA).await;
    let first = mara.ask(r#"{"type":"status","id":9}"#).await;
    assert_eq!((&first["seq"], &first["id"]), (&json!(0), &json!(9)));
    let counted: u64 = first["shipments"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(counted, seed::SHIPMENTS as u64);
    for seq in 1..4 {
        let next = mara.next().await;
        assert_eq!((&next["type"], &next["seq"], &next["id"]), (&json!("status"), &json!(seq), &Value::Null));
    }
    lab.shutdown().await;
}

#[tokio::test]
async fn a_user_can_log_in_over_the_socket() {
    let lab = Lab::start(Config::safe()).await.unwrap();
    let mut client = Client::logged_in(&lab, Link::Tls, seed::MARA).await;
    let refused = client.ask(r#"{"type":"login","user":"ines","password":"wrong"}"#).await;
    assert_eq!(refused["code"], "wrong-password");
    assert_eq!(client.ask(r#"{"type":"me"}"#).await["user"], "mara");
    let login = json!({"type": "login", "user": "ines", "password": seed::INES.password}).to_string();
    assert_eq!(client.ask(&login).await, json!({"type": "welcome", "user": "ines", "role": "clerk"}));
    assert_eq!(client.ask(r#"{"type":"me"}"#).await["user"], "ines");
    lab.shutdown().await;
}

#[tokio::test]
async fn guessing_passwords_ends_the_socket() {
    let lab = Lab::start(Config::safe()).await.unwrap();
    let mut client = Client::logged_in(&lab, Link::Tls, seed::MARA).await;
    for _ in 0..10 {
        let refused = client.ask(r#"{"type":"login","user":"ines","password":"wrong"}"#).await;
        assert_eq!(refused["code"], "wrong-password");
    }
    assert_eq!(client.next_or_close().await, Err(Some(1008)));
    lab.shutdown().await;
}

#[tokio::test]
async fn the_end_of_the_session_is_the_end_of_its_sockets() {
    let lab = Lab::start(Config::safe()).await.unwrap();
    let mut busy = Client::logged_in(&lab, Link::Tls, seed::MARA).await;
    let mut quiet = Client::logged_in(&lab, Link::Tls, seed::MARA).await;
    let mut other = Client::logged_in(&lab, Link::Tls, seed::TOMAS).await;
    assert_eq!(lab.ledger().revoke_sessions("mara").unwrap(), 2);
    assert_eq!(busy.ask(r#"{"type":"me"}"#).await["code"], "session-ended");
    assert_eq!(busy.next_or_close().await, Err(Some(4401)));
    assert_eq!(quiet.next_or_close().await, Err(Some(4401)));
    assert_eq!(other.ask(r#"{"type":"me"}"#).await["user"], "tomas");
    lab.shutdown().await;
}

#[tokio::test]
async fn nothing_that_was_sent_comes_back() {
    const MARK: &str = "q7Zx9-mark";
    let lab = Lab::start(Config::vulnerable()).await.unwrap();
    let mut guest = Client::guest(&lab, Link::Plain).await;
    for text in [
        MARK.to_owned(),
        format!(r#""{MARK}""#),
        format!(r#"{{"type":"{MARK}"}}"#),
        format!(r#"{{"type":"me","{MARK}":"{MARK}"}}"#),
        format!(r#"{{"type":"account","user":"{MARK}"}}"#),
        format!(r#"{{"type":"history","room":"{MARK}"}}"#),
        format!(r#"{{"type":"search","q":"{MARK}"}}"#),
        format!(r#"{{"type":"post","room":"{MARK}","text":"{MARK}"}}"#),
        format!(r#"{{"type":"post","room":"office","text":"{MARK}"}}"#),
        format!(r#"{{"type":"login","user":"{MARK}","password":"{MARK}"}}"#),
    ] {
        let answer = guest.ask(&text).await.to_string();
        assert!(!answer.contains(MARK), "{text} brought {answer}");
    }
    lab.shutdown().await;
}

#[tokio::test]
async fn a_binary_message_closes_the_socket() {
    let lab = Lab::start(Config::vulnerable()).await.unwrap();
    let mut guest = Client::guest(&lab, Link::Plain).await;
    guest.say_binary(b"\x00\x01").await;
    assert_eq!(guest.next_or_close().await, Err(Some(1003)));
    lab.shutdown().await;
}

#[tokio::test]
async fn pings_and_goodbyes_are_answered() {
    let lab = Lab::start(Config::vulnerable()).await.unwrap();
    let mut guest = Client::guest(&lab, Link::Plain).await;
    let ping = Message::Ping(Bytes::from_static(b"tide"));
    assert_eq!(guest.exchange(ping).await, Some(Message::Pong(Bytes::from_static(b"tide"))));
    let goodbye = Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }));
    assert_eq!(guest.exchange(goodbye.clone()).await, Some(goodbye));
    lab.shutdown().await;
}

#[tokio::test]
async fn an_unmasked_frame_closes_the_socket() {
    let lab = Lab::start(Config::vulnerable()).await.unwrap();
    let mut stream = dial(&lab, Link::Plain).await;
    let handshake = format!(
        "GET /ws HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        host(&lab, Link::Plain)
    );
    stream.write_all(handshake.as_bytes()).await.unwrap();
    stream.write_all(b"\x81\x02{}").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    // FIN and opcode 8, a short length, then code 1002 (RFC 6455 §5.5.1).
    let closed = answer.windows(4).any(|bytes| bytes[0] == 0x88 && bytes[2..] == 1002_u16.to_be_bytes());
    assert!(closed, "{}", String::from_utf8_lossy(&answer));
    lab.shutdown().await;
}

#[tokio::test]
async fn a_request_with_too_much_of_a_head_is_refused() {
    let lab = Lab::start(Config::vulnerable()).await.unwrap();
    let value = "x".repeat(20 << 10);
    let many = [("X-Filler", "x"); 70];
    assert_eq!(raw(&lab, "GET", "/", &many).await, 431);
    assert_eq!(raw(&lab, "GET", "/", &[("X-Filler", &value)]).await, 431);
    assert_eq!(raw(&lab, "GET", "/", &many[..40]).await, 200);
    lab.shutdown().await;
}

#[tokio::test]
async fn who_loses_the_session_is_a_guest_where_guests_are_let_in() {
    let lab = Lab::start(Config::vulnerable().without(Flaw::SessionOutlivesLogout)).await.unwrap();
    let mut mara = Client::logged_in(&lab, Link::Plain, seed::MARA).await;
    lab.ledger().revoke_sessions("mara").unwrap();
    assert_eq!(mara.ask(r#"{"type":"me"}"#).await["code"], "not-logged-in");
    lab.shutdown().await;
}

/// Sends a request with exactly these headers besides `Host`, and returns the status.
async fn raw(lab: &Lab, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", host(lab, Link::Tls));
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let mut stream = dial(lab, Link::Tls).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut line = [0; 12];
    stream.read_exact(&mut line).await.unwrap();
    std::str::from_utf8(&line[9..]).unwrap().parse().unwrap()
}

/// Checks that every element of a page is closed, and closed in order.
fn assert_well_formed(page: &str) {
    const VOID: [&str; 5] = ["meta", "link", "input", "path", "!doctype"];
    let mut open = Vec::new();
    for tag in page.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("a tag has an end");
        let name = tag.split_whitespace().next().unwrap_or_default();
        if let Some(closed) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "</{closed}> closes another element");
        } else if !VOID.contains(&name.trim_end_matches('/')) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?} stay open");
}

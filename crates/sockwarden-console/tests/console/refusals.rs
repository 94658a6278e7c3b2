//! What the admin listener refuses.

use std::time::{Duration, Instant};

use sockwarden_model::{Action, Role};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::stage::{Stage, soon};

/// Every endpoint: method, path and whose it is.
const ENDPOINTS: [(&str, &str, Role); 13] = [
    ("GET", "/metrics", Role::Viewer),
    ("GET", "/api/v1/sessions", Role::Viewer),
    ("GET", "/api/v1/sessions/0000000000", Role::Viewer),
    ("DELETE", "/api/v1/sessions/0000000000", Role::Operator),
    ("GET", "/api/v1/routes", Role::Viewer),
    ("POST", "/api/v1/modes", Role::Operator),
    ("DELETE", "/api/v1/modes", Role::Operator),
    ("POST", "/api/v1/tickets", Role::Issuer),
    ("POST", "/api/v1/revocations", Role::Issuer),
    ("POST", "/api/v1/reload", Role::Operator),
    ("POST", "/api/v1/drain", Role::Operator),
    ("GET", "/api/v1/events", Role::Viewer),
    ("GET", "/api/v1/openapi.json", Role::Viewer),
];

fn request(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: 0\r\n\r\n")
}

#[tokio::test]
async fn without_a_token_there_is_nothing_but_health() {
    let stage = Stage::start().await;
    let host = stage.admin;
    for (method, path, _) in ENDPOINTS {
        let reply = stage.raw(&request(method, path, &format!("Host: {host}\r\n"))).await;
        assert_eq!(reply.status, 401, "{method} {path}: {reply:?}");
        assert!(reply.head.to_lowercase().contains("www-authenticate: bearer"), "{reply:?}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_wrong_token_is_none() {
    let stage = Stage::start().await;
    let good = &stage.operator;
    let wrong = [
        "wrong".to_owned(),
        String::new(),
        good[..good.len() - 1].to_owned(),
        format!("{good}x"),
        good.to_uppercase(),
        format!("{good}, {good}"),
    ];
    for token in wrong {
        let reply = stage.ask("GET", "/api/v1/routes", &token, "").await;
        assert_eq!(reply.status, 401, "{token}");
    }
    let host = stage.admin;
    for authorization in [
        format!("Authorization: Basic {good}\r\n"),
        format!("Authorization: {good}\r\n"),
        format!("Authorization: Bearer {good}\r\nAuthorization: Bearer {good}\r\n"),
        format!("Cookie: token={good}\r\n"),
    ] {
        let headers = format!("Host: {host}\r\n{authorization}");
        assert_eq!(
            stage.raw(&request("GET", "/api/v1/routes", &headers)).await.status,
            401,
            "{authorization}"
        );
    }
    let reason = stage
        .audited(|role, action| match action {
            Action::Refused { request, reason } if role == Role::Nobody => {
                Some((request.clone(), reason.clone()))
            }
            Action::CloseSession { .. }
            | Action::SetMode { .. }
            | Action::RestoreMode { .. }
            | Action::Reload
            | Action::IssueTicket { .. }
            | Action::Revoke { .. }
            | Action::Drain
            | Action::Refused { .. } => None,
        })
        .await;
    assert_eq!(
        reason,
        ("GET /api/v1/routes".to_owned(), "this needs a token or a certificate that is listed".to_owned())
    );
    assert_eq!(stage.ask("GET", "/api/v1/routes", good, "").await.status, 200);
    stage.stop().await;
}

#[tokio::test]
async fn a_viewer_looks_and_does_nothing_else() {
    let stage = Stage::start().await;
    for (method, path, role) in ENDPOINTS.into_iter().filter(|(_, path, _)| !path.ends_with("events")) {
        let reply = stage.ask(method, path, &stage.viewer, "").await;
        assert_eq!(reply.status == 403, role != Role::Viewer, "{method} {path}: {reply:?}");
    }
    let refused = stage
        .audited(|role, action| match action {
            Action::Refused { request, .. } if role == Role::Viewer => Some(request.clone()),
            Action::CloseSession { .. }
            | Action::SetMode { .. }
            | Action::RestoreMode { .. }
            | Action::Reload
            | Action::IssueTicket { .. }
            | Action::Revoke { .. }
            | Action::Drain
            | Action::Refused { .. } => None,
        })
        .await;
    assert_eq!(refused, "DELETE /api/v1/sessions/0000000000");
    let order = r#"{"mode":"off","seconds":60}"#;
    assert_eq!(stage.ask("POST", "/api/v1/modes", &stage.viewer, order).await.status, 403);
    let routes = stage.ask("GET", "/api/v1/routes", &stage.viewer, "").await;
    assert!(!routes.body.contains("\"off\""), "{routes:?}");
    stage.stop().await;
}

#[tokio::test]
async fn an_issuer_issues_and_revokes_and_sees_nothing() {
    let stage = Stage::start().await;
    for (method, path, role) in ENDPOINTS {
        let reply = stage.ask(method, path, &stage.issuer, "").await;
        assert_eq!(reply.status == 403, role != Role::Issuer, "{method} {path}: {reply:?}");
    }
    let refused = stage
        .audited(|role, action| match action {
            Action::Refused { request, reason } if role == Role::Issuer => {
                Some((request.clone(), reason.clone()))
            }
            Action::CloseSession { .. }
            | Action::SetMode { .. }
            | Action::RestoreMode { .. }
            | Action::Reload
            | Action::IssueTicket { .. }
            | Action::Revoke { .. }
            | Action::Drain
            | Action::Refused { .. } => None,
        })
        .await;
    let reason = "this needs a viewer's or an operator's token or certificate".to_owned();
    assert_eq!(refused, ("GET /metrics".to_owned(), reason));
    stage.stop().await;
}

#[tokio::test]
async fn whoever_may_not_neither_gets_a_ticket_nor_revokes() {
    let stage = Stage::start_with_tickets().await;
    let ticket = r#"{"route":"chat","user":"mara"}"#;
    let everybody = r#"{"what":{"issued-before":1},"seconds":60}"#;
    for (path, body) in [("/api/v1/tickets", ticket), ("/api/v1/revocations", everybody)] {
        assert_eq!(stage.ask("POST", path, "wrong", body).await.status, 401);
        let reply = stage.ask("POST", path, &stage.viewer, body).await;
        assert!(reply.status == 403 && reply.body.contains("an issuer's or an operator's"), "{reply:?}");
        assert_eq!(stage.ask("GET", path, &stage.issuer, "").await.status, 405);
        let page = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Origin: https://evil.example\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            stage.admin,
            stage.issuer,
            body.len()
        );
        assert_eq!(stage.raw(&page).await.status, 403);
    }
    let metrics = stage.ask("GET", "/metrics", &stage.viewer, "").await.body;
    assert!(metrics.contains("\nsockwarden_tickets_total{outcome=\"issued\"} 0\n"), "{metrics}");
    assert!(metrics.contains("\nsockwarden_revocations 0\n"), "{metrics}");
    stage.stop().await;
}

#[tokio::test]
async fn another_name_and_another_page_are_refused_with_the_right_token_too() {
    let stage = Stage::start().await;
    let (own, port, token) = (stage.admin, stage.admin.port(), &stage.operator);
    let check = async |headers: &str, status: u16| {
        for path in ["/livez", "/api/v1/routes", "/api/v1/nowhere"] {
            let headers = format!("{headers}Authorization: Bearer {token}\r\n");
            let expected = if status == 200 && path.ends_with("nowhere") { 404 } else { status };
            let reply = stage.raw(&request("GET", path, &headers)).await;
            assert_eq!(reply.status, expected, "{path} {headers}: {reply:?}");
        }
    };
    check(&format!("Host: {own}\r\n"), 200).await;
    check(&format!("Host: localhost:{port}\r\n"), 200).await;
    check(&format!("Host: {own}\r\nOrigin: http://{own}\r\n"), 200).await;
    check(&format!("Host: {own}\r\nSec-Fetch-Site: same-origin\r\n"), 200).await;
    check(&format!("Host: evil.example:{port}\r\n"), 421).await;
    check("Host: 127.0.0.1\r\n", 421).await;
    check("", 421).await;
    check(&format!("Host: {own}\r\nHost: {own}\r\n"), 421).await;
    stage.stop().await;

    // Refusals have a rate of their own: a fresh listener for the second half.
    let stage = Stage::start().await;
    let own = stage.admin;
    for origin in ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1"] {
        let headers =
            format!("Host: {own}\r\nOrigin: {origin}\r\nAuthorization: Bearer {}\r\n", stage.operator);
        assert_eq!(stage.raw(&request("GET", "/api/v1/routes", &headers)).await.status, 403, "{origin}");
        assert_eq!(stage.raw(&request("DELETE", "/api/v1/modes", &headers)).await.status, 403, "{origin}");
    }
    let cross =
        format!("Host: {own}\r\nSec-Fetch-Site: cross-site\r\nAuthorization: Bearer {}\r\n", stage.operator);
    assert_eq!(stage.raw(&request("GET", "/livez", &cross)).await.status, 403);
    stage.stop().await;
}

#[tokio::test]
async fn a_path_is_spelled_in_one_way() {
    let stage = Stage::start().await;
    for path in [
        "//livez",
        "/livez/",
        "/livez/../metrics",
        "/./livez",
        "/api/v1/../../livez",
        "/api//v1/routes",
        "/api/v1/%72outes",
        "/api/v1/routes%2f",
        "/api/v1/sessions/..%2froutes",
        "/api/v1/sessions/%2e%2e",
        "/api/v1/routes;x",
        "/livez%00",
        "http://evil.example/livez",
        "*",
    ] {
        let reply = stage.ask("GET", path, &stage.operator, "").await;
        assert_eq!(reply.status, 400, "{path}: {reply:?}");
    }
    for path in ["/LIVEZ", "/api/v1/Routes", "/api/v1", "/api/v1/sessions/a/b"] {
        assert_eq!(stage.ask("GET", path, &stage.operator, "").await.status, 404, "{path}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_body_is_small_and_json() {
    let stage = Stage::start().await;
    let change =
        |padding: usize| format!(r#"{{"mode":"observe","seconds":1,"rule":"x{}"}}"#, "x".repeat(padding));
    assert_eq!(stage.ask("POST", "/api/v1/modes", &stage.operator, &change(16_000)).await.status, 404);
    assert_eq!(stage.ask("POST", "/api/v1/modes", &stage.operator, &change(16_384)).await.status, 413);
    let headers = format!("Host: {}\r\nAuthorization: Bearer {}\r\n", stage.admin, stage.operator);
    let announced = format!(
        "POST /api/v1/modes HTTP/1.1\r\n{headers}Content-Type: application/json\r\nContent-Length: 9999999999\r\n\r\n"
    );
    assert_eq!(stage.raw(&announced).await.status, 413);
    let chunked = format!(
        "POST /api/v1/modes HTTP/1.1\r\n{headers}Content-Type: application/json\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n8000\r\n{}\r\n0\r\n\r\n",
        " ".repeat(0x8000)
    );
    assert_eq!(stage.raw(&chunked).await.status, 413);
    let body = r#"{"mode":"off","seconds":60}"#;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        let form = format!(
            "POST /api/v1/modes HTTP/1.1\r\n{headers}Content-Type: {kind}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        assert_eq!(stage.raw(&form).await.status, 415, "{kind}");
    }
    let routes = stage.ask("GET", "/api/v1/routes", &stage.viewer, "").await;
    assert!(!routes.body.contains("\"off\""), "{routes:?}");
    stage.stop().await;
}

#[tokio::test]
async fn slow_heads_and_slow_bodies_are_not_waited_for() {
    let stage = Stage::start().await;
    let begun = Instant::now();
    let slow = async |begin: String, drip: &str| {
        let mut tcp = TcpStream::connect(stage.admin).await.unwrap();
        tcp.write_all(begin.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        for _ in 0..200 {
            let read = tokio::time::timeout(Duration::from_millis(100), tcp.read_buf(&mut answer)).await;
            if matches!(read, Ok(Ok(0) | Err(_))) {
                break;
            }
            let _ = tcp.write_all(drip.as_bytes()).await;
        }
        String::from_utf8_lossy(&answer).into_owned()
    };
    let headers = format!("Host: {}\r\nAuthorization: Bearer {}\r\n", stage.admin, stage.operator);
    let body = format!(
        "POST /api/v1/modes HTTP/1.1\r\n{headers}Content-Type: application/json\r\nContent-Length: 10000\r\n\r\n"
    );
    let head = format!("GET /livez HTTP/1.1\r\n{headers}X-Slow: ");
    let (head, body, silent) = tokio::join!(slow(head, "x"), slow(body, " "), slow(String::new(), ""));
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    assert!(!head.contains(" 200 "), "{head}");
    assert!(body.starts_with("HTTP/1.1 408"), "{body}");
    assert_eq!(silent, "");
    stage.stop().await;
}

#[tokio::test]
async fn who_guesses_tokens_is_slowed_down_and_costs_nobody_else_anything() {
    let stage = Stage::start().await;
    let mut statuses = Vec::new();
    for n in 0..40 {
        statuses.push(stage.ask("GET", "/api/v1/routes", &format!("guess {n}"), "").await.status);
    }
    assert!(statuses.iter().take(20).all(|status| *status == 401), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(stage.ask("GET", "/api/v1/routes", &stage.operator, "").await.status, 200);
    assert_eq!(stage.ask("GET", "/livez", "", "").await.status, 200);
    let audited = stage.log.lock().unwrap().len();
    assert!(audited < 40, "{audited}");
    stage.stop().await;
}

#[tokio::test]
async fn connections_are_bounded() {
    let stage = Stage::start().await;
    let mut idle = Vec::new();
    for _ in 0..64 {
        idle.push(TcpStream::connect(stage.admin).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut one_more = TcpStream::connect(stage.admin).await.unwrap();
    let mut nothing = Vec::new();
    let read = soon(one_more.read_to_end(&mut nothing)).await;
    assert!(nothing.is_empty() && !matches!(read, Ok(n) if n > 0));
    drop(idle);
    soon(async {
        while stage.ask("GET", "/livez", "", "").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    stage.stop().await;
}

//! What the admin listener is for.

use std::time::Duration;

use sockwarden_model::{Action, Event, Initiator, Mode, Role};
use sockwarden_net::{ClientTls, DevCertificate, DialOptions, dial};
use sockwarden_proto::CloseCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::stage::{PATIENCE, Reply, Stage, closed, soon, text};

/// Finds `"key":"…"` in an answer.
fn field<'a>(body: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!("\"{key}\":\""))?;
    rest.split('"').next()
}

/// The value of a metric, by the start of its line.
fn metric(text: &str, start: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(start));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
}

async fn metrics(stage: &Stage) -> String {
    let reply = stage.ask("GET", "/metrics", &stage.viewer, "").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.head.contains("application/openmetrics-text"), "{reply:?}");
    reply.body
}

/// The id of the only session.
async fn only(stage: &Stage) -> String {
    let reply = stage.ask("GET", "/api/v1/sessions", &stage.viewer, "").await;
    assert!(reply.body.contains("\"total\":1"), "{reply:?}");
    field(&reply.body, "id").unwrap().to_owned()
}

#[tokio::test]
async fn health_is_told_without_a_token_and_draining_is_not_ready() {
    let mut stage = Stage::start().await;
    let ask = async |stage: &Stage, path| -> Reply {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", stage.admin);
        stage.raw(&request).await
    };
    assert_eq!(ask(&stage, "/livez").await.status, 200);
    assert_eq!(
        (ask(&stage, "/readyz").await.status, ask(&stage, "/readyz").await.body.as_str()),
        (200, r#"{"status":"ready"}"#)
    );
    let _client = stage.connect(|_| ()).await;
    stage.drain();
    let draining = soon(async {
        loop {
            let reply = ask(&stage, "/readyz").await;
            if reply.status != 200 {
                return reply;
            }
        }
    });
    let draining = draining.await;
    assert_eq!((draining.status, draining.body.as_str()), (503, r#"{"status":"draining"}"#));
    assert_eq!(ask(&stage, "/livez").await.status, 200);
    stage.stop().await;
}

#[tokio::test]
async fn metrics_move_while_a_connection_is_open() {
    let stage = Stage::start().await;
    let mut client = stage.connect(|_| ()).await;
    let active = "sockwarden_websocket_connections_active{route=\"app\"}";
    let sent = "sockwarden_websocket_messages_total{route=\"app\",direction=\"client\",opcode=\"text\",decision=\"pass\"}";
    for n in 1..=3 {
        client.send_text("1234").await.unwrap();
        assert_eq!(text(&mut client).await, "1234");
        let now = metrics(&stage).await;
        assert_eq!((metric(&now, active), metric(&now, sent)), (1, n), "{now}");
        assert_eq!(
            metric(&now, "sockwarden_websocket_bytes_total{route=\"app\",direction=\"server\"}"),
            4 * n
        );
    }
    client.close(CloseCode::NORMAL, "").await.unwrap();
    closed(&mut client).await;
    soon(async {
        while metric(&metrics(&stage).await, active) != 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let now = metrics(&stage).await;
    assert_eq!(metric(&now, "sockwarden_websocket_close_total{code=\"1000\",initiator=\"client\"}"), 1);
    assert!(metric(&now, "sockwarden_websocket_inspection_duration_seconds_count") > 0, "{now}");
    stage.stop().await;
}

#[tokio::test]
async fn a_session_is_listed_shown_and_closed() {
    let stage = Stage::start().await;
    let mut client = stage.connect(|_| ()).await;
    client.send_text("one").await.unwrap();
    text(&mut client).await;
    let id = only(&stage).await;
    let path = format!("/api/v1/sessions/{id}");
    let shown = stage.ask("GET", &path, &stage.viewer, "").await;
    assert_eq!(shown.status, 200);
    assert!(
        shown
            .body
            .contains(r#""from_client":{"messages":1,"bytes":3,"inspected_messages":1,"inspected_bytes":3}"#),
        "{shown:?}"
    );
    assert!(shown.body.contains(r#""state":"open""#), "{shown:?}");

    let order = format!("{path}?code=4007&reason=go%20now");
    let reply = stage.ask("DELETE", &order, &stage.operator, "").await;
    assert_eq!((reply.status, reply.body), (202, format!(r#"{{"closing":"{id}"}}"#)));
    assert_eq!(closed(&mut client).await, (4007, "go now".to_owned()));
    let action = stage
        .audited(|role, action| match action {
            Action::CloseSession { connection, code, reason } if role == Role::Operator => {
                Some((connection.to_string(), *code, reason.clone()))
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
    assert_eq!(action, (id.clone(), 4007, "go now".to_owned()));
    soon(async {
        while stage.ask("GET", &path, &stage.viewer, "").await.status != 404 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let ended = soon(async {
        loop {
            let found = stage.log.lock().unwrap().iter().find_map(|event| match event {
                Event::Close(close) => Some((close.connection.to_string(), close.code, close.initiator)),
                Event::Open(_)
                | Event::Verdict(_)
                | Event::Notice(_)
                | Event::Request(_)
                | Event::Audit(_) => None,
            });
            if let Some(found) = found {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(ended, (id, 4007, Initiator::Operator));
    stage.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_explained() {
    let stage = Stage::start().await;
    let _client = stage.connect(|_| ()).await;
    let id = only(&stage).await;
    let check = async |method: &str, path: &str, body: &str, status: u16, says: &str| {
        let reply = stage.ask(method, path, &stage.operator, body).await;
        assert_eq!(reply.status, status, "{method} {path} {body}: {reply:?}");
        assert!(reply.body.contains(says) && reply.body.starts_with('{'), "{reply:?}");
    };
    let session = |rest: &str| format!("/api/v1/sessions/{id}{rest}");
    check("DELETE", &session("?code=1005"), "", 422, "1005").await;
    check("DELETE", &session("?code=70000"), "", 422, "query").await;
    check("DELETE", &session("?reason=%1b%5b"), "", 422, "control characters").await;
    check("DELETE", &session("?cod=1000"), "", 422, "cod").await;
    check("DELETE", "/api/v1/sessions/0000000000", "", 404, "no session").await;
    check("GET", "/api/v1/sessions/nonsense", "", 404, "nonsense").await;
    check("GET", "/api/v1/sessions?limit=0", "", 422, "limit").await;
    check("GET", "/api/v1/sessions?limit=501", "", 422, "limit").await;
    check("GET", "/api/v1/sessions?after=x", "", 422, "query").await;
    let modes = "/api/v1/modes";
    check("POST", modes, r#"{"mode":"observe","seconds":0}"#, 422, "time").await;
    check("POST", modes, r#"{"mode":"observe"}"#, 422, "seconds").await;
    check("POST", modes, r#"{"mode":"sleep","seconds":1}"#, 422, "sleep").await;
    check("POST", modes, r#"{"mode":"off","seconds":1,"for":2}"#, 422, "for").await;
    check("POST", modes, r#"{"mode":"off","seconds":1,"route":"x"}"#, 404, "route").await;
    check("POST", modes, r#"{"mode":"off","seconds":1,"rule":"x"}"#, 404, "defence").await;
    check("POST", modes, r#"{"mode":"off","seconds":1,"rule":"protocol-rules"}"#, 409, "always").await;
    check("POST", modes, "[", 422, "body").await;
    check("PUT", modes, "", 405, "method").await;
    check("GET", "/api/v2/modes", "", 404, "nothing").await;
    stage.stop().await;
}

#[tokio::test]
async fn break_glass_is_seen_works_on_a_live_socket_and_ends() {
    let stage = Stage::start().await;
    let mut client = stage.connect(|_| ()).await;
    let big = "x".repeat(200_000);
    let order = r#"{"route":"app","rule":"frame-limits","mode":"observe","seconds":60}"#;
    let reply = stage.ask("POST", "/api/v1/modes", &stage.operator, order).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"changed":1}"#));
    let routes = stage.ask("GET", "/api/v1/routes", &stage.viewer, "").await;
    let changed =
        r#"{"rule":"frame-limits","mode":"observe","configured":"block","fixed":false,"seconds_left":60}"#;
    assert!(routes.body.contains(changed), "{routes:?}");
    client.send_text(&big).await.unwrap();
    assert_eq!(text(&mut client).await, big);

    let shorter = r#"{"mode":"observe","rule":"frame-limits","seconds":1}"#;
    assert_eq!(stage.ask("POST", "/api/v1/modes", &stage.operator, shorter).await.body, r#"{"changed":1}"#);
    let back = stage
        .audited(|role, action| match action {
            Action::RestoreMode { rule, mode, .. } if role == Role::Timer => Some((rule.clone(), *mode)),
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
    assert_eq!(back, ("frame-limits".to_owned(), Mode::Block));
    client.send_text(&big).await.unwrap();
    assert_eq!(closed(&mut client).await.0, 1009);

    stage.ask("POST", "/api/v1/modes", &stage.operator, r#"{"mode":"observe","seconds":9}"#).await;
    let reply = stage.ask("DELETE", "/api/v1/modes?route=app", &stage.operator, "").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"changed":13}"#));
    let routes = stage.ask("GET", "/api/v1/routes", &stage.viewer, "").await;
    assert!(!routes.body.contains(r#""mode":"observe","configured":"block""#), "{routes:?}");
    stage.stop().await;
}

#[tokio::test]
async fn events_are_sent_as_they_happen() {
    let stage = Stage::start().await;
    let mut watcher = TcpStream::connect(stage.admin).await.unwrap();
    let request = format!(
        "GET /api/v1/events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
        stage.admin, stage.viewer
    );
    watcher.write_all(request.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    let mut wait_for = async |what: &str| {
        let read = async {
            while !String::from_utf8_lossy(&seen).contains(what) {
                assert!(watcher.read_buf(&mut seen).await.unwrap() > 0, "the stream ended before {what}");
            }
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("no {what}"));
    };
    wait_for("text/event-stream").await;
    let mut client = stage.connect(|_| ()).await;
    wait_for("event: open\ndata: {\"event\":\"open\"").await;
    client.close(CloseCode::NORMAL, "").await.unwrap();
    wait_for("event: close\ndata: {\"event\":\"close\"").await;
    let _ = stage.ask("GET", "/metrics", "not a token", "").await;
    wait_for("event: audit\ndata: {\"event\":\"audit\"").await;
    stage.stop().await;
}

#[tokio::test]
async fn a_slow_watcher_loses_events_and_is_told_and_nobody_waits() {
    let stage = Stage::start().await;
    let mut watcher = TcpStream::connect(stage.admin).await.unwrap();
    let request = format!(
        "GET /api/v1/events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
        stage.admin, stage.viewer
    );
    watcher.write_all(request.as_bytes()).await.unwrap();
    let mut seen = [0; 16];
    watcher.read_exact(&mut seen).await.unwrap();
    let begun = std::time::Instant::now();
    stage.flood(60_000);
    assert!(begun.elapsed() < PATIENCE);
    let mut rest = Vec::new();
    let told = async {
        while !String::from_utf8_lossy(&rest).contains("event: lost\ndata: {\"lost\":") {
            assert!(watcher.read_buf(&mut rest).await.unwrap() > 0);
            let keep = rest.len().saturating_sub(64 * 1024);
            rest.drain(..keep);
        }
    };
    soon(told).await;
    stage.stop().await;
}

#[tokio::test]
async fn no_secret_reaches_a_metric_an_answer_or_an_event() {
    let stage = Stage::start().await;
    let mut client = stage
        .connect(|handshake| {
            let secret = |name: &str| (name.to_owned(), format!("canary-{name}").into_bytes());
            handshake.headers =
                ["Cookie", "Authorization", "X-Api-Key", "Proxy-Authorization"].map(secret).into();
        })
        .await;
    client.send_text("canary-message").await.unwrap();
    assert_eq!(text(&mut client).await, "canary-message");
    let id = only(&stage).await;
    let mut said = String::new();
    for path in ["/metrics", "/api/v1/sessions", "/api/v1/routes", &format!("/api/v1/sessions/{id}")] {
        let reply = stage.ask("GET", path, &stage.operator, "").await;
        assert_eq!(reply.status, 200, "{path}");
        said += &reply.head;
        said += &reply.body;
    }
    // Wrong ones are refused, and a token that was put where none belongs is not repeated.
    for (path, token) in [
        ("/api/v1/sessions", "canary-token"),
        ("/api/v1/sessions?token=canary-parameter", "canary-token"),
        ("/api/v1/sessions?after=canary-after", &stage.operator),
    ] {
        let reply = stage.ask("GET", path, token, "").await;
        assert!(matches!(reply.status, 401 | 422), "{reply:?}");
    }
    client.close(CloseCode::NORMAL, "canary-reason").await.unwrap();
    closed(&mut client).await;
    stage.audited(|_, action| matches!(action, Action::Refused { .. }).then_some(())).await;
    soon(async {
        while !stage.log.lock().unwrap().iter().any(|event| matches!(event, Event::Close(_))) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    said += &format!("{:?}", stage.log.lock().unwrap());
    assert!(said.contains("\"from_client\":{\"messages\":1,\"bytes\":14,"), "{said}");
    for secret in ["canary", &stage.operator, &stage.viewer] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn the_openapi_document_is_served() {
    let stage = Stage::start().await;
    let reply = stage.ask("GET", "/api/v1/openapi.json", &stage.viewer, "").await;
    assert_eq!(reply.status, 200);
    let document = sockwarden_console::openapi().to_string();
    assert_eq!(reply.body, document);
    stage.stop().await;
}

#[tokio::test]
async fn over_tls_pages_of_the_same_name_without_it_are_foreign() {
    let certificate = DevCertificate::generate().unwrap();
    let stage = Stage::start_tls(&certificate).await;
    let tls = ClientTls::with_roots(certificate.authority.as_bytes()).unwrap();
    let options = DialOptions { tls, timeout: PATIENCE, connect_to: None };
    let ask = async |headers: &str| {
        let url = format!("wss://{}/", stage.admin).parse().unwrap();
        let mut stream = dial(&url, &options).await.unwrap();
        let request = format!(
            "GET /api/v1/routes HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{headers}Connection: close\r\n\r\n",
            stage.admin, stage.viewer
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = soon(stream.read_to_end(&mut answer)).await;
        String::from_utf8(answer).unwrap()[9..12].to_owned()
    };
    assert_eq!(ask("").await, "200");
    assert_eq!(ask(&format!("Origin: https://{}\r\n", stage.admin)).await, "200");
    assert_eq!(ask(&format!("Origin: http://{}\r\n", stage.admin)).await, "403");
    // Without TLS there is no answer at all.
    let plain = stage.ask("GET", "/livez", &stage.viewer, "").await;
    assert_eq!(plain.status, 0, "{plain:?}");
    stage.stop().await;
}

#[tokio::test]
async fn a_listener_that_shall_speak_tls_does_not_start_without() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    sockwarden_console::write_new_token(&token, [1; 32]).unwrap();
    let config = sockwarden_console::AdminConfig {
        certificate: Some("c".into()),
        key: Some("k".into()),
        ..sockwarden_console::AdminConfig::new("127.0.0.1:0", &token)
    };
    let admin = sockwarden_console::build(&config).unwrap();
    let stage = Stage::start().await;
    let (sender, _events) = sockwarden_model::event_channel(1);
    let wiring = sockwarden_console::Wiring {
        control: stage.control(),
        operations: stage.runner.clone(),
        events: sender,
        feed: sockwarden_console::Feed::new(),
    };
    let started = sockwarden_console::Console::start(admin, None, wiring).await;
    assert!(matches!(started, Err(sockwarden_console::StartError::NoCertificate)));
    stage.stop().await;
}

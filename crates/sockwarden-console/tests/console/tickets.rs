//! Tickets for users of the application, and what is revoked.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sockwarden_model::{Action, Role};

use crate::stage::{Stage, closed, soon, text};

/// Gets a ticket as the application's server does.
async fn ticket(stage: &Stage, user: &str) -> String {
    let wish = json!({ "route": "chat", "user": user }).to_string();
    let reply = stage.ask("POST", "/api/v1/tickets", &stage.issuer, &wish).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let grant: Value = serde_json::from_str(&reply.body).unwrap();
    grant["ticket"].as_str().unwrap().to_owned()
}

async fn revoke(stage: &Stage, order: &Value) -> (u16, Value) {
    let reply = stage.ask("POST", "/api/v1/revocations", &stage.issuer, &order.to_string()).await;
    (reply.status, serde_json::from_str(&reply.body).unwrap())
}

async fn metric(stage: &Stage, line: &str) -> Option<u64> {
    let metrics = stage.ask("GET", "/metrics", &stage.viewer, "").await.body;
    let value = metrics.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
    value.map(|value| value.parse().unwrap())
}

#[tokio::test]
async fn the_applications_server_gets_a_ticket_that_opens_one_socket() {
    let stage = Stage::start_with_tickets().await;
    let wish = json!({
        "route": "chat", "user": "mara", "roles": ["editor"], "claims": { "rooms": ["a"] }, "client": "127.0.0.1",
        "expires_at": 4_000_000_000_u64, "note": "canary-note",
    });
    let reply = stage.ask("POST", "/api/v1/tickets", &stage.issuer, &wish.to_string()).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    assert!(reply.head.to_lowercase().contains("\r\ncache-control: no-store\r\n"), "{reply:?}");
    let grant: Value = serde_json::from_str(&reply.body).unwrap();
    let secret = grant["ticket"].as_str().unwrap();
    let expected =
        json!({ "ticket": secret, "expires_in": 30, "subprotocol": format!("sockwarden.ticket.{secret}") });
    assert_eq!(grant, expected);
    assert_eq!(metric(&stage, "sockwarden_tickets_outstanding").await, Some(1));

    let mut client = stage.enter(secret).await.unwrap();
    client.send_text("hello").await.unwrap();
    assert_eq!(text(&mut client).await, "hello");
    let sessions = stage.ask("GET", "/api/v1/sessions?user=mara", &stage.viewer, "").await;
    assert!(sessions.body.contains("\"user\":\"mara\""), "{sessions:?}");
    assert_eq!(stage.enter(secret).await.err(), Some(401));

    let issued = stage
        .audited(|role, action| match action {
            Action::IssueTicket { route, user } => Some((role, route.clone(), user.clone())),
            Action::CloseSession { .. }
            | Action::SetMode { .. }
            | Action::RestoreMode { .. }
            | Action::Reload
            | Action::Revoke { .. }
            | Action::Drain
            | Action::Refused { .. } => None,
        })
        .await;
    assert_eq!(issued, (Role::Issuer, "chat".to_owned(), Some("mara".to_owned())));
    for (outcome, expected) in [("issued", 1), ("taken", 1), ("burned", 0), ("expired", 0)] {
        let line = format!("sockwarden_tickets_total{{outcome=\"{outcome}\"}}");
        assert_eq!(metric(&stage, &line).await, Some(expected), "{outcome}");
    }
    assert_eq!(metric(&stage, "sockwarden_tickets_outstanding").await, Some(0));
    assert_eq!(metric(&stage, "sockwarden_state_up{kind=\"memory\"}").await, Some(1));
    assert_eq!(metric(&stage, "sockwarden_state_errors_total").await, Some(0));
    let said = format!("{:?}", stage.log.lock().unwrap());
    assert!(
        !said.contains(secret) && !said.contains(&stage.issuer) && !said.contains("canary-note"),
        "{said}"
    );
    stage.stop().await;
}

#[tokio::test]
async fn a_ticket_that_makes_no_sense_is_not_issued_and_it_is_said_why() {
    let stage = Stage::start_with_tickets().await;
    let check = async |body: &str, status: u16, says: &str| {
        let reply = stage.ask("POST", "/api/v1/tickets", &stage.issuer, body).await;
        assert_eq!(reply.status, status, "{body}: {reply:?}");
        assert!(reply.body.contains(says), "{reply:?}");
    };
    let with = |more: &str| format!(r#"{{"route":"chat","user":"mara",{more}}}"#);
    check(r#"{"route":"nowhere","user":"mara"}"#, 404, "route").await;
    check(r#"{"route":"app","user":"mara"}"#, 409, "takes no tickets").await;
    check(r#"{"route":"chat"}"#, 422, "user").await;
    check(r#"{"route":"chat","user":""}"#, 422, "user").await;
    check(&with(r#""expires_at":1"#), 422, "ended already").await;
    check(&with(r#""expires_at":"soon""#), 422, "body").await;
    check(&with(r#""client":"somewhere""#), 422, "body").await;
    check(&with(r#""origin":"https://app.example/""#), 422, "origin").await;
    check(&with(r#""claims":["a"]"#), 422, "body").await;
    check(&with(r#""admin":true"#), 422, "admin").await;
    check(&with(&format!(r#""note":"{}""#, "n".repeat(1025))), 422, "1024").await;
    check("{", 422, "body").await;
    for _ in 0..2 {
        ticket(&stage, "mara").await;
    }
    check(r#"{"route":"chat","user":"mara"}"#, 429, "outstanding").await;
    ticket(&stage, "nils").await;
    stage.stop().await;
}

#[tokio::test]
async fn what_is_revoked_is_closed_within_a_second() {
    let stage = Stage::start_with_tickets().await;
    let check = async |what: &dyn Fn(&str, &str) -> Value, says: &str| {
        // What was issued in the same millisecond as the order before is revoked by it.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let secret = ticket(&stage, "mara").await;
        let mut client = stage.enter(&secret).await.unwrap();
        client.send_text("hello").await.unwrap();
        assert_eq!(text(&mut client).await, "hello");
        let page = stage.ask("GET", "/api/v1/sessions", &stage.viewer, "").await.body;
        let page: Value = serde_json::from_str(&page).unwrap();
        // Those of before may be on their way out.
        let is_open = |session: &&Value| session["state"] == "open";
        let id = page["sessions"].as_array().unwrap().iter().find(is_open).unwrap()["id"].as_str().unwrap();
        let what = what(id, &secret);
        let begun = Instant::now();
        let (status, answer) = revoke(&stage, &json!({ "what": what, "seconds": 60 })).await;
        assert_eq!(status, 200, "{answer}");
        let said = answer["revoked"].as_str().unwrap();
        assert!(said.starts_with(says) && !said.contains(&secret) && answer["seconds"] == 60, "{answer}");
        assert_eq!(closed(&mut client).await, (1008, "the session has ended".to_owned()), "{what}");
        assert!(begun.elapsed() < Duration::from_secs(1), "{what}: {:?}", begun.elapsed());
        soon(async {
            while stage.ask("GET", "/api/v1/sessions", &stage.viewer, "").await.body.contains("\"open\"") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        secret
    };
    check(&|_, _| json!({ "user": "mara" }), "user mara").await;
    check(&|id, _| json!({ "session": id }), "session ").await;
    let secret = check(&|_, ticket| json!({ "ticket": ticket }), "a ticket").await;
    let last = check(&|_, _| json!({ "address": "127.0.0.0/8" }), "address 127.0.0.0/8").await;
    assert_eq!(stage.enter(&ticket(&stage, "nils").await).await.err(), Some(401), "the address stays away");
    let order = json!({ "what": { "token-id": "j1" } });
    assert_eq!(revoke(&stage, &order).await, (200, json!({ "revoked": "token j1", "seconds": 2_592_000 })));
    assert_eq!(metric(&stage, "sockwarden_revocations").await, Some(5));
    assert_eq!(metric(&stage, "sockwarden_tickets_total{outcome=\"burned\"}").await, Some(1));

    let mut orders = Vec::new();
    while orders.len() < 5 {
        let revoked = stage
            .audited(|role, action| match action {
                Action::Revoke { what, seconds } if !orders.contains(&(role, what.clone(), *seconds)) => {
                    Some((role, what.clone(), *seconds))
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
        orders.push(revoked);
    }
    assert_eq!(orders[0], (Role::Issuer, "user mara".to_owned(), 60));
    assert_eq!(orders[2], (Role::Issuer, "a ticket".to_owned(), 60));
    assert_eq!(orders[4], (Role::Issuer, "token j1".to_owned(), 2_592_000));
    let said = format!("{:?}", stage.log.lock().unwrap());
    assert!(!said.contains(&secret) && !said.contains(&last), "{said}");
    stage.stop().await;
}

#[tokio::test]
async fn all_that_was_vouched_for_before_a_moment_is_revoked_at_once() {
    let stage = Stage::start_with_tickets().await;
    let mut early = stage.enter(&ticket(&stage, "mara").await).await.unwrap();
    let unused = ticket(&stage, "mara").await;
    // The order is in whole seconds: those who come later must come in a later one.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(revoke(&stage, &json!({ "what": { "issued-before": now } })).await.0, 200);
    assert_eq!(closed(&mut early).await.0, 1008);
    assert_eq!(stage.enter(&unused).await.err(), Some(401));
    let mut later = stage.enter(&ticket(&stage, "mara").await).await.unwrap();
    later.send_text("hello").await.unwrap();
    assert_eq!(text(&mut later).await, "hello");
    stage.stop().await;
}

#[tokio::test]
async fn a_revocation_that_makes_no_sense_is_explained() {
    let stage = Stage::start_with_tickets().await;
    let check = async |order: Value, says: &str| {
        let (status, answer) = revoke(&stage, &order).await;
        assert_eq!(status, 422, "{order}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(says), "{answer}");
    };
    check(json!({}), "what").await;
    check(json!({ "what": {} }), "body").await;
    check(json!({ "what": { "everybody": true } }), "everybody").await;
    check(json!({ "what": { "user": "a", "session": "0000000000" } }), "body").await;
    check(json!({ "what": { "user": "a" }, "for": 1 }), "for").await;
    check(json!({ "what": { "user": "a" }, "seconds": 0 }), "at least a second").await;
    check(json!({ "what": { "user": "a" }, "seconds": 31_536_001 }), "at most a year").await;
    check(json!({ "what": { "user": "u".repeat(1025) } }), "1024").await;
    check(json!({ "what": { "session": "nonsense" } }), "body").await;
    check(json!({ "what": { "ticket": "swt_short" } }), "47 characters").await;
    check(json!({ "what": { "address": "ten" } }), "no address").await;
    check(json!({ "what": { "issued-before": 4_000_000_000_000_u64 } }), "ahead").await;
    assert_eq!(metric(&stage, "sockwarden_revocations").await, Some(0));
    stage.stop().await;
}

//! Reload and drain: what comes of an order is answered, and only operators give one.

use sockwarden_model::{Draining, OrderError, Reloaded, Role};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::stage::{Stage, soon};

#[tokio::test]
async fn what_comes_of_a_reload_is_answered() {
    let stage = Stage::start().await;
    let reload = async |prepared: Option<Result<Reloaded, OrderError>>| {
        stage.runner.reloads.lock().unwrap().extend(prepared);
        let reply = stage.ask("POST", "/api/v1/reload", &stage.operator, "").await;
        (reply.status, reply.body)
    };
    let done = Reloaded { unchanged: 1, changed: 2, removed: 3, closing: 4 };
    let expected = r#"{"unchanged":1,"changed":2,"removed":3,"closing":4}"#;
    assert_eq!(reload(Some(Ok(done))).await, (200, expected.to_owned()));
    let details = vec!["error: a.toml:4:1: no".to_owned()];
    let invalid = OrderError::Invalid { why: "it cannot run".to_owned(), details };
    let expected = r#"{"status":422,"error":"it cannot run","details":["error: a.toml:4:1: no"]}"#;
    assert_eq!(reload(Some(Err(invalid))).await, (422, expected.to_owned()));
    let expected = r#"{"status":409,"error":"not now"}"#;
    assert_eq!(reload(Some(Err(OrderError::NotNow("not now".to_owned())))).await, (409, expected.to_owned()));
    assert_eq!(reload(Some(Err(OrderError::Busy))).await.0, 503);
    // An order whose answer never comes because whoever should give it is gone.
    assert_eq!(reload(None).await, (503, r#"{"status":503,"error":"the gateway has ended"}"#.to_owned()));
    stage.stop().await;
}

#[tokio::test]
async fn a_drain_is_taken_and_a_second_one_is_told_that_it_is_under_way() {
    let stage = Stage::start().await;
    stage.runner.drains.lock().unwrap().extend([Ok(Draining::UnderWay), Ok(Draining::Begun)]);
    for expected in [r#"{"drain":"begun"}"#, r#"{"drain":"under-way"}"#] {
        let reply = stage.ask("POST", "/api/v1/drain", &stage.operator, "").await;
        assert_eq!((reply.status, reply.body.as_str()), (202, expected));
    }
    stage.stop().await;
}

#[tokio::test]
async fn only_operators_give_orders() {
    let stage = Stage::start().await;
    for path in ["/api/v1/reload", "/api/v1/drain"] {
        assert_eq!(stage.ask("POST", path, "wrong", "").await.status, 401);
        assert_eq!(stage.ask("POST", path, &stage.viewer, "").await.status, 403);
        assert_eq!(stage.ask("POST", path, &stage.issuer, "").await.status, 403);
        assert_eq!(stage.ask("GET", path, &stage.operator, "").await.status, 405);
        assert!(stage.runner.asked.lock().unwrap().is_empty());
    }
    stage.ask("POST", "/api/v1/reload", &stage.operator, "").await;
    let asked = stage.runner.asked.lock().unwrap().clone();
    assert!(asked.len() == 1 && asked[0].role == Role::Operator && asked[0].from.is_some(), "{asked:?}");
    stage.stop().await;
}

#[tokio::test]
async fn a_token_that_was_replaced_counts_no_more_on_connections_that_are_open() {
    let stage = Stage::start().await;
    let request = |path: &str, token: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n", stage.admin)
    };
    let mut tcp = TcpStream::connect(stage.admin).await.unwrap();
    let mut ask = async |token: &str| {
        tcp.write_all(request("/api/v1/routes", token).as_bytes()).await.unwrap();
        let mut bytes = [0; 8000];
        let length = soon(tcp.read(&mut bytes)).await.unwrap();
        String::from_utf8_lossy(&bytes[9..length.min(12)]).into_owned()
    };
    assert_eq!((ask(&stage.operator).await.as_str(), ask(&stage.viewer).await.as_str()), ("200", "200"));
    assert_eq!(ask(&stage.issuer).await, "403");
    let mut watcher = TcpStream::connect(stage.admin).await.unwrap();
    watcher.write_all(request("/api/v1/events", &stage.viewer).as_bytes()).await.unwrap();
    let mut seen = [0; 8000];
    assert!(soon(watcher.read(&mut seen)).await.unwrap() > 0);
    stage.renew([2; 32]);
    assert_eq!((ask(&stage.operator).await.as_str(), ask(&stage.viewer).await.as_str()), ("401", "200"));
    assert_eq!(ask(&stage.issuer).await, "401");
    // The stream ends, for rights have changed; the connection need not.
    let ended = soon(async {
        let mut rest = Vec::new();
        while !rest.ends_with(b"0\r\n\r\n") && watcher.read_buf(&mut rest).await.unwrap() > 0 {}
        rest
    });
    assert!(ended.await.ends_with(b"0\r\n\r\n"));
    stage.stop().await;
}

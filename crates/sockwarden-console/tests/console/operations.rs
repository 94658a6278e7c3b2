//! Reload and drain: what comes of an order is answered, and only operators give one.

use sockwarden_model::{Draining, OrderError, Reloaded, Role};

use crate::stage::Stage;

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
        assert_eq!(stage.ask("GET", path, &stage.operator, "").await.status, 405);
        assert!(stage.runner.asked.lock().unwrap().is_empty());
    }
    stage.ask("POST", "/api/v1/reload", &stage.operator, "").await;
    let asked = stage.runner.asked.lock().unwrap().clone();
    assert!(asked.len() == 1 && asked[0].role == Role::Operator && asked[0].from.is_some(), "{asked:?}");
    stage.stop().await;
}

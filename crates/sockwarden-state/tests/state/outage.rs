//! A server that goes away, and comes back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sockwarden_model::Identity;
use sockwarden_state::{
    IssueError, News, Refused, Revocation, RevokeError, Revoked, State, StateConfig, Subject, build,
};

use crate::{
    common::{new_ticket, presented, record, unix_ms, wait_until},
    redis::up,
    server::{Server, free_port},
};

/// How long more than it may an answer takes on a busy machine.
const SLACK: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_refuses_at_once_and_ends_by_itself() {
    let mut server = Server::start();
    let states = [up(&server.config()).await, up(&server.config()).await];
    let before = new_ticket();
    states[0].issue(&before, &record("mara"), 9, 1000).await.unwrap();
    server.kill();
    for state in &states {
        refuses(state, Duration::from_millis(500)).await;
        wait_until("the end of the link", || !state.health().up).await;
        refuses(state, Duration::from_millis(500)).await;
        assert!(state.health().reached && state.health().errors > 0);
    }
    // What is revoked now is in force here, and the caller knows that it is not elsewhere.
    let now_ms = unix_ms();
    let mara =
        Revocation { what: Revoked::User("mara".to_owned()), at_ms: now_ms, until_ms: now_ms + 600_000 };
    assert!(matches!(states[0].revoke(&mara, now_ms).await, Err(RevokeError::Unavailable(_))));
    let is_revoked = |state: &State| {
        let identity = Identity::of_user("mara");
        let client = [10, 1, 2, 3].into();
        let subject = Subject { identity: &identity, session: None, ticket: None, client, since_ms: now_ms };
        state.revoked(&subject, now_ms)
    };
    assert!(is_revoked(&states[0]) && !is_revoked(&states[1]));

    server.restart();
    for state in &states {
        wait_until("the link", || state.health().up).await;
        assert_eq!(state.take(&before, &presented(), 1001).await, Err(Refused::Unknown), "it was lost");
        let ticket = new_ticket();
        state.issue(&ticket, &record("ben"), 9, 1000).await.unwrap();
        assert!(state.take(&ticket, &presented(), 1001).await.is_ok());
    }
    states[0].revoke(&mara, now_ms).await.unwrap();
    wait_until("the revocation", || is_revoked(&states[1])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_again_after_a_lost_connection_is_told_once() {
    let server = Server::start();
    let states = [up(&server.config()).await, up(&server.config()).await];
    let mut heard = states[1].subscribe();
    let now_ms = unix_ms();
    let revocation = |at_ms| Revocation { what: Revoked::IssuedBefore, at_ms, until_ms: now_ms + 600_000 };
    for round in 0..3 {
        let told = revocation(now_ms + round);
        states[0].revoke(&told, now_ms).await.unwrap();
        assert_eq!(heard.next().await, Some(News::Revoked(Arc::new(told))));
        let errors = states.each_ref().map(|state| state.health().errors);
        server.tell("CLIENT KILL TYPE normal");
        for (state, before) in states.iter().zip(errors) {
            wait_until("a lost link", || state.health().errors > before).await;
            wait_until("the link", || state.health().up).await;
        }
    }
    drop(states);
    assert_eq!(heard.next().await, None, "nothing more was told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_only_orders_use_comes_back_too() {
    let server = Server::start();
    let state = up(&server.config()).await;
    let ticket = new_ticket();
    state.issue(&ticket, &record("mara"), 9, 1000).await.unwrap();
    let clients = server.tell("CLIENT LIST");
    let is_for_orders = |client: &&str| client.contains(" cmd=set ");
    let client = clients.lines().find(is_for_orders).unwrap_or_else(|| panic!("{clients}"));
    let id = client.trim_start_matches("id=").split(' ').next().unwrap();
    assert_eq!(server.tell(&format!("CLIENT KILL ID {id}")), ":1\r\n");
    let refused = state.take(&new_ticket(), &presented(), 1000).await;
    assert!(matches!(refused, Err(Refused::Unavailable(_))), "{refused:?}");
    for _ in 0..500 {
        match state.take(&ticket, &presented(), 1000).await {
            Ok(_) => return,
            Err(refused) => assert!(matches!(refused, Refused::Unavailable(_)), "{refused:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the connection did not come back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_holds_nobody_up() {
    let server = Server::start();
    let config = StateConfig { timeout: "200ms".parse().unwrap(), ..server.config() };
    let state = up(&config).await;
    server.freeze(true);
    for _ in 0..3 {
        refuses(&state, Duration::from_millis(200)).await;
    }
    wait_until("the end of the link", || !state.health().up).await;
    server.freeze(false);
    wait_until("the link", || state.health().up).await;
    let ticket = new_ticket();
    state.issue(&ticket, &record("ben"), 9, 1000).await.unwrap();
    assert!(state.take(&ticket, &presented(), 1001).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_never_there_is_not_waited_for() {
    let config = StateConfig {
        url: format!("redis://127.0.0.1:{}", free_port()).parse().unwrap(),
        ..StateConfig::default()
    };
    let began = Instant::now();
    let state = State::start(build(&config).unwrap());
    refuses(&state, Duration::ZERO).await;
    assert!(began.elapsed() < SLACK);
    wait_until("an error", || state.health().errors > 2).await;
    let health = state.health();
    assert!(!health.up && !health.reached && health.last_error.is_some(), "{health:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_memory_is_full() {
    let server = Server::start();
    let state = up(&server.config()).await;
    assert_eq!(server.tell("CONFIG SET maxmemory 1"), "+OK\r\n");
    assert_eq!(state.issue(&new_ticket(), &record("mara"), 9, 1000).await, Err(IssueError::Full));
    assert_eq!(server.tell("CONFIG SET maxmemory 0"), "+OK\r\n");
    assert_eq!(state.issue(&new_ticket(), &record("mara"), 9, 1000).await, Ok(()));
}

async fn refuses(state: &State, timeout: Duration) {
    let began = Instant::now();
    let taken = state.take(&new_ticket(), &presented(), 1000).await;
    assert!(matches!(&taken, Err(Refused::Unavailable(_))), "{taken:?}");
    assert_eq!(taken.err().map(|refused| refused.code()), Some("ticket-unavailable"));
    let issued = state.issue(&new_ticket(), &record("mara"), 9, 1000).await;
    assert!(matches!(&issued, Err(IssueError::Unavailable(_))), "{issued:?}");
    assert!(began.elapsed() < 2 * timeout + SLACK, "{:?}", began.elapsed());
}

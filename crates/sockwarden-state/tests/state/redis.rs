//! Several replicas on one server.

use std::{path::Path, sync::Arc};

use rcgen::{CertificateParams, KeyPair};
use sockwarden_config::{Hidden, Secret};
use sockwarden_model::{EventId, Identity};
use sockwarden_state::{News, Presented, Refused, Revocation, Revoked, State, StateConfig, Subject, build};

use crate::{
    common::{self, new_ticket, presented, record, unix_ms, wait_until},
    server::{Server, cluster},
};

/// The rights that a user of the server needs; the crate's page names the same.
pub(crate) const RIGHTS: &str = "~sockwarden:* ~{sockwarden:* +eval +get +set +time +pexpire +zadd +zcard +zrem +zremrangebyscore \
                      +zrevrangebyscore +zscore +xadd +xread +xrevrange";

#[tokio::test(flavor = "multi_thread")]
async fn all_holds_that_holds_in_memory() {
    let server = Server::start();
    let state = up(&server.config()).await;
    common::each_way_to_go_wrong_has_its_reason_and_burns_the_ticket(&state).await;
    common::what_cannot_be_kept_is_not_issued(&state).await;
    let health = state.health();
    assert!(health.errors == 0 && health.kind == "redis", "{health:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_ten_thousand_who_present_one_ticket_to_two_replicas_one_gets_it() {
    let server = Server::start();
    let config = StateConfig { timeout: "10s".parse().unwrap(), ..server.config() };
    let states = [up(&config).await, up(&config).await];
    common::of_ten_thousand_who_present_one_ticket_one_gets_it(&states).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_revokes_all_hear_once_and_who_comes_later_knows() {
    let server = Server::start();
    let (first, second) = (up(&server.config()).await, up(&server.config()).await);
    let mut heard = [first.subscribe(), second.subscribe()];
    let now_ms = unix_ms();
    let revocation = |user: &str| {
        let what = Revoked::User(user.to_owned());
        Revocation { what, at_ms: now_ms, until_ms: now_ms + 600_000 }
    };
    first.revoke(&revocation("mara"), now_ms).await.unwrap();
    first.revoke(&revocation("mara"), now_ms).await.unwrap();
    second.revoke(&revocation("ben"), now_ms).await.unwrap();
    let over = Revocation { until_ms: now_ms, ..revocation("ida") };
    first.revoke(&over, now_ms).await.unwrap();
    first.revoke(&revocation("eve"), now_ms).await.unwrap();
    for heard in &mut heard {
        let mut names = Vec::new();
        for _ in 0..3 {
            let news = tokio::time::timeout(std::time::Duration::from_secs(5), heard.next()).await.unwrap();
            let Some(News::Revoked(revocation)) = news else { panic!("{news:?}") };
            let Revoked::User(name) = &revocation.what else { panic!("{revocation:?}") };
            names.push(name.clone());
        }
        names.sort_unstable();
        assert_eq!(names, ["ben", "eve", "mara"]);
    }
    let third = up(&server.config()).await;
    for state in [&first, &second, &third] {
        let is_revoked = |user: &str, since_ms| {
            let identity = Identity::of_user(user);
            let client = [10, 1, 2, 3].into();
            state.revoked(
                &Subject { identity: &identity, session: None, ticket: None, client, since_ms },
                now_ms,
            )
        };
        assert!(is_revoked("mara", now_ms) && is_revoked("ben", now_ms) && is_revoked("eve", now_ms));
        assert!(!is_revoked("mara", now_ms + 1) && !is_revoked("ida", now_ms));
    }
    // A ticket of the user is refused by whoever gets it.
    let ticket = new_ticket();
    first.issue(&ticket, &record("mara"), 9, 1000).await.unwrap();
    assert_eq!(third.take(&ticket, &presented(), 1001).await, Err(Refused::Revoked));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_late_knows_all_that_is_not_over() {
    let server = Server::start();
    let first = up(&StateConfig { timeout: "5s".parse().unwrap(), ..server.config() }).await;
    let now_ms = unix_ms();
    let revocation = |number: u64, until_ms| {
        let what = Revoked::Session(EventId::from_random(number));
        Revocation { what, at_ms: now_ms, until_ms }
    };
    for number in 0..1200 {
        // Many are over at the same time.
        let until_ms = now_ms + 600_000 + number % 3;
        first.revoke(&revocation(number, until_ms), now_ms).await.unwrap();
    }
    // Nobody is told any more of what was told.
    server.tell("XTRIM {sockwarden:revocations}:told MAXLEN 0");
    let second = up(&server.config()).await;
    assert_eq!(second.revocations(), 1200);
    second.revoke(&revocation(1200, now_ms + 600_000), now_ms).await.unwrap();
    wait_until("the last one", || first.revocations() == 1201).await;
    // What is over is kept no longer than until the next one comes.
    let later_ms = now_ms + 600_001;
    second.revoke(&revocation(1201, later_ms + 1000), later_ms).await.unwrap();
    assert_eq!(server.tell("ZCARD {sockwarden:revocations}:kept"), ":401\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn states_with_other_prefixes_have_nothing_in_common() {
    let server = Server::start();
    let ours = up(&server.config()).await;
    let theirs = up(&StateConfig { prefix: "theirs".to_owned(), ..server.config() }).await;
    let ticket = new_ticket();
    ours.issue(&ticket, &record("mara"), 9, 1000).await.unwrap();
    assert_eq!(theirs.take(&ticket, &presented(), 1001).await, Err(Refused::Unknown));
    assert!(ours.take(&ticket, &presented(), 1001).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_ticket_is_on_the_server_and_none_stays_for_good() {
    let server = Server::start();
    let state = up(&server.config()).await;
    let ticket = new_ticket();
    state.issue(&ticket, &record("mara"), 9, 1000).await.unwrap();
    let key = format!("sockwarden:ticket:{}", ticket.hash());
    assert!(server.tell(&format!("GET {key}")).contains("mara"));
    let keys = server.tell("KEYS *");
    assert!(!keys.contains("swt_") && !keys.contains("mara"), "{keys}");
    state.take(&ticket, &presented(), 1001).await.unwrap();
    assert_eq!(server.tell(&format!("GET {key}")), "$4\r\nused\r\n");
    let left: i64 = server.tell(&format!("PTTL {key}"))[1..].trim().parse().unwrap();
    assert!((300_000..=330_000).contains(&left), "{left}");
    assert_eq!(server.tell("KEYS *owner*"), "*0\r\n", "the user has none left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_a_password_needs_these_rights_only() {
    let server =
        Server::with(|port, _| format!("port {port}\nuser default off\nuser gate on >hunter2 {RIGHTS}\n"));
    let url = format!("redis://gate@127.0.0.1:{}", server.port);
    let with = |password: &str| StateConfig {
        password: Some(Secret { inline: Some(Hidden::new(password.to_owned())), ..Secret::default() }),
        ..server.config_of(&url)
    };
    let state = up(&with("hunter2")).await;
    common::each_way_to_go_wrong_has_its_reason_and_burns_the_ticket(&state).await;
    common::what_cannot_be_kept_is_not_issued(&state).await;
    let now_ms = unix_ms();
    let all = Revocation { what: Revoked::IssuedBefore, at_ms: now_ms, until_ms: now_ms + 9000 };
    state.revoke(&all, now_ms).await.unwrap();
    assert_eq!(state.health().errors, 0);

    let stranger = State::start(build(&with("hunter3")).unwrap());
    wait_until("an error", || stranger.health().last_error.is_some()).await;
    let health = stranger.health();
    assert!(!health.up && !health.reached, "{health:?}");
    assert!(!format!("{health:?} {stranger:?}").contains("hunter"), "{health:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_tls_is_known_by_its_certificate() {
    let server = Server::with(|port, folder| {
        write_certificate(folder, "server");
        write_certificate(folder, "other");
        format!(
            "port 0\ntls-port {port}\ntls-auth-clients no\ntls-cert-file {0}/server.pem\n\
             tls-key-file {0}/server.key\ntls-ca-cert-file {0}/server.pem\n",
            folder.display()
        )
    });
    let config = |ca: &str| StateConfig {
        ca: Some(server.file(ca)),
        ..server.config_of(&format!("rediss://127.0.0.1:{}", server.port))
    };
    let state = up(&config("server.pem")).await;
    common::each_way_to_go_wrong_has_its_reason_and_burns_the_ticket(&state).await;
    let stranger = State::start(build(&config("other.pem")).unwrap());
    wait_until("an error", || stranger.health().last_error.is_some()).await;
    let health = stranger.health();
    assert!(!health.reached && health.last_error.unwrap().contains("certificate"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_found_by_one_of_its_nodes() {
    let server = cluster().await;
    let config = StateConfig { cluster: true, ..server.config() };
    let (first, second) = (up(&config).await, up(&config).await);
    assert_eq!(first.health().kind, "redis-cluster");
    common::each_way_to_go_wrong_has_its_reason_and_burns_the_ticket(&first).await;
    common::what_cannot_be_kept_is_not_issued(&second).await;
    let now_ms = unix_ms();
    let mut heard = second.subscribe();
    let all = Revocation { what: Revoked::IssuedBefore, at_ms: now_ms, until_ms: now_ms + 9000 };
    first.revoke(&all, now_ms).await.unwrap();
    assert_eq!(heard.next().await, Some(News::Revoked(Arc::new(all))));
    let other = Presented { route: "admin", ..presented() };
    assert_eq!(second.take(&new_ticket(), &other, 1000).await, Err(Refused::Unknown));
    assert_eq!((first.health().errors, second.health().errors), (0, 0));
}

/// Starts a state and waits until it can be used.
pub(crate) async fn up(config: &StateConfig) -> State {
    let state = State::start(build(config).unwrap());
    wait_until("a link", || state.health().up || state.health().errors > 0).await;
    let health = state.health();
    assert!(health.up, "{health:?}");
    state
}

fn write_certificate(folder: &Path, name: &str) {
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

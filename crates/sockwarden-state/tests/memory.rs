//! Tickets and revocations in memory, by the public door.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use proptest::prelude::*;
use sockwarden_config::Network;
use sockwarden_model::{EventId, Identity};
use sockwarden_state::{
    AddressBinding, IssueError, News, Presented, RecordError, Refused, Revocation, RevokeError, Revoked,
    State, Subject, Ticket, TicketRecord,
};

const ORIGIN: &str = "https://app.example";

#[tokio::test]
async fn each_way_to_go_wrong_has_its_reason_and_burns_the_ticket() {
    let right = presented();
    let check = async |presented: Presented<'_>, now_ms, expected: Refused, code: &str, again: Refused| {
        let state = State::memory(10);
        state.issue(&ticket(1), &record("mara"), 5, 1000).await.unwrap();
        assert_eq!(state.take(&ticket(1), &presented, now_ms).await, Err(expected.clone()));
        assert_eq!(expected.code(), code);
        assert_eq!(state.take(&ticket(1), &right, 1001).await, Err(again), "{code}");
    };
    check(
        Presented { route: "admin", ..right },
        1000,
        Refused::OtherRoute,
        "ticket-other-route",
        Refused::Used,
    )
    .await;
    let elsewhere = Presented { client: "10.1.2.4".parse().unwrap(), ..right };
    check(elsewhere, 1000, Refused::OtherAddress, "ticket-other-address", Refused::Used).await;
    let evil = Presented { origin: Some("https://evil.example"), ..right };
    check(evil, 1000, Refused::OtherOrigin, "ticket-other-origin", Refused::Used).await;
    let none = Presented { origin: None, ..right };
    check(none, 1000, Refused::OtherOrigin, "ticket-other-origin", Refused::Used).await;
    check(right, 31_000, Refused::Expired, "ticket-expired", Refused::Expired).await;

    let state = State::memory(10);
    state.issue(&ticket(1), &record("mara"), 5, 1000).await.unwrap();
    assert_eq!(state.take(&ticket(2), &right, 1000).await, Err(Refused::Unknown));
    let near = Presented { client: "10.1.2.4".parse().unwrap(), binding: AddressBinding::Network, ..right };
    assert_eq!(state.take(&ticket(1), &near, 30_999).await, Ok(record("mara")));
    assert_eq!(state.take(&ticket(1), &near, 30_999).await, Err(Refused::Used));
    assert_eq!(Refused::Unknown.code(), "ticket-unknown");
    assert_eq!(Refused::Used.code(), "ticket-used");
}

#[tokio::test]
async fn a_revoked_ticket_is_not_taken() {
    let check = async |what: Revoked, at_ms, expected: Result<(), Refused>| {
        let state = State::memory(10);
        state.issue(&ticket(1), &record("mara"), 5, 1000).await.unwrap();
        state.revoke(&Revocation { what, at_ms, until_ms: 99_000 }, 1000).await.unwrap();
        let taken = state.take(&ticket(1), &presented(), 2000).await;
        assert_eq!(taken.map(|_| ()), expected);
    };
    let revoked = Err(Refused::Revoked);
    check(Revoked::User("mara".to_owned()), 1000, revoked.clone()).await;
    check(Revoked::User("mara".to_owned()), 999, Ok(())).await;
    check(Revoked::User("ben".to_owned()), 1000, Ok(())).await;
    check(Revoked::Ticket(ticket(1).hash()), 0, revoked.clone()).await;
    check(Revoked::Ticket(ticket(2).hash()), 0, Ok(())).await;
    check(Revoked::IssuedBefore, 1001, revoked.clone()).await;
    check(Revoked::IssuedBefore, 1000, Ok(())).await;
    check(Revoked::Address(Network::around([10, 1, 2, 3].into(), 8)), 0, revoked).await;
    check(Revoked::Session(EventId::from_random(1)), 1000, Ok(())).await;
    assert_eq!(Refused::Revoked.code(), "ticket-revoked");
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_issued() {
    let state = State::memory(2);
    let issue = async |number, record: &TicketRecord| state.issue(&ticket(number), record, 1, 1000).await;
    let long = TicketRecord { note: Some("n".repeat(1025)), ..record("mara") };
    assert_eq!(issue(1, &long).await, Err(IssueError::Record(RecordError::LongNote)));
    assert_eq!(issue(1, &record("mara")).await, Ok(()));
    assert_eq!(issue(2, &record("mara")).await, Err(IssueError::TooMany));
    assert_eq!(issue(2, &record("ben")).await, Ok(()));
    assert_eq!(issue(3, &record("ida")).await, Err(IssueError::Full));
    let long = Revocation { what: Revoked::User("u".repeat(1025)), at_ms: 1, until_ms: 9000 };
    assert_eq!(state.revoke(&long, 1000).await, Err(RevokeError::LongName));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_ten_thousand_who_present_one_ticket_one_gets_it() {
    let state = State::memory(10);
    state.issue(&ticket(1), &record("mara"), 5, 1000).await.unwrap();
    let got = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..10_000)
        .map(|_| {
            let (state, got) = (state.clone(), Arc::clone(&got));
            tokio::spawn(async move {
                match state.take(&ticket(1), &presented(), 1500).await {
                    Ok(_) => got.fetch_add(1, Ordering::Relaxed),
                    Err(refused) => {
                        assert_eq!(refused, Refused::Used);
                        0
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(got.load(Ordering::Relaxed), 1);
    assert_eq!(state.ticket_counts().taken, 1);
}

#[tokio::test]
async fn who_subscribes_hears_each_revocation_once() {
    let state = State::memory(10);
    let (mut first, mut second) = (state.subscribe(), state.clone().subscribe());
    let mara = Revocation { what: Revoked::User("mara".to_owned()), at_ms: 1000, until_ms: 9000 };
    state.revoke(&mara, 1000).await.unwrap();
    state.revoke(&mara, 1000).await.unwrap();
    let identity = Identity::of_user("mara");
    let subject = |since_ms| {
        let client = "10.1.2.3".parse().unwrap();
        Subject { identity: &identity, session: None, ticket: None, client, since_ms }
    };
    assert!(state.revoked(&subject(1000), 1000));
    assert!(!state.revoked(&subject(1001), 1001), "the user may come anew");
    assert_eq!(state.revocations(), 1);
    state.sweep(9000);
    assert_eq!(state.revocations(), 0);
    drop(state);
    for subscription in [&mut first, &mut second] {
        assert_eq!(subscription.next().await, Some(News::Revoked(Arc::new(mara.clone()))));
        assert_eq!(subscription.next().await, None);
    }
}

#[tokio::test]
async fn memory_is_always_up() {
    let health = State::memory(1).health();
    assert!(health.up && health.reached && health.errors == 0 && health.kind == "memory");
}

/// What somebody does, some time after what was done before.
#[derive(Clone, Debug)]
enum Deed {
    Issue { number: u8, user: u8, life_ms: u64 },
    Take { number: u8, right: bool },
    Revoke { user: u8 },
    Sweep,
}

fn deeds() -> impl Strategy<Value = Vec<(u64, Deed)>> {
    let deed = prop_oneof![
        4 => (any::<u8>(), 0..4_u8, 1..40_000_u64)
            .prop_map(|(number, user, life_ms)| Deed::Issue { number, user, life_ms }),
        4 => (any::<u8>(), prop::bool::weighted(0.8)).prop_map(|(number, right)| Deed::Take { number, right }),
        1 => (0..4_u8).prop_map(|user| Deed::Revoke { user }),
        1 => Just(Deed::Sweep),
    ];
    prop::collection::vec((0..3_000_u64, deed), 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Nothing is taken twice or too late, and all that was issued is somewhere.
    #[test]
    fn what_was_issued_was_taken_burned_expired_or_is_outstanding(deeds in deeds()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let state = State::memory(20);
            let mut now_ms = 1000;
            // When each ticket was issued and ends; none once it was presented.
            let mut open: HashMap<u8, (u64, u64)> = HashMap::new();
            for (pause_ms, deed) in deeds {
                now_ms += pause_ms;
                match deed {
                    Deed::Issue { number, user, life_ms } => {
                        let record = TicketRecord {
                            issued_at_ms: now_ms,
                            expires_at_ms: now_ms + life_ms,
                            ..record(&user.to_string())
                        };
                        let issued = state.issue(&ticket(number), &record, 6, now_ms).await;
                        if issued.is_ok() {
                            let before = open.insert(number, (now_ms, now_ms + life_ms));
                            prop_assert!(before.is_none_or(|(_, end)| end <= now_ms));
                        }
                    }
                    Deed::Take { number, right } => {
                        let route = if right { "chat" } else { "admin" };
                        let presented = Presented { route, ..presented() };
                        let taken = state.take(&ticket(number), &presented, now_ms).await;
                        let known = open.remove(&number);
                        if taken.is_ok() {
                            prop_assert!(right && known.is_some_and(|(_, end)| now_ms < end));
                        } else if right && known.is_some_and(|(_, end)| now_ms < end) {
                            prop_assert_eq!(taken, Err(Refused::Revoked));
                        }
                    }
                    Deed::Revoke { user } => {
                        let what = Revoked::User(user.to_string());
                        let until_ms = now_ms + 40_000;
                        state.revoke(&Revocation { what, at_ms: now_ms, until_ms }, now_ms).await.unwrap();
                    }
                    Deed::Sweep => state.sweep(now_ms),
                }
                let counts = state.ticket_counts();
                let (expired, outstanding) = (counts.expired.unwrap(), counts.outstanding.unwrap());
                prop_assert_eq!(counts.issued, counts.taken + counts.burned + expired + outstanding);
                prop_assert!(outstanding <= 20);
            }
            state.sweep(now_ms);
            let left = open.values().filter(|(_, end)| now_ms < *end).count();
            prop_assert_eq!(state.ticket_counts().outstanding, Some(left as u64));
            Ok(())
        })?;
    }
}

fn ticket(number: u8) -> Ticket {
    Ticket::from_random([number; 32])
}

fn record(user: &str) -> TicketRecord {
    TicketRecord {
        identity: Identity::of_user(user),
        route: "chat".to_owned(),
        origin: Some(ORIGIN.to_owned()),
        client: Some([10, 1, 2, 3].into()),
        issued_at_ms: 1000,
        expires_at_ms: 31_000,
        note: None,
    }
}

fn presented() -> Presented<'static> {
    Presented {
        route: "chat",
        origin: Some(ORIGIN),
        client: [10, 1, 2, 3].into(),
        binding: AddressBinding::Exact,
    }
}

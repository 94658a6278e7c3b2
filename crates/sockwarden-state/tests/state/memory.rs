//! Tickets and revocations in memory.

use std::{collections::HashMap, sync::Arc};

use proptest::prelude::*;
use sockwarden_config::Network;
use sockwarden_model::{EventId, Identity};
use sockwarden_state::{
    IssueError, News, Presented, Refused, Revocation, RevokeError, Revoked, State, Subject, TicketRecord,
};

use crate::common::{self, numbered_ticket as ticket, presented, record};

#[tokio::test]
async fn each_way_to_go_wrong_has_its_reason_and_burns_the_ticket() {
    common::each_way_to_go_wrong_has_its_reason_and_burns_the_ticket(&State::memory(100)).await;
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_issued() {
    common::what_cannot_be_kept_is_not_issued(&State::memory(100)).await;
    let state = State::memory(1);
    assert_eq!(state.issue(&ticket(1), &record("mara"), 1, 1000).await, Ok(()));
    assert_eq!(state.issue(&ticket(2), &record("ben"), 1, 1000).await, Err(IssueError::Full));
    let long = Revocation { what: Revoked::User("u".repeat(1025)), at_ms: 1, until_ms: 9000 };
    assert_eq!(state.revoke(&long, 1000).await, Err(RevokeError::LongName));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_ten_thousand_who_present_one_ticket_one_gets_it() {
    common::of_ten_thousand_who_present_one_ticket_one_gets_it(&[State::memory(10)]).await;
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
    Issue { number: u64, user: u8, life_ms: u64 },
    Take { number: u64, right: bool },
    Revoke { user: u8 },
    Sweep,
}

fn deeds() -> impl Strategy<Value = Vec<(u64, Deed)>> {
    let deed = prop_oneof![
        4 => (0..256_u64, 0..4_u8, 1..40_000_u64)
            .prop_map(|(number, user, life_ms)| Deed::Issue { number, user, life_ms }),
        4 => (0..256_u64, prop::bool::weighted(0.8)).prop_map(|(number, right)| Deed::Take { number, right }),
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
            let mut open: HashMap<u64, (u64, u64)> = HashMap::new();
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

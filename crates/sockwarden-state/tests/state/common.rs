//! What all tests say, and what holds wherever the state is.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sockwarden_model::Identity;
use sockwarden_state::{
    AddressBinding, IssueError, Presented, RecordError, Refused, State, Ticket, TicketRecord,
};

const ORIGIN: &str = "https://app.example";

/// Goes through every reason that does not come from a revocation.
pub(crate) async fn each_way_to_go_wrong_has_its_reason_and_burns_the_ticket(state: &State) {
    let right = presented();
    let check = async |presented: Presented<'_>, now_ms, expected: Refused, code: &str, again: Refused| {
        let ticket = new_ticket();
        state.issue(&ticket, &record("mara"), 99, 1000).await.unwrap();
        assert_eq!(state.take(&ticket, &presented, now_ms).await, Err(expected.clone()));
        assert_eq!(expected.code(), code);
        assert_eq!(state.take(&ticket, &right, 1001).await, Err(again), "{code}");
    };
    let other_route = Presented { route: "admin", ..right };
    check(other_route, 1000, Refused::OtherRoute, "ticket-other-route", Refused::Used).await;
    let elsewhere = Presented { client: [10, 1, 2, 4].into(), ..right };
    check(elsewhere, 1000, Refused::OtherAddress, "ticket-other-address", Refused::Used).await;
    let evil = Presented { origin: Some("https://evil.example"), ..right };
    check(evil, 1000, Refused::OtherOrigin, "ticket-other-origin", Refused::Used).await;
    let none = Presented { origin: None, ..right };
    check(none, 1000, Refused::OtherOrigin, "ticket-other-origin", Refused::Used).await;
    check(right, 31_000, Refused::Expired, "ticket-expired", Refused::Expired).await;

    assert_eq!(state.take(&new_ticket(), &right, 1000).await, Err(Refused::Unknown));
    let ticket = new_ticket();
    let claims = [("rooms".to_owned(), serde_json::json!(["a", "b\n\u{0}'"]))].into_iter().collect();
    let whole = TicketRecord {
        identity: Identity { roles: vec!["admin".to_owned()], claims, ..Identity::of_user("mära\n' x") },
        note: Some("100 200 {".to_owned()),
        ..record("")
    };
    state.issue(&ticket, &whole, 99, 1000).await.unwrap();
    let near = Presented { client: [10, 1, 2, 4].into(), binding: AddressBinding::Network, ..right };
    assert_eq!(state.take(&ticket, &near, 30_999).await, Ok(whole));
    assert_eq!(state.take(&ticket, &near, 30_999).await, Err(Refused::Used));
    assert_eq!(Refused::Unknown.code(), "ticket-unknown");
    assert_eq!(Refused::Used.code(), "ticket-used");
}

/// Goes through every reason not to issue a ticket but that there is no room.
pub(crate) async fn what_cannot_be_kept_is_not_issued(state: &State) {
    let issue =
        async |ticket: &Ticket, record: &TicketRecord, now_ms| state.issue(ticket, record, 2, now_ms).await;
    let long = TicketRecord { note: Some("n".repeat(1025)), ..record("ida") };
    assert_eq!(issue(&new_ticket(), &long, 1000).await, Err(IssueError::Record(RecordError::LongNote)));
    let (first, second) = (new_ticket(), new_ticket());
    assert_eq!(issue(&first, &record("ida"), 1000).await, Ok(()));
    assert_eq!(issue(&first, &record("ida"), 1000).await, Err(IssueError::Repeated));
    assert_eq!(issue(&second, &record("ida"), 1000).await, Ok(()), "the repeated one is on no list");
    assert_eq!(issue(&new_ticket(), &record("ida"), 1000).await, Err(IssueError::TooMany));
    assert_eq!(issue(&new_ticket(), &record("ben"), 1000).await, Ok(()));
    state.take(&first, &presented(), 1000).await.unwrap();
    assert_eq!(issue(&new_ticket(), &record("ida"), 1000).await, Ok(()), "one was taken");
    assert_eq!(issue(&new_ticket(), &record("ida"), 1000).await, Err(IssueError::TooMany));
    let later = TicketRecord { expires_at_ms: 61_000, ..record("ida") };
    assert_eq!(issue(&new_ticket(), &later, 31_000).await, Ok(()), "those have expired");
    let nobody = |client| TicketRecord { identity: Identity::default(), client, ..record("") };
    let client = Some([10, 9, 8, 7].into());
    for expected in [Ok(()), Ok(()), Err(IssueError::TooMany)] {
        assert_eq!(issue(&new_ticket(), &nobody(client), 1000).await, expected);
    }
    for _ in 0..3 {
        assert_eq!(issue(&new_ticket(), &nobody(None), 1000).await, Ok(()));
    }
}

/// Has ten thousand present one ticket at once, by all of several states in turn.
pub(crate) async fn of_ten_thousand_who_present_one_ticket_one_gets_it(states: &[State]) {
    let ticket = new_ticket();
    states[0].issue(&ticket, &record("mara"), 99, 1000).await.unwrap();
    let tasks: Vec<_> = (0..10_000)
        .map(|number| {
            let (state, ticket) = (states[number % states.len()].clone(), ticket.clone());
            tokio::spawn(async move { state.take(&ticket, &presented(), 1500).await })
        })
        .collect();
    let mut got = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(record) => {
                assert_eq!(record.identity.user.as_deref(), Some("mara"));
                got += 1;
            }
            Err(refused) => assert_eq!(refused, Refused::Used),
        }
    }
    assert_eq!(got, 1);
    assert_eq!(states.iter().map(|state| state.ticket_counts().taken).sum::<u64>(), 1);
}

/// Waits until something is so, at most some seconds.
pub(crate) async fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1500 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not in time");
}

/// Gives a ticket that there was not before.
pub(crate) fn new_ticket() -> Ticket {
    static NEXT: AtomicU64 = AtomicU64::new(1000);
    numbered_ticket(NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn numbered_ticket(number: u64) -> Ticket {
    let mut random = [0; 32];
    random[..8].copy_from_slice(&number.to_le_bytes());
    Ticket::from_random(random)
}

pub(crate) fn record(user: &str) -> TicketRecord {
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

pub(crate) fn presented() -> Presented<'static> {
    Presented {
        route: "chat",
        origin: Some(ORIGIN),
        client: [10, 1, 2, 3].into(),
        binding: AddressBinding::Exact,
    }
}

pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

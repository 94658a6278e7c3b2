//! A state on a server does what one in memory does.

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, TestRunner},
};
use sockwarden_state::{Presented, Revocation, Revoked, State, StateConfig, TicketRecord};

use crate::{
    common::{numbered_ticket, presented, record},
    redis::up,
    server::Server,
};

/// How many conversations are held. Each has a state of its own.
const CASES: usize = 24;

/// What somebody does, some time after what was done before.
#[derive(Clone, Debug)]
enum Deed {
    Issue {
        user: u8,
        life_ms: u64,
    },
    /// Of tickets that were issued or might have been, the latest first.
    Take {
        back: u64,
        route: &'static str,
        client: u8,
    },
    Revoke {
        user: u8,
    },
}

fn deeds() -> impl Strategy<Value = Vec<(u64, Deed)>> {
    let routes = prop_oneof![4 => Just("chat"), 1 => Just("admin")];
    let clients = prop_oneof![4 => Just(3_u8), 1 => Just(4)];
    let deed = prop_oneof![
        4 => (0..4_u8, 0..20_000_u64).prop_map(|(user, life_ms)| Deed::Issue { user, life_ms }),
        5 => (0..12_u64, routes, clients).prop_map(|(back, route, client)| Deed::Take { back, route, client }),
        1 => (0..4_u8).prop_map(|user| Deed::Revoke { user }),
    ];
    // All of it lasts less than tickets that ended are remembered.
    prop::collection::vec((0..3_000_u64, deed), 80)
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_a_server_give_the_same_answers() {
    let server = Server::start();
    let mut runner = TestRunner::new(Config::default());
    let (mut taken, mut refused) = (0, 0);
    for case in 0..CASES {
        let deeds = deeds().new_tree(&mut runner).unwrap().current();
        let prefix = format!("case{case}");
        let remote = up(&StateConfig { prefix, ..server.config() }).await;
        let memory = State::memory(100_000);
        let (mut now_ms, mut next) = (1000, 10);
        for (at, (pause_ms, deed)) in deeds.iter().enumerate() {
            now_ms += pause_ms;
            let say = || format!("deed {at} of {deeds:?}");
            match *deed {
                Deed::Issue { user, life_ms } => {
                    next += 1;
                    let record = TicketRecord {
                        issued_at_ms: now_ms,
                        expires_at_ms: now_ms + life_ms,
                        ..record(&user.to_string())
                    };
                    let ticket = numbered_ticket(next);
                    let here = memory.issue(&ticket, &record, 3, now_ms).await;
                    assert_eq!(here, remote.issue(&ticket, &record, 3, now_ms).await, "{}", say());
                }
                Deed::Take { back, route, client } => {
                    let presented = Presented { route, client: [10, 1, 2, client].into(), ..presented() };
                    let ticket = numbered_ticket(next + 1 - back);
                    let here = memory.take(&ticket, &presented, now_ms).await;
                    if here.is_ok() {
                        taken += 1
                    } else {
                        refused += 1
                    }
                    assert_eq!(here, remote.take(&ticket, &presented, now_ms).await, "{}", say());
                }
                Deed::Revoke { user } => {
                    let what = Revoked::User(user.to_string());
                    let revocation = Revocation { what, at_ms: now_ms, until_ms: now_ms + 30_000 };
                    assert_eq!(memory.revoke(&revocation, now_ms).await, Ok(()));
                    assert_eq!(remote.revoke(&revocation, now_ms).await, Ok(()));
                }
            }
        }
        let (here, there) = (memory.ticket_counts(), remote.ticket_counts());
        assert_eq!(
            (here.issued, here.taken, here.burned),
            (there.issued, there.taken, there.burned),
            "{deeds:?}"
        );
    }
    assert!(taken > CASES && refused > CASES, "{taken} {refused}");
}

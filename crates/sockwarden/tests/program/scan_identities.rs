//! The scanner's checks of tickets, tokens, sessions and access, on Harbor with the flaws and on Harbor without them.

use std::time::Duration;

use sockwarden_lab::{Config, Flaw, seed};
use sockwarden_scan::{CheckResult, Identity, Tickets};

use crate::harbor::Started;

/// The flaws, each with the check that finds it.
const FLAWS: [(Flaw, &str); 6] = [
    (Flaw::MissingOwnership, "horizontal-access"),
    (Flaw::MissingAuthorisation, "vertical-access"),
    (Flaw::EndlessToken, "token-never-expires"),
    (Flaw::TicketReplayable, "ticket-replayable"),
    (Flaw::TicketNotBound, "ticket-not-bound"),
    (Flaw::SessionOutlivesLogout, "session-outlives-logout"),
];

#[test]
fn each_flaw_of_identity_is_found_and_its_fixed_twin_is_not() {
    let checks: Vec<&str> = FLAWS.iter().map(|(_, check)| *check).collect();
    let flawed = FLAWS.iter().fold(fixed(), |config, (flaw, _)| config.with(*flaw));
    assert_eq!(found(flawed), checks);
    assert_eq!(found(fixed()), [] as [&str; 0]);
}

#[test]
fn an_address_with_a_token_is_found_where_it_opens() {
    let check = |config: Config, expected: Option<CheckResult>| {
        let lab = Started::new(config);
        let target = lab.target(&format!("?access_token={}", lab.token_of_mara()));
        let result = lab.results(target, &["token-in-url"]).map(|results| results[0].1.clone());
        assert_eq!(result, expected);
    };
    check(fixed().with(Flaw::TokenInUrl), Some(CheckResult::Found(1)));
    // Nobody else is let in, so that there is nothing to be told.
    let refused = sockwarden_scan::Skip::NoWayIn("the handshake was answered 401".to_owned());
    check(fixed(), Some(CheckResult::NotTested(refused)));
}

fn fixed() -> Config {
    Config::safe().with(Flaw::Cleartext)
}

/// Names the checks that find something on Harbor, in the order of [`FLAWS`].
fn found(config: Config) -> Vec<&'static str> {
    let lab = Started::new(config);
    let (mara, joris, admin) = (lab.cookie(seed::MARA), lab.cookie(seed::JORIS), lab.cookie(seed::ADMIN));
    let token = lab.token_of_mara();
    let mut target = lab.target("");
    let own = |name: &str, header: &str, value: &str, say: &str| Identity {
        say: vec![say.to_owned()],
        ..Identity::new(name, header, value)
    };
    target.identities = vec![
        own("mara", "Cookie", &mara, r#"{"type":"account","user":"mara"}"#),
        own("joris", "Cookie", &joris, r#"{"type":"account","user":"joris"}"#),
        Identity { privileged: true, ..own("admin", "Cookie", &admin, r#"{"type":"admin.accounts"}"#) },
        Identity::new("program", "Authorization", &format!("Bearer {token}")),
    ];
    target.say = vec![r#"{"type":"me"}"#.to_owned()];
    target.logout = Some(format!("POST http://{}/logout", lab.address).parse().unwrap());
    target.logout_wait = Duration::from_secs(3);
    target.tickets = Some(Tickets {
        from: format!("POST http://{}/ticket", lab.address).parse().unwrap(),
        at: "/ticket".to_owned(),
        place: "?ticket={ticket}".parse().unwrap(),
    });
    let checks = FLAWS.map(|(_, check)| check);
    let results = lab.results(target, &checks).unwrap();
    assert_eq!(results.len(), checks.len());
    let result = |check: &str| &results.iter().find(|(id, _)| id == check).unwrap().1;
    for check in checks {
        assert!(!matches!(result(check), CheckResult::NotTested(_)), "{check}: {:?}", result(check));
    }
    checks.into_iter().filter(|check| matches!(result(check), CheckResult::Found(_))).collect()
}

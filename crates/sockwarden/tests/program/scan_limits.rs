//! The scanner's checks of limits, on Harbor without them and on Harbor with them.

use std::time::Duration;

use sockwarden_lab::{Config, Flaw, seed};
use sockwarden_model::Profile;
use sockwarden_scan::{CheckResult, Identity, Options, Report};

use crate::harbor::{Started, options};

/// The flaws, each with the check that finds it, in the order of the checks.
const FLAWS: [(Flaw, &str); 6] = [
    (Flaw::SlowHandshake, "handshake-slow-accepted"),
    (Flaw::IdleSocket, "idle-never-closed"),
    (Flaw::UnboundedFragments, "fragments-unbounded"),
    (Flaw::PingFlood, "ping-flood-accepted"),
    (Flaw::UnlimitedRate, "rate-unbounded"),
    (Flaw::UnlimitedConnections, "connections-unbounded"),
];

#[test]
fn each_limit_that_is_missing_is_found_and_its_fixed_twin_is_not() {
    let fixed = || Config { ping_interval: Duration::from_secs(3), ..Config::safe().with(Flaw::Cleartext) };
    let flawed = FLAWS.iter().fold(fixed(), |config, (flaw, _)| config.with(*flaw));
    let (with, without) = std::thread::scope(|scope| {
        let with = scope.spawn(|| report(flawed));
        (with.join().unwrap(), report(fixed()))
    });
    for (id, result) in results(&with) {
        assert!(matches!(result, CheckResult::Found(_)), "{id}: {result:?}");
    }
    for outcome in &without.outcomes {
        assert_eq!(outcome.result, CheckResult::Clean, "{}", outcome.rule.id);
        // Where the limit is was measured.
        assert!(!outcome.remarks.is_empty(), "{}", outcome.rule.id);
    }
    let remark =
        |id: &str| without.outcomes.iter().find(|outcome| outcome.rule.id == id).unwrap().remarks[0].as_str();
    assert_eq!(remark("connections-unbounded"), "with 16 connections open: the handshake was answered 429");
    assert!(remark("rate-unbounded").contains("then closed with 1008"), "{}", remark("rate-unbounded"));
    assert!(
        remark("ping-flood-accepted").contains("then closed with 1008"),
        "{}",
        remark("ping-flood-accepted")
    );
    assert!(remark("idle-never-closed").starts_with("a silent connection is pinged after "));
}

fn results(report: &Report) -> Vec<(&'static str, &CheckResult)> {
    let found: Vec<_> = report.outcomes.iter().map(|outcome| (outcome.rule.id, &outcome.result)).collect();
    assert_eq!(found.iter().map(|(id, _)| *id).collect::<Vec<_>>(), FLAWS.map(|(_, id)| id));
    found
}

/// Scans Harbor as one of its users.
fn report(config: Config) -> Report {
    let lab = Started::new(config);
    let mut target = lab.target("");
    target.identities = vec![Identity::new("mara", "Cookie", &lab.cookie(seed::MARA))];
    let options = Options {
        profile: Profile::Intrusive,
        checks: FLAWS.iter().map(|(_, check)| (*check).to_owned()).collect(),
        idle_wait: Duration::from_secs(5),
        ..options()
    };
    lab.scan(target, &options).unwrap()
}

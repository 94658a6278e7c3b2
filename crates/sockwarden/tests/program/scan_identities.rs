//! The scanner's checks of tickets, tokens, sessions and access, on Harbor with the flaws and on Harbor without them.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use sockwarden_lab::{Config, Flaw, Lab, seed, seed::SeedAccount};
use sockwarden_net::{ClientTls, DialOptions};
use sockwarden_scan::{CheckResult, Identity, Options, Target, Tickets, scan};

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

struct Started {
    runtime: tokio::runtime::Runtime,
    lab: Lab,
    address: SocketAddr,
}

impl Started {
    fn new(config: Config) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let lab = runtime.block_on(Lab::start(config)).unwrap();
        let address = lab.http_addr().unwrap();
        Self { runtime, lab, address }
    }

    fn target(&self, query: &str) -> Target {
        Target::new(format!("ws://{}/ws{query}", self.address).parse().unwrap())
    }

    fn results(&self, target: Target, checks: &[&str]) -> Option<Vec<(String, CheckResult)>> {
        let tls = ClientTls::insecure().unwrap();
        let dial = DialOptions { tls, timeout: Duration::from_secs(5), connect_to: None };
        let checks = checks.iter().map(|&check| check.to_owned()).collect();
        let options = Options { checks, ..Options::new(dial) };
        let report = self.runtime.block_on(scan(target, &options, &())).ok()?;
        assert_eq!(report.warnings, [] as [&str; 0]);
        Some(report.outcomes.into_iter().map(|o| (o.rule.id.to_owned(), o.result)).collect())
    }

    fn cookie(&self, account: SeedAccount) -> String {
        let body = serde_json::json!({"user": account.user, "password": account.password}).to_string();
        let answer = self.post("/login", "", &body);
        let (_, rest) = answer.split_once("et-cookie: ").unwrap();
        rest.split(';').next().unwrap().to_owned()
    }

    fn token_of_mara(&self) -> String {
        let answer = self.post("/token", &self.cookie(seed::MARA), "");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        json["token"].as_str().unwrap().to_owned()
    }

    fn post(&self, path: &str, cookie: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let (host, length) = (self.address, body.len());
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nCookie: {cookie}\r\nContent-Length: \
             {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        assert_eq!(self.lab.refused_connections(), 0);
    }
}

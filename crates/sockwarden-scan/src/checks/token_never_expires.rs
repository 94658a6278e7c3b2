//! `token-never-expires`: a token that opens the socket lives too long, or after its end.

use std::sync::Arc;

use sockwarden_model::{Confidence, Finding, Rule, Severity, printable, rule};
use sockwarden_proto::handshake::ClientHandshake;

use crate::{
    check::{Check, Conclusion, Machine, Scene, Skip, Step},
    credential::{Credential, credentials, without},
    dice::Dice,
    exchange::{Connection, Exchange},
    survey::{Part, Way, Who, conversation, handshake_of},
    talk::{Opening, Talk},
    token::{self, Claims},
};

rule! {
    /// # What it does
    /// Reads the JSON Web Tokens among the credentials (header, cookie, query, sub-protocol), and finds out whether they matter:
    /// it connects once without the token and once with it. Where the token opens the connection, or brings data that do not
    /// come without it, the check looks at its time. It is *high* when the token has expired and is taken all the same,
    /// *medium* when it has no `exp`, and *low* when it lives for more than a day.
    ///
    /// # Why is this bad
    /// Nobody can call a signed token back: whoever finds it in a log, a backup or a browser's storage is that user for as
    /// long as it lives. A socket makes it worse, since it is asked for only once and then stays open.
    ///
    /// # How to fix
    /// Issue access tokens for minutes, renew them with a refresh token that can be revoked, refuse a token without `exp`, and
    /// close the socket when its token ends.
    ///
    /// Node, jsonwebtoken and ws:
    /// ```js
    /// const token = jwt.sign({ sub: user }, key, { algorithm: 'ES256', expiresIn: '10m' });
    /// const claims = jwt.verify(token, publicKey, { algorithms: ['ES256'], maxAge: '1h' });
    /// setTimeout(() => ws.close(4401, 'session ended'), claims.exp * 1000 - Date.now());
    /// ```
    /// Python, PyJWT: `jwt.decode(t, key, algorithms=["ES256"], options={"require": ["exp"]})`. Spring: `JwtTimestampValidator`
    /// is on by default; add a validator that wants `exp`. ASP.NET Core: `RequireExpirationTime`, `ValidateLifetime`, and
    /// `CloseOnAuthenticationExpiration` for SignalR. Go, golang-jwt: `jwt.WithExpirationRequired()`. In front of it all:
    /// `authentication` with `jwt`, which wants `exp` and ends the socket with it.
    pub(crate) static RULE = Check {
        id: "token-never-expires",
        summary: "a token that opens the socket has no end, or is taken after it",
        severity: Medium,
        threats: [T1],
        cwe: [613],
        references: [
            "RFC 8725 §3.10",
            "RFC 7519 §4.1.4",
            "OWASP ASVS 5.0 V9.2.1",
            "https://cheatsheetseries.owasp.org/cheatsheets/WebSocket_Security_Cheat_Sheet.html",
        ],
        lifecycle: Preview,
        counterparts: ["authentication"],
        profile: Safe,
        may_change: "nothing but what the messages to say change, twice for each token",
    }
}

/// The longest life that is not remarked on, in seconds: a day.
const LONG: u64 = 24 * 60 * 60;
/// How far clocks may differ, in seconds.
const SKEW: u64 = 120;
/// How many tokens are tried.
const MOST: usize = 8;

pub(crate) struct TokenNeverExpires;

impl Check for TokenNeverExpires {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn start(&self, scene: Arc<Scene>, mut dice: Dice) -> Box<dyn Machine> {
        let held = held(&scene, &mut dice);
        Box::new(Reader { scene, dice, held })
    }
}

/// A token, and who comes with it.
struct Held {
    way: Way,
    credential: Credential,
    claims: Claims,
}

struct Reader {
    scene: Arc<Scene>,
    dice: Dice,
    held: Vec<Held>,
}

/// Lists the tokens of those who are let in, each once.
fn held(scene: &Scene, dice: &mut Dice) -> Vec<Held> {
    let identities = (0..scene.target.identities.len()).map(Who::Identity);
    let mut held: Vec<Held> = Vec::new();
    for way in [Who::Anonymous].into_iter().chain(identities).filter_map(|who| scene.survey.way_of(who)) {
        for credential in credentials(&handshake_of(way, &scene.target, dice)) {
            let claims = token::find(&credential.value).and_then(token::claims);
            if let Some(claims) = claims
                && !held.iter().any(|known| known.credential == credential)
            {
                held.push(Held { way, credential, claims });
            }
        }
    }
    held.truncate(MOST);
    held
}

impl Machine for Reader {
    fn next(&mut self, exchange: &Exchange) -> Step {
        if self.held.is_empty() {
            return Step::Skip(Skip::NoToken);
        }
        let done = exchange.connections.len();
        let Some(held) = self.held.get(done / 2) else { return self.conclude(exchange).into() };
        let with = handshake_of(held.way, &self.scene.target, &mut self.dice);
        let opening: ClientHandshake;
        let title = if done.is_multiple_of(2) {
            opening = without(&with, &held.credential);
            format!("without {}", held.credential.place.describe())
        } else {
            opening = with;
            format!("with {}", held.credential.place.describe())
        };
        let turns = conversation(&self.scene.target, &mut self.dice);
        Step::Talk(Talk { title, opening: Opening::legal(opening), turns })
    }
}

impl Reader {
    fn conclude(&self, exchange: &Exchange) -> Conclusion {
        let pairs = self.held.iter().zip(exchange.connections.chunks_exact(2));
        let findings = pairs.filter_map(|(held, pair)| match pair {
            [without, with] if matters(&self.scene, held.way.who, without, with) => {
                self.judge(held, without, with)
            }
            _ => None,
        });
        Conclusion::found(findings.collect())
    }

    fn judge(&self, held: &Held, without: &Connection, with: &Connection) -> Option<Finding> {
        let now = self.scene.now;
        let place = held.credential.place.describe();
        let whose = match held.way.who {
            Who::Anonymous => String::new(),
            Who::Identity(index) => {
                format!(" of {}", printable(self.scene.target.identities[index].name.as_bytes(), 40))
            }
        };
        let (case, severity, confidence, what) = match held.claims.expires {
            None => ("no-end", Severity::Medium, Confidence::Proven, "has no end (`exp`)".to_owned()),
            Some(end) if end.saturating_add(SKEW) < now => {
                let what = format!("ended {} ago and is taken all the same", lasting(now - end));
                ("taken-after-its-end", Severity::High, Confidence::Proven, what)
            }
            Some(end) => {
                let life = end.saturating_sub(held.claims.issued.unwrap_or(now));
                if life <= LONG {
                    return None;
                }
                let what = format!("lives for {}", lasting(life));
                ("long-lived", Severity::Low, Confidence::Firm, what)
            }
        };
        let summary = format!("the token{whose} in {place} {what}");
        let finding = self.scene.finding(&RULE, case, confidence, summary).with_severity(severity);
        Some(finding.with_evidence(self.scene.evidence(with)).with_evidence(self.scene.evidence(without)))
    }
}

/// Tells whether a credential opens the connection, or brings data that do not come without it.
pub(super) fn matters(scene: &Scene, who: Who, without: &Connection, with: &Connection) -> bool {
    if !with.is_admitted() || !without.is_admitted() {
        return with.is_admitted();
    }
    // The visit with it came before and after the one without it, so that what changes with time is in neither.
    let brought = scene.survey.stable(who, Part::All).common(&Part::All.values(with));
    !brought.without(&Part::All.values(without)).telling().is_empty()
}

/// Says how long that is, in the largest unit of which there are two.
fn lasting(seconds: u64) -> String {
    let units = [(86_400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds")];
    let (length, name) =
        units.into_iter().find(|(length, _)| seconds / length >= 2).unwrap_or((1, "seconds"));
    format!("{} {name}", seconds / length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        target::Identity,
        testing::{
            Bench, NOW,
            servers::{self, Gate, Server},
        },
    };

    const URL: &str = "wss://app.example/ws";
    const ASK: &str = r#"{"type":"account"}"#;

    /// A server that takes any token whatever its time, and nobody without.
    fn careless() -> Server {
        Server {
            gate: |request| match request.bearer.is_some() {
                true => Gate::Admit(Some("mara")),
                false => Gate::Refuse(401),
            },
            ..servers::correct()
        }
    }

    fn bench(server: Server, body: &str) -> Bench {
        let token = token::make(body);
        let identity = Identity::new("mara", "Authorization", &format!("Bearer {token}"));
        Bench::new(URL, server).with_identity(identity).saying(ASK)
    }

    #[test]
    fn it_fires_where_a_token_that_opens_lives_too_long() {
        let check = |body: String, severity, summary: &str| {
            let findings = bench(careless(), &body).findings(&TokenNeverExpires);
            assert_eq!(findings.len(), 1, "{body}");
            assert_eq!((findings[0].severity, findings[0].summary.as_str()), (severity, summary));
            assert_eq!(findings[0].evidence.len(), 2);
            assert!(!format!("{findings:?}").contains("eyJ"), "the token stays out of the report");
        };
        let place = "the token of mara in the header `Authorization`";
        check(r#"{"sub":"mara"}"#.into(), Severity::Medium, &format!("{place} has no end (`exp`)"));
        check(
            format!(r#"{{"iat":{},"exp":{}}}"#, NOW - 100, NOW - 100 + 30 * 86_400),
            Severity::Low,
            &format!("{place} lives for 30 days"),
        );
        check(
            format!(r#"{{"exp":{}}}"#, NOW - 3 * 3600),
            Severity::High,
            &format!("{place} ended 3 hours ago and is taken all the same"),
        );
    }

    #[test]
    fn it_is_silent_where_the_token_is_short_or_opens_nothing() {
        let check = |bench: Bench| {
            assert_eq!(bench.severities(&TokenNeverExpires), [], "{}", bench.name());
        };
        let short = format!(r#"{{"iat":{NOW},"exp":{}}}"#, NOW + 600);
        check(bench(careless(), &short));
        let just_over = format!(r#"{{"iat":{},"exp":{}}}"#, NOW - 700, NOW - 60);
        check(bench(careless(), &just_over));
        for body in ["{}", r#"{"exp":1}"#] {
            check(bench(servers::echo(), body));
            check(bench(servers::silent(), body));
            check(bench(servers::chat(), body));
            check(bench(servers::guest_book(), body));
            // Goes by the cookie, whatever other token there is.
            let identity = Identity {
                headers: vec![
                    ("Cookie".into(), servers::MARA.into()),
                    ("Authorization".into(), format!("Bearer {}", token::make(body))),
                ],
                ..Identity::new("mara", "", "")
            };
            check(Bench::new(URL, servers::correct()).with_identity(identity).saying(ASK));
        }
    }

    #[test]
    fn it_fires_where_the_token_only_brings_the_data() {
        let lax = Server {
            gate: |request| Gate::Admit(request.bearer.as_ref().map(|_| "mara")),
            ..servers::correct()
        };
        assert_eq!(bench(lax, "{}").severities(&TokenNeverExpires), [Severity::Medium]);
    }

    #[test]
    fn it_is_not_tested_without_a_token() {
        let check = |bench: Bench| assert_eq!(bench.skip(&TokenNeverExpires), Skip::NoToken);
        check(Bench::new(URL, servers::echo()));
        check(Bench::new(URL, servers::correct()).as_mara());
        check(bench(servers::refusing(401), "{}"));
    }

    #[test]
    fn times_are_told_in_their_own_unit() {
        let check = |seconds, expected: &str| assert_eq!(lasting(seconds), expected);
        check(1, "1 seconds");
        check(119, "119 seconds");
        check(120, "2 minutes");
        check(7199, "119 minutes");
        check(172_800, "2 days");
    }
}

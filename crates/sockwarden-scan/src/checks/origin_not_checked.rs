//! `origin-not-checked`: a page of another site can open the WebSocket with the victim's cookie (cross-site hijacking).

use std::{collections::VecDeque, sync::Arc};

use sockwarden_model::{Confidence, Finding, Rule, Severity, rule};

use crate::{
    check::{Check, Conclusion, Machine, Scene, Skip, Step},
    dice::Dice,
    exchange::{Answer, Connection, Exchange},
    origins::{Case, Reach, foreign, matrix},
    survey::{Part, Who, conversation, handshake},
    talk::{Opening, Talk},
    target::SameSite,
};

rule! {
    /// # What it does
    /// Opens the WebSocket as a browser would on behalf of a page of another site: with a foreign `Origin` and the
    /// victim's cookie. Where a foreign Origin is refused it tries what careless comparisons let pass: `null`, suffix
    /// (`app.example.evil.example`), prefix (`evilapp.example`), a dot taken for any character, special characters that
    /// browsers accept in host names, sub-domain, scheme, port, user information.
    ///
    /// It is *high* only if the victim's own data come back, which neither a visit without credentials nor the foreign Origin
    /// without the cookie receives, and if the cookie's SameSite attribute lets a browser send it. The SameSite attribute
    /// is taken from what is given with the identity, else from a Set-Cookie of the handshake's answer; while it is unknown the
    /// finding is *firm* rather than *proven*. A missing Origin is only remarked on: browsers always send one.
    ///
    /// # Why is this bad
    /// The same-origin policy does not hold for WebSockets: any page may open one to any server, and the browser attaches the
    /// cookies. Who visits the attacker's page lends them the session, both ways: they read what the victim reads and say what
    /// the victim may say (cross-site WebSocket hijacking).
    ///
    /// # How to fix
    /// Compare the `Origin` with a list of exact scheme, host and port before answering 101, and do not let the cookie alone
    /// prove who is there: hand a single-use ticket to your own pages and ask for it in the handshake. Set the session cookie
    /// to `SameSite=Lax` or `Strict`. The Origin is advice, not authentication: any client but a browser makes it up.
    ///
    /// Node, ws:
    /// ```js
    /// const allowed = new Set(['https://app.example']);
    /// server.on('upgrade', (req, socket, head) => {
    ///   if (!allowed.has(req.headers.origin)) return socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    ///   wss.handleUpgrade(req, socket, head, ws => wss.emit('connection', ws, req));
    /// });
    /// ```
    /// Socket.IO (`cors` does not cover the WebSocket transport):
    /// ```js
    /// new Server(server, { allowRequest: (req, cb) => cb(null, allowed.has(req.headers.origin)) });
    /// ```
    /// Spring: `registry.addHandler(handler, "/ws").setAllowedOrigins("https://app.example")`. Django Channels:
    /// `AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(...)))`. ASP.NET SignalR:
    /// `app.UseWebSockets(new() { AllowedOrigins = { "https://app.example" } })`. Go, gorilla: leave `CheckOrigin` unset (same
    /// host) or compare the parsed URL; never `return true`. nginx:
    /// ```nginx
    /// map $http_origin $ws_ok { default 0;  "https://app.example" 1; }
    /// location /ws { if ($ws_ok = 0) { return 403; } proxy_pass http://app; }
    /// ```
    pub(crate) static RULE = Check {
        id: "origin-not-checked",
        summary: "a page of another site can open the WebSocket with the victim's cookie",
        severity: High,
        threats: [T7],
        cwe: [1385, 346],
        references: [
            "RFC 6455 §10.2",
            "OWASP WSTG-CLNT-10",
            "OWASP ASVS 5.0 V4.4.2",
            "https://cheatsheetseries.owasp.org/cheatsheets/WebSocket_Security_Cheat_Sheet.html",
        ],
        lifecycle: Preview,
        counterparts: ["origin-policy"],
        profile: Safe,
        may_change: "nothing but what the messages to say change, once for each Origin that gets in",
    }
}

pub(crate) struct OriginNotChecked;

impl Check for OriginNotChecked {
    fn rule(&self) -> &'static Rule {
        &RULE
    }

    fn start(&self, scene: Arc<Scene>, dice: Dice) -> Box<dyn Machine> {
        let victim = victim(&scene);
        Box::new(Hijacker { scene, dice, victim, queue: VecDeque::new(), asked: Vec::new() })
    }
}

/// Whose browser is borrowed: an identity that is let in and has something ambient, or nobody in particular.
fn victim(scene: &Scene) -> Result<Option<usize>, Skip> {
    let identities = &scene.target.identities;
    let admitted = |index: &usize| scene.survey.admitted(Who::Identity(*index)).next().is_some();
    let mut candidates = (0..identities.len()).filter(admitted);
    if let Some(index) = candidates.clone().find(|&index| identities[index].ambient().next().is_some()) {
        return Ok(Some(index));
    }
    let anonymous = scene.survey.admitted(Who::Anonymous).next().is_some();
    match candidates.next() {
        Some(index) => Err(Skip::NotAmbient(identities[index].name.clone())),
        None if anonymous => Ok(None),
        None => Err(Skip::NoWayIn(scene.survey.refusal())),
    }
}

struct Hijacker {
    scene: Arc<Scene>,
    dice: Dice,
    victim: Result<Option<usize>, Skip>,
    queue: VecDeque<Attempt>,
    /// One for each connection of the exchange.
    asked: Vec<Attempt>,
}

#[derive(Clone)]
struct Attempt {
    case: Case,
    /// Whether the victim's cookie goes along; the control leaves it out.
    with_cookie: bool,
}

impl Machine for Hijacker {
    fn next(&mut self, exchange: &Exchange) -> Step {
        let victim = match &self.victim {
            Ok(victim) => *victim,
            Err(skip) => return Step::Skip(skip.clone()),
        };
        match (self.asked.last().cloned(), exchange.last()) {
            (Some(last), Some(connection)) => self.react(&last, connection, victim.is_some()),
            (None, _) | (_, None) => {
                let case = foreign(&self.dice.word());
                self.queue.push_back(Attempt { case, with_cookie: true });
            }
        }
        match self.queue.pop_front() {
            Some(attempt) => self.attempt(attempt, victim),
            None => self.conclude(exchange, victim).into(),
        }
    }
}

impl Hijacker {
    /// Decides what the last attempt makes worth trying.
    fn react(&mut self, last: &Attempt, connection: &Connection, has_victim: bool) {
        let admitted = connection.is_admitted();
        if !last.with_cookie {
            return;
        }
        if admitted && has_victim && last.case.reach != Reach::Nobody {
            self.queue.push_front(Attempt { with_cookie: false, ..last.clone() });
        }
        match last.case.name {
            "any-origin" if !admitted => {
                let site = self.scene.target.site_origin();
                let cases = site.parse().map(|site| matrix(&site)).unwrap_or_default();
                self.queue.extend(cases.into_iter().map(|case| Attempt { case, with_cookie: true }));
            }
            // Who compares the beginning only accepts every character that may follow.
            "suffix" if admitted => {
                self.queue.retain(|attempt| !attempt.case.name.starts_with("special-"));
            }
            _ => {}
        }
    }

    fn attempt(&mut self, attempt: Attempt, victim: Option<usize>) -> Step {
        let target = &self.scene.target;
        let mut opening = handshake(target, &mut self.dice);
        if let Some(origin) = &attempt.case.value {
            opening = opening.with_header("Origin", origin.as_bytes());
        }
        let identity = victim.and_then(|index| target.identities.get(index));
        if let Some(identity) = identity.filter(|_| attempt.with_cookie) {
            for (name, value) in identity.ambient() {
                opening = opening.with_header(name, value.as_bytes());
            }
        }
        let whose = match identity {
            Some(identity) if attempt.with_cookie => format!(" with the cookie of {}", identity.name),
            Some(_) | None => " without credentials".to_owned(),
        };
        let title = format!("{}{whose}", described(&attempt.case));
        let turns = conversation(target, &mut self.dice);
        self.asked.push(attempt);
        Step::Talk(Talk { title, opening: Opening::legal(opening), turns })
    }

    fn conclude(&self, exchange: &Exchange, victim: Option<usize>) -> Conclusion {
        let mut conclusion = Conclusion::clean();
        let visits = || self.asked.iter().zip(&exchange.connections);
        for (attempt, connection) in visits().filter(|(a, c)| a.with_cookie && c.is_admitted()) {
            match attempt.case.name {
                "none" => conclusion.remarks.push(
                    "a missing Origin is let in: browsers always send one, so this is no hijacking"
                        .to_owned(),
                ),
                "case" => conclusion.remarks.push(
                    "the Origin is compared without regard to case, which no browser can misuse".to_owned(),
                ),
                _ => {
                    let control =
                        visits().find(|(a, _)| !a.with_cookie && a.case == attempt.case).map(|(_, c)| c);
                    conclusion.findings.push(self.finding(&attempt.case, connection, control, victim));
                }
            }
        }
        conclusion
    }

    fn finding(
        &self,
        case: &Case,
        hit: &Connection,
        control: Option<&Connection>,
        victim: Option<usize>,
    ) -> Finding {
        let (severity, confidence, why) = self.judge(case, hit, control, victim);
        let severity = severity.min(match case.reach {
            Reach::Anyone => Severity::High,
            Reach::Sibling | Reach::OnPath => Severity::Medium,
            Reach::Nobody => Severity::Low,
        });
        let summary = format!("{} gets in: {why}", described(case));
        let mut finding = self.scene.finding(&RULE, case.name, confidence, summary).with_severity(severity);
        if let Some(visit) = victim.and_then(|index| self.scene.survey.admitted(Who::Identity(index)).next())
        {
            finding = finding.with_evidence(self.scene.evidence(&visit.connection));
        }
        finding = finding.with_evidence(self.scene.evidence(hit));
        match control {
            Some(control) => finding.with_evidence(self.scene.evidence(control)),
            None => finding,
        }
    }

    /// Judges how bad it is that `hit` got in.
    fn judge(
        &self,
        case: &Case,
        hit: &Connection,
        control: Option<&Connection>,
        victim: Option<usize>,
    ) -> (Severity, Confidence, String) {
        let scene = &*self.scene;
        let Some(index) = victim else {
            let sets_cookie = match hit.answer() {
                Answer::Head(head) => head.headers.count("set-cookie") > 0,
                Answer::None | Answer::Malformed(_) => false,
            };
            return if sets_cookie {
                (
                    Severity::Low,
                    Confidence::Tentative,
                    "the handshake sets a cookie; give an identity to see whether it counts".into(),
                )
            } else {
                (
                    Severity::Info,
                    Confidence::Tentative,
                    "no credentials are involved as far as is known; give an identity to see".into(),
                )
            };
        };
        let who = Who::Identity(index);
        let identity = &scene.target.identities[index];
        let private = scene.survey.private(who, &scene.target).telling();
        let seen_without = control.map(|control| Part::All.values(control)).unwrap_or_default();
        let stolen = private.common(&Part::All.values(hit)).without(&seen_without);
        let by_cookie = identity.ambient().any(|(name, _)| name.eq_ignore_ascii_case("cookie"));
        let same_site = if by_cookie { scene.survey.same_site(identity) } else { SameSite::None };
        let sent = same_site.is_sent_cross_site() || case.reach == Reach::Sibling;
        let same_site_name = if by_cookie { same_site.describe() } else { "HTTP authentication" };
        let anonymous_in = scene.survey.admitted(Who::Anonymous).next().is_some()
            || control.is_some_and(Connection::is_admitted);
        if !stolen.is_empty() {
            let what = format!("the data of {} come back ({})", identity.name, stolen.places());
            return match (sent, same_site) {
                (true, SameSite::Unknown | SameSite::Absent) => {
                    let known = format!("{what}; {same_site_name}, so that some browsers send the cookie");
                    (Severity::High, Confidence::Firm, known)
                }
                (true, SameSite::None | SameSite::Lax | SameSite::Strict) => {
                    let known =
                        format!("{what}, and a browser sends the credentials along ({same_site_name})");
                    (Severity::High, Confidence::Proven, known)
                }
                (false, _) => {
                    let known = format!(
                        "{what}, but browsers keep the cookie back ({same_site_name}); nothing else protects"
                    );
                    (Severity::Low, Confidence::Firm, known)
                }
            };
        }
        if anonymous_in {
            let why = "those without credentials get in as well, and nothing that only the victim receives came back";
            return (Severity::Info, Confidence::Tentative, why.to_owned());
        }
        let why = "the cookie opens the connection; which data it gives could not be compared";
        if sent {
            (Severity::Medium, Confidence::Firm, format!("{why} ({same_site_name})"))
        } else {
            (
                Severity::Low,
                Confidence::Firm,
                format!("{why}, but browsers keep the cookie back ({same_site_name})"),
            )
        }
    }
}

/// Says what a case is, without anything that changes from run to run.
fn described(case: &Case) -> String {
    match (&case.value, case.name) {
        (None, _) => "no Origin".to_owned(),
        (Some(_), "any-origin") => "any foreign Origin".to_owned(),
        (Some(value), name) => format!("the Origin `{value}` ({name})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        target::Identity,
        testing::{
            Bench,
            servers::{self, Gate, Request, Server},
        },
    };

    const URL: &str = "wss://app.example/ws";
    const ASK: &str = r#"{"type":"account"}"#;

    fn user(request: &Request, admits: fn(&str) -> bool) -> Gate {
        match (request.user(), request.origin.as_deref()) {
            (Some(user), None) => Gate::Admit(Some(user)),
            (Some(user), Some(origin)) if admits(origin) => Gate::Admit(Some(user)),
            (Some(_), Some(_)) => Gate::Refuse(403),
            (None, _) => Gate::Refuse(401),
        }
    }

    /// A server like the correct one but for whom it lets in.
    fn gated(name: &'static str, gate: fn(&Request) -> Gate) -> Server {
        Server { name, gate, ..servers::correct() }
    }

    fn any_origin() -> Server {
        gated("any", |request| user(request, |_| true))
    }

    #[test]
    fn it_is_silent_where_nothing_of_the_victim_can_be_taken() {
        let check = |bench: Bench, expected: &[(&str, Severity)]| {
            let expected: Vec<_> = expected.iter().map(|(case, s)| ((*case).to_owned(), *s)).collect();
            assert_eq!(bench.cases(&OriginNotChecked), expected, "{}", bench.name());
        };
        let public = [("any-origin", Severity::Info)];
        check(Bench::new(URL, servers::correct()).as_mara().saying(ASK), &[]);
        check(Bench::new(URL, servers::echo()).saying(ASK), &public);
        check(Bench::new(URL, servers::echo()).as_mara().saying(ASK), &public);
        check(Bench::new(URL, servers::chat()).as_mara().saying("hello"), &public);
        check(Bench::new(URL, servers::guest_book()).as_mara().saying("hello"), &public);
        check(Bench::new(URL, servers::silent()).as_mara().saying(ASK), &public);
        check(Bench::new(URL, servers::silent()), &public);
    }

    #[test]
    fn it_is_high_when_the_victims_data_come_back_and_the_cookie_travels() {
        let check = |same_site, severity, confidence| {
            let bench = Bench::new(URL, any_origin()).as_mara_with(same_site).saying(ASK);
            let findings = bench.findings(&OriginNotChecked);
            assert_eq!(findings.len(), 1);
            assert_eq!(
                (findings[0].case.as_str(), findings[0].severity, findings[0].confidence),
                ("any-origin", severity, confidence)
            );
            assert!(findings[0].summary.contains("email"), "{}", findings[0].summary);
            assert!(!findings[0].summary.contains("mara@"), "values stay in the evidence");
            assert_eq!(findings[0].evidence.len(), 3);
        };
        check(SameSite::None, Severity::High, Confidence::Proven);
        check(SameSite::Unknown, Severity::High, Confidence::Firm);
        check(SameSite::Absent, Severity::High, Confidence::Firm);
        check(SameSite::Lax, Severity::Low, Confidence::Firm);
        check(SameSite::Strict, Severity::Low, Confidence::Firm);
    }

    #[test]
    fn the_attribute_in_the_handshakes_answer_is_believed() {
        let server =
            Server { extra_header: "Set-Cookie: session=x; Path=/; SameSite=Strict\r\n", ..any_origin() };
        let bench = Bench::new(URL, server).as_mara_with(SameSite::Unknown).saying(ASK);
        assert_eq!(bench.severities(&OriginNotChecked), [Severity::Low]);
    }

    #[test]
    fn a_name_that_was_said_counts_when_only_its_owner_is_called_by_it() {
        let knows = Server {
            gate: |request| Gate::Admit(request.user()),
            answer: |_, n, _| vec![servers::account_of("mara", n)],
            greeting: servers::account_greeting,
            ..servers::echo()
        };
        let bench = Bench::new(URL, knows).as_mara().saying(r#"{"type":"account","user":"mara"}"#);
        assert_eq!(bench.severities(&OriginNotChecked), [Severity::High]);
    }

    #[test]
    fn an_echo_behind_a_login_gives_nothing_away() {
        let echo = Server {
            greeting: |_, _| Vec::new(),
            answer: |_, _, text| vec![text.to_owned()],
            ..any_origin()
        };
        let bench = Bench::new(URL, echo).as_mara().saying(ASK);
        assert_eq!(bench.severities(&OriginNotChecked), [Severity::Medium]);
    }

    #[test]
    fn it_is_medium_when_only_the_opening_depends_on_the_cookie() {
        let mute = Server { greeting: |_, _| Vec::new(), answer: |_, _, _| Vec::new(), ..any_origin() };
        let bench = Bench::new(URL, mute).as_mara();
        assert_eq!(bench.cases(&OriginNotChecked), [("any-origin".to_owned(), Severity::Medium)]);
    }

    #[test]
    fn data_that_need_no_cookie_are_not_the_victims() {
        let generous = Server {
            gate: |request| Gate::Admit(request.user()),
            greeting: |_, _| Vec::new(),
            answer: |_, n, _| vec![servers::account_of("mara", n)],
            ..servers::echo()
        };
        let bench = Bench::new(URL, generous).as_mara().saying(ASK);
        assert_eq!(bench.severities(&OriginNotChecked), [Severity::Info]);
    }

    #[test]
    fn each_careless_comparison_is_named() {
        let check = |gate: fn(&Request) -> Gate, expected: &[(&str, Severity)]| {
            let bench = Bench::new(URL, gated("careless", gate)).as_mara().saying(ASK);
            let expected: Vec<_> = expected.iter().map(|(case, s)| ((*case).to_owned(), *s)).collect();
            assert_eq!(bench.cases(&OriginNotChecked), expected);
        };
        use Severity::{High, Medium};
        check(|r| user(r, |o| matches!(o, "null" | "https://app.example")), &[("null", High)]);
        check(
            |r| user(r, |o| o.starts_with("https://app.example")),
            &[("suffix", High), ("userinfo", Severity::Low), ("port", Medium)],
        );
        check(
            |r| user(r, |o| o.ends_with("app.example")),
            &[("prefix", High), ("sub-domain", Medium), ("scheme", Medium)],
        );
        check(
            |r| user(r, |o| o.starts_with("https://app") && o.ends_with("example") && o.len() == 19),
            &[("dot-as-regex", High)],
        );
        check(
            |r| user(r, |o| o == "https://app.example" || o.starts_with("https://app.example_")),
            &[("special-underscore", High)],
        );
        check(
            |r| user(r, |o| o.replace("http://", "https://") == "https://app.example"),
            &[("scheme", Medium)],
        );
        check(
            |r| user(r, |o| o == "https://app.example" || o.contains("@evil.example")),
            &[("userinfo", Severity::Low)],
        );
        check(|r| user(r, |o| o.eq_ignore_ascii_case("https://app.example")), &[]);
    }

    #[test]
    fn same_site_does_not_keep_a_sibling_out() {
        let server =
            gated("sub-domains", |r| user(r, |o| o.ends_with(".app.example") || o == "https://app.example"));
        let bench = Bench::new(URL, server).as_mara_with(SameSite::Strict).saying(ASK);
        assert_eq!(bench.cases(&OriginNotChecked), [("sub-domain".to_owned(), Severity::Medium)]);
    }

    #[test]
    fn what_no_browser_attaches_cannot_be_borrowed() {
        let bearer = Identity::new("robot", "Authorization", "Bearer 0123456789");
        let bench = Bench::new(URL, servers::echo()).with_identity(bearer);
        assert_eq!(bench.skip(&OriginNotChecked), Skip::NotAmbient("robot".into()));
        let refused = Bench::new(URL, servers::refusing(401));
        assert_eq!(refused.skip(&OriginNotChecked), Skip::NoWayIn("the handshake was answered 401".into()));
    }
}

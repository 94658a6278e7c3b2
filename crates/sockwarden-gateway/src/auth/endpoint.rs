//! Where clients ask for tickets.
//!
//! It is a door of its own: who asks is authenticated anew in the ways of `ticket.issue_to`, whatever the modes of the route's defences.
//! A foreign page can make a visitor's browser send a POST with cookies. So the Origin must be one of the route's, and the request must
//! have something that a page of another origin cannot add unasked: JSON for content, or a header of ours. Neither authenticates anybody.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use sockwarden_defend::{
    Chain, Configured, Defence as _, Fact, Report, RequestFact, Switch,
    defences::{Authentication, OriginPolicy, RequireKind, TlsRequired},
};
use sockwarden_model::{Mode, RequestEvent, StatusClass, TicketGrant, TicketOrder};
use sockwarden_net::Stream;
use sockwarden_proto::{
    handshake::{Headers, RequestHead},
    http::{BodyReader, judge_request},
};
use sockwarden_state::IssueError;
use tokio::{io::AsyncReadExt as _, time::timeout};

use super::{
    Asking,
    ticket::{NO_ORIGIN, Tickets},
};
use crate::{
    admission::party,
    answer::{self, Answer, retry_after},
    build::{Built, Route},
    client_address::ClientAddress,
    config::RouteConfig,
    connection::{Client, Shared},
    journal::unix_ms,
    pass_through::Plain,
    routing::Asked,
};

/// The largest request, in bytes.
const LARGEST: usize = 4096;
/// A header that a page of another origin may not add without being asked first.
const OWN_HEADER: &str = "Sockwarden-Ticket";

/// What a client asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wish {
    /// The path of the socket that is to be opened.
    path: String,
}

impl Default for Wish {
    fn default() -> Self {
        Self { path: "/".to_owned() }
    }
}

/// What it gets.
#[derive(Debug, Serialize)]
struct Grant {
    ticket: String,
    /// In seconds.
    expires_in: u64,
    /// What to connect to.
    url: String,
    /// What to offer as sub-protocol, beside those of the application, or beside `sockwarden.v1` where it has none.
    subprotocol: String,
}

/// Builds what judges those who ask for tickets; no mode switches it off.
pub(crate) fn defences(config: &RouteConfig, tickets: &Tickets) -> Arc<[Configured]> {
    let fixed = || Switch::fixed(Mode::Block);
    let callers = Authentication::new(&tickets.config.issue_to, RequireKind::Any);
    [
        Configured::new(TlsRequired, fixed()),
        Configured::new(OriginPolicy::new(&config.origin_policy), fixed()),
        Configured::new(callers, fixed()),
    ]
    .into()
}

impl Built {
    /// Tells whether tickets are asked for at this target.
    pub(crate) fn issues_tickets_at(&self, target: &str) -> bool {
        let path = target.split('?').next().unwrap_or_default();
        self.routes
            .iter()
            .filter_map(|route| route.authenticator.tickets())
            .any(|(tickets, _)| tickets.config.path == path)
    }
}

impl Client {
    /// Answers at the ticket endpoint; the connection ends with that.
    pub(crate) async fn ask_for_ticket(
        &mut self,
        shared: &Shared,
        built: &Built,
        mut stream: Stream,
        plain: Plain,
    ) {
        let tls = stream.tls_info().is_some();
        let patience = built.limits.handshake_timeout.get();
        let answer = match timeout(patience, self.answer(shared, built, &mut stream, plain)).await {
            Ok(Ok(answer) | Err(answer)) => answer,
            Err(_) => {
                let why = format!("the request did not come, or could not be answered, within {patience:?}");
                self.refuse_ourselves(408, &why, "it took too long")
            }
        };
        answer::answer(stream, &answer, tls).await;
    }

    async fn answer(
        &mut self,
        shared: &Shared,
        built: &Built,
        stream: &mut Stream,
        plain: Plain,
    ) -> Result<Answer, Answer> {
        let begun = Instant::now();
        let Plain { mut head, behind, from, .. } = plain;
        let is_asked_first = head.method == "OPTIONS";
        if is_asked_first {
            // It is judged as the request that it asks about.
            head.method = head.headers.text("access-control-request-method").unwrap_or_default().to_owned();
        }
        if head.method != "POST" {
            return Err(self
                .refuse_ourselves(405, "a ticket is asked for by POST", "use POST")
                .with("Allow: POST, OPTIONS"));
        }
        let wish = if is_asked_first { None } else { Some(self.wish(stream, &head, behind).await?) };
        let allowed = |answer: Answer| with_cors(answer, &head.headers);
        let Some(wish) = wish else {
            // Which route it will be for is not known yet: it is enough that one allows the origin.
            return self.preflight(built, &head, &from).map(allowed);
        };
        let asked = Asked { host: from.host.as_deref(), target: &wish.path, subprotocols: &[] };
        let found = built.route(&asked).ok().and_then(|route| Some((route, route.authenticator.tickets()?)));
        let path = head.target.split('?').next().unwrap_or_default();
        let Some((route, (tickets, defences))) =
            found.filter(|(_, (tickets, _))| tickets.config.path == path)
        else {
            return Err(self.refuse_ourselves(
                404,
                "no route with tickets is for the path",
                "there are no tickets for this path",
            ));
        };
        self.journal.set_route(route);
        let now_ms = unix_ms();
        if let Err(wait) = tickets.by_address.admit(&party(from.ip), Duration::from_millis(now_ms)) {
            return Err(self.too_often("the address", wait));
        }
        let identity = self.authenticate(shared, route, defences, &head, &from).await;
        // The page may know that it is to log in; that its origin is not allowed it need not know.
        let identity = identity.map_err(|no| if no.status == 403 { no } else { allowed(no) })?;
        let answer = async {
            if let Some(user) = &identity.user
                && let Err(wait) = tickets.by_user.admit(user, Duration::from_millis(now_ms))
            {
                return Err(self.too_often("the user", wait));
            }
            let order = TicketOrder {
                route: route.name.to_string(),
                identity: identity.clone(),
                client: Some(from.ip),
                origin: Some(head.headers.text("origin").unwrap_or(NO_ORIGIN).to_owned()),
                note: None,
            };
            let issued = tickets.issue(&shared.state, order, now_ms).await;
            let TicketGrant { ticket, expires_in, subprotocol } =
                issued.map_err(|error| self.not_issued(&error))?;
            let scheme = if from.tls { "wss" } else { "ws" };
            let url = format!("{scheme}://{}{}", from.host.as_deref().unwrap_or_default(), wish.path);
            let grant = Grant { ticket, expires_in, url, subprotocol };
            Ok(Answer::json(200, serde_json::to_string(&grant).unwrap_or_default()))
        };
        let answer = answer.await.map_or_else(|no| Err(allowed(no)), |yes| Ok(allowed(yes)))?;
        route.tally.request(StatusClass::of(answer.status));
        self.journal.request(RequestEvent {
            at_ms: now_ms,
            connection: self.journal.connection(),
            route: route.name.to_string(),
            client: self.peer.to_string(),
            user: identity.user.clone(),
            method: head.method.clone(),
            path: path.to_owned(),
            status: answer.status,
            complete: true,
            duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            bytes_from_client: 0,
            bytes_from_server: 0,
            inspected_from_client: 0,
            inspected_from_server: 0,
        });
        Ok(answer)
    }

    /// Reads the wish, and sees to it that no page of another origin could have sent it unasked.
    async fn wish(&self, stream: &mut Stream, head: &RequestHead, behind: Vec<u8>) -> Result<Wish, Answer> {
        let malformed = |why: &str| self.refuse_ourselves(400, why, why);
        let is_json = head.headers.text("content-type").is_some_and(is_json);
        if !is_json && head.headers.count(OWN_HEADER) == 0 {
            let why = "the request must be `application/json` or have the header `Sockwarden-Ticket`, which other sites' pages cannot send";
            return Err(self.refuse_ourselves(415, why, why));
        }
        let framing = judge_request(head).map_err(|violation| malformed(&violation.to_string()))?;
        let mut reader = BodyReader::new(framing);
        let (mut body, mut unread) = (Vec::new(), behind);
        while !reader.is_done() {
            let piece = reader.read(&unread).map_err(|violation| malformed(&violation.to_string()))?;
            let taken = piece.taken;
            body.extend_from_slice(piece.data);
            unread.drain(..taken);
            if body.len() > LARGEST || unread.len() > LARGEST {
                return Err(self.refuse_ourselves(
                    413,
                    "a request for a ticket has at most 4 KiB",
                    "the request is too large",
                ));
            }
            if taken == 0 && !reader.is_done() && stream.read_buf(&mut unread).await.unwrap_or_default() == 0
            {
                return Err(malformed("the request is not complete"));
            }
        }
        if body.trim_ascii().is_empty() {
            return Ok(Wish::default());
        }
        let wish: Wish = serde_json::from_slice(&body)
            .map_err(|_| malformed("the request is not `{\"path\": \"/…\"}`"))?;
        let is_path = |path: &str| path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
        if is_path(&wish.path) { Ok(wish) } else { Err(malformed("`path` is no path")) }
    }

    /// Tells a browser whether a page of this origin may ask.
    fn preflight(&self, built: &Built, head: &RequestHead, from: &ClientAddress) -> Result<Answer, Answer> {
        let path = head.target.split('?').next().unwrap_or_default();
        let fact =
            RequestFact { head, tls: from.tls, tls_offered: self.tls_offered, host: from.host.as_deref() };
        let allows = |route: &Route| {
            let here = route.authenticator.tickets().is_some_and(|(tickets, _)| tickets.config.path == path);
            let mut policy = OriginPolicy::new(&route.config().origin_policy).guard();
            here && policy.observe(&Fact::Request(fact), Duration::ZERO) == sockwarden_defend::Verdict::Pass
        };
        if head.headers.count("origin") == 1 && built.routes.iter().any(|route| allows(route)) {
            return Ok(Answer::new(204, String::new())
                .with("Access-Control-Allow-Methods: POST")
                .with("Access-Control-Allow-Headers: Authorization, Content-Type, Sockwarden-Ticket")
                .with("Access-Control-Max-Age: 600"));
        }
        Err(self.refuse_ourselves(
            403,
            "no route with tickets allows the origin",
            "pages of this origin get no tickets",
        ))
    }

    async fn authenticate(
        &self,
        shared: &Shared,
        route: &Route,
        defences: &Arc<[Configured]>,
        head: &RequestHead,
        from: &ClientAddress,
    ) -> Result<sockwarden_model::Identity, Answer> {
        let mut head = head.clone();
        let credentials = route.authenticator.take_credentials(&mut head);
        let mut chain = Chain::new(defences);
        let mut report = Report::default();
        let fact = RequestFact {
            head: &head,
            tls: from.tls,
            tls_offered: self.tls_offered,
            host: from.host.as_deref(),
        };
        let asking = Asking::new(&shared.state, &head, from, &credentials, self.certificate.as_deref());
        self.judge(route, &mut chain, &mut report, Fact::Request(fact), &asking).await?;
        Ok(report.caller())
    }

    fn too_often(&self, who: &str, wait: Duration) -> Answer {
        let why = format!("{who} asks for tickets too often");
        self.refuse_ourselves(429, &why, "too many tickets are asked for").with(&retry_after(wait))
    }

    fn not_issued(&self, error: &IssueError) -> Answer {
        match error {
            IssueError::TooMany => self.refuse_ourselves(
                429,
                &error.to_string(),
                "too many tickets are outstanding; use those that you have",
            ),
            IssueError::Record(_) => {
                self.refuse_ourselves(403, &error.to_string(), "no ticket can be issued for this user")
            }
            IssueError::Full | IssueError::Repeated | IssueError::Unavailable(_) => self.refuse_ourselves(
                503,
                &error.to_string(),
                "no tickets can be issued now; try again later",
            ),
        }
    }
}

/// Lets the page that asked read the answer (Fetch §3.2); its origin has been judged.
fn with_cors(answer: Answer, headers: &Headers) -> Answer {
    match headers.text("origin") {
        Some(origin) => answer
            .with(&format!("Access-Control-Allow-Origin: {origin}"))
            .with("Access-Control-Allow-Credentials: true")
            .with("Access-Control-Expose-Headers: Retry-After")
            .with("Vary: Origin"),
        None => answer,
    }
}

fn is_json(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_is_json() {
        assert!(is_json("application/json") && is_json("Application/JSON; charset=utf-8"));
        assert!(
            !is_json("text/plain")
                && !is_json("application/jsonp")
                && !is_json("text/plain; application/json")
        );
    }

    #[test]
    fn a_wish_names_a_path_and_nothing_else() {
        let wish = |text: &str| serde_json::from_str::<Wish>(text).map(|wish| wish.path).ok();
        assert_eq!(wish("{}").as_deref(), Some("/"));
        assert_eq!(wish(r#"{"path":"/chat?a=b"}"#).as_deref(), Some("/chat?a=b"));
        assert_eq!(wish(r#"{"path":"/chat","user":"admin"}"#), None);
    }
}

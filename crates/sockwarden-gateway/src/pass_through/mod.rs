//! Ordinary HTTP on routes that pass it on: the application's pages, and long polling.
//!
//! A request is judged before anything else: what two readers could read differently is refused, and what is passed on is
//! written anew. Each request has a connection to the application of its own, so that no answer can be taken for another
//! one's, whatever the application thinks of where a request ends. No answer of the application opens a tunnel here.

mod config;
mod exchange;
mod gather;
mod heads;
mod media;
mod reading;
mod under_way;

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use sockwarden_defend::{Chain, Fact, Report, RequestFact, defences};
use sockwarden_model::{Decision, Mode, RequestEvent, StatusClass, printable};
use sockwarden_net::Stream;
use sockwarden_proto::{
    handshake::RequestHead,
    http::{BodyReader, Framing, judge_request},
};

pub use config::{FailKind, HttpKind, HttpLimitsConfig};
pub(crate) use under_way::Passing;

use crate::{
    answer::{self, Answer},
    auth::Asking,
    build::{Built, Route},
    client_address::ClientAddress,
    connection::{Client, HSTS, Shared},
    farewell::linger,
    journal::unix_ms,
    routing::{Asked, Unrouted, is_reserved},
    upstream::{Lease, Told},
};

use exchange::{Answered, Ended, Failure, Order, exchange};
use gather::Body;
use reading::Reading;

/// The methods that are passed on, as far as RFC 9110 names them; others of no known meaning are, too.
const ALLOW: &str = "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// The longest method and path in a record, in characters.
const RECORDED: (usize, usize) = (20, 200);

/// A request that asks for no upgrade.
pub(crate) struct Plain {
    pub(crate) head: RequestHead,
    /// What came after its head.
    pub(crate) behind: Vec<u8>,
    pub(crate) from: ClientAddress,
    /// Whether another request may follow.
    pub(crate) may_follow: bool,
}

/// A connection on which the client may ask again.
pub(crate) struct Kept {
    pub(crate) stream: Stream,
    /// What it has sent already.
    pub(crate) behind: Vec<u8>,
    /// How long its next request is waited for.
    pub(crate) patience: Duration,
}

/// A request that was let in by everybody.
struct LetIn<'a> {
    route: &'a Route,
    chain: Chain,
    report: Report,
    body: Body,
}

impl Client {
    /// Passes a request on and its answer back; gives the connection where the client may ask again.
    pub(crate) async fn pass(
        &mut self,
        shared: &Shared,
        built: &Built,
        mut stream: Stream,
        plain: Plain,
    ) -> Option<Kept> {
        let begun = Instant::now();
        let _under_way = shared.passing.begin();
        let tls = stream.tls_info().is_some();
        let Plain { mut head, behind, from, may_follow } = plain;
        let let_in = match self.let_in(shared, built, &mut head, behind, &from).await {
            Ok(let_in) => let_in,
            Err(answer) => {
                answer::answer(stream, &answer, tls).await;
                return None;
            }
        };
        let LetIn { route, chain, mut report, mut body } = let_in;
        let limits = &route.config().http_limits;
        let of_route = (route, &self.journal, &shared.admission);
        let identity = report.caller();
        let mut reading = match Reading::begin(of_route, &head, chain, &identity) {
            Ok(reading) => reading,
            Err(answer) => {
                answer::answer(stream, &answer, tls).await;
                return None;
            }
        };
        if let Err(failure) = body.read(&mut stream, &head, &mut reading, limits).await {
            if let Some(answer) = self.not_passed(None, failure) {
                answer::answer(stream, &answer, tls).await;
            }
            return None;
        }
        if let Err(answer) = self.take_turn(route, &identity, reading.brought(&body)).await {
            answer::answer(stream, &answer, tls).await;
            return None;
        }
        let patience = built.limits.upstream_timeout.get();
        let (app, lease) = match self.connect(route, patience, &mut reading.own.chain, &mut report).await {
            Ok(connected) => connected,
            Err(answer) => {
                answer::answer(stream, &answer, tls).await;
                return None;
            }
        };
        let token = match self.sign(route, &identity) {
            Ok(token) => token,
            Err(answer) => {
                answer::answer(stream, &answer, tls).await;
                return None;
            }
        };
        let told = Told {
            from: &from,
            identity: &identity,
            token: token.as_deref(),
            added: &route.upstream_headers,
        };
        let wants_more = may_follow
            && head.minor_version > 0
            && !head.headers.list_has("connection", "close")
            && !limits.keep_alive.is_zero();
        let may_keep = || wants_more && !shared.draining.load(Ordering::Relaxed);
        let order = Order {
            head: heads::request(
                route.upstreams.url(),
                &head,
                body.framing,
                &told,
                reading.wants_plain(&head),
            ),
            method: &head.method,
            minor_version: head.minor_version,
            body,
            may_keep: &may_keep,
            hsts: tls.then_some(HSTS),
            limits,
            reading: &mut reading,
        };
        let Ended { client, buffer, outcome, from_client, from_server } = exchange(stream, app, order).await;
        let answered = match outcome {
            Ok(answered) => answered,
            Err(failure) => {
                if let Some(answer) = self.not_passed(Some(&lease), failure) {
                    answer::answer(client, &answer, tls).await;
                }
                return None;
            }
        };
        lease.succeeded();
        let [inspected_from_client, inspected_from_server] = reading.account([from_client, from_server]);
        route.tally.request(StatusClass::of(answered.status));
        self.journal.request(RequestEvent {
            at_ms: unix_ms(),
            connection: self.journal.connection(),
            route: route.name.to_string(),
            client: self.peer.to_string(),
            user: identity.user,
            method: printable(head.method.as_bytes(), RECORDED.0),
            path: printable(head.target.split('?').next().unwrap_or_default().as_bytes(), RECORDED.1),
            status: answered.status,
            complete: answered.complete,
            duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            bytes_from_client: from_client,
            bytes_from_server: from_server,
            inspected_from_client,
            inspected_from_server,
        });
        match answered {
            Answered { complete: true, keep: true, .. } => {
                Some(Kept { stream: client, behind: buffer, patience: limits.keep_alive.get() })
            }
            Answered { complete: true, keep: false, .. } => {
                linger(client).await;
                None
            }
            // Its end must not look like the answer's.
            Answered { complete: false, .. } => None,
        }
    }

    /// Takes a request's head through route and defences.
    async fn let_in<'a>(
        &mut self,
        shared: &Shared,
        built: &'a Built,
        head: &mut RequestHead,
        behind: Vec<u8>,
        from: &ClientAddress,
    ) -> Result<LetIn<'a>, Answer> {
        let asked = Asked { host: from.host.as_deref(), target: &head.target, subprotocols: &[] };
        let route = match built.route(&asked) {
            Ok(route) if route.config().http == HttpKind::Pass => route,
            Ok(_) | Err(Unrouted::NoRoute) => return Err(self.websockets_only(from)),
            Err(Unrouted::Ambiguous) => return Err(self.unrouted(Unrouted::Ambiguous)),
        };
        self.journal.set_route(route);
        self.find_room(shared, built)?;
        let limits = &route.config().http_limits;
        let framing = judge_request(head).map_err(|violation| {
            let answer = self.unreadable_request(violation.status(), &violation);
            if answer.status == 405 { answer.with(ALLOW) } else { answer }
        })?;
        if is_reserved(&head.target) {
            return Err(self.refuse_ourselves(404, "the path is the gateway's own", "there is nothing here"));
        }
        let mut body = self.begin_body(framing, behind, limits)?;
        body.waits = head.minor_version > 0 && head.headers.count("expect") > 0;
        let credentials = route.authenticator.take_credentials(head);
        let head = &*head;
        let mut chain = Chain::new(&route.defences);
        let mut report = Report::default();
        let fact =
            RequestFact { head, tls: from.tls, tls_offered: self.tls_offered, host: from.host.as_deref() };
        let asking = Asking::new(&shared.state, head, from, &credentials, self.certificate.as_deref());
        let judged = self.judge(route, &mut chain, &mut report, Fact::Request(fact), &asking).await;
        judged.map_err(|answer| match answer.status {
            308 => {
                let host = from.host.as_deref().unwrap_or_default();
                answer.with(&format!("Location: https://{host}{}", head.target))
            }
            _ => answer,
        })?;
        self.judge_conduct(route, &report.caller())?;
        Ok(LetIn { route, chain, report, body })
    }

    /// Reads what of the body came with the head, so that nobody is connected to for what is malformed at once.
    fn begin_body(
        &self,
        framing: Framing,
        mut behind: Vec<u8>,
        limits: &HttpLimitsConfig,
    ) -> Result<Body, Answer> {
        let most = limits.body.as_u64();
        let too_large = matches!(framing, Framing::Length(length) if length > most);
        let mut reader = BodyReader::new(framing);
        let mut first = Vec::new();
        while !too_large && !reader.is_done() && !behind.is_empty() {
            let piece = reader.read(&behind).map_err(|violation| self.unreadable_request(400, &violation))?;
            let taken = piece.taken;
            first.extend_from_slice(piece.data);
            behind.drain(..taken);
        }
        if too_large || first.len() as u64 > most {
            return Err(self.too_large());
        }
        Ok(Body { framing, reader, first, behind, waits: false })
    }

    /// Tells the client why it gets no answer of the application, where it is still there.
    fn not_passed(&self, lease: Option<&Lease>, failure: Failure) -> Option<Answer> {
        Some(match failure {
            Failure::Gone => return None,
            Failure::Slow(patience) => self.refuse_ourselves(
                408,
                &format!("the body did not come within {patience:?}"),
                "the body did not come in time",
            ),
            Failure::TooLarge => self.too_large(),
            Failure::Body(violation) => self.unreadable_request(400, &violation),
            Failure::Stopped(answer) => answer,
            Failure::Broken(why) => {
                if let Some(lease) = lease {
                    lease.failed();
                }
                self.refuse_ourselves(502, &why, "the application did not answer rightly")
            }
            // A page may be slow on purpose: that says nothing about the address.
            Failure::Late(patience) => self.refuse_ourselves(
                504,
                &format!("the application did not answer within {patience:?}"),
                "the application did not answer",
            ),
        })
    }

    fn too_large(&self) -> Answer {
        self.refuse_ourselves(
            413,
            "the body is longer than `http_limits.body` allows",
            "the body is too large",
        )
    }

    fn unreadable_request(&self, status: u16, violation: &dyn std::fmt::Display) -> Answer {
        let rule = &defences::STRICT_HANDSHAKE;
        let decision = Decision::Refuse(status);
        let id = self.journal.verdict(rule, Mode::Block, decision, None, violation.to_string());
        Answer::new(status, format!("The request is malformed: {violation}.\nEvent: {id}"))
    }
}

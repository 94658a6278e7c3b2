//! One client's connection from its first byte to the relay.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use sockwarden_defend::{
    Chain, Decided, Effect, Fact, HandshakeFact, Outcome, Refusal, Report, UpstreamFact, Verdict,
};
use sockwarden_inspect::Opening;
use sockwarden_model::{Direction, EventSender, Identity, Limit, printable};
use sockwarden_net::{DialError, ProxyProtocolError, Stream, read_proxy_header};
use sockwarden_proto::{
    CloseCode, Limits,
    handshake::{HeadViolation, RequestHead, RequestViolation, UpgradeRequest, switching_protocols},
};
use sockwarden_state::{State, TicketHash};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    runtime::Handle,
    time::{Instant, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    admission::{Admission, Budget, SessionPlaces},
    answer::{Answer, answer, retry_after},
    arrival::Places,
    auth::{Asking, OWN_SUBPROTOCOL, Revalidation},
    build::{Built, Route},
    client_address::{ClientAddress, ProxiesConfig, identify},
    compression::Compression,
    counters::Tally,
    engine::{Engine, Established},
    heads::{Unaccepted, Unread, accept, exceeded, next_request, read_head},
    journal::Journal,
    lifecycle::{CONFIGURATION_CHANGED, dismissal},
    liveness::Liveness,
    modes::Modes,
    panics::PanicWatch,
    pass_through::{Passing, Plain},
    rates,
    registry::Registry,
    relay::Relay,
    routing::{Asked, Unrouted},
    stopping::Stopping,
    upstream::{self, Caller, Lease, Refused, Seeker, Unreached, Upstream},
};

/// Tells browsers that have come over TLS once never to come without (RFC 6797).
pub(crate) const HSTS: &str = "Strict-Transport-Security: max-age=31536000";

/// The most requests that one connection brings; a client opens another one after them.
const MOST_REQUESTS: usize = 1000;

/// What all connections of a gateway share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) built: ArcSwap<Built>,
    pub(crate) events: EventSender,
    pub(crate) stopping: Stopping,
    pub(crate) registry: Arc<Registry>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) modes: Modes,
    pub(crate) passing: Passing,
    pub(crate) draining: AtomicBool,
    pub(crate) engine: Engine,
    pub(crate) state: State,
    /// Where orders that must wait are carried out.
    pub(crate) runtime: Handle,
    pub(crate) myself: Weak<Self>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) begun: Instant,
}

impl Shared {
    /// Gives what there is for connections.
    pub(crate) fn budget(&self, built: &Built) -> Budget {
        self.admission.budget(built.limits.connections, built.limits.memory.as_u64())
    }

    /// Tells whether nobody is connected to an application.
    pub(crate) fn is_idle(&self) -> bool {
        self.registry.is_empty() && self.passing.is_empty()
    }
}

/// How a listener lets connections in.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) acceptor: Option<TlsAcceptor>,
    pub(crate) proxies: Arc<ProxiesConfig>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("tls", &self.acceptor.is_some()).field("proxies", &self.proxies).finish()
    }
}

/// Serves one connection until it is refused or relayed, or asks nothing more. Its place is given back when it has ended.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    door: Door,
    mut tcp: TcpStream,
    peer: SocketAddr,
    places: Places,
) {
    let mut client = Client {
        journal: Journal::new(&shared, peer),
        tls_offered: door.acceptor.is_some(),
        connected: peer,
        peer,
        proxies: door.proxies,
        certificate: None,
        reached: None,
        begun: Instant::now(),
        places,
    };
    let _watch = PanicWatch::over(&shared, client.journal.connection());
    // What is in force when a request comes stays in force for it, and for the session that it becomes.
    let built = shared.built.load_full();
    let deadline = built.limits.handshake_timeout.get();
    let asked = async {
        if client.proxies.proxy_protocol.iter().any(|network| network.contains(peer.ip())) {
            match read_proxy_header(&mut tcp).await {
                Ok(from) => {
                    client.handed_over(from);
                    let ip = client.connected.ip();
                    if !client.proxies.is_proxy(ip) {
                        let stand = shared.stand(&built, ip).map_err(|limit| shared.turned_away(limit));
                        client.places.address = Some(stand.ok()?);
                    }
                }
                Err(ProxyProtocolError::Malformed) => {
                    return Some((Stream::Plain(tcp), Err(Unread::NotHandedOver)));
                }
                Err(ProxyProtocolError::Io(_)) => return None,
            }
        }
        let mut stream = match accept(tcp, door.acceptor, &shared, &built).await {
            Ok(stream) => stream,
            Err(Unaccepted::Beyond(limit)) => {
                shared.turned_away(limit);
                return None;
            }
            Err(Unaccepted::Broken) => return None,
        };
        let head = read_head(&mut stream, Vec::with_capacity(1024), built.limits.head.limits()).await;
        Some((stream, head))
    };
    let mut stopping = shared.stopping.clone();
    // Who does not finish a request in time, or before the gateway stops, is owed no answer.
    let asked = tokio::select! {
        biased;
        () = stopping.begins() => return,
        asked = timeout(deadline, asked) => asked,
    };
    let (stream, head) = match asked {
        Ok(Some(asked)) => asked,
        Ok(None) => return,
        Err(_) => return shared.turned_away(Limit::HandshakeTime),
    };
    if let Some(established) = client.converse(&shared, built, stream, head).await {
        shared.engine.adopt(established);
    }
}

/// One client's connection.
pub(crate) struct Client {
    pub(crate) journal: Journal,
    pub(crate) tls_offered: bool,
    /// Who connected, or for whom a proxy did by the PROXY protocol.
    connected: SocketAddr,
    /// Whose request it is: who connected, or whom a trusted proxy names.
    pub(crate) peer: SocketAddr,
    pub(crate) proxies: Arc<ProxiesConfig>,
    /// The certificate (DER) that was shown and verified.
    pub(crate) certificate: Option<Vec<u8>>,
    /// The address of ours that was connected to.
    reached: Option<SocketAddr>,
    begun: Instant,
    pub(crate) places: Places,
}

/// A request that was let in by everybody.
struct Admitted<'a> {
    route: &'a Arc<Route>,
    upstream: Upstream,
    /// Counts the connection at its place.
    lease: Lease,
    compression: Compression,
    chain: Chain,
    identity: Identity,
    /// The ticket that was taken.
    ticket: Option<TicketHash>,
    origin: Option<String>,
    tls: bool,
    places: SessionPlaces,
}

impl Client {
    /// Takes a proxy's word for whom it connects; `None` where it speaks for itself.
    fn handed_over(&mut self, client: Option<SocketAddr>) {
        if let Some(client) = client {
            self.connected = client;
            self.peer = client;
            self.journal.set_client(client);
        }
    }

    /// Answers one request after the other, until one is refused, becomes a session or says that it is the last.
    ///
    /// An upgrade may follow ordinary requests on the same connection: browsers open another one for it, but nothing forbids
    /// to use the one that is there, and to close it would only cost such a client a second try.
    async fn converse(
        mut self,
        shared: &Arc<Shared>,
        mut built: Arc<Built>,
        mut stream: Stream,
        mut head: Result<(RequestHead, Vec<u8>), Unread>,
    ) -> Option<Established> {
        self.reached = stream.local_address();
        self.certificate = stream.client_certificate().map(<[u8]>::to_vec);
        for left in (0..MOST_REQUESTS).rev() {
            let (asked, behind) = match head {
                Ok(read) => read,
                Err(Unread::Malformed(violation)) => return self.malformed(stream, violation).await,
                Err(Unread::NotHandedOver) => return self.not_handed_over(stream).await,
                Err(Unread::Ended) => return None,
            };
            #[cfg(test)]
            crate::panics::on_purpose(&asked.target);
            let request = UpgradeRequest::judge(asked, behind.len());
            let from = self.meet(&stream, &request.head);
            if let Err(refusal) = self.stand(shared, &built) {
                let tls = stream.tls_info().is_some();
                answer(stream, &refusal, tls).await;
                return None;
            }
            if request.is_plain_http() && built.issues_tickets_at(&request.head.target) {
                let plain = Plain { head: request.head, behind, from, may_follow: false };
                self.ask_for_ticket(shared, &built, stream, plain).await;
                return None;
            }
            if !request.is_plain_http() {
                return self.asked(shared, &built, stream, request, &from, behind).await;
            }
            let plain = Plain { head: request.head, behind, from, may_follow: left > 0 };
            let kept = self.pass(shared, &built, stream, plain).await?;
            built = shared.built.load_full();
            (stream, head) = next_request(shared, kept, &built).await?;
        }
        None
    }

    /// Finds out whose request it is: a proxy may bring those of several clients on one connection.
    fn meet(&mut self, stream: &Stream, head: &RequestHead) -> ClientAddress {
        let tls = stream.tls_info().is_some();
        let from = identify(&self.proxies, self.connected.ip(), tls, &head.headers);
        self.peer = if from.ip == self.connected.ip().to_canonical() {
            self.connected
        } else {
            // The port is the proxy's, not the client's.
            SocketAddr::new(from.ip, 0)
        };
        self.journal.set_client(self.peer);
        self.journal.forget_route();
        from
    }

    async fn asked(
        mut self,
        shared: &Arc<Shared>,
        built: &Built,
        mut stream: Stream,
        mut request: UpgradeRequest,
        from: &ClientAddress,
        early: Vec<u8>,
    ) -> Option<Established> {
        let tls = stream.tls_info().is_some();
        let room = self.come(shared, built).and_then(|()| self.find_room(shared, built));
        let admitted = match room {
            Ok(()) => self.admit(shared, built, &mut request, from).await,
            Err(answer) => Err(answer),
        };
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => {
                answer(stream, &refusal, tls).await;
                return None;
            }
        };
        self.journal.set_extensions(admitted.compression.client.as_ref().map(ToString::to_string));
        let upstream = &admitted.upstream;
        let mut answer = switching_protocols(request.key(), upstream.protocol.as_deref());
        answer.truncate(answer.len() - 2);
        if let Some(agreement) = &admitted.compression.client {
            answer.extend_from_slice(format!("Sec-WebSocket-Extensions: {agreement}\r\n").as_bytes());
        }
        for cookie in &upstream.cookies {
            answer.extend_from_slice(b"Set-Cookie: ");
            answer.extend_from_slice(cookie);
            answer.extend_from_slice(b"\r\n");
        }
        if tls {
            answer.extend_from_slice(HSTS.as_bytes());
            answer.extend_from_slice(b"\r\n");
        }
        answer.extend_from_slice(b"\r\n");
        if stream.write_all(&answer).await.is_err() || stream.flush().await.is_err() {
            return None;
        }
        Some(self.establish(shared, built, stream, early, (&request.head, from), admitted))
    }

    fn establish(
        self,
        shared: &Arc<Shared>,
        built: &Built,
        client: Stream,
        mut early: Vec<u8>,
        (head, from): (&RequestHead, &ClientAddress),
        admitted: Admitted<'_>,
    ) -> Established {
        let Admitted {
            route,
            mut upstream,
            compression,
            lease,
            chain,
            identity,
            ticket,
            origin,
            tls,
            places,
        } = admitted;
        let target = head.target.as_str();
        let opening = Opening { subprotocol: upstream.protocol.as_deref(), target };
        let inspector = route.inspection.begin(&opening);
        let goes_on =
            route.inspection.sessions.find(target, &identity, &inspector, Instant::now().into_std());
        let identity = Arc::new(identity);
        let seat = self.journal.open(route, &identity, ticket, origin, upstream.protocol.clone(), tls);
        let memory = built.limits.message_memory.as_u64();
        let limits = Limits { frame: memory, message: memory };
        let ends = compression.ends(limits, route.inflate.limits(memory));
        let close_timeout = built.limits.close_timeout.get();
        let session = route.config().session;
        let liveness =
            Liveness::new(&route.timeouts).ends_with_session(session.time_left(&identity), session.code());
        if let Some(interval) = session.revalidate {
            let asking = Revalidation::of(head, from, &identity);
            let (shared, id) = (Arc::downgrade(shared), self.journal.connection());
            tokio::spawn(asking.run(shared, Arc::clone(route), id, interval.get()));
        }
        let relay = Relay::new(chain, inspector, self.journal, seat, ends, close_timeout, liveness);
        let mut relay = relay.join(goes_on);
        shared.close_if_revoked(built, relay.entry());
        if route.is_closed.load(Ordering::Acquire) {
            // A reload ended the route's sessions while this one was in its handshake.
            relay.mailbox().post(dismissal(CloseCode::RESTART, CONFIGURATION_CHANGED));
        }
        let begun = std::time::Instant::now();
        rates::meter(&mut relay, route, &identity, self.peer.ip(), begun);
        relay.open(&identity, target, begun.elapsed());
        relay.receive(Direction::Client, &mut early, begun.elapsed());
        relay.receive(Direction::Server, &mut upstream.early, begun.elapsed());
        let write_buffer = built.limits.write_buffer.as_usize();
        let held = shared.admission.hold(compression.memory());
        let kept = Box::new((lease, self.places, places, held));
        Established { relay, client, server: upstream.stream, write_buffer, begun, kept }
    }

    /// Takes a request through route, defences and the application's own handshake.
    async fn admit<'a>(
        &mut self,
        shared: &Shared,
        built: &'a Built,
        request: &mut UpgradeRequest,
        from: &ClientAddress,
    ) -> Result<Admitted<'a>, Answer> {
        // What cannot be upgraded without guessing is refused whatever the mode.
        if let Some(fatal) = request.violations.iter().find(|v| v.is_fatal()) {
            return Err(self.unreadable(fatal));
        }
        let route = built.route(&Asked {
            host: from.host.as_deref(),
            target: &request.head.target,
            subprotocols: &request.protocols(),
        });
        let route = route.map_err(|unrouted| self.unrouted(unrouted))?;
        self.journal.set_route(route);
        let credentials = route.authenticator.take_credentials(&mut request.head);
        let request = &*request;
        let mut chain = Chain::new(&route.defences);
        let mut report = Report::default();
        let fact = HandshakeFact {
            request,
            tls: from.tls,
            tls_offered: self.tls_offered,
            host: from.host.as_deref(),
        };
        let asking =
            Asking::new(&shared.state, &request.head, from, &credentials, self.certificate.as_deref());
        self.judge(route, &mut chain, &mut report, Fact::Handshake(fact), &asking).await?;
        let identity = report.caller();
        self.judge_conduct(route, &identity)?;
        // Before the application is asked: who has too many already costs it nothing.
        let places = self.sit(shared, route, identity.user.as_deref())?;
        let patience = built.limits.upstream_timeout.get();
        let (stream, lease) = self.connect(route, patience, &mut chain, &mut report).await?;
        let extensions = route.compression.offers(request);
        let token = self.sign(route, &identity)?;
        let caller = Caller {
            request,
            from,
            identity: &identity,
            token: token.as_deref(),
            extensions,
            added: &route.upstream_headers,
        };
        let upgraded = upstream::upgrade(stream, route.upstreams.url(), &caller, patience).await;
        let mut upstream = upgraded.map_err(|refused| self.not_upgraded(&lease, refused))?;
        if upstream.protocol.is_none() && credentials.takes_ours {
            upstream.protocol = Some(OWN_SUBPROTOCOL.to_owned());
        }
        lease.succeeded();
        let compression = route.compression.settle(request, upstream.deflate);
        let origin = request.head.headers.first("origin").map(|origin| printable(origin, 200));
        Ok(Admitted {
            route,
            upstream,
            compression,
            lease,
            chain,
            identity,
            ticket: asking.ticket.into_inner(),
            origin,
            tls: from.tls,
            places,
        })
    }

    /// Asks the guards about a handshake or a request, and the application where they want to know of it.
    pub(crate) async fn judge(
        &self,
        route: &Route,
        chain: &mut Chain,
        report: &mut Report,
        fact: Fact<'_>,
        asking: &Asking<'_>,
    ) -> Result<(), Answer> {
        let mut outcome = chain.observe(&fact, self.begun.elapsed(), report);
        let result = loop {
            match outcome {
                Outcome::Pass => break Ok(()),
                Outcome::Stop(decided) => break Err(self.refused_by(&decided)),
                Outcome::Ask { link, effect: Effect::Authenticate(way) } => {
                    let answer = match route.authenticator.identify(way, asking).await {
                        Ok(identity) => sockwarden_defend::Answer::Identified(Box::new(identity)),
                        Err(denied) => sockwarden_defend::Answer::Denied(denied),
                    };
                    let now = self.begun.elapsed();
                    outcome = chain.resume(link, &Fact::Answer(&answer), &fact, now, report);
                }
            }
        };
        self.note(report);
        result
    }

    /// Connects to the application and lets the chain judge the way there before anything is sent.
    pub(crate) async fn connect(
        &self,
        route: &Route,
        patience: Duration,
        chain: &mut Chain,
        report: &mut Report,
    ) -> Result<(Stream, Lease), Answer> {
        let user = report.identity.as_ref().and_then(|identity| identity.user.clone());
        let seeker = Seeker { user: user.as_deref(), client: self.peer, reached: self.reached };
        let mut search = route.upstreams.search(seeker, patience);
        while let Some(lease) = search.next().await {
            let mut fact = UpstreamFact {
                tls: route.upstreams.url().tls,
                loopback: lease.member.place.is_local(),
                certificate_problem: None,
            };
            self.judge_way(&fact, chain, report)?;
            let connected = match search.connect(&lease, true).await {
                Err(error @ DialError::Certificate(..)) => {
                    let problem = error.to_string();
                    fact.certificate_problem = Some(&problem);
                    if let Err(answer) = self.judge_way(&fact, chain, report) {
                        // A wrong certificate is told at once: it is no reason to look for a better one in silence.
                        search.failed(&lease, error);
                        return Err(answer);
                    }
                    search.connect(&lease, false).await
                }
                connected => connected,
            };
            match connected {
                Ok(stream) => return Ok((stream, lease)),
                Err(error) => search.failed(&lease, error),
            }
        }
        let why = search.give_up();
        if let Unreached::Full { waited } = why {
            let refusal = self.beyond(
                Limit::UpstreamConnections,
                why.to_string(),
                "the application has no room now; come back later",
            );
            return Err(refusal.with(&retry_after(waited)));
        }
        Err(self.refuse_ourselves(why.status(), &why.to_string(), "the application cannot be reached"))
    }

    fn judge_way(
        &self,
        fact: &UpstreamFact<'_>,
        chain: &mut Chain,
        report: &mut Report,
    ) -> Result<(), Answer> {
        let outcome = chain.observe(&Fact::Upstream(*fact), self.begun.elapsed(), report);
        self.note(report);
        match outcome {
            Outcome::Stop(decided) => Err(self.refused_by(&decided)),
            Outcome::Pass | Outcome::Ask { .. } => Ok(()),
        }
    }

    fn not_upgraded(&self, lease: &Lease, refused: Refused) -> Answer {
        if refused.is_failure() {
            lease.failed();
        } else {
            lease.succeeded();
        }
        match refused {
            // The application's own no is passed on; what would send the client elsewhere is not.
            Refused::Status(status @ 400..=599) => self.refuse_ourselves(
                status,
                &format!("the application answered {status}"),
                "the application refused the connection",
            ),
            Refused::Status(status) => self.refuse_ourselves(
                502,
                &format!("the application answered {status}"),
                "the application did not upgrade",
            ),
            Refused::Broken(why) => self.refuse_ourselves(502, &why, "the application did not upgrade"),
            Refused::Late(patience) => self.refuse_ourselves(
                504,
                &format!("the application did not answer within {patience:?}"),
                "the application did not answer",
            ),
        }
    }

    /// Tells a proxy that its duty is to say whom it connects.
    async fn not_handed_over<T>(&self, stream: Stream) -> Option<T> {
        let why = ProxyProtocolError::Malformed.to_string();
        let refusal = self.refuse_ourselves(400, &why, &why);
        answer(stream, &refusal, false).await;
        None
    }

    async fn malformed<T>(&self, stream: Stream, violation: HeadViolation) -> Option<T> {
        let tls = stream.tls_info().is_some();
        let id = self.journal.malformed(violation.status(), violation.to_string(), exceeded(violation));
        let told = format!("The request is malformed: {violation}.\nEvent: {id}");
        answer(stream, &Answer::new(violation.status(), told), tls).await;
        None
    }

    /// Tells a client of ordinary HTTP that it has come to the wrong place.
    pub(crate) fn websockets_only(&self, from: &ClientAddress) -> Answer {
        let told = if self.tls_offered && !from.tls {
            "This endpoint speaks WebSocket over TLS: use wss://."
        } else {
            "This endpoint speaks WebSocket (RFC 6455): connect with a WebSocket client."
        };
        Answer::new(426, told.to_owned())
    }

    pub(crate) fn unrouted(&self, why: Unrouted) -> Answer {
        match why {
            Unrouted::NoRoute => self.refuse_ourselves(
                404,
                "no route is for this host, path and sub-protocol",
                "there is nothing here",
            ),
            Unrouted::Ambiguous => self.refuse_ourselves(
                400,
                "the path leads to another route once it is decoded",
                "the path can be read in more than one way",
            ),
        }
    }

    fn unreadable(&self, violation: &RequestViolation) -> Answer {
        let id = self.journal.malformed(violation.status(), violation.to_string(), None);
        Answer::new(violation.status(), format!("The handshake is malformed: {violation}.\nEvent: {id}"))
    }

    pub(crate) fn refused_by(&self, decided: &Decided) -> Answer {
        let id = self.journal.decided(decided, None);
        let (status, told) = match &decided.verdict {
            Verdict::Refuse(Refusal { status, told, .. }) => (*status, *told),
            Verdict::Close(closure) => (403, closure.told),
            Verdict::Pass
            | Verdict::Count(_)
            | Verdict::Identified(_)
            | Verdict::Drop { .. }
            | Verdict::Ask(_) => (403, ""),
        };
        Answer::new(status, format!("Refused by {}: {told}.\nEvent: {id}", decided.rule.id))
    }

    pub(crate) fn refuse_ourselves(&self, status: u16, reason: &str, told: &str) -> Answer {
        let id = self.journal.failure(status, reason);
        Answer::new(status, format!("Refused: {told}.\nEvent: {id}"))
    }

    /// Reports what guards in observe mode have seen.
    fn note(&self, report: &mut Report) {
        for noted in report.noted.drain(..) {
            self.journal.decided(&noted, None);
        }
    }
}

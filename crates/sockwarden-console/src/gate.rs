//! What every request passes before it is answered.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{Extension, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use sockwarden_model::{
    Action, AuditEvent, Control, Event, EventSender, Operations, Requester, Role, printable,
};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

use crate::{
    access::{Access, Shown},
    answer::Error,
    bucket::Bucket,
    endpoints::BODY,
    feed::Feed,
    host::{Names, is_plain_path},
    server::Wiring,
};

/// How long a request may take from its head to the head of its answer, its body included.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// The longest path of a refused request, and the longest name, in an audit event, in characters.
const REPORTED: usize = 100;

/// What all requests share.
pub(crate) type Shared = Arc<Gate>;

pub(crate) struct Gate {
    pub(crate) control: Arc<dyn Control>,
    pub(crate) operations: Arc<dyn Operations>,
    pub(crate) events: EventSender,
    pub(crate) feed: Feed,
    /// Who may come in; watchers are told when somebody may no longer.
    pub(crate) access: watch::Sender<Arc<Access>>,
    /// One permit for each watcher of the events.
    pub(crate) streams: Arc<Semaphore>,
    rates: Mutex<Rates>,
    begun: Instant,
}

/// The connection that a request came by.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) names: Arc<Names>,
    /// The certificate that the client showed.
    pub(crate) shown: Option<Arc<Shown>>,
}

impl Connection {
    /// Names who asks by this connection.
    fn requester(&self, role: Role, name: Option<String>) -> Requester {
        let name = name.map(|name| printable(name.as_bytes(), REPORTED));
        Requester { role, from: Some(self.peer.to_string()), name }
    }
}

/// Each kind of requester has a bucket of its own, so that nobody's requests cost another their answer.
#[derive(Debug)]
struct Rates {
    health: Bucket,
    viewers: Bucket,
    issuers: Bucket,
    operators: Bucket,
    refused: Bucket,
}

impl Gate {
    pub(crate) fn new(wiring: Wiring, access: Access, streams: usize) -> Self {
        let Wiring { control, operations, events, feed } = wiring;
        let rates = Rates {
            health: Bucket::new(100, Duration::from_millis(20)),
            viewers: Bucket::new(100, Duration::from_millis(50)),
            // Each user of the application costs one for each connection, and all may come back at once.
            issuers: Bucket::new(1000, Duration::from_millis(1)),
            operators: Bucket::new(100, Duration::from_millis(50)),
            refused: Bucket::new(20, Duration::from_millis(200)),
        };
        let streams = Arc::new(Semaphore::new(streams));
        Self {
            control,
            operations,
            events,
            feed,
            access: watch::Sender::new(Arc::new(access)),
            streams,
            rates: Mutex::new(rates),
            begun: Instant::now(),
        }
    }

    pub(crate) fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.borrow())
    }

    /// Replaces who may come in, for connections that are open too.
    pub(crate) fn renew(&self, access: Access) {
        self.access.send_if_modified(|current| {
            let differs = access.differs(current);
            *current = Arc::new(access);
            differs
        });
    }

    fn take(&self, which: impl Fn(&mut Rates) -> &mut Bucket) -> bool {
        let now = self.begun.elapsed();
        which(&mut self.rates.lock().unwrap_or_else(PoisonError::into_inner)).take(now)
    }

    /// Refuses and reports it, but no more often than there are permits for that.
    fn refuse(&self, by: Requester, request: &str, error: Error) -> Response {
        if !self.take(|rates| &mut rates.refused) {
            return too_many().into_response();
        }
        let action = Action::Refused { request: request.to_owned(), reason: error.error.clone() };
        let at_ms = unix_ms();
        self.events.send(Event::Audit(AuditEvent { at_ms, by, action }));
        error.into_response()
    }
}

fn too_many() -> Error {
    Error::new(StatusCode::TOO_MANY_REQUESTS, "there are too many requests; try again later")
}

fn unix_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Names a request as reports do; its query is left out, for somebody might put a secret there.
fn named(request: &Request) -> String {
    printable(format!("{} {}", request.method(), request.uri().path()).as_bytes(), REPORTED)
}

/// Takes every request, known or not: the path's spelling, Host, Origin, and the time that it may take.
pub(crate) async fn enter(
    State(shared): State<Shared>,
    Extension(connection): Extension<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let name = named(&request);
    let mut response = match judge(&request, &connection.names) {
        Err(error) => shared.refuse(connection.requester(Role::Nobody, None), &name, error),
        Ok(()) => match tokio::time::timeout(REQUEST_TIME, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Error::new(StatusCode::REQUEST_TIMEOUT, "the request took too long").into_response(),
        },
    };
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn judge(request: &Request, names: &Names) -> Result<(), Error> {
    if request.uri().authority().is_some() || !is_plain_path(request.uri().path()) {
        return Err(Error::new(StatusCode::BAD_REQUEST, "the path is not spelled as ours are"));
    }
    let headers = request.headers();
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > BODY as u64) {
        return Err(Error::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"));
    }
    let host = match only(headers, &header::HOST) {
        Some(Some(host)) if names.includes(host) => host,
        Some(_) | None => {
            return Err(Error::new(StatusCode::MISDIRECTED_REQUEST, "the Host is not this listener's"));
        }
    };
    let own_origin = match only(headers, &header::ORIGIN) {
        None => !headers.contains_key(header::ORIGIN),
        Some(origin) => origin.is_some_and(|origin| names.is_own_origin(origin, host)),
    };
    let from_elsewhere = headers
        .get_all("sec-fetch-site")
        .iter()
        .any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    if !own_origin || from_elsewhere {
        return Err(Error::new(StatusCode::FORBIDDEN, "pages of other origins have no business here"));
    }
    Ok(())
}

/// Gives a header that occurs once: its text, if it is one. `None` where it is absent or repeated.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.to_str().ok()),
        _ => None,
    }
}

/// Takes requests for one endpoint: the token or the certificate, and its role.
pub(crate) async fn authorise(
    State((shared, needed)): State<(Shared, Role)>,
    Extension(connection): Extension<Connection>,
    mut request: Request,
    next: Next,
) -> Response {
    let header = only(request.headers(), &header::AUTHORIZATION).flatten();
    let (role, name) = shared.access().role(header.map(str::as_bytes), connection.shown.as_deref(), needed);
    let by = connection.requester(role, name);
    if !role.may(needed) {
        let whose = match needed {
            Role::Viewer => "a viewer's or an operator's",
            Role::Issuer => "an issuer's or an operator's",
            Role::Nobody | Role::Operator | Role::Timer => "an operator's",
        };
        let error = if role == Role::Nobody {
            Error::new(StatusCode::UNAUTHORIZED, "this needs a token or a certificate that is listed")
        } else {
            Error::new(StatusCode::FORBIDDEN, format!("this needs {whose} token or certificate"))
        };
        return shared.refuse(by, &named(&request), error);
    }
    let is_in_time = shared.take(|rates| match (needed, role) {
        (Role::Nobody, _) => &mut rates.health,
        (_, Role::Operator | Role::Timer) => &mut rates.operators,
        (_, Role::Issuer) => &mut rates.issuers,
        (_, Role::Viewer | Role::Nobody) => &mut rates.viewers,
    });
    if !is_in_time {
        return too_many().into_response();
    }
    request.extensions_mut().insert(by);
    next.run(request).await
}

/// Takes requests for what does not exist.
pub(crate) async fn nowhere(
    State(shared): State<Shared>,
    Extension(connection): Extension<Connection>,
    request: Request,
) -> Response {
    let error = Error::new(StatusCode::NOT_FOUND, "there is nothing here");
    shared.refuse(connection.requester(Role::Nobody, None), &named(&request), error)
}

/// Takes requests that want something else of an endpoint than it does.
pub(crate) async fn not_that(
    State(shared): State<Shared>,
    Extension(connection): Extension<Connection>,
    request: Request,
) -> Response {
    let error = Error::new(StatusCode::METHOD_NOT_ALLOWED, "this endpoint has no such method");
    shared.refuse(connection.requester(Role::Nobody, None), &named(&request), error)
}

//! Harbor over HTTP: the page, logging in and out, and the upgrade to the socket.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::error::{Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use crate::access::{Person, Role};
use crate::app::{App, Slot, Transport};
use crate::conversation::Who;
use crate::database::{accounts, sessions, unix_now};
use crate::flaw::Flaw;
use crate::message::{Credentials, MAX_PASSWORD};
use crate::places::{self, Seat};
use crate::ticket::{self, Bearer};
use crate::{origin, page, secret, socket};

/// The name of the session cookie.
pub const SESSION_COOKIE: &str = "harbor_session";

const BODY_TIME: Duration = Duration::from_secs(10);
const GOODBYE_TIME: Duration = Duration::from_secs(2);
const MAX_HEADERS: usize = 64;
const MAX_HEAD: usize = 16 << 10;
const MAX_LOGIN_BODY: usize = 4 << 10;

type Answer = Response<Full<Bytes>>;

/// Serves one connection until it ends, is upgraded, or the lab stops.
pub(crate) async fn serve<S>(app: Arc<App>, stream: S, transport: Transport, slot: Slot)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stopping = app.stopping.clone();
    let head_time = app.config.handshake_time();
    let service = service_fn(move |request| {
        let (app, slot) = (Arc::clone(&app), slot.clone());
        async move { Ok::<_, Infallible>(answer(&app, request, transport, slot).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_time)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    // What ends a connection early is the client's affair; nobody here could act on it.
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(GOODBYE_TIME, connection).await;
        }
    }
}

async fn answer(app: &Arc<App>, request: Request<Incoming>, transport: Transport, slot: Slot) -> Answer {
    let path = request.uri().path();
    let mut answer = match (request.method(), path) {
        (&Method::GET, "/ws") => upgrade(app, request, transport, slot).await,
        (&Method::GET, "/api/session") => session(app, &request).await,
        (&Method::POST, "/login" | "/logout" | "/token" | "/ticket")
            if !origin_accepted(app, request.headers(), transport) =>
        {
            problem(StatusCode::FORBIDDEN, "This page may not do that.")
        }
        (&Method::POST, "/login") => log_in(app, request, transport).await,
        (&Method::POST, "/logout") => log_out(app, &request, transport).await,
        (&Method::POST, "/token") => issue_token(app, &request).await,
        (&Method::POST, "/ticket") => issue_ticket(app, &request, &slot).await,
        (_, "/login" | "/logout" | "/token" | "/ticket") => not_allowed("POST"),
        (_, "/ws" | "/api/session") => not_allowed("GET"),
        (&Method::GET | &Method::HEAD, _) => asset(app, path),
        _ => not_allowed("GET, HEAD"),
    };
    answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn asset(app: &App, path: &str) -> Answer {
    let Some(asset) = page::asset(path, app.config.flaws) else {
        return problem(StatusCode::NOT_FOUND, "There is nothing here.");
    };
    let mut answer = Response::new(Full::from(asset.text));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if !app.has(Flaw::StoredXss) {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::CONTENT_POLICY));
    }
    answer
}

async fn session(app: &App, request: &Request<Incoming>) -> Answer {
    match holder(app, request.headers()).await {
        Ok(Some((person, _))) => {
            let mut answer = identity(&person);
            // A user's name is a header's value as it stands: the names are ours, and plain.
            if let Ok(user) = HeaderValue::from_str(&person.user) {
                answer.headers_mut().insert("x-harbor-user", user);
            }
            answer.headers_mut().insert("x-harbor-role", HeaderValue::from_static(person.role.name()));
            answer
        }
        Ok(None) => problem(StatusCode::UNAUTHORIZED, "Log in first."),
        Err(answer) => answer,
    }
}

async fn log_in(app: &App, request: Request<Incoming>, transport: Transport) -> Answer {
    let body = match timeout(BODY_TIME, Limited::new(request.into_body(), MAX_LOGIN_BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return problem(StatusCode::PAYLOAD_TOO_LARGE, "That is too long for a login.");
        }
        Ok(Err(_)) => return problem(StatusCode::BAD_REQUEST, "The login did not arrive whole."),
        Err(_) => return problem(StatusCode::REQUEST_TIMEOUT, "The login took too long to arrive."),
    };
    let Ok(Credentials { user, password }) = serde_json::from_slice(&body) else {
        return problem(StatusCode::BAD_REQUEST, "A login is a JSON object with user and password.");
    };
    if password.len() > MAX_PASSWORD {
        return problem(StatusCode::UNAUTHORIZED, "The user or the password is wrong.");
    }
    let (user, password) = (user.into_owned(), password.into_owned());
    let Ok(token) = secret::new_token() else { return internal() };
    let fingerprint = secret::fingerprint(&token);
    let now = unix_now();
    let lifetime = app.config.session_lifetime.as_secs();
    let expires_at = now.saturating_add(i64::try_from(lifetime).unwrap_or(i64::MAX));
    let logged_in = app.database.run(move |connection| {
        let person = accounts::log_in(connection, &user, &password)?;
        if let Some(person) = &person {
            sessions::open(connection, &fingerprint, &person.user, now, expires_at)?;
        }
        Ok(person)
    });
    match logged_in.await {
        Ok(Some(person)) => with_cookie(identity(&person), app, transport, &token, lifetime),
        Ok(None) => problem(StatusCode::UNAUTHORIZED, "The user or the password is wrong."),
        Err(_) => internal(),
    }
}

async fn log_out(app: &App, request: &Request<Incoming>, transport: Transport) -> Answer {
    if let Some(token) = token(request.headers()) {
        let fingerprint = secret::fingerprint(token);
        if app.database.run(move |connection| sessions::close(connection, &fingerprint)).await.is_err() {
            return internal();
        }
    }
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    with_cookie(answer, app, transport, "", 0)
}

/// Issues a token to whoever has a session.
async fn issue_token(app: &App, request: &Request<Incoming>) -> Answer {
    #[derive(Serialize)]
    struct Issued {
        token: String,
    }
    match holder(app, request.headers()).await {
        Ok(Some((person, _))) => {
            let token = app.tokens.issue(&person.user, unix_now(), app.has(Flaw::EndlessToken));
            json(StatusCode::OK, &Issued { token })
        }
        Ok(None) => problem(StatusCode::UNAUTHORIZED, "Log in first."),
        Err(answer) => answer,
    }
}

/// Issues a ticket to whoever has a session.
async fn issue_ticket(app: &App, request: &Request<Incoming>, slot: &Slot) -> Answer {
    #[derive(Serialize)]
    struct Issued {
        ticket: String,
        expires_in: i64,
    }
    match holder(app, request.headers()).await {
        Ok(Some((_, session))) => match app.tickets.issue(session, bearer_of(request, slot), unix_now()) {
            Ok(ticket) => json(StatusCode::OK, &Issued { ticket, expires_in: ticket::LIFETIME }),
            Err(_) => internal(),
        },
        Ok(None) => problem(StatusCode::UNAUTHORIZED, "Log in first."),
        Err(answer) => answer,
    }
}

/// Finds the ticket that a handshake carries: in its query, or as a sub-protocol.
fn presented<B>(request: &Request<B>) -> Option<&str> {
    let query = request.uri().query().unwrap_or_default();
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let mut offered = offered.iter().filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    let in_query = query.split('&').find_map(|pair| pair.strip_prefix("ticket="));
    in_query.or_else(|| offered.find_map(|protocol| protocol.trim().strip_prefix("ticket.")))
}

/// Says who asks for a ticket, or comes with one.
fn bearer_of<B>(request: &Request<B>, slot: &Slot) -> Bearer {
    let origin = request.headers().get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    Bearer { origin: origin.map(str::to_owned), address: slot.peer }
}

/// Finds whose token the request carries.
fn bearer<B>(app: &App, request: &Request<B>) -> Option<String> {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let in_header = header.and_then(|value| value.strip_prefix("Bearer "));
    let query = request.uri().query().filter(|_| app.has(Flaw::TokenInUrl)).unwrap_or_default();
    let in_url = query.split('&').find_map(|pair| pair.strip_prefix("access_token="));
    app.tokens.user(in_header.or(in_url)?, unix_now(), app.has(Flaw::EndlessToken))
}

async fn upgrade(app: &Arc<App>, mut request: Request<Incoming>, transport: Transport, slot: Slot) -> Answer {
    let answer = match create_response_with_body(&request, Full::default) {
        Ok(answer) => answer,
        Err(error) => return no_handshake(&error),
    };
    let by_ticket = presented(&request).and_then(|ticket| {
        app.tickets.take(ticket, &bearer_of(&request, &slot), unix_now(), app.config.flaws)
    });
    let ticket_is_enough = by_ticket.is_some() && app.has(Flaw::TicketNotBound);
    if !ticket_is_enough && !origin_accepted(app, request.headers(), transport) {
        return problem(StatusCode::FORBIDDEN, "This page may not open the socket.");
    }
    let who = match by_ticket {
        Some(session) => Ok(Who::Session(session)),
        None => who_asks(app, &request).await,
    };
    let who = match who {
        Ok(who) => who,
        Err(answer) => return answer,
    };
    let seat = match seat(app, &who, &slot).await {
        Ok(Some(seat)) => seat,
        Ok(None) => return problem(StatusCode::TOO_MANY_REQUESTS, "You have too many sockets open."),
        Err(answer) => return answer,
    };
    let (app, upgraded) = (Arc::clone(app), hyper::upgrade::on(&mut request));
    tokio::spawn(async move {
        if let Ok(upgraded) = upgraded.await {
            socket::serve(app, TokioIo::new(upgraded), who, seat).await;
        }
        drop(slot);
    });
    answer
}

/// Gives a user one socket more, where there may be one: by name, else by address.
async fn seat(app: &App, who: &Who, slot: &Slot) -> Result<Option<Seat>, Answer> {
    let name = match who {
        Who::Nobody => None,
        Who::User(user) => Some(user.clone()),
        Who::Session(fingerprint) => {
            let asked = fingerprint.clone();
            let found =
                app.database.run(move |connection| sessions::holder(connection, &asked, unix_now())).await;
            found.map_err(|_| internal())?.map(|person| person.user)
        }
    };
    let most = if app.has(Flaw::UnlimitedConnections) { u32::MAX } else { places::SOCKETS };
    Ok(app.places.enter(name.unwrap_or_else(|| slot.peer.to_string()), most, Instant::now()))
}

/// Finds as whom a handshake without a ticket is let in, if it is.
async fn who_asks(app: &App, request: &Request<Incoming>) -> Result<Who, Answer> {
    Ok(match holder(app, request.headers()).await? {
        Some((person, _)) if app.has(Flaw::SessionOutlivesLogout) => Who::User(person.user),
        Some((_, fingerprint)) => Who::Session(fingerprint),
        None => match bearer(app, request) {
            Some(user) => Who::User(user),
            None if app.has(Flaw::UnauthenticatedAccess) => Who::Nobody,
            None => return Err(problem(StatusCode::UNAUTHORIZED, "Log in first.")),
        },
    })
}

fn no_handshake(error: &WsError) -> Answer {
    let is_plain_request = matches!(
        error,
        WsError::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader | ProtocolError::MissingUpgradeWebSocketHeader
        )
    );
    let is_other_version =
        matches!(error, WsError::Protocol(ProtocolError::MissingSecWebSocketVersionHeader));
    if !is_plain_request && !is_other_version {
        return problem(StatusCode::BAD_REQUEST, "This is not a WebSocket handshake.");
    }
    let mut answer = problem(StatusCode::UPGRADE_REQUIRED, "Only WebSocket version 13 is spoken here.");
    let headers = answer.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    answer
}

fn origin_accepted(app: &App, headers: &HeaderMap, transport: Transport) -> bool {
    app.has(Flaw::OriginNotChecked) || origin::is_ours(headers, transport, &app.config.allowed_origins)
}

/// Finds whose live session the cookie names, and the fingerprint of its token.
async fn holder(app: &App, headers: &HeaderMap) -> Result<Option<(Person, String)>, Answer> {
    let Some(token) = token(headers) else { return Ok(None) };
    let fingerprint = secret::fingerprint(token);
    let asked = fingerprint.clone();
    let found = app.database.run(move |connection| sessions::holder(connection, &asked, unix_now())).await;
    found.map(|person| person.map(|person| (person, fingerprint))).map_err(|_| internal())
}

fn token(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(name, value)| (name == SESSION_COOKIE).then_some(value))
}

fn with_cookie(mut answer: Answer, app: &App, transport: Transport, token: &str, lifetime: u64) -> Answer {
    let same_site = if app.has(Flaw::OriginNotChecked) { "None" } else { "Strict" };
    let secure = match transport {
        Transport::Tls => "; Secure",
        Transport::Plain => "",
    };
    let cookie = format!(
        "{SESSION_COOKIE}={token}; Path=/; Max-Age={lifetime}; HttpOnly; SameSite={same_site}{secure}"
    );
    match HeaderValue::from_str(&cookie) {
        Ok(mut cookie) => {
            cookie.set_sensitive(true);
            answer.headers_mut().insert(header::SET_COOKIE, cookie);
            answer
        }
        Err(_) => internal(),
    }
}

fn identity(person: &Person) -> Answer {
    #[derive(Serialize)]
    struct Identity<'a> {
        user: &'a str,
        role: Role,
    }
    json(StatusCode::OK, &Identity { user: &person.user, role: person.role })
}

fn problem(status: StatusCode, message: &'static str) -> Answer {
    #[derive(Serialize)]
    struct Problem {
        error: &'static str,
    }
    json(status, &Problem { error: message })
}

fn not_allowed(allowed: &'static str) -> Answer {
    let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, "This cannot be done here.");
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}

fn internal() -> Answer {
    problem(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong at our end.")
}

fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    // Structs of strings always have a form in JSON.
    let mut answer = Response::new(Full::from(serde_json::to_vec(body).unwrap_or_default()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_among_other_cookies() {
        for (cookies, expected) in [
            (&["harbor_session=abc"][..], Some("abc")),
            (&["theme=dark; harbor_session=abc; x=y"], Some("abc")),
            (&["theme=dark", "harbor_session=abc"], Some("abc")),
            (&["harbor_sessions=abc"], None),
            (&["x=harbor_session=abc"], None),
            (&["harbor_session"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for cookie in cookies {
                headers.append(header::COOKIE, HeaderValue::from_static(cookie));
            }
            assert_eq!(token(&headers), expected, "{cookies:?}");
        }
    }
}

//! Every endpoint: from this one list come the router, the right that each needs, and the OpenAPI document.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::from_fn_with_state,
    routing::{MethodRouter, delete, get, post},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use sockwarden_model::{Reloaded, Role, Session, SessionPage, TicketGrant};

use crate::{
    answer::Error,
    events,
    gate::{self, Shared},
    health, metrics, modes, openapi, operations, revocations, routes, sessions, tickets,
};

/// The largest body of a request, in bytes.
pub(crate) const BODY: usize = 16 * 1024;

/// What can be asked for.
pub(crate) struct Endpoint {
    /// The method, in lower case.
    pub(crate) method: &'static str,
    /// The path, with `{id}` for a session's.
    pub(crate) path: &'static str,
    /// The least right that it needs.
    pub(crate) role: Role,
    /// What it does, in one sentence.
    pub(crate) summary: &'static str,
    /// The parameters of its query.
    pub(crate) query: Option<SchemaOf>,
    /// Its body.
    pub(crate) body: Option<SchemaOf>,
    /// What it answers when all is well, first; then what else it may answer besides what every endpoint may.
    pub(crate) answers: &'static [Answer],
    handler: fn() -> MethodRouter<Shared>,
}

/// Makes a type's schema.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A kind of answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) means: &'static str,
    pub(crate) content: Content,
}

/// What an answer holds.
pub(crate) enum Content {
    /// JSON of this schema.
    Json(SchemaOf),
    /// Text of this media type.
    Text(&'static str),
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const fn says<T: JsonSchema>(status: u16, means: &'static str) -> Answer {
    Answer { status, means, content: Content::Json(of::<T>) }
}

const fn text(media_type: &'static str, means: &'static str) -> Answer {
    Answer { status: 200, means, content: Content::Text(media_type) }
}

const fn wrong(status: u16, means: &'static str) -> Answer {
    says::<Error>(status, means)
}

/// Every endpoint.
pub(crate) static ENDPOINTS: [Endpoint; 16] = [
    Endpoint {
        method: "get",
        path: "/livez",
        role: Role::Nobody,
        summary: "Tells that the gateway lives.",
        query: None,
        body: None,
        answers: &[says::<health::Health>(200, "It lives.")],
        handler: || get(health::live),
    },
    Endpoint {
        method: "get",
        path: "/readyz",
        role: Role::Nobody,
        summary: "Tells whether new connections are welcome.",
        query: None,
        body: None,
        answers: &[
            says::<health::Health>(200, "They are."),
            says::<health::Health>(503, "The gateway is about to stop."),
        ],
        handler: || get(health::ready),
    },
    Endpoint {
        method: "get",
        path: "/.well-known/jwks.json",
        role: Role::Nobody,
        summary: "Gives the public keys of what the gateway signs for applications, as a JWKS (RFC 7517).",
        query: None,
        body: None,
        answers: &[text("application/json", "The keys.")],
        handler: || get(routes::signing_keys),
    },
    Endpoint {
        method: "get",
        path: "/metrics",
        role: Role::Viewer,
        summary: "Gives the counters for Prometheus.",
        query: None,
        body: None,
        answers: &[text("application/openmetrics-text", "The counters.")],
        handler: || get(metrics::give),
    },
    Endpoint {
        method: "get",
        path: "/api/v1/sessions",
        role: Role::Viewer,
        summary: "Lists established sessions in the order of their ids.",
        query: Some(of::<sessions::Wanted>),
        body: None,
        answers: &[says::<SessionPage>(200, "A page of them."), wrong(422, "The query makes no sense.")],
        handler: || get(sessions::list),
    },
    Endpoint {
        method: "get",
        path: "/api/v1/sessions/{id}",
        role: Role::Viewer,
        summary: "Gives one established session.",
        query: None,
        body: None,
        answers: &[says::<Session>(200, "The session."), wrong(404, "There is no such session.")],
        handler: || get(sessions::one),
    },
    Endpoint {
        method: "delete",
        path: "/api/v1/sessions/{id}",
        role: Role::Operator,
        summary: "Has both sides of a session told to close.",
        query: Some(of::<sessions::Farewell>),
        body: None,
        answers: &[
            says::<sessions::Closing>(202, "They are being told."),
            wrong(404, "There is no such session."),
            wrong(422, "A close frame cannot carry the code or the reason."),
        ],
        handler: || delete(sessions::close),
    },
    Endpoint {
        method: "get",
        path: "/api/v1/routes",
        role: Role::Viewer,
        summary: "Lists the routes with the mode of each of their defences.",
        query: None,
        body: None,
        answers: &[says::<routes::Routes>(200, "The routes.")],
        handler: || get(routes::list),
    },
    Endpoint {
        method: "post",
        path: "/api/v1/modes",
        role: Role::Operator,
        summary: "Breaks the glass: changes modes for a stated time, on live sockets too; they go back by themselves.",
        query: None,
        body: Some(of::<modes::Change>),
        answers: &[
            says::<modes::Changed>(200, "It is done."),
            wrong(404, "There is no such route or defence."),
            wrong(409, "This defence always has its configured mode."),
            wrong(413, "The body is too large."),
            wrong(415, "The body is not JSON."),
            wrong(422, "The body makes no sense."),
        ],
        handler: || post(modes::set),
    },
    Endpoint {
        method: "delete",
        path: "/api/v1/modes",
        role: Role::Operator,
        summary: "Puts modes back to what the configuration says.",
        query: Some(of::<modes::Which>),
        body: None,
        answers: &[
            says::<modes::Changed>(200, "It is done."),
            wrong(404, "There is no such route or defence."),
            wrong(409, "This defence always has its configured mode."),
        ],
        handler: || delete(modes::restore),
    },
    Endpoint {
        method: "post",
        path: "/api/v1/tickets",
        role: Role::Issuer,
        summary: "Issues a ticket for a user of the application, which opens one socket.",
        query: None,
        body: Some(of::<tickets::Wish>),
        answers: &[
            says::<TicketGrant>(201, "The ticket; it is shown this once."),
            wrong(404, "There is no such route."),
            wrong(409, "The route takes no tickets."),
            wrong(413, "The body is too large."),
            wrong(415, "The body is not JSON."),
            wrong(422, "The body makes no sense, or the ticket could open nothing."),
            wrong(
                429,
                "The user has as many outstanding tickets as one may have, or requests come too often.",
            ),
            wrong(503, "The shared state cannot be reached, or has no room."),
        ],
        handler: || post(tickets::issue),
    },
    Endpoint {
        method: "post",
        path: "/api/v1/revocations",
        role: Role::Issuer,
        summary: "Revokes what was vouched for up to now: it is refused from now on, and sessions that live by it are closed.",
        query: None,
        body: Some(of::<revocations::Order>),
        answers: &[
            says::<revocations::InForce>(200, "It is in force on every replica."),
            wrong(413, "The body is too large."),
            wrong(415, "The body is not JSON."),
            wrong(422, "The body makes no sense."),
            wrong(503, "It is in force on this replica at most, and should be said again."),
        ],
        handler: || post(revocations::revoke),
    },
    Endpoint {
        method: "post",
        path: "/api/v1/reload",
        role: Role::Operator,
        summary: "Has the configuration read again, as SIGHUP does; what cannot run leaves the one in force as it is.",
        query: None,
        body: None,
        answers: &[
            says::<Reloaded>(200, "The new configuration is in force."),
            wrong(409, "Something differs that needs a restart, or the gateway drains."),
            wrong(422, "The new configuration cannot run."),
            wrong(503, "Too many orders wait already."),
        ],
        handler: || post(operations::reload),
    },
    Endpoint {
        method: "post",
        path: "/api/v1/drain",
        role: Role::Operator,
        summary: "Has the gateway end in order, as SIGTERM does.",
        query: None,
        body: None,
        answers: &[
            says::<operations::Drain>(202, "It has begun, or was under way already."),
            wrong(409, "The gateway is stopping at once."),
            wrong(503, "Too many orders wait already."),
        ],
        handler: || post(operations::drain),
    },
    Endpoint {
        method: "get",
        path: "/api/v1/events",
        role: Role::Viewer,
        summary: "Sends events as they happen; who reads too slowly loses some and is told how many (`lost`).",
        query: None,
        body: None,
        answers: &[
            text(
                "text/event-stream",
                "Events `open`, `close`, `verdict`, `notice`, `audit`: lines of the log; and `lost`.",
            ),
            wrong(503, "Too many watch already."),
        ],
        handler: || get(events::stream),
    },
    Endpoint {
        method: "get",
        path: "/api/v1/openapi.json",
        role: Role::Viewer,
        summary: "Gives this document.",
        query: None,
        body: None,
        answers: &[text("application/json", "This document.")],
        handler: || get(openapi::give),
    },
];

/// Builds the router: each endpoint behind its right, everything behind the gate.
pub(crate) fn router(shared: &Shared) -> Router {
    let mut router = Router::new();
    for endpoint in &ENDPOINTS {
        let right = from_fn_with_state((Shared::clone(shared), endpoint.role), gate::authorise);
        router = router.route(endpoint.path, (endpoint.handler)().route_layer(right));
    }
    router
        .fallback(gate::nowhere)
        .method_not_allowed_fallback(gate::not_that)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn_with_state(Shared::clone(shared), gate::enter))
        .with_state(Shared::clone(shared))
}

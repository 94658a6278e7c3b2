//! Tickets that the application's own server asks for, for its users.

use std::net::IpAddr;

use axum::{
    extract::{Extension, State},
    http::StatusCode,
    response::Response,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use sockwarden_model::{Identity, Requester, TicketOrder};

use crate::{
    answer::{Body, Error, json, ordered},
    gate::Shared,
};

/// A ticket that is asked for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    /// The route that it is for.
    route: String,
    /// The user that it is for, at most 256 bytes; what is revoked of a user is found by it.
    user: String,
    /// What the user is, such as `admin`.
    #[serde(default)]
    roles: Vec<String>,
    /// What else the application and the rules of the route are to know of the user.
    #[serde(default)]
    claims: Map<String, Value>,
    /// When the user's session ends, and with it the socket, in seconds since the Unix epoch; unless it is said, the socket has no such end.
    #[serde(default)]
    expires_at: Option<u64>,
    /// The address that must present it; any may unless it is said.
    #[serde(default)]
    client: Option<IpAddr>,
    /// The Origin that must present it, such as `https://app.example`; any may unless it is said.
    #[serde(default)]
    origin: Option<String>,
    /// What the issuer wants to find again in the record, at most 1024 bytes.
    #[serde(default)]
    note: Option<String>,
}

pub(crate) async fn issue(
    State(shared): State<Shared>,
    Extension(by): Extension<Requester>,
    Body(wish): Body<Wish>,
) -> Result<Response, Error> {
    let Wish { route, user, roles, claims, expires_at, client, origin, note } = wish;
    let identity = Identity { user: Some(user), roles, claims, expires_at, ..Identity::default() };
    let order = TicketOrder { route, identity, client, origin, note };
    let grant = ordered(|answer| shared.control.issue_ticket(order, &by, answer)).await?;
    Ok(json(StatusCode::CREATED, &grant))
}

//! Revocations: what was vouched for counts no more.

use axum::{
    extract::{Extension, State},
    http::StatusCode,
    response::Response,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_model::{Requester, Revoke, RevokeOrder};

use crate::{
    answer::{Body, Error, json, ordered},
    gate::Shared,
};

/// What is to be revoked.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    /// What: an object with one member.
    what: Revoke,
    /// For how many seconds it is remembered, at most a year; thirty days unless it is said. It must be as long as anything that it concerns may be good.
    #[serde(default = "usual")]
    #[schemars(range(min = 1, max = 31_536_000))]
    seconds: u64,
}

const fn usual() -> u64 {
    RevokeOrder::USUAL
}

/// What is in force on every replica.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct InForce {
    /// What was revoked, in words; a ticket is not repeated.
    revoked: String,
    /// For how many seconds it is remembered.
    seconds: u64,
}

pub(crate) async fn revoke(
    State(shared): State<Shared>,
    Extension(by): Extension<Requester>,
    Body(Order { what, seconds }): Body<Order>,
) -> Result<Response, Error> {
    let order = RevokeOrder { what, seconds };
    ordered(|answer| shared.control.revoke(&order, &by, answer)).await?;
    Ok(json(StatusCode::OK, &InForce { revoked: order.what.to_string(), seconds }))
}

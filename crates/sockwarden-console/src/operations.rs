//! Reload and drain: orders for whoever runs the gateway.

use axum::{
    extract::{Extension, State},
    http::StatusCode,
    response::Response,
};
use schemars::JsonSchema;
use serde::Serialize;
use sockwarden_model::{Draining, Requester};

use crate::{
    answer::{Error, json, ordered},
    gate::Shared,
};

/// How an end in order stands.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct Drain {
    /// Whether it begins now or was under way already.
    drain: Draining,
}

pub(crate) async fn reload(
    State(shared): State<Shared>,
    Extension(by): Extension<Requester>,
) -> Result<Response, Error> {
    let reloaded = ordered(|answer| shared.operations.reload(&by, answer)).await?;
    Ok(json(StatusCode::OK, &reloaded))
}

pub(crate) async fn drain(
    State(shared): State<Shared>,
    Extension(by): Extension<Requester>,
) -> Result<Response, Error> {
    let drain = ordered(|answer| shared.operations.drain(&by, answer)).await?;
    Ok(json(StatusCode::ACCEPTED, &Drain { drain }))
}

//! Whether the gateway lives and is ready, for whoever starts and stops it.

use axum::{extract::State, http::StatusCode, response::Response};
use schemars::JsonSchema;
use serde::Serialize;
use sockwarden_model::Readiness;

use crate::{answer::json, gate::Shared};

/// How the gateway is.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct Health {
    status: Status,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Status {
    Alive,
    Ready,
    Draining,
}

pub(crate) async fn live() -> Response {
    json(StatusCode::OK, &Health { status: Status::Alive })
}

pub(crate) async fn ready(State(shared): State<Shared>) -> Response {
    match shared.control.readiness() {
        Readiness::Ready => json(StatusCode::OK, &Health { status: Status::Ready }),
        Readiness::Draining => json(StatusCode::SERVICE_UNAVAILABLE, &Health { status: Status::Draining }),
    }
}

//! Routes with the mode of each defence.

use axum::{extract::State, http::StatusCode, response::Response};
use schemars::JsonSchema;
use serde::Serialize;
use sockwarden_model::RouteState;

use crate::{answer::json, gate::Shared};

/// The routes of a gateway.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Routes {
    /// In the order of the configuration.
    routes: Vec<RouteState>,
}

pub(crate) async fn list(State(shared): State<Shared>) -> Response {
    json(StatusCode::OK, &Routes { routes: shared.control.routes() })
}

pub(crate) async fn signing_keys(State(shared): State<Shared>) -> Response {
    json(StatusCode::OK, &shared.control.signing_keys())
}

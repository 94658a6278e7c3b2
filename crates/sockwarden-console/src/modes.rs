//! Break glass: modes that differ from the configuration for a stated time.

use std::time::Duration;

use axum::{
    extract::{Extension, State},
    http::StatusCode,
    response::Response,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_model::{Mode, ModeChange, ModeScope, Requester};

use crate::{
    answer::{Body, Error, Parameters, json},
    gate::Shared,
};

/// A change of modes for a time.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// The route; all of them unless it is said.
    #[serde(default)]
    route: Option<String>,
    /// The id of the defence; all that are not off unless it is said.
    #[serde(default)]
    rule: Option<String>,
    /// What the defences do meanwhile.
    mode: Mode,
    /// For how many seconds, at most a day; then the configuration holds again.
    #[schemars(range(min = 1, max = 86_400))]
    seconds: u64,
}

/// Which modes to put back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// The route; all of them unless it is said.
    route: Option<String>,
    /// The id of the defence; all unless it is said.
    rule: Option<String>,
}

/// What a change has done.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct Changed {
    /// How many defences have another mode, or another end of it, than before.
    changed: usize,
}

pub(crate) async fn set(
    State(shared): State<Shared>,
    Extension(by): Extension<Requester>,
    Body(change): Body<Change>,
) -> Result<Response, Error> {
    let Change { route, rule, mode, seconds } = change;
    let change = ModeChange { scope: ModeScope { route, rule }, mode, time: Duration::from_secs(seconds) };
    let changed = shared.control.set_mode(&change, &by)?;
    Ok(json(StatusCode::OK, &Changed { changed }))
}

pub(crate) async fn restore(
    State(shared): State<Shared>,
    Extension(by): Extension<Requester>,
    Parameters(Which { route, rule }): Parameters<Which>,
) -> Result<Response, Error> {
    let changed = shared.control.restore_modes(&ModeScope { route, rule }, &by)?;
    Ok(json(StatusCode::OK, &Changed { changed }))
}

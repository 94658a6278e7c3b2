//! Sessions: list, look at one, close one.

use axum::{
    extract::{Extension, Path, State},
    http::StatusCode,
    response::Response,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sockwarden_model::{CloseOrder, ControlError, EventId, Requester, SessionQuery};

use crate::{
    answer::{Error, Parameters, json},
    gate::Shared,
};

/// Which sessions to list.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Begins after this session: `next` of the page before.
    after: Option<EventId>,
    /// The most sessions to give, 1 to 500; 100 unless it is said.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<usize>,
    /// Only those of this route.
    route: Option<String>,
    /// Only those of this user.
    user: Option<String>,
}

/// What both sides are told.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Farewell {
    /// The close code of RFC 6455 §7.4, 1008 unless it is said.
    code: Option<u16>,
    /// The reason, at most 123 bytes.
    reason: Option<String>,
}

/// A session that was told to close.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Closing {
    closing: EventId,
}

pub(crate) async fn list(
    State(shared): State<Shared>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, Error> {
    let limit = wanted.limit.unwrap_or(100);
    if !(1..=SessionQuery::LIMIT).contains(&limit) {
        let message = format!("`limit` is a number from 1 to {}", SessionQuery::LIMIT);
        return Err(Error::new(StatusCode::UNPROCESSABLE_ENTITY, message));
    }
    let Wanted { after, route, user, .. } = wanted;
    let page = shared.control.sessions(&SessionQuery { after, limit, route, user });
    Ok(json(StatusCode::OK, &page))
}

pub(crate) async fn one(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Response, Error> {
    let id = read(&id)?;
    let session = shared.control.session(id).ok_or(ControlError::NoSession(id))?;
    Ok(json(StatusCode::OK, &session))
}

pub(crate) async fn close(
    State(shared): State<Shared>,
    Extension(by): Extension<Requester>,
    Path(id): Path<String>,
    Parameters(farewell): Parameters<Farewell>,
) -> Result<Response, Error> {
    let id = read(&id)?;
    let order = CloseOrder {
        code: farewell.code.unwrap_or(1008),
        reason: farewell.reason.unwrap_or_else(|| "closed by an operator".to_owned()),
    };
    shared.control.close(id, &order, &by)?;
    Ok(json(StatusCode::ACCEPTED, &Closing { closing: id }))
}

fn read(id: &str) -> Result<EventId, Error> {
    id.parse().map_err(|error: String| Error::new(StatusCode::NOT_FOUND, error))
}

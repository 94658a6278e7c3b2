//! Reload and drain: orders for whoever runs the gateway.

use axum::{
    extract::{Extension, State},
    http::StatusCode,
    response::Response,
};
use schemars::JsonSchema;
use serde::Serialize;
use sockwarden_model::{Answer, Draining, OrderError, Requester};
use tokio::sync::oneshot;

use crate::{
    answer::{Error, json},
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

/// Gives an order and waits for its answer.
async fn ordered<T: Send + 'static>(order: impl FnOnce(Answer<Result<T, OrderError>>)) -> Result<T, Error> {
    let (sender, receiver) = oneshot::channel();
    order(Box::new(move |answer| {
        // Whoever asked may have gone.
        let _ = sender.send(answer);
    }));
    match receiver.await {
        Ok(answer) => answer.map_err(Error::from),
        Err(_) => Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, "the gateway has ended")),
    }
}

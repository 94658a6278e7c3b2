//! Events as they happen, as server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::StatusCode,
    response::{
        IntoResponse as _, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use tokio::sync::broadcast::error::RecvError;

use crate::{answer::Error, gate::Shared};

/// How often a quiet stream says that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(crate) async fn stream(State(shared): State<Shared>) -> Result<Response, Error> {
    let permit = std::sync::Arc::clone(&shared.streams).try_acquire_owned().map_err(|_| {
        Error::new(StatusCode::SERVICE_UNAVAILABLE, "too many watch the events already; try again later")
    })?;
    // The permit is given back when the stream is dropped.
    let begin = (shared.feed.watch(), shared.access.subscribe(), permit);
    let events = futures_util::stream::unfold(begin, async |(mut lines, mut access, permit)| {
        let received = tokio::select! {
            received = lines.recv() => received,
            // Whoever watches may have lost the right to; who has not comes back.
            _ = access.changed() => return None,
        };
        let event = match received {
            Ok(line) => Event::default().event(line.kind).data(&*line.json),
            Err(RecvError::Lagged(lost)) => {
                Event::default().event("lost").data(format!("{{\"lost\":{lost}}}"))
            }
            Err(RecvError::Closed) => return None,
        };
        Some((Ok::<_, Infallible>(event), (lines, access, permit)))
    });
    let events = Box::pin(events);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

//! Answers in JSON, errors among them.

use axum::{
    extract::{FromRequest, FromRequestParts, Query, Request, rejection::BytesRejection},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use sockwarden_model::{AccessError, Answer, ControlError, OrderError, printable};
use tokio::sync::oneshot;

/// The longest text of a request that an error repeats, in characters.
const REPEATED: usize = 200;

/// Why a request is not answered as it was meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Error {
    /// The HTTP status.
    pub(crate) status: u16,
    /// What is wrong, in one sentence.
    pub(crate) error: String,
    /// Everything that is wrong with a configuration, each with its place in the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) details: Vec<String>,
}

impl Error {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status: status.as_u16(), error: error.into(), details: Vec::new() }
    }
}

impl From<OrderError> for Error {
    fn from(error: OrderError) -> Self {
        let text = error.to_string();
        match error {
            OrderError::Invalid { details, .. } => {
                Self { details, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, text) }
            }
            OrderError::NotNow(_) => Self::new(StatusCode::CONFLICT, text),
            OrderError::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, text),
        }
    }
}

impl From<ControlError> for Error {
    fn from(error: ControlError) -> Self {
        let status = match error {
            ControlError::NoSession(_) | ControlError::NoRoute | ControlError::NoRule => {
                StatusCode::NOT_FOUND
            }
            ControlError::Fixed => StatusCode::CONFLICT,
            ControlError::CloseCode(_) | ControlError::CloseReason | ControlError::Time => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
        };
        Self::new(status, error.to_string())
    }
}

impl From<AccessError> for Error {
    fn from(error: AccessError) -> Self {
        let status = match error {
            AccessError::NoRoute => StatusCode::NOT_FOUND,
            AccessError::NoTickets => StatusCode::CONFLICT,
            AccessError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            AccessError::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            AccessError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json(status, &self);
        if status == StatusCode::UNAUTHORIZED {
            let challenge = header::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// Makes an answer of a value.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => (status, [(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Gives an order and waits for its answer.
pub(crate) async fn ordered<T, E>(order: impl FnOnce(Answer<Result<T, E>>)) -> Result<T, Error>
where
    T: Send + 'static,
    E: Into<Error> + Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    order(Box::new(move |answer| {
        // Whoever asked may have gone.
        let _ = sender.send(answer);
    }));
    match receiver.await {
        Ok(answer) => answer.map_err(E::into),
        Err(_) => Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, "the gateway has ended")),
    }
}

/// A body in JSON.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        // A page can send other kinds elsewhere without asking first.
        let kind = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
        if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
            return Err(Error::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json"));
        }
        let bytes = axum::body::Bytes::from_request(request, state).await.map_err(
            |error: BytesRejection| match error.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Error::new(error.status(), "the body is too large"),
                _ => Error::new(StatusCode::BAD_REQUEST, "the body ended early"),
            },
        )?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let what = printable(error.to_string().as_bytes(), REPEATED);
            Error::new(StatusCode::UNPROCESSABLE_ENTITY, format!("the body is not understood: {what}"))
        })
    }
}

/// The parameters of a query.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Query::try_from_uri(&parts.uri).map(|Query(parameters)| Self(parameters)).map_err(|error| {
            let what = printable(error.body_text().as_bytes(), REPEATED);
            Error::new(StatusCode::UNPROCESSABLE_ENTITY, format!("the query is not understood: {what}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_ticket_or_a_revocation_back_has_a_status_of_its_own() {
        let check = |error: AccessError, status| assert_eq!(Error::from(error).status, status);
        check(AccessError::NoRoute, 404);
        check(AccessError::NoTickets, 409);
        check(AccessError::Invalid(String::new()), 422);
        check(AccessError::TooMany(String::new()), 429);
        check(AccessError::Unavailable(String::new()), 503);
    }
}

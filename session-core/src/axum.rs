//! The session as an axum extractor, and errors as axum responses.

use std::fmt;
use std::sync::Arc;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use crate::session::{Session, SessionData, TypedSession};
use crate::{Error, ErrorKind};

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = MissingSessionLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or(MissingSessionLayer)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

impl<D: SessionData, S: Send + Sync> FromRequestParts<S> for TypedSession<D> {
    type Rejection = MissingSessionLayer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let session = <Session as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        Ok(session.typed())
    }
}

/// The rejection of a handler that asks for a [`Session`] on a route without the session layer: status 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingSessionLayer;

impl fmt::Display for MissingSessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "this route has no session layer; add `.layer(SessionLayer::…)` to the router after the route",
        )
    }
}

impl std::error::Error for MissingSessionLayer {}

impl IntoResponse for MissingSessionLayer {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

/// Converts the error to an empty response, which does not reveal details: status 503 if a retry later may help, else 500.
///
/// The error is in the response's extensions as [`ResponseError`], for a layer that logs it.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match self.kind() {
            ErrorKind::Unavailable
            | ErrorKind::TimedOut
            | ErrorKind::RateLimited
            | ErrorKind::Contended => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut response = status.into_response();
        response
            .extensions_mut()
            .insert(ResponseError(Arc::new(self)));
        response
    }
}

/// The error that a response stands for, in the response's extensions.
#[derive(Clone, Debug)]
pub struct ResponseError(pub Arc<Error>);

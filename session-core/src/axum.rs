//! The session as an axum extractor, and errors as axum responses.

use std::fmt;
use std::sync::{Arc, Once};

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use crate::Error;
use crate::session::{Session, SessionData, Sessions, TypedSession};

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

impl<S: Send + Sync> FromRequestParts<S> for Sessions {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::from_extensions(&parts.extensions))
    }
}

/// The rejection of a handler that asks for a [`Session`] on a route without the session layer: status 500.
///
/// The first one in a process is logged at level `ERROR`. A build with debug assertions also says in the body what to do.
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
        static LOGGED: Once = Once::new();
        LOGGED.call_once(|| tracing::error!("{self}"));
        let body = cfg!(debug_assertions).then(|| self.to_string());
        let body = body.unwrap_or_default();
        (StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
    }
}

/// Converts the error to an empty response, which does not reveal details, with [`Error::http_status`] and
/// [`Error::http_headers`].
///
/// The error is in the response's extensions as [`ResponseError`], for a layer that logs it.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = (self.http_status(), self.http_headers()).into_response();
        let error = ResponseError(Arc::new(self));
        response.extensions_mut().insert(error);
        response
    }
}

/// The error that a response stands for, in the response's extensions.
#[derive(Clone, Debug)]
pub struct ResponseError(pub Arc<Error>);

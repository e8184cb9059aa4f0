//! The session as an actix-web extractor, and errors as actix-web responses.

use std::fmt;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError};

use crate::session::{Session, SessionData, TypedSession};
use crate::{Error, ErrorKind};

impl FromRequest for Session {
    type Error = MissingSessionMiddleware;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(session_in(request))
    }
}

impl<D: SessionData> FromRequest for TypedSession<D> {
    type Error = MissingSessionMiddleware;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(session_in(request).map(|session| session.typed()))
    }
}

fn session_in(request: &HttpRequest) -> Result<Session, MissingSessionMiddleware> {
    let extensions = request.extensions();
    extensions.get().cloned().ok_or(MissingSessionMiddleware)
}

/// The error of a handler that asks for a [`Session`] on a route without the session middleware: status 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingSessionMiddleware;

impl fmt::Display for MissingSessionMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "this route has no session middleware; add `.wrap(SessionMiddleware::…)` to the `App` or the scope around it",
        )
    }
}

impl std::error::Error for MissingSessionMiddleware {}

impl ResponseError for MissingSessionMiddleware {}

/// Converts the error to an empty response, which does not reveal details: status 503 if a retry later may help, else 500.
/// The response keeps the error, for a middleware that logs it.
impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self.kind() {
            ErrorKind::Unavailable
            | ErrorKind::TimedOut
            | ErrorKind::RateLimited
            | ErrorKind::Contended => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

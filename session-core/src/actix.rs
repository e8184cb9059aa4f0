//! The session as an actix-web extractor, and errors as actix-web responses.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::Once;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError};

use crate::Error;
use crate::session::{Session, SessionData, Sessions, TypedSession};

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

impl FromRequest for Sessions {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let only = || extensions.get::<Session>().cloned().map(Self::from);
        let sessions = extensions.get().cloned().or_else(only);
        ready(Ok(sessions.unwrap_or_default()))
    }
}

fn session_in(request: &HttpRequest) -> Result<Session, MissingSessionMiddleware> {
    let extensions = request.extensions();
    extensions.get().cloned().ok_or(MissingSessionMiddleware)
}

/// The error of a handler that asks for a [`Session`] on a route without the session middleware: status 500.
///
/// The first one in a process is logged at level `ERROR`. A build with debug assertions also says in the body what to do.
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

impl ResponseError for MissingSessionMiddleware {
    fn error_response(&self) -> HttpResponse {
        static LOGGED: Once = Once::new();
        LOGGED.call_once(|| tracing::error!("{self}"));
        let mut response = HttpResponse::InternalServerError();
        if cfg!(debug_assertions) {
            response
                .content_type(ContentType::plaintext())
                .body(self.to_string())
        } else {
            response.finish()
        }
    }
}

/// Converts the error to an empty response, which does not reveal details, with [`Error::http_status`] and
/// [`Error::http_headers`].
///
/// The response keeps the error, for a middleware that logs it.
impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.http_status().as_u16())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        for (name, value) in &self.http_headers() {
            response.insert_header((name.as_str(), value.as_bytes()));
        }
        response.finish()
    }
}

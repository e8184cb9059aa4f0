use std::time::Duration;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::header::{HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Response, StatusCode};
use serde_json::json;
use session_core::{Error, ErrorKind};

use crate::body::ResponseBody;

pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain;charset=UTF-8");
pub(crate) const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=UTF-8");

/// An answer of status 200.
pub(crate) fn success(content_type: HeaderValue, body: ResponseBody) -> Response<ResponseBody> {
    answer(StatusCode::OK, content_type, body)
}

/// What a change is answered with.
pub(crate) fn done() -> Response<ResponseBody> {
    success(TEXT, ResponseBody::full("OK"))
}

fn answer(
    status: StatusCode,
    content_type: HeaderValue,
    body: ResponseBody,
) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // What is stored is chosen by others, and is never a page.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Why a request is not done: what the client is told.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            header: None,
        }
    }

    pub(crate) fn bad_request(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "KV value not found")
    }

    /// A condition that did not hold, so that nothing was changed.
    pub(crate) fn precondition() -> Self {
        let message = "what is stored is not what the condition names";
        Self::new(StatusCode::PRECONDITION_FAILED, message)
    }

    pub(crate) fn method(method: &Method) -> Self {
        let message = format!("Method Not Allowed: {method}");
        let allowed = HeaderValue::from_static("GET, HEAD, PUT, DELETE");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, message).with_header(ALLOW, allowed)
    }

    pub(crate) fn key_too_long() -> Self {
        Self::new(StatusCode::URI_TOO_LONG, "the key is too long")
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        let message = format!("a body has {limit} bytes at most");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    pub(crate) fn body_too_slow(limit: Duration) -> Self {
        let message = format!("the body was not there within {limit:?}");
        Self::new(StatusCode::REQUEST_TIMEOUT, message)
    }

    /// A request that is refused for want of a token.
    pub(crate) fn without_token() -> Self {
        let scheme = HeaderValue::from_static("Bearer");
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized").with_header(WWW_AUTHENTICATE, scheme)
    }

    fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    pub(crate) fn into_response(self) -> Response<ResponseBody> {
        let body = json!({
            "status": self.status.as_u16(),
            "statusText": self.message,
            "message": self.message,
            "statusCode": self.status.as_u16(),
            "statusMessage": self.message,
        });
        let mut response = answer(self.status, JSON, ResponseBody::full(body.to_string()));
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// The client is told what it can do something about; the rest is logged.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let (status, message) = match error.kind() {
            ErrorKind::InvalidKey => (StatusCode::BAD_REQUEST, "this key cannot be stored"),
            ErrorKind::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "the key or the value is larger than can be stored",
            ),
            ErrorKind::Unsupported => (
                StatusCode::NOT_IMPLEMENTED,
                "what is stored here cannot be changed or listed so",
            ),
            ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Closed => {
                (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
            }
            ErrorKind::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "Gateway Timeout"),
            ErrorKind::Unauthorized => (StatusCode::BAD_GATEWAY, "Bad Gateway"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
        };
        if status.is_server_error() {
            tracing::error!(
                kind = ?error.kind(),
                error = &error as &dyn std::error::Error,
                "the storage failed to serve a request"
            );
        }
        let refusal = Self::new(status, message);
        match error.retry_after() {
            Some(wait) => {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                refusal.with_header(RETRY_AFTER, seconds.into())
            }
            None => refusal,
        }
    }
}

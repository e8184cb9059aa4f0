//! Responses: successes, and rejections with the JSON body of unstorage's errors.

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

/// A response of status 200.
pub(crate) fn success(content_type: HeaderValue, body: ResponseBody) -> Response<ResponseBody> {
    response(StatusCode::OK, content_type, body)
}

/// The response to a successful change.
pub(crate) fn ok() -> Response<ResponseBody> {
    success(TEXT, ResponseBody::full("OK"))
}

fn response(
    status: StatusCode,
    content_type: HeaderValue,
    body: ResponseBody,
) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Stored values are untrusted. A browser must not interpret them as a page.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A request that is rejected: the status and the message for the client.
#[derive(Debug)]
pub(crate) struct Rejection {
    status: StatusCode,
    message: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Rejection {
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

    /// The condition of a change failed, and nothing was changed.
    pub(crate) fn precondition() -> Self {
        let message =
            "the condition failed: the item does not have this entity tag, or already exists";
        Self::new(StatusCode::PRECONDITION_FAILED, message)
    }

    pub(crate) fn method(method: &Method) -> Self {
        let message = format!("Method Not Allowed: {method}");
        let allowed = HeaderValue::from_static("GET, HEAD, PUT, PATCH, DELETE");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, message).with_header(ALLOW, allowed)
    }

    pub(crate) fn key_too_long() -> Self {
        Self::new(StatusCode::URI_TOO_LONG, "the key is too long")
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        let message = format!("the body is larger than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    pub(crate) fn body_too_slow(limit: Duration) -> Self {
        let message = format!("the body was not received within {limit:?}");
        Self::new(StatusCode::REQUEST_TIMEOUT, message)
    }

    /// A request without the token.
    pub(crate) fn missing_token() -> Self {
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
        let mut response = response(self.status, JSON, ResponseBody::full(body.to_string()));
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// Errors that the client can fix are described to it. Other errors are logged, and the client sees their status only.
impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        let (status, message) = match error.kind() {
            ErrorKind::InvalidKey => (StatusCode::BAD_REQUEST, "this key cannot be stored"),
            ErrorKind::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "the key or the value is too large for this storage",
            ),
            ErrorKind::Unsupported => (
                StatusCode::NOT_IMPLEMENTED,
                "operation not supported by this storage",
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
                "the storage failed to handle a request"
            );
        }
        let rejection = Self::new(status, message);
        match error.retry_after() {
            Some(wait) => {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                rejection.with_header(RETRY_AFTER, seconds.into())
            }
            None => rejection,
        }
    }
}

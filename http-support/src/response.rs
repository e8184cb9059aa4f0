use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::de::{DeserializeOwned, DeserializeSeed};
use session_core::{Error, ErrorKind, Outcome, Result};

use crate::retry_after::retry_after;

/// A response with its whole body.
///
/// `Debug` shows the status and the length of the body only.
#[derive(Clone)]
pub struct Response {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Response {
    pub(crate) fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self {
            status,
            headers,
            body,
        }
    }

    /// The status. A response with an error status is a response too.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Whether the status is a success, 200 to 299.
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The value of a header, if it is present and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body, without a copy.
    pub fn into_body(self) -> Bytes {
        self.body
    }

    /// Parses the body as JSON.
    ///
    /// If that fails, the error is of kind [`Backend`](ErrorKind::Backend) and its outcome is unknown.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        self.json_with(PhantomData)
    }

    /// Parses the body as JSON with `seed`, which keeps only what it needs and stops where it has enough.
    ///
    /// Its errors are those of [`json`](Self::json).
    pub fn json_with<'a, S: DeserializeSeed<'a>>(&'a self, seed: S) -> Result<S::Value> {
        let mut json = serde_json::Deserializer::from_slice(&self.body);
        let value = seed.deserialize(&mut json);
        let value = value.and_then(|value| json.end().map(|()| value));
        value.map_err(|error| {
            // The error of `serde_json` can quote the body, so it is left out.
            let what = match error.classify() {
                serde_json::error::Category::Data => "JSON of an unexpected shape",
                _ => "not complete JSON",
            };
            Error::new(
                ErrorKind::Backend,
                format!(
                    "the response (HTTP {}, {} bytes) is {what}, at line {} and column {}; check that the URL is right \
                     and that no proxy changes responses",
                    self.status.as_u16(),
                    self.body.len(),
                    error.line(),
                    error.column()
                ),
            )
        })
    }

    /// The error that this response stands for, by its status alone.
    ///
    /// Drivers first check for the statuses that have a meaning of their own. The text of the response is not part of
    /// the error, since servers repeat keys and values in it.
    ///
    /// | status | kind | outcome |
    /// |---|---|---|
    /// | 401, 403, 407 | `Unauthorized` | not applied |
    /// | 408, 504, 524 | `TimedOut` | unknown |
    /// | 413, 414, 431 | `TooLarge` | not applied |
    /// | 429 | `RateLimited`, with the wait | not applied |
    /// | other 4xx, such as 400, 404 and 409; 501, 505 | `Backend` | not applied |
    /// | 507 | `TooLarge` | not applied |
    /// | other 5xx | `Unavailable`, with the wait if the server names one | unknown |
    /// | all others, redirects included | `Backend` | unknown |
    pub fn error(&self) -> Error {
        let (kind, outcome, advice) = meaning(self.status.as_u16());
        let reason = self
            .status
            .canonical_reason()
            .unwrap_or("not a standard status");
        let message = format!(
            "the server responded with status {} ({reason}); {advice}",
            self.status.as_u16()
        );
        let error = Error::new(kind, message).with_outcome(outcome);
        match retry_after(&self.headers) {
            Some(wait) if matches!(kind, ErrorKind::RateLimited | ErrorKind::Unavailable) => {
                error.with_retry_after(wait)
            }
            _ => error,
        }
    }
}

fn meaning(status: u16) -> (ErrorKind, Outcome, &'static str) {
    use ErrorKind::{Backend, RateLimited, TimedOut, TooLarge, Unauthorized, Unavailable};
    use Outcome::{NotApplied, Unknown};
    match status {
        300..=399 => (
            Backend,
            Unknown,
            "redirects are not followed; configure the URL that it redirects to",
        ),
        401 | 407 => (Unauthorized, NotApplied, "check the credentials"),
        403 => (
            Unauthorized,
            NotApplied,
            "check that the credentials have the permission",
        ),
        404 => (
            Backend,
            NotApplied,
            "check that the URL is right and that what it names exists",
        ),
        408 | 504 | 524 => (
            TimedOut,
            Unknown,
            "the server or a backend behind it took too long",
        ),
        413 | 414 | 431 => (
            TooLarge,
            NotApplied,
            "the key or the value is too large for the server",
        ),
        507 => (TooLarge, NotApplied, "the server has no space left"),
        429 => (RateLimited, NotApplied, "send fewer requests"),
        501 | 505 => (
            Backend,
            NotApplied,
            "the server does not support this request",
        ),
        400..=499 => (
            Backend,
            NotApplied,
            "the server refused the request; check that the URL is right",
        ),
        500..=599 => (Unavailable, Unknown, "the server is unavailable"),
        _ => (
            Backend,
            Unknown,
            "the status is unexpected; check that the URL is right",
        ),
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status.as_u16())
            .field("len", &self.body.len())
            .finish_non_exhaustive()
    }
}

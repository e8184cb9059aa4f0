use std::fmt;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use session_core::{Error, ErrorKind, Outcome, Result};

use crate::retry_after::retry_after;

/// What a server answered, with all of its body.
///
/// `Debug` shows the status and the length of the body.
#[derive(Clone)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self {
            status,
            headers,
            body,
        }
    }

    /// The status; errors of the server are answers too.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Whether the status is one of success, 200 to 299.
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// A header, if it is there and is text.
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

    /// The body as JSON; an error of kind [`Backend`](ErrorKind::Backend), whose outcome is unknown, if it is not the
    /// JSON that a `T` is made of.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            // The error itself can show what it stumbled over.
            let what = match error.classify() {
                serde_json::error::Category::Data => "JSON of another form than was expected",
                _ => "no whole JSON",
            };
            Error::new(
                ErrorKind::Backend,
                format!(
                    "the answer (HTTP {}, {} bytes) is {what}, in line {} and column {}; is it the right server, and \
                     nothing between that changes its answers?",
                    self.status.as_u16(),
                    self.body.len(),
                    error.line(),
                    error.column()
                ),
            )
        })
    }

    /// The error that this answer is, by its status alone:
    ///
    /// | status | kind | outcome |
    /// |---|---|---|
    /// | 401, 403, 407 | `Unauthorized` | not applied |
    /// | 408, 504, 524 | `TimedOut` | unknown |
    /// | 413, 414, 431 | `TooLarge` | not applied |
    /// | 429 | `RateLimited`, with the wait | not applied |
    /// | other 4xx, among them 400, 404 and 409; 501, 505 | `Backend` | not applied |
    /// | 507 | `TooLarge` | not applied |
    /// | other 5xx | `Unavailable`, with the wait if one is told | unknown |
    /// | everything else, among it redirects | `Backend` | unknown |
    ///
    /// Drivers look first for the statuses that mean something to them. The text of the answer is not part of the
    /// error, since servers repeat keys and values in it.
    pub fn error(&self) -> Error {
        let (kind, outcome, advice) = meaning(self.status.as_u16());
        let reason = self
            .status
            .canonical_reason()
            .unwrap_or("no standard status");
        let message = format!(
            "the server answered {} ({reason}); {advice}",
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
            "redirects are not followed; configure the URL that it leads to",
        ),
        401 | 407 => (Unauthorized, NotApplied, "are the credentials right?"),
        403 => (
            Unauthorized,
            NotApplied,
            "have the credentials the permission?",
        ),
        404 => (
            Backend,
            NotApplied,
            "is the URL right, and does what it names exist?",
        ),
        408 | 504 | 524 => (TimedOut, Unknown, "it or something behind it took too long"),
        413 | 414 | 431 => (
            TooLarge,
            NotApplied,
            "the key or the value is too long for it",
        ),
        507 => (TooLarge, NotApplied, "it has no room left"),
        429 => (RateLimited, NotApplied, "it asks for fewer requests"),
        501 | 505 => (Backend, NotApplied, "it cannot do what was asked"),
        400..=499 => (
            Backend,
            NotApplied,
            "it refuses the request; is it the right server, and the URL right?",
        ),
        500..=599 => (Unavailable, Unknown, "it does not serve now"),
        _ => (
            Backend,
            Unknown,
            "which nobody expects; is it the right server?",
        ),
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status.as_u16())
            .field("len", &self.body.len())
            .finish_non_exhaustive()
    }
}

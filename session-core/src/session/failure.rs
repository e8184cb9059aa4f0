//! The response that takes the place of the handler's when the changes of a session are not stored.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::{Error, ErrorKind, Outcome};

/// The response that an integration sends in place of the handler's, because the session's changes are not stored.
///
/// It has no body and no session cookie of this commit. Its status and its headers are those of the error:
/// [`Error::http_status`] and [`Error::http_headers`].
#[derive(Clone, Debug)]
pub struct CommitFailure(Arc<Error>);

impl CommitFailure {
    pub(crate) fn new(error: Error) -> Self {
        Self(Arc::new(error))
    }

    /// Returns the status of the response.
    pub fn status(&self) -> StatusCode {
        self.0.http_status()
    }

    /// Returns why the changes are not stored.
    pub fn error(&self) -> &Arc<Error> {
        &self.0
    }

    /// Adds the headers of the response.
    pub fn apply(&self, headers: &mut HeaderMap) {
        headers.extend(self.0.http_headers());
    }
}

/// For servers without an integration, and for error pages of an application:
///
/// ```
/// use http::Response;
/// use session_core::Error;
///
/// fn failed(error: &Error) -> Response<String> {
///     let mut response = Response::new(String::new());
///     *response.status_mut() = error.http_status();
///     *response.headers_mut() = error.http_headers();
///     response
/// }
/// ```
impl Error {
    /// Returns the status of the HTTP response that this error stands for.
    ///
    /// | error | status |
    /// |---|---|
    /// | the changes of the session were lost: [`Gone`](ErrorKind::Gone), [`Stale`](ErrorKind::Stale) | 409 |
    /// | [transient](Self::is_transient), and certainly not applied | 503 |
    /// | any other | 500 |
    ///
    /// An operation that may have been applied is never a 503, because a proxy may send such a request again.
    pub fn http_status(&self) -> StatusCode {
        match self.kind() {
            ErrorKind::Gone | ErrorKind::Stale => StatusCode::CONFLICT,
            _ if self.is_transient() && self.outcome() == Outcome::NotApplied => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns the headers of that response: `Cache-Control: no-store`, and for a 503 also `Retry-After`.
    ///
    /// `Retry-After` is the time that the backend asked for, and otherwise one second.
    pub fn http_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(2);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.http_status() == StatusCode::SERVICE_UNAVAILABLE {
            let wait = self.retry_after().unwrap_or(Duration::from_secs(1));
            let seconds = wait.as_millis().div_ceil(1_000).max(1);
            let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(kind: ErrorKind, outcome: Outcome) -> u16 {
        let error = Error::new(kind, "as planned").with_outcome(outcome);
        error.http_status().as_u16()
    }

    #[test]
    fn only_what_was_certainly_not_applied_may_be_sent_again() {
        assert_eq!(status(ErrorKind::Unavailable, Outcome::NotApplied), 503);
        assert_eq!(status(ErrorKind::Unavailable, Outcome::Unknown), 500);
        assert_eq!(status(ErrorKind::Contended, Outcome::NotApplied), 503);
        assert_eq!(status(ErrorKind::TooLarge, Outcome::NotApplied), 500);
        assert_eq!(status(ErrorKind::CorruptData, Outcome::NotApplied), 500);
        assert_eq!(status(ErrorKind::Gone, Outcome::NotApplied), 409);
        assert_eq!(status(ErrorKind::Stale, Outcome::NotApplied), 409);
    }

    #[test]
    fn a_failure_says_when_to_come_back_and_is_not_cached() {
        let error = Error::new(ErrorKind::RateLimited, "slow down")
            .with_retry_after(Duration::from_millis(2_100));
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
        CommitFailure::new(error).apply(&mut headers);
        assert_eq!(headers["retry-after"], "3");
        assert_eq!(headers.get_all(CACHE_CONTROL).iter().count(), 1);
        assert_eq!(headers["cache-control"], "no-store");
    }

    #[test]
    fn only_a_503_says_when_to_come_back() {
        for (kind, outcome) in [
            (ErrorKind::TimedOut, Outcome::Unknown),
            (ErrorKind::TooLarge, Outcome::NotApplied),
            (ErrorKind::Stale, Outcome::NotApplied),
        ] {
            let error = Error::new(kind, "as planned").with_outcome(outcome);
            let headers = error.http_headers();
            assert!(!headers.contains_key(RETRY_AFTER), "{kind:?}");
            assert_eq!(headers[CACHE_CONTROL], "no-store");
        }
    }
}

//! The error type of all crates of this project.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The category of an error, for a program to decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The key cannot be used: it is empty, reserved, or the backend has no way to hold it. Use another.
    InvalidKey,
    /// The configuration is wrong. The message names the option. Fix it and restart.
    InvalidConfig,
    /// The driver or the handle does not support this operation. Check its capabilities first.
    Unsupported,
    /// The backend refused the credentials or the permission. A retry does not help.
    Unauthorized,
    /// The backend asks to slow down. [`Error::retry_after`] says for how long, if the backend said so.
    RateLimited,
    /// No answer came in time.
    TimedOut,
    /// The backend cannot be reached or is not serving. A retry later may help.
    Unavailable,
    /// The key, the value or the record is larger than a limit. Store less.
    TooLarge,
    /// The stored data cannot be parsed. It was left unchanged.
    CorruptData,
    /// The driver was closed.
    Closed,
    /// The stored value has another type than the one asked for. It was left unchanged.
    WrongType,
    /// The value cannot be written in the storage format. Nothing was changed.
    Unserializable,
    /// The response has begun, so the session can no longer be changed by this handle.
    ResponseStarted,
    /// The application refused an update of a session value. Nothing was changed.
    Rejected,
    /// Other requests kept changing the session until the commit's deadline passed.
    Contended,
    /// The session was destroyed or has expired, so its changes were dropped.
    Gone,
    /// Another request changed a value after this request had read it, so the changes of this request were dropped.
    Stale,
    /// The backend failed in another way.
    Backend,
}

/// Whether a failed operation may have been applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was certainly not applied. It is safe to repeat.
    NotApplied,
    /// It may have been applied. Repeating it may apply it twice.
    Unknown,
}

/// An error that says what went wrong, where, and what to do about it.
///
/// ```
/// use session_core::{Error, ErrorKind, Outcome};
///
/// let error = Error::new(ErrorKind::TimedOut, "no answer within 5 s; is the server reachable?")
///     .with_context("redis", "write");
/// assert_eq!(error.outcome(), Outcome::Unknown);
/// assert_eq!(error.to_string(), "redis: write: no answer within 5 s; is the server reachable?");
/// ```
///
/// It never contains a session id, a key or a secret, and the messages of drivers must not either. The cause, if there
/// is one, is its [`source`](std::error::Error::source).
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    outcome: Outcome,
    message: String,
    context: Option<(String, &'static str)>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error whose message says what is wrong and what to do.
    ///
    /// Its outcome is [`Outcome::Unknown`] for the kinds after which a write may have been applied (timed out,
    /// unavailable, backend) and [`Outcome::NotApplied`] for the others. [`with_outcome`](Self::with_outcome) changes it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let outcome = match kind {
            ErrorKind::TimedOut | ErrorKind::Unavailable | ErrorKind::Backend => Outcome::Unknown,
            _ => Outcome::NotApplied,
        };
        Self(Box::new(Inner {
            kind,
            outcome,
            message: message.into(),
            context: None,
            retry_after: None,
            source: None,
        }))
    }

    /// The same error for one more caller, with `error` as its cause.
    #[cfg(any(feature = "near-cache", feature = "session"))]
    pub(crate) fn repeated(error: &std::sync::Arc<Self>) -> Self {
        let Inner {
            kind,
            outcome,
            ref message,
            ref context,
            retry_after,
            ..
        } = *error.0;
        Self(Box::new(Inner {
            kind,
            outcome,
            message: message.clone(),
            context: context.clone(),
            retry_after,
            source: Some(Box::new(std::sync::Arc::clone(error))),
        }))
    }

    /// The error of an operation that `driver` does not support.
    pub fn unsupported(driver: &str, operation: &'static str) -> Self {
        Self::new(
            ErrorKind::Unsupported,
            "operation not supported by this driver",
        )
        .with_context(driver, operation)
    }

    /// Sets whether the operation may have been applied.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    /// Names the driver and the operation. The innermost context is kept.
    #[must_use]
    pub fn with_context(mut self, driver: &str, operation: &'static str) -> Self {
        self.0
            .context
            .get_or_insert_with(|| (driver.to_owned(), operation));
        self
    }

    /// Sets how long the backend wants callers to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Sets the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The category of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the operation may have been applied.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// The driver that failed, if one did.
    pub fn driver(&self) -> Option<&str> {
        self.0.context.as_ref().map(|(driver, _)| driver.as_str())
    }

    /// The operation that failed, if a driver did.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.context.as_ref().map(|(_, operation)| *operation)
    }

    /// Whether a retry later may help: the backend is unavailable, timed out, contended or rate-limited.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::RateLimited
                | ErrorKind::TimedOut
                | ErrorKind::Unavailable
                | ErrorKind::Contended
        )
    }

    /// How long the backend wants callers to wait, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((driver, operation)) = &self.0.context {
            write!(f, "{driver}: {operation}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug
            .field("kind", &self.0.kind)
            .field("outcome", &self.0.outcome)
            .field("message", &self.0.message);
        if let Some((driver, operation)) = &self.0.context {
            debug.field("driver", driver).field("operation", operation);
        }
        if let Some(wait) = &self.0.retry_after {
            debug.field("retry_after", wait);
        }
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_context_stays() {
        let error = Error::new(ErrorKind::Backend, "broken")
            .with_context("sqlite", "read")
            .with_context("prefix", "read");
        assert_eq!(error.driver(), Some("sqlite"));
    }

    #[test]
    fn the_cause_is_kept() {
        let error = Error::new(ErrorKind::Backend, "broken").with_source("disk on fire");
        assert_eq!(
            error.source().map(ToString::to_string).as_deref(),
            Some("disk on fire")
        );
    }
}

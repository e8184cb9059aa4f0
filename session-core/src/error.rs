use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a program decides by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The key cannot be used: it is empty, reserved, or the backend has no way to hold it. Use another.
    InvalidKey,
    /// The configuration is wrong; the message names the option. Mend it and start again.
    InvalidConfig,
    /// The driver or the handle cannot do this. Ask its capabilities first.
    Unsupported,
    /// The backend refused the credentials or the permission. Repeating will not help.
    Unauthorized,
    /// The backend asks to slow down; [`Error::retry_after`] says for how long, where it told.
    RateLimited,
    /// No answer came in time.
    TimedOut,
    /// The backend cannot be reached or does not serve now. Repeating later may help.
    Unavailable,
    /// The key, the value or the record is over a limit. Store less.
    TooLarge,
    /// What is stored cannot be understood. It was left as it is.
    CorruptData,
    /// The driver was closed.
    Closed,
    /// A value is stored, but is not of the type asked for. It was left as it is.
    WrongType,
    /// A value cannot be written in the format of what is stored. Nothing was changed.
    Unserializable,
    /// The response has begun, so the session can no longer be changed by this handle.
    ResponseStarted,
    /// Others changed the session again and again until the commit's deadline passed.
    Contended,
    /// The backend failed in a way that has no kind of its own.
    Backend,
}

/// Whether the operation that failed may have happened all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It certainly did not happen; doing it again is safe.
    NotApplied,
    /// It may have happened; doing it again may do it twice.
    Unknown,
}

/// What went wrong, where, and what to do about it.
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
/// It never holds a session id, a key or a secret; drivers give messages that keep to this. The cause,
/// where there is one, is kept as [`source`](std::error::Error::source).
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
    /// An error with a message that says what is wrong and what to do.
    ///
    /// Its outcome is [`Outcome::Unknown`] for the kinds after which a write may have happened (timed
    /// out, unavailable, backend), and [`Outcome::NotApplied`] for the others, until
    /// [`with_outcome`](Self::with_outcome) says better.
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

    /// The error for an operation that `driver` does not have.
    pub fn unsupported(driver: &str, operation: &'static str) -> Self {
        Self::new(
            ErrorKind::Unsupported,
            "this driver cannot do it, as its capabilities say",
        )
        .with_context(driver, operation)
    }

    /// Says whether the operation may have happened all the same.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    /// Names the driver and the operation; the innermost context stays.
    #[must_use]
    pub fn with_context(mut self, driver: &str, operation: &'static str) -> Self {
        self.0
            .context
            .get_or_insert_with(|| (driver.to_owned(), operation));
        self
    }

    /// Says how long the backend wants callers to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the operation may have happened all the same.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// The driver that failed, where one did.
    pub fn driver(&self) -> Option<&str> {
        self.0.context.as_ref().map(|(driver, _)| driver.as_str())
    }

    /// The operation that failed, where a driver did.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.context.as_ref().map(|(_, operation)| *operation)
    }

    /// How long the backend wants callers to wait, where it told.
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

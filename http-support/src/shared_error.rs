use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use session_core::Error;

/// An error of several callers, such as those whose operations shared a request.
///
/// ```
/// use http_support::SharedError;
/// use session_core::{Error, ErrorKind};
///
/// let shared = SharedError::new(Error::new(ErrorKind::Unavailable, "no connection"));
/// for error in [shared.to_error(), shared.to_error()] {
///     assert_eq!(error.kind(), ErrorKind::Unavailable);
///     assert_eq!(error.to_string(), "no connection");
/// }
/// ```
///
/// The error must not have a context yet, since the context would become a part of the message.
#[derive(Clone, Debug)]
pub struct SharedError(Arc<Error>);

impl SharedError {
    /// Shares `error`.
    pub fn new(error: Error) -> Self {
        Self(Arc::new(error))
    }

    /// The shared error itself.
    pub fn get(&self) -> &Error {
        &self.0
    }

    /// Copies the error: the copy has the same kind, outcome, message, wait and cause.
    pub fn to_error(&self) -> Error {
        let shared = &self.0;
        let mut error =
            Error::new(shared.kind(), shared.to_string()).with_outcome(shared.outcome());
        if let Some(wait) = shared.retry_after() {
            error = error.with_retry_after(wait);
        }
        match shared.source() {
            Some(_) => error.with_source(Cause(Arc::clone(shared))),
            None => error,
        }
    }
}

/// The cause of a shared error.
struct Cause(Arc<Error>);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.source() {
            Some(cause) => fmt::Display::fmt(cause, f),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.source() {
            Some(cause) => fmt::Debug::fmt(cause, f),
            None => Ok(()),
        }
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source().and_then(StdError::source)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use session_core::{ErrorKind, Outcome};

    use super::*;

    #[test]
    fn a_shared_error_says_the_same_to_each() {
        let cause = std::io::Error::other("the cable");
        let error = Error::new(ErrorKind::Unavailable, "no connection")
            .with_outcome(Outcome::NotApplied)
            .with_retry_after(Duration::from_secs(1))
            .with_source(cause);
        let shared = SharedError::new(error);
        for error in [shared.to_error(), shared.to_error()] {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert_eq!(error.outcome(), Outcome::NotApplied);
            assert_eq!(error.retry_after(), shared.get().retry_after());
            assert_eq!(error.to_string(), "no connection");
            assert_eq!(error.source().unwrap().to_string(), "the cable");
        }
    }
}

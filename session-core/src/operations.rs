//! Timeouts and error context for the operations of a driver.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout;

use crate::{Error, ErrorKind, Outcome, Result};

/// How long one operation may take by default: 5 s.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a clear may take by default: 10 minutes.
pub const DEFAULT_CLEAR_TIMEOUT: Duration = Duration::from_secs(600);

/// Limits each operation of a driver to a timeout, and adds the driver and the operation to its errors.
///
/// ```
/// use std::time::Duration;
/// use session_core::{ErrorKind, Operations, Outcome};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let operations = Operations::new("shelf", Duration::from_secs(2));
/// let error = operations.change::<()>("write", std::future::pending()).await.unwrap_err();
///
/// assert_eq!(error.kind(), ErrorKind::TimedOut);
/// assert_eq!(error.outcome(), Outcome::Unknown);
/// assert!(error.to_string().starts_with("shelf: write: no answer within 2s"));
/// # }
/// ```
///
/// It is a helper for authors of drivers. A driver that uses it completes every call in time, even without the
/// [`Timeout`](crate::decorators::Timeout) decorator.
#[derive(Clone, Debug)]
pub struct Operations {
    driver: String,
    timeout: Duration,
}

impl Operations {
    /// Creates a helper for `driver`, with a timeout for each operation.
    pub fn new(driver: impl Into<String>, timeout: Duration) -> Self {
        Self {
            driver: driver.into(),
            timeout,
        }
    }

    /// The same operations with another timeout, such as that of a clear.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self::new(self.driver.clone(), timeout)
    }

    /// How long an operation may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Names driver and operation in the error of `result`, for an operation that keeps the time itself.
    pub fn name<T>(&self, operation: &'static str, result: Result<T>) -> Result<T> {
        result.map_err(|error| error.with_context(&self.driver, operation))
    }

    /// Runs an operation that changes nothing, so that each of its errors says that it was not applied.
    pub fn read<T>(
        &self,
        operation: &'static str,
        future: impl Future<Output = Result<T>>,
    ) -> impl Future<Output = Result<T>> {
        let result = self.run(operation, Outcome::NotApplied, future);
        result.map(|result| result.map_err(|error| error.with_outcome(Outcome::NotApplied)))
    }

    /// Runs an operation that changes something. When it times out, it may have been applied.
    pub fn change<T>(
        &self,
        operation: &'static str,
        future: impl Future<Output = Result<T>>,
    ) -> impl Future<Output = Result<T>> {
        self.run(operation, Outcome::Unknown, future)
    }

    /// Runs `count` changes that have a result each. When they time out, each may have been applied.
    pub fn changes<T>(
        &self,
        operation: &'static str,
        count: usize,
        future: impl Future<Output = Vec<Result<T>>>,
    ) -> impl Future<Output = Vec<Result<T>>> {
        timeout(self.timeout, future).map(move |results| match results {
            Ok(results) => results
                .into_iter()
                .map(|result| self.name(operation, result))
                .collect(),
            Err(_) => std::iter::repeat_with(|| Err(self.timed_out(operation, Outcome::Unknown)))
                .take(count)
                .collect(),
        })
    }

    /// Combines the results of the parts of one change, such as the removals of a batch.
    ///
    /// The first error is returned. Its outcome is "not applied" only if no part may have been applied.
    pub fn combine(results: impl IntoIterator<Item = Result<()>>) -> Result<()> {
        let (mut outcome, mut first) = (Outcome::NotApplied, None);
        for result in results {
            match result {
                Ok(()) => outcome = Outcome::Unknown,
                Err(error) => {
                    if error.outcome() == Outcome::Unknown {
                        outcome = Outcome::Unknown;
                    }
                    first.get_or_insert(error);
                }
            }
        }
        match first {
            None => Ok(()),
            Some(error) => Err(error.with_outcome(outcome)),
        }
    }

    /// Adapters, and not async functions: each of those would hold the future twice, and make a call slower by that.
    fn run<T>(
        &self,
        operation: &'static str,
        outcome: Outcome,
        future: impl Future<Output = Result<T>>,
    ) -> impl Future<Output = Result<T>> {
        timeout(self.timeout, future).map(move |result| match result {
            Ok(result) => self.name(operation, result),
            Err(_) => Err(self.timed_out(operation, outcome)),
        })
    }

    fn timed_out(&self, operation: &'static str, outcome: Outcome) -> Error {
        timed_out(self.timeout)
            .with_outcome(outcome)
            .with_context(&self.driver, operation)
    }
}

/// The error of a call that was not answered within `timeout`.
pub(crate) fn timed_out(timeout: Duration) -> Error {
    Error::new(
        ErrorKind::TimedOut,
        format!(
            "no answer within {timeout:?}; check that the backend is reachable and not overloaded, or raise `timeout`"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_operation_holds_its_future_once() {
        let operations = Operations::new("shelf", DEFAULT_TIMEOUT);
        let value = [0_u8; 4096];
        let future = async move {
            tokio::task::yield_now().await;
            Ok(value)
        };
        let size = size_of_val(&future);
        assert!(size_of_val(&operations.read("read", future)) < size + 1024);
    }

    #[test]
    fn a_change_of_several_parts_was_not_applied_only_if_no_part_was() {
        use Outcome::{NotApplied, Unknown};
        let failed = |outcome| Err(Error::new(ErrorKind::Unavailable, "").with_outcome(outcome));
        Operations::combine([Ok(()), Ok(())]).unwrap();
        for (results, outcome) in [
            ([failed(NotApplied), failed(NotApplied)], NotApplied),
            ([failed(NotApplied), failed(Unknown)], Unknown),
            ([failed(NotApplied), Ok(())], Unknown),
        ] {
            let error = Operations::combine(results).unwrap_err();
            assert_eq!(error.outcome(), outcome);
        }
    }
}

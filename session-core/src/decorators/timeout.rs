use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;

use crate::{
    Capabilities, Change, Driver, Entry, Error, ErrorKind, Key, ListOptions, ListPage, Metadata,
    Outcome, Prefix, RemoveOptions, RemoveOutcome, Result, TouchOptions, Write, WriteOptions,
    WriteOutcome,
};

/// How long one operation may take when nobody says: 5 s.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a clear may take when nobody says: 10 minutes.
pub const DEFAULT_CLEAR_TIMEOUT: Duration = Duration::from_secs(600);

/// A driver that gives up on an operation of another after a set time.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use session_core::{decorators::Timeout, Driver};
///
/// fn patient(driver: Arc<dyn Driver>) -> impl Driver {
///     Timeout::new(driver, Duration::from_secs(2))
/// }
/// ```
///
/// # Notes
///
/// An operation that runs out of time is dropped and is an error of kind
/// [`TimedOut`](ErrorKind::TimedOut). For one that changes something the outcome is
/// [`Unknown`](Outcome::Unknown), since it may have reached the backend. In a batch of writes that is so
/// for each of them.
///
/// A clear walks over many entries and has a time of its own, [`with_clear_timeout`](Self::with_clear_timeout).
/// Waiting on a watch is not limited; starting one is.
///
/// # Default
///
/// [`with_default`](Self::with_default) gives 5 s an operation and 10 minutes a clear.
#[derive(Clone, Debug)]
pub struct Timeout<D> {
    inner: D,
    limit: Duration,
    clear_limit: Duration,
}

impl<D: Driver> Timeout<D> {
    /// Gives each operation of `inner` at most `limit`.
    pub fn new(inner: D, limit: Duration) -> Self {
        Self {
            inner,
            limit,
            clear_limit: DEFAULT_CLEAR_TIMEOUT,
        }
    }

    /// Gives each operation of `inner` 5 s.
    pub fn with_default(inner: D) -> Self {
        Self::new(inner, DEFAULT_TIMEOUT)
    }

    /// Sets how long a clear may take.
    #[must_use]
    pub fn with_clear_timeout(mut self, limit: Duration) -> Self {
        self.clear_limit = limit;
        self
    }

    fn error(&self, operation: &'static str, outcome: Outcome, limit: Duration) -> Error {
        Error::new(
            ErrorKind::TimedOut,
            format!(
                "no answer within {limit:?}; is the backend reachable, or the timeout too short?"
            ),
        )
        .with_outcome(outcome)
        .with_context(self.inner.name(), operation)
    }

    async fn limited<T>(
        &self,
        operation: &'static str,
        outcome: Outcome,
        future: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match tokio::time::timeout(self.limit, future).await {
            Ok(result) => result,
            Err(_) => Err(self.error(operation, outcome, self.limit)),
        }
    }
}

#[async_trait]
impl<D: Driver> Driver for Timeout<D> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.limited("read", Outcome::NotApplied, self.inner.read(key))
            .await
    }

    async fn read_value(&self, key: &Key) -> Result<Option<Entry>> {
        self.limited("read", Outcome::NotApplied, self.inner.read_value(key))
            .await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let write = self.inner.write(key, value, options);
        self.limited("write", Outcome::Unknown, write).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let removal = self.inner.remove(key, options);
        self.limited("remove", Outcome::Unknown, removal).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.limited("list", Outcome::NotApplied, self.inner.list(options))
            .await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        self.limited("exists", Outcome::NotApplied, self.inner.exists(key))
            .await
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        self.limited("metadata", Outcome::NotApplied, self.inner.metadata(key))
            .await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        self.limited("touch", Outcome::Unknown, self.inner.touch(key, options))
            .await
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.limited("read_many", Outcome::NotApplied, self.inner.read_many(keys))
            .await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let count = writes.len();
        match tokio::time::timeout(self.limit, self.inner.write_many(writes)).await {
            Ok(outcomes) => outcomes,
            Err(_) => std::iter::repeat_with(|| {
                Err(self.error("write_many", Outcome::Unknown, self.limit))
            })
            .take(count)
            .collect(),
        }
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        self.limited(
            "remove_many",
            Outcome::Unknown,
            self.inner.remove_many(keys),
        )
        .await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        match tokio::time::timeout(self.clear_limit, self.inner.clear(prefix)).await {
            Ok(result) => result,
            Err(_) => Err(self.error("clear", Outcome::Unknown, self.clear_limit)),
        }
    }

    async fn watch(&self, prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        self.limited("watch", Outcome::NotApplied, self.inner.watch(prefix))
            .await
    }

    async fn close(&self) -> Result<()> {
        self.limited("close", Outcome::Unknown, self.inner.close())
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Stuck;

    #[test_support::test(start_paused = true)]
    async fn a_stuck_read_times_out_and_changed_nothing() {
        let driver = Timeout::with_default(Stuck);
        let error = driver.read(&Key::new("k").unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert_eq!(error.driver(), Some("stuck"));
    }

    #[test_support::test(start_paused = true)]
    async fn a_stuck_write_times_out_and_its_outcome_is_unknown() {
        let driver = Timeout::with_default(Stuck);
        let key = Key::new("k").unwrap();
        let error = driver
            .write(&key, Bytes::new(), WriteOptions::default())
            .await
            .unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown);

        let write = Write {
            key,
            value: Bytes::new(),
            options: WriteOptions::default(),
        };
        let outcomes = driver.write_many(vec![write.clone(), write]).await;
        assert_eq!(outcomes.len(), 2);
        assert!(outcomes.iter().all(|outcome| matches!(
            outcome,
            Err(error) if error.outcome() == Outcome::Unknown
        )));
    }

    #[test_support::test(start_paused = true)]
    async fn a_stuck_clear_has_a_time_of_its_own() {
        let driver = Timeout::with_default(Stuck).with_clear_timeout(Duration::from_secs(60));
        let started = tokio::time::Instant::now();
        let error = driver.clear(&Prefix::root()).await.unwrap_err();
        assert_eq!(error.operation(), Some("clear"));
        assert_eq!(started.elapsed(), Duration::from_secs(60));
    }
}

//! The [`Timeout`] decorator.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;

use crate::{
    Change, DEFAULT_CLEAR_TIMEOUT, DEFAULT_TIMEOUT, Driver, Entry, Key, ListOptions, ListPage,
    Metadata, Operations, Prefix, RemoveOptions, RemoveOutcome, Result, TouchOptions, Write,
    WriteOptions, WriteOutcome, delegate_driver,
};

/// A driver that limits how long each operation of another driver may take.
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
/// An operation that exceeds the limit is dropped and is an error of kind
/// [`TimedOut`](crate::ErrorKind::TimedOut). For an operation that changes something, the outcome is
/// [`Unknown`](crate::Outcome::Unknown), since it may have reached the backend. In a batch of writes this applies to
/// each write.
///
/// `clear` has its own limit, [`with_clear_timeout`](Self::with_clear_timeout), since it may remove many entries. For
/// `watch`, only the start is limited, not the stream.
///
/// # Default
///
/// [`with_default`](Self::with_default) sets 5 s for an operation and 10 minutes for `clear`.
#[derive(Clone, Debug)]
pub struct Timeout<D> {
    inner: D,
    operations: Operations,
    clear: Operations,
}

impl<D: Driver> Timeout<D> {
    /// Limits each operation of `inner` to `limit`.
    pub fn new(inner: D, limit: Duration) -> Self {
        let operations = Operations::new(inner.name(), limit);
        let clear = operations.with_timeout(DEFAULT_CLEAR_TIMEOUT);
        Self {
            inner,
            operations,
            clear,
        }
    }

    /// Limits each operation of `inner` to 5 s.
    pub fn with_default(inner: D) -> Self {
        Self::new(inner, DEFAULT_TIMEOUT)
    }

    /// Sets the limit of `clear`.
    #[must_use]
    pub fn with_clear_timeout(mut self, limit: Duration) -> Self {
        self.clear = self.clear.with_timeout(limit);
        self
    }
}

#[async_trait]
impl<D: Driver> Driver for Timeout<D> {
    delegate_driver!(this => this.inner, except read, write, remove, list, exists, metadata, touch, read_many, write_many, remove_many, clear, watch, read_tracked, sync_invalidations, close);

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.operations.read("read", self.inner.read(key)).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let write = self.inner.write(key, value, options);
        self.operations.change("write", write).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let removal = self.inner.remove(key, options);
        self.operations.change("remove", removal).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.operations.read("list", self.inner.list(options)).await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        self.operations.read("exists", self.inner.exists(key)).await
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        self.operations
            .read("metadata", self.inner.metadata(key))
            .await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        self.operations
            .change("touch", self.inner.touch(key, options))
            .await
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.operations
            .read("read_many", self.inner.read_many(keys))
            .await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let count = writes.len();
        let writing = self.inner.write_many(writes);
        self.operations.changes("write_many", count, writing).await
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        self.operations
            .change("remove_many", self.inner.remove_many(keys))
            .await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        self.clear.change("clear", self.inner.clear(prefix)).await
    }

    async fn watch(&self, prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        self.operations
            .read("watch", self.inner.watch(prefix))
            .await
    }

    async fn read_tracked(&self, key: &Key) -> Result<Option<Entry>> {
        let read = self.inner.read_tracked(key);
        self.operations.read("read_tracked", read).await
    }

    async fn sync_invalidations(&self) -> Result<()> {
        let sync = self.inner.sync_invalidations();
        self.operations.read("sync_invalidations", sync).await
    }

    async fn close(&self) -> Result<()> {
        self.operations.change("close", self.inner.close()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Stuck;
    use crate::{ErrorKind, Outcome};

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

        let write = Write::new(key, Bytes::new());
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

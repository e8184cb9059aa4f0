//! The [`ReadOnly`] decorator.

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Capabilities, Conditions, Driver, Error, Key, Prefix, RemoveOptions, RemoveOutcome, Result,
    TouchOptions, Write, WriteOptions, WriteOutcome, delegate_driver,
};

/// A driver that reads from another driver and rejects every change.
///
/// ```
/// use std::sync::Arc;
/// use session_core::{decorators::ReadOnly, Driver};
///
/// fn for_reports(live: Arc<dyn Driver>) -> impl Driver {
///     ReadOnly::new(live)
/// }
/// ```
///
/// A change is an error of kind [`Unsupported`](crate::ErrorKind::Unsupported) and does not reach the inner driver.
/// (unstorage silently ignores a write to a read-only driver.) Entries still expire, and others may change them. Closing
/// it closes the inner driver.
#[derive(Clone, Debug)]
pub struct ReadOnly<D> {
    inner: D,
}

impl<D: Driver> ReadOnly<D> {
    /// Creates a read-only driver over `inner`.
    pub fn new(inner: D) -> Self {
        Self { inner }
    }

    fn refused(&self, operation: &'static str) -> Error {
        Error::unsupported(self.inner.name(), operation)
    }
}

#[async_trait]
impl<D: Driver> Driver for ReadOnly<D> {
    delegate_driver!(this => this.inner, except capabilities, write, remove, touch, write_many, remove_many, clear);

    fn capabilities(&self) -> Capabilities {
        self.inner
            .capabilities()
            .with_read_only(true)
            .with_conditions(Conditions::None)
            .with_touch(false)
    }

    async fn write(
        &self,
        _key: &Key,
        _value: Bytes,
        _options: WriteOptions,
    ) -> Result<WriteOutcome> {
        Err(self.refused("write"))
    }

    async fn remove(&self, _key: &Key, _options: RemoveOptions) -> Result<RemoveOutcome> {
        Err(self.refused("remove"))
    }

    async fn touch(&self, _key: &Key, _options: TouchOptions) -> Result<bool> {
        Err(self.refused("touch"))
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let refused = |_| Err(self.refused("write_many"));
        writes.iter().map(refused).collect()
    }

    async fn remove_many(&self, _keys: &[Key]) -> Result<()> {
        Err(self.refused("remove_many"))
    }

    async fn clear(&self, _prefix: &Prefix) -> Result<()> {
        Err(self.refused("clear"))
    }
}

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;

use crate::{
    Capabilities, Change, Conditions, Driver, Entry, Error, Key, ListOptions, ListPage, Metadata,
    Prefix, RemoveOptions, RemoveOutcome, Result, TouchOptions, Write, WriteOptions, WriteOutcome,
};

/// A driver that reads from another and refuses every change.
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
/// A change is an error of kind [`Unsupported`](crate::ErrorKind::Unsupported), and nothing reaches the driver
/// below. (unstorage takes a write to a driver that cannot write as done.) Entries end all the same, and others may
/// change them. Closing closes the driver below.
#[derive(Clone, Debug)]
pub struct ReadOnly<D> {
    inner: D,
}

impl<D: Driver> ReadOnly<D> {
    /// Reads from `inner`.
    pub fn new(inner: D) -> Self {
        Self { inner }
    }

    fn refused(&self, operation: &'static str) -> Error {
        Error::unsupported(self.inner.name(), operation)
    }
}

#[async_trait]
impl<D: Driver> Driver for ReadOnly<D> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            read_only: true,
            conditions: Conditions::None,
            touch: false,
            ..self.inner.capabilities()
        }
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.inner.read(key).await
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

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.inner.list(options).await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        self.inner.exists(key).await
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        self.inner.metadata(key).await
    }

    async fn touch(&self, _key: &Key, _options: TouchOptions) -> Result<bool> {
        Err(self.refused("touch"))
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.inner.read_many(keys).await
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

    async fn watch(&self, prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        self.inner.watch(prefix).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

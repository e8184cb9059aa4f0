use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use session_core::decorators::Prefixed;
use session_core::{
    Capabilities, Change, Driver, Entry, Key, ListOptions, ListPage, Metadata, Prefix,
    RemoveOptions, RemoveOutcome, Result, TouchOptions, Write, WriteOptions, WriteOutcome,
};

use crate::subject::Convergence;

/// A driver whose changes are over only when every reader sees them.
pub(crate) struct Converging {
    inner: Prefixed<Arc<dyn Driver>>,
    convergence: Arc<Convergence>,
}

impl Converging {
    pub(crate) fn new(inner: Prefixed<Arc<dyn Driver>>, convergence: Arc<Convergence>) -> Self {
        Self { inner, convergence }
    }

    /// Gives `result` once every reader sees what was done.
    async fn seen<T>(&self, result: T) -> T {
        (self.convergence)().await;
        result
    }
}

impl fmt::Debug for Converging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Converging").field(&self.inner).finish()
    }
}

#[async_trait]
impl Driver for Converging {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.inner.read(key).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.seen(self.inner.write(key, value, options).await).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.seen(self.inner.remove(key, options).await).await
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

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        self.seen(self.inner.touch(key, options).await).await
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.inner.read_many(keys).await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        self.seen(self.inner.write_many(writes).await).await
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        self.seen(self.inner.remove_many(keys).await).await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        self.seen(self.inner.clear(prefix).await).await
    }

    async fn watch(&self, prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        self.inner.watch(prefix).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

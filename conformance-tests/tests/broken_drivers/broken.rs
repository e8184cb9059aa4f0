//! A correct driver with one flaw.

use session_core::*;
use std::sync::Arc;

/// A flaw. Methods that it does not override forward to the correct driver.
#[async_trait]
pub(crate) trait Flaw: Send + Sync + 'static {
    fn capabilities(&self, inner: &dyn Driver) -> Capabilities {
        inner.capabilities()
    }

    async fn read(&self, inner: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
        inner.read(key).await
    }

    async fn write(
        &self,
        inner: &dyn Driver,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        inner.write(key, value, options).await
    }

    async fn remove(
        &self,
        inner: &dyn Driver,
        key: &Key,
        options: RemoveOptions,
    ) -> Result<RemoveOutcome> {
        inner.remove(key, options).await
    }

    async fn list(&self, inner: &dyn Driver, options: ListOptions) -> Result<ListPage> {
        inner.list(options).await
    }

    async fn exists(&self, inner: &dyn Driver, key: &Key) -> Result<bool> {
        inner.exists(key).await
    }

    async fn metadata(&self, inner: &dyn Driver, key: &Key) -> Result<Option<Metadata>> {
        inner.metadata(key).await
    }

    async fn touch(&self, inner: &dyn Driver, key: &Key, options: TouchOptions) -> Result<bool> {
        inner.touch(key, options).await
    }

    async fn read_many(&self, inner: &dyn Driver, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        inner.read_many(keys).await
    }

    async fn write_many(
        &self,
        inner: &dyn Driver,
        writes: Vec<Write>,
    ) -> Vec<Result<WriteOutcome>> {
        inner.write_many(writes).await
    }

    async fn remove_many(&self, inner: &dyn Driver, keys: &[Key]) -> Result<()> {
        inner.remove_many(keys).await
    }

    async fn clear(&self, inner: &dyn Driver, prefix: &Prefix) -> Result<()> {
        inner.clear(prefix).await
    }

    async fn watch(
        &self,
        inner: &dyn Driver,
        prefix: &Prefix,
    ) -> Result<BoxStream<'static, Result<Change>>> {
        inner.watch(prefix).await
    }

    async fn close(&self, inner: &dyn Driver) -> Result<()> {
        inner.close().await
    }
}

/// A driver with one flaw.
pub(crate) struct Broken<F> {
    inner: Arc<dyn Driver>,
    flaw: F,
}

impl<F: Flaw> Broken<F> {
    pub(crate) fn new(inner: impl Driver, flaw: F) -> Self {
        Self {
            inner: Arc::new(inner),
            flaw,
        }
    }
}

#[async_trait]
impl<F: Flaw> Driver for Broken<F> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.flaw.capabilities(&*self.inner)
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.flaw.read(&*self.inner, key).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.flaw.write(&*self.inner, key, value, options).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.flaw.remove(&*self.inner, key, options).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.flaw.list(&*self.inner, options).await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        self.flaw.exists(&*self.inner, key).await
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        self.flaw.metadata(&*self.inner, key).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        self.flaw.touch(&*self.inner, key, options).await
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.flaw.read_many(&*self.inner, keys).await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        self.flaw.write_many(&*self.inner, writes).await
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        self.flaw.remove_many(&*self.inner, keys).await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        self.flaw.clear(&*self.inner, prefix).await
    }

    async fn watch(&self, prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        self.flaw.watch(&*self.inner, prefix).await
    }

    async fn listen(&self, listener: Arc<dyn InvalidationListener>) -> Result<()> {
        self.inner.listen(listener).await
    }

    async fn read_tracked(&self, key: &Key) -> Result<Option<Entry>> {
        self.inner.read_tracked(key).await
    }

    async fn sync_invalidations(&self) -> Result<()> {
        self.inner.sync_invalidations().await
    }

    async fn close(&self) -> Result<()> {
        self.flaw.close(&*self.inner).await
    }
}

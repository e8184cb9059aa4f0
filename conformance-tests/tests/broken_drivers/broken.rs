//! A right driver in which one thing can be made wrong.

use session_core::*;
use std::sync::Arc;

/// One way to be wrong: whatever a flaw does not override is passed on to the right driver.
#[async_trait]
pub(crate) trait Flaw: Send + Sync + 'static {
    fn capabilities(&self, right: &dyn Driver) -> Capabilities {
        right.capabilities()
    }

    async fn read(&self, right: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
        right.read(key).await
    }

    async fn write(
        &self,
        right: &dyn Driver,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        right.write(key, value, options).await
    }

    async fn remove(
        &self,
        right: &dyn Driver,
        key: &Key,
        options: RemoveOptions,
    ) -> Result<RemoveOutcome> {
        right.remove(key, options).await
    }

    async fn list(&self, right: &dyn Driver, options: ListOptions) -> Result<ListPage> {
        right.list(options).await
    }

    async fn exists(&self, right: &dyn Driver, key: &Key) -> Result<bool> {
        right.exists(key).await
    }

    async fn metadata(&self, right: &dyn Driver, key: &Key) -> Result<Option<Metadata>> {
        right.metadata(key).await
    }

    async fn touch(&self, right: &dyn Driver, key: &Key, options: TouchOptions) -> Result<bool> {
        right.touch(key, options).await
    }

    async fn read_many(&self, right: &dyn Driver, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        right.read_many(keys).await
    }

    async fn write_many(
        &self,
        right: &dyn Driver,
        writes: Vec<Write>,
    ) -> Vec<Result<WriteOutcome>> {
        right.write_many(writes).await
    }

    async fn remove_many(&self, right: &dyn Driver, keys: &[Key]) -> Result<()> {
        right.remove_many(keys).await
    }

    async fn clear(&self, right: &dyn Driver, prefix: &Prefix) -> Result<()> {
        right.clear(prefix).await
    }

    async fn watch(
        &self,
        right: &dyn Driver,
        prefix: &Prefix,
    ) -> Result<BoxStream<'static, Result<Change>>> {
        right.watch(prefix).await
    }

    async fn close(&self, right: &dyn Driver) -> Result<()> {
        right.close().await
    }
}

/// A driver with one flaw.
pub(crate) struct Broken<F> {
    right: Arc<dyn Driver>,
    flaw: F,
}

impl<F: Flaw> Broken<F> {
    pub(crate) fn new(right: impl Driver, flaw: F) -> Self {
        Self {
            right: Arc::new(right),
            flaw,
        }
    }
}

#[async_trait]
impl<F: Flaw> Driver for Broken<F> {
    fn name(&self) -> &str {
        self.right.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.flaw.capabilities(&*self.right)
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.flaw.read(&*self.right, key).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.flaw.write(&*self.right, key, value, options).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.flaw.remove(&*self.right, key, options).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.flaw.list(&*self.right, options).await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        self.flaw.exists(&*self.right, key).await
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        self.flaw.metadata(&*self.right, key).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        self.flaw.touch(&*self.right, key, options).await
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.flaw.read_many(&*self.right, keys).await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        self.flaw.write_many(&*self.right, writes).await
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        self.flaw.remove_many(&*self.right, keys).await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        self.flaw.clear(&*self.right, prefix).await
    }

    async fn watch(&self, prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        self.flaw.watch(&*self.right, prefix).await
    }

    async fn close(&self) -> Result<()> {
        self.flaw.close(&*self.right).await
    }
}

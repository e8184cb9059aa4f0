//! The [`Prefixed`] decorator.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;

use crate::{
    Capabilities, Change, Driver, Entry, InvalidationListener, Key, ListOptions, ListPage,
    Metadata, Prefix, RemoveOptions, RemoveOutcome, Result, TouchOptions, Write, WriteOptions,
    WriteOutcome, delegate_driver,
};

/// A driver that puts a prefix in front of all keys of another driver.
///
/// ```
/// use std::sync::Arc;
/// use session_core::{decorators::Prefixed, Driver, Prefix, Result};
///
/// fn below_app(shared: Arc<dyn Driver>) -> Result<impl Driver> {
///     Ok(Prefixed::new(shared, Prefix::new("app")?))
/// }
/// ```
///
/// It neither sees nor changes keys outside the prefix; that includes listing and clearing. The maximum key size shrinks
/// by the length of the prefix and its separator. Closing it closes the inner driver.
#[derive(Clone, Debug)]
pub struct Prefixed<D> {
    inner: D,
    prefix: Prefix,
}

impl<D: Driver> Prefixed<D> {
    /// Puts `prefix` in front of all keys of `inner`; the root prefix changes nothing.
    pub fn new(inner: D, prefix: Prefix) -> Self {
        Self { inner, prefix }
    }
}

#[async_trait]
impl<D: Driver> Driver for Prefixed<D> {
    delegate_driver!(this => this.inner, except capabilities, read, write, remove, list, exists, metadata, touch, read_many, write_many, remove_many, clear, watch, listen, read_tracked);

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        if !self.prefix.is_root() {
            let overhead = self.prefix.as_str().len() + 1;
            capabilities.max_key_size = capabilities
                .max_key_size
                .map(|size| size.saturating_sub(overhead));
        }
        capabilities
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.inner.read(&self.prefix.join(key)).await
    }

    async fn read_tracked(&self, key: &Key) -> Result<Option<Entry>> {
        self.inner.read_tracked(&self.prefix.join(key)).await
    }

    async fn listen(&self, listener: Arc<dyn InvalidationListener>) -> Result<()> {
        let prefix = self.prefix.clone();
        self.inner
            .listen(Arc::new(Stripped { listener, prefix }))
            .await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.inner
            .write(&self.prefix.join(key), value, options)
            .await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.inner.remove(&self.prefix.join(key), options).await
    }

    async fn list(&self, mut options: ListOptions) -> Result<ListPage> {
        options.prefix = self.prefix.join_prefix(&options.prefix);
        let page = self.inner.list(options).await?;
        let keys = page
            .keys
            .iter()
            .filter_map(|key| self.prefix.strip(key))
            .collect();
        Ok(ListPage::new(keys, page.next))
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        self.inner.exists(&self.prefix.join(key)).await
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        self.inner.metadata(&self.prefix.join(key)).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        self.inner.touch(&self.prefix.join(key), options).await
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.inner.read_many(&self.join_all(keys)).await
    }

    async fn write_many(&self, mut writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        for write in &mut writes {
            write.key = self.prefix.join(&write.key);
        }
        self.inner.write_many(writes).await
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        self.inner.remove_many(&self.join_all(keys)).await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        self.inner.clear(&self.prefix.join_prefix(prefix)).await
    }

    async fn watch(&self, prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        let own = self.prefix.clone();
        let changes = self.inner.watch(&own.join_prefix(prefix)).await?;
        let stripped = changes.filter_map(move |change| {
            let change = change
                .map(|Change { key, kind }| own.strip(&key).map(|key| Change { key, kind }))
                .transpose();
            std::future::ready(change)
        });
        Ok(stripped.boxed())
    }
}

/// Passes on what concerns keys below the prefix.
struct Stripped {
    listener: Arc<dyn InvalidationListener>,
    prefix: Prefix,
}

impl InvalidationListener for Stripped {
    fn invalidate(&self, key: &Key) {
        if let Some(key) = self.prefix.strip(key) {
            self.listener.invalidate(&key);
        }
    }

    fn invalidate_all(&self) {
        self.listener.invalidate_all();
    }
}

impl<D> Prefixed<D> {
    fn join_all(&self, keys: &[Key]) -> Vec<Key> {
        keys.iter().map(|key| self.prefix.join(key)).collect()
    }
}

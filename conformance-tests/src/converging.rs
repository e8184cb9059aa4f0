//! Waits after each change until all readers see it, for backends with lagging replicas.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use session_core::decorators::Prefixed;
use session_core::{
    Driver, Key, Prefix, RemoveOptions, RemoveOutcome, Result, TouchOptions, Write, WriteOptions,
    WriteOutcome, delegate_driver,
};

use crate::subject::Convergence;

/// A driver whose changes return only when every reader sees them.
pub(crate) struct Converging {
    inner: Prefixed<Arc<dyn Driver>>,
    convergence: Arc<Convergence>,
}

impl Converging {
    pub(crate) fn new(inner: Prefixed<Arc<dyn Driver>>, convergence: Arc<Convergence>) -> Self {
        Self { inner, convergence }
    }

    /// Returns `result` once every reader sees the change.
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
    delegate_driver!(this => this.inner, except write, remove, touch, write_many, remove_many, clear);

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.seen(self.inner.write(key, value, options).await).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.seen(self.inner.remove(key, options).await).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        self.seen(self.inner.touch(key, options).await).await
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
}

//! A decorator that counts operations.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use session_core::{
    Change, Driver, Entry, Key, ListOptions, ListPage, Metadata, Prefix, RemoveOptions,
    RemoveOutcome, Result, TouchOptions, Write, WriteOptions, WriteOutcome, delegate_driver,
};

use crate::Operation;

/// A driver that counts the operations on an inner driver.
///
/// ```
/// use conformance_tests::{Counting, Operation};
/// use driver_memory::MemoryDriver;
/// use session_core::{DriverExt, Result};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let driver = Counting::new(MemoryDriver::new());
/// let counts = driver.counts();
/// driver.put("greeting", "hello").await?;
/// driver.get("greeting").await?;
/// assert_eq!(counts.of(Operation::Write), 1);
/// assert_eq!(counts.total(), 2);
/// # Ok(())
/// # }
/// ```
///
/// An operation is counted when it starts, even if it fails. A batch is counted once.
#[derive(Clone, Debug)]
pub struct Counting<D> {
    inner: D,
    counts: Counts,
}

impl<D: Driver> Counting<D> {
    /// Creates a driver that counts the operations on `inner`.
    pub fn new(inner: D) -> Self {
        Self {
            inner,
            counts: Counts::default(),
        }
    }

    /// Returns a handle to the live counts.
    pub fn counts(&self) -> Counts {
        self.counts.clone()
    }
}

/// How often each operation was started. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<[AtomicU64; Operation::ALL.len()]>);

impl Counts {
    /// Returns how often `operation` was started.
    pub fn of(&self, operation: Operation) -> u64 {
        self.counter(operation)
            .map_or(0, |counter| counter.load(Ordering::SeqCst))
    }

    /// Returns how many operations were started in total.
    pub fn total(&self) -> u64 {
        Operation::ALL
            .iter()
            .map(|operation| self.of(*operation))
            .sum()
    }

    /// Sets all counts to zero.
    pub fn reset(&self) {
        for counter in self.0.iter() {
            counter.store(0, Ordering::SeqCst);
        }
    }

    fn add(&self, operation: Operation) {
        if let Some(counter) = self.counter(operation) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counter(&self, operation: Operation) -> Option<&AtomicU64> {
        self.0.get(operation as usize)
    }
}

#[async_trait]
impl<D: Driver> Driver for Counting<D> {
    delegate_driver!(this => this.inner, except read, write, remove, list, exists, metadata, touch, read_many, write_many, remove_many, clear, watch, close);

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.counts.add(Operation::Read);
        self.inner.read(key).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.counts.add(Operation::Write);
        self.inner.write(key, value, options).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.counts.add(Operation::Remove);
        self.inner.remove(key, options).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.counts.add(Operation::List);
        self.inner.list(options).await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        self.counts.add(Operation::Exists);
        self.inner.exists(key).await
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        self.counts.add(Operation::Metadata);
        self.inner.metadata(key).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        self.counts.add(Operation::Touch);
        self.inner.touch(key, options).await
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.counts.add(Operation::ReadMany);
        self.inner.read_many(keys).await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        self.counts.add(Operation::WriteMany);
        self.inner.write_many(writes).await
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        self.counts.add(Operation::RemoveMany);
        self.inner.remove_many(keys).await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        self.counts.add(Operation::Clear);
        self.inner.clear(prefix).await
    }

    async fn watch(&self, prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        self.counts.add(Operation::Watch);
        self.inner.watch(prefix).await
    }

    async fn close(&self) -> Result<()> {
        self.counts.add(Operation::Close);
        self.inner.close().await
    }
}

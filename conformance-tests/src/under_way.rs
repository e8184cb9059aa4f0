//! Records the operations in progress, so that a case that times out can name them.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use parking_lot::Mutex;
use session_core::{
    Capabilities, Change, Driver, Entry, Key, ListOptions, ListPage, Metadata, Prefix,
    RemoveOptions, RemoveOutcome, Result, TouchOptions, Write, WriteOptions, WriteOutcome,
};

use crate::Operation;

/// How many operations `Display` lists.
const LISTED: usize = 3;

/// The operations of a case that are in progress. `Display` lists the oldest.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnderWay(Arc<Mutex<Vec<Begun>>>);

#[derive(Debug)]
struct Begun {
    at: Instant,
    operation: Operation,
    /// The key, or the first key of a batch.
    key: Option<Key>,
    number: u64,
}

impl UnderWay {
    fn begin(&self, operation: Operation, key: Option<&Key>) -> Ending<'_> {
        let mut begun = self.0.lock();
        let number = begun.last().map_or(0, |last| last.number + 1);
        begun.push(Begun {
            at: Instant::now(),
            operation,
            key: key.cloned(),
            number,
        });
        Ending {
            under_way: self,
            number,
        }
    }
}

impl fmt::Display for UnderWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begun = self.0.lock();
        if begun.is_empty() {
            return f.write_str("no operation is in progress");
        }
        for (index, one) in begun.iter().take(LISTED).enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}", one.operation.name())?;
            if let Some(key) = &one.key {
                write!(f, " of {key:?}")?;
            }
            write!(f, " for {:.1?}", one.at.elapsed())?;
        }
        match begun.len().saturating_sub(LISTED) {
            0 => f.write_str(" is in progress"),
            more => write!(f, " and {more} more are in progress"),
        }
    }
}

/// Removes an operation from the record when it finishes or its future is dropped.
struct Ending<'a> {
    under_way: &'a UnderWay,
    number: u64,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut begun = self.under_way.0.lock();
        begun.retain(|one| one.number != self.number);
    }
}

/// A driver that records its operations in progress.
#[derive(Debug)]
pub(crate) struct Noting {
    inner: Arc<dyn Driver>,
    under_way: UnderWay,
}

impl Noting {
    pub(crate) fn new(inner: Arc<dyn Driver>, under_way: UnderWay) -> Self {
        Self { inner, under_way }
    }

    async fn note<T>(
        &self,
        operation: Operation,
        key: Option<&Key>,
        running: impl Future<Output = T> + Send,
    ) -> T {
        let _ending = self.under_way.begin(operation, key);
        running.await
    }
}

#[async_trait]
impl Driver for Noting {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.note(Operation::Read, Some(key), self.inner.read(key))
            .await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let running = self.inner.write(key, value, options);
        self.note(Operation::Write, Some(key), running).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let running = self.inner.remove(key, options);
        self.note(Operation::Remove, Some(key), running).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.note(Operation::List, None, self.inner.list(options))
            .await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        self.note(Operation::Exists, Some(key), self.inner.exists(key))
            .await
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        self.note(Operation::Metadata, Some(key), self.inner.metadata(key))
            .await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        self.note(Operation::Touch, Some(key), self.inner.touch(key, options))
            .await
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.note(
            Operation::ReadMany,
            keys.first(),
            self.inner.read_many(keys),
        )
        .await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let first = writes.first().map(|write| write.key.clone());
        let running = self.inner.write_many(writes);
        self.note(Operation::WriteMany, first.as_ref(), running)
            .await
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        let running = self.inner.remove_many(keys);
        self.note(Operation::RemoveMany, keys.first(), running)
            .await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        self.note(Operation::Clear, None, self.inner.clear(prefix))
            .await
    }

    async fn watch(&self, prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        self.note(Operation::Watch, None, self.inner.watch(prefix))
            .await
    }

    async fn close(&self) -> Result<()> {
        self.note(Operation::Close, None, self.inner.close()).await
    }
}

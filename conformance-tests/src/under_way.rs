//! Records the operations in progress, so that a case that times out can name them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use parking_lot::Mutex;
use session_core::{
    Capabilities, Change, Driver, Entry, InvalidationListener, Key, ListOptions, ListPage,
    Metadata, Prefix, RemoveOptions, RemoveOutcome, Result, TouchOptions, Write, WriteOptions,
    WriteOutcome,
};

use crate::Operation;
use crate::failure::{Failure, excerpt};

/// The start of a key, escaped.
fn cut(key: &str) -> String {
    const SHOWN: usize = 80;
    let start: String = key
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    match key.chars().count() > SHOWN {
        true => format!("{start}…"),
        false => start,
    }
}

/// How many operations `Display` lists.
const LISTED: usize = 3;

/// The operations of a case that are in progress. `Display` lists the oldest.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnderWay(Arc<Mutex<Vec<Begun>>>, Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    /// The operation that failed last, with its key and value.
    last_error: Option<String>,
    /// How much longer than usual the case may take.
    allowed: Duration,
}

#[derive(Debug)]
struct Begun {
    at: Instant,
    operation: Operation,
    /// The key, or the first key of a batch.
    key: Option<Key>,
    number: u64,
}

impl UnderWay {
    /// Lets the case take this much longer.
    pub(crate) fn allow(&self, longer: Duration) {
        self.1.lock().allowed = longer;
    }

    pub(crate) fn allowed(&self) -> Duration {
        self.1.lock().allowed
    }

    fn failed(&self, operation: Operation, key: Option<&Key>, value: Option<&Bytes>) {
        let mut text = operation.name().to_owned();
        if let Some(key) = key {
            text.push_str(&format!(" of the key \"{}\"", cut(key.as_str())));
        }
        if let Some(value) = value {
            text.push_str(&format!(" with {}", excerpt(value)));
        }
        self.1.lock().last_error = Some(text);
    }

    /// Names the operation that failed, if the failure is an error of the driver.
    pub(crate) fn with_last_error(&self, mut failure: Failure) -> Failure {
        if failure.got.starts_with("the error:")
            && let Some(last) = &self.1.lock().last_error
        {
            failure
                .got
                .push_str(&format!("; the operation that failed last is {last}"));
        }
        failure
    }

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
        running: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.note_write(operation, key, None, running).await
    }

    async fn note_write<T>(
        &self,
        operation: Operation,
        key: Option<&Key>,
        value: Option<&Bytes>,
        running: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let _ending = self.under_way.begin(operation, key);
        let result = running.await;
        if result.is_err() {
            self.under_way.failed(operation, key, value);
        }
        result
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
        let running = self.inner.write(key, value.clone(), options);
        self.note_write(Operation::Write, Some(key), Some(&value), running)
            .await
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
        let _ending = self.under_way.begin(Operation::WriteMany, first.as_ref());
        let outcomes = self.inner.write_many(writes).await;
        if outcomes.iter().any(Result::is_err) {
            self.under_way
                .failed(Operation::WriteMany, first.as_ref(), None);
        }
        outcomes
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
        self.note(Operation::Close, None, self.inner.close()).await
    }
}

//! The [`Traced`] decorator.

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use tracing::{Instrument, Span, debug, debug_span, field};

use crate::{
    Change, Driver, Entry, Fingerprint, Key, ListOptions, ListPage, Metadata, Prefix,
    RemoveOptions, RemoveOutcome, Result, TouchOptions, Write, WriteOptions, WriteOutcome,
    delegate_driver,
};

/// A driver that traces each operation of another driver.
///
/// ```
/// use std::sync::Arc;
/// use session_core::{decorators::Traced, Driver};
///
/// fn observed(driver: Arc<dyn Driver>) -> impl Driver {
///     Traced::new(driver)
/// }
/// ```
///
/// Each operation is a span `driver` at level `DEBUG`. Its fields are `driver`, `operation`, `key` (a [`Fingerprint`],
/// never the key), `count` for a batch, and `outcome`. An error is an event in the span, also at level
/// `DEBUG`, since the caller gets it and knows how much it matters. Values, versions and cursors are never recorded.
#[derive(Clone, Debug)]
pub struct Traced<D> {
    inner: D,
}

impl<D: Driver> Traced<D> {
    /// Traces each operation of `inner`.
    pub fn new(inner: D) -> Self {
        Self { inner }
    }

    fn span(
        &self,
        operation: &'static str,
        key: Option<Fingerprint>,
        count: Option<usize>,
    ) -> Span {
        debug_span!(
            "driver",
            driver = self.inner.name(),
            operation,
            key = key.map(field::display),
            count,
            outcome = field::Empty,
        )
    }
}

async fn traced<T>(
    span: Span,
    future: impl Future<Output = Result<T>>,
    describe: impl FnOnce(&T) -> &'static str,
) -> Result<T> {
    let result = future.instrument(span.clone()).await;
    match &result {
        Ok(value) => {
            span.record("outcome", describe(value));
        }
        Err(error) => record_error(&span, error),
    }
    result
}

fn record_error(span: &Span, error: &crate::Error) {
    span.record("outcome", "error");
    span.in_scope(|| {
        debug!(kind = ?error.kind(), applied = ?error.outcome(), "{error}");
    });
}

fn describe_write(outcome: &WriteOutcome) -> &'static str {
    match outcome {
        WriteOutcome::Written { .. } => "written",
        WriteOutcome::Conflict(_) => "conflict",
    }
}

#[async_trait]
impl<D: Driver> Driver for Traced<D> {
    delegate_driver!(this => this.inner, except read, write, remove, list, exists, metadata, touch, read_many, write_many, remove_many, clear, watch, close);

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        let span = self.span("read", Some(key.fingerprint()), None);
        traced(span, self.inner.read(key), |entry| found(entry.is_some())).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let span = self.span("write", Some(key.fingerprint()), None);
        traced(span, self.inner.write(key, value, options), describe_write).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let span = self.span("remove", Some(key.fingerprint()), None);
        traced(
            span,
            self.inner.remove(key, options),
            |outcome| match outcome {
                RemoveOutcome::Removed => "removed",
                RemoveOutcome::Conflict(_) => "conflict",
            },
        )
        .await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        let span = self.span("list", None, Some(options.limit));
        traced(span, self.inner.list(options), |_| "done").await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        let span = self.span("exists", Some(key.fingerprint()), None);
        traced(span, self.inner.exists(key), |exists| found(*exists)).await
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        let span = self.span("metadata", Some(key.fingerprint()), None);
        traced(span, self.inner.metadata(key), |metadata| {
            found(metadata.is_some())
        })
        .await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let span = self.span("touch", Some(key.fingerprint()), None);
        traced(span, self.inner.touch(key, options), |touched| {
            found(*touched)
        })
        .await
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let span = self.span("read_many", None, Some(keys.len()));
        traced(span, self.inner.read_many(keys), |_| "done").await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let span = self.span("write_many", None, Some(writes.len()));
        let outcomes = self.inner.write_many(writes).instrument(span.clone()).await;
        span.record("outcome", "done");
        for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            record_error(&span, error);
        }
        outcomes
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        let span = self.span("remove_many", None, Some(keys.len()));
        traced(span, self.inner.remove_many(keys), |()| "done").await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        let span = self.span("clear", None, None);
        traced(span, self.inner.clear(prefix), |()| "done").await
    }

    async fn watch(&self, prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        let span = self.span("watch", None, None);
        traced(span, self.inner.watch(prefix), |_| "done").await
    }

    async fn close(&self) -> Result<()> {
        let span = self.span("close", None, None);
        traced(span, self.inner.close(), |()| "done").await
    }
}

fn found(found: bool) -> &'static str {
    if found { "found" } else { "missing" }
}

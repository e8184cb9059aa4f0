//! The [`Retry`] decorator.

use std::collections::HashSet;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;

use crate::{
    Change, Driver, Entry, Idempotency, Key, ListOptions, ListPage, Metadata, Prefix,
    RemoveOptions, RemoveOutcome, Result, RetryPolicy, TouchOptions, Write, WriteCondition,
    WriteOptions, WriteOutcome, delegate_driver,
};

/// A driver that retries failed operations of another driver, if that is safe.
///
/// ```
/// use std::sync::Arc;
/// use session_core::{decorators::Retry, Driver, RetryPolicy};
///
/// fn stubborn(driver: Arc<dyn Driver>) -> impl Driver {
///     Retry::new(driver, RetryPolicy { attempts: 5, ..RetryPolicy::default() })
/// }
/// ```
///
/// Reads, listings and unconditional changes are idempotent, so they are retried after every transient error. A
/// conditional operation is retried only if it was certainly not applied. Otherwise the retry could conflict with the
/// success of the first attempt. Each write of a batch is retried independently, and never after a later write to the
/// same key.
///
/// HTTP drivers retry by themselves, with the same [`RetryPolicy`] as their option `retry`. Use this decorator for other
/// drivers only: over an HTTP driver it multiplies the attempts.
#[derive(Clone, Debug)]
pub struct Retry<D> {
    inner: D,
    policy: RetryPolicy,
}

impl<D: Driver> Retry<D> {
    /// Retries operations of `inner` according to `policy`.
    pub fn new(inner: D, policy: RetryPolicy) -> Self {
        Self { inner, policy }
    }
}

fn repeat_write(options: &WriteOptions) -> Idempotency {
    match options.condition {
        WriteCondition::Always => Idempotency::Idempotent,
        WriteCondition::IfAbsent | WriteCondition::IfVersion(_) => Idempotency::NonIdempotent,
    }
}

fn repeat_if_unconditional<V>(if_version: Option<&V>) -> Idempotency {
    match if_version {
        None => Idempotency::Idempotent,
        Some(_) => Idempotency::NonIdempotent,
    }
}

/// Returns which of the writes at the indices `tried` are to be retried, in their order.
///
/// A write is not retried if a later write to its key is not: the later write has won, or its outcome is unknown.
fn to_repeat(
    writes: &[Write],
    tried: &[usize],
    outcomes: &[Option<Result<WriteOutcome>>],
) -> Vec<usize> {
    let mut final_keys = HashSet::new();
    let mut again = Vec::new();
    for index in tried.iter().rev() {
        let (Some(write), Some(Some(outcome))) = (writes.get(*index), outcomes.get(*index)) else {
            continue;
        };
        let failed = matches!(outcome, Err(error) if repeat_write(&write.options).allows(error));
        if failed && !final_keys.contains(&write.key) {
            again.push(*index);
        } else {
            final_keys.insert(&write.key);
        }
    }
    again.reverse();
    again
}

#[async_trait]
impl<D: Driver> Driver for Retry<D> {
    delegate_driver!(this => this.inner, except read, write, remove, list, exists, metadata, touch, read_many, write_many, remove_many, clear, watch, close);

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.policy
            .run(Idempotency::Idempotent, || self.inner.read(key))
            .await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.policy
            .run(repeat_write(&options), || {
                self.inner.write(key, value.clone(), options.clone())
            })
            .await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let repeat = repeat_if_unconditional(options.if_version.as_ref());
        self.policy
            .run(repeat, || self.inner.remove(key, options.clone()))
            .await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.policy
            .run(Idempotency::Idempotent, || self.inner.list(options.clone()))
            .await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        self.policy
            .run(Idempotency::Idempotent, || self.inner.exists(key))
            .await
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        self.policy
            .run(Idempotency::Idempotent, || self.inner.metadata(key))
            .await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let repeat = repeat_if_unconditional(options.if_version.as_ref());
        self.policy
            .run(repeat, || self.inner.touch(key, options.clone()))
            .await
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.policy
            .run(Idempotency::Idempotent, || self.inner.read_many(keys))
            .await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let mut pauses = self.policy.pauses();
        let mut outcomes: Vec<Option<Result<WriteOutcome>>> = Vec::new();
        outcomes.resize_with(writes.len(), || None);
        let mut tried: Vec<usize> = (0..writes.len()).collect();
        loop {
            let batch = tried.iter().filter_map(|index| writes.get(*index)).cloned();
            let made = self.inner.write_many(batch.collect()).await;
            for (index, outcome) in tried.iter().zip(made) {
                if let Some(slot) = outcomes.get_mut(*index) {
                    *slot = Some(outcome);
                }
            }
            let again = to_repeat(&writes, &tried, &outcomes);
            let errors = || {
                again
                    .iter()
                    .filter_map(|index| outcomes.get(*index)?.as_ref()?.as_ref().err())
            };
            let pause = pauses
                .next()
                .filter(|_| !again.is_empty())
                .and_then(|pause| {
                    errors().try_fold(pause, |pause, error| self.policy.pause(pause, error))
                });
            let Some(pause) = pause else {
                return outcomes.into_iter().flatten().collect();
            };
            tokio::time::sleep(pause).await;
            tried = again;
        }
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        self.policy
            .run(Idempotency::Idempotent, || self.inner.remove_many(keys))
            .await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        self.policy
            .run(Idempotency::Idempotent, || self.inner.clear(prefix))
            .await
    }

    async fn watch(&self, prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        self.policy
            .run(Idempotency::Idempotent, || self.inner.watch(prefix))
            .await
    }

    async fn close(&self) -> Result<()> {
        self.policy
            .run(Idempotency::Idempotent, || self.inner.close())
            .await
    }
}

use std::collections::HashSet;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;

use crate::{
    Change, Driver, Entry, Idempotency, Key, ListOptions, ListPage, Metadata, Prefix,
    RemoveOptions, RemoveOutcome, Result, RetryPolicy, TouchOptions, Write, WriteCondition,
    WriteOptions, WriteOutcome, delegate_driver,
};

/// A driver that repeats what failed in another and may be repeated.
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
/// Reads, listings, and what changes something without a condition are repeated after every error that may pass;
/// doing them twice does what doing them once does. What has a condition is repeated only if it was certainly not
/// applied: the second try would meet the first one's success and report a conflict, or apply a change that was
/// reckoned from the first a second time. In a batch of writes each is judged by itself, and none overtakes a
/// later one to the same key.
///
/// Drivers over HTTP repeat by themselves, under the same [`RetryPolicy`] as their
/// option `retry`; this decorator is for the others, and over one of those it multiplies the tries.
#[derive(Clone, Debug)]
pub struct Retry<D> {
    inner: D,
    policy: RetryPolicy,
}

impl<D: Driver> Retry<D> {
    /// Repeats what fails in `inner` and may be repeated, as `policy` says.
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

/// Which of the writes at the places `tried`, in their order, are to be made again.
///
/// A write is not made again if a later one to its key is not: that one has won, or nobody knows.
fn to_repeat(
    writes: &[Write],
    tried: &[usize],
    outcomes: &[Option<Result<WriteOutcome>>],
) -> Vec<usize> {
    let mut settled = HashSet::new();
    let mut again = Vec::new();
    for place in tried.iter().rev() {
        let (Some(write), Some(Some(outcome))) = (writes.get(*place), outcomes.get(*place)) else {
            continue;
        };
        let failed = matches!(outcome, Err(error) if repeat_write(&write.options).allows(error));
        if failed && !settled.contains(&write.key) {
            again.push(*place);
        } else {
            settled.insert(&write.key);
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
            let batch = tried.iter().filter_map(|place| writes.get(*place)).cloned();
            let made = self.inner.write_many(batch.collect()).await;
            for (place, outcome) in tried.iter().zip(made) {
                if let Some(slot) = outcomes.get_mut(*place) {
                    *slot = Some(outcome);
                }
            }
            let again = to_repeat(&writes, &tried, &outcomes);
            let errors = || {
                again
                    .iter()
                    .filter_map(|place| outcomes.get(*place)?.as_ref()?.as_ref().err())
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

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{DeleteRequest, KeysAndAttributes, PutRequest, WriteRequest};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use session_core::{Error, ErrorKind, Idempotency, Operations, Result};
use tokio::time::Instant;

use crate::client::Attempts;
use crate::error::{During, from_sdk, incomplete};
use crate::item::{Item, Layout};

/// How many items one request reads at most, by DynamoDB's limit.
const READ_BATCH: usize = 100;

/// How many items one request writes at most, by DynamoDB's limit.
const WRITE_BATCH: usize = 25;

/// How many requests of one batch run concurrently.
const CONCURRENCY: usize = 4;

/// Sends requests with many items, and sends unprocessed items again.
///
/// DynamoDB leaves items unprocessed to limit the size of a response (16 MB), or to slow callers down.
pub(crate) struct Batches<'d> {
    pub(crate) client: &'d Client,
    pub(crate) table: &'d str,
    pub(crate) layout: &'d Layout,
    pub(crate) attempts: Attempts,
    /// The deadline of the whole batch.
    pub(crate) deadline: Instant,
}

impl Batches<'_> {
    /// Reads the items of `keys`, which must be distinct, and returns those that exist by their keys.
    pub(crate) async fn read(
        &self,
        keys: Vec<String>,
        consistent: bool,
    ) -> Result<HashMap<String, Item>> {
        let requests = chunks(keys, READ_BATCH)
            .into_iter()
            .map(|keys| self.read_chunk(keys, consistent));
        let found: Vec<Vec<Item>> = stream::iter(requests)
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await?;
        let by_key = |item: Item| Some((self.layout.key_of(&item)?.to_owned(), item));
        Ok(found.into_iter().flatten().filter_map(by_key).collect())
    }

    /// Writes `items`, one per key, and returns the error of each key that failed.
    pub(crate) async fn put(&self, items: HashMap<String, Item>) -> HashMap<String, Arc<Error>> {
        let requests = items.into_values().map(|item| {
            let put = PutRequest::builder().set_item(Some(item)).build();
            put.map(|put| WriteRequest::builder().put_request(put).build())
        });
        // The builder requires only the item, which is set.
        let requests = requests.filter_map(Result::ok).collect();
        let mut failed = HashMap::new();
        let mut chunks = self.write_chunks(requests);
        while let Some(chunk) = chunks.next().await {
            if let Err(FailedWrites { requests, error }) = chunk {
                let error = Arc::new(error);
                let keys = requests.iter().filter_map(|request| self.key_of(request));
                failed.extend(keys.map(|key| (key.to_owned(), Arc::clone(&error))));
            }
        }
        failed
    }

    /// Removes the items of `keys`, which must be distinct. After an error some may be removed.
    pub(crate) async fn delete(&self, keys: impl IntoIterator<Item = String>) -> Result<()> {
        let requests = keys.into_iter().map(|key| {
            let key = self.layout.key_item(key);
            let delete = DeleteRequest::builder().set_key(Some(key)).build();
            delete.map(|delete| WriteRequest::builder().delete_request(delete).build())
        });
        let requests: Result<Vec<_>, _> = requests.collect();
        let chunks = self.write_chunks(requests.map_err(incomplete)?);
        let results: Vec<_> = chunks.collect().await;
        let results = results.into_iter();
        Operations::combine(results.map(|result| result.map_err(|failed| failed.error)))
    }

    async fn read_chunk(&self, keys: Vec<String>, consistent: bool) -> Result<Vec<Item>> {
        let mut found = Vec::with_capacity(keys.len());
        let keys = keys.into_iter().map(|key| self.layout.key_item(key));
        let mut left: Vec<Item> = keys.collect();
        while !left.is_empty() {
            let round = self.run(During::Reading, || async {
                let asked = KeysAndAttributes::builder()
                    .set_keys(Some(left.clone()))
                    .consistent_read(consistent)
                    .build()
                    .map_err(incomplete)?;
                let request = self.client.batch_get_item();
                let response = request.request_items(self.table, asked).send().await;
                let response = response.map_err(|error| from_sdk(error, During::Reading))?;
                let unprocessed = response.unprocessed_keys.unwrap_or_default();
                let unprocessed = unprocessed.into_values().flat_map(|keys| keys.keys);
                let unprocessed = progress(left.len(), unprocessed.collect())?;
                Ok((response.responses.unwrap_or_default(), unprocessed))
            });
            let (items, unprocessed) = round.await?;
            found.extend(items.into_values().flatten());
            self.pause_before(&unprocessed).await?;
            left = unprocessed;
        }
        Ok(found)
    }

    fn write_chunks(
        &self,
        requests: Vec<WriteRequest>,
    ) -> impl futures_util::Stream<Item = Result<(), FailedWrites>> + Unpin {
        let chunks = chunks(requests, WRITE_BATCH).into_iter();
        stream::iter(chunks.map(|requests| self.write_chunk(requests)))
            .buffer_unordered(CONCURRENCY)
    }

    async fn write_chunk(&self, requests: Vec<WriteRequest>) -> Result<(), FailedWrites> {
        let mut left = requests;
        while !left.is_empty() {
            let round = self.run(During::Writing, || async {
                let request = self.client.batch_write_item();
                let response = request.request_items(self.table, left.clone()).send().await;
                let response = response.map_err(|error| from_sdk(error, During::Writing))?;
                let unprocessed = response.unprocessed_items.unwrap_or_default();
                progress(left.len(), unprocessed.into_values().flatten().collect())
            });
            match round.await {
                Ok(unprocessed) => left = unprocessed,
                Err(error) => {
                    let requests = left;
                    return Err(FailedWrites { requests, error });
                }
            }
            if let Err(error) = self.pause_before(&left).await {
                let requests = left;
                return Err(FailedWrites { requests, error });
            }
        }
        Ok(())
    }

    async fn run<T, F, Running>(&self, during: During, attempt: F) -> Result<T>
    where
        F: Fn() -> Running,
        Running: Future<Output = Result<T>>,
    {
        self.attempts
            .run(self.deadline, Idempotency::Idempotent, during, attempt)
            .await
    }

    /// Pauses before the unprocessed rest is sent again; an error if no time is left.
    async fn pause_before<T>(&self, rest: &[T]) -> Result<()> {
        let pause = self.attempts.retry.min_delay;
        if rest.is_empty() {
            return Ok(());
        }
        if self.deadline <= Instant::now() + pause {
            return Err(Error::new(
                ErrorKind::RateLimited,
                "DynamoDB left a part of the batch unprocessed until `timeout`; raise the table's capacity, or switch to \
                 on-demand billing",
            ));
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn key_of<'r>(&self, request: &'r WriteRequest) -> Option<&'r str> {
        let put = request.put_request().map(PutRequest::item);
        let item = put.or_else(|| request.delete_request().map(DeleteRequest::key));
        self.layout.key_of(item?)
    }
}

/// Writes that failed, with their error.
struct FailedWrites {
    requests: Vec<WriteRequest>,
    error: Error,
}

/// The unprocessed items, or a transient error if that is all of them.
fn progress<T>(requested: usize, unprocessed: Vec<T>) -> Result<Vec<T>> {
    if unprocessed.len() < requested {
        return Ok(unprocessed);
    }
    Err(Error::new(
        ErrorKind::RateLimited,
        "DynamoDB left the whole batch unprocessed; raise the table's capacity, or switch to on-demand billing",
    ))
}

fn chunks<T>(mut all: Vec<T>, size: usize) -> Vec<Vec<T>> {
    let mut chunks = Vec::with_capacity(all.len().div_ceil(size));
    while all.len() > size {
        let rest = all.split_off(size);
        chunks.push(std::mem::replace(&mut all, rest));
    }
    if !all.is_empty() {
        chunks.push(all);
    }
    chunks
}

#[cfg(test)]
mod tests {
    // Helpers of tests fail a test as tests do.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn chunks_hold_everything_in_order() {
        for count in [0, 1, 24, 25, 26, 50, 51] {
            let chunks = chunks((0..count).collect(), 25);
            assert!(chunks.iter().all(|chunk| (1..=25).contains(&chunk.len())));
            let all: Vec<usize> = chunks.into_iter().flatten().collect();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_wholly_unprocessed_batch_is_a_transient_error() {
        assert_eq!(progress(2, vec![1]).unwrap(), [1]);
        let error = progress(1, vec![1]).unwrap_err();
        assert!(Idempotency::NonIdempotent.allows(&error));
    }
}

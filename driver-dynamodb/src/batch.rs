use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{DeleteRequest, KeysAndAttributes, PutRequest, WriteRequest};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use session_core::{Error, ErrorKind, Operations, Repeat, Result};
use tokio::time::Instant;

use crate::client::Attempts;
use crate::error::{During, from_sdk, incomplete};
use crate::item::{Item, Layout};

/// How many items one request reads, and how many it writes, as DynamoDB has it.
const READ_AT_ONCE: usize = 100;
const WRITE_AT_ONCE: usize = 25;

/// How many requests of one batch are on their way at the same time.
const CONCURRENCY: usize = 4;

/// What is sent in requests of many items, and again as far as DynamoDB left it undone.
///
/// That it leaves some undone is its way to bound an answer (16 MB), or to slow callers down.
pub(crate) struct Batches<'d> {
    pub(crate) client: &'d Client,
    pub(crate) table: &'d str,
    pub(crate) layout: &'d Layout,
    pub(crate) attempts: Attempts,
    /// When the whole batch has to end.
    pub(crate) deadline: Instant,
}

impl Batches<'_> {
    /// The items of `keys`, of which none may be there twice, by their keys; those that are missing are left out.
    pub(crate) async fn read(
        &self,
        keys: Vec<String>,
        consistent: bool,
    ) -> Result<HashMap<String, Item>> {
        let requests = chunks(keys, READ_AT_ONCE)
            .into_iter()
            .map(|keys| self.read_chunk(keys, consistent));
        let found: Vec<Vec<Item>> = stream::iter(requests)
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await?;
        let by_key = |item: Item| Some((self.layout.key_of(&item)?.to_owned(), item));
        Ok(found.into_iter().flatten().filter_map(by_key).collect())
    }

    /// Writes `items`, one a key, and gives those of the keys that failed, with why.
    pub(crate) async fn put(&self, items: HashMap<String, Item>) -> HashMap<String, Arc<Error>> {
        let requests = items.into_values().map(|item| {
            let put = PutRequest::builder().set_item(Some(item)).build();
            put.map(|put| WriteRequest::builder().put_request(put).build())
        });
        // Each has an item, which is all that the builder asks for.
        let requests = requests.filter_map(Result::ok).collect();
        let mut failed = HashMap::new();
        let mut chunks = self.write_chunks(requests);
        while let Some(chunk) = chunks.next().await {
            if let Err(Undone { requests, error }) = chunk {
                let error = Arc::new(error);
                let keys = requests.iter().filter_map(|request| self.key_of(request));
                failed.extend(keys.map(|key| (key.to_owned(), Arc::clone(&error))));
            }
        }
        failed
    }

    /// Removes the items of `keys`, of which none may be there twice. After an error some may be gone.
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
        Operations::combine(results.map(|result| result.map_err(|undone| undone.error)))
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
                let answer = request.request_items(self.table, asked).send().await;
                let answer = answer.map_err(|error| from_sdk(error, During::Reading))?;
                let undone = answer.unprocessed_keys.unwrap_or_default();
                let undone = undone.into_values().flat_map(|undone| undone.keys);
                let undone = progress(left.len(), undone.collect())?;
                Ok((answer.responses.unwrap_or_default(), undone))
            });
            let (items, undone) = round.await?;
            found.extend(items.into_values().flatten());
            self.pause_before(&undone).await?;
            left = undone;
        }
        Ok(found)
    }

    fn write_chunks(
        &self,
        requests: Vec<WriteRequest>,
    ) -> impl futures_util::Stream<Item = Result<(), Undone>> + Unpin {
        let chunks = chunks(requests, WRITE_AT_ONCE).into_iter();
        stream::iter(chunks.map(|requests| self.write_chunk(requests)))
            .buffer_unordered(CONCURRENCY)
    }

    async fn write_chunk(&self, requests: Vec<WriteRequest>) -> Result<(), Undone> {
        let mut left = requests;
        while !left.is_empty() {
            let round = self.run(During::Writing, || async {
                let request = self.client.batch_write_item();
                let answer = request.request_items(self.table, left.clone()).send().await;
                let answer = answer.map_err(|error| from_sdk(error, During::Writing))?;
                let undone = answer.unprocessed_items.unwrap_or_default();
                progress(left.len(), undone.into_values().flatten().collect())
            });
            match round.await {
                Ok(undone) => left = undone,
                Err(error) => {
                    let requests = left;
                    return Err(Undone { requests, error });
                }
            }
            if let Err(error) = self.pause_before(&left).await {
                let requests = left;
                return Err(Undone { requests, error });
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
            .run(self.deadline, Repeat::Always, during, attempt)
            .await
    }

    /// Gives DynamoDB a moment before it is asked for the rest; an error if no time is left for that.
    async fn pause_before<T>(&self, rest: &[T]) -> Result<()> {
        let pause = self.attempts.retry.min_delay;
        if rest.is_empty() {
            return Ok(());
        }
        if self.deadline <= Instant::now() + pause {
            return Err(Error::new(
                ErrorKind::RateLimited,
                "DynamoDB left a part of a batch undone until the `timeout`; raise the table's capacity, or switch to \
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

/// Writes that did not take place, or may not have.
struct Undone {
    requests: Vec<WriteRequest>,
    error: Error,
}

/// What was left `undone` of so many, or an error after which trying again may help, if that is all of it.
fn progress<T>(asked: usize, undone: Vec<T>) -> Result<Vec<T>> {
    if undone.len() < asked {
        return Ok(undone);
    }
    Err(Error::new(
        ErrorKind::RateLimited,
        "DynamoDB left all of a batch undone; raise the table's capacity, or switch to on-demand billing",
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
    fn a_batch_of_which_nothing_was_done_is_an_error_that_may_pass() {
        assert_eq!(progress(2, vec![1]).unwrap(), [1]);
        let error = progress(1, vec![1]).unwrap_err();
        assert!(Repeat::IfNotApplied.allows(&error));
    }
}

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http_support::SharedError;
use session_core::{Entry, ErrorKind, Key, Result, Timestamp};
use tokio::time::Instant;

use crate::api::{Api, Attributes};
use crate::error::incomplete;
use crate::gather::BatchRequest;
use crate::protocol::{Found, MAX_READS};
use crate::stored::{decode, decode_bytes};

/// How many entries that a bulk get cannot return are read concurrently.
const CONCURRENCY: usize = 16;

/// The character by which the server replaces bytes that are not text.
const REPLACEMENT: char = '\u{fffd}';

/// Reads up to 100 keys in one request.
pub(crate) struct Reads(pub(crate) Arc<Api>);

impl BatchRequest for Reads {
    type Job = ();
    type Output = Option<Entry>;

    const MAX_KEYS: usize = MAX_READS;
    const CHANGES: bool = false;

    fn bytes(key: &Key, (): &()) -> usize {
        key.as_str().len()
    }

    async fn send(&self, jobs: Vec<(Key, ())>, deadline: Instant) -> Vec<Result<Option<Entry>>> {
        let keys: Vec<&Key> = jobs.iter().map(|(key, ())| key).collect();
        let mut results = Vec::with_capacity(keys.len());
        // In reverse order, since the next chunk is taken from the end.
        let mut chunks = vec![keys.as_slice()];
        while let Some(chunk) = chunks.pop() {
            match self.0.bulk_get(deadline, chunk).await {
                Ok(mut found) => {
                    let entries = chunk.iter().map(|key| {
                        let found = found.remove(key.as_str());
                        self.entry(deadline, key, found)
                    });
                    let entries: Vec<_> = entries.collect();
                    let entries = stream::iter(entries).buffered(CONCURRENCY);
                    results.extend(entries.collect::<Vec<_>>().await);
                }
                // The values together exceed the limit of a response.
                Err(error) if error.kind() == ErrorKind::TooLarge => match chunk {
                    [key] => results.push(self.alone(deadline, key).await),
                    _ => {
                        let (first, second) = chunk.split_at(chunk.len() / 2);
                        chunks.extend([second, first]);
                    }
                },
                Err(error) => {
                    let error = SharedError::new(error);
                    results.extend(chunk.iter().map(|_| Err(error.to_error())));
                }
            }
        }
        results
    }
}

impl Reads {
    /// The entry of a key in the response to a bulk get. A key without a value is null there; a missing one is an error.
    async fn entry(
        &self,
        deadline: Instant,
        key: &Key,
        found: Option<Option<Found>>,
    ) -> Result<Option<Entry>> {
        let (value, attributes) = match found {
            None => return Err(incomplete("lacks a requested key")),
            Some(None) => return Ok(None),
            Some(Some(Found::Whole {
                value,
                metadata,
                expiration,
            })) => {
                let attributes = Attributes {
                    metadata,
                    expiration,
                };
                (value, Some(attributes))
            }
            Some(Some(Found::Bare(value))) => (value, None),
        };
        if value.contains(REPLACEMENT) {
            return self.alone(deadline, key).await;
        }
        let attributes = match attributes {
            Some(attributes) => Some(attributes),
            None => self.0.listed(deadline, key).await?,
        };
        Ok(attributes.and_then(|attributes| unexpired(decode(value), attributes)))
    }

    /// Reads an entry that a bulk get cannot return: it is too large, or another program wrote it and it is not text.
    async fn alone(&self, deadline: Instant, key: &Key) -> Result<Option<Entry>> {
        let Some((bytes, expiration)) = self.0.value(deadline, key).await? else {
            return Ok(None);
        };
        let attributes = self
            .0
            .metadata(deadline, key)
            .await?
            .map(|attributes| Attributes {
                expiration: attributes.expiration.or(expiration),
                ..attributes
            });
        Ok(attributes.and_then(|attributes| unexpired(decode_bytes(bytes), attributes)))
    }
}

/// The entry, unless it has expired.
fn unexpired(value: Bytes, attributes: Attributes) -> Option<Entry> {
    let expires_at = attributes.metadata.expires_at(attributes.expiration);
    let is_expired = expires_at.is_some_and(|at| at <= Timestamp::now());
    (!is_expired).then(|| Entry::new(value).with_expires_at(expires_at))
}

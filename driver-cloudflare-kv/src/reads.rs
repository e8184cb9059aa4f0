use std::sync::Arc;

use bytes::Bytes;
use http_support::SharedError;
use session_core::{Entry, ErrorKind, Key, Result, Timestamp};
use tokio::time::Instant;

use crate::api::{Api, Beside};
use crate::error::incomplete;
use crate::gather::Gathered;
use crate::protocol::Found;
use crate::stored::{value_of, value_of_bytes};

/// What a reader puts in the place of bytes that are no text.
const REPLACED: char = '\u{fffd}';

/// Reads, up to 100 keys by a request.
pub(crate) struct Reads(pub(crate) Arc<Api>);

impl Gathered for Reads {
    type Job = ();
    type Reply = Option<Entry>;

    const MOST_KEYS: usize = 100;
    const CHANGES: bool = false;

    fn bytes(key: &Key, (): &()) -> usize {
        key.as_str().len()
    }

    async fn send(&self, jobs: Vec<(Key, ())>, deadline: Instant) -> Vec<Result<Option<Entry>>> {
        let keys: Vec<&Key> = jobs.iter().map(|(key, ())| key).collect();
        let mut results = Vec::with_capacity(keys.len());
        // From the last to the first, since the next ones are taken from the end.
        let mut stretches = vec![keys.as_slice()];
        while let Some(stretch) = stretches.pop() {
            match self.0.bulk_get(deadline, stretch).await {
                Ok(mut found) => {
                    for key in stretch {
                        results.push(self.entry(deadline, key, found.remove(key.as_str())).await);
                    }
                }
                // Together they are more than an answer may have.
                Err(error) if error.kind() == ErrorKind::TooLarge => match stretch {
                    [key] => results.push(self.alone(deadline, key).await),
                    _ => {
                        let (first, second) = stretch.split_at(stretch.len() / 2);
                        stretches.extend([second, first]);
                    }
                },
                Err(error) => {
                    let error = SharedError::new(error);
                    results.extend(stretch.iter().map(|_| Err(error.to_error())));
                }
            }
        }
        results
    }
}

impl Reads {
    /// The entry of what a bulk get found: not there at all is not the same as null.
    async fn entry(
        &self,
        deadline: Instant,
        key: &Key,
        found: Option<Option<Found>>,
    ) -> Result<Option<Entry>> {
        let (value, beside) = match found {
            None => return Err(incomplete("leaves out a key that was asked for")),
            Some(None) => return Ok(None),
            Some(Some(Found::Whole {
                value,
                metadata,
                expiration,
            })) => {
                let beside = Beside {
                    metadata,
                    expiration,
                };
                (value, Some(beside))
            }
            Some(Some(Found::Bare(value))) => (value, None),
        };
        if value.contains(REPLACED) {
            return self.alone(deadline, key).await;
        }
        let beside = match beside {
            Some(beside) => Some(beside),
            None => self.0.listed(deadline, key).await?,
        };
        Ok(beside.and_then(|beside| living(value_of(value), beside)))
    }

    /// One entry that a bulk get cannot carry: it is too long, or was written by somebody else and is no text.
    async fn alone(&self, deadline: Instant, key: &Key) -> Result<Option<Entry>> {
        let Some((bytes, expiration)) = self.0.value(deadline, key).await? else {
            return Ok(None);
        };
        let beside = self.0.metadata(deadline, key).await?.map(|beside| Beside {
            expiration: beside.expiration.or(expiration),
            ..beside
        });
        Ok(beside.and_then(|beside| living(value_of_bytes(bytes), beside)))
    }
}

/// The entry, unless it has ended.
fn living(value: Bytes, beside: Beside) -> Option<Entry> {
    let end = beside.metadata.end(beside.expiration);
    let lives = end.is_none_or(|end| Timestamp::now() < end);
    lives.then(|| Entry::new(value).with_expires_at(end))
}

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use session_core::{Key, Result, Timestamp};
use tokio::time::Instant;

use crate::api::Api;
use crate::error::incomplete;
use crate::gather::BatchRequest;
use crate::protocol::{MAX_CHANGES, Pair};
use crate::stored::{KeyMetadata, server_ttl};

/// A change of a key.
pub(crate) enum Change {
    Put(Put),
    Delete,
}

/// A text to store, with its expiry.
pub(crate) struct Put {
    pub(crate) text: String,
    pub(crate) expires_at: Option<Timestamp>,
}

/// Writes and removes many keys in one request each.
pub(crate) struct Writes {
    pub(crate) api: Arc<Api>,
    pub(crate) min_ttl: Duration,
}

impl BatchRequest for Writes {
    type Job = Change;
    type Output = ();

    // Cloudflare accepts ten times as many, which would take too long.
    const MAX_KEYS: usize = MAX_CHANGES;
    const CHANGES: bool = true;

    fn bytes(key: &Key, change: &Change) -> usize {
        let text = match change {
            Change::Put(put) => put.text.len(),
            Change::Delete => 0,
        };
        key.as_str().len() + text
    }

    async fn send(&self, jobs: Vec<(Key, Change)>, deadline: Instant) -> Vec<Result<()>> {
        let now = Timestamp::now();
        let mut puts = HashMap::new();
        let (mut written, mut removed) = (Vec::new(), Vec::new());
        for (key, change) in &jobs {
            match change {
                Change::Put(put) if put.expires_at.is_none_or(|at| now < at) => {
                    puts.insert(key.as_str(), put);
                    written.push(key.as_str());
                }
                // Writing an entry that has already expired is the same as removing the key.
                Change::Put(_) | Change::Delete => removed.push(key.as_str()),
            }
        }
        let (done, gone) = tokio::join!(
            self.put(deadline, &written, &puts),
            self.delete(deadline, &removed)
        );
        let written = written.into_iter().zip(done);
        let removed = removed.into_iter().zip(gone);
        let mut results: HashMap<&str, Result<()>> = written.chain(removed).collect();
        let result = |(key, _): &(Key, Change)| results.remove(key.as_str());
        let results = jobs.iter().map(result);
        results
            .map(|result| result.unwrap_or_else(|| Err(incomplete("lacks a key"))))
            .collect()
    }
}

impl Writes {
    async fn put(
        &self,
        deadline: Instant,
        keys: &[&str],
        puts: &HashMap<&str, &Put>,
    ) -> Vec<Result<()>> {
        if keys.is_empty() {
            return Vec::new();
        }
        let pair = |key| Some(self.pair(key, puts.get(key)?));
        self.api.bulk_put(deadline, keys, pair).await
    }

    /// The server is sent the remaining time to live and not a time, so that the clocks may differ.
    fn pair<'a>(&self, key: &'a str, put: &'a Put) -> Pair<'a> {
        let ttl = |at| server_ttl(at, Timestamp::now(), self.min_ttl);
        Pair {
            key,
            value: &put.text,
            metadata: put.expires_at.map(KeyMetadata::of),
            expiration_ttl: put.expires_at.and_then(ttl),
        }
    }

    async fn delete(&self, deadline: Instant, keys: &[&str]) -> Vec<Result<()>> {
        if keys.is_empty() {
            return Vec::new();
        }
        self.api.bulk_delete(deadline, keys).await
    }
}

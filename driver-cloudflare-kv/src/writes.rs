use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use session_core::{Key, Result, Timestamp};
use tokio::time::Instant;

use crate::api::Api;
use crate::error::incomplete;
use crate::gather::Gathered;
use crate::protocol::Pair;
use crate::stored::{KeyMetadata, server_ttl};

/// What is to become of a key.
pub(crate) enum Change {
    Put(Put),
    Delete,
}

/// A text to be stored, and when it ends.
pub(crate) struct Put {
    pub(crate) text: String,
    pub(crate) end: Option<Timestamp>,
}

/// Writes and removals, of many keys by a request each.
pub(crate) struct Writes {
    pub(crate) api: Arc<Api>,
    pub(crate) min_ttl: Duration,
}

impl Gathered for Writes {
    type Job = Change;
    type Reply = ();

    // Cloudflare takes ten times as many; so many are still done in good time.
    const MOST_KEYS: usize = 1_000;
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
                Change::Put(put) if put.end.is_none_or(|end| now < end) => {
                    puts.insert(key.as_str(), put);
                    written.push(key.as_str());
                }
                // What has ended already is as good as removed.
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
            .map(|result| result.unwrap_or_else(|| Err(incomplete("leaves out a key"))))
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

    /// The server is told what remains of a life and not when it ends, so that its clock need not be ours.
    fn pair<'a>(&self, key: &'a str, put: &'a Put) -> Pair<'a> {
        let ttl = |end| server_ttl(end, Timestamp::now(), self.min_ttl);
        Pair {
            key,
            value: &put.text,
            metadata: put.end.map(KeyMetadata::of),
            expiration_ttl: put.end.and_then(ttl),
        }
    }

    async fn delete(&self, deadline: Instant, keys: &[&str]) -> Vec<Result<()>> {
        if keys.is_empty() {
            return Vec::new();
        }
        self.api.bulk_delete(deadline, keys).await
    }
}

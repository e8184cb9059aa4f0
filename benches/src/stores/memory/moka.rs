use std::time::{Duration, Instant};

use bytes::Bytes;
use moka::Expiry;
use moka::sync::Cache;

use super::ours::key_text;
use crate::stores::{Store, VALUE_LENGTH};

/// A cache with an expiry for each entry.
pub(crate) struct MokaStore(Cache<String, (Instant, Bytes)>);

struct AtItsEnd;

impl Expiry<String, (Instant, Bytes)> for AtItsEnd {
    fn expire_after_create(
        &self,
        _key: &String,
        (end, _): &(Instant, Bytes),
        now: Instant,
    ) -> Option<Duration> {
        Some(end.saturating_duration_since(now))
    }

    fn expire_after_update(
        &self,
        key: &String,
        value: &(Instant, Bytes),
        now: Instant,
        _left: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, value, now)
    }
}

impl MokaStore {
    pub(super) fn new() -> Self {
        Self(Cache::builder().expire_after(AtItsEnd).build())
    }
}

impl Store for MokaStore {
    const NAME: &'static str = "bare moka";
    const NOTE: &'static str = "`moka::sync::Cache` of `Bytes` with an expiry for each entry and no bound; commits are not conditional";

    type Key = (String, (Instant, Bytes));

    fn key(&self, session: usize) -> Self::Key {
        let end = Instant::now() + Duration::from_secs(24 * 60 * 60);
        let value = Bytes::from(vec![b'x'; VALUE_LENGTH]);
        (key_text(session), (end, value))
    }

    async fn read(&self, _caller: usize, (key, _): &Self::Key) -> usize {
        self.0.get(key).expect("a session").1.len()
    }

    async fn write(&self, _caller: usize, (key, value): &Self::Key) {
        self.0.insert(key.clone(), value.clone());
    }

    async fn commit(&self, caller: usize, session: &Self::Key) {
        std::hint::black_box(self.read(caller, session).await);
        self.write(caller, session).await;
    }
}

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use dashmap::DashMap;
use driver_memory::MemoryDriver;
use moka::Expiry;
use moka::sync::Cache;
use time::OffsetDateTime;
use tower_sessions::MemoryStore;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::SessionStore as _;

use super::subject::{self, Candidate, Subject, VALUE_LENGTH, key, left_until, value};

pub(super) const CANDIDATES: [Candidate; 4] = [
    Candidate {
        name: "driver-memory",
        is_ours: true,
        open: || {
            let driver = MemoryDriver::new().with_max_entries(2_000_000);
            Box::pin(async { boxed(Ours(Arc::new(driver))) })
        },
    },
    Candidate {
        name: "bare dashmap",
        is_ours: false,
        open: || Box::pin(async { boxed(BareMap(DashMap::new())) }),
    },
    Candidate {
        name: "bare moka",
        is_ours: false,
        open: || {
            Box::pin(async { boxed(BareCache(Cache::builder().expire_after(AtItsEnd).build())) })
        },
    },
    Candidate {
        name: "tower-sessions MemoryStore",
        is_ours: false,
        open: || Box::pin(async { boxed(TowerMemory(MemoryStore::default())) }),
    },
];

fn boxed(subject: impl Subject + 'static) -> Box<dyn Subject> {
    Box::new(subject)
}

struct Ours(Arc<MemoryDriver>);

#[async_trait]
impl Subject for Ours {
    async fn write(&mut self, session: usize, end: Instant) {
        subject::write(&*self.0, session, end).await;
    }

    async fn read(&mut self, session: usize) {
        subject::read(&*self.0, session).await;
    }

    async fn list(&mut self) -> Option<usize> {
        Some(subject::list(&*self.0).await)
    }
}

/// A map without expiry.
struct BareMap(DashMap<String, Bytes>);

#[async_trait]
impl Subject for BareMap {
    async fn write(&mut self, session: usize, _end: Instant) {
        self.0.insert(key(session), value());
    }

    async fn read(&mut self, session: usize) {
        std::hint::black_box(self.0.get(&key(session)).map(|value| value.clone()));
    }

    async fn list(&mut self) -> Option<usize> {
        let keys: Vec<String> = self.0.iter().map(|entry| entry.key().clone()).collect();
        Some(keys.len())
    }
}

struct BareCache(Cache<String, (Instant, Bytes)>);

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

#[async_trait]
impl Subject for BareCache {
    async fn end_batch(&mut self) {
        self.0.run_pending_tasks();
    }

    async fn write(&mut self, session: usize, end: Instant) {
        self.0.insert(key(session), (end, value()));
    }

    async fn read(&mut self, session: usize) {
        std::hint::black_box(self.0.get(&key(session)));
    }

    async fn list(&mut self) -> Option<usize> {
        Some(self.0.iter().count())
    }
}

/// The store hides expired sessions and never frees them.
struct TowerMemory(MemoryStore);

#[async_trait]
impl Subject for TowerMemory {
    async fn write(&mut self, session: usize, end: Instant) {
        let value = serde_json::Value::from("x".repeat(VALUE_LENGTH));
        let record = Record {
            id: Id(i128::try_from(session).unwrap_or(i128::MAX)),
            data: std::iter::once(("value".to_owned(), value)).collect(),
            expiry_date: OffsetDateTime::now_utc() + left_until(end),
        };
        self.0.save(&record).await.expect("a write");
    }

    async fn read(&mut self, session: usize) {
        let id = Id(i128::try_from(session).unwrap_or(i128::MAX));
        std::hint::black_box(self.0.load(&id).await.expect("a read"));
    }

    async fn list(&mut self) -> Option<usize> {
        None
    }
}

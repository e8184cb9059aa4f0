use time::OffsetDateTime;
use tower_sessions::session_store::SessionStore as _;
use tower_sessions_014::session_store::SessionStore as _;
use tower_sessions_moka_store::MokaStore;

use crate::stores::{Store, VALUE_LENGTH};

/// The store of tower-sessions 0.15.
pub(super) struct TowerMemory(tower_sessions::MemoryStore);

pub(super) fn memory() -> TowerMemory {
    TowerMemory(tower_sessions::MemoryStore::default())
}

impl Store for TowerMemory {
    const NAME: &'static str = "tower-sessions MemoryStore";
    const NOTE: &'static str =
        "records with one string; expired sessions are never freed; commits are not conditional";

    type Key = tower_sessions::session::Record;

    fn key(&self, session: usize) -> Self::Key {
        Self::Key {
            id: tower_sessions::session::Id(number(session)),
            data: data(),
            expiry_date: end(),
        }
    }

    async fn read(&self, _caller: usize, session: &Self::Key) -> usize {
        let record = self.0.load(&session.id).await.expect("a read");
        record.expect("a session").data.len()
    }

    async fn write(&self, _caller: usize, session: &Self::Key) {
        self.0.save(session).await.expect("a write");
    }

    async fn commit(&self, _caller: usize, session: &Self::Key) {
        let record = self.0.load(&session.id).await.expect("a read");
        let saved = self.0.save(&record.expect("a session")).await;
        saved.expect("a write");
    }
}

/// The store on moka, of tower-sessions 0.14.
pub(super) struct TowerMoka(MokaStore);

pub(super) fn moka() -> TowerMoka {
    TowerMoka(MokaStore::new(None))
}

impl Store for TowerMoka {
    const NAME: &'static str = "tower-sessions MokaStore";
    const NOTE: &'static str = "the same with tower-sessions 0.14, because there is none for 0.15";

    type Key = tower_sessions_014::session::Record;

    fn key(&self, session: usize) -> Self::Key {
        Self::Key {
            id: tower_sessions_014::session::Id(number(session)),
            data: data(),
            expiry_date: end(),
        }
    }

    async fn read(&self, _caller: usize, session: &Self::Key) -> usize {
        let record = self.0.load(&session.id).await.expect("a read");
        record.expect("a session").data.len()
    }

    async fn write(&self, _caller: usize, session: &Self::Key) {
        self.0.save(session).await.expect("a write");
    }

    async fn commit(&self, _caller: usize, session: &Self::Key) {
        let record = self.0.load(&session.id).await.expect("a read");
        let saved = self.0.save(&record.expect("a session")).await;
        saved.expect("a write");
    }
}

fn number(session: usize) -> i128 {
    i128::try_from(session).unwrap_or(i128::MAX)
}

fn data() -> std::collections::HashMap<String, serde_json::Value> {
    let value = serde_json::Value::from("x".repeat(VALUE_LENGTH));
    std::iter::once(("value".to_owned(), value)).collect()
}

fn end() -> OffsetDateTime {
    OffsetDateTime::now_utc() + time::Duration::days(1)
}

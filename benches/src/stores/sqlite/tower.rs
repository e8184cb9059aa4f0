use std::path::Path;

use sqlx_08::SqlitePool;
use sqlx_08::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use tempfile::TempDir;
use time::OffsetDateTime;
use tower_sessions_014::session::{Id, Record};
use tower_sessions_014::session_store::SessionStore as _;
use tower_sessions_sqlx_store::SqliteStore;

use super::table::{CACHE_SIZE, CHECKPOINT_AFTER};
use crate::stores::{Store, VALUE_LENGTH};

/// The size of its pool. On two processors, 4 was at or near the best of 1, 2, 4 and 10.
const CONNECTIONS: u32 = 4;

/// The store of tower-sessions 0.14 on sqlx 0.8.
pub(super) struct TowerSqlite {
    store: SqliteStore,
    _folder: TempDir,
}

/// Opens a pool on `file`.
pub(crate) async fn connect(file: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .pragma("cache_size", CACHE_SIZE)
        .pragma("wal_autocheckpoint", CHECKPOINT_AFTER);
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .connect_with(options)
        .await;
    pool.expect("a database")
}

impl TowerSqlite {
    pub(super) async fn open(folder: TempDir) -> Self {
        let store = SqliteStore::new(connect(&folder.path().join("tower.db")).await);
        store.migrate().await.expect("a table");
        Self {
            store,
            _folder: folder,
        }
    }
}

impl Store for TowerSqlite {
    const NAME: &'static str = "tower-sessions SqliteStore";
    const NOTE: &'static str = "on tower-sessions 0.14 and sqlx 0.8, for there is none on 0.15; a pool of 4 \
                                connections, near the fastest in each case here; records of one text; commits are not conditional";

    type Key = Record;

    fn key(&self, session: usize) -> Record {
        let value = serde_json::Value::from("x".repeat(VALUE_LENGTH));
        Record {
            id: Id(i128::try_from(session).unwrap_or(i128::MAX)),
            data: std::iter::once(("value".to_owned(), value)).collect(),
            expiry_date: OffsetDateTime::now_utc() + time::Duration::days(1),
        }
    }

    async fn read(&self, _caller: usize, session: &Record) -> usize {
        let record = self.store.load(&session.id).await.expect("a read");
        record.expect("a session").data.len()
    }

    async fn write(&self, _caller: usize, session: &Record) {
        self.store.save(session).await.expect("a write");
    }

    async fn commit(&self, _caller: usize, session: &Record) {
        let record = self.store.load(&session.id).await.expect("a read");
        let saved = self.store.save(&record.expect("a session")).await;
        saved.expect("a write");
    }
}

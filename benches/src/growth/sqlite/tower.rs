use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx_08::{Row, Sqlite, SqlitePool, Transaction};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use tower_sessions_014::session::{Id, Record};
use tower_sessions_014::session_store::{ExpiredDeletion as _, SessionStore as _};
use tower_sessions_sqlx_store::SqliteStore;

use super::file_size;
use crate::growth::subject::{Subject, VALUE_LENGTH, left_until};
use crate::stores::sqlite::tower::connect;

const FILE: &str = "tower.db";
/// The interval of its deletion task. It scans every row, so it runs less often than ours.
const DELETION_INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn open() -> Box<dyn Subject> {
    let folder = crate::stores::folder();
    let pool = connect(&folder.path().join(FILE)).await;
    let store = SqliteStore::new(pool.clone());
    store.migrate().await.expect("a table");
    // The store has no bulk writes, so the bulk load copies a record that the store encoded.
    let sample = record(0, Instant::now());
    store.save(&sample).await.expect("a write");
    let data = sqlx_08::query("select data from tower_sessions");
    let data = data.fetch_one(&pool).await.expect("a read").get(0);
    store.delete(&sample.id).await.expect("a removal");
    let deleting = store.clone();
    let deletion = tokio::spawn(async move {
        let mut interval = tokio::time::interval(DELETION_INTERVAL);
        loop {
            interval.tick().await;
            // If the database is locked, the next run catches up.
            let _deleted = deleting.delete_expired().await;
        }
    });
    Box::new(TowerSqlite {
        store,
        pool,
        data,
        batch: None,
        deletion,
        folder,
    })
}

struct TowerSqlite {
    store: SqliteStore,
    pool: SqlitePool,
    data: Vec<u8>,
    batch: Option<Transaction<'static, Sqlite>>,
    deletion: JoinHandle<()>,
    folder: TempDir,
}

impl Drop for TowerSqlite {
    fn drop(&mut self) {
        self.deletion.abort();
    }
}

fn id(session: usize) -> Id {
    Id(i128::try_from(session).unwrap_or(i128::MAX))
}

fn record(session: usize, end: Instant) -> Record {
    let value = serde_json::Value::from("x".repeat(VALUE_LENGTH));
    Record {
        id: id(session),
        data: std::iter::once(("value".to_owned(), value)).collect(),
        expiry_date: OffsetDateTime::now_utc() + left_until(end),
    }
}

#[async_trait]
impl Subject for TowerSqlite {
    fn bytes(&self) -> i64 {
        file_size(&self.folder.path().join(FILE))
    }

    async fn begin_batch(&mut self) {
        self.batch = Some(self.pool.begin().await.expect("a transaction"));
    }

    async fn end_batch(&mut self) {
        if let Some(batch) = self.batch.take() {
            batch.commit().await.expect("a commit");
        }
    }

    async fn write(&mut self, session: usize, end: Instant) {
        let Some(batch) = &mut self.batch else {
            let saved = self.store.save(&record(session, end)).await;
            return saved.expect("a write");
        };
        let write = "insert into tower_sessions (id, data, expiry_date) values (?, ?, ?) \
                     on conflict(id) do update set data = excluded.data, expiry_date = excluded.expiry_date";
        let query = sqlx_08::query(write)
            .bind(id(session).to_string())
            .bind(&self.data)
            .bind(OffsetDateTime::now_utc() + left_until(end));
        query.execute(&mut **batch).await.expect("a write");
    }

    async fn read(&mut self, session: usize) {
        let record = self.store.load(&id(session)).await;
        std::hint::black_box(record.expect("a read"));
    }

    async fn list(&mut self) -> Option<usize> {
        None
    }
}

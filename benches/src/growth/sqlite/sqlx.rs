use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ::sqlx::{Executor, SqliteConnection};
use async_trait::async_trait;
use tempfile::TempDir;

use super::file_size;
use crate::growth::subject::{Subject, key, left_until, value};
use crate::stores::sqlite::sqlx::connect;
use crate::stores::sqlite::table::{READ, WRITE};

const FILE: &str = "sqlx.db";

pub(super) async fn open() -> Box<dyn Subject> {
    let folder = crate::stores::folder();
    let connection = connect(&folder.path().join(FILE), true).await;
    Box::new(BareSqlx { connection, folder })
}

/// The store hides expired sessions and never removes them.
struct BareSqlx {
    connection: SqliteConnection,
    folder: TempDir,
}

impl BareSqlx {
    async fn execute(&mut self, sql: &'static str) {
        self.connection.execute(sql).await.expect("a statement");
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    i64::try_from(millis).unwrap_or(i64::MAX)
}

#[async_trait]
impl Subject for BareSqlx {
    fn bytes(&self) -> i64 {
        file_size(&self.folder.path().join(FILE))
    }

    async fn begin_batch(&mut self) {
        self.execute("BEGIN").await;
    }

    async fn end_batch(&mut self) {
        self.execute("COMMIT").await;
    }

    async fn write(&mut self, session: usize, end: Instant) {
        let left = i64::try_from(left_until(end).as_millis()).unwrap_or(i64::MAX);
        let value = value();
        let query = ::sqlx::query(WRITE)
            .bind(key(session))
            .bind(std::str::from_utf8(&value).unwrap_or_default())
            .bind(now() + left);
        query.execute(&mut self.connection).await.expect("a write");
    }

    async fn read(&mut self, session: usize) {
        let query = ::sqlx::query(READ).bind(key(session)).bind(now());
        let row = query.fetch_optional(&mut self.connection).await;
        std::hint::black_box(row.expect("a read"));
    }

    async fn list(&mut self) -> Option<usize> {
        let query = ::sqlx::query("SELECT key FROM sessions");
        let rows = query.fetch_all(&mut self.connection).await;
        Some(rows.expect("a listing").len())
    }
}

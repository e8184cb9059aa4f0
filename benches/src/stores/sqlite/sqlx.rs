use std::path::{Path, PathBuf};

use ::sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous,
};
use ::sqlx::{Connection, Executor, Row};
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::table::{
    CACHE_SIZE, CHECKPOINT_AFTER, COMMIT, CREATE, CREATE_INDEX, END, NOW, READ, TABLE, WRITE,
    connections,
};
use crate::stores::memory::key_text;
use crate::stores::{Store, VALUE_LENGTH};

/// Bare connections of sqlx.
pub(super) struct BareSqlx {
    connections: Vec<Mutex<SqliteConnection>>,
    folder: TempDir,
}

/// Opens a connection to `file` and creates the table if it is new.
pub(crate) async fn connect(file: &Path, is_new: bool) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .pragma("cache_size", CACHE_SIZE)
        .pragma("wal_autocheckpoint", CHECKPOINT_AFTER);
    let connection = SqliteConnection::connect_with(&options).await;
    let mut connection = connection.expect("a database");
    if is_new {
        for statement in [CREATE, CREATE_INDEX] {
            connection.execute(statement).await.expect("a table");
        }
    }
    connection
}

const FILE: &str = "sqlx.db";

impl BareSqlx {
    pub(super) async fn open(folder: TempDir) -> Self {
        let file = folder.path().join(FILE);
        let mut opened = Vec::new();
        for number in 0..connections() {
            opened.push(Mutex::new(connect(&file, number == 0).await));
        }
        Self {
            connections: opened,
            folder,
        }
    }

    fn reader(&self, caller: usize) -> &Mutex<SqliteConnection> {
        &self.connections[caller % self.connections.len()]
    }

    fn writer(&self) -> &Mutex<SqliteConnection> {
        &self.connections[0]
    }

    async fn read_row(&self, caller: usize, key: &str) -> (usize, i64) {
        let mut connection = self.reader(caller).lock().await;
        let query = ::sqlx::query(READ).bind(key).bind(NOW);
        let row = query.fetch_one(&mut *connection).await.expect("a session");
        let value: String = row.get(0);
        (value.len(), row.get(1))
    }
}

impl Store for BareSqlx {
    const NAME: &'static str = "bare sqlx";
    const NOTE: &'static str = "sqlx 0.9 on as many connections as processors, held and not pooled, of which the \
                                first writes; the columns of ours without its triggers; commits are conditional";

    type Key = (String, String);

    fn file(&self) -> Option<(PathBuf, &'static str)> {
        Some((self.folder.path().join(FILE), TABLE))
    }

    fn key(&self, session: usize) -> Self::Key {
        (key_text(session), "x".repeat(VALUE_LENGTH))
    }

    async fn read(&self, caller: usize, (key, _): &Self::Key) -> usize {
        self.read_row(caller, key).await.0
    }

    async fn write(&self, _caller: usize, (key, value): &Self::Key) {
        let mut connection = self.writer().lock().await;
        let query = ::sqlx::query(WRITE).bind(key).bind(value).bind(END);
        query.execute(&mut *connection).await.expect("a write");
    }

    async fn commit(&self, caller: usize, (key, value): &Self::Key) {
        let (_, revision) = self.read_row(caller, key).await;
        let mut connection = self.writer().lock().await;
        let query = ::sqlx::query(COMMIT).bind(key).bind(value).bind(END);
        let query = query.bind(revision).execute(&mut *connection);
        query.await.expect("a write");
    }
}

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::rusqlite::{Connection, params};
use tempfile::TempDir;

use super::table::{
    CACHE_SIZE, CHECKPOINT_AFTER, COMMIT, CREATE, CREATE_INDEX, END, NOW, READ, TABLE, WRITE,
    connections,
};
use crate::stores::memory::key_text;
use crate::stores::{Store, VALUE_LENGTH};

/// SQLite, called directly on the threads of the runtime.
pub(super) struct BareRusqlite {
    connections: Vec<Mutex<Connection>>,
    folder: TempDir,
}

const FILE: &str = "rusqlite.db";

impl BareRusqlite {
    pub(super) fn open(folder: TempDir) -> Self {
        let open = |number: usize| {
            let connection = Connection::open(folder.path().join(FILE)).expect("a database");
            let pragmas = format!(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000; \
                 PRAGMA cache_size = {CACHE_SIZE}; PRAGMA wal_autocheckpoint = {CHECKPOINT_AFTER};"
            );
            connection.execute_batch(&pragmas).expect("valid pragmas");
            if number == 0 {
                let create = format!("{CREATE}; {CREATE_INDEX};");
                connection.execute_batch(&create).expect("a table");
            }
            Mutex::new(connection)
        };
        Self {
            connections: (0..connections()).map(open).collect(),
            folder,
        }
    }

    fn reader(&self, caller: usize) -> MutexGuard<'_, Connection> {
        let connection = &self.connections[caller % self.connections.len()];
        connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.reader(0)
    }

    fn read_row(&self, caller: usize, key: &str) -> (usize, i64) {
        let connection = self.reader(caller);
        let mut statement = connection.prepare_cached(READ).expect("a statement");
        let row = statement.query_row(params![key, NOW], |row| {
            let value: String = row.get(0)?;
            Ok((value.len(), row.get(1)?))
        });
        row.expect("a session")
    }
}

impl Store for BareRusqlite {
    const NAME: &'static str = "bare rusqlite";
    const NOTE: &'static str = "the limit: the same statements and connections without any change of threads; it \
                                blocks the runtime, as no server may";

    type Key = (String, String);

    fn file(&self) -> Option<(PathBuf, &'static str)> {
        Some((self.folder.path().join(FILE), TABLE))
    }

    fn key(&self, session: usize) -> Self::Key {
        (key_text(session), "x".repeat(VALUE_LENGTH))
    }

    async fn read(&self, caller: usize, (key, _): &Self::Key) -> usize {
        self.read_row(caller, key).0
    }

    async fn write(&self, _caller: usize, (key, value): &Self::Key) {
        let connection = self.writer();
        let mut statement = connection.prepare_cached(WRITE).expect("a statement");
        let written = statement.execute(params![key, value, END]);
        written.expect("a write");
    }

    async fn commit(&self, caller: usize, (key, value): &Self::Key) {
        let (_, revision) = self.read_row(caller, key);
        let connection = self.writer();
        let mut statement = connection.prepare_cached(COMMIT).expect("a statement");
        let written = statement.execute(params![key, value, END, revision]);
        written.expect("a write");
    }
}

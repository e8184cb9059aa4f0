//! A database in a folder of its own, with a driver on it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use driver_sqlite::{SqliteDriver, SqliteOptions};
use session_core::{Driver, Key, WriteOptions, WriteOutcome};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row, SqliteConnection};
use tempfile::TempDir;
use test_support::step;

pub(crate) struct Database {
    pub(crate) driver: Arc<SqliteDriver>,
    pub(crate) path: PathBuf,
    pub(crate) folder: TempDir,
}

impl Database {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut SqliteOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let mut options = SqliteOptions::new(&path);
        options.sweep_interval = None;
        change(&mut options);
        step("opening a database");
        let driver = Arc::new(SqliteDriver::open(options).await.unwrap());
        Self {
            driver,
            path,
            folder,
        }
    }

    /// A connection beside the driver's, which knows nothing of our columns and waits for no lock.
    pub(crate) async fn connect(&self) -> SqliteConnection {
        connect(&self.path).await
    }

    /// The first column of the rows of `sql`, by a connection beside the driver's.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        step(sql);
        let mut connection = self.connect().await;
        let rows = connection.fetch_all(AssertSqlSafe(sql)).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Waits until `sql` gives one row that is `expected`.
    pub(crate) async fn until(&self, sql: &str, expected: &str) {
        for _ in 0..1_000 {
            if self.rows(sql).await == [expected] {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{sql} never became {expected}: {:?}", self.rows(sql).await);
    }
}

pub(crate) async fn connect(path: &PathBuf) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .busy_timeout(Duration::ZERO);
    options.connect().await.unwrap()
}

pub(crate) async fn run(connection: &mut SqliteConnection, sql: &str) {
    step(sql);
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
}

pub(crate) async fn eventually(condition: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came about");
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

/// Adds one to a number on condition that nobody else did.
pub(crate) async fn increment(driver: &dyn Driver, key: &Key) {
    loop {
        let entry = driver.read(key).await.unwrap().unwrap();
        let number: u64 = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
        let options = WriteOptions::if_version(entry.version.unwrap());
        let value = (number + 1).to_string().into();
        if let WriteOutcome::Written { .. } = driver.write(key, value, options).await.unwrap() {
            return;
        }
    }
}

//! A database of its own for each test, with a driver on it.

use std::time::Duration;

use driver_postgres::{PostgresDriver, PostgresOptions};
use session_core::{Driver, Key, WriteOptions, WriteOutcome};
use sqlx::postgres::PgPoolOptions;
use test_support::PostgresServer;

/// Enough for a value of 64 MiB while all tests keep the machine busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An empty database of the shared server.
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) server: &'static PostgresServer,
}

impl Database {
    pub(crate) fn new() -> Self {
        let server = PostgresServer::shared();
        Self {
            name: server.create_database(),
            server,
        }
    }

    pub(crate) fn options(&self) -> PostgresOptions {
        PostgresOptions::new(self.server.url(&self.name))
            .with_timeout(PATIENCE)
            .with_sweep_interval(None)
    }

    pub(crate) async fn open(&self) -> PostgresDriver {
        PostgresDriver::open(self.options()).await.unwrap()
    }

    pub(crate) fn psql(&self, sql: &str) -> String {
        self.server.psql(&self.name, sql)
    }

    /// Waits until `sql` gives `expected`.
    pub(crate) async fn until(&self, sql: &str, expected: &str) {
        for _ in 0..1_000 {
            if self.psql(sql) == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{sql} never became {expected}: {}", self.psql(sql));
    }
}

/// A transaction that holds the row of `k` from now on, until it is committed.
pub(crate) async fn holding(database: &Database) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let pool = PgPoolOptions::new().max_connections(1);
    let pool = pool
        .connect(&database.server.url(&database.name))
        .await
        .unwrap();
    let mut transaction = pool.begin().await.unwrap();
    let hold = "SELECT FROM unstorage WHERE key = 'k' FOR UPDATE";
    sqlx::query(hold).execute(&mut *transaction).await.unwrap();
    transaction
}

/// Whether a statement of the database waits for a lock.
pub(crate) const WAITING: &str = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() \
                       AND wait_event_type = 'Lock'";

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

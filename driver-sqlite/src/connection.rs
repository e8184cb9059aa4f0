//! Connections, each with a place that one operation at a time uses.

use std::time::Duration;

use futures_util::TryStreamExt;
use session_core::Error;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor, SqlStr, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::config::{SqliteOptions, Synchronous};
use crate::error::{During, closed, from_sqlx, is_locked};
use crate::statements::{KINDS, MAX_BATCH};

/// How connections are made.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    options: SqliteConnectOptions,
    in_memory: bool,
    busy_timeout: Duration,
}

impl Connector {
    pub(crate) fn new(options: &SqliteOptions) -> Self {
        /// Enough for the longest transaction, so that the thread that holds the lock never waits for us.
        const ROWS_BUFFERED: usize = (KINDS.len() + 1) * MAX_BATCH;
        /// A transaction of each mix of sizes is a statement of its own.
        const STATEMENTS_KEPT: usize = 32;
        /// In pages: the log has 16 MiB at most. Many sessions share a page, and the more commits lie between
        /// two checkpoints, the less often each page is written to the disk.
        const CHECKPOINT_AFTER: &str = "4000";
        /// In KiB, negative by SQLite's convention. The writer's cache outlives its transactions.
        const CACHE: &str = "-8192";
        let synchronous = match options.synchronous {
            Synchronous::Off => SqliteSynchronous::Off,
            Synchronous::Normal => SqliteSynchronous::Normal,
            Synchronous::Full => SqliteSynchronous::Full,
        };
        let in_memory = options.is_memory();
        let connect = SqliteConnectOptions::new()
            .in_memory(in_memory)
            .create_if_missing(true)
            .busy_timeout(options.busy_timeout.min(options.timeout))
            .synchronous(synchronous)
            .foreign_keys(false)
            .pragma("cache_size", CACHE)
            .pragma("wal_autocheckpoint", CHECKPOINT_AFTER)
            .row_buffer_size(ROWS_BUFFERED)
            .statement_cache_capacity(STATEMENTS_KEPT)
            .thread_name(|id| format!("driver-sqlite-{id}"))
            .disable_statement_logging();
        let connect = match in_memory {
            true => connect,
            false => connect.filename(&options.path),
        };
        Self {
            options: connect,
            in_memory,
            busy_timeout: options.busy_timeout,
        }
    }

    /// For further connections: if the file is gone, that is an error, and no new one is made.
    #[must_use]
    pub(crate) fn to_existing(&self) -> Self {
        Self {
            options: self
                .options
                .clone()
                .create_if_missing(false)
                .busy_timeout(SHORT_BUSY_TIMEOUT),
            in_memory: self.in_memory,
            busy_timeout: self.busy_timeout,
        }
    }

    pub(crate) async fn connect(&self) -> Result<SqliteConnection, sqlx::Error> {
        self.options.connect().await
    }
}

/// A place for one connection, which one operation at a time uses.
pub(crate) struct Slot {
    connector: Connector,
    held: Mutex<Held>,
}

pub(crate) struct Held {
    connection: Option<SqliteConnection>,
    closed: bool,
    /// A statement was given to the thread of the connection, and its end was not seen, since the caller was dropped
    /// or timed out. The thread may still execute it.
    unfinished: bool,
}

impl Slot {
    /// A slot whose connection is made when it is first used.
    pub(crate) fn new(connector: Connector, connection: Option<SqliteConnection>) -> Self {
        Self {
            connector,
            held: Mutex::new(Held {
                connection,
                closed: false,
                unfinished: false,
            }),
        }
    }

    /// The slot, if nobody uses it and its connection has nothing to do.
    pub(crate) fn try_lock(&self) -> Option<Lease<'_>> {
        let held = self.held.try_lock().ok()?;
        (!held.unfinished).then_some(Lease {
            connector: &self.connector,
            held,
        })
    }

    pub(crate) async fn lock(&self) -> Lease<'_> {
        Lease {
            connector: &self.connector,
            held: self.held.lock().await,
        }
    }

    /// Closes the connection after what runs on it. No other is opened afterwards.
    pub(crate) async fn close(&self) -> Result<(), Error> {
        let mut held = self.held.lock().await;
        held.closed = true;
        match held.connection.take() {
            Some(connection) => connection
                .close()
                .await
                .map_err(|error| from_sqlx(error, During::Reading)),
            None => Ok(()),
        }
    }
}

/// A slot in use.
pub(crate) struct Lease<'a> {
    connector: &'a Connector,
    held: MutexGuard<'a, Held>,
}

impl Lease<'_> {
    /// The connection with nothing left to do, which is opened if there is none.
    pub(crate) async fn connection(&mut self) -> Result<&mut SqliteConnection, Error> {
        if self.held.closed {
            return Err(closed());
        }
        if self.held.unfinished {
            self.roll_back().await;
        }
        if self.held.connection.is_none() {
            let until = self.locked_until();
            let connection = loop {
                match self.connector.connect().await {
                    Ok(connection) => break connection,
                    Err(error) if waited_for_lock(&error, || Instant::now() < until).await => {}
                    Err(error) => return Err(from_sqlx(error, During::Reading)),
                }
            };
            self.held.connection = Some(connection);
        }
        self.held.connection.as_mut().ok_or_else(closed)
    }

    /// Runs a statement that changes something, and says how many rows it changed. It waits for a lock of another
    /// process for as long as `waits` says so.
    pub(crate) async fn execute(
        &mut self,
        sql: &SqlStr,
        arguments: &SqliteArguments,
        waits: impl Fn() -> bool,
    ) -> Result<u64, Error> {
        loop {
            let query = sqlx::query_with(sql.clone(), arguments.clone());
            let done = self.started().await?.execute(query).await;
            self.finished();
            match done {
                Ok(done) => return Ok(done.rows_affected()),
                Err(error) if waited_for_lock(&error, &waits).await => {}
                Err(error) => return Err(self.failed(error, During::Writing)),
            }
        }
    }

    /// Reads the first row.
    pub(crate) async fn first(
        &mut self,
        sql: &SqlStr,
        arguments: &SqliteArguments,
    ) -> Result<Option<SqliteRow>, Error> {
        let until = self.locked_until();
        loop {
            let query = sqlx::query_with(sql.clone(), arguments.clone());
            let row = self.started().await?.fetch_optional(query).await;
            self.finished();
            match row {
                Ok(row) => return Ok(row),
                Err(error) if waited_for_lock(&error, || Instant::now() < until).await => {}
                Err(error) => return Err(self.failed(error, During::Reading)),
            }
        }
    }

    /// Reads all rows.
    pub(crate) async fn rows(
        &mut self,
        sql: &SqlStr,
        arguments: &SqliteArguments,
    ) -> Result<Vec<SqliteRow>, Error> {
        let until = self.locked_until();
        loop {
            let query = sqlx::query_with(sql.clone(), arguments.clone());
            let rows = self.started().await?.fetch(query).try_collect().await;
            self.finished();
            match rows {
                Ok(rows) => return Ok(rows),
                Err(error) if waited_for_lock(&error, || Instant::now() < until).await => {}
                Err(error) => return Err(self.failed(error, During::Reading)),
            }
        }
    }

    /// Until when a statement that begins now waits for a lock of another process.
    pub(crate) fn locked_until(&self) -> Instant {
        Instant::now() + self.connector.busy_timeout
    }

    /// The connection for a statement or a transaction, which [`finished`](Self::finished) or
    /// [`roll_back`](Self::roll_back) ends.
    pub(crate) async fn started(&mut self) -> Result<&mut SqliteConnection, Error> {
        self.connection().await?;
        self.held.unfinished = true;
        self.held.connection.as_mut().ok_or_else(closed)
    }

    pub(crate) fn finished(&mut self) {
        self.held.unfinished = false;
    }

    /// Waits until the thread of the connection has nothing to do, and undoes a transaction that is still open.
    pub(crate) async fn roll_back(&mut self) {
        if let Some(connection) = self.held.connection.as_mut() {
            // It fails if no transaction is open.
            let _maybe_none_was_open = connection.execute("ROLLBACK").await;
        }
        self.held.unfinished = false;
    }

    fn failed(&mut self, error: sqlx::Error, during: During) -> Error {
        self.note(&error);
        from_sqlx(error, during)
    }

    /// Drops a connection whose thread has ended, so that the next use opens another. A database in memory would
    /// be lost with its connection, so there it stays, and each use reports the error.
    pub(crate) fn note(&mut self, error: &sqlx::Error) {
        if matches!(error, sqlx::Error::WorkerCrashed) && !self.connector.in_memory {
            self.held.connection = None;
        }
    }
}

/// How long SQLite itself waits for a lock before [`waited_for_lock`] takes over.
pub(crate) const SHORT_BUSY_TIMEOUT: Duration = Duration::from_millis(3);

/// Waits for a moment if `error` says that another process holds the lock and `waits` allows it, and says whether to
/// try again.
///
/// SQLite waits by trying again at ever longer intervals, up to a tenth of a second. Beside a writer that hardly
/// ever releases the lock, such as a loop over unstorage, that loses again and again. So this driver tries every other
/// millisecond. A statement that was refused for a lock did nothing, so it is safe to try again.
pub(crate) async fn waited_for_lock(error: &sqlx::Error, waits: impl Fn() -> bool) -> bool {
    let may_wait = is_locked(error) && waits();
    if may_wait {
        pause().await;
    }
    may_wait
}

/// The time between two attempts to get a lock that another process holds.
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

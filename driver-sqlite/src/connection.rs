use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use session_core::Error;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor, SqlStr, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};

use crate::config::{SqliteOptions, Synchronous};
use crate::error::{During, closed, from_sqlx, is_locked};
use crate::statements::{KINDS, MAX_BATCH};

/// How connections are made.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    options: SqliteConnectOptions,
    in_memory: bool,
    patience: Duration,
}

impl Connector {
    pub(crate) fn new(options: &SqliteOptions) -> Self {
        /// Enough for the longest transaction, so that the thread that holds the lock never waits for us.
        const ROWS_BUFFERED: usize = (KINDS.len() + 1) * MAX_BATCH;
        /// A transaction of each mix of sizes is a statement of its own.
        const STATEMENTS_KEPT: usize = 32;
        /// In pages: 16 MiB at most in the log. Many sessions share a page, and the more commits lie between
        /// two checkpoints, the more seldom each page is written and the disk waited for.
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
            .busy_timeout(options.busy_timeout)
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
            patience: options.busy_timeout,
        }
    }

    /// For further connections: where the file has gone meanwhile, that is an error, and no new one is made.
    #[must_use]
    pub(crate) fn to_existing(&self) -> Self {
        Self {
            options: self
                .options
                .clone()
                .create_if_missing(false)
                .busy_timeout(SHORT_BUSY_TIMEOUT),
            in_memory: self.in_memory,
            patience: self.patience,
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
    /// A transaction was begun on the connection, and its end was not seen: the task that ran it was dropped
    /// with its runtime.
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

    pub(crate) fn try_lock(&self) -> Option<Lease<'_>> {
        let held = self.held.try_lock().ok()?;
        Some(Lease {
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

    /// Closes the connection after what runs on it; nothing opens another.
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
    /// The connection, made anew where there is none.
    pub(crate) async fn connection(&mut self) -> Result<&mut SqliteConnection, Error> {
        if self.held.closed {
            return Err(closed());
        }
        if self.held.unfinished {
            self.roll_back().await;
        }
        if self.held.connection.is_none() {
            let mut patience = Patience::new(self.connector.patience);
            let connection = loop {
                match self.connector.connect().await {
                    Ok(connection) => break connection,
                    Err(error) if patience.waits_for(&error).await => {}
                    Err(error) => return Err(from_sqlx(error, During::Reading)),
                }
            };
            self.held.connection = Some(connection);
        }
        self.held.connection.as_mut().ok_or_else(closed)
    }

    /// Runs a statement that changes something, and says how many rows it changed.
    pub(crate) async fn execute(
        &mut self,
        sql: &SqlStr,
        arguments: &SqliteArguments,
    ) -> Result<u64, Error> {
        let mut patience = self.patience();
        loop {
            let query = sqlx::query_with(sql.clone(), arguments.clone());
            match self.connection().await?.execute(query).await {
                Ok(done) => return Ok(done.rows_affected()),
                Err(error) if patience.waits_for(&error).await => {}
                Err(error) => {
                    self.note(&error);
                    return Err(from_sqlx(error, During::Writing));
                }
            }
        }
    }

    /// Reads the first row.
    pub(crate) async fn first(
        &mut self,
        sql: &SqlStr,
        arguments: &SqliteArguments,
    ) -> Result<Option<SqliteRow>, Error> {
        let mut patience = self.patience();
        loop {
            let query = sqlx::query_with(sql.clone(), arguments.clone());
            match self.connection().await?.fetch_optional(query).await {
                Ok(row) => return Ok(row),
                Err(error) if patience.waits_for(&error).await => {}
                Err(error) => {
                    self.note(&error);
                    return Err(from_sqlx(error, During::Reading));
                }
            }
        }
    }

    /// Reads all rows.
    pub(crate) async fn rows(
        &mut self,
        sql: &SqlStr,
        arguments: &SqliteArguments,
    ) -> Result<Vec<SqliteRow>, Error> {
        let mut patience = self.patience();
        loop {
            let query = sqlx::query_with(sql.clone(), arguments.clone());
            let rows = self.connection().await?.fetch(query).try_collect();
            match rows.await {
                Ok(rows) => return Ok(rows),
                Err(error) if patience.waits_for(&error).await => {}
                Err(error) => {
                    self.note(&error);
                    return Err(from_sqlx(error, During::Reading));
                }
            }
        }
    }

    pub(crate) fn patience(&self) -> Patience {
        Patience::new(self.connector.patience)
    }

    /// The connection for a transaction, which [`finished`](Self::finished) or
    /// [`roll_back`](Self::roll_back) ends.
    pub(crate) async fn transaction(&mut self) -> Result<&mut SqliteConnection, Error> {
        self.connection().await?;
        self.held.unfinished = true;
        self.held.connection.as_mut().ok_or_else(closed)
    }

    pub(crate) fn finished(&mut self) {
        self.held.unfinished = false;
    }

    /// Ends a transaction that failed. SQLite may have ended it already, so its answer says nothing.
    pub(crate) async fn roll_back(&mut self) {
        if let Some(connection) = self.held.connection.as_mut() {
            let _maybe_none_was_open = connection.execute("ROLLBACK").await;
        }
        self.held.unfinished = false;
    }

    /// Gives a connection up whose thread has ended; the next use makes another. A database in memory would
    /// be lost with it, so there it stays, and says what is wrong.
    pub(crate) fn note(&mut self, error: &sqlx::Error) {
        if matches!(error, sqlx::Error::WorkerCrashed) && !self.connector.in_memory {
            self.held.connection = None;
        }
    }
}

/// How long SQLite itself waits for a lock before [`Patience`] goes on.
pub(crate) const SHORT_BUSY_TIMEOUT: Duration = Duration::from_millis(3);

/// Tries again what met another's lock, for as long as `busy_timeout`.
///
/// SQLite waits by looking again at ever longer intervals, up to a tenth of a second. Beside a writer that hardly
/// ever lets go, as a loop of unstorage's, that loses again and again, so here it is looked every other
/// millisecond. A statement that was refused for a lock did nothing, so that trying again is safe.
pub(crate) struct Patience {
    started: Instant,
    limit: Duration,
}

impl Patience {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            started: Instant::now(),
            limit,
        }
    }

    /// Whether to try again, after a moment.
    pub(crate) async fn waits_for(&mut self, error: &sqlx::Error) -> bool {
        const EVERY: Duration = Duration::from_millis(1);
        if !is_locked(error) || self.started.elapsed() >= self.limit {
            return false;
        }
        tokio::time::sleep(EVERY).await;
        true
    }
}

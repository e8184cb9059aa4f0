//! The driver: what each operation of the contract does with the table.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;
use session_core::{
    Capabilities, Conditions, DEFAULT_CLEAR_TIMEOUT, Driver, Entry, Error, ErrorKind, Expiry, Key,
    ListOptions, ListPage, Listing, Metadata, Operations, Outcome, Prefix, RemoveOptions,
    RemoveOutcome, Result, Timestamp, TouchOptions, Version, Write, WriteCondition, WriteOptions,
    WriteOutcome, async_trait,
};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::change::{Change, Changed, Condition, Revisions, STEP, Stored};
use crate::config::SqliteOptions;
use crate::database::Database;
use crate::entries::{self, Range, millis, revision, version};
use crate::error::closed;
use crate::statements::Statements;
use crate::threads::Threads;

const NAME: &str = "sqlite";

/// SQLite could store up to 10⁹ bytes, but nobody else can write meanwhile.
const MAX_VALUE_SIZE: usize = 64 * 1024 * 1024;
const MAX_KEY_SIZE: usize = 64 * 1024;

/// The largest page of a listing.
const MAX_PAGE: u32 = 10_000;

/// A driver that stores entries in a table of a SQLite database.
///
/// ```
/// use driver_sqlite::{SqliteDriver, SqliteOptions};
/// use session_core::{Driver, DriverExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> session_core::Result<()> {
/// let driver = SqliteDriver::open(SqliteOptions::new(":memory:")).await?;
/// driver.put("greeting", "hello").await?;
/// driver.close().await?;
/// # Ok(())
/// # }
/// ```
///
/// What it promises is in the [documentation of the crate](crate). Dropping it ends its threads and connections;
/// [`close`](Driver::close) also waits until they have ended.
pub struct SqliteDriver {
    pub(crate) database: Arc<Database>,
    threads: Arc<Threads>,
    revisions: Revisions,
    prefix: Prefix,
    ttl: Option<Duration>,
    operations: Operations,
    clear: Operations,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl SqliteDriver {
    /// Opens the database, and creates its table if it is missing.
    ///
    /// It must be called within a tokio runtime whose timer is enabled, and that runtime must live as long as the
    /// driver is used: the task that sweeps runs on it.
    pub async fn open(options: SqliteOptions) -> Result<Self> {
        let operations = Operations::new(NAME, options.timeout);
        let opened = operations
            .read("open", Self::open_database(options, operations.clone()))
            .await;
        // Opening again is always safe, whatever of it was done.
        opened.map_err(|error| error.with_outcome(Outcome::NotApplied))
    }

    async fn open_database(options: SqliteOptions, operations: Operations) -> Result<Self> {
        let table = options.check()?;
        let prefix = options.parsed_prefix()?;
        let database = Arc::new(Database::new(&options, table));
        let opening = Arc::clone(&database);
        let opened = tokio::task::spawn_blocking(move || opening.open());
        opened.await.map_err(|_| closed())??;

        let threads = Threads::start(&database, options.timeout, options.busy_timeout)?;
        let threads = Arc::new(threads);
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.close();
        if let Some(interval) = options.sweep_interval {
            let sweeping = sweep_every(interval, Arc::clone(&threads));
            let stop = stop.clone();
            tasks.spawn(async move { stop.run_until_cancelled_owned(sweeping).await });
        }
        Ok(Self {
            database,
            threads,
            revisions: Revisions::new(),
            prefix,
            ttl: options.ttl,
            clear: operations.with_timeout(DEFAULT_CLEAR_TIMEOUT),
            operations,
            tasks,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
        })
    }

    /// The change that a write makes, and its version.
    fn put(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<(Change, Version)> {
        let key = self.prefix.join(key);
        if value.len() > MAX_VALUE_SIZE || key.as_str().len() > MAX_KEY_SIZE {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "a key may have at most 64 KiB, and a value at most 64 MiB; store less",
            ));
        }
        let revision = self.revisions.next();
        let stored = Stored {
            value,
            raw: options.raw,
            expires_at: self.expires_at(options.expiry),
            revision,
        };
        let condition = match options.condition {
            WriteCondition::Always => Condition::Always,
            WriteCondition::IfAbsent => Condition::IfAbsent,
            WriteCondition::IfVersion(version) => if_version(Some(&version)),
        };
        let change = Change::Put {
            key,
            stored,
            condition,
        };
        Ok((change, version(Some(revision))))
    }

    fn expires_at(&self, expiry: Expiry) -> Option<i64> {
        expiry.resolve(self.ttl, Timestamp::now()).map(millis)
    }

    /// Reads `key` on one of the connections.
    async fn read_key<T: Send + 'static>(
        &self,
        operation: &'static str,
        key: &Key,
        read: impl FnOnce(&Connection, &Statements, &Key) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (database, key) = (Arc::clone(&self.database), self.prefix.join(key));
        let read = self
            .threads
            .read(move |on| read(on, &database.statements, &key));
        self.operations.read(operation, read).await
    }

    /// Removes everything below `prefix`, some keys by each statement, from the first key to the last. Keys that are
    /// written behind it do not keep it going.
    async fn clear_below(&self, prefix: &Prefix) -> Result<()> {
        let range = Range::below(&self.prefix.join_prefix(prefix));
        let mut after = range.start.clone();
        loop {
            let started = Instant::now();
            let clear = Change::Clear {
                range: range.clone(),
                after: after.clone(),
            };
            let cleared = self.threads.change(clear).await;
            match cleared.map_err(|error| match after == range.start {
                true => error,
                // Earlier steps removed something.
                false => error.with_outcome(Outcome::Unknown),
            })? {
                Changed::Cleared(Some(last)) => after = last,
                _ => return Ok(()),
            }
            pause_after_step(started).await;
        }
    }
}

/// Removes expired entries every `interval`. After an error it tries again at the next interval.
async fn sweep_every(interval: Duration, threads: Arc<Threads>) {
    loop {
        tokio::time::sleep(interval).await;
        loop {
            let started = Instant::now();
            match threads.change(Change::Sweep).await {
                Ok(Changed::Swept(STEP)) => pause_after_step(started).await,
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "sweeping failed; it is tried again after the interval");
                    break;
                }
            }
        }
    }
}

/// Leaves the lock to others for as long as a step took.
async fn pause_after_step(started: Instant) {
    const SHORTEST: Duration = Duration::from_millis(2);
    tokio::time::sleep(started.elapsed().max(SHORTEST)).await;
}

fn if_version(version: Option<&Version>) -> Condition {
    version.map_or(Condition::Always, |version| {
        Condition::IfRevision(revision(version))
    })
}

fn written(changed: Changed, version: Version) -> WriteOutcome {
    match changed {
        Changed::No(current) => WriteOutcome::Conflict(current),
        _ => WriteOutcome::written(Some(version)),
    }
}

#[async_trait]
impl Driver for SqliteDriver {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        let overhead = match self.prefix.is_root() {
            true => 0,
            false => self.prefix.as_str().len() + 1,
        };
        Capabilities::default()
            .with_conditions(Conditions::All)
            .with_reports_expiry(true)
            .with_touch(true)
            .with_listing(Listing::ExactlyOnce)
            .with_batch(true)
            .with_max_key_size(Some(MAX_KEY_SIZE.saturating_sub(overhead)))
            .with_max_value_size(Some(MAX_VALUE_SIZE))
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.read_key("read", key, |on, sql, key| {
            entries::read(on, sql, key, Timestamp::now())
        })
        .await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let write = async {
            let (change, version) = self.put(key, value, options)?;
            Ok(written(self.threads.change(change).await?, version))
        };
        self.operations.name("write", write.await)
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let change = Change::Delete {
            key: self.prefix.join(key),
            condition: if_version(options.if_version.as_ref()),
        };
        let removed = self.threads.change(change).await;
        let removed = removed.map(|changed| match changed {
            Changed::No(current) if options.if_version.is_some() => {
                RemoveOutcome::Conflict(current)
            }
            _ => RemoveOutcome::Removed,
        });
        self.operations.name("remove", removed)
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        let (database, prefix) = (Arc::clone(&self.database), self.prefix.clone());
        let list = self.threads.read(move |on| {
            let range = Range::below(&prefix.join_prefix(&options.prefix));
            let cursor = options.cursor.as_ref();
            let after = cursor.map_or(range.start.as_str(), |cursor| cursor.as_str());
            let limit = u32::try_from(options.limit)
                .unwrap_or(MAX_PAGE)
                .clamp(1, MAX_PAGE);
            entries::page(on, &database.statements, &prefix, &range, after, limit)
        });
        self.operations.read("list", list).await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        self.read_key("exists", key, entries::exists).await
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        self.read_key("metadata", key, entries::metadata).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let change = Change::Touch {
            key: self.prefix.join(key),
            expires_at: self.expires_at(options.expiry),
            condition: if_version(options.if_version.as_ref()),
        };
        let touched = self.threads.change(change).await;
        let touched = touched.map(|changed| matches!(changed, Changed::Yes));
        self.operations.name("touch", touched)
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let database = Arc::clone(&self.database);
        let keys: Vec<Key> = keys.iter().map(|key| self.prefix.join(key)).collect();
        let read = self.threads.read(move |on| {
            // They are read as of one moment. Dropping the transaction ends it.
            let _transaction = on.unchecked_transaction()?;
            let (sql, now) = (&database.statements, Timestamp::now());
            keys.iter()
                .map(|key| entries::read(on, sql, key, now))
                .collect()
        });
        self.operations.read("read_many", read).await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let mut versions = Vec::with_capacity(writes.len());
        let mut changes = Vec::with_capacity(writes.len());
        for write in writes {
            let put = self.put(&write.key, write.value, write.options);
            versions.push(put.map(|(change, version)| {
                changes.push(change);
                version
            }));
        }
        let mut changed = self.threads.change_many(changes).await.into_iter();
        let outcomes = versions.into_iter().map(|version| {
            let version = version?;
            Ok(written(changed.next().ok_or_else(closed)??, version))
        });
        outcomes
            .map(|outcome| self.operations.name("write_many", outcome))
            .collect()
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        let changes = keys.iter().map(|key| Change::Delete {
            key: self.prefix.join(key),
            condition: Condition::Always,
        });
        let results = self.threads.change_many(changes.collect()).await;
        let removed = Operations::combine(results.into_iter().map(|result| result.map(drop)));
        self.operations.name("remove_many", removed)
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        self.clear.change("clear", self.clear_below(prefix)).await
    }

    async fn close(&self) -> Result<()> {
        let close = async {
            self.stop.cancel();
            self.tasks.wait().await;
            self.threads.close().await;
            Ok(())
        };
        self.operations.change("close", close).await
    }
}

impl fmt::Debug for SqliteDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteDriver")
            .field("prefix", &self.prefix)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

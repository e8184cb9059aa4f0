//! The driver: what each operation of the contract does with the table.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use session_core::{
    Capabilities, Conditions, ConflictState, Cursor, DEFAULT_CLEAR_TIMEOUT, Driver, Entry, Error,
    ErrorKind, Expiry, Key, ListOptions, ListPage, Listing, Metadata, Operations, Outcome, Prefix,
    RemoveOptions, RemoveOutcome, Result, Timestamp, TouchOptions, Write, WriteCondition,
    WriteOptions, WriteOutcome, async_trait,
};
use sqlx::Connection;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::change::{Change, Changed, Revisions, Stored};
use crate::config::SqliteOptions;
use crate::connection::{Connector, Slot};
use crate::error::{During, closed, from_sqlx};
use crate::reader::{Readers, read_on};
use crate::rows::{bind, column, millis, revision, time, version};
use crate::schema;
use crate::statements::Statements;
use crate::sweep::{SWEEP_BATCH, pause_after_batch, sweep_every};
use crate::writer::Writer;

const NAME: &str = "sqlite";

/// SQLite could store up to 10⁹ bytes, but nobody else can write meanwhile.
const MAX_VALUE_SIZE: usize = 64 * 1024 * 1024;
const MAX_KEY_SIZE: usize = 64 * 1024;

/// The largest page of a listing.
const MAX_PAGE: usize = 10_000;

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
/// What it promises is in the [documentation of the crate](crate). Dropping it ends its tasks and connections;
/// [`close`](Driver::close) also waits until they have ended.
pub struct SqliteDriver {
    writer: Writer,
    readers: Readers,
    pub(crate) writing: Arc<Slot>,
    slots: Vec<Arc<Slot>>,
    revisions: Revisions,
    prefix: Prefix,
    ttl: Option<Duration>,
    operations: Operations,
    clear: Operations,
    closed: AtomicBool,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl SqliteDriver {
    /// Opens the database, and creates its table if it is missing.
    ///
    /// It must be called within a tokio runtime whose timer is enabled, and that runtime must live as long as the
    /// driver is used: the tasks that write for concurrent callers, and sweep, run on it.
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
        check_path(&options)?;
        let prefix = options.parsed_prefix()?;
        let in_memory = options.is_memory();
        let connector = Connector::new(&options);
        let connected = connector.connect().await;
        let mut connection = connected.map_err(|error| from_sqlx(error, During::Writing))?;
        let until = Instant::now() + options.busy_timeout;
        if let Err(error) = schema::prepare(&mut connection, &table, in_memory, until).await {
            // So that the connection holds no lock any more when the caller gets the error.
            let _the_first_error_counts = connection.close().await;
            return Err(error);
        }

        let statements = Arc::new(Statements::new(&table));
        let connector = connector.to_existing();
        let writing = Arc::new(Slot::new(connector.clone(), Some(connection)));
        let reading: Vec<Arc<Slot>> = match in_memory {
            true => vec![Arc::clone(&writing)],
            false => (0..options.pool_size)
                .map(|_| Arc::new(Slot::new(connector.clone(), None)))
                .collect(),
        };
        let mut slots = reading.clone();
        slots.push(Arc::clone(&writing));

        let stop = CancellationToken::new();
        let (writer, write) = Writer::new(
            Arc::clone(&writing),
            Arc::clone(&statements),
            options.timeout,
            options.busy_timeout,
            stop.clone(),
        );
        let (readers, read) = Readers::new(
            Arc::clone(&writing),
            reading,
            Arc::clone(&statements),
            options.timeout,
            &stop,
        );
        let tasks = TaskTracker::new();
        tasks.close();
        for read in read {
            tasks.spawn(read);
        }
        tasks.spawn(write);
        if let Some(interval) = options.sweep_interval {
            let slot = Arc::clone(&writing);
            tasks.spawn(sweep_every(interval, slot, statements, stop.clone()));
        }
        Ok(Self {
            writer,
            readers,
            writing,
            slots,
            revisions: Revisions::new(),
            prefix,
            ttl: options.ttl,
            clear: operations.with_timeout(DEFAULT_CLEAR_TIMEOUT),
            operations,
            closed: AtomicBool::new(false),
            tasks,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
        })
    }

    fn check_open(&self) -> Result<()> {
        match self.closed.load(Ordering::Acquire) {
            true => Err(closed()),
            false => Ok(()),
        }
    }

    /// The change that a write makes, and its revision.
    fn change(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<(Change, i64)> {
        let key = self.prefix.join(key);
        if value.len() > MAX_VALUE_SIZE || key.as_str().len() > MAX_KEY_SIZE {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "a key may have at most 64 KiB, and a value at most 64 MiB; store less",
            ));
        }
        let new_revision = self.revisions.next();
        let stored = Stored {
            value,
            expires_at: self.expires_at(options.expiry),
            revision: new_revision,
        };
        let change = match options.condition {
            WriteCondition::Always => Change::Put {
                key,
                stored,
                replaces: true,
            },
            WriteCondition::IfAbsent => Change::Put {
                key,
                stored,
                replaces: false,
            },
            WriteCondition::IfVersion(version) => Change::Replace {
                key,
                stored,
                expected: revision(&version),
            },
        };
        Ok((change, new_revision))
    }

    fn expires_at(&self, expiry: Expiry) -> Option<i64> {
        expiry.resolve(self.ttl, Timestamp::now()).map(millis)
    }

    /// Reads one row by a statement whose parameters are a key and the time.
    async fn row(&self, sql: sqlx::SqlStr, key: &Key) -> Result<Option<SqliteRow>> {
        let key = self.prefix.join(key);
        let mut lease = self.readers.lease().await?;
        let mut arguments = SqliteArguments::default();
        bind(&mut arguments, key.as_str())?;
        bind(&mut arguments, millis(Timestamp::now()))?;
        lease.first(&sql, &arguments).await
    }

    async fn page(&self, options: ListOptions) -> Result<ListPage> {
        let statements = self.readers.statements();
        let range = Range::below(&self.prefix.join_prefix(&options.prefix));
        let after = match &options.cursor {
            Some(cursor) => cursor.as_str(),
            None => &range.start,
        };
        let limit = options.limit.clamp(1, MAX_PAGE);
        let sql = match range.end {
            Some(_) => &statements.list,
            None => &statements.list_all,
        };
        let mut arguments = SqliteArguments::default();
        range.bind(&mut arguments, after)?;
        bind(&mut arguments, i64::try_from(limit).unwrap_or(i64::MAX))?;
        let mut lease = self.readers.lease().await?;
        let rows = lease.rows(sql, &arguments).await?;
        drop(lease);

        let now = Timestamp::now();
        let mut page = ListPage::default();
        for row in &rows {
            let is_expired = time(column(row, 1)?).is_some_and(|expires_at| expires_at <= now);
            let text: &str = column(row, 0)?;
            // A key that is not normalised was not written by unstorage, and no `Key` is equal to it.
            if let Ok(key) = Key::new(text)
                && !is_expired
                && key.as_str() == text
                && let Some(key) = self.prefix.strip(&key)
            {
                page.keys.push(key);
            }
        }
        if rows.len() == limit
            && let Some(last) = rows.last()
        {
            page.next = Some(Cursor::new(column::<String>(last, 0)?));
        }
        Ok(page)
    }

    /// Removes everything below `prefix`, a range of keys by each statement, from the first key to the last. Keys that
    /// are written behind it do not keep it going.
    async fn clear_below(&self, prefix: &Prefix) -> Result<()> {
        let range = Range::below(&self.prefix.join_prefix(prefix));
        let mut after = range.start.clone();
        while let Some(last) =
            self.clear_batch(&range, &after)
                .await
                .map_err(|error| match after == range.start {
                    true => error,
                    // Earlier batches were removed.
                    false => error.with_outcome(Outcome::Unknown),
                })?
        {
            after = last;
        }
        Ok(())
    }

    /// Removes the first keys of `range` behind `after`, and gives the last of them.
    async fn clear_batch(&self, range: &Range, after: &str) -> Result<Option<String>> {
        let started = Instant::now();
        let statements = self.readers.statements();
        let page_end = match range.end {
            Some(_) => &statements.page_end,
            None => &statements.page_end_all,
        };
        let mut arguments = SqliteArguments::default();
        range.bind(&mut arguments, after)?;
        bind(&mut arguments, SWEEP_BATCH)?;
        let mut lease = self.writing.lock().await;
        let row = lease.first(page_end, &arguments).await?;
        let last = row
            .map(|row| column::<Option<String>>(&row, 0))
            .transpose()?;
        let Some(last) = last.flatten() else {
            return Ok(None);
        };
        let mut arguments = SqliteArguments::default();
        bind(&mut arguments, after)?;
        bind(&mut arguments, last.as_str())?;
        let until = lease.locked_until();
        let waits = || Instant::now() < until;
        lease
            .execute(&statements.delete_range, &arguments, waits)
            .await?;
        drop(lease);
        pause_after_batch(started).await;
        Ok(Some(last))
    }
}

/// The keys below a prefix, as a range of the index.
struct Range {
    start: String,
    end: Option<String>,
}

impl Range {
    /// All keys that begin with the prefix and `:`, which `;` follows in the order of bytes. No key is empty, so the
    /// root begins after the empty text.
    fn below(prefix: &Prefix) -> Self {
        if prefix.is_root() {
            return Self {
                start: String::new(),
                end: None,
            };
        }
        Self {
            start: format!("{}:", prefix.as_str()),
            end: Some(format!("{};", prefix.as_str())),
        }
    }

    fn bind(&self, arguments: &mut SqliteArguments, after: &str) -> Result<()> {
        bind(arguments, after)?;
        if let Some(end) = &self.end {
            bind(arguments, end.as_str())?;
        }
        Ok(())
    }
}

fn check_path(options: &SqliteOptions) -> Result<()> {
    if options.is_memory() {
        return Ok(());
    }
    let folder = options
        .path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder
        && !folder.is_dir()
    {
        return Err(Error::new(
            ErrorKind::InvalidConfig,
            format!(
                "the folder `{}` of the database does not exist; create it, or fix `path`",
                folder.display()
            ),
        ));
    }
    if options.path.is_dir() {
        return Err(Error::new(
            ErrorKind::InvalidConfig,
            format!(
                "`{}` is a folder; set `path` to a file",
                options.path.display()
            ),
        ));
    }
    Ok(())
}

/// The outcome of a write. A conflict carries the entry that was found, unless it cannot have been the reason: then
/// the entry has changed since.
fn written(changed: Changed, revision: i64, if_absent: bool) -> WriteOutcome {
    match changed {
        Changed::Yes => WriteOutcome::written(Some(version(Some(revision)))),
        Changed::No(ConflictState::Absent) if if_absent => {
            WriteOutcome::Conflict(ConflictState::Unknown)
        }
        Changed::No(current) => WriteOutcome::Conflict(current),
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
        let read = async {
            self.check_open()?;
            self.readers.read(&self.prefix.join(key)).await
        };
        self.operations.read("read", read).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let write = async {
            self.check_open()?;
            let if_absent = options.condition == WriteCondition::IfAbsent;
            let (change, revision) = self.change(key, value, options)?;
            let changed = self.writer.apply(change).await?;
            Ok(written(changed, revision, if_absent))
        };
        self.operations.name("write", write.await)
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let remove = async {
            self.check_open()?;
            let key = self.prefix.join(key);
            let Some(version) = options.if_version else {
                self.writer.apply(Change::Delete { key }).await?;
                return Ok(RemoveOutcome::Removed);
            };
            let expected = revision(&version);
            Ok(
                match self
                    .writer
                    .apply(Change::DeleteIf { key, expected })
                    .await?
                {
                    Changed::Yes => RemoveOutcome::Removed,
                    Changed::No(current) => RemoveOutcome::Conflict(current),
                },
            )
        };
        self.operations.name("remove", remove.await)
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        let list = async {
            self.check_open()?;
            self.page(options).await
        };
        self.operations.read("list", list).await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        let exists = async {
            self.check_open()?;
            let sql = self.readers.statements().exists.clone();
            Ok(self.row(sql, key).await?.is_some())
        };
        self.operations.read("exists", exists).await
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        let metadata = async {
            self.check_open()?;
            let sql = self.readers.statements().metadata.clone();
            let row = self.row(sql, key).await?;
            row.as_ref().map(metadata_of).transpose()
        };
        self.operations.read("metadata", metadata).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let touch = async {
            self.check_open()?;
            let change = Change::Touch {
                key: self.prefix.join(key),
                expires_at: self.expires_at(options.expiry),
                expected: options.if_version.as_ref().map(revision),
            };
            Ok(matches!(self.writer.apply(change).await?, Changed::Yes))
        };
        self.operations.name("touch", touch.await)
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let read = async {
            self.check_open()?;
            let keys: Vec<Key> = keys.iter().map(|key| self.prefix.join(key)).collect();
            let by_reference: Vec<&Key> = keys.iter().collect();
            let mut lease = self.readers.lease().await?;
            let found = read_on(&mut lease, self.readers.statements(), &by_reference).await?;
            Ok(keys
                .iter()
                .map(|key| found.get(key.as_str()).cloned())
                .collect())
        };
        self.operations.read("read_many", read).await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let mut prepared = Vec::with_capacity(writes.len());
        let mut changes = Vec::with_capacity(writes.len());
        for write in writes {
            let if_absent = write.options.condition == WriteCondition::IfAbsent;
            let change = self
                .check_open()
                .and_then(|()| self.change(&write.key, write.value, write.options));
            prepared.push(change.map(|(change, revision)| {
                changes.push(change);
                (revision, if_absent)
            }));
        }
        let mut changed = self.writer.apply_many(changes).await.into_iter();
        prepared
            .into_iter()
            .map(|prepared| {
                let outcome = prepared.and_then(|(revision, if_absent)| {
                    let changed = changed.next().ok_or_else(closed)??;
                    Ok(written(changed, revision, if_absent))
                });
                self.operations.name("write_many", outcome)
            })
            .collect()
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        let remove = async {
            self.check_open()?;
            let changes = keys.iter().map(|key| Change::Delete {
                key: self.prefix.join(key),
            });
            let results = self.writer.apply_many(changes.collect()).await;
            let is_untouched = |result: &Result<Changed>| {
                result
                    .as_ref()
                    .is_err_and(|error| error.outcome() == Outcome::NotApplied)
            };
            let outcome = match results.iter().all(is_untouched) {
                true => Outcome::NotApplied,
                false => Outcome::Unknown,
            };
            let removed = results.into_iter().try_for_each(|result| result.map(drop));
            removed.map_err(|error| error.with_outcome(outcome))
        };
        self.operations.name("remove_many", remove.await)
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        let clear = async {
            self.check_open()?;
            self.clear_below(prefix).await
        };
        self.clear.change("clear", clear).await
    }

    async fn close(&self) -> Result<()> {
        let close = async {
            self.closed.store(true, Ordering::Release);
            self.stop.cancel();
            self.tasks.wait().await;
            for slot in &self.slots {
                slot.close().await?;
            }
            Ok(())
        };
        self.operations.change("close", close).await
    }
}

fn metadata_of(row: &SqliteRow) -> Result<Metadata> {
    let seconds = |column: Option<i64>| time(column.map(|seconds| seconds.saturating_mul(1_000)));
    let size: Option<i64> = column(row, 0)?;
    let mut metadata = Metadata::default();
    metadata.size = size.and_then(|size| u64::try_from(size).ok());
    metadata.expires_at = time(column(row, 1)?);
    metadata.version = Some(version(column(row, 2)?));
    metadata.created_at = seconds(column(row, 3)?);
    metadata.modified_at = seconds(column(row, 4)?);
    Ok(metadata)
}

impl fmt::Debug for SqliteDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteDriver")
            .field("prefix", &self.prefix)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

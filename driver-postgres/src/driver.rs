//! The driver: what each operation of the contract does with the table.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use session_core::worker::{self, Jobs, Queue};
use session_core::{
    Capabilities, Conditions, ConflictState, Cursor, DEFAULT_CLEAR_TIMEOUT, Driver, Entry, Error,
    ErrorKind, Expiry, InvalidationListener, Key, ListOptions, ListPage, Listing, Metadata,
    Operations, Outcome, Prefix, RemoveOptions, RemoveOutcome, Result, Timestamp, TouchOptions,
    Version, Write, WriteCondition, WriteOptions, WriteOutcome, async_trait,
};
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::{Arguments, Connection, PgPool, Row};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::change::{
    Batch, Change, Changed, Condition, Kind, Revisions, millis, revision, time, version,
};
use crate::config::{Layout, PostgresOptions, TableName};
use crate::error::{Failure, closed};
use crate::gather::{self, Made, READS, Read};
use crate::invalidation::Invalidations;
use crate::schema;
use crate::statements::{InRange, Statements};
use crate::store::{self, Store};

const NAME: &str = "postgres";

/// PostgreSQL could store up to a gigabyte, but a value passes through the memory of both sides several times.
const MAX_VALUE_SIZE: usize = 16 * 1024 * 1024;

/// A key must fit into a third of a page of the index.
const MAX_KEY_BYTES: usize = 2_600;

/// How many characters a key has in unstorage's table.
const MAX_KEY_CHARACTERS: usize = 255;

/// The largest page of a listing.
const MAX_PAGE: usize = 10_000;

/// How many rows a statement of a sweep or a clear removes.
const STEP: i64 = 500;

/// How many reads and changes wait.
const QUEUE: usize = 1_024;

/// A driver that stores entries in a table of a PostgreSQL database.
///
/// ```
/// use driver_postgres::{PostgresDriver, PostgresOptions};
/// use session_core::{Driver, DriverExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> session_core::Result<()> {
/// # let server = test_support::PostgresServer::start();
/// # let url = server.url(&server.create_database());
/// let driver = PostgresDriver::open(PostgresOptions::new(url)).await?;
/// driver.put("greeting", "hello").await?;
/// driver.close().await?;
/// # Ok(())
/// # }
/// ```
///
/// What it promises is in the [documentation of the crate](crate). Dropping it ends its tasks;
/// [`close`](Driver::close) also waits until they have ended.
pub struct PostgresDriver {
    store: Arc<Store>,
    reads: Queue<Key, Read>,
    read_jobs: Jobs<Key, Read>,
    changes: Queue<Change, Made>,
    change_jobs: Jobs<Change, Made>,
    revisions: Revisions,
    layout: Layout,
    prefix: Prefix,
    ttl: Option<Duration>,
    operations: Operations,
    clear: Operations,
    owns_pool: bool,
    table: TableName,
    migrate: bool,
    /// `None` behind a pooler that cannot be gone past.
    invalidations: Option<Arc<Invalidations>>,
    /// Set once a connection listens.
    listening: OnceCell<()>,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl PostgresDriver {
    /// Connects to the server, and creates or completes the table.
    ///
    /// It must be called within a tokio runtime whose timer is enabled, and that runtime must live as long as the
    /// driver is used: its tasks run on it.
    pub async fn open(options: PostgresOptions) -> Result<Self> {
        let operations = Operations::new(NAME, options.timeout);
        let open = async {
            options.check()?;
            let connect = options.connect_options()?;
            let connected = PgConnection::connect_with(&connect).await;
            let mut connection = connected.map_err(|error| Failure::to_connect(error).error())?;
            prepare(&mut connection, &options).await?;
            // The driver works without that one.
            let _closed = connection.close().await;
            let pool = store::pool(connect, options.pool_size, options.timeout);
            Self::start(pool, options, operations.clone(), true)
        };
        Self::opened(operations.read("open", open).await)
    }

    /// Uses a pool of the application, which stays open when the driver is closed.
    ///
    /// ```
    /// use driver_postgres::{PostgresDriver, PostgresOptions};
    /// use session_core::{Driver, DriverExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = test_support::PostgresServer::start();
    /// # let url = server.url(&server.create_database());
    /// let pool = sqlx::PgPool::connect(&url).await?;
    /// let driver = PostgresDriver::from_pool(pool, PostgresOptions::default()).await?;
    /// driver.put("greeting", "hello").await?;
    /// driver.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It takes up to `pool_size` connections of the pool, and gives them back within a quarter of a second. The pool says
    /// how to connect, so `url` and `password` must not be set. Set a `statement_timeout` on its connections: the driver
    /// does so on those of a pool of its own, so that the server gives up what nobody waits for.
    pub async fn from_pool(pool: PgPool, options: PostgresOptions) -> Result<Self> {
        let operations = Operations::new(NAME, options.timeout);
        let open = async {
            options.check()?;
            if options.url.is_some() || options.password.is_some() {
                return Err(crate::config::invalid(
                    "the pool says how to connect; remove `url` and `password`",
                ));
            }
            if options.migrate {
                let acquired = pool.acquire().await;
                let mut connection =
                    acquired.map_err(|error| Failure::to_connect(error).error())?;
                prepare(&mut connection, &options).await?;
            }
            Self::start(pool, options, operations.clone(), false)
        };
        Self::opened(operations.read("open", open).await)
    }

    /// Opening again is always safe, whatever of it was done.
    fn opened(opened: Result<Self>) -> Result<Self> {
        opened.map_err(|error| error.with_outcome(Outcome::NotApplied))
    }

    fn start(
        pool: PgPool,
        options: PostgresOptions,
        operations: Operations,
        owns_pool: bool,
    ) -> Result<Self> {
        let prefix = options.parsed_prefix()?;
        let table = options.table_name()?;
        let listen = match options.listen_options()? {
            None if options.pooler => None,
            None => Some(pool.connect_options().as_ref().clone()),
            given => given,
        };
        let invalidations = listen.map(|connect| {
            let channel = table.channel();
            Arc::new(Invalidations::new(
                prefix.clone(),
                channel,
                connect,
                options.timeout,
            ))
        });
        let store = Arc::new(Store {
            statements: Statements::new(&table, options.layout),
            timeout: options.timeout,
            pooler: options.pooler,
            pool,
        });
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.close();
        let (reads, read_jobs) = worker::queue(QUEUE);
        let (changes, change_jobs) = worker::queue(QUEUE);
        // Either kind may use all connections but one. A task takes one only while it has something to send, and what needs
        // one beside the tasks waits for the pool.
        let workers = options.pool_size - 1;
        for _ in 0..workers {
            tasks.spawn(gather::change(Arc::clone(&store), change_jobs.clone()));
            tasks.spawn(gather::read(Arc::clone(&store), read_jobs.clone()));
        }
        if let Some(interval) = options.sweep_interval {
            let sweeping = sweep_every(interval, Arc::clone(&store));
            let stop = stop.clone();
            tasks.spawn(async move { stop.run_until_cancelled_owned(sweeping).await });
        }
        Ok(Self {
            store,
            reads,
            read_jobs,
            changes,
            change_jobs,
            revisions: Revisions::new(),
            layout: options.layout,
            prefix,
            ttl: options.ttl,
            clear: operations.with_timeout(DEFAULT_CLEAR_TIMEOUT),
            operations,
            owns_pool,
            table,
            migrate: options.migrate,
            invalidations,
            listening: OnceCell::new(),
            tasks,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
        })
    }

    fn invalidations(&self) -> Result<&Arc<Invalidations>> {
        self.check_open()?;
        self.invalidations.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "notifications do not pass a pooler; set `listen_url` to the server itself",
            )
            .with_outcome(Outcome::NotApplied)
        })
    }

    /// Makes the table notify, connects, and starts the task that listens.
    async fn start_listening(&self, invalidations: &Arc<Invalidations>) -> Result<()> {
        let connected = PgConnection::connect_with(invalidations.connect_options()).await;
        let mut connection = connected.map_err(|error| Failure::to_connect(error).error())?;
        schema::prepare_to_notify(&mut connection, &self.table, self.layout, self.migrate).await?;
        // The listener has another one.
        let _closed = connection.close().await;
        let listener = invalidations.connect().await?;
        let keeping = Arc::clone(invalidations).keep(listener);
        let stop = self.stop.clone();
        self.tasks
            .spawn(async move { stop.run_until_cancelled_owned(keeping).await });
        Ok(())
    }

    /// Whether no key below `prefix` can be in the table.
    fn holds_nothing_below(&self, prefix: &Prefix) -> bool {
        self.layout == Layout::Unstorage && prefix.as_str().contains('\0')
    }

    /// The key in the table. What the table cannot hold is refused.
    fn key(&self, key: &Key) -> Result<Key> {
        if self.layout == Layout::Unstorage && key.as_bytes().contains(&0) {
            return Err(Error::new(
                ErrorKind::InvalidKey,
                "text in PostgreSQL holds no NUL character; use another key, or `layout = \"bytes\"`",
            ));
        }
        Ok(self.prefix.join(key))
    }

    fn change(&self, kind: Kind, key: &Key, condition: Condition) -> Result<Change> {
        Ok(Change {
            kind,
            key: self.key(key)?,
            condition,
            value: Bytes::new(),
            is_text: false,
            expires_at: None,
            revision: 0,
            deadline: self.store.deadline(),
        })
    }

    /// The change that a write makes; `None` if its condition cannot hold.
    fn put(&self, key: &Key, value: Bytes, options: &WriteOptions) -> Result<Option<Change>> {
        let condition = match &options.condition {
            WriteCondition::Always => Condition::Always,
            WriteCondition::IfAbsent => Condition::IfAbsent,
            WriteCondition::IfVersion(version) => match revision(version) {
                Some(revision) => Condition::IfRevision(revision),
                None => return Ok(None),
            },
        };
        let change = self.change(Kind::Put, key, condition)?;
        let is_too_long = match self.layout {
            Layout::Unstorage => change
                .key
                .as_str()
                .chars()
                .nth(MAX_KEY_CHARACTERS)
                .is_some(),
            Layout::Bytes => change.key.as_bytes().len() > MAX_KEY_BYTES,
        };
        if value.len() > MAX_VALUE_SIZE || is_too_long {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "a value may have at most 16 MiB, and a key 255 characters, or 2,600 bytes with `layout = \"bytes\"`; \
                 store less",
            ));
        }
        let is_text = !options.raw && !value.contains(&0) && std::str::from_utf8(&value).is_ok();
        Ok(Some(Change {
            value,
            is_text,
            expires_at: self.expires_at(options.expiry),
            revision: self.revisions.next(),
            ..change
        }))
    }

    fn expires_at(&self, expiry: Expiry) -> Option<i64> {
        expiry.resolve(self.ttl, Timestamp::now()).map(millis)
    }

    /// Hands a change to the tasks that gather.
    async fn make(&self, change: Change) -> Result<Changed> {
        self.changes.run(change, self.store.timeout).await?
    }

    /// Makes changes of one kind, several by a statement. Of two changes of one key the later one comes later.
    async fn make_many(&self, changes: Vec<Change>) -> Vec<Result<Changed>> {
        let mut lease = self.store.lease();
        let mut results = Vec::with_capacity(changes.len());
        let mut changes = changes.into_iter().peekable();
        while let Some(first) = changes.peek() {
            let mut batch = Batch::new(first.kind);
            let mut taken = Vec::new();
            while let Some(change) = changes.next_if(|change| batch.takes(change)) {
                taken.push(change);
            }
            let mut answers: Vec<Option<Result<Changed, Failure>>> =
                taken.iter().map(|_| None).collect();
            self.store.change(&mut lease, &taken, &mut answers).await;
            results.extend(
                answers
                    .into_iter()
                    .map(|answer| answer.unwrap_or_else(|| Err(closed())).map_err(Error::from)),
            );
        }
        results
    }

    /// The current entry, after a condition that no entry of this driver can meet.
    async fn current(&self, key: &Key) -> Result<ConflictState> {
        Ok(self.read_one(key).await?.into())
    }

    async fn read_one(&self, key: &Key) -> Result<Option<Entry>> {
        self.reads.run(self.key(key)?, self.store.timeout).await?
    }

    fn check_open(&self) -> Result<()> {
        match self.stop.is_cancelled() {
            true => Err(closed().error()),
            false => Ok(()),
        }
    }

    async fn read_metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        self.check_open()?;
        let key = self.key(key)?;
        let arguments = || {
            let mut arguments = PgArguments::default();
            let _added = arguments.add(key.as_bytes());
            arguments
        };
        let mut lease = self.store.lease();
        let sql = &self.store.statements.metadata;
        let rows = lease.read(sql, arguments, self.store.deadline()).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let read = || {
            let mut metadata = Metadata::default();
            metadata.size = u64::try_from(row.try_get::<i64, _>(0)?).ok();
            metadata.expires_at = time(row.try_get(1)?);
            metadata.version = Some(version(row.try_get(2)?));
            metadata.created_at = time(row.try_get(3)?);
            metadata.modified_at = time(row.try_get(4)?);
            Ok(Some(metadata))
        };
        read().map_err(|error| Failure::of(error).error())
    }

    async fn read_page(&self, options: ListOptions) -> Result<ListPage> {
        self.check_open()?;
        if self.holds_nothing_below(&options.prefix) {
            return Ok(ListPage::default());
        }
        let range = Range::below(&self.prefix.join_prefix(&options.prefix));
        let limit = options.limit.clamp(1, MAX_PAGE);
        let after = options.cursor.as_ref().map(Cursor::as_str);
        let arguments = || range.arguments(after, i64::try_from(limit).unwrap_or(STEP));
        let sql = range.of(&self.store.statements.list);
        let mut lease = self.store.lease();
        let rows = lease.read(sql, arguments, self.store.deadline()).await?;
        let mut page = ListPage::default();
        let mut last = None;
        let mut read = || {
            for row in &rows {
                let (key, is_alive): (Vec<u8>, bool) = (row.try_get(0)?, row.try_get(2)?);
                last = Some(row.try_get::<String, _>(1)?);
                // A key that is not normalised was not written by unstorage, and no `Key` is equal to it.
                if let Ok(text) = std::str::from_utf8(&key)
                    && let Ok(key) = Key::new(text)
                    && is_alive
                    && key.as_str() == text
                    && let Some(key) = self.prefix.strip(&key)
                {
                    page.keys.push(key);
                }
            }
            Ok(())
        };
        read().map_err(|error| Failure::of(error).error())?;
        page.next = last.filter(|_| rows.len() == limit).map(Cursor::new);
        Ok(page)
    }

    /// Removes everything below `prefix`, some keys by each statement, from the first key to the last. Keys that are
    /// written behind it do not keep it going.
    async fn clear_below(&self, prefix: &Prefix) -> Result<()> {
        self.check_open()?;
        if self.holds_nothing_below(prefix) {
            return Ok(());
        }
        let range = Range::below(&self.prefix.join_prefix(prefix));
        let sql = range.of(&self.store.statements.clear);
        let mut lease = self.store.lease();
        let mut after: Option<String> = None;
        loop {
            let arguments = range.arguments(after.as_deref(), STEP);
            let rows = lease.change(sql, arguments, self.store.deadline()).await;
            let last = rows.and_then(|rows| match rows.first() {
                Some(row) => row.try_get::<Option<String>, _>(0).map_err(Failure::of),
                None => Ok(None),
            });
            match last.map_err(Error::from) {
                Ok(Some(last)) => after = Some(last),
                Ok(None) => return Ok(()),
                // Earlier steps removed something.
                Err(error) if after.is_some() => return Err(error.with_outcome(Outcome::Unknown)),
                Err(error) => return Err(error),
            }
        }
    }
}

async fn prepare(connection: &mut PgConnection, options: &PostgresOptions) -> Result<()> {
    let table = options.table_name()?;
    schema::prepare(connection, &table, options.layout, options.migrate).await
}

/// Removes expired entries every `interval`. After an error it tries again at the next interval.
async fn sweep_every(interval: Duration, store: Arc<Store>) {
    loop {
        tokio::time::sleep(interval).await;
        let mut lease = store.lease();
        loop {
            let started = Instant::now();
            let mut arguments = PgArguments::default();
            let _added = arguments.add(STEP);
            let swept = lease
                .change(&store.statements.sweep, arguments, store.deadline())
                .await;
            let count = swept.and_then(|rows| match rows.first() {
                Some(row) => row.try_get::<i64, _>(0).map_err(Failure::of),
                None => Ok(0),
            });
            match count {
                // The server is left to others for as long as the statement took.
                Ok(STEP) => tokio::time::sleep(started.elapsed()).await,
                Ok(_) => break,
                Err(failure) => {
                    let error = failure.error();
                    tracing::warn!(%error, "sweeping failed; it is tried again after the interval");
                    break;
                }
            }
        }
    }
}

/// The keys below a prefix.
struct Range {
    /// Before the first key.
    start: String,
    /// Behind the last one; `None` for all keys.
    end: Option<String>,
}

impl Range {
    /// All keys that begin with the prefix and `:`, which `;` follows in the order of bytes.
    fn below(prefix: &Prefix) -> Self {
        match prefix.is_root() {
            true => Self {
                start: String::new(),
                end: None,
            },
            false => Self {
                start: format!("{}:", prefix.as_str()),
                end: Some(format!("{};", prefix.as_str())),
            },
        }
    }

    fn of<'s>(&self, statements: &'s InRange) -> &'s sqlx::SqlStr {
        match self.end {
            Some(_) => &statements.below,
            None => &statements.all,
        }
    }

    /// The arguments for what is in the range behind `after`, a key in hexadecimal.
    fn arguments(&self, after: Option<&str>, limit: i64) -> PgArguments {
        let mut arguments = PgArguments::default();
        let _added = arguments
            .add(self.start.as_bytes())
            .and_then(|()| arguments.add(after))
            .and_then(|()| arguments.add(limit))
            .and_then(|()| match &self.end {
                Some(end) => arguments.add(end.as_bytes()),
                None => Ok(()),
            });
        arguments
    }
}

fn written(changed: Changed, version: Version) -> WriteOutcome {
    match changed {
        Changed::Yes => WriteOutcome::written(version),
        Changed::No(current) => WriteOutcome::Conflict(current),
    }
}

#[async_trait]
impl Driver for PostgresDriver {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        let overhead = match self.prefix.is_root() {
            true => 0,
            false => self.prefix.as_str().len() + 1,
        };
        let max_key = match self.layout {
            Layout::Unstorage => MAX_KEY_CHARACTERS,
            Layout::Bytes => MAX_KEY_BYTES,
        };
        Capabilities::default()
            .with_conditions(Conditions::All)
            .with_reports_expiry(true)
            .with_touch(true)
            .with_listing(Listing::ExactlyOnce)
            .with_batch(true)
            .with_max_key_size(Some(max_key.saturating_sub(overhead)))
            .with_max_value_size(Some(MAX_VALUE_SIZE))
            .with_invalidations(self.invalidations.is_some())
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        let read = self.read_one(key).await;
        let read = read.map_err(|error| error.with_outcome(Outcome::NotApplied));
        self.operations.name("read", read)
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let write = async {
            match self.put(key, value, &options)? {
                Some(change) => {
                    let version = version(change.revision);
                    Ok(written(self.make(change).await?, version))
                }
                None => Ok(WriteOutcome::Conflict(self.current(key).await?)),
            }
        };
        self.operations.name("write", write.await)
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let remove = async {
            let condition = match options.if_version.as_ref().map(revision) {
                None => Condition::Always,
                Some(Some(revision)) => Condition::IfRevision(revision),
                Some(None) => return Ok(RemoveOutcome::Conflict(self.current(key).await?)),
            };
            let delete = self.change(Kind::Delete, key, condition)?;
            Ok(match self.make(delete).await? {
                Changed::No(current) if condition != Condition::Always => {
                    RemoveOutcome::Conflict(current)
                }
                _ => RemoveOutcome::Removed,
            })
        };
        self.operations.name("remove", remove.await)
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.operations.read("list", self.read_page(options)).await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        let found = self.operations.read("exists", self.read_metadata(key));
        Ok(found.await?.is_some())
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        let found = self.operations.read("metadata", self.read_metadata(key));
        found.await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let touch = async {
            let condition = match options.if_version.as_ref().map(revision) {
                None => Condition::Always,
                Some(Some(revision)) => Condition::IfRevision(revision),
                Some(None) => return Ok(false),
            };
            let touch = Change {
                expires_at: self.expires_at(options.expiry),
                ..self.change(Kind::Touch, key, condition)?
            };
            Ok(matches!(self.make(touch).await?, Changed::Yes))
        };
        self.operations.name("touch", touch.await)
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let read = async {
            self.check_open()?;
            let keys = keys.iter().map(|key| self.key(key));
            let keys = keys.collect::<Result<Vec<Key>>>()?;
            let (mut lease, deadline) = (self.store.lease(), self.store.deadline());
            let mut entries = Vec::with_capacity(keys.len());
            for keys in keys.chunks(READS) {
                entries.extend(self.store.read(&mut lease, keys, deadline).await?);
            }
            Ok(entries)
        };
        self.operations.read("read_many", read).await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let count = writes.len();
        let write = async {
            if self.stop.is_cancelled() {
                let refused = || Err(closed().error());
                return std::iter::repeat_with(refused).take(count).collect();
            }
            let mut results = Vec::with_capacity(count);
            let mut changes = Vec::with_capacity(count);
            for write in &writes {
                let put = self.put(&write.key, write.value.clone(), &write.options);
                results.push(match put {
                    Ok(Some(change)) => {
                        let version = version(change.revision);
                        changes.push(change);
                        Ok(Some(version))
                    }
                    Ok(None) => Ok(None),
                    Err(error) => Err(error),
                });
            }
            let mut changed = self.make_many(changes).await.into_iter();
            let mut outcomes = Vec::with_capacity(count);
            for (write, version) in writes.iter().zip(results) {
                outcomes.push(match version {
                    Ok(Some(version)) => match changed.next() {
                        Some(changed) => changed.map(|changed| written(changed, version)),
                        None => Err(closed().error()),
                    },
                    Ok(None) => self.current(&write.key).await.map(WriteOutcome::Conflict),
                    Err(error) => Err(error),
                });
            }
            outcomes
        };
        self.operations.changes("write_many", count, write).await
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        let remove = async {
            self.check_open()?;
            let delete = |key| self.change(Kind::Delete, key, Condition::Always);
            let changes = keys.iter().map(delete).collect::<Result<Vec<Change>>>()?;
            let results = self.make_many(changes).await;
            Operations::combine(results.into_iter().map(|result| result.map(drop)))
        };
        self.operations.change("remove_many", remove).await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        self.clear.change("clear", self.clear_below(prefix)).await
    }

    async fn listen(&self, listener: Arc<dyn InvalidationListener>) -> Result<()> {
        let listen = async {
            let invalidations = self.invalidations()?;
            let start = || self.start_listening(invalidations);
            self.listening.get_or_try_init(start).await?;
            // Not before, so that the listener of a failed call is not kept.
            invalidations.add(listener);
            Ok(())
        };
        self.operations.read("listen", listen).await
    }

    /// All reads are tracked: every change of any entry is told.
    async fn read_tracked(&self, key: &Key) -> Result<Option<Entry>> {
        self.read(key).await
    }

    async fn sync_invalidations(&self) -> Result<()> {
        let sync = async {
            let invalidations = self.invalidations()?;
            if !self.listening.initialized() {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "nobody listens; call `listen` first",
                )
                .with_outcome(Outcome::NotApplied));
            }
            let deadline = self.store.deadline();
            let (number, payload) = invalidations.probe();
            let arguments = || {
                let mut arguments = PgArguments::default();
                let _added = arguments
                    .add(invalidations.channel())
                    .and_then(|()| arguments.add(&payload));
                arguments
            };
            let mut lease = self.store.lease();
            let sql = &self.store.statements.notify;
            lease.read(sql, arguments, deadline).await?;
            invalidations.arrival(number, deadline).await?;
            Ok(())
        };
        self.operations.read("sync_invalidations", sync).await
    }

    async fn close(&self) -> Result<()> {
        let close = async {
            self.stop.cancel();
            self.read_jobs.close();
            self.change_jobs.close();
            self.tasks.wait().await;
            if let Some(invalidations) = &self.invalidations {
                invalidations.lose_track();
            }
            if self.owns_pool {
                self.store.pool.close().await;
            }
            Ok(())
        };
        self.operations.change("close", close).await
    }
}

impl fmt::Debug for PostgresDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDriver")
            .field("prefix", &self.prefix)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use redis::Value;
use session_core::{
    Capabilities, Conditions, ConflictState, Consistency, DEFAULT_CLEAR_TIMEOUT, DEFAULT_TIMEOUT,
    Driver, Entry, Error, ErrorKind, Expiry, Key, ListOptions, ListPage, Listing as Lists,
    Operations, Outcome, Prefix, RemoveOptions, RemoveOutcome, Result, Timestamp, TouchOptions,
    Version, Write, WriteCondition, WriteOptions, WriteOutcome, async_trait,
};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::batch::Item;
use crate::command::{ExpiresAt, Operation};
use crate::config::{RawFormat, ReadFrom, RedisOptions, Settings, TlsOptions};
use crate::connection::Dial;
use crate::error::closed;
use crate::listing::Listing;
use crate::reply::{Changed, any_yes, changed, entry};
use crate::router::Router;
use crate::server::Fleet;
use crate::tls::TlsClient;

const NAME: &str = "redis";

/// Redis accepts 512 MiB, but serves no other client while it transfers them.
const MAX_VALUE_SIZE: usize = 64 * 1024 * 1024;
const MAX_KEY_SIZE: usize = 64 * 1024;

/// The server expires an entry to the millisecond, but counts from when the write arrives. This allows for the time that
/// the write takes to get there.
const EXPIRY_GRANULARITY: Duration = Duration::from_millis(100);

/// A driver that stores entries in Redis or Valkey; see the [crate](crate).
///
/// ```
/// use driver_redis::{RedisDriver, RedisOptions};
/// use session_core::{Driver, DriverExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> session_core::Result<()> {
/// # let server = test_support::RedisServer::start();
/// # let url = server.url();
/// let driver = RedisDriver::open(RedisOptions::new(url)).await?;
/// driver.put("greeting", "hello").await?;
/// assert_eq!(driver.get("greeting").await?.unwrap(), "hello");
/// driver.close().await?;
/// # Ok(())
/// # }
/// ```
///
/// Dropping it ends its tasks and connections as well; [`close`](Driver::close) also waits for that.
pub struct RedisDriver {
    operations: Operations,
    router: Router,
    listing: Listing,
    prefix: Prefix,
    ttl: Option<Duration>,
    format: RawFormat,
    read_from: ReadFrom,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl RedisDriver {
    /// Opens the driver, and waits for a connection unless `pre_connect` is false. Connecting ends by `timeout`, and
    /// reading certificates before it within 5 s.
    ///
    /// It must be called within a tokio runtime with timers and I/O enabled, which must live as long as the driver is
    /// used: the tasks that own the connections run on it.
    pub async fn open(options: RedisOptions) -> Result<Self> {
        let settings = options
            .validate()
            .map_err(|error| error.with_context(NAME, "open"))?;
        let operations = Operations::new(NAME, settings.timeout);
        // Certificates are read from the disk, which is not part of the time for connecting.
        let tls = operations
            .with_timeout(DEFAULT_TIMEOUT)
            .read("open", read_tls(settings.tls.clone()))
            .await?;
        let pre_connect = settings.pre_connect;
        let driver = Self::start(settings, operations, tls);
        if pre_connect {
            let connect = driver.router.connect();
            let connected = driver.operations.read("open", connect).await;
            // Opening again is always safe.
            connected.map_err(|error| error.with_outcome(Outcome::NotApplied))?;
        }
        Ok(driver)
    }

    fn start(settings: Settings, operations: Operations, tls: Option<TlsClient>) -> Self {
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let fleet = Fleet {
            dial: Dial {
                login: settings.login.clone(),
                db: settings.db,
                tls,
                timeout: settings.timeout,
            },
            timeout: settings.timeout,
            connect_timeout: settings.connect_timeout,
            connections: settings.connections,
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        let router = Router::start(&settings, fleet);
        let Settings {
            prefix,
            ttl,
            scan_count,
            raw_format,
            read_from,
            ..
        } = settings;
        Self {
            operations,
            router,
            listing: Listing::new(scan_count),
            prefix,
            ttl,
            format: raw_format,
            read_from,
            tasks,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
        }
    }

    fn check_open(&self) -> Result<()> {
        match self.stop.is_cancelled() {
            true => Err(closed()),
            false => Ok(()),
        }
    }

    fn expires_at(&self, expiry: Expiry) -> ExpiresAt {
        expiry.resolve(self.ttl, Timestamp::now())
    }

    /// Reads from a replica if the options say so, and confirms a miss on the primary.
    async fn ask(&self, key: &Key, operation: &Operation) -> Result<Vec<Value>> {
        let deadline = self.router.deadline();
        let key = self.prefix.join(key);
        if self.read_from == ReadFrom::Replica {
            let read = self
                .router
                .read_at_replica(key.as_str(), operation, deadline);
            if let Some(replies) = read.await {
                return Ok(replies);
            }
        }
        self.router.run(key.as_str(), operation, deadline).await
    }

    /// The operation that carries out a write, and the version that it creates.
    fn write_operation(
        &self,
        key: &Key,
        value: Bytes,
        options: &WriteOptions,
    ) -> Result<(Item, Version)> {
        let key = self.prefix.join(key);
        let value = self.format.encode(value);
        if value.len() > MAX_VALUE_SIZE || key.as_str().len() > MAX_KEY_SIZE {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "a key is limited to 64 KiB with its prefix, and a value to 64 MiB as it is stored",
            ));
        }
        let version = Version::from_value(value.clone());
        let end = self.expires_at(options.expiry);
        let operation = match &options.condition {
            // An entry that has expired already is not written, but its condition still counts.
            condition if end.is_some_and(|end| end <= Timestamp::now()) => match condition {
                WriteCondition::Always => Operation::Delete,
                WriteCondition::IfAbsent => Operation::Get,
                WriteCondition::IfVersion(version) => Operation::DeleteIfEqual {
                    expected: version.clone(),
                },
            },
            WriteCondition::Always => Operation::Set { value, end },
            WriteCondition::IfAbsent => Operation::SetIfAbsent { value, end },
            WriteCondition::IfVersion(version) => Operation::SetIfEqual {
                expected: version.clone(),
                value,
                end,
            },
        };
        let key = key.as_str().to_owned();
        Ok((Item { key, operation }, version))
    }

    /// The outcome of a write.
    async fn written(
        &self,
        item: &Item,
        version: Version,
        replies: Vec<Value>,
        deadline: Instant,
    ) -> Result<WriteOutcome> {
        let written = WriteOutcome::written(Some(version));
        match &item.operation {
            Operation::Get if replies.first() == Some(&Value::Nil) => return Ok(written),
            Operation::Delete => return any_yes(replies).map(|_| written),
            _ => {}
        }
        Ok(match changed(replies, self.format)? {
            Changed::Yes => written,
            Changed::Conflict(entry) => WriteOutcome::Conflict(ConflictState::Present(entry)),
            Changed::No => {
                WriteOutcome::Conflict(match Box::pin(self.current(&item.key, deadline)).await {
                    // The conflicting entry has gone since.
                    ConflictState::Absent if item.operation.wants_nothing() => {
                        ConflictState::Unknown
                    }
                    current => current,
                })
            }
        })
    }

    /// The current entry after a conflict, if it can be read. The conflict is certain in any case.
    async fn current(&self, key: &str, deadline: Instant) -> ConflictState {
        let replies = self.router.run(key, &Operation::Read, deadline).await;
        match replies.and_then(|replies| entry(replies, self.format)) {
            Ok(Some(entry)) => ConflictState::Present(entry),
            Ok(None) => ConflictState::Absent,
            Err(_) => ConflictState::Unknown,
        }
    }

    async fn read_all(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let deadline = self.router.deadline();
        let mut results: Vec<Option<Vec<Value>>> = keys.iter().map(|_| None).collect();
        if self.read_from == ReadFrom::Replica {
            for (key, result) in keys.iter().zip(&mut results) {
                let key = self.prefix.join(key);
                *result = self
                    .router
                    .read_at_replica(key.as_str(), &Operation::Read, deadline)
                    .await;
            }
        }
        let missing = keys
            .iter()
            .zip(&results)
            .filter(|(_, result)| result.is_none());
        let items: Vec<Item> = missing
            .map(|(key, _)| self.item(key, Operation::Read))
            .collect();
        let mut found = self.router.run_all(&items, deadline).await.into_iter();
        let mut entries = Vec::with_capacity(keys.len());
        for result in results {
            let replies = match result {
                Some(replies) => replies,
                None => found.next().ok_or_else(crate::error::unexpected)??,
            };
            entries.push(entry(replies, self.format)?);
        }
        Ok(entries)
    }

    fn item(&self, key: &Key, operation: Operation) -> Item {
        let key = self.prefix.join(key).as_str().to_owned();
        Item { key, operation }
    }

    async fn write_all(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let deadline = self.router.deadline();
        let mut prepared = Vec::with_capacity(writes.len());
        let mut items = Vec::with_capacity(writes.len());
        for write in writes {
            let operation = self
                .check_open()
                .and_then(|()| self.write_operation(&write.key, write.value, &write.options));
            prepared.push(operation.map(|(item, version)| {
                items.push(item);
                version
            }));
        }
        let results = self.router.run_all(&items, deadline).await;
        let mut results = items.iter().zip(results);
        let mut outcomes = Vec::with_capacity(prepared.len());
        for version in prepared {
            outcomes.push(match version {
                Ok(version) => match results.next() {
                    Some((item, Ok(replies))) => {
                        self.written(item, version, replies, deadline).await
                    }
                    Some((_, Err(error))) => Err(error),
                    None => Err(crate::error::unexpected()),
                },
                Err(error) => Err(error),
            });
        }
        outcomes
    }

    async fn remove_all(&self, keys: &[Key]) -> Result<()> {
        let items: Vec<Item> = keys
            .iter()
            .map(|key| self.item(key, Operation::Delete))
            .collect();
        let results = self.router.run_all(&items, self.router.deadline()).await;
        results
            .into_iter()
            .try_for_each(|replies| any_yes(replies?).map(drop))
    }
}

async fn read_tls(options: Option<TlsOptions>) -> Result<Option<TlsClient>> {
    let Some(options) = options else {
        return Ok(None);
    };
    let read = tokio::task::spawn_blocking(move || TlsClient::new(&options)).await;
    let client = read.map_err(|_| closed())?;
    Ok(Some(client.map_err(|error| {
        error.with_outcome(Outcome::NotApplied)
    })?))
}

#[async_trait]
impl Driver for RedisDriver {
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
            .with_native_expiry(true)
            .with_expiry_granularity(EXPIRY_GRANULARITY)
            .with_reports_expiry(true)
            .with_touch(true)
            .with_listing(Lists::AtLeastOnce)
            .with_batch(true)
            .with_consistency(match self.read_from {
                ReadFrom::Primary => Consistency::Strong,
                ReadFrom::Replica => Consistency::Eventual,
            })
            .with_max_key_size(Some(MAX_KEY_SIZE.saturating_sub(overhead)))
            .with_max_value_size(Some(MAX_VALUE_SIZE))
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        let read = async {
            self.check_open()?;
            entry(self.ask(key, &Operation::Read).await?, self.format)
        };
        self.operations.read("read", read).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let write = async {
            self.check_open()?;
            let deadline = self.router.deadline();
            let (item, version) = self.write_operation(key, value, &options)?;
            let replies = self
                .router
                .run(&item.key, &item.operation, deadline)
                .await?;
            self.written(&item, version, replies, deadline).await
        };
        self.operations.change("write", write).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let remove = async {
            self.check_open()?;
            let deadline = self.router.deadline();
            let operation = match &options.if_version {
                Some(version) => Operation::DeleteIfEqual {
                    expected: version.clone(),
                },
                None => Operation::Delete,
            };
            let item = self.item(key, operation);
            let replies = self
                .router
                .run(&item.key, &item.operation, deadline)
                .await?;
            Ok(match changed(replies, self.format)? {
                Changed::Conflict(entry) => RemoveOutcome::Conflict(ConflictState::Present(entry)),
                Changed::No if options.if_version.is_some() => {
                    RemoveOutcome::Conflict(Box::pin(self.current(&item.key, deadline)).await)
                }
                Changed::Yes | Changed::No => RemoveOutcome::Removed,
            })
        };
        self.operations.change("remove", remove).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        let list = async {
            self.check_open()?;
            let deadline = self.router.deadline();
            self.listing
                .page(&self.router, &self.prefix, &options, deadline)
                .await
        };
        self.operations.read("list", list).await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        let exists = async {
            self.check_open()?;
            any_yes(self.ask(key, &Operation::Exists).await?)
        };
        self.operations.read("exists", exists).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let touch = async {
            self.check_open()?;
            let end = self.expires_at(options.expiry);
            let operation = match &options.if_version {
                Some(version) => Operation::ExpireIfEqual {
                    expected: version.clone(),
                    end,
                },
                None => Operation::Expire { end },
            };
            let item = self.item(key, operation);
            let deadline = self.router.deadline();
            let replies = self
                .router
                .run(&item.key, &item.operation, deadline)
                .await?;
            match item.operation {
                Operation::Expire { .. } => any_yes(replies),
                _ => Ok(matches!(changed(replies, self.format)?, Changed::Yes)),
            }
        };
        self.operations.change("touch", touch).await
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let read = async {
            self.check_open()?;
            self.read_all(keys).await
        };
        self.operations.read("read_many", read).await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let count = writes.len();
        self.operations
            .changes("write_many", count, self.write_all(writes))
            .await
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        let remove = async {
            self.check_open()?;
            self.remove_all(keys).await
        };
        self.operations.change("remove_many", remove).await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        let clear = async {
            let mut options = ListOptions::below(prefix.clone());
            loop {
                let page = self.list(options.clone()).await?;
                self.remove_many(&page.keys).await?;
                match page.next {
                    Some(cursor) => options.cursor = Some(cursor),
                    None => return Ok(()),
                }
            }
        };
        let operations = self.operations.with_timeout(DEFAULT_CLEAR_TIMEOUT);
        operations.change("clear", clear).await
    }

    async fn close(&self) -> Result<()> {
        let close = async {
            self.stop.cancel();
            self.tasks.close();
            self.tasks.wait().await;
            Ok(())
        };
        self.operations.read("close", close).await
    }
}

impl fmt::Debug for RedisDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisDriver")
            .field("prefix", &self.prefix)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

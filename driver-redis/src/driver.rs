use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};
use redis::Value;
use session_core::{
    Capabilities, Conditions, ConflictState, Consistency, DEFAULT_CLEAR_TIMEOUT, DEFAULT_TIMEOUT,
    Driver, Entry, Error, ErrorKind, Expiry, InvalidationListener, Key, ListOptions, ListPage,
    Listing as Lists, Operations, Outcome, Prefix, RemoveOptions, RemoveOutcome, Result, Timestamp,
    TouchOptions, Version, Write, WriteCondition, WriteOptions, WriteOutcome, async_trait,
};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::command::{ExpiresAt, Operation};
use crate::connection::Dial;
use crate::error::closed;
use crate::listing::Listing;
use crate::options::{RawFormat, ReadFrom, RedisOptions, TlsOptions};
use crate::reply::{Changed, any_yes, changed, entry};
use crate::router::Router;
use crate::settings::Settings;
use crate::tls::TlsClient;
use crate::topology::Topology;
use crate::tracking::Tracking;

const NAME: &str = "redis";

/// Redis accepts 512 MiB, but serves no other client while it transfers them.
const MAX_VALUE_SIZE: usize = 64 * 1024 * 1024;
const MAX_KEY_SIZE: usize = 64 * 1024;

/// The server expires an entry to the millisecond, but counts from when the write arrives. This allows for the time that
/// the write takes to get there.
const EXPIRY_GRANULARITY: Duration = Duration::from_millis(100);

/// How many operations of a batch are under way at the same time, and how many bytes of values, so that other callers get
/// their turn.
const TOGETHER: usize = 256;
const MOST_BYTES: usize = 1024 * 1024;

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
    replicas_are_read: bool,
    tracking: Arc<Tracking>,
    tasks: TaskTracker,
    stop: DropGuard,
}

impl RedisDriver {
    /// Opens the driver, and waits for a connection unless `pre_connect` is false. Connecting ends by `timeout`, and
    /// reading certificates before it within 5 s.
    ///
    /// It must be called within a tokio runtime with timers and I/O enabled, which must live as long as the driver is
    /// used: the tasks that own the connections run on it.
    pub async fn open(options: RedisOptions) -> Result<Self> {
        Self::start(Settings::new(options)).await
    }

    /// Opens the driver on connections that `client` makes, with its address, its credentials and its TLS.
    ///
    /// ```
    /// use driver_redis::{RedisDriver, RedisOptions, redis};
    /// use session_core::{Driver, DriverExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = test_support::RedisServer::start();
    /// # let url = server.url();
    /// let client = redis::Client::open(url)?;
    /// let driver = RedisDriver::from_client(client, RedisOptions::default().with_prefix("sessions")).await?;
    /// driver.put("greeting", "hello").await?;
    /// driver.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The connections belong to the driver: it makes them again when they break, and they speak RESP3 where the server
    /// does. Options that say how to connect are errors here: the address, credentials, `tls`, `cluster` and `sentinel`.
    /// The memory for a reply of a hostile server is not limited, since the client reads it.
    pub async fn from_client(client: redis::Client, options: RedisOptions) -> Result<Self> {
        Self::start(Settings::of_client(client, options)).await
    }

    async fn start(settings: Result<Settings>) -> Result<Self> {
        let settings = settings.map_err(|error| error.with_context(NAME, "open"))?;
        let operations = Operations::new(NAME, settings.options.timeout);
        // Certificates are read from the disk, which is not part of the time for connecting.
        let reading = operations.with_timeout(DEFAULT_TIMEOUT);
        let tls = reading.read("open", read_tls(settings.tls)).await?;
        let options = settings.options;
        let replicas_are_read = options.read_from == ReadFrom::Replica;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let tracking = Arc::new(Tracking::new(settings.prefix.clone()));
        let dial = Dial {
            login: settings.login,
            db: settings.db,
            tls,
            client: None,
            options: options.clone(),
            tracking: Arc::clone(&tracking),
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        let driver = Self {
            router: Router {
                topology: Topology::start(settings.place, dial),
                timeout: options.timeout,
            },
            operations,
            listing: Listing::new(options.scan_count),
            prefix: settings.prefix,
            ttl: options.ttl,
            format: options.raw_format,
            replicas_are_read,
            tracking,
            tasks,
            stop: stop.drop_guard(),
        };
        if options.pre_connect {
            let connect = driver.router.connect();
            driver.operations.read("open", connect).await?;
        }
        Ok(driver)
    }

    fn must_track(&self, operation: &'static str) -> Result<()> {
        if self.replicas_are_read {
            let message = "a replica tells late of changes; set `read_from` to the primary";
            let error = Error::new(ErrorKind::Unsupported, message);
            return Err(error
                .with_outcome(Outcome::NotApplied)
                .with_context(NAME, operation));
        }
        Ok(())
    }

    fn expires_at(&self, expiry: Expiry) -> ExpiresAt {
        expiry.resolve(self.ttl, Timestamp::now())
    }

    /// Reads from a replica if the options say so, and confirms a miss on the primary.
    async fn ask(&self, key: &Key, operation: &Operation, deadline: Instant) -> Result<Vec<Value>> {
        let key = self.prefix.join(key);
        if self.replicas_are_read {
            let read = self
                .router
                .read_at_replica(key.as_str(), operation, deadline);
            if let Some(replies) = Box::pin(read).await {
                return Ok(replies);
            }
        }
        self.router.run(key.as_str(), operation, deadline).await
    }

    async fn read_one(&self, key: &Key, deadline: Instant) -> Result<Option<Entry>> {
        let replies = self.ask(key, &Operation::Read, deadline).await?;
        entry(replies, self.format)
    }

    async fn write_one(&self, write: &Write, deadline: Instant) -> Result<WriteOutcome> {
        let key = self.prefix.join(&write.key);
        let value = self.format.encode(write.value.clone());
        if value.len() > MAX_VALUE_SIZE || key.as_str().len() > MAX_KEY_SIZE {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "a key is limited to 64 KiB with its prefix, and a value to 64 MiB as it is stored",
            ));
        }
        let version = Version::from_value(value.clone());
        let end = self.expires_at(write.options.expiry);
        let has_expired = end.is_some_and(|end| end <= Timestamp::now());
        let operation = match &write.options.condition {
            // An entry that has expired already is not written, but its condition still counts.
            WriteCondition::Always if has_expired => Operation::Delete,
            WriteCondition::IfAbsent if has_expired => Operation::Get,
            WriteCondition::IfVersion(version) if has_expired => {
                Operation::DeleteIfEqual(version.clone())
            }
            WriteCondition::Always => Operation::Set(value, end),
            WriteCondition::IfAbsent => Operation::SetIfAbsent(value, end),
            WriteCondition::IfVersion(version) => {
                Operation::SetIfEqual(version.clone(), value, end)
            }
        };
        let replies = self.router.run(key.as_str(), &operation, deadline).await?;
        let wants_absence = matches!(write.options.condition, WriteCondition::IfAbsent);
        Ok(match changed(&operation, replies, self.format)? {
            Changed::Yes => WriteOutcome::written(Some(version)),
            Changed::Conflict(entry) => WriteOutcome::Conflict(ConflictState::Present(entry)),
            Changed::No => WriteOutcome::Conflict(match self.current(&key, deadline).await {
                // The conflicting entry has gone since.
                ConflictState::Absent if wants_absence => ConflictState::Unknown,
                current => current,
            }),
        })
    }

    async fn remove_one(
        &self,
        key: &Key,
        version: Option<&Version>,
        deadline: Instant,
    ) -> Result<RemoveOutcome> {
        let key = self.prefix.join(key);
        let operation = match version {
            Some(version) => Operation::DeleteIfEqual(version.clone()),
            None => Operation::Delete,
        };
        let replies = self.router.run(key.as_str(), &operation, deadline).await?;
        Ok(match changed(&operation, replies, self.format)? {
            Changed::Yes => RemoveOutcome::Removed,
            Changed::Conflict(entry) => RemoveOutcome::Conflict(ConflictState::Present(entry)),
            Changed::No => RemoveOutcome::Conflict(self.current(&key, deadline).await),
        })
    }

    /// The current entry after a conflict, if it can be read. The conflict is certain in any case.
    async fn current(&self, key: &Key, deadline: Instant) -> ConflictState {
        let read = self.router.run(key.as_str(), &Operation::Read, deadline);
        let read = Box::pin(read).await;
        match read.and_then(|replies| entry(replies, self.format)) {
            Ok(Some(entry)) => ConflictState::Present(entry),
            Ok(None) => ConflictState::Absent,
            Err(_) => ConflictState::Unknown,
        }
    }

    async fn touch_one(&self, key: &Key, options: &TouchOptions) -> Result<bool> {
        let end = self.expires_at(options.expiry);
        let operation = match &options.if_version {
            Some(version) => Operation::ExpireIfEqual(version.clone(), end),
            None => Operation::Expire(end),
        };
        let (key, deadline) = (self.prefix.join(key), self.router.deadline());
        let replies = self.router.run(key.as_str(), &operation, deadline).await?;
        let changed = changed(&operation, replies, self.format)?;
        Ok(matches!(changed, Changed::Yes))
    }

    async fn read_all(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let deadline = self.router.deadline();
        let mut entries = Vec::with_capacity(keys.len());
        for part in keys.chunks(TOGETHER) {
            let reads = part.iter().map(|key| self.read_one(key, deadline));
            entries.extend(try_join_all(reads).await?);
        }
        Ok(entries)
    }

    async fn write_all(&self, writes: &[Write]) -> Vec<Result<WriteOutcome>> {
        let deadline = self.router.deadline();
        let mut outcomes = Vec::with_capacity(writes.len());
        let mut rest = writes;
        while !rest.is_empty() {
            // Writes to one key are not under way at the same time, so that they keep their order.
            let (mut keys, mut bytes) = (HashSet::new(), 0);
            let together = rest.iter().take(TOGETHER).take_while(|write| {
                bytes += write.value.len();
                keys.insert(&write.key) && (keys.len() == 1 || bytes <= MOST_BYTES)
            });
            let (now, later) = rest.split_at(together.count());
            let now = now.iter().map(|write| self.write_one(write, deadline));
            outcomes.extend(join_all(now).await);
            rest = later;
        }
        outcomes
    }

    async fn remove_all(&self, keys: &[Key]) -> Result<()> {
        let deadline = self.router.deadline();
        let mut removed = Vec::with_capacity(keys.len());
        for part in keys.chunks(TOGETHER) {
            let removals = part.iter().map(|key| self.remove_one(key, None, deadline));
            removed.extend(join_all(removals).await);
        }
        Operations::combine(removed.into_iter().map(|outcome| outcome.map(drop)))
    }

    async fn clear_all(&self, prefix: &Prefix) -> Result<()> {
        let mut options = ListOptions::below(prefix.clone());
        loop {
            let page = self.list(options.clone()).await?;
            self.remove_many(&page.keys).await?;
            match page.next {
                Some(cursor) => options.cursor = Some(cursor),
                None => return Ok(()),
            }
        }
    }
}

async fn read_tls(options: Option<TlsOptions>) -> Result<Option<TlsClient>> {
    let Some(options) = options else {
        return Ok(None);
    };
    let read = tokio::task::spawn_blocking(move || TlsClient::new(&options)).await;
    read.map_err(|_| closed())?.map(Some)
}

#[async_trait]
impl Driver for RedisDriver {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        let prefix = match self.prefix.is_root() {
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
            .with_invalidations(!self.replicas_are_read)
            .with_consistency(match self.replicas_are_read {
                false => Consistency::Strong,
                true => Consistency::Eventual,
            })
            .with_max_key_size(Some(MAX_KEY_SIZE.saturating_sub(prefix)))
            .with_max_value_size(Some(MAX_VALUE_SIZE))
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        let read = self.read_one(key, self.router.deadline());
        self.operations.read("read", read).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let write = Write::new(key.clone(), value).with_options(options);
        let write = self.write_one(&write, self.router.deadline());
        self.operations.change("write", write).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let deadline = self.router.deadline();
        let remove = self.remove_one(key, options.if_version.as_ref(), deadline);
        self.operations.change("remove", remove).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        let list = self.listing.page(&self.router, &self.prefix, &options);
        self.operations.read("list", list).await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        let deadline = self.router.deadline();
        let exists = async { any_yes(self.ask(key, &Operation::Exists, deadline).await?) };
        self.operations.read("exists", exists).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let touch = self.touch_one(key, &options);
        self.operations.change("touch", touch).await
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.operations.read("read_many", self.read_all(keys)).await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let write = self.write_all(&writes);
        self.operations
            .changes("write_many", writes.len(), write)
            .await
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        let remove = self.remove_all(keys);
        self.operations.change("remove_many", remove).await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        let operations = self.operations.with_timeout(DEFAULT_CLEAR_TIMEOUT);
        operations.change("clear", self.clear_all(prefix)).await
    }

    async fn listen(&self, listener: Arc<dyn InvalidationListener>) -> Result<()> {
        self.must_track("listen")?;
        self.tracking.add(listener);
        // Connections that are there already track from the first probe on.
        self.sync_invalidations().await
    }

    async fn read_tracked(&self, key: &Key) -> Result<Option<Entry>> {
        self.must_track("read_tracked")?;
        let key = self.prefix.join(key);
        let deadline = self.router.deadline();
        let read = async {
            let replies = self.router.read_tracked(key.as_str(), deadline).await?;
            entry(replies, self.format)
        };
        self.operations.read("read_tracked", read).await
    }

    async fn sync_invalidations(&self) -> Result<()> {
        self.must_track("sync_invalidations")?;
        let probe = self.router.probe(self.router.deadline());
        self.operations.read("sync_invalidations", probe).await
    }

    async fn close(&self) -> Result<()> {
        let close = async {
            self.stop.token().cancel();
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

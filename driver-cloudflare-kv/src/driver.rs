use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use session_core::{
    Capabilities, Consistency, Cursor, DEFAULT_CLEAR_TIMEOUT, Driver, Entry, Error, ErrorKind, Key,
    ListOptions, ListPage, Operations, Prefix, RemoveOptions, RemoveOutcome, Result, Timestamp,
    Write, WriteCondition, WriteOptions, WriteOutcome, async_trait,
};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::config::CloudflareKvOptions;
use crate::error::{NAME, closed};
use crate::gather::Gatherer;
use crate::reads::Reads;
use crate::stored::encode;
use crate::writes::{Change, Put, Writes};

/// Cloudflare's limits of keys and values in bytes.
const MAX_KEY_SIZE: usize = 512;
const MAX_VALUE_SIZE: usize = 25 * 1024 * 1024;

/// How many keys a clear removes in one request.
const CLEAR_PAGE: usize = 1_000;

/// A driver that keeps entries in a namespace of Cloudflare KV.
///
/// See the [crate documentation](crate) for what Cloudflare KV does not promise.
///
/// ```
/// use driver_cloudflare_kv::{CloudflareKvDriver, CloudflareKvOptions};
/// use session_core::Driver;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> session_core::Result<()> {
/// let account = "0123456789abcdef0123456789abcdef";
/// let namespace = "fedcba9876543210fedcba9876543210";
/// let options = CloudflareKvOptions::new(account, namespace, "api-token");
/// let driver = CloudflareKvDriver::open(options)?;
/// assert_eq!(driver.name(), "cloudflare-kv");
/// driver.close().await?;
/// # Ok(())
/// # }
/// ```
///
/// Dropping it ends its tasks. [`close`](Driver::close) waits for running requests first.
pub struct CloudflareKvDriver {
    api: Arc<Api>,
    operations: Operations,
    reads: Gatherer<Reads>,
    writes: Gatherer<Writes>,
    prefix: Prefix,
    ttl: Option<Duration>,
    stop: CancellationToken,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl CloudflareKvDriver {
    /// Opens the driver. It sends nothing.
    ///
    /// It must be called within a tokio runtime with its timer enabled. The driver's tasks run on that runtime, so it must
    /// live as long as the driver is used.
    pub fn open(options: CloudflareKvOptions) -> Result<Self> {
        let operations = Operations::new(NAME, options.timeout);
        let driver = Self::from_options(&options, operations.clone());
        operations.name("open", driver)
    }

    fn from_options(options: &CloudflareKvOptions, operations: Operations) -> Result<Self> {
        options.check()?;
        let api = Arc::new(Api::new(options)?);
        let stop = CancellationToken::new();
        let (reads, reading) = Gatherer::start(Reads(Arc::clone(&api)), stop.clone());
        let changes = Writes {
            api: Arc::clone(&api),
            min_ttl: options.min_ttl,
        };
        let (writes, writing) = Gatherer::start(changes, stop.clone());
        Ok(Self {
            api,
            operations,
            reads,
            writes,
            prefix: Prefix::from_option(options.prefix.as_deref().unwrap_or_default())?,
            ttl: options.ttl,
            stop,
            tasks: Mutex::new(vec![reading, writing]),
        })
    }

    /// The deadline of an operation that begins now.
    fn deadline(&self) -> Instant {
        Instant::now() + self.operations.timeout()
    }

    fn check_open(&self) -> Result<()> {
        match self.stop.is_cancelled() {
            true => Err(closed()),
            false => Ok(()),
        }
    }

    /// The key in the namespace; an error if Cloudflare cannot store it.
    fn full(&self, key: &Key) -> Result<Key> {
        self.check_open()?;
        let key = self.prefix.join(key);
        if key.as_str().len() > MAX_KEY_SIZE {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "Cloudflare KV limits keys to 512 bytes, the prefix included; use a shorter key",
            ));
        }
        if matches!(key.as_str(), "." | "..") || key.as_str().contains(char::is_control) {
            return Err(Error::new(
                ErrorKind::InvalidKey,
                "Cloudflare KV does not support the keys `.` and `..`, and control characters in keys; use another key",
            ));
        }
        Ok(key)
    }

    /// The change that a write makes, with its key.
    fn change(&self, key: &Key, value: Bytes, options: &WriteOptions) -> Result<(Key, Change)> {
        if options.condition != WriteCondition::Always {
            return Err(Error::unsupported(NAME, "write"));
        }
        let key = self.full(key)?;
        let text = encode(value);
        if text.len() > MAX_VALUE_SIZE {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "Cloudflare KV limits values to 25 MiB, and values that are not text, which are stored as base64, to \
                 three quarters of that; use a smaller value",
            ));
        }
        let expires_at = options.expiry.resolve(self.ttl, Timestamp::now());
        Ok((key, Change::Put(Put { text, expires_at })))
    }

    /// Submits one change.
    async fn submit(&self, key: Key, change: Change) -> Result<()> {
        let (deadline, timeout) = (self.deadline(), self.operations.timeout());
        self.writes.run(key, change, deadline, timeout).await
    }

    /// Submits several changes.
    async fn submit_all(&self, changes: Vec<(Key, Change)>) -> Vec<Result<()>> {
        let (deadline, timeout) = (self.deadline(), self.operations.timeout());
        self.writes.run_all(changes, deadline, timeout).await
    }

    /// The text with which all keys below `prefix` begin; `None` if it is longer than a key may be.
    fn listing_prefix(&self, prefix: &Prefix) -> Option<String> {
        let prefix = self.prefix.join_prefix(prefix);
        if prefix.is_root() {
            return Some(String::new());
        }
        let start = format!("{}:", prefix.as_str());
        (start.len() < MAX_KEY_SIZE).then_some(start)
    }

    async fn page(&self, deadline: Instant, options: ListOptions) -> Result<ListPage> {
        self.check_open()?;
        let Some(start) = self.listing_prefix(&options.prefix) else {
            return Ok(ListPage::default());
        };
        let cursor = options.cursor.as_ref().map(Cursor::as_str);
        let page = self
            .api
            .page(deadline, &start, cursor, options.limit)
            .await?;
        let now = Timestamp::now();
        let mut keys = Vec::with_capacity(page.keys.len());
        for listed in page.keys {
            let metadata = listed.metadata.unwrap_or_default();
            let expires_at = metadata.expires_at(listed.expiration);
            // unstorage does not write a name that is not normalised, and it is not a valid key.
            if expires_at.is_none_or(|at| now < at)
                && listed.name.starts_with(&start)
                && let Ok(key) = Key::new(&listed.name)
                && key.as_str() == listed.name
                && let Some(key) = self.prefix.strip(&key)
            {
                keys.push(key);
            }
        }
        Ok(ListPage::new(keys, page.next.map(Cursor::new)))
    }

    /// Removes page after page, expired entries and names that are not normalised included. Each request has a deadline
    /// of its own.
    async fn clear_below(&self, prefix: &Prefix) -> Result<()> {
        let Some(start) = self.listing_prefix(prefix) else {
            return Ok(());
        };
        let mut cursor = None;
        loop {
            self.check_open()?;
            let page = self
                .api
                .page(self.deadline(), &start, cursor.as_deref(), CLEAR_PAGE)
                .await?;
            let names = page.keys.iter().map(|key| key.name.as_str());
            // Whatever the server lists, nothing outside of the prefix is removed.
            let names: Vec<&str> = names.filter(|name| name.starts_with(&start)).collect();
            if !names.is_empty() {
                let removed = self.api.bulk_delete(self.deadline(), &names).await;
                Operations::combine(removed)?;
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(()),
            }
        }
    }
}

#[async_trait]
impl Driver for CloudflareKvDriver {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        let overhead = match self.prefix.is_root() {
            true => 0,
            false => self.prefix.as_str().len() + 1,
        };
        Capabilities::default()
            .with_native_expiry(true)
            .with_reports_expiry(true)
            .with_batch(true)
            .with_consistency(Consistency::Eventual)
            .with_max_key_size(Some(MAX_KEY_SIZE.saturating_sub(overhead)))
            .with_max_value_size(Some(MAX_VALUE_SIZE))
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        let (deadline, timeout) = (self.deadline(), self.operations.timeout());
        let read = async { self.reads.run(self.full(key)?, (), deadline, timeout).await };
        self.operations.read("read", read).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let write = async {
            let (key, change) = self.change(key, value, &options)?;
            self.submit(key, change).await?;
            Ok(WriteOutcome::written(None))
        };
        self.operations.change("write", write).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let remove = async {
            if options.if_version.is_some() {
                return Err(Error::unsupported(NAME, "remove"));
            }
            self.submit(self.full(key)?, Change::Delete).await?;
            Ok(RemoveOutcome::Removed)
        };
        self.operations.change("remove", remove).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        let page = self.page(self.deadline(), options);
        self.operations.read("list", page).await
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let (deadline, timeout) = (self.deadline(), self.operations.timeout());
        let read = async {
            let reads = keys.iter().map(|key| Ok((self.full(key)?, ())));
            let reads = reads.collect::<Result<_>>()?;
            let entries = self.reads.run_all(reads, deadline, timeout).await;
            entries.into_iter().collect()
        };
        self.operations.read("read_many", read).await
    }

    /// Each write has a result and a timeout of its own, so there is no timer around all of them.
    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let mut changes = Vec::with_capacity(writes.len());
        let mut refused = Vec::with_capacity(writes.len());
        for write in writes {
            match self.change(&write.key, write.value, &write.options) {
                Ok(change) => {
                    changes.push(change);
                    refused.push(None);
                }
                Err(error) => refused.push(Some(error)),
            }
        }
        let mut written = self.submit_all(changes).await.into_iter();
        let outcomes = refused.into_iter().map(|refused| {
            let outcome = match refused {
                Some(error) => Err(error),
                None => written.next().unwrap_or_else(|| Err(closed())),
            };
            let outcome = outcome.map(|()| WriteOutcome::written(None));
            self.operations.name("write_many", outcome)
        });
        outcomes.collect()
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        let remove = async {
            let removals = keys.iter().map(|key| Ok((self.full(key)?, Change::Delete)));
            let removals = removals.collect::<Result<_>>()?;
            Operations::combine(self.submit_all(removals).await)
        };
        self.operations.change("remove_many", remove).await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        let operations = self.operations.with_timeout(DEFAULT_CLEAR_TIMEOUT);
        operations.change("clear", self.clear_below(prefix)).await
    }

    async fn close(&self) -> Result<()> {
        let close = async {
            self.stop.cancel();
            let mut tasks = self.tasks.lock().await;
            // A task is removed only once it has ended, so a close that was dropped can be repeated.
            while let Some(task) = tasks.last_mut() {
                let _panicked = task.await;
                tasks.pop();
            }
            Ok(())
        };
        self.operations.change("close", close).await
    }
}

impl fmt::Debug for CloudflareKvDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudflareKvDriver")
            .field("prefix", &self.prefix)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

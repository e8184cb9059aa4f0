use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use session_core::{
    Capabilities, Conditions, Consistency, Cursor, Driver, Entry, Error, ErrorKind, Key,
    ListOptions, ListPage, Listing, Prefix, RemoveOptions, RemoveOutcome, Result, Timestamp, Write,
    WriteCondition, WriteOptions, WriteOutcome, async_trait,
};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::config::CloudflareKvOptions;
use crate::error::{NAME, closed, in_operation};
use crate::gather::Gatherer;
use crate::reads::Reads;
use crate::stored::text_of;
use crate::writes::{Change, Put, Writes};

/// Cloudflare's limits.
const MAX_KEY_SIZE: usize = 512;
const MAX_VALUE_SIZE: usize = 25 * 1024 * 1024;

/// How many keys a clear removes by a request.
const CLEAR_PAGE: usize = 1_000;

/// Sessions, or anything else, in a namespace of Cloudflare KV; see the [crate](crate).
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
/// Dropping it ends its tasks; [`close`](Driver::close) also waits for what is under way.
pub struct CloudflareKvDriver {
    api: Arc<Api>,
    reads: Gatherer<Reads>,
    writes: Gatherer<Writes>,
    base: Prefix,
    ttl: Option<Duration>,
    stop: CancellationToken,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl CloudflareKvDriver {
    /// Checks the options and makes the driver; nothing is sent.
    ///
    /// It must be called within a tokio runtime with its timer enabled, which has to live as long as the driver is
    /// used: the tasks that send requests for many callers run on it.
    pub fn open(options: CloudflareKvOptions) -> Result<Self> {
        in_operation("open", Self::from_options(&options))
    }

    fn from_options(options: &CloudflareKvOptions) -> Result<Self> {
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
            reads,
            writes,
            base: Prefix::new(options.base.as_deref().unwrap_or_default()),
            ttl: options.ttl,
            stop,
            tasks: Mutex::new(vec![reading, writing]),
        })
    }

    fn check_open(&self) -> Result<()> {
        match self.stop.is_cancelled() {
            true => Err(closed()),
            false => Ok(()),
        }
    }

    /// The key as Cloudflare has it.
    fn full(&self, key: &Key) -> Result<Key> {
        self.check_open()?;
        let key = self.base.join(key);
        if key.as_str().len() > MAX_KEY_SIZE {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "Cloudflare KV limits keys to 512 bytes, `base` included; use a shorter one",
            ));
        }
        if matches!(key.as_str(), "." | "..") || key.as_str().contains(char::is_control) {
            return Err(Error::new(
                ErrorKind::InvalidKey,
                "Cloudflare KV has no keys `.` and `..`, and none with control characters; use another",
            ));
        }
        Ok(key)
    }

    /// What a write does to which key.
    fn change(&self, key: &Key, value: Bytes, options: &WriteOptions) -> Result<(Key, Change)> {
        if options.condition != WriteCondition::Always {
            return Err(Error::unsupported(NAME, "write"));
        }
        let key = self.full(key)?;
        let text = text_of(value);
        if text.len() > MAX_VALUE_SIZE {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "Cloudflare KV limits values to 25 MiB, and those that are no text, which are stored as base64, to \
                 three quarters of that; store less",
            ));
        }
        let end = options.expiry.resolve(self.ttl, Timestamp::now());
        Ok((key, Change::Put(Put { text, end })))
    }

    /// What all keys below `prefix` begin with; `None` if that alone is longer than a key may be.
    fn start_of(&self, prefix: &Prefix) -> Option<String> {
        let prefix = self.base.join_prefix(prefix);
        if prefix.is_root() {
            return Some(String::new());
        }
        let start = format!("{}:", prefix.as_str());
        (start.len() < MAX_KEY_SIZE).then_some(start)
    }

    async fn page(&self, options: ListOptions) -> Result<ListPage> {
        self.check_open()?;
        let Some(start) = self.start_of(&options.prefix) else {
            return Ok(ListPage::default());
        };
        let cursor = options.cursor.as_ref().map(Cursor::as_str);
        let page = self.api.page(&start, cursor, options.limit).await?;
        let now = Timestamp::now();
        let mut keys = Vec::with_capacity(page.keys.len());
        for listed in page.keys {
            let end = listed.metadata.unwrap_or_default().end(listed.expiration);
            // A name that is not normalised was not written through unstorage, and no Key can stand for it.
            if end.is_none_or(|end| now < end)
                && listed.name.starts_with(&start)
                && let Ok(key) = Key::new(&listed.name)
                && key.as_str() == listed.name
                && let Some(key) = self.base.strip(&key)
            {
                keys.push(key);
            }
        }
        Ok(ListPage::new(keys, page.next.map(Cursor::new)))
    }

    /// Removes page after page, what has ended and what is not normalised included.
    async fn clear_below(&self, prefix: &Prefix) -> Result<()> {
        let Some(start) = self.start_of(prefix) else {
            return Ok(());
        };
        let mut cursor = None;
        loop {
            self.check_open()?;
            let page = self.api.page(&start, cursor.as_deref(), CLEAR_PAGE).await?;
            let names = page.keys.iter().map(|key| key.name.as_str());
            // Whatever the server may list, nothing beside the prefix is removed.
            let names: Vec<&str> = names.filter(|name| name.starts_with(&start)).collect();
            if !names.is_empty() {
                let removed = self.api.bulk_delete(&names).await;
                removed.into_iter().collect::<Result<()>>()?;
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
        let overhead = match self.base.is_root() {
            true => 0,
            false => self.base.as_str().len() + 1,
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
        let read = async { self.reads.run(self.full(key)?, ()).await };
        in_operation("read", read.await)
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let write = async {
            let (key, change) = self.change(key, value, &options)?;
            self.writes.run(key, change).await?;
            Ok(WriteOutcome::written(None))
        };
        in_operation("write", write.await)
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let remove = async {
            if options.if_version.is_some() {
                return Err(Error::unsupported(NAME, "remove"));
            }
            self.writes.run(self.full(key)?, Change::Delete).await?;
            Ok(RemoveOutcome::Removed)
        };
        in_operation("remove", remove.await)
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        in_operation("list", self.page(options).await)
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let read = async {
            let reads = keys.iter().map(|key| Ok((self.full(key)?, ())));
            let entries = self.reads.run_all(reads.collect::<Result<_>>()?).await;
            entries.into_iter().collect()
        };
        in_operation("read_many", read.await)
    }

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
        let mut written = self.writes.run_all(changes).await.into_iter();
        let outcomes = refused.into_iter().map(|refused| {
            let outcome = match refused {
                Some(error) => Err(error),
                None => written.next().unwrap_or_else(|| Err(closed())),
            };
            let outcome = outcome.map(|()| WriteOutcome::written(None));
            in_operation("write_many", outcome)
        });
        outcomes.collect()
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        let remove = async {
            let removals = keys.iter().map(|key| Ok((self.full(key)?, Change::Delete)));
            let removed = self.writes.run_all(removals.collect::<Result<_>>()?).await;
            removed.into_iter().collect()
        };
        in_operation("remove_many", remove.await)
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        in_operation("clear", self.clear_below(prefix).await)
    }

    async fn close(&self) -> Result<()> {
        self.stop.cancel();
        let mut tasks = self.tasks.lock().await;
        // A task is forgotten only once it has ended, so a close that is dropped can be made again.
        while let Some(task) = tasks.last_mut() {
            let _panicked = task.await;
            tasks.pop();
        }
        Ok(())
    }
}

impl fmt::Debug for CloudflareKvDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudflareKvDriver")
            .field("base", &self.base)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

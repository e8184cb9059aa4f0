use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use parking_lot::Mutex;
use session_core::{
    Capabilities, Change, Clock, Conditions, Cursor, Driver, Entry, Error, ErrorKind, Expiry,
    InvalidationListener, Key, ListOptions, ListPage, Listing, Prefix, RemoveOptions,
    RemoveOutcome, Result, SystemClock, Timestamp, TouchOptions, WriteCondition, WriteOptions,
    WriteOutcome,
};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::entries::{Entries, NEVER, STEP, conflict};
use crate::{DEFAULT_MAX_ENTRIES, NAME};

/// How long an expired entry takes up memory at most, in a runtime that is not overloaded.
const SWEEP_INTERVAL: Duration = Duration::from_millis(500);

/// A driver that keeps its entries in the memory of this process.
///
/// No operation waits, so the most frequent ones also exist as plain functions, for code that is not async:
/// [`read_now`](Self::read_now), [`write_now`](Self::write_now), [`remove_now`](Self::remove_now),
/// [`touch_now`](Self::touch_now). To share a driver, put it into an [`Arc`]. Dropping it ends its sweeper.
pub struct MemoryDriver {
    entries: Arc<Entries>,
    /// The task that frees expired entries, if it runs.
    sweeper: Mutex<JoinSet<()>>,
    clock: Arc<dyn Clock>,
    ttl: Option<Duration>,
    closed: AtomicBool,
}

impl MemoryDriver {
    /// Creates an empty driver without a default expiry, for up to [`DEFAULT_MAX_ENTRIES`] entries of any size.
    pub fn new() -> Self {
        Self {
            entries: Arc::new(Entries::new(DEFAULT_MAX_ENTRIES)),
            sweeper: Mutex::default(),
            clock: Arc::new(SystemClock),
            ttl: None,
            closed: AtomicBool::new(false),
        }
    }

    /// Sets after how long an entry expires that is written with [`Expiry::Default`].
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Sets how many entries the driver may hold. See [Limits](crate#limits).
    #[must_use]
    pub fn with_max_entries(self, max_entries: usize) -> Self {
        self.entries.usage.lock().max_entries = max_entries;
        self
    }

    /// Sets how many bytes of keys and values the driver may hold. See [Limits](crate#limits).
    #[must_use]
    pub fn with_max_bytes(self, max_bytes: usize) -> Self {
        self.entries.usage.lock().max_bytes = max_bytes;
        self
    }

    /// Takes the time from `clock`, for tests of expiry that do not wait. Set it before the first write.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Returns how many entries are held, expired ones that are not swept yet included.
    pub fn entry_count(&self) -> usize {
        self.entries.usage.lock().entries
    }

    /// Returns how many bytes the keys and values of these entries have.
    pub fn byte_count(&self) -> usize {
        self.entries.usage.lock().bytes
    }

    /// [`Driver::read`] without a future.
    pub fn read_now(&self, key: &Key) -> Result<Option<Entry>> {
        let now = self.begin("read")?;
        Ok(self.entries.read(key, now))
    }

    /// [`Driver::write`] without a future.
    pub fn write_now(
        &self,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        let now = self.begin("write")?;
        let expires_at = self.expires_at(options.expiry, now);
        let mut value = value;
        loop {
            let entries = &self.entries;
            let written = entries.write(key, &mut value, &options.condition, expires_at, now);
            let mut swept = std::iter::from_fn(|| entries.sweep(now, STEP));
            if written.is_ok() || !swept.any(|expired| expired > 0) {
                return written.map_err(|full| full.with_context(NAME, "write"));
            }
        }
    }

    /// [`Driver::remove`] without a future.
    pub fn remove_now(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let now = self.begin("remove")?;
        let version = options.if_version.map(WriteCondition::IfVersion);
        let condition = version.unwrap_or_default();
        let mut current = conflict(&condition, None, now);
        self.entries.remove_if(key, |_, slot| {
            current = conflict(&condition, Some(slot), now);
            current.is_none()
        });
        Ok(current.map_or(RemoveOutcome::Removed, RemoveOutcome::Conflict))
    }

    /// [`Driver::touch`] without a future.
    pub fn touch_now(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let now = self.begin("touch")?;
        let expires_at = self.expires_at(options.expiry, now);
        let version = options.if_version;
        Ok(self.entries.touch(key, expires_at, |slot| {
            !slot.is_expired(now) && version.is_none_or(|version| slot.version() == version)
        }))
    }

    /// Checks that the driver is open, and returns the time of the operation.
    fn begin(&self, operation: &'static str) -> Result<Timestamp> {
        if self.closed.load(Ordering::Acquire) {
            let error = Error::new(ErrorKind::Closed, "this driver was closed; open another");
            return Err(error.with_context(NAME, operation));
        }
        Ok(self.clock.now())
    }

    /// When something expires that is written now. If it ever does, the sweeper must run.
    fn expires_at(&self, expiry: Expiry, now: Timestamp) -> Timestamp {
        let expires_at = expiry.resolve(self.ttl, now).unwrap_or(NEVER);
        if expires_at != NEVER && !self.is_swept() {
            self.start_sweeper();
        }
        expires_at
    }

    /// Whether the sweeper runs, which shares the entries for as long as it does.
    fn is_swept(&self) -> bool {
        Arc::strong_count(&self.entries) > 1
    }

    #[cold]
    fn start_sweeper(&self) {
        let mut sweeper = self.sweeper.lock();
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if self.is_swept() || self.closed.load(Ordering::Acquire) {
            return;
        }
        let (entries, clock) = (Arc::clone(&self.entries), Arc::clone(&self.clock));
        let sweep = async move {
            loop {
                tokio::time::sleep(SWEEP_INTERVAL).await;
                let now = clock.now();
                while entries.sweep(now, STEP).is_some() {
                    tokio::task::yield_now().await;
                }
            }
        };
        sweeper.spawn_on(sweep, &runtime);
    }
}

impl Default for MemoryDriver {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usage = *self.entries.usage.lock();
        let mut debug = f.debug_struct("MemoryDriver");
        debug.field("usage", &usage).finish_non_exhaustive()
    }
}

#[async_trait]
impl Driver for MemoryDriver {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
            .with_conditions(Conditions::All)
            .with_reports_expiry(true)
            .with_touch(true)
            .with_listing(Listing::ExactlyOnce)
            .with_watch(true)
            .with_invalidations(true)
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.read_now(key)
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.write_now(key, value, options)
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.remove_now(key, options)
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        self.touch_now(key, options)
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        let limit = options.limit.max(1);
        let (mut keys, mut next) = (Vec::new(), options.cursor);
        loop {
            let now = self.begin("list")?;
            let last = next.map(|cursor| Key::new(cursor.as_str())).transpose()?;
            let mut found = self.entries.keys(&options.prefix, last)?;
            found.truncate(limit - keys.len());
            next = found.last().map(|last| Cursor::new(last.as_str()));
            found.retain(|key| self.entries.read(key, now).is_some());
            keys.extend(found.iter().map(|key| Key::clone(key)));
            if next.is_none() || keys.len() == limit {
                return Ok(ListPage::new(keys, next));
            }
            tokio::task::yield_now().await;
        }
    }

    async fn watch(&self, prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        // Before it looks whether the driver is open, so that closing it meanwhile ends the stream.
        let changes = self.entries.watchers.add(prefix.clone());
        self.begin("watch").map(|_now| changes)
    }

    async fn listen(&self, listener: Arc<dyn InvalidationListener>) -> Result<()> {
        self.begin("listen")?;
        self.entries.watchers.listen(listener);
        Ok(())
    }

    /// All reads are tracked: every change of any entry is told.
    async fn read_tracked(&self, key: &Key) -> Result<Option<Entry>> {
        self.read_now(key)
    }

    /// Changes are told before they are acknowledged, so there is nothing to wait for.
    async fn sync_invalidations(&self) -> Result<()> {
        self.begin("sync_invalidations").map(drop)
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        self.entries.watchers.close();
        let mut sweeper = std::mem::take(&mut *self.sweeper.lock());
        sweeper.shutdown().await;
        loop {
            let keys = self.entries.keys(&Prefix::root(), None)?;
            if keys.is_empty() {
                return Ok(());
            }
            for key in keys {
                self.entries.remove_if(&key, |_, _| true);
            }
            tokio::task::yield_now().await;
        }
    }
}

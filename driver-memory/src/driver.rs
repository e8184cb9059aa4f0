use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::future::lazy;
use session_core::{
    Capabilities, Change, Clock, Conditions, Driver, Entry, Expiry, Key, ListOptions, ListPage,
    Listing, Metadata, Prefix, RemoveOptions, RemoveOutcome, Result, TouchOptions, WriteOptions,
    WriteOutcome,
};

use crate::now::{Now, Time};
use crate::slot::End;
use crate::store::{SHARDS, Store};
use crate::sweeper::Sweeper;
use crate::{DEFAULT_MAX_ENTRIES, NAME};

type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A driver that keeps its entries in the memory of this process.
///
/// ```
/// use driver_memory::MemoryDriver;
/// use session_core::{DriverExt, Result};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let driver = MemoryDriver::new().with_ttl(Duration::from_secs(3_600)).with_max_entries(10_000);
/// driver.put("greeting", "hello").await?;
/// assert_eq!(driver.get("greeting").await?.unwrap(), "hello");
/// # Ok(())
/// # }
/// ```
///
/// No operation waits for anything, so the most frequent are also there as plain functions, for callers
/// who are not async and for those who count nanoseconds: [`read_now`](Self::read_now),
/// [`write_now`](Self::write_now), [`remove_now`](Self::remove_now), [`touch_now`](Self::touch_now).
///
/// To share it, put it into an [`Arc`]. Dropping it drops the entries and ends its sweeper.
pub struct MemoryDriver {
    store: Arc<Store>,
    time: Time,
    sweeper: Sweeper,
    ttl: Option<Duration>,
    max_entries: usize,
}

impl MemoryDriver {
    /// An empty driver without a default expiry, for up to [`DEFAULT_MAX_ENTRIES`] entries.
    pub fn new() -> Self {
        Self {
            store: Arc::new(Store::new()),
            time: Time::System,
            sweeper: Sweeper::default(),
            ttl: None,
            max_entries: DEFAULT_MAX_ENTRIES,
        }
    }

    /// Sets when an entry written with [`Expiry::Default`] ends.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Sets how many entries there may be; a write that would add one more is refused. See the
    /// [crate documentation](crate#the-bound).
    #[must_use]
    pub fn with_max_entries(mut self, max_entries: usize) -> Self {
        self.max_entries = max_entries;
        self
    }

    /// Takes the time from `clock`, for tests of lifetimes that do not wait. Set it before the first write.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.time = Time::Given(Arc::new(clock));
        self
    }

    /// How many entries are held, those included that have ended and are not swept yet.
    pub fn entry_count(&self) -> usize {
        self.store.count()
    }

    /// [`Driver::read`] without a future.
    pub fn read_now(&self, key: &Key) -> Result<Option<Entry>> {
        self.store.read(key, &self.now())
    }

    /// [`Driver::write`] without a future.
    pub fn write_now(
        &self,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        self.apply(key, value, &options)
    }

    fn apply(&self, key: &Key, value: Bytes, options: &WriteOptions) -> Result<WriteOutcome> {
        let now = self.now();
        let end = self.end_of(options.expiry, &now);
        let condition = &options.condition;
        let outcome = self
            .store
            .write(key, value, end, condition, self.max_entries, &now)?;
        self.sweep_if_it_ends(end);
        Ok(outcome)
    }

    /// [`Driver::remove`] without a future.
    pub fn remove_now(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.store.remove(key, options, &self.now())
    }

    /// [`Driver::touch`] without a future.
    pub fn touch_now(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let now = self.now();
        let end = self.end_of(options.expiry, &now);
        let touched = self
            .store
            .touch(key, end, options.if_version.as_ref(), &now)?;
        self.sweep_if_it_ends(end);
        Ok(touched)
    }

    fn sweep_if_it_ends(&self, end: End) {
        if end != End::NEVER {
            self.sweeper.ensure_running(&self.store, &self.time);
        }
    }

    fn now(&self) -> Now<'_> {
        Now::of(&self.time)
    }

    fn end_of(&self, expiry: Expiry, now: &Now<'_>) -> End {
        match (expiry, self.ttl) {
            (Expiry::At(end), _) => Some(end).into(),
            (Expiry::Never, _) | (Expiry::Default, None) => End::NEVER,
            (Expiry::Default, Some(_)) => expiry.resolve(self.ttl, now.get()).into(),
        }
    }
}

impl Default for MemoryDriver {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDriver")
            .field("entry_count", &self.entry_count())
            .field("max_entries", &self.max_entries)
            .field("ttl", &self.ttl)
            .field("time", &self.time)
            .field("sweeper", &self.sweeper)
            .finish()
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
    }

    // The two below are what `async_trait` makes of an async function, by hand: the future that it makes
    // keeps each argument twice and the result too, and moving those costs more than the operation.

    fn read<'a, 'b, 'r>(&'a self, key: &'b Key) -> Pending<'r, Result<Option<Entry>>>
    where
        Self: 'r,
        'a: 'r,
        'b: 'r,
    {
        Box::pin(lazy(move |_| self.read_now(key)))
    }

    fn write<'a, 'b, 'r>(
        &'a self,
        key: &'b Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Pending<'r, Result<WriteOutcome>>
    where
        Self: 'r,
        'a: 'r,
        'b: 'r,
    {
        Box::pin(Writing {
            driver: self,
            key,
            value: Some(value),
            options,
        })
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.remove_now(key, options)
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        let page = self.store.list(&options, &self.now())?;
        if page.next.is_some() {
            // A caller who follows the pages of a large map would not let anybody else run.
            tokio::task::yield_now().await;
        }
        Ok(page)
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        self.store.exists(key, &self.now())
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        self.store.metadata(key, &self.now())
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        self.touch_now(key, options)
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        keys.iter().map(|key| self.read_now(key)).collect()
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        for number in 0..SHARDS {
            let mut start = Some(0);
            while let Some(from) = start {
                start = self.store.clear_step(prefix, number, from)?;
                tokio::task::consume_budget().await;
            }
        }
        Ok(())
    }

    async fn watch(&self, prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        self.store.watch(prefix)
    }

    async fn close(&self) -> Result<()> {
        self.store.close();
        self.sweeper.stop().await;
        for number in 0..SHARDS {
            self.store.give_up_shard(number);
            tokio::task::consume_budget().await;
        }
        Ok(())
    }
}

/// A write that happens when it is polled, out of where its arguments stand.
struct Writing<'a, 'b> {
    driver: &'a MemoryDriver,
    key: &'b Key,
    /// `None` once it has happened.
    value: Option<Bytes>,
    options: WriteOptions,
}

impl Future for Writing<'_, '_> {
    type Output = Result<WriteOutcome>;

    fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match this.value.take() {
            Some(value) => Poll::Ready(this.driver.apply(this.key, value, &this.options)),
            // Who polls again what is done gets no second write.
            None => Poll::Pending,
        }
    }
}

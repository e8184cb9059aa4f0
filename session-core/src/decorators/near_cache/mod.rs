//! The [`NearCache`] decorator: entries in the memory of this process, for as long as they are known to be fresh.

mod change;
mod metrics;
mod options;
mod state;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep, timeout};

pub use options::NearCacheOptions;

use crate::{
    Capabilities, Consistency, Driver, Entry, Error, ErrorKind, Key, Metadata, Prefix,
    RemoveOptions, RemoveOutcome, Result, TouchOptions, Write, WriteOptions, WriteOutcome,
    delegate_driver,
};
use change::Keys;
use state::{Lookup, State};

/// A network answers no probes faster than that for long.
const SHORTEST_STALENESS: Duration = Duration::from_millis(10);

/// How many probes are sent within the time that an answered one is good for.
const PROBES: u32 = 4;

/// A driver that keeps entries which were read often in the memory of this process.
///
/// ```
/// use session_core::decorators::{NearCache, NearCacheOptions};
/// use session_core::{Driver, Result};
///
/// async fn cached(driver: impl Driver) -> Result<impl Driver> {
///     NearCache::new(driver, NearCacheOptions::default()).await
/// }
/// ```
///
/// The driver must report invalidations, as `driver-redis` and `driver-postgres` do. Otherwise `new` is an error of kind
/// [`Unsupported`](crate::ErrorKind::Unsupported).
///
/// # What a reader may see
///
/// The backend tells this process when an entry changes that it holds, usually within a millisecond. In addition the
/// connection is probed four times in `max_staleness`: an entry is served until `max_staleness` after the last answered
/// probe was sent. So no read returns an entry that was changed more than `max_staleness` ago, whatever happens to the
/// network. If a connection is lost, all entries are dropped.
///
/// A backend that has been deposed and does not know it, such as a primary behind a cut network, answers probes too.
/// Until it learns of it, its readers may see what it has. Writes go to it as well, so the same holds without a cache.
///
/// Writes, removals and touches go through to the driver, with their conditions. What this process has changed it does
/// not see in an old state afterwards. A commit of a session is safe: it is conditional on the version that was read, so
/// a stale read leads to a conflict and another attempt.
///
/// # What is cached
///
/// An entry is read by the driver as usual the first time, and cached the second time. So visitors who come once take
/// neither memory here nor a place in the server's table of tracked keys. Absent entries are never cached. Concurrent
/// reads of a missing entry are one read.
///
/// # Metrics
///
/// By the `metrics` crate, with the label `driver`; install the recorder before the cache is created:
/// `session_near_cache_hits_total`, `session_near_cache_misses_total`, `session_near_cache_invalidations_total`, and the
/// gauge `session_near_cache_staleness_seconds`, which is the age of the last answered probe.
pub struct NearCache<D> {
    inner: Arc<D>,
    state: Arc<State>,
    /// The task that probes. It ends with this value.
    probing: parking_lot::Mutex<JoinSet<()>>,
}

impl<D: Driver> NearCache<D> {
    /// Caches the entries of `driver`, and waits until the driver has answered a probe.
    ///
    /// It must be called within a tokio runtime with timers.
    pub async fn new(driver: D, options: NearCacheOptions) -> Result<Self> {
        if options.max_staleness < SHORTEST_STALENESS {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "`max_staleness` of the near-cache must be at least 10 ms",
            ));
        }
        let name = driver.name().to_owned();
        let state = Arc::new(State::new(&name, options));
        let inner = Arc::new(driver);
        inner.listen(state.clone()).await?;
        let sent = Instant::now();
        inner.sync_invalidations().await?;
        state.confirm(sent);
        let mut probing = JoinSet::new();
        probing.spawn(probe(inner.clone(), state.clone(), options.max_staleness));
        Ok(Self {
            inner,
            state,
            probing: parking_lot::Mutex::new(probing),
        })
    }

    /// Reads an entry that is not in the cache, together with others who read it now.
    async fn read_through(&self, key: &Key, has_been_read: bool) -> Result<Option<Entry>> {
        let flight = self.state.join(key, has_been_read, |flight, is_tracked| {
            let (inner, key) = (self.inner.clone(), key.clone());
            async move {
                let mut tracked = None;
                if is_tracked {
                    tracked = match inner.read_tracked(&key).await {
                        // The server that took over cannot track.
                        Err(error) if error.kind() == ErrorKind::Unsupported => None,
                        read => Some(read),
                    };
                }
                let is_tracked = tracked.is_some();
                let entry = match tracked {
                    Some(entry) => entry,
                    None => inner.read(&key).await,
                };
                let entry = entry.map_err(Arc::new)?;
                flight.land(entry.as_ref(), is_tracked);
                Ok(entry)
            }
        });
        flight.await.map_err(|error| Error::repeated(&error))
    }

    async fn change<T>(
        &self,
        keys: Keys<'_>,
        change: impl Future<Output = Result<T>>,
        exists: impl FnOnce(&T) -> bool,
    ) -> Result<T> {
        let begun = self.state.begin_change(keys);
        let outcome = change.await;
        begun.end(outcome.as_ref().err(), outcome.as_ref().is_ok_and(exists));
        outcome
    }
}

/// Sends a probe again and again, and notes those that are answered.
async fn probe<D: Driver>(driver: Arc<D>, state: Arc<State>, max_staleness: Duration) {
    loop {
        sleep(max_staleness / PROBES).await;
        let sent = Instant::now();
        match timeout(max_staleness, driver.sync_invalidations()).await {
            Ok(Ok(())) => state.confirm(sent),
            Ok(Err(error)) => tracing::debug!(%error, "a probe of the near-cache failed"),
            Err(_) => tracing::debug!("a probe of the near-cache was not answered"),
        }
    }
}

#[async_trait]
impl<D: Driver> Driver for NearCache<D> {
    delegate_driver!(this => this.inner, except capabilities, read, exists, metadata, read_many, write, remove, touch, write_many, remove_many, clear, close, listen, read_tracked, sync_invalidations);

    fn capabilities(&self) -> Capabilities {
        let inner = self.inner.capabilities();
        inner
            .with_consistency(Consistency::Eventual)
            .with_invalidations(false)
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        match self.state.look_up(key) {
            Lookup::Fresh(entry) => {
                // A task that only reads from memory must let others run too.
                consume_budget().await;
                Ok(Some(entry))
            }
            Lookup::Seen => self.read_through(key, true).await,
            Lookup::Unknown => self.read_through(key, false).await,
        }
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        match self.state.look_up(key) {
            Lookup::Fresh(_) => Ok(true),
            _ => self.inner.exists(key).await,
        }
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        match self.state.look_up(key) {
            Lookup::Fresh(entry) => Ok(Some(Metadata::from(&entry))),
            _ => self.inner.metadata(key).await,
        }
    }

    /// What is not in the cache is read by one batch, and is not cached.
    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let mut entries: Vec<Option<Entry>> = Vec::with_capacity(keys.len());
        let (mut missing, mut places) = (Vec::new(), Vec::new());
        for key in keys {
            let entry = match self.state.look_up(key) {
                Lookup::Fresh(entry) => Some(entry),
                _ => {
                    places.push(entries.len());
                    missing.push(key.clone());
                    None
                }
            };
            entries.push(entry);
        }
        if !missing.is_empty() {
            let read = self.inner.read_many(&missing).await?;
            for (place, entry) in places.into_iter().zip(read) {
                if let Some(slot) = entries.get_mut(place) {
                    *slot = entry;
                }
            }
        }
        Ok(entries)
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let write = self.inner.write(key, value, options);
        self.change(Keys::One(key), write, |_| true).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let remove = self.inner.remove(key, options);
        let is_conflict = |outcome: &RemoveOutcome| matches!(outcome, RemoveOutcome::Conflict(_));
        self.change(Keys::One(key), remove, is_conflict).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let touch = self.inner.touch(key, options);
        self.change(Keys::One(key), touch, |exists| *exists).await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let keys: Vec<Key> = writes.iter().map(|write| write.key.clone()).collect();
        let begun = self.state.begin_change(Keys::Several(&keys));
        let outcomes = self.inner.write_many(writes).await;
        let worst = outcomes
            .iter()
            .filter_map(|outcome| outcome.as_ref().err())
            .max_by_key(|error| change::may_have_been_applied(error));
        begun.end(worst, worst.is_none());
        outcomes
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        let remove = self.inner.remove_many(keys);
        self.change(Keys::Several(keys), remove, |()| false).await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        let clear = self.inner.clear(prefix);
        self.change(Keys::All, clear, |()| false).await
    }

    async fn close(&self) -> Result<()> {
        let mut probing = std::mem::take(&mut *self.probing.lock());
        probing.shutdown().await;
        self.state.close();
        self.inner.close().await
    }
}

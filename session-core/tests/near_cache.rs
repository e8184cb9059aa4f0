//! What the near-cache promises, over a driver whose reads and probes the tests hold up.
#![cfg(test)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use driver_memory::MemoryDriver;
use futures_util::future::join_all;
use session_core::decorators::{NearCache, NearCacheOptions, Prefixed};
use session_core::{
    Bytes, Capabilities, Driver, DriverExt, Entry, Error, ErrorKind, Expiry, InvalidationListener,
    Key, ListOptions, ListPage, Outcome, Prefix, RemoveOptions, RemoveOutcome, Result, Timestamp,
    TouchOptions, Write, WriteOptions, WriteOutcome, async_trait, delegate_driver,
};
use tokio::sync::{Mutex, Semaphore};

/// A memory driver that counts reads, and holds up what the test asks it to.
struct Backend {
    inner: Arc<MemoryDriver>,
    reads: AtomicUsize,
    tracked_reads: AtomicUsize,
    /// Held by a test while answers are held up, after the value was read.
    answers: Mutex<()>,
    probe_fails: AtomicBool,
    probes: Semaphore,
    write_fails: AtomicBool,
    is_deaf: AtomicBool,
}

impl Backend {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::new(MemoryDriver::new()),
            reads: AtomicUsize::new(0),
            tracked_reads: AtomicUsize::new(0),
            answers: Mutex::new(()),
            probe_fails: AtomicBool::new(false),
            probes: Semaphore::new(0),
            write_fails: AtomicBool::new(false),
            is_deaf: AtomicBool::new(false),
        })
    }

    /// How many plain and tracked reads there were since the last call.
    fn take_reads(&self) -> (usize, usize) {
        let take = |count: &AtomicUsize| count.swap(0, Ordering::SeqCst);
        (take(&self.reads), take(&self.tracked_reads))
    }

    async fn next_probe(&self) {
        self.probes.forget_permits(self.probes.available_permits());
        self.probes.acquire().await.unwrap().forget();
        // The answer is noted after it.
        self.probes.acquire().await.unwrap().forget();
    }
}

#[async_trait]
impl Driver for Backend {
    delegate_driver!(this => this.inner, except read, read_tracked, sync_invalidations, write, listen);

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let entry = self.inner.read(key).await;
        let _may_answer = self.answers.lock().await;
        entry
    }

    async fn read_tracked(&self, key: &Key) -> Result<Option<Entry>> {
        self.tracked_reads.fetch_add(1, Ordering::SeqCst);
        let entry = self.inner.read_tracked(key).await;
        let _may_answer = self.answers.lock().await;
        entry
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let outcome = self.inner.write(key, value, options).await;
        match self.write_fails.load(Ordering::SeqCst) {
            true => Err(Error::new(ErrorKind::Unavailable, "the answer was lost")
                .with_outcome(Outcome::Unknown)),
            false => outcome,
        }
    }

    async fn listen(&self, listener: Arc<dyn InvalidationListener>) -> Result<()> {
        match self.is_deaf.load(Ordering::SeqCst) {
            true => Ok(()),
            false => self.inner.listen(listener).await,
        }
    }

    async fn sync_invalidations(&self) -> Result<()> {
        if self.probe_fails.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "no connection"));
        }
        self.probes.add_permits(1);
        Ok(())
    }
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

async fn cached(backend: &Arc<Backend>) -> NearCache<Arc<Backend>> {
    let options = NearCacheOptions::default();
    NearCache::new(backend.clone(), options).await.unwrap()
}

/// Reads until the entry is in the cache.
async fn fill(cache: &impl Driver, name: &str) -> Entry {
    cache.read(&key(name)).await.unwrap();
    cache.read(&key(name)).await.unwrap().unwrap()
}

#[test_support::test]
async fn an_entry_is_read_the_first_time_and_cached_the_second_time() {
    let backend = Backend::new();
    let cache = cached(&backend).await;
    backend.inner.put("k", "v").await.unwrap();
    for expected in [(1, 0), (0, 1), (0, 0), (0, 0)] {
        assert_eq!(cache.get("k").await.unwrap().unwrap(), "v");
        assert_eq!(backend.take_reads(), expected);
    }
    assert!(cache.exists(&key("k")).await.unwrap());
    let metadata = cache.metadata(&key("k")).await.unwrap().unwrap();
    assert_eq!(metadata.size, Some(1));
    let both = cache.read_many(&[key("k"), key("other")]).await.unwrap();
    assert_eq!(both.iter().flatten().count(), 1);
}

#[test_support::test]
async fn a_change_by_others_is_seen() {
    let backend = Backend::new();
    let cache = cached(&backend).await;
    let (other, name) = (&backend.inner, key("k"));
    for change in 0..4 {
        other.put("k", "old").await.unwrap();
        assert_eq!(fill(&cache, "k").await.value, "old");
        match change {
            0 => other.put("k", "new").await.unwrap(),
            1 => other.delete("k").await.unwrap(),
            2 => other.clear(&Prefix::root()).await.unwrap(),
            _ => {
                let later = Timestamp::now().saturating_add(Duration::from_secs(1_000));
                let touch = TouchOptions::to(Expiry::At(later));
                assert!(other.touch(&name, touch).await.unwrap());
            }
        }
        let (seen, stored) = (cache.read(&name).await, other.read(&name).await);
        assert_eq!(seen.unwrap(), stored.unwrap(), "{change}");
    }
}

#[test_support::test]
async fn a_change_of_ones_own_is_seen_whatever_the_driver_tells() {
    let backend = Backend::new();
    backend.is_deaf.store(true, Ordering::SeqCst);
    let cache = cached(&backend).await;
    let name = key("k");
    for change in 0..7 {
        cache.put("k", "old").await.unwrap();
        assert_eq!(fill(&cache, "k").await.value, "old");
        let write = Write::new(name.clone(), Bytes::from("new"));
        match change {
            0 => cache.put("k", "new").await.unwrap(),
            1 => cache.delete("k").await.unwrap(),
            2 => cache.clear(&Prefix::root()).await.unwrap(),
            3 => drop(cache.write_many(vec![write]).await),
            4 => cache
                .remove_many(std::slice::from_ref(&name))
                .await
                .unwrap(),
            5 => {
                let later = Timestamp::now().saturating_add(Duration::from_secs(1_000));
                let touch = TouchOptions::to(Expiry::At(later));
                assert!(cache.touch(&name, touch).await.unwrap());
            }
            _ => drop(cache.remove(&name, RemoveOptions::default()).await.unwrap()),
        }
        let stored = backend.inner.read(&name).await.unwrap();
        assert_eq!(cache.read(&name).await.unwrap(), stored, "{change}");
        assert_eq!(cache.read(&name).await.unwrap(), stored, "{change}");
    }
}

#[test_support::test]
async fn an_absent_entry_is_never_cached_or_tracked() {
    let backend = Backend::new();
    let cache = cached(&backend).await;
    for _ in 0..3 {
        assert_eq!(cache.get("k").await.unwrap(), None);
        assert_eq!(backend.take_reads(), (1, 0));
    }
}

#[test_support::test]
async fn readers_of_one_missing_entry_at_a_time_make_one_read() {
    let backend = Backend::new();
    let cache = cached(&backend).await;
    let held_up = backend.answers.lock().await;
    let name = key("k");
    let readers = join_all((0..1_000).map(|_| cache.read(&name)));
    let release = async {
        tokio::task::yield_now().await;
        drop(held_up);
    };
    let (entries, ()) = futures_util::future::join(readers, release).await;
    assert!(entries.into_iter().all(|entry| entry.unwrap().is_none()));
    assert_eq!(backend.take_reads(), (1, 0));
}

#[test_support::test]
async fn an_invalidation_that_arrives_during_a_read_wins() {
    let backend = Backend::new();
    let cache = cached(&backend).await;
    backend.inner.put("k", "old").await.unwrap();
    cache.get("k").await.unwrap();
    let name = key("k");
    let held_up = backend.answers.lock().await;
    let mut read = std::pin::pin!(cache.read(&name));
    assert!(futures_util::poll!(&mut read).is_pending());
    backend.inner.put("k", "new").await.unwrap();
    drop(held_up);
    assert_eq!(read.await.unwrap().unwrap().value, "old", "it began before");
    assert_eq!(cache.get("k").await.unwrap().unwrap(), "new");
}

#[test_support::test]
async fn a_read_that_began_before_a_write_of_ones_own_is_not_cached() {
    let backend = Backend::new();
    backend.is_deaf.store(true, Ordering::SeqCst);
    let cache = cached(&backend).await;
    cache.put("k", "old").await.unwrap();
    let name = key("k");
    let held_up = backend.answers.lock().await;
    let mut read = std::pin::pin!(cache.read(&name));
    assert!(futures_util::poll!(&mut read).is_pending());
    cache.put("k", "new").await.unwrap();
    drop(held_up);
    assert_eq!(read.await.unwrap().unwrap().value, "old");
    assert_eq!(cache.get("k").await.unwrap().unwrap(), "new");
    assert_eq!(cache.get("k").await.unwrap().unwrap(), "new");
}

#[test_support::test(start_paused = true)]
async fn nothing_is_cached_after_an_unknown_outcome_until_a_probe_is_answered() {
    let backend = Backend::new();
    let cache = cached(&backend).await;
    cache.put("k", "old").await.unwrap();
    fill(&cache, "k").await;
    backend.write_fails.store(true, Ordering::SeqCst);
    cache.put("k", "new").await.unwrap_err();
    backend.take_reads();
    for _ in 0..3 {
        cache.get("k").await.unwrap();
    }
    assert_eq!(backend.take_reads(), (3, 0));
    backend.next_probe().await;
    for _ in 0..4 {
        cache.get("k").await.unwrap();
    }
    assert_eq!(backend.take_reads(), (1, 1));
}

#[test_support::test(start_paused = true)]
async fn nothing_is_served_once_probes_are_not_answered() {
    let backend = Backend::new();
    let cache = cached(&backend).await;
    backend.inner.put("k", "v").await.unwrap();
    fill(&cache, "k").await;
    backend.next_probe().await;
    backend.probe_fails.store(true, Ordering::SeqCst);
    backend.take_reads();
    cache.get("k").await.unwrap();
    assert_eq!(backend.take_reads(), (0, 0));
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..3 {
        cache.get("k").await.unwrap();
    }
    assert_eq!(backend.take_reads(), (0, 3));
    backend.probe_fails.store(false, Ordering::SeqCst);
    backend.next_probe().await;
    cache.get("k").await.unwrap();
    assert_eq!(backend.take_reads(), (0, 0));
}

#[test_support::test(start_paused = true)]
async fn an_entry_that_has_expired_is_not_served_although_the_driver_does_not_tell() {
    let backend = Backend::new();
    backend.is_deaf.store(true, Ordering::SeqCst);
    let cache = cached(&backend).await;
    let ttl = Duration::from_secs(100);
    backend.inner.put_with_ttl("k", "v", ttl).await.unwrap();
    fill(&cache, "k").await;
    tokio::time::sleep(ttl - Duration::from_secs(1)).await;
    backend.next_probe().await;
    backend.take_reads();
    cache.get("k").await.unwrap();
    assert_eq!(backend.take_reads(), (0, 0));
    tokio::time::sleep(Duration::from_secs(1)).await;
    backend.next_probe().await;
    cache.get("k").await.unwrap();
    assert_eq!(backend.take_reads(), (0, 1), "the driver decides");
}

#[test_support::test]
async fn a_reader_who_gives_up_leaves_nothing_behind() {
    let backend = Backend::new();
    let cache = cached(&backend).await;
    backend.inner.put("k", "v").await.unwrap();
    let name = key("k");
    {
        let _held_up = backend.answers.lock().await;
        let mut read = std::pin::pin!(cache.read(&name));
        assert!(futures_util::poll!(&mut read).is_pending());
    }
    assert_eq!(cache.get("k").await.unwrap().unwrap(), "v");
    assert_eq!(backend.take_reads(), (2, 0));
}

#[test_support::test]
async fn a_lost_stream_empties_the_cache() {
    let backend = Backend::new();
    let cache = cached(&backend).await;
    backend.inner.put("k", "v").await.unwrap();
    fill(&cache, "k").await;
    // The memory driver loses its listeners when it is closed.
    backend.inner.close().await.unwrap();
    assert_eq!(cache.get("k").await.unwrap_err().kind(), ErrorKind::Closed);
}

#[test_support::test]
async fn a_closed_cache_serves_nothing() {
    let backend = Backend::new();
    backend.is_deaf.store(true, Ordering::SeqCst);
    let cache = cached(&backend).await;
    backend.inner.put("k", "v").await.unwrap();
    fill(&cache, "k").await;
    cache.close().await.unwrap();
    assert_eq!(cache.get("k").await.unwrap_err().kind(), ErrorKind::Closed);
    cache.close().await.unwrap();
}

#[test_support::test]
async fn the_cache_keeps_to_its_bytes() {
    let backend = Backend::new();
    let options = NearCacheOptions::default().with_max_bytes(100_000);
    let cache = NearCache::new(backend.clone(), options).await.unwrap();
    for number in 0..1_000 {
        let name = number.to_string();
        backend.inner.put(&name, vec![0; 1_000]).await.unwrap();
        fill(&cache, &name).await;
    }
    backend.take_reads();
    for number in 0..1_000 {
        cache.get(&number.to_string()).await.unwrap();
    }
    let (plain, tracked) = backend.take_reads();
    let hits = 1_000 - plain - tracked;
    assert!((1..=100).contains(&hits), "{hits}");
}

#[test_support::test]
async fn a_prefix_below_or_above_the_cache_changes_nothing() {
    let backend = Backend::new();
    let prefixed = Prefixed::new(backend.clone(), Prefix::new("app").unwrap());
    let cache = NearCache::new(prefixed, NearCacheOptions::default()).await;
    let cache = Prefixed::new(cache.unwrap(), Prefix::new("sessions").unwrap());
    let stored = "app:sessions:k";
    backend.inner.put(stored, "old").await.unwrap();
    assert_eq!(fill(&cache, "k").await.value, "old");
    backend.inner.put(stored, "new").await.unwrap();
    assert_eq!(cache.get("k").await.unwrap().unwrap(), "new");
}

/// A driver without invalidations.
struct Plain(MemoryDriver);

#[async_trait]
impl Driver for Plain {
    fn name(&self) -> &str {
        "plain"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.0.read(key).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.0.write(key, value, options).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.0.remove(key, options).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.0.list(options).await
    }
}

#[test_support::test]
async fn a_driver_without_invalidations_is_refused() {
    let plain = Plain(MemoryDriver::new());
    let cache = NearCache::new(plain, NearCacheOptions::default()).await;
    assert_eq!(cache.err().unwrap().kind(), ErrorKind::Unsupported);
}

#[test_support::test]
async fn a_staleness_of_nothing_is_refused() {
    let options = NearCacheOptions::default().with_max_staleness(Duration::ZERO);
    let cache = NearCache::new(Backend::new(), options).await;
    assert_eq!(cache.err().unwrap().kind(), ErrorKind::InvalidConfig);
}

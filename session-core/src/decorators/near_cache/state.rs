//! What the cache holds, and which reads may still be added to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::NearCacheOptions;
use super::metrics::Metrics;
use crate::{Entry, Error, InvalidationListener, Key, Timestamp};

/// What an entry takes up beside its key and its value, about.
const OVERHEAD: u64 = 160;

/// How many entries there are in a full cache, about, by which its tables are sized.
const TYPICAL_SIZE: u64 = 1_024;

/// How many keys are barred one by one. Beyond that all are.
const MAX_BARRED: usize = 1_024;

type Read = Result<Option<Entry>, Arc<Error>>;
type SharedRead = Shared<BoxFuture<'static, Read>>;

pub(super) struct State {
    cache: Cache<Key, Slot, Sizes>,
    pub(super) under_way: Mutex<UnderWay>,
    /// Until when entries are served, in nanoseconds after `start`. Zero after `close`.
    fresh_until: AtomicU64,
    start: Instant,
    max_staleness: Duration,
    metrics: Metrics,
}

/// What is known of a key.
#[derive(Clone)]
enum Slot {
    /// It was read or written before, so that the next read is worth tracking.
    Seen,
    /// Its entry, and when that expires.
    Held(Entry, Option<Instant>),
}

pub(super) enum Lookup {
    Fresh(Entry),
    Seen,
    Unknown,
}

/// The reads that are not answered yet, and what must not be cached.
///
/// A read may be added to the cache if it is still here when it is answered. Whatever makes its answer old takes it away.
#[derive(Default)]
pub(super) struct UnderWay {
    reads: HashMap<Key, Reading>,
    /// The changes that may still happen, by when they were given up. They bar their keys until a later probe is answered.
    barred: HashMap<Key, Instant>,
    all_barred: Option<Instant>,
    last_read: u64,
    is_closed: bool,
}

struct Reading {
    number: u64,
    started: Instant,
    read: WeakShared<BoxFuture<'static, Read>>,
}

#[derive(Clone)]
struct Sizes;

impl Weighter<Key, Slot> for Sizes {
    fn weight(&self, key: &Key, slot: &Slot) -> u64 {
        let value = match slot {
            Slot::Seen => 0,
            // The version may be the value itself, in the same memory.
            Slot::Held(entry, _) => entry.value.len(),
        };
        OVERHEAD + key.as_str().len() as u64 + value as u64
    }
}

impl State {
    pub(super) fn new(driver: &str, options: NearCacheOptions) -> Self {
        let entries = usize::try_from(options.max_bytes / TYPICAL_SIZE).unwrap_or(usize::MAX);
        Self {
            cache: Cache::with_weighter(entries.clamp(16, 1 << 20), options.max_bytes, Sizes),
            under_way: Mutex::default(),
            fresh_until: AtomicU64::new(0),
            start: Instant::now(),
            max_staleness: options.max_staleness,
            metrics: Metrics::new(driver),
        }
    }

    pub(super) fn look_up(&self, key: &Key) -> Lookup {
        let found = match self.cache.get(key) {
            None => Lookup::Unknown,
            Some(Slot::Seen) => Lookup::Seen,
            Some(Slot::Held(entry, expires)) => {
                let now = Instant::now();
                let fresh_until = self.fresh_until.load(Ordering::Acquire);
                let is_fresh = self.nanos(now) < fresh_until;
                match is_fresh && expires.is_none_or(|expires| now < expires) {
                    true => Lookup::Fresh(entry),
                    false => Lookup::Seen,
                }
            }
        };
        match found {
            Lookup::Fresh(_) => self.metrics.hits.increment(1),
            Lookup::Seen | Lookup::Unknown => self.metrics.misses.increment(1),
        }
        found
    }

    /// Joins the read of `key` that is under way, or starts one.
    ///
    /// A read that started longer ago than entries may be old is not joined.
    pub(super) fn join<F>(
        self: &Arc<Self>,
        key: &Key,
        has_been_read: bool,
        start: impl FnOnce(Flight, bool) -> F,
    ) -> SharedRead
    where
        F: Future<Output = Read> + Send + 'static,
    {
        let mut under_way = self.under_way.lock();
        if let Some(reading) = under_way.reads.get(key)
            && reading.started.elapsed() < self.max_staleness
            && let Some(read) = reading.read.upgrade()
        {
            return read;
        }
        under_way.last_read += 1;
        let number = under_way.last_read;
        let started = Instant::now();
        let flight = Flight {
            state: Arc::clone(self),
            key: key.clone(),
            number,
            started,
        };
        let may_be_held = under_way.may_be_held(key);
        let read = start(flight, has_been_read && may_be_held).boxed().shared();
        if may_be_held && let Some(weak) = read.downgrade() {
            let reading = Reading {
                number,
                started,
                read: weak,
            };
            under_way.reads.insert(key.clone(), reading);
        }
        read
    }

    /// Notes that all changes until `sent` have been heard of.
    pub(super) fn confirm(&self, sent: Instant) {
        let mut under_way = self.under_way.lock();
        under_way.barred.retain(|_, given_up| *given_up >= sent);
        under_way.all_barred = under_way.all_barred.filter(|given_up| *given_up >= sent);
        if under_way.is_closed {
            return;
        }
        let until = self.nanos(sent + self.max_staleness);
        self.fresh_until.fetch_max(until, Ordering::AcqRel);
        self.metrics.staleness.set(sent.elapsed().as_secs_f64());
    }

    /// Serves nothing from now on.
    pub(super) fn close(&self) {
        let mut under_way = self.under_way.lock();
        under_way.is_closed = true;
        under_way.reads.clear();
        self.fresh_until.store(0, Ordering::Release);
        self.cache.clear();
    }

    /// Forgets the entry of `key`, with its lock held, and says what is still known.
    pub(super) fn forget(&self, under_way: &mut UnderWay, key: &Key, exists: bool) {
        under_way.reads.remove(key);
        match exists && !under_way.is_closed {
            true => self.cache.insert(key.clone(), Slot::Seen),
            false => _ = self.cache.remove(key),
        }
    }

    pub(super) fn forget_all(&self, under_way: &mut UnderWay) {
        under_way.reads.clear();
        self.cache.clear();
    }

    fn nanos(&self, time: Instant) -> u64 {
        let nanos = time.saturating_duration_since(self.start).as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

impl InvalidationListener for State {
    fn invalidate(&self, key: &Key) {
        let mut under_way = self.under_way.lock();
        self.metrics.invalidations.increment(1);
        let is_known = self.cache.contains_key(key);
        self.forget(&mut under_way, key, is_known);
    }

    fn invalidate_all(&self) {
        let mut under_way = self.under_way.lock();
        self.metrics.invalidations.increment(1);
        self.forget_all(&mut under_way);
    }
}

impl UnderWay {
    /// Whether what is read now may be held when it is answered.
    fn may_be_held(&self, key: &Key) -> bool {
        !self.is_closed && self.all_barred.is_none() && !self.barred.contains_key(key)
    }

    /// Bars `key` until a probe is answered that is sent after now.
    pub(super) fn bar(&mut self, key: &Key) {
        if self.barred.len() >= MAX_BARRED {
            self.barred.clear();
            self.all_barred = Some(Instant::now());
        }
        self.barred.insert(key.clone(), Instant::now());
    }

    pub(super) fn bar_all(&mut self) {
        self.all_barred = Some(Instant::now());
    }
}

/// A read that is under way. It leaves the list also when its callers have gone.
pub(super) struct Flight {
    state: Arc<State>,
    key: Key,
    number: u64,
    started: Instant,
}

impl Flight {
    /// Takes the answer into the cache, unless something has changed since.
    pub(super) fn land(&self, entry: Option<&Entry>, is_tracked: bool) {
        let state = &*self.state;
        let under_way = state.under_way.lock();
        if !self.is_current(&under_way) {
            return;
        }
        let Some(entry) = entry else {
            state.cache.remove(&self.key);
            return;
        };
        let slot = match is_tracked {
            // From the start of the read on, so that it is rather too early than too late.
            true => Slot::Held(
                entry.clone(),
                entry
                    .expires_at
                    .map(|expires_at| expires_at.saturating_since(Timestamp::now()))
                    .and_then(|remaining| self.started.checked_add(remaining)),
            ),
            false => Slot::Seen,
        };
        state.cache.insert(self.key.clone(), slot);
    }

    fn is_current(&self, under_way: &UnderWay) -> bool {
        let reading = under_way.reads.get(&self.key);
        reading.is_some_and(|reading| reading.number == self.number)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut under_way = self.state.under_way.lock();
        if self.is_current(&under_way) {
            under_way.reads.remove(&self.key);
        }
    }
}

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use crossbeam_utils::CachePadded;
use foldhash::quality::RandomState;
use futures_core::stream::BoxStream;
use parking_lot::{RwLock, RwLockWriteGuard};
use session_core::{
    Change, ChangeKind, ConflictState, Cursor, Entry, Error, ErrorKind, Key, ListOptions, ListPage,
    Metadata, Outcome, Prefix, RemoveOptions, RemoveOutcome, Result, Version, WriteCondition,
    WriteOutcome,
};

use crate::NAME;
use crate::now::Now;
use crate::shard::{Shard, Swept};
use crate::slot::{End, Slot};
use crate::watchers::Watchers;

/// So many that a shard of a million sessions holds a few thousand and no step over one takes long, and so
/// few that their locks stay in the cache.
pub(crate) const SHARDS: usize = 256;

/// How many due slots one step of a sweep looks at under the lock.
pub(crate) const SWEEP_STEP: usize = 64;

/// How many due slots a write of a new key looks at: more than it adds, so sweeping keeps up with any flood.
const SWEEP_ON_WRITE: usize = 2;

/// How many positions one step of a listing or a clear looks at under the lock.
pub(crate) const SCAN_STEP: usize = 512;

/// How many positions one page looks at before it is given back short, so that a listing which finds
/// little does not keep its thread from others.
const SCAN_PER_PAGE: usize = 8 * SCAN_STEP;

/// The map: shards behind locks, and what they share. Nothing here waits.
///
/// Each lock is held for one bounded step, and what a step took out is dropped after it.
pub(crate) struct Store {
    shards: Box<[CachePadded<RwLock<Shard>>]>,
    hasher: RandomState,
    /// Entries in all shards, those included that ended and are not swept.
    count: CachePadded<AtomicUsize>,
    /// The millisecond in which a search through all shards found nothing to reclaim: until the clock
    /// moves on, another one would not either. It spares a flood of refused writes the search.
    nothing_due_at: AtomicU64,
    /// The shard in which the last search through all of them found something.
    reclaim_from: AtomicUsize,
    closed: AtomicBool,
    watchers: Watchers,
}

/// What one step of sweeping a shard came to.
pub(crate) struct SweepStep {
    /// How many entries were taken out.
    pub(crate) removed: usize,
    /// Whether more is due in this shard.
    pub(crate) more: bool,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self {
            shards: std::iter::repeat_with(CachePadded::default)
                .take(SHARDS)
                .collect(),
            hasher: RandomState::default(),
            count: CachePadded::default(),
            nothing_due_at: AtomicU64::new(u64::MAX),
            reclaim_from: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            watchers: Watchers::default(),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    #[inline]
    fn hash(&self, key: &Key) -> u64 {
        self.hasher.hash_one(key.as_bytes())
    }

    fn hash_of(&self) -> impl Fn(&Key) -> u64 + '_ {
        |key| self.hash(key)
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the remainder is below the length")]
    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        // The bits in the middle: the table in the shard goes by the lowest and the highest.
        &self.shards[(hash >> 32) as usize % self.shards.len()]
    }

    #[inline]
    fn check_open(&self, operation: &'static str) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            let error = Error::new(ErrorKind::Closed, "this driver was closed; open another");
            return Err(error.with_context(NAME, operation));
        }
        Ok(())
    }

    fn look<T>(
        &self,
        operation: &'static str,
        key: &Key,
        now: &Now<'_>,
        describe: impl FnOnce(&Slot) -> T,
    ) -> Result<Option<T>> {
        self.check_open(operation)?;
        let hash = self.hash(key);
        let shard = self.shard(hash).read();
        let found = shard.find(hash, key).map(|(_, slot)| slot);
        Ok(found.filter(|slot| !slot.end.has_passed(now)).map(describe))
    }

    pub(crate) fn read(&self, key: &Key, now: &Now<'_>) -> Result<Option<Entry>> {
        self.look("read", key, now, Slot::to_entry)
    }

    pub(crate) fn exists(&self, key: &Key, now: &Now<'_>) -> Result<bool> {
        Ok(self.look("exists", key, now, |_| ())?.is_some())
    }

    pub(crate) fn metadata(&self, key: &Key, now: &Now<'_>) -> Result<Option<Metadata>> {
        self.look("metadata", key, now, Slot::to_metadata)
    }

    pub(crate) fn write(
        &self,
        key: &Key,
        value: Bytes,
        end: End,
        condition: &WriteCondition,
        max_entries: usize,
        now: &Now<'_>,
    ) -> Result<WriteOutcome> {
        let hash = self.hash(key);
        loop {
            let mut shard = self.shard(hash).write();
            self.check_open("write")?;
            let found = shard.find(hash, key);
            if *condition != WriteCondition::Always {
                let current = found.filter(|(_, slot)| !slot.end.has_passed(now));
                if let Some(conflict) = conflict_of(condition, current.map(|(_, slot)| slot)) {
                    return Ok(WriteOutcome::Conflict(conflict));
                }
            }
            if let Some((position, _)) = found {
                let overwritten = shard.overwrite(position, value, end);
                self.note_end(end);
                self.watchers.tell(key, ChangeKind::Written);
                drop(shard);
                let version = overwritten.map(|(version, _old_value)| version);
                return Ok(written(version));
            }
            if !self.reserve(max_entries) {
                drop(shard);
                if !self.reclaim_one_step(now) {
                    return Err(full(max_entries));
                }
                continue;
            }
            let Some(version) = shard.insert(hash, key.clone(), value, end, self.hash_of()) else {
                self.release(1);
                return Err(full(max_entries));
            };
            self.note_end(end);
            self.watchers.tell(key, ChangeKind::Written);
            let swept = if shard.has_due(now) {
                self.sweep_step(&mut shard, now, SWEEP_ON_WRITE)
            } else {
                Swept::default()
            };
            drop(shard);
            drop(swept);
            return Ok(written(Some(version)));
        }
    }

    /// Counts one more entry, unless there are as many as there may be: also among many tasks at once
    /// never more than `max_entries` are held.
    fn reserve(&self, max_entries: usize) -> bool {
        self.count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < max_entries).then_some(count + 1)
            })
            .is_ok()
    }

    fn release(&self, entries: usize) {
        if entries > 0 {
            self.count.fetch_sub(entries, Ordering::Relaxed);
        }
    }

    /// An entry that ends no later than the last fruitless search makes a new search worth while.
    #[inline]
    fn note_end(&self, end: End) {
        let Some(end) = end.to_timestamp() else {
            return;
        };
        let searched = self.nothing_due_at.load(Ordering::Relaxed);
        if searched != u64::MAX && end.as_millis() <= searched {
            self.nothing_due_at.store(u64::MAX, Ordering::Relaxed);
        }
    }

    /// Looks through the shards until one step has taken something out, and says whether one has.
    fn reclaim_one_step(&self, now: &Now<'_>) -> bool {
        if self.nothing_due_at.load(Ordering::Relaxed) == now.get().as_millis() {
            return false;
        }
        let first = self.reclaim_from.load(Ordering::Relaxed);
        for offset in 0..self.shards.len() {
            let number = (first + offset) % self.shards.len();
            let step = self.sweep_shard(number, now);
            if step.is_some_and(|step| step.removed > 0) {
                self.reclaim_from.store(number, Ordering::Relaxed);
                return true;
            }
        }
        self.nothing_due_at
            .store(now.get().as_millis(), Ordering::Relaxed);
        false
    }

    /// One bounded step of sweeping a shard; `None` if nothing was due.
    pub(crate) fn sweep_shard(&self, number: usize, now: &Now<'_>) -> Option<SweepStep> {
        let shard = self.shards.get(number)?;
        // Under the read lock first, so that callers are not held up where nothing is due.
        if !shard.read().has_due(now) {
            return None;
        }
        let swept = self.sweep_step(&mut shard.write(), now, SWEEP_STEP);
        Some(SweepStep {
            removed: swept.removed.len(),
            more: swept.more,
        })
    }

    fn sweep_step(&self, shard: &mut Shard, now: &Now<'_>, limit: usize) -> Swept {
        let swept = shard.sweep(now, limit, self.hash_of());
        self.release(swept.removed.len());
        for slot in &swept.removed {
            self.watchers.tell(&slot.key, ChangeKind::Removed);
        }
        swept
    }

    pub(crate) fn remove(
        &self,
        key: &Key,
        options: RemoveOptions,
        now: &Now<'_>,
    ) -> Result<RemoveOutcome> {
        let hash = self.hash(key);
        let mut shard = self.shard(hash).write();
        self.check_open("remove")?;
        let found = shard.find(hash, key);
        if let Some(version) = options.if_version {
            let current = found.filter(|(_, slot)| !slot.end.has_passed(now));
            let condition = WriteCondition::IfVersion(version);
            if let Some(conflict) = conflict_of(&condition, current.map(|(_, slot)| slot)) {
                return Ok(RemoveOutcome::Conflict(conflict));
            }
        }
        if let Some((position, _)) = found {
            let removed = self.take_out(&mut shard, hash, position);
            drop(shard);
            drop(removed);
        }
        Ok(RemoveOutcome::Removed)
    }

    fn take_out(&self, shard: &mut Shard, hash: u64, position: u32) -> Option<Slot> {
        let removed = shard.remove(hash, position)?;
        self.release(1);
        self.watchers.tell(&removed.key, ChangeKind::Removed);
        Some(removed)
    }

    pub(crate) fn touch(
        &self,
        key: &Key,
        end: End,
        if_version: Option<&Version>,
        now: &Now<'_>,
    ) -> Result<bool> {
        let hash = self.hash(key);
        let mut shard = self.shard(hash).write();
        self.check_open("touch")?;
        let live = shard
            .find(hash, key)
            .filter(|(_, slot)| !slot.end.has_passed(now))
            .filter(|(_, slot)| {
                if_version.is_none_or(|version| version.to_u64() == Some(slot.version))
            });
        let Some((position, _)) = live else {
            return Ok(false);
        };
        shard.move_end(position, end);
        self.note_end(end);
        Ok(true)
    }

    /// One page. The cursor is the shard and the position in it where the next one begins.
    pub(crate) fn list(&self, options: &ListOptions, now: &Now<'_>) -> Result<ListPage> {
        self.check_open("list")?;
        let (mut number, mut start) = match &options.cursor {
            Some(cursor) => parse_cursor(cursor)?,
            None => (0, 0),
        };
        let limit = options.limit.max(1);
        let mut keys = Vec::new();
        let mut looked_at = 0;
        while let Some(shard) = self.shards.get(number) {
            let shard = shard.read();
            let (slots, next) = shard.scan(start, SCAN_STEP);
            for (position, slot) in slots {
                if !options.prefix.contains(&slot.key) || slot.end.has_passed(now) {
                    continue;
                }
                if keys.len() == limit {
                    let next = Some(cursor(number, position as usize));
                    return Ok(ListPage::new(keys, next));
                }
                keys.push(slot.key.clone());
            }
            (number, start) = next.map_or((number + 1, 0), |next| (number, next));
            looked_at += SCAN_STEP.min(shard.len() + 1);
            if looked_at >= SCAN_PER_PAGE && number < self.shards.len() {
                let next = Some(cursor(number, start));
                return Ok(ListPage::new(keys, next));
            }
        }
        Ok(ListPage::new(keys, None))
    }

    /// One bounded step of removing what is below `prefix`, from `start` in shard `number` on: where the
    /// next step begins in it.
    pub(crate) fn clear_step(
        &self,
        prefix: &Prefix,
        number: usize,
        start: usize,
    ) -> Result<Option<usize>> {
        let Some(shard) = self.shards.get(number) else {
            return Ok(None);
        };
        let mut shard = shard.write();
        self.check_open("clear")?;
        let (removed, next) = shard.remove_below(prefix, start, SCAN_STEP, self.hash_of());
        self.release(removed.len());
        for slot in &removed {
            self.watchers.tell(&slot.key, ChangeKind::Removed);
        }
        drop(shard);
        drop(removed);
        Ok(next)
    }

    pub(crate) fn watch(&self, prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        self.check_open("watch")?;
        Ok(self.watchers.add(prefix.clone()))
    }

    /// Refuses all operations from now on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.watchers.close();
    }

    /// Drops the entries of a shard of a closed store.
    pub(crate) fn give_up_shard(&self, number: usize) {
        let Some(shard) = self.shards.get(number) else {
            return;
        };
        let given_up = {
            let mut shard: RwLockWriteGuard<'_, Shard> = shard.write();
            self.release(shard.len());
            std::mem::take(&mut *shard)
        };
        drop(given_up);
    }
}

/// What a condition met that does not hold.
fn conflict_of(condition: &WriteCondition, current: Option<&Slot>) -> Option<ConflictState> {
    let holds = match (condition, current) {
        (WriteCondition::Always, _) | (WriteCondition::IfAbsent, None) => true,
        (WriteCondition::IfVersion(version), Some(slot)) => version.to_u64() == Some(slot.version),
        (WriteCondition::IfAbsent, Some(_)) | (WriteCondition::IfVersion(_), None) => false,
    };
    if holds {
        return None;
    }
    Some(current.map_or(ConflictState::Absent, |slot| {
        ConflictState::Present(slot.to_entry())
    }))
}

fn written(version: Option<u64>) -> WriteOutcome {
    WriteOutcome::written(version.map(Version::from_u64))
}

fn full(max_entries: usize) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("all {max_entries} entries that `max_entries` allows are alive; raise it, or wait until some end"),
    )
    .with_outcome(Outcome::NotApplied)
    .with_context(NAME, "write")
}

fn cursor(shard: usize, position: usize) -> Cursor {
    Cursor::new(format!("{shard}.{position}"))
}

fn parse_cursor(cursor: &Cursor) -> Result<(usize, usize)> {
    cursor
        .as_str()
        .split_once('.')
        .and_then(|(shard, position)| Some((shard.parse().ok()?, position.parse().ok()?)))
        .ok_or_else(|| {
            let message = "the cursor is not one that this driver gave; start without one";
            Error::new(ErrorKind::Unsupported, message).with_context(NAME, "list")
        })
}

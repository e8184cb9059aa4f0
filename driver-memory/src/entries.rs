//! The entries: a concurrent map, with an index by key for listings and by expiry for sweeps.
//!
//! The map's lock on a key decides: a condition is checked and acted on under it, the index and the counts change under
//! it, and watchers are told under it, so that they hear of the changes of a key in order.
//!
//! The index by expiry is lazy: it holds each entry at its expiry or earlier. An expiry that moves later, as each
//! renewal moves it, leaves the index alone; when the old time comes, the sweep finds the entry alive and moves it. So
//! the index is locked when a key comes or goes, but not when it is read or overwritten.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use dashmap::{DashMap, Entry as MapEntry};
use parking_lot::Mutex;
use session_core::{
    ChangeKind, ConflictState, Entry, Error, ErrorKind, Key, Outcome, Prefix, Result, Timestamp,
    Version, WriteCondition, WriteOutcome,
};

use crate::watchers::Watchers;

/// The expiry of what never expires.
pub(crate) const NEVER: Timestamp = Timestamp::from_millis(u64::MAX);

/// How many entries one step of a listing or a sweep looks at.
pub(crate) const STEP: usize = 64;

pub(crate) struct Entries {
    map: DashMap<Arc<Key>, Slot>,
    index: Mutex<Index>,
    pub(crate) usage: Mutex<Usage>,
    pub(crate) watchers: Watchers,
    /// Counts the writes of all keys, so that no version of a key comes twice, also not after a removal.
    last_version: AtomicU64,
}

pub(crate) struct Slot {
    value: Bytes,
    version: u64,
    expires_at: Timestamp,
    /// Its time in the index; [`NEVER`] if it is not there. Never later than its expiry.
    due: Timestamp,
}

#[derive(Default)]
struct Index {
    by_key: BTreeSet<Arc<Key>>,
    by_expiry: BTreeSet<(Timestamp, Arc<Key>)>,
}

/// What is held, expired entries that are not swept yet included, and what may be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) entries: usize,
    /// The bytes of keys and values.
    pub(crate) bytes: usize,
    pub(crate) max_entries: usize,
    pub(crate) max_bytes: usize,
}

impl Slot {
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now && self.expires_at != NEVER
    }

    pub(crate) fn version(&self) -> Version {
        Version::from_u64(self.version)
    }

    pub(crate) fn to_entry(&self) -> Entry {
        Entry::new(self.value.clone())
            .with_version(self.version())
            .with_expires_at((self.expires_at != NEVER).then_some(self.expires_at))
    }
}

impl Usage {
    /// Counts an entry of `new` bytes in place of one of `old` bytes, if the limits allow it.
    fn replace(&mut self, old: Option<usize>, new: Option<usize>) -> Result<()> {
        let entries = self.entries + new.iter().len() - old.iter().len();
        let bytes = self.bytes + new.unwrap_or(0) - old.unwrap_or(0);
        for (limit, max, before, after) in [
            ("max_entries", self.max_entries, self.entries, entries),
            ("max_bytes", self.max_bytes, self.bytes, bytes),
        ] {
            if after > max && after > before {
                let message = format!(
                    "full: `{limit}` is {max} and no entry has expired; raise it, or try again later"
                );
                let error = Error::new(ErrorKind::Unavailable, message);
                return Err(error.with_outcome(Outcome::NotApplied));
            }
        }
        (self.entries, self.bytes) = (entries, bytes);
        Ok(())
    }
}

impl Entries {
    pub(crate) fn new(max_entries: usize) -> Self {
        let usage = Usage {
            max_entries,
            max_bytes: usize::MAX,
            ..Usage::default()
        };
        Self {
            // So many shards that no caller waits long while one of them grows.
            map: DashMap::with_shard_amount(256),
            index: Mutex::default(),
            usage: Mutex::new(usage),
            watchers: Watchers::default(),
            last_version: AtomicU64::new(0),
        }
    }

    pub(crate) fn read(&self, key: &Key, now: Timestamp) -> Option<Entry> {
        let slot = self.map.get(key)?;
        (!slot.is_expired(now)).then(|| slot.to_entry())
    }

    /// An error says that the driver is full. Leaves in `value` what it replaced, to be dropped after the locks.
    pub(crate) fn write(
        &self,
        key: &Key,
        value: &mut Bytes,
        condition: &WriteCondition,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<WriteOutcome> {
        let next_version = || self.last_version.fetch_add(1, Ordering::Relaxed) + 1;
        let overwrite = |key: &Arc<Key>, slot: &mut Slot, value: &mut Bytes| {
            if let Some(current) = conflict(condition, Some(slot), now) {
                return Ok(WriteOutcome::Conflict(current));
            }
            let (old, new) = (size(key, &slot.value), size(key, value));
            if old != new {
                self.usage.lock().replace(Some(old), Some(new))?;
            }
            std::mem::swap(&mut slot.value, value);
            slot.version = next_version();
            self.set_expiry(key, slot, expires_at);
            self.watchers.tell(key, ChangeKind::Written);
            Ok(written(slot.version))
        };
        if let Some(mut slot) = self.map.get_mut(key) {
            let (key, slot) = slot.pair_mut();
            return overwrite(key, slot, value);
        }
        let key = Arc::new(key.clone());
        let entry = match self.map.entry(Arc::clone(&key)) {
            MapEntry::Occupied(mut entry) => return overwrite(&key, entry.get_mut(), value),
            MapEntry::Vacant(entry) => entry,
        };
        if let Some(current) = conflict(condition, None, now) {
            return Ok(WriteOutcome::Conflict(current));
        }
        self.usage.lock().replace(None, Some(size(&key, value)))?;
        let mut slot = Slot {
            value: std::mem::take(value),
            version: next_version(),
            expires_at: NEVER,
            due: NEVER,
        };
        let outcome = written(slot.version);
        self.index.lock().by_key.insert(Arc::clone(&key));
        self.set_expiry(&key, &mut slot, expires_at);
        self.watchers.tell(&key, ChangeKind::Written);
        drop(entry.insert(slot));
        // More than it adds, so that writes alone keep up.
        self.sweep(now, 2);
        Ok(outcome)
    }

    fn set_expiry(&self, key: &Arc<Key>, slot: &mut Slot, expires_at: Timestamp) {
        slot.expires_at = expires_at;
        if expires_at < slot.due {
            let by_expiry = &mut self.index.lock().by_expiry;
            by_expiry.remove(&(slot.due, Arc::clone(key)));
            by_expiry.insert((expires_at, Arc::clone(key)));
            slot.due = expires_at;
        }
    }

    /// Moves the expiry of the entry that `condition` agrees to, and says whether it did.
    pub(crate) fn touch(
        &self,
        key: &Key,
        expires_at: Timestamp,
        condition: impl FnOnce(&Slot) -> bool,
    ) -> bool {
        let Some(mut slot) = self.map.get_mut(key).filter(|slot| condition(slot)) else {
            return false;
        };
        let (key, slot) = slot.pair_mut();
        self.set_expiry(key, slot, expires_at);
        self.watchers.invalidate(key);
        true
    }

    /// Removes the entry that `condition` agrees to, and says whether it did.
    pub(crate) fn remove_if(
        &self,
        key: &Key,
        condition: impl FnOnce(&Arc<Key>, &mut Slot) -> bool,
    ) -> bool {
        let removed = self.map.remove_if_mut(key, |key, slot| {
            let agreed = condition(key, slot);
            if agreed {
                let mut index = self.index.lock();
                index.by_key.remove(key);
                index.by_expiry.remove(&(slot.due, Arc::clone(key)));
                drop(index);
                let _less = self
                    .usage
                    .lock()
                    .replace(Some(size(key, &slot.value)), None);
                self.watchers.tell(key, ChangeKind::Removed);
            }
            agreed
        });
        removed.is_some()
    }

    /// Looks at up to `limit` due entries: how many of them had expired and were removed, or `None` if none is due.
    pub(crate) fn sweep(&self, now: Timestamp, limit: usize) -> Option<usize> {
        let mut due = Vec::new();
        let mut index = self.index.lock();
        while due.len() < limit && index.by_expiry.first().is_some_and(|(due, _)| *due <= now) {
            due.extend(index.by_expiry.pop_first());
        }
        drop(index);
        let expired = due.iter().map(|(due, key)| {
            self.remove_if(key, |key, slot| {
                // With another time it has been moved meanwhile, or is a newer entry of the key.
                let is_due = slot.due == *due;
                if is_due && !slot.is_expired(now) {
                    slot.due = NEVER;
                    self.set_expiry(key, slot, slot.expires_at);
                }
                is_due && slot.is_expired(now)
            })
        });
        let expired = expired.filter(|expired| *expired).count();
        (!due.is_empty()).then_some(expired)
    }

    /// Up to [`STEP`] keys below `prefix`, in their order, from the first one after `after`.
    pub(crate) fn keys(&self, prefix: &Prefix, after: Option<Key>) -> Result<Vec<Arc<Key>>> {
        // No key below the prefix is smaller.
        let first = prefix.join(&Key::new("\0")?);
        let start = after.map_or(Bound::Included(first), Bound::Excluded);
        let index = self.index.lock();
        let keys = index.by_key.range::<Key, _>((start, Bound::Unbounded));
        let below = keys.take_while(|key| prefix.contains(key));
        Ok(below.take(STEP).cloned().collect())
    }
}

fn size(key: &Key, value: &Bytes) -> usize {
    key.as_bytes().len() + value.len()
}

fn written(version: u64) -> WriteOutcome {
    let version = Some(Version::from_u64(version));
    WriteOutcome::written(version)
}

/// What is there instead of what the condition asks for.
pub(crate) fn conflict(
    condition: &WriteCondition,
    slot: Option<&Slot>,
    now: Timestamp,
) -> Option<ConflictState> {
    let slot = slot.filter(|slot| !slot.is_expired(now));
    let holds = match condition {
        WriteCondition::Always => true,
        WriteCondition::IfAbsent => slot.is_none(),
        WriteCondition::IfVersion(version) => slot.is_some_and(|slot| slot.version() == *version),
    };
    let current = || {
        slot.map_or(ConflictState::Absent, |slot| {
            ConflictState::Present(slot.to_entry())
        })
    };
    (!holds).then(current)
}

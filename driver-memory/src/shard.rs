use std::collections::BTreeSet;

use bytes::Bytes;
use hashbrown::HashTable;
use session_core::{Key, Prefix};

use crate::now::Now;
use crate::slot::{Due, End, MAX_POSITIONS, Slot};

/// How many slots an empty shard may keep, so that one key which comes and goes does not allocate each time.
const WORTH_GIVING_BACK: usize = 16;

/// One part of the map, behind one lock.
///
/// `dashmap` was considered in its place. But an entry and its place in the index of ends must change
/// under one lock, and a lock may be held for a short step only, so the shards are our own.
///
/// The table holds positions and not slots: a hash table is between 7/16 and 7/8 full, and what is
/// empty in it should be small. A slot stays at its position for as long as its key is there, so a listing
/// that goes by position misses none and repeats none, whatever is written meanwhile.
///
/// The index is lazy. An end that moves later, as each touch moves it, leaves the index alone; when the old
/// time comes, the slot is looked at and indexed anew. So a slot has one index entry at most, at or before
/// its end; sweeping costs what ends and not what lives; and nothing stale piles up.
#[derive(Default)]
pub(crate) struct Shard {
    positions: HashTable<u32>,
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    by_end: BTreeSet<Due>,
    /// Never set back, so that no version of a key comes twice, also not after a removal.
    last_version: u64,
}

/// What a sweep of one shard did.
#[derive(Default)]
pub(crate) struct Swept {
    /// Ended slots, to be dropped after the lock was given back.
    pub(crate) removed: Vec<Slot>,
    /// Whether the step was too short for all that is due.
    pub(crate) more: bool,
}

impl Shard {
    #[inline]
    pub(crate) fn find(&self, hash: u64, key: &Key) -> Option<(u32, &Slot)> {
        let position = *self.positions.find(hash, |&position| {
            self.slot(position).is_some_and(|slot| slot.key == *key)
        })?;
        Some((position, self.slot(position)?))
    }

    #[inline]
    fn slot(&self, position: u32) -> Option<&Slot> {
        self.slots.get(position as usize)?.as_ref()
    }

    #[inline]
    fn slot_mut(&mut self, position: u32) -> Option<&mut Slot> {
        self.slots.get_mut(position as usize)?.as_mut()
    }

    /// Puts another value into a slot and gives back the new version and the old value, which the
    /// caller drops after the lock.
    #[inline]
    pub(crate) fn overwrite(
        &mut self,
        position: u32,
        mut value: Bytes,
        end: End,
    ) -> Option<(u64, Bytes)> {
        let version = self.next_version();
        let slot = self.slot_mut(position)?;
        std::mem::swap(&mut slot.value, &mut value);
        slot.version = version;
        self.move_end(position, end);
        Some((version, value))
    }

    /// Adds a slot for a key that has none, and says its version; `None` if no position is left.
    pub(crate) fn insert(
        &mut self,
        hash: u64,
        key: Key,
        value: Bytes,
        end: End,
        hash_of: impl Fn(&Key) -> u64,
    ) -> Option<u64> {
        let position = match self.free.pop() {
            Some(position) => position,
            None => self.add_position()?,
        };
        let version = self.next_version();
        *self.slots.get_mut(position as usize)? = Some(Slot {
            key,
            value,
            version,
            end,
            due: None,
        });
        let slots = &self.slots;
        self.positions.insert_unique(hash, position, |&position| {
            let slot = slots.get(position as usize).and_then(Option::as_ref);
            slot.map_or(0, |slot| hash_of(&slot.key))
        });
        self.move_end(position, end);
        Some(version)
    }

    fn add_position(&mut self) -> Option<u32> {
        let position = self.slots.len();
        if position == MAX_POSITIONS {
            return None;
        }
        if position == self.slots.capacity() {
            // By an eighth, not by the double: slots are the larger part of what a session costs.
            self.slots.reserve_exact(position / 8 + 4);
        }
        self.slots.push(None);
        u32::try_from(position).ok()
    }

    #[inline]
    fn next_version(&mut self) -> u64 {
        self.last_version += 1;
        self.last_version
    }

    /// Sets when a slot ends. The index follows only if the slot has to be looked at earlier than it is.
    #[inline]
    pub(crate) fn move_end(&mut self, position: u32, end: End) {
        let Some(slot) = self
            .slots
            .get_mut(position as usize)
            .and_then(Option::as_mut)
        else {
            return;
        };
        slot.end = end;
        match (slot.due, Due::new(end, position)) {
            (Some(old), Some(new)) if old.serves(new) => {}
            (None, None) => {}
            (old, new) => {
                slot.due = new;
                if let Some(old) = old {
                    self.by_end.remove(&old);
                }
                if let Some(new) = new {
                    self.by_end.insert(new);
                }
            }
        }
    }

    /// Takes the slot at `position` out.
    pub(crate) fn remove(&mut self, hash: u64, position: u32) -> Option<Slot> {
        let slot = self.slots.get_mut(position as usize)?.take()?;
        if let Some(due) = slot.due {
            self.by_end.remove(&due);
        }
        if let Ok(entry) = self.positions.find_entry(hash, |&other| other == position) {
            entry.remove();
        }
        self.free.push(position);
        if self.positions.is_empty() && self.slots.capacity() > WORTH_GIVING_BACK {
            *self = Self {
                last_version: self.last_version,
                ..Self::default()
            };
        }
        Some(slot)
    }

    /// Whether a slot is due to be looked at.
    #[inline]
    pub(crate) fn has_due(&self, now: &Now<'_>) -> bool {
        self.by_end
            .first()
            .is_some_and(|due| now.has_reached(due.moment()))
    }

    /// Looks at up to `limit` slots that are due, and takes out those that ended.
    pub(crate) fn sweep(
        &mut self,
        now: &Now<'_>,
        limit: usize,
        hash_of: impl Fn(&Key) -> u64,
    ) -> Swept {
        let mut swept = Swept::default();
        for _ in 0..limit {
            if !self.has_due(now) {
                return swept;
            }
            let Some(due) = self.by_end.pop_first() else {
                return swept;
            };
            let Some(slot) = self.slot_mut(due.position()) else {
                continue;
            };
            slot.due = None;
            let (end, hash) = (slot.end, hash_of(&slot.key));
            if end.has_passed(now) {
                swept.removed.extend(self.remove(hash, due.position()));
            } else {
                self.move_end(due.position(), end);
            }
        }
        swept.more = self.has_due(now);
        swept
    }

    /// The slots from position `start` on, at most `count` positions, and where the next step begins;
    /// `None` after the last one.
    pub(crate) fn scan(
        &self,
        start: usize,
        count: usize,
    ) -> (impl Iterator<Item = (u32, &Slot)>, Option<usize>) {
        let end = start.saturating_add(count).min(self.slots.len());
        let window = self.slots.get(start..end).unwrap_or_default();
        let slots = (start..)
            .zip(window)
            .filter_map(|(position, slot)| Some((u32::try_from(position).ok()?, slot.as_ref()?)));
        (slots, (end < self.slots.len()).then_some(end))
    }

    /// Takes out the slots below `prefix` among `count` positions from `start` on, and says where the
    /// next step begins.
    pub(crate) fn remove_below(
        &mut self,
        prefix: &Prefix,
        start: usize,
        count: usize,
        hash_of: impl Fn(&Key) -> u64,
    ) -> (Vec<Slot>, Option<usize>) {
        let (slots, next) = self.scan(start, count);
        let found: Vec<(u64, u32)> = slots
            .filter(|(_, slot)| prefix.contains(&slot.key))
            .map(|(position, slot)| (hash_of(&slot.key), position))
            .collect();
        let removed = found
            .into_iter()
            .filter_map(|(hash, position)| self.remove(hash, position))
            .collect();
        (removed, next)
    }

    pub(crate) fn len(&self) -> usize {
        self.positions.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use session_core::{ManualClock, Timestamp};

    use super::*;
    use crate::now::Time;

    /// The worst hash there is: every key collides with every other.
    fn same_hash(_: &Key) -> u64 {
        7
    }

    fn key(name: &str) -> Key {
        Key::new(name).unwrap()
    }

    fn end(millis: u64) -> End {
        Some(Timestamp::from_millis(millis)).into()
    }

    fn insert(shard: &mut Shard, name: &str, end: End) -> u32 {
        shard
            .insert(7, key(name), Bytes::new(), end, same_hash)
            .unwrap();
        shard.find(7, &key(name)).unwrap().0
    }

    fn sweep(shard: &mut Shard, now: u64, limit: usize) -> Swept {
        shard.sweep(&Now::of(&at(now)), limit, same_hash)
    }

    fn at(millis: u64) -> Time {
        Time::Given(Arc::new(ManualClock::new(Timestamp::from_millis(millis))))
    }

    #[test]
    fn keys_and_ends_that_collide_are_told_apart() {
        let mut shard = Shard::default();
        for number in 0..100 {
            insert(&mut shard, &format!("k{number}"), end(10 + number % 2));
        }
        assert_eq!(sweep(&mut shard, 10, 1_000).removed.len(), 50);
        for number in 0..100 {
            let found = shard.find(7, &key(&format!("k{number}"))).is_some();
            assert_eq!(found, number % 2 == 1);
        }
        assert_eq!(shard.by_end.len(), 50);
    }

    #[test]
    fn an_end_that_moves_later_is_indexed_anew_only_when_the_old_one_comes() {
        let mut shard = Shard::default();
        let position = insert(&mut shard, "k", end(10));
        for later in 11..1_000 {
            shard.move_end(position, end(later));
            assert_eq!(shard.by_end.len(), 1);
        }
        assert!(sweep(&mut shard, 10, 10).removed.is_empty());
        assert!(!shard.has_due(&Now::of(&at(998))));
        assert_eq!(sweep(&mut shard, 999, 10).removed.len(), 1);
        assert!(shard.by_end.is_empty());
    }

    #[test]
    fn an_end_that_moves_earlier_or_away_takes_its_index_entry_along() {
        let mut shard = Shard::default();
        let position = insert(&mut shard, "k", end(1_000));
        shard.move_end(position, end(10));
        assert_eq!(shard.by_end.len(), 1);
        assert!(shard.has_due(&Now::of(&at(10))));
        shard.move_end(position, None.into());
        assert!(shard.by_end.is_empty());
        assert!(sweep(&mut shard, u64::MAX, 10).removed.is_empty());
    }

    #[test]
    fn a_removal_leaves_nothing_in_the_index_for_the_next_owner_of_the_position() {
        let mut shard = Shard::default();
        insert(&mut shard, "stays", None.into());
        let position = insert(&mut shard, "goes", end(10));
        shard.remove(7, position).unwrap();
        assert_eq!(insert(&mut shard, "comes", None.into()), position);
        assert!(sweep(&mut shard, u64::MAX, 10).removed.is_empty());
        assert!(shard.find(7, &key("comes")).is_some());
    }

    #[test]
    fn a_sweep_keeps_to_its_limit_and_says_that_more_is_due() {
        let mut shard = Shard::default();
        for number in 0..10 {
            insert(&mut shard, &format!("k{number}"), end(10));
        }
        let swept = sweep(&mut shard, 10, 6);
        assert_eq!((swept.removed.len(), swept.more), (6, true));
        let swept = sweep(&mut shard, 10, 6);
        assert_eq!((swept.removed.len(), swept.more), (4, false));
    }

    #[test]
    fn no_version_comes_twice_after_a_removal() {
        let mut shard = Shard::default();
        let first = shard
            .insert(7, key("k"), Bytes::new(), None.into(), same_hash)
            .unwrap();
        shard.remove(7, 0).unwrap();
        let second = shard
            .insert(7, key("k"), Bytes::new(), None.into(), same_hash)
            .unwrap();
        assert!(second > first);
    }

    #[test]
    fn a_shard_that_was_large_and_is_empty_holds_no_memory() {
        let mut shard = Shard::default();
        for number in 0..1_000 {
            insert(&mut shard, &format!("k{number}"), end(10));
        }
        let swept = sweep(&mut shard, 10, 1_000);
        assert_eq!(swept.removed.len(), 1_000);
        assert_eq!(shard.slots.capacity() + shard.free.capacity(), 0);
        assert_eq!(shard.positions.capacity(), 0);
    }

    #[test]
    fn a_scan_in_steps_sees_each_slot_once() {
        let mut shard = Shard::default();
        for number in 0..10 {
            insert(&mut shard, &format!("k{number}"), None.into());
        }
        shard.remove(7, 3).unwrap();
        let mut seen = Vec::new();
        let mut start = Some(0);
        while let Some(from) = start {
            let (slots, next) = shard.scan(from, 4);
            seen.extend(slots.map(|(position, _)| position));
            start = next;
        }
        assert_eq!(seen, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    }
}

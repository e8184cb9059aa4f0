use std::num::NonZeroU64;

use bytes::Bytes;
use session_core::{Entry, Key, Metadata, Timestamp, Version};

use crate::now::Now;

/// What the map holds for one key.
pub(crate) struct Slot {
    pub(crate) key: Key,
    pub(crate) value: Bytes,
    pub(crate) version: u64,
    pub(crate) end: End,
    /// Its entry in the shard's index of ends, if it has one: at its end, or before.
    pub(crate) due: Option<Due>,
}

impl Slot {
    #[inline]
    pub(crate) fn to_entry(&self) -> Entry {
        Entry::new(self.value.clone())
            .with_version(Version::from_u64(self.version))
            .with_expires_at(self.end.to_timestamp())
    }

    pub(crate) fn to_metadata(&self) -> Metadata {
        let mut metadata = Metadata::default();
        metadata.size = u64::try_from(self.value.len()).ok();
        metadata.version = Some(Version::from_u64(self.version));
        metadata.expires_at = self.end.to_timestamp();
        metadata
    }
}

/// When a slot ends: `Option<Timestamp>` in half the space, which a million sessions feel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct End(Option<NonZeroU64>);

impl End {
    pub(crate) const NEVER: Self = Self(None);

    #[inline]
    pub(crate) fn to_timestamp(self) -> Option<Timestamp> {
        self.0
            .map(|shifted| Timestamp::from_millis(shifted.get() - 1))
    }

    #[inline]
    pub(crate) fn has_passed(self, now: &Now<'_>) -> bool {
        self.to_timestamp().is_some_and(|end| now.has_reached(end))
    }
}

impl From<Option<Timestamp>> for End {
    #[inline]
    fn from(end: Option<Timestamp>) -> Self {
        Self(end.map(|end| NonZeroU64::MIN.saturating_add(end.as_millis())))
    }
}

const POSITION_BITS: u32 = 20;

/// How many slots a shard can have, so that a position fits into a [`Due`].
pub(crate) const MAX_POSITIONS: usize = 1 << POSITION_BITS;

const LAST_MOMENT: u64 = u64::MAX >> POSITION_BITS;

/// When to look at which slot: milliseconds and position in one number, so that the index takes 8 bytes
/// an entry. Ordered by time; no two slots share one, since no two share a position.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due(NonZeroU64);

impl Due {
    /// `None` for what never ends, or not before the year 2527. Such a slot is not swept; readers check
    /// its end all the same.
    #[inline]
    pub(crate) fn new(end: End, position: u32) -> Option<Self> {
        let moment = end.to_timestamp()?.as_millis().max(1);
        if moment > LAST_MOMENT {
            return None;
        }
        NonZeroU64::new(moment << POSITION_BITS | u64::from(position)).map(Self)
    }

    /// The time without the position.
    #[inline]
    pub(crate) fn moment(self) -> Timestamp {
        Timestamp::from_millis(self.0.get() >> POSITION_BITS)
    }

    /// Whether this looks at its slot at or before `other` does.
    pub(crate) fn serves(self, other: Self) -> bool {
        self <= other
    }

    pub(crate) fn position(self) -> u32 {
        // Only the low bits are kept, so nothing is lost.
        (self.0.get() & (MAX_POSITIONS as u64 - 1)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(millis: u64) -> End {
        Some(Timestamp::from_millis(millis)).into()
    }

    #[test]
    fn an_end_survives_its_short_form() {
        for millis in [0, 1, 1_700_000_000_000, u64::MAX - 1] {
            assert_eq!(
                end(millis).to_timestamp(),
                Some(Timestamp::from_millis(millis))
            );
        }
        assert_eq!(End::from(None).to_timestamp(), None);
    }

    #[test]
    fn due_slots_are_ordered_by_time_and_keep_their_position() {
        let last = u32::try_from(MAX_POSITIONS - 1).unwrap();
        let early = Due::new(end(1_000), last).unwrap();
        let late = Due::new(end(1_001), 0).unwrap();
        assert!(early < late);
        assert_eq!(early.position(), last);
        assert_eq!(late.position(), 0);
        assert_eq!(early.moment(), Timestamp::from_millis(1_000));
        assert_eq!(late.moment(), Timestamp::from_millis(1_001));
    }

    #[test]
    fn an_end_too_far_for_the_index_is_left_to_readers() {
        assert!(Due::new(end(u64::MAX), 0).is_none());
        assert!(Due::new(None.into(), 0).is_none());
        assert!(Due::new(end(0), 0).is_some());
    }

    #[test]
    fn a_slot_is_small() {
        assert_eq!(size_of::<Option<Slot>>(), 96);
    }
}

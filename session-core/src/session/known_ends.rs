use std::hash::BuildHasher;
use std::time::Duration;

use foldhash::quality::RandomState;
use parking_lot::Mutex;

use super::SessionId;
use crate::{Bytes, Timestamp};

/// When the records end that this process read or wrote last, for a driver that reads a value alone for less: what is
/// known here need not be asked with each read.
///
/// An end holds for the value that it was seen with, so it is void once anybody wrote another. What stays unnoticed is a
/// writer that gives the same value another end, so an end is believed for a minute at most, and never for more than
/// a twentieth of the life that it leaves.
///
/// A session that others write as well is not looked up here for a minute: each change of theirs would cost a second
/// read.
pub(crate) struct KnownEnds {
    places: Box<[Mutex<Option<Known>>]>,
    hasher: RandomState,
}

#[derive(Clone, Copy)]
struct Known {
    session: u64,
    state: State,
    until: Timestamp,
}

#[derive(Clone, Copy)]
enum State {
    /// A record of this value ends then.
    Ends {
        value: u64,
        end: Option<Timestamp>,
    },
    /// Others write it as well.
    Shared,
}

/// All together take less than a megabyte. Each session has one place, which it shares with others.
const PLACES: usize = 16_384;
const LONGEST: Duration = Duration::from_secs(60);

impl Default for KnownEnds {
    fn default() -> Self {
        Self {
            places: std::iter::repeat_with(Mutex::default)
                .take(PLACES)
                .collect(),
            hasher: RandomState::default(),
        }
    }
}

impl KnownEnds {
    fn place(&self, id: SessionId) -> Option<&Mutex<Option<Known>>> {
        self.places.get(id.spread() as usize % PLACES)
    }

    fn known(&self, id: SessionId) -> Option<Known> {
        let known = *self.place(id)?.lock();
        known.filter(|known| known.session == self.hasher.hash_one(id))
    }

    /// Whether an end is known, so that reading the value alone is worth it.
    pub(crate) fn has(&self, id: SessionId, now: Timestamp) -> bool {
        let known = self.known(id);
        known.is_some_and(|known| matches!(known.state, State::Ends { .. }) && now < known.until)
    }

    /// The end of the session that has this value, if it is known; that it never ends is `Some(None)`.
    pub(crate) fn find(&self, id: SessionId, value: &Bytes) -> Option<Option<Timestamp>> {
        match self.known(id)?.state {
            State::Ends { value: known, end } => {
                (known == self.hasher.hash_one(&**value)).then_some(end)
            }
            State::Shared => None,
        }
    }

    /// Takes the end that the session has with this value.
    pub(crate) fn learn(
        &self,
        id: SessionId,
        value: &Bytes,
        end: Option<Timestamp>,
        now: Timestamp,
    ) {
        let session = self.hasher.hash_one(id);
        let value = self.hasher.hash_one(&**value);
        let trust = end.map_or(LONGEST, |end| (end.saturating_since(now) / 20).min(LONGEST));
        if let Some(place) = self.place(id) {
            let mut known = place.lock();
            let is_shared = known.is_some_and(|known| {
                known.session == session
                    && matches!(known.state, State::Shared)
                    && now < known.until
            });
            if !is_shared {
                *known = Some(Known {
                    session,
                    state: State::Ends { value, end },
                    until: now.saturating_add(trust),
                });
            }
        }
    }

    /// Takes it that others write the session as well.
    pub(crate) fn share(&self, id: SessionId, now: Timestamp) {
        if let Some(place) = self.place(id) {
            *place.lock() = Some(Known {
                session: self.hasher.hash_one(id),
                state: State::Shared,
                until: now.saturating_add(LONGEST),
            });
        }
    }

    /// Keeps nothing of a session that is not there any more.
    pub(crate) fn forget(&self, id: SessionId) {
        if let Some(place) = self.place(id) {
            place.lock().take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000);
    const VALUE: Bytes = Bytes::from_static(b"value");
    const OTHER: Bytes = Bytes::from_static(b"other");

    fn after(seconds: u64) -> Timestamp {
        START.saturating_add(Duration::from_secs(seconds))
    }

    #[test]
    fn an_end_holds_for_its_session_and_its_value() {
        let ends = KnownEnds::default();
        let (id, stranger) = (SessionId::random(), SessionId::random());
        assert!(!ends.has(id, START));
        ends.learn(id, &VALUE, Some(after(3_600)), START);
        assert!(ends.has(id, START) && !ends.has(stranger, START));
        assert_eq!(ends.find(id, &VALUE), Some(Some(after(3_600))));
        assert_eq!(ends.find(id, &OTHER), None);
        assert_eq!(ends.find(stranger, &VALUE), None);
        ends.forget(id);
        assert!(!ends.has(id, START));
    }

    #[test]
    fn an_end_is_believed_for_a_minute_or_a_twentieth_of_what_it_leaves() {
        let ends = KnownEnds::default();
        for (end, seconds) in [(None, 60), (Some(after(3_600)), 60), (Some(after(40)), 2)] {
            let id = SessionId::random();
            ends.learn(id, &VALUE, end, START);
            let last = Timestamp::from_millis(after(seconds).as_millis() - 1);
            assert!(
                ends.has(id, last) && !ends.has(id, after(seconds)),
                "{end:?}"
            );
        }
    }

    #[test]
    fn a_session_that_others_write_is_not_looked_up_for_a_minute() {
        let ends = KnownEnds::default();
        let id = SessionId::random();
        ends.share(id, START);
        ends.learn(id, &VALUE, None, after(59));
        assert!(!ends.has(id, after(59)));
        ends.learn(id, &VALUE, None, after(60));
        assert!(ends.has(id, after(60)));
    }
}

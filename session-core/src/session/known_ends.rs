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
/// writer that gives the same value another end, as Astro does with each `set` that changes nothing. So an end is
/// believed for ten seconds at most, and never for more than a twentieth of the life that it leaves.
///
/// A session that others write as well is not looked up here for a minute: each change of theirs would cost a second
/// read.
pub(crate) struct KnownEnds {
    shelves: Box<[Mutex<Shelf>]>,
    hasher: RandomState,
}

/// What is known of the sessions whose ids lead here, of as many as there is room for.
type Shelf = [Option<Known>; 4];

/// All together take less than a megabyte and a half.
const SHELVES: usize = 8_192;

/// For how long an end is believed, and a session taken for one that others write.
const BELIEVED: Duration = Duration::from_secs(10);
const SHARED: Duration = Duration::from_secs(60);

#[derive(Clone, Copy)]
struct Known {
    session: u64,
    state: State,
    until: Timestamp,
}

#[derive(Clone, Copy)]
enum State {
    Ends(KnownEnd),
    /// Others write it as well.
    Shared,
}

/// When a record of a certain value ends; `None` is never.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct KnownEnd {
    value: u64,
    pub(crate) end: Option<Timestamp>,
}

impl Known {
    /// Whether it still counts; it does not either if the clock was set back since.
    fn is_of_use(&self, now: Timestamp) -> bool {
        let longest = match self.state {
            State::Ends(_) => BELIEVED,
            State::Shared => SHARED,
        };
        now < self.until && self.until.saturating_since(now) <= longest
    }
}

impl Default for KnownEnds {
    fn default() -> Self {
        Self {
            shelves: std::iter::repeat_with(Mutex::default)
                .take(SHELVES)
                .collect(),
            hasher: RandomState::default(),
        }
    }
}

impl KnownEnds {
    fn shelf(&self, id: SessionId) -> Option<&Mutex<Shelf>> {
        self.shelves.get(id.spread() as usize % SHELVES)
    }

    fn known(&self, id: SessionId) -> Option<Known> {
        let session = self.hasher.hash_one(id);
        let shelf = self.shelf(id)?.lock();
        let mut known = shelf.iter().flatten();
        known.find(|known| known.session == session).copied()
    }

    /// What is known of the session's value and its end, if that is: then reading the value alone is worth it.
    pub(crate) fn find(&self, id: SessionId, now: Timestamp) -> Option<KnownEnd> {
        let known = self.known(id).filter(|known| known.is_of_use(now))?;
        match known.state {
            State::Ends(end) => Some(end),
            State::Shared => None,
        }
    }

    /// Whether `known` is of a record of this value.
    pub(crate) fn is_of(&self, known: KnownEnd, value: &Bytes) -> bool {
        known.value == self.hasher.hash_one(&**value)
    }

    /// Takes the end that the session has with this value.
    pub(crate) fn learn(
        &self,
        id: SessionId,
        value: &Bytes,
        end: Option<Timestamp>,
        now: Timestamp,
    ) {
        let left = end.map(|end| end.saturating_since(now) / 20);
        let believed = left.map_or(BELIEVED, |left| left.min(BELIEVED));
        let learned = Known {
            session: self.hasher.hash_one(id),
            state: State::Ends(KnownEnd {
                value: self.hasher.hash_one(&**value),
                end,
            }),
            until: now.saturating_add(believed),
        };
        self.put(id, learned, now, |known| {
            matches!(known.state, State::Ends(_)) || !known.is_of_use(now)
        });
    }

    /// Takes it that others write the session as well.
    pub(crate) fn share(&self, id: SessionId, now: Timestamp) {
        let shared = Known {
            session: self.hasher.hash_one(id),
            state: State::Shared,
            until: now.saturating_add(SHARED),
        };
        self.put(id, shared, now, |_| true);
    }

    /// Puts `new` in the place of what is known of its session, if that `gives_way`, or else of what is of least use.
    fn put(&self, id: SessionId, new: Known, now: Timestamp, gives_way: impl Fn(&Known) -> bool) {
        let Some(shelf) = self.shelf(id) else { return };
        let mut shelf = shelf.lock();
        let same =
            |place: &&mut Option<Known>| place.is_some_and(|known| known.session == new.session);
        match shelf.iter_mut().find(same) {
            Some(place) => {
                if place.as_ref().is_none_or(gives_way) {
                    *place = Some(new);
                }
            }
            None => {
                let use_of = |place: &&mut Option<Known>| {
                    place.map(|known| (known.is_of_use(now), known.until))
                };
                if let Some(place) = shelf.iter_mut().min_by_key(use_of) {
                    *place = Some(new);
                }
            }
        }
    }

    /// Keeps nothing of a session that is not there any more.
    pub(crate) fn forget(&self, id: SessionId) {
        let session = self.hasher.hash_one(id);
        if let Some(shelf) = self.shelf(id) {
            for place in shelf.lock().iter_mut() {
                place.take_if(|known| known.session == session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000);
    const VALUE: Bytes = Bytes::from_static(b"value");
    const OTHER: Bytes = Bytes::from_static(b"other");

    fn has(ends: &KnownEnds, id: SessionId, now: Timestamp) -> bool {
        ends.find(id, now).is_some()
    }

    fn after(seconds: u64) -> Timestamp {
        START.saturating_add(Duration::from_secs(seconds))
    }

    #[test]
    fn an_end_holds_for_its_session_and_its_value() {
        let ends = KnownEnds::default();
        let (id, stranger) = (SessionId::random(), SessionId::random());
        assert!(!has(&ends, id, START));
        ends.learn(id, &VALUE, Some(after(3_600)), START);
        assert!(has(&ends, id, START) && !has(&ends, stranger, START));
        let known = ends.find(id, START).unwrap();
        assert_eq!(known.end, Some(after(3_600)));
        assert!(ends.is_of(known, &VALUE) && !ends.is_of(known, &OTHER));
        ends.forget(id);
        assert!(!has(&ends, id, START));
    }

    #[test]
    fn an_end_is_believed_for_ten_seconds_or_a_twentieth_of_what_it_leaves() {
        let ends = KnownEnds::default();
        for (end, seconds) in [(None, 10), (Some(after(3_600)), 10), (Some(after(40)), 2)] {
            let id = SessionId::random();
            ends.learn(id, &VALUE, end, START);
            let last = Timestamp::from_millis(after(seconds).as_millis() - 1);
            assert!(
                has(&ends, id, last) && !has(&ends, id, after(seconds)),
                "{end:?}"
            );
        }
    }

    #[test]
    fn all_shelves_take_less_than_a_megabyte_and_a_half() {
        let bytes = KnownEnds::default().shelves.len() * size_of::<Mutex<Shelf>>();
        assert!(bytes < 1_500_000, "{bytes}");
    }

    #[test]
    fn thousands_of_sessions_are_known_at_once() {
        let ends = KnownEnds::default();
        let ids: Vec<_> = std::iter::repeat_with(SessionId::random)
            .take(10_000)
            .collect();
        for id in &ids {
            ends.learn(*id, &VALUE, None, START);
        }
        let known = ids.iter().filter(|id| has(&ends, **id, START)).count();
        assert!(known > 9_800, "{known}");
    }

    #[test]
    fn an_end_is_not_believed_for_longer_because_the_clock_was_set_back() {
        let ends = KnownEnds::default();
        let id = SessionId::random();
        ends.learn(id, &VALUE, None, after(3_600));
        assert!(has(&ends, id, after(3_600)) && !has(&ends, id, START));
        ends.share(id, after(3_600));
        ends.learn(id, &VALUE, None, START);
        assert!(has(&ends, id, START));
    }

    #[test]
    fn what_is_of_no_use_makes_room_first() {
        let ends = KnownEnds::default();
        let first = SessionId::random();
        let shelf = |id: &SessionId| id.spread() as usize % SHELVES;
        let mut ids =
            std::iter::repeat_with(SessionId::random).filter(|id| shelf(id) == shelf(&first));
        for id in ids.by_ref().take(4) {
            ends.learn(id, &VALUE, None, after(3_600));
        }
        // Now the clock is set back.
        let later: Vec<_> = ids.take(4).collect();
        for id in &later {
            ends.learn(*id, &VALUE, None, START);
        }
        assert!(later.iter().all(|id| has(&ends, *id, START)));
    }

    #[test]
    fn a_session_that_others_write_is_not_looked_up_for_a_minute() {
        let ends = KnownEnds::default();
        let id = SessionId::random();
        ends.share(id, START);
        ends.learn(id, &VALUE, None, after(59));
        assert!(!has(&ends, id, after(59)));
        ends.learn(id, &VALUE, None, after(60));
        assert!(has(&ends, id, after(60)));
    }
}

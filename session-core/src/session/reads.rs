//! Which values a request has read, so that a commit can tell whether a new value was computed from an old one.

use smallvec::SmallVec;

use super::encode::encoded;
use super::record::Record;
use crate::Timestamp;

/// The values that a request has read, each with the record in which it saw them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reads {
    /// In the order of their names.
    keys: SmallVec<[(Box<str>, Seen); 1]>,
    /// The record whose names or entries were all read.
    all: Option<Seen>,
}

/// The record in which a value was seen, or missed; `None` if there was no record.
pub(crate) type Seen = Option<Record>;

impl Reads {
    /// Notes that the request has seen the value called `name`, or that there is none.
    pub(crate) fn note(&mut self, name: &str, seen: Seen) {
        let place = self.place(name);
        match place.map(|place| self.keys.get_mut(place)) {
            Ok(Some((_, earlier))) => *earlier = seen,
            Ok(None) => {}
            Err(place) => self.keys.insert(place, (name.into(), seen)),
        }
    }

    /// Notes that the request has seen all entries.
    pub(crate) fn note_all(&mut self, seen: Seen) {
        self.all = Some(seen);
    }

    /// Notes that the request has written the value called `name`, if it had read it.
    pub(crate) fn note_written(&mut self, name: &str, written: &Record) {
        if self.of(name).is_some() {
            self.note(name, Some(written.clone()));
        }
    }

    /// What the request has seen of `name`; `None` if it has not read it.
    pub(crate) fn of(&self, name: &str) -> Option<&Seen> {
        let key = self.place(name).ok().and_then(|place| self.keys.get(place));
        key.map(|(_, seen)| seen).or(self.all.as_ref())
    }

    fn place(&self, name: &str) -> std::result::Result<usize, usize> {
        self.keys.binary_search_by(|(known, _)| (**known).cmp(name))
    }

    /// Whether every value that was read is the same in `now`.
    pub(crate) fn all_hold(&self, current: Option<&Record>, now: Timestamp) -> bool {
        let mut keys = self.keys.iter();
        keys.all(|(name, seen)| is_same(name, seen.as_ref(), current, now))
            && self
                .all
                .as_ref()
                .is_none_or(|seen| are_all_same(seen.as_ref(), current, now))
    }
}

fn are_all_same(seen: Option<&Record>, current: Option<&Record>, now: Timestamp) -> bool {
    let records = [seen, current];
    let mut entries = records.into_iter().flatten().flat_map(Record::own_entries);
    entries.all(|entry| {
        entry
            .text_name()
            .is_none_or(|name| is_same(&name, seen, current, now))
    })
}

/// Whether the value called `name` is the same in two records: both have the same data and expiry, or both have none.
pub(crate) fn is_same(
    name: &str,
    one: Option<&Record>,
    other: Option<&Record>,
    now: Timestamp,
) -> bool {
    let one = one.and_then(|record| record.live_entry(name, now));
    let other = other.and_then(|record| record.live_entry(name, now));
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => match (encoded(one.value), encoded(other.value)) {
            (Some(one), Some(other)) => one == other,
            // A value that cannot be written on its own counts as changed.
            _ => false,
        },
        _ => false,
    }
}

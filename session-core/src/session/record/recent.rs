//! The cache of recently parsed records.

use parking_lot::Mutex;

use super::Record;
use crate::Bytes;
use crate::session::SessionId;

/// A cache of recently parsed records, so that several requests of a visitor parse the session once.
///
/// A record is found by its bytes, so a changed record is never confused with the cached one. The cache is small, so that
/// it stays in the processor's caches. Each session maps to one slot, which it shares with other sessions.
pub(crate) struct RecentRecords {
    places: Box<[Mutex<Option<Record>>]>,
}

const PLACES: usize = 64;
/// Longer records are not cached, so the cache takes at most a quarter of a megabyte.
const LONGEST: usize = 4_096;

impl Default for RecentRecords {
    fn default() -> Self {
        Self {
            places: std::iter::repeat_with(Mutex::default)
                .take(PLACES)
                .collect(),
        }
    }
}

impl RecentRecords {
    #[inline]
    fn place(&self, id: SessionId) -> Option<&Mutex<Option<Record>>> {
        self.places.get(id.hash() as usize % PLACES)
    }

    /// The record with these bytes, if it is in the session's slot.
    #[inline]
    pub(crate) fn find(&self, id: SessionId, bytes: &Bytes) -> Option<Record> {
        let kept = self.place(id)?.lock();
        let record = kept.as_ref()?;
        let is_same_memory = std::ptr::eq(&raw const **record.bytes(), &raw const **bytes);
        (is_same_memory || record.bytes() == bytes).then(|| record.clone())
    }

    pub(crate) fn keep(&self, id: SessionId, record: &Record) {
        if let Some(place) = self.place(id)
            && record.bytes().len() <= LONGEST
        {
            let before = place.lock().replace(record.clone());
            drop(before);
        }
    }

    /// Removes a destroyed session from the cache.
    pub(crate) fn forget(&self, id: SessionId) {
        if let Some(place) = self.place(id) {
            drop(place.lock().take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::record::{Stored, parse};

    fn record(text: &str) -> Record {
        match parse(Bytes::copy_from_slice(text.as_bytes())).unwrap() {
            Stored::Record(record) => record,
            _ => panic!("no record"),
        }
    }

    #[test]
    fn a_record_is_found_by_its_bytes_wherever_they_are() {
        let recent = RecentRecords::default();
        let (id, one) = (SessionId::random(), record(r#"[["Map"]]"#));
        assert!(recent.find(id, one.bytes()).is_none());
        recent.keep(id, &one);
        assert!(recent.find(id, one.bytes()).is_some());
        assert!(
            recent
                .find(id, &Bytes::from_static(br#"[["Map"]]"#))
                .is_some()
        );
        assert!(
            recent
                .find(id, &Bytes::from_static(br#"[["Map"]] "#))
                .is_none()
        );
        assert!(
            recent
                .find(SessionId::random(), &Bytes::from_static(b"null"))
                .is_none()
        );
    }

    #[test]
    fn nothing_is_kept_of_what_was_destroyed_and_of_what_is_long() {
        let recent = RecentRecords::default();
        let (id, one) = (SessionId::random(), record(r#"[["Map"]]"#));
        recent.keep(id, &one);
        recent.forget(id);
        assert!(recent.find(id, one.bytes()).is_none());
        let long = record(&format!(
            r#"[["Map",1,2],"a",{{"data":3,"expires":-1}},"{}"]"#,
            "x".repeat(LONGEST)
        ));
        recent.keep(id, &long);
        assert!(recent.find(id, long.bytes()).is_none());
    }
}

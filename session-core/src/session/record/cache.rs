//! The parsed records of recent requests.

use std::fmt;

use foldhash::fast::RandomState;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use super::Record;
use crate::Bytes;
use crate::session::SessionId;

/// Parsed records by session id, within a budget of bytes.
///
/// Each request still reads the record from the driver. It need not be parsed again if it is the same bytes.
pub(crate) struct RecordCache(Option<Cached>);

type Cached = Cache<SessionId, Record, Weight, RandomState>;

#[derive(Clone)]
struct Weight;

impl Weighter<SessionId, Record> for Weight {
    fn weight(&self, _: &SessionId, record: &Record) -> u64 {
        record.memory() as u64
    }
}

impl RecordCache {
    /// Creates a cache that takes this much memory; none if it is 0.
    pub(crate) fn new(bytes: usize) -> Self {
        // About as many records as fit. Nothing is allocated for them before they are there.
        let options = OptionsBuilder::new()
            .estimated_items_capacity(bytes / 1_024)
            .weight_capacity(bytes as u64)
            .build();
        let cache = options.ok().filter(|_| bytes > 0);
        let lifecycle = DefaultLifecycle::default();
        Self(
            cache.map(|options| {
                Cache::with_options(options, Weight, RandomState::default(), lifecycle)
            }),
        )
    }

    /// The record of this session, if it was parsed from these bytes.
    pub(crate) fn find(&self, id: SessionId, bytes: &Bytes) -> Option<Record> {
        let record = self.0.as_ref()?.get(&id)?;
        let known = record.bytes();
        let is_same = known.as_ptr() == bytes.as_ptr() && known.len() == bytes.len();
        (is_same || known == bytes).then_some(record)
    }

    pub(crate) fn keep(&self, id: SessionId, record: &Record) {
        if let Some(cache) = &self.0 {
            cache.insert(id, record.clone());
        }
    }

    /// Drops a session that was destroyed or moved.
    pub(crate) fn forget(&self, id: SessionId) {
        if let Some(cache) = &self.0 {
            cache.remove(&id);
        }
    }
}

impl fmt::Debug for RecordCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.0.as_ref().map_or(0, Cache::len);
        f.debug_struct("RecordCache")
            .field("entries", &entries)
            .finish_non_exhaustive()
    }
}

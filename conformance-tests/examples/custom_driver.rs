//! A custom driver on one page: a map behind a lock, with atomic conditions. Run it to test it with the suite:
//! `cargo run -p conformance-tests --example custom_driver`.

use std::collections::BTreeMap;
use std::ops::Bound;

use parking_lot::Mutex;
use session_core::{
    Bytes, Capabilities, Conditions, ConflictState, Cursor, Driver, Entry, Key, ListOptions,
    ListPage, Listing, RemoveOptions, RemoveOutcome, Result, Timestamp, Version, WriteCondition,
    WriteOptions, WriteOutcome, async_trait,
};

/// The entries in key order, and the last version.
#[derive(Default)]
pub(crate) struct MapDriver(Mutex<(BTreeMap<Key, Entry>, u64)>);

/// Returns the entry unless it has expired.
fn unexpired<'e>(entries: &'e BTreeMap<Key, Entry>, key: &Key) -> Option<&'e Entry> {
    let entry = entries.get(key)?;
    entry
        .expires_at
        .is_none_or(|expires_at| Timestamp::now() < expires_at)
        .then_some(entry)
}

fn conflict(current: Option<&Entry>) -> ConflictState {
    current
        .cloned()
        .map_or(ConflictState::Absent, ConflictState::Present)
}

#[async_trait]
impl Driver for MapDriver {
    fn name(&self) -> &str {
        "map"
    }

    fn capabilities(&self) -> Capabilities {
        let (conditions, listing) = (Conditions::All, Listing::ExactlyOnce);
        Capabilities::default()
            .with_conditions(conditions)
            .with_listing(listing)
            .with_reports_expiry(true)
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        Ok(unexpired(&self.0.lock().0, key).cloned())
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let (entries, last_version) = &mut *self.0.lock();
        let current = unexpired(entries, key);
        let holds = match &options.condition {
            WriteCondition::Always => true,
            WriteCondition::IfAbsent => current.is_none(),
            WriteCondition::IfVersion(version) => {
                current.is_some_and(|entry| entry.version.as_ref() == Some(version))
            }
        };
        if !holds {
            return Ok(WriteOutcome::Conflict(conflict(current)));
        }
        *last_version += 1;
        let version = Version::from_u64(*last_version);
        let expires_at = options.expiry.resolve(None, Timestamp::now());
        entries.insert(
            key.clone(),
            Entry::new(value)
                .with_version(version.clone())
                .with_expires_at(expires_at),
        );
        Ok(WriteOutcome::written(Some(version)))
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let entries = &mut self.0.lock().0;
        let current = unexpired(entries, key);
        if options.if_version.is_some_and(|version| {
            current.and_then(|entry| entry.version.as_ref()) != Some(&version)
        }) {
            return Ok(RemoveOutcome::Conflict(conflict(current)));
        }
        entries.remove(key);
        Ok(RemoveOutcome::Removed)
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        let entries = &self.0.lock().0;
        // The cursor is the last key of the previous page, so that concurrent writes do not shift it.
        let after = options
            .cursor
            .map(|cursor| Key::new(cursor.as_str()))
            .transpose()?;
        let start = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let keys = entries.range((start, Bound::Unbounded)).map(|(key, _)| key);
        let keys =
            keys.filter(|key| options.prefix.contains(key) && unexpired(entries, key).is_some());
        let limit = options.limit.max(1);
        let keys: Vec<Key> = keys.take(limit).cloned().collect();
        let last = keys.last().filter(|_| keys.len() == limit);
        let next = last.map(|key| Cursor::new(key.as_str()));
        Ok(ListPage::new(keys, next))
    }
}

#[tokio::main]
async fn main() {
    let report = conformance_tests::run(|| async { MapDriver::default() }).await;
    println!("{report}");
    report.assert_passed();
}

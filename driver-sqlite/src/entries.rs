//! Reads entries on a connection.

use bytes::Bytes;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, OptionalExtension, Result, Row, params};
use session_core::{Cursor, Entry, Key, ListPage, Metadata, Prefix, Timestamp, Version};

use crate::statements::Statements;

/// The entry of `key`, if there is one that has not expired.
pub(crate) fn read(
    on: &Connection,
    sql: &Statements,
    key: &Key,
    now: Timestamp,
) -> Result<Option<Entry>> {
    row(on, &sql.read, key, now, |row| {
        // Both are set only if unstorage wrote one after the other. Its `getItem` gives the text.
        let value = match bytes(row, 0)? {
            Some(text) => text,
            None => bytes(row, 1)?.unwrap_or_default(),
        };
        Ok(Entry::new(value)
            .with_version(version(row.get(3)?))
            .with_expires_at(time(row.get(2)?)))
    })
}

pub(crate) fn exists(on: &Connection, sql: &Statements, key: &Key) -> Result<bool> {
    let row = row(on, &sql.exists, key, Timestamp::now(), |_| Ok(()))?;
    Ok(row.is_some())
}

pub(crate) fn metadata(on: &Connection, sql: &Statements, key: &Key) -> Result<Option<Metadata>> {
    row(on, &sql.metadata, key, Timestamp::now(), |row| {
        let seconds =
            |column: Option<i64>| time(column.map(|seconds| seconds.saturating_mul(1_000)));
        let mut metadata = Metadata::default();
        metadata.size = row
            .get::<_, Option<i64>>(0)?
            .and_then(|size| u64::try_from(size).ok());
        metadata.expires_at = time(row.get(1)?);
        metadata.version = Some(version(row.get(2)?));
        metadata.created_at = seconds(row.get(3)?);
        metadata.modified_at = seconds(row.get(4)?);
        Ok(metadata)
    })
}

fn row<T>(
    on: &Connection,
    sql: &str,
    key: &Key,
    now: Timestamp,
    read: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement = on.prepare_cached(sql)?;
    statement
        .query_row(params![key.as_str(), millis(now)], read)
        .optional()
}

/// A page of the keys in `range` behind `after`, without `prefix`.
pub(crate) fn page(
    on: &Connection,
    sql: &Statements,
    prefix: &Prefix,
    range: &Range,
    after: &str,
    limit: u32,
) -> Result<ListPage> {
    let now = Timestamp::now();
    let mut page = ListPage::default();
    let mut statement = on.prepare_cached(&sql.list)?;
    let mut rows = statement.query(params![after, range.end, limit])?;
    let (mut count, mut last) = (0_u32, String::new());
    while let Some(row) = rows.next()? {
        let is_expired = time(row.get(1)?).is_some_and(|expires_at| expires_at <= now);
        (count, last) = (count + 1, row.get(0)?);
        // A key that is not normalised was not written by unstorage, and no `Key` is equal to it.
        if let Ok(key) = Key::new(&last)
            && !is_expired
            && key.as_str() == last
            && let Some(key) = prefix.strip(&key)
        {
            page.keys.push(key);
        }
    }
    page.next = (count == limit).then(|| Cursor::new(last));
    Ok(page)
}

/// The keys below a prefix, as a range of the index.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    pub(crate) start: String,
    pub(crate) end: Value,
}

impl Range {
    /// All keys that begin with the prefix and `:`, which `;` follows in the order of bytes. No key is empty, so the
    /// root begins after the empty text. It ends before bytes, which follow all texts.
    pub(crate) fn below(prefix: &Prefix) -> Self {
        if prefix.is_root() {
            return Self {
                start: String::new(),
                end: Value::Blob(Vec::new()),
            };
        }
        Self {
            start: format!("{}:", prefix.as_str()),
            end: Value::Text(format!("{};", prefix.as_str())),
        }
    }
}

fn bytes(row: &Row<'_>, column: usize) -> Result<Option<Bytes>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Ok(Some(Bytes::copy_from_slice(bytes))),
        other => Err(Error::InvalidColumnType(
            column,
            String::new(),
            other.data_type(),
        )),
    }
}

pub(crate) fn time(millis: Option<i64>) -> Option<Timestamp> {
    millis.map(|millis| Timestamp::from_millis(u64::try_from(millis).unwrap_or(0)))
}

/// Milliseconds as SQLite stores them. Later times become the latest one.
pub(crate) fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// The version of a revision. A row that unstorage wrote before our columns were added has none, and counts as
/// revision 0, which no write gets.
pub(crate) fn version(revision: Option<i64>) -> Version {
    Version::from_bytes(&revision.unwrap_or(0).to_be_bytes())
}

/// The revision of a version, or `None` if the version was not made by this driver.
pub(crate) fn revision(version: &Version) -> Option<i64> {
    version.as_bytes().try_into().ok().map(i64::from_be_bytes)
}

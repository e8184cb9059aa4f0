//! Converts between rows of the table and the types of `session_core`.

use bytes::Bytes;
use session_core::{Entry, Error, ErrorKind, Timestamp, Version};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, Decode, Row, Sqlite, Type};

use crate::error::{During, from_sqlx};

/// Reads column `index`. SQLite chooses the types of columns, so none is required.
pub(crate) fn column<'r, T>(row: &'r SqliteRow, index: usize) -> Result<T, Error>
where
    T: Decode<'r, Sqlite> + Type<Sqlite>,
{
    row.try_get_unchecked(index)
        .map_err(|error| unreadable(from_sqlx(error, During::Reading)))
}

/// The entry of a row whose columns from `first` on are value, blob, expiry and revision.
pub(crate) fn entry(row: &SqliteRow, first: usize) -> Result<Entry, Error> {
    let value: Option<&[u8]> = column(row, first)?;
    let blob: Option<&[u8]> = column(row, first + 1)?;
    // Both are set only if unstorage wrote one after the other. Its `getItem` gives the text.
    let bytes = value.or(blob).unwrap_or_default();
    Ok(Entry::new(Bytes::copy_from_slice(bytes))
        .with_version(version(column(row, first + 3)?))
        .with_expires_at(time(column(row, first + 2)?)))
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

/// Binds one parameter. Encoding the types used here cannot fail.
pub(crate) fn bind<'q, T>(arguments: &mut SqliteArguments, value: T) -> Result<(), Error>
where
    T: sqlx::Encode<'q, Sqlite> + Type<Sqlite>,
{
    arguments
        .add(value)
        .map_err(|error| from_sqlx(sqlx::Error::Encode(error), During::Writing))
}

fn unreadable(cause: Error) -> Error {
    Error::new(
        ErrorKind::CorruptData,
        "a row has a value that neither this driver nor unstorage writes; it was not changed",
    )
    .with_source(cause)
}

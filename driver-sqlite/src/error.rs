//! Turns the errors of SQLite into those of `session_core`.

use session_core::{Error, ErrorKind, Outcome};

/// What was being done when SQLite failed. It decides whether a change may have been applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum During {
    /// Nothing that changes anything.
    Reading,
    /// A statement that SQLite undoes when it fails.
    Writing,
    /// The commit of a transaction. It may be on the disk although it failed.
    Committing,
}

const LOCKED_MESSAGE: &str = "another process kept the database locked for longer than `busy_timeout`; try again, and \
                              check whether that process keeps a write transaction open";

// The primary result codes of SQLite that say something to a caller.
const PERM: i32 = 3;
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const NO_MEMORY: i32 = 7;
const READ_ONLY: i32 = 8;
const IO_ERROR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANNOT_OPEN: i32 = 14;
const TOO_BIG: i32 = 18;
const AUTH: i32 = 23;
const NOT_A_DATABASE: i32 = 26;

/// Turns an error of SQLite into one of `session_core`. Values and keys are bound and never part of the SQL, so no
/// message of SQLite contains one.
pub(crate) fn from_sqlite(error: rusqlite::Error, during: During) -> Error {
    let code = primary_code(&error);
    let (kind, message) = describe(code, &error);
    Error::new(kind, message)
        .with_outcome(outcome(code, during))
        .with_source(error)
}

/// The primary result code of SQLite, if it was SQLite that failed.
fn primary_code(error: &rusqlite::Error) -> Option<i32> {
    let error = error.sqlite_error()?;
    Some(error.extended_code & 0xff)
}

/// Whether another connection holds the lock, so that waiting may help.
pub(crate) fn is_locked(error: &rusqlite::Error) -> bool {
    matches!(primary_code(error), Some(BUSY | LOCKED))
}

fn describe(code: Option<i32>, error: &rusqlite::Error) -> (ErrorKind, &'static str) {
    match code {
        Some(BUSY | LOCKED) => (ErrorKind::Unavailable, LOCKED_MESSAGE),
        Some(READ_ONLY) => (
            ErrorKind::Unauthorized,
            "the database cannot be written; make the file and its folder writable for this process",
        ),
        Some(PERM | AUTH) => (
            ErrorKind::Unauthorized,
            "this process may not use the database file; fix its permissions",
        ),
        Some(FULL) => (
            ErrorKind::Unavailable,
            "the disk is full, or the database has reached its `max_page_count`; make room",
        ),
        Some(CANNOT_OPEN) => (
            ErrorKind::Unavailable,
            "the database file cannot be opened; check that it is a file, in a folder that exists and is \
             writable for this process",
        ),
        Some(CORRUPT) => (
            ErrorKind::CorruptData,
            "the database file is damaged and was not changed; restore it from a backup",
        ),
        Some(NOT_A_DATABASE) => (
            ErrorKind::CorruptData,
            "the file is not a SQLite database and was not changed; set `path` to another file",
        ),
        Some(TOO_BIG) => (
            ErrorKind::TooLarge,
            "the value is longer than SQLite can store; store less",
        ),
        Some(NO_MEMORY) => (
            ErrorKind::Unavailable,
            "SQLite ran out of memory; free some and try again",
        ),
        Some(IO_ERROR) => (
            ErrorKind::Unavailable,
            "the database file could not be read or written; check the operating system's messages \
             about the disk",
        ),
        Some(_) => (ErrorKind::Backend, "SQLite refused the statement"),
        None if is_unreadable(error) => (
            ErrorKind::CorruptData,
            "a row has a value that neither this driver nor unstorage writes; it was not changed",
        ),
        None => (ErrorKind::Backend, "SQLite could not be used"),
    }
}

fn is_unreadable(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
    };
    matches!(
        error,
        FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | Utf8Error(..)
    )
}

fn outcome(code: Option<i32>, during: During) -> Outcome {
    match (during, code) {
        (During::Reading, _) => Outcome::NotApplied,
        // SQLite reports these before anything reaches the log, also for a COMMIT.
        (_, Some(BUSY | LOCKED | READ_ONLY | FULL | TOO_BIG | CANNOT_OPEN | NOT_A_DATABASE)) => {
            Outcome::NotApplied
        }
        (_, Some(IO_ERROR)) | (During::Committing, _) => Outcome::Unknown,
        (During::Writing, _) => Outcome::NotApplied,
    }
}

/// The driver was closed, or the runtime that it was opened on has ended.
pub(crate) fn closed() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the driver was closed, or the runtime that it was opened on has ended",
    )
}

/// Another process held the lock for too long.
pub(crate) fn locked() -> Error {
    Error::new(ErrorKind::Unavailable, LOCKED_MESSAGE).with_outcome(Outcome::NotApplied)
}

/// The file was written to, but nobody will find it any more.
pub(crate) fn replaced() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the database file was deleted or replaced during this write, which may be lost; check who removes the \
         file while this process runs",
    )
    .with_outcome(Outcome::Unknown)
}

/// The same error for another caller of a transaction that failed as a whole.
pub(crate) fn shared(error: &Error) -> Error {
    Error::new(error.kind(), error.to_string()).with_outcome(error.outcome())
}

//! Turns the errors of SQLite and sqlx into those of `session_core`.

use std::time::Duration;

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

/// Turns an error of sqlx into one of `session_core`. Values and keys are bound and never part of the SQL, so no
/// message of SQLite contains one.
pub(crate) fn from_sqlx(error: sqlx::Error, during: During) -> Error {
    let code = primary_code(&error);
    let (kind, message) = describe(code, &error);
    let outcome = outcome(code, &error, during);
    Error::new(kind, message)
        .with_outcome(outcome)
        .with_source(error)
}

/// The primary result code of SQLite, if it was SQLite that failed.
pub(crate) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let sqlx::Error::Database(error) = error else {
        return None;
    };
    let extended: i32 = error.code()?.parse().ok()?;
    Some(extended & 0xff)
}

/// Whether another connection holds the lock, so that waiting may help.
pub(crate) fn is_locked(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(BUSY | LOCKED))
}

fn describe(code: Option<i32>, error: &sqlx::Error) -> (ErrorKind, &'static str) {
    match code {
        Some(BUSY | LOCKED) => (
            ErrorKind::Unavailable,
            "another process kept the database locked for longer than `busy_timeout` or `timeout`; try \
             again, and check whether that process keeps a write transaction open",
        ),
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
        None if matches!(error, sqlx::Error::WorkerCrashed) => (
            ErrorKind::Unavailable,
            "the thread of the connection ended; the next operation opens another",
        ),
        None => (ErrorKind::Backend, "SQLite could not be used"),
    }
}

fn outcome(code: Option<i32>, error: &sqlx::Error, during: During) -> Outcome {
    if during == During::Reading {
        return Outcome::NotApplied;
    }
    match code {
        // SQLite reports these before anything reaches the log, also for a COMMIT.
        Some(BUSY | LOCKED | READ_ONLY | FULL | TOO_BIG | CANNOT_OPEN | NOT_A_DATABASE) => {
            Outcome::NotApplied
        }
        Some(IO_ERROR) => Outcome::Unknown,
        Some(_) if during == During::Writing => Outcome::NotApplied,
        None if matches!(error, sqlx::Error::Encode(_)) => Outcome::NotApplied,
        _ => Outcome::Unknown,
    }
}

/// The driver was closed, or the runtime that it was opened on has ended.
pub(crate) fn closed() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the driver was closed, or the runtime that it was opened on has ended",
    )
}

/// A statement that was given to the thread of a connection was not answered in time, and may yet be executed.
pub(crate) fn timed_out(timeout: Duration) -> Error {
    Error::new(
        ErrorKind::TimedOut,
        format!(
            "no answer within {timeout:?}; check that the disk is not overloaded, or raise `timeout`"
        ),
    )
    .with_outcome(Outcome::Unknown)
}

/// The same error for another caller of a transaction that failed as a whole.
pub(crate) fn shared(error: &Error) -> Error {
    Error::new(error.kind(), error.to_string()).with_outcome(error.outcome())
}

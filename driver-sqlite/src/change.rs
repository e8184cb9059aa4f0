//! The changes that the writer makes.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use rusqlite::{Connection, Result, params};
use session_core::{ConflictState, Key, Timestamp};

use crate::entries::{self, Range, millis};
use crate::statements::Statements;

/// How many entries one sweep or one step of a clear removes, so that others get their turn in between.
pub(crate) const STEP: u32 = 256;

/// A change of the table.
#[derive(Debug)]
pub(crate) enum Change {
    /// Writes an entry.
    Put {
        key: Key,
        stored: Stored,
        condition: Condition,
    },
    /// Removes an entry.
    Delete { key: Key, condition: Condition },
    /// Changes the expiry of an entry that has not expired.
    Touch {
        key: Key,
        expires_at: Option<i64>,
        condition: Condition,
    },
    /// Removes some expired entries.
    Sweep,
    /// Removes the first entries of a range behind a key.
    Clear { range: Range, after: String },
}

/// What must hold for a change to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Condition {
    Always,
    /// There is no entry, or it has expired.
    IfAbsent,
    /// There is an entry of this revision that has not expired. `None` is of no entry.
    IfRevision(Option<i64>),
}

impl Condition {
    /// Whether there is no condition, and the expected revision.
    fn expected(self) -> (bool, Option<i64>) {
        match self {
            Self::Always | Self::IfAbsent => (true, None),
            Self::IfRevision(revision) => (false, revision),
        }
    }
}

/// What a write stores.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) value: Bytes,
    /// Whether the value is stored as bytes although it may be text.
    pub(crate) raw: bool,
    pub(crate) expires_at: Option<i64>,
    pub(crate) revision: i64,
}

/// The result of a change.
#[derive(Debug)]
pub(crate) enum Changed {
    /// It was made.
    Yes,
    /// There was nothing to change, or its condition did not hold. Then this is the current entry.
    No(ConflictState),
    /// So many expired entries were removed.
    Swept(u32),
    /// Everything up to this key was removed. `None`: nothing was left to remove.
    Cleared(Option<String>),
}

impl Change {
    /// How many bytes it writes, for the limit on a transaction.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Put { stored, .. } => stored.value.len(),
            _ => 0,
        }
    }

    /// Makes the change in the transaction of `on`, which began at `now`.
    pub(crate) fn make(
        &self,
        on: &Connection,
        sql: &Statements,
        now: Timestamp,
    ) -> Result<Changed> {
        let run = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| {
            on.prepare_cached(sql)?.execute(parameters)
        };
        let time = millis(now);
        let (key, condition, rows) = match self {
            Self::Put {
                key,
                stored,
                condition,
            } => {
                let text = std::str::from_utf8(&stored.value)
                    .ok()
                    .filter(|_| !stored.raw);
                let bytes = text.is_none().then_some(&*stored.value);
                let (sql, third) = match condition {
                    Condition::Always => (&sql.put, Some(1)),
                    Condition::IfAbsent => (&sql.put, Some(0)),
                    Condition::IfRevision(revision) => (&sql.replace, *revision),
                };
                let (expires_at, revision) = (stored.expires_at, stored.revision);
                let rows = run(
                    sql,
                    params![key.as_str(), time, third, text, bytes, expires_at, revision],
                )?;
                (key, condition, rows)
            }
            Self::Delete { key, condition } => {
                let (always, revision) = condition.expected();
                let rows = run(&sql.delete, params![key.as_str(), time, always, revision])?;
                (key, condition, rows)
            }
            Self::Touch {
                key,
                expires_at,
                condition,
            } => {
                let (always, revision) = condition.expected();
                let rows = run(
                    &sql.touch,
                    params![key.as_str(), time, always, revision, expires_at],
                )?;
                (key, condition, rows)
            }
            Self::Sweep => {
                let rows = run(&sql.sweep, params![time, STEP])?;
                return Ok(Changed::Swept(u32::try_from(rows).unwrap_or(STEP)));
            }
            Self::Clear { range, after } => {
                let last: Option<String> = on
                    .prepare_cached(&sql.page_end)?
                    .query_row(params![after, range.end, STEP], |row| row.get(0))?;
                if let Some(last) = &last {
                    run(&sql.delete_range, params![after, last])?;
                }
                return Ok(Changed::Cleared(last));
            }
        };
        if rows > 0 {
            return Ok(Changed::Yes);
        }
        // That it was refused is certain, also if the entry cannot be read.
        Ok(Changed::No(match condition {
            Condition::Always => ConflictState::Unknown,
            _ => match entries::read(on, sql, key, now) {
                Ok(Some(entry)) => ConflictState::Present(entry),
                Ok(None) => ConflictState::Absent,
                Err(_) => ConflictState::Unknown,
            },
        }))
    }
}

/// Gives every write a revision that no other write has had.
///
/// It counts from a random 64-bit number, so that two processes, or one before and after a restart, use different
/// numbers. A row that is removed and written again does not get a number that a reader may still have.
#[derive(Debug)]
pub(crate) struct Revisions(AtomicU64);

impl Revisions {
    pub(crate) fn new() -> Self {
        // The standard library keys its hashers with the operating system's random numbers.
        Self(AtomicU64::new(
            RandomState::new().hash_one(std::process::id()),
        ))
    }

    pub(crate) fn next(&self) -> i64 {
        loop {
            let next = self.0.fetch_add(1, Ordering::Relaxed);
            // Zero means a row without a revision.
            if next != 0 {
                return i64::from_be_bytes(next.to_be_bytes());
            }
        }
    }
}

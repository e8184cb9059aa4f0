//! The changes that the writer makes, and the parameters of their statements.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use session_core::{ConflictState, Error, Key};
use sqlx::sqlite::SqliteArguments;

use crate::rows::bind;
use crate::statements::Kind;

/// One change of one key.
#[derive(Clone)]
pub(crate) enum Change {
    /// Writes. It replaces an entry that has not expired only if `replaces`.
    Put {
        key: Key,
        stored: Stored,
        replaces: bool,
    },
    /// Writes if the entry has not expired and has this revision. `None` matches no entry.
    Replace {
        key: Key,
        stored: Stored,
        expected: Option<i64>,
    },
    /// Removes the entry if there is one.
    Delete { key: Key },
    /// Removes the entry if it has not expired and has this revision.
    DeleteIf { key: Key, expected: Option<i64> },
    /// Changes the expiry of an entry that has not expired, and has the expected revision, if there is one.
    Touch {
        key: Key,
        expires_at: Option<i64>,
        expected: Option<Option<i64>>,
    },
}

/// What a write stores.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) value: Bytes,
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
}

impl Change {
    pub(crate) fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. }
            | Self::Replace { key, .. }
            | Self::Delete { key }
            | Self::DeleteIf { key, .. }
            | Self::Touch { key, .. } => key,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Put { .. } => Kind::Put,
            Self::Replace { .. } => Kind::Replace,
            Self::Delete { .. } | Self::DeleteIf { .. } => Kind::Delete,
            Self::Touch { .. } => Kind::Touch,
        }
    }

    /// How many bytes it writes, for the limit on a transaction.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Put { stored, .. } | Self::Replace { stored, .. } => stored.value.len(),
            _ => 0,
        }
    }

    /// Whether the caller gets the current entry if nothing was changed.
    pub(crate) fn is_conditional(&self) -> bool {
        match self {
            Self::Put { replaces, .. } => !replaces,
            Self::Replace { .. } | Self::DeleteIf { .. } => true,
            Self::Delete { .. } | Self::Touch { .. } => false,
        }
    }

    /// Binds the parameters of the statement of [`kind`](Self::kind), in its order.
    pub(crate) fn bind(&self, arguments: &mut SqliteArguments) -> Result<(), Error> {
        match self {
            Self::Put {
                key,
                stored,
                replaces,
            } => {
                bind(arguments, key.as_str())?;
                stored.bind(arguments)?;
                bind(arguments, true)?;
                bind(arguments, *replaces)
            }
            Self::Replace {
                key,
                stored,
                expected,
            } => {
                stored.bind(arguments)?;
                bind(arguments, key.as_str())?;
                bind(arguments, *expected)
            }
            Self::Delete { key } => {
                bind(arguments, key.as_str())?;
                bind(arguments, true)?;
                bind(arguments, None::<i64>)
            }
            Self::DeleteIf { key, expected } => {
                bind(arguments, key.as_str())?;
                bind(arguments, false)?;
                bind(arguments, *expected)
            }
            Self::Touch {
                key,
                expires_at,
                expected,
            } => {
                bind(arguments, *expires_at)?;
                bind(arguments, key.as_str())?;
                bind(arguments, expected.is_none())?;
                bind(arguments, expected.flatten())
            }
        }
    }
}

impl Stored {
    fn bind(&self, arguments: &mut SqliteArguments) -> Result<(), Error> {
        match std::str::from_utf8(&self.value) {
            Ok(text) => {
                bind(arguments, text)?;
                bind(arguments, None::<&[u8]>)?;
            }
            Err(_) => {
                bind(arguments, None::<&str>)?;
                bind(arguments, &*self.value)?;
            }
        }
        bind(arguments, self.expires_at)?;
        bind(arguments, self.revision)
    }
}

/// Binds the parameters of a statement of `kind` that changes nothing: its key is NULL, which equals no row's, or its
/// parameters tell it not to insert.
pub(crate) fn bind_nothing(kind: Kind, arguments: &mut SqliteArguments) -> Result<(), Error> {
    let parameters = match kind {
        Kind::Put => 7,
        Kind::Replace => 6,
        Kind::Delete => 3,
        Kind::Touch => 4,
    };
    for _ in 0..parameters {
        bind(arguments, None::<i64>)?;
    }
    Ok(())
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

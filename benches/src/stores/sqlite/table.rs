//! The table and the settings of the bare contenders.

/// The page cache, in KiB.
pub(super) const CACHE_SIZE: &str = "-8192";
/// In pages.
pub(super) const CHECKPOINT_AFTER: &str = "4000";

// The bare contenders have the same columns as ours, without its triggers.

pub(super) const TABLE: &str = "sessions";
pub(super) const CREATE: &str = "CREATE TABLE sessions (
    key TEXT PRIMARY KEY,
    value TEXT,
    blob BLOB,
    created_at TEXT DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT DEFAULT CURRENT_TIMESTAMP,
    expires_at INTEGER,
    revision INTEGER
)";
pub(super) const CREATE_INDEX: &str =
    "CREATE INDEX sessions_end ON sessions(expires_at) WHERE expires_at IS NOT NULL";
pub(crate) const READ: &str = "SELECT value, revision FROM sessions \
    WHERE key = ?1 AND (expires_at IS NULL OR expires_at > ?2)";
pub(crate) const WRITE: &str = "INSERT INTO sessions (key, value, expires_at, revision) VALUES (?1, ?2, ?3, 1) \
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at, \
    revision = revision + 1, updated_at = CURRENT_TIMESTAMP";
pub(super) const COMMIT: &str = "UPDATE sessions SET value = ?2, expires_at = ?3, revision = revision + 1, \
    updated_at = CURRENT_TIMESTAMP WHERE key = ?1 AND revision = ?4";

/// The number of read connections of a bare contender: one per thread. The first connection also writes.
pub(super) fn connections() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The current time and the expiry of a session, in milliseconds.
pub(super) const NOW: i64 = 1_700_000_000_000;
pub(super) const END: i64 = 4_000_000_000_000;

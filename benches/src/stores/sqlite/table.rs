//! What the bare contenders have in common.

/// The page cache, in KiB.
pub(super) const CACHE_SIZE: &str = "-8192";
/// In pages.
pub(super) const CHECKPOINT_AFTER: &str = "4000";

// The bare contenders have the columns that ours has, without its triggers.

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

/// How many connections a bare contender reads on: as many as there are threads. The first one writes, too.
pub(super) fn connections() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Where the time stands, and when a session ends, in milliseconds.
pub(super) const NOW: i64 = 1_700_000_000_000;
pub(super) const END: i64 = 4_000_000_000_000;

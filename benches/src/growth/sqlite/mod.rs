mod ours;
mod sqlx;
mod tower;

use std::path::Path;

use super::subject::Candidate;

pub(super) const CANDIDATES: [Candidate; 3] = [
    Candidate {
        name: "driver-sqlite",
        is_ours: true,
        open: || Box::pin(ours::open()),
    },
    Candidate {
        name: "bare sqlx",
        is_ours: false,
        open: || Box::pin(sqlx::open()),
    },
    Candidate {
        name: "tower-sessions SqliteStore",
        is_ours: false,
        open: || Box::pin(tower::open()),
    },
];

/// Returns the size of a database in bytes.
fn file_size(file: &Path) -> i64 {
    let connection = rusqlite::Connection::open(file).expect("a database");
    // Copy the write-ahead log into the file first.
    connection
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        .expect("a checkpoint");
    let size = std::fs::metadata(file).expect("a file").len();
    i64::try_from(size).unwrap_or(i64::MAX)
}

//! A driver for [`session_core`] that stores entries in a table of a SQLite database, the one that unstorage and
//! Astro write.
//!
//! ```
//! use driver_sqlite::{SqliteDriver, SqliteOptions};
//! use session_core::{Driver, DriverExt, Result};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("sessions.db");
//! let driver = SqliteDriver::open(SqliteOptions::new(path)).await?;
//! driver.put_with_ttl("greeting", "hello", Duration::from_secs(60)).await?;
//! assert_eq!(driver.get("greeting").await?.unwrap(), "hello");
//! driver.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! It suits servers on one machine. Any number of processes share a file, and conditions hold among all of them, also
//! towards writers that do not use this driver. The file must be on a local disk.
//!
//! # Durability
//!
//! A write is acknowledged after its transaction was committed to the write-ahead log, so a process that is killed
//! loses nothing that it acknowledged. [`Synchronous`] sets what a power failure can lose: by default the last
//! moments, but never the file. The log grows to 16 MiB before it is copied into the database. A copy of the
//! database alone, without its `-wal` file, may lack the latest writes.
//!
//! # Concurrency
//!
//! One thread writes and a few read, each on a connection of its own. Changes that are queued together go into one
//! transaction of up to 64 changes or 1 MiB. Each caller gets its own result. If a transaction fails because of one of
//! its changes, the others are made without it.
//!
//! No transaction stays open while anything is awaited, and each runs without pauses, so other processes get the
//! lock in between. `node:sqlite` under db0 does not wait for locks. It has to repeat a write that met one
//! (`database is locked`), which is every third write under the heaviest load.
//!
//! # Timeouts
//!
//! Every operation ends by [`timeout`](SqliteOptions::timeout). A change that meets the lock of another process
//! tries again every millisecond for [`busy_timeout`](SqliteOptions::busy_timeout), and then fails with
//! [`Unavailable`](session_core::ErrorKind::Unavailable), certainly not applied. No change begins before the driver
//! has the lock, so one whose caller gave up until then is not made later. A caller that is dropped leaves the old
//! value or the new one.
//!
//! # The files
//!
//! The database and the files that SQLite keeps beside it (`-wal`, `-shm`) contain session ids. They are created with
//! the mode 0600, or the one of [`mode`](SqliteOptions::mode). Existing files keep their mode, and a warning names
//! those that others may read.
//!
//! If the database is deleted or replaced while it is used, the driver notices it with the next operation. It logs a
//! warning, closes all its connections, and uses the file that is at the path then, or creates it. What was stored in
//! the other file is gone. A write during which that happened fails, and may have been lost. Replace a file by
//! renaming another to its path; overwriting it in place damages it. (On Unix only; elsewhere a file that is in use
//! can be neither deleted nor replaced.)
//!
//! # The table
//!
//! | column | | |
//! |---|---|---|
//! | `key` | unstorage's | the key, below `prefix` |
//! | `value` | unstorage's | a value that is text, else NULL |
//! | `blob` | unstorage's | a value that is bytes, else NULL |
//! | `created_at`, `updated_at` | unstorage's | `YYYY-MM-DD HH:MM:SS` in UTC; a touch changes neither |
//! | `expires_at` | ours | the expiry in milliseconds since 1970, NULL for never |
//! | `revision` | ours | the version: a number that no other write of the table has had |
//!
//! A value is text if it is UTF-8, unless it was written with [`raw`](session_core::WriteOptions::raw). Reads do not
//! tell the two apart.
//!
//! The table is created by unstorage's own statement. An existing one is extended by our columns, an index and two
//! triggers, by whichever process comes first. unstorage names its columns in every statement and works as before.
//!
//! # Beside Astro and unstorage
//!
//! Text that one side writes with `setItem` the other reads, byte for byte. The same holds for bytes with
//! `setItemRaw`. A trigger changes the version and clears the expiry when unstorage writes, so that entry lives until
//! someone sets an expiry, and a conditional write that was based on the earlier value is refused. If unstorage has
//! left both text and bytes under one key, the text counts, as for its `getItem`.
//!
//! Astro and unstorage ignore expiry: they see an expired entry until it is swept, and they write without conditions,
//! so they can overwrite or revive an entry. Their `clear` empties the whole table, whatever base it is given.
//!
//! # Expiry
//!
//! An entry expires at its millisecond by the clock of the machine. From then on no read, listing or condition sees
//! it; a condition checks this under the lock of its transaction. Expired entries are removed every
//! `sweep_interval`, 256 by a statement, by a task that lasts as long as the driver. Its work depends on the number of
//! expired entries, not on the size of the table.
//!
//! # Limits
//!
//! A value has at most 64 MiB, a key at most 64 KiB including the prefix, and a page of a listing at most 10,000
//! keys. A queue of 1,024 writes and one of 1,024 reads wait for the threads; further callers wait for a place. The
//! sweeper is a task on the runtime on which the driver was opened.

mod change;
mod config;
mod database;
mod driver;
mod entries;
mod error;
#[cfg(test)]
mod fault_tests;
mod schema;
mod statements;
mod threads;

pub use config::{DEFAULT_TABLE, SqliteOptions, Synchronous};
pub use driver::SqliteDriver;

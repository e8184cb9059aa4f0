//! A driver for [`session_core`] that keeps its entries in a table of a SQLite database, the one that
//! unstorage and Astro write.
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
//! It suits servers on one machine: any number of processes share a file, and conditions hold among them all,
//! as they do towards writers that know nothing of this driver. The file must be on a local disk.
//!
//! # Durability
//!
//! A write is acknowledged after its transaction was committed to the write-ahead log, so a process that is
//! killed loses nothing that it acknowledged. What a power cut can take is for
//! [`Synchronous`] to say: by default the last moments, and never the file. The log grows to 16 MiB before it
//! is copied into the database; a copy of the database alone, without its `-wal` file, may lack the latest
//! writes.
//!
//! # Concurrency
//!
//! One connection writes and a few read, each on a thread of its own. A caller alone is served by a single
//! statement, as by a bare connection. Callers at the same time share: their writes go into one transaction
//! of up to 64 changes or 1 MiB, their reads into one statement; each gets its own result. If a transaction
//! fails because of one of its changes, the others are made without it.
//!
//! No transaction stays open while anything is awaited, and each is run through at once, so other processes
//! find gaps; `node:sqlite` under db0 waits for no lock at all and has to repeat a write that met one
//! (`database is locked`), which under the heaviest load is every third. The other way round this driver looks
//! again every other millisecond for `busy_timeout`, and then says
//! [`Unavailable`](session_core::ErrorKind::Unavailable), certainly not applied. A caller who is dropped
//! leaves the old value or the new one.
//!
//! # The table
//!
//! | column | | |
//! |---|---|---|
//! | `key` | unstorage's | the key, below `base` |
//! | `value` | unstorage's | a value that is UTF-8, else NULL |
//! | `blob` | unstorage's | a value that is not, else NULL |
//! | `created_at`, `updated_at` | unstorage's | `YYYY-MM-DD HH:MM:SS` in UTC; a touch moves neither |
//! | `expires_at` | ours | the end in milliseconds since 1970, NULL for never |
//! | `revision` | ours | the version: a number that no other write of the table has had |
//!
//! The table is made by unstorage's own statement, and one that is there is completed by our columns, an index
//! and two triggers, whichever process comes first. unstorage names its columns in every statement and goes on
//! as before.
//!
//! # Beside Astro and unstorage
//!
//! Text that one side writes with `setItem` the other reads, byte for byte; bytes likewise with `setItemRaw`.
//! A write of theirs changes the version and clears the end, by a trigger, so it lives until someone ends it;
//! a conditional write of ours that was based on what stood there before is refused. Where they have left both
//! texts and bytes under one key, the text counts, as it does for their `getItem`.
//!
//! They know nothing of ends: what has ended they see until it is swept, and they write without conditions, so
//! they can overwrite or revive. Their `clear` empties the whole table, whatever base it is given.
//!
//! # Expiry
//!
//! An entry ends at its millisecond by the clock of the machine: no read, listing or condition sees it from
//! then on, the latter under the lock of its transaction. Every `sweep_interval` what has ended is removed, 256
//! entries by a statement, by a task that lasts as long as the driver. The work follows what ends and not what
//! lives.
//!
//! # Limits
//!
//! A value has 64 MiB at most, a key 64 KiB with its base, a page of a listing 10,000 keys. Up to 1,024 writes
//! wait in a queue, further callers before it. The tasks run on the runtime on which the driver was opened.

mod change;
mod config;
mod connection;
mod driver;
mod error;
#[cfg(test)]
mod fault_tests;
mod queue;
mod reader;
mod rows;
mod schema;
mod statements;
mod sweep;
mod writer;

pub use config::{DEFAULT_TABLE, SqliteOptions, Synchronous};
pub use driver::SqliteDriver;

//! A driver for [`session_core`] that keeps its entries in the memory of the process.
//!
//! ```
//! use driver_memory::MemoryDriver;
//! use session_core::{DriverExt, Result};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let driver = MemoryDriver::new();
//! driver.put_with_ttl("greeting", "hello", Duration::from_secs(60)).await?;
//! assert_eq!(driver.get("greeting").await?.unwrap(), "hello");
//! # Ok(())
//! # }
//! ```
//!
//! It is the fastest of the drivers and the most forgetful: what it holds ends with the process, and no
//! other process sees it. It suits tests, development, and servers that run alone.
//!
//! # Concurrency
//!
//! Entries are spread over 256 shards, each behind a lock of its own. A lock is held for the step of one
//! operation, never across an `.await`, and never for a walk over everything: listing, clearing and
//! sweeping go in steps of a few hundred entries. A condition is checked and acted on under one lock, so
//! of two writers with the same version one wins.
//!
//! # Expiry
//!
//! An entry ends at its millisecond: from then on no read, listing or condition sees it. Its memory is
//! freed later, by whichever comes first:
//!
//! - a write, a removal or a clear of its key;
//! - a write of a new key to the same shard, which frees up to two ended entries;
//! - a write of a new key to a full driver, which looks for ended entries everywhere;
//! - the sweeper, a task that starts with the first write that has an expiry, if it is made within a tokio
//!   runtime (with its timer enabled), and looks twice a second.
//!
//! A watcher is told of the end of an entry when its memory is freed. An entry that ends after the year
//! 2526 is not freed by sweeping. The sweeper ends when the driver is closed or dropped.
//!
//! # The bound
//!
//! There are never more than `max_entries` entries, [`DEFAULT_MAX_ENTRIES`] if nobody says, however many
//! tasks write at once. When they are all alive, a write that would add one is refused with an error of kind
//! [`Unavailable`](session_core::ErrorKind::Unavailable), certainly not applied; writes to keys that are
//! there go on. No live entry is evicted: a flood of new sessions logs nobody out.
//!
//! An entry costs about 150 bytes above its key and its value. The bound is one of entries: choose it so that
//! so many records of the size you allow fit into memory.
//!
//! # Values
//!
//! A value is kept as it is given and shared with its readers, not copied. Hence a
//! [`Bytes`](session_core::Bytes) that is a slice of a larger buffer keeps the whole buffer alive; where that
//! matters, give a copy: `Bytes::copy_from_slice`.

mod config;
mod driver;
mod now;
mod shard;
mod slot;
mod store;
mod sweeper;
mod watchers;

pub use config::MemoryOptions;
pub use driver::MemoryDriver;

/// How many entries a driver holds at most when nobody says: a million.
pub const DEFAULT_MAX_ENTRIES: usize = 1_000_000;

const NAME: &str = "memory";

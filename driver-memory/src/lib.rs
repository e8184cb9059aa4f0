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
//! driver.put_for("greeting", "hello", Duration::from_secs(60)).await?;
//! assert_eq!(driver.get("greeting").await?.unwrap(), "hello");
//! # Ok(())
//! # }
//! ```
//!
//! The entries end with the process, and no other process sees them. The driver suits tests, development, and servers
//! that run alone.
//!
//! # Concurrency
//!
//! Entries are in a [`DashMap`](https://docs.rs/dashmap): callers that use different keys seldom wait for each other, and
//! a condition is checked and acted on under one lock, so of two writers with the same version one wins. No lock is held
//! across an `.await` or for a walk over all entries: listing, clearing and sweeping go in steps of a few hundred.
//!
//! # Expiry
//!
//! An entry expires at its millisecond: from then on no read, listing or condition sees it. Its memory is freed later,
//! by whichever comes first:
//!
//! - a write, a removal or a clear of its key;
//! - a write of a new key, which looks at up to two entries that are due;
//! - a write that would exceed a limit, which looks for expired entries before it is refused;
//! - the sweeper, a task that starts with the first write that has an expiry, if it is made within a tokio runtime (with
//!   its timer enabled), and looks twice a second. It ends when the driver is closed or dropped.
//!
//! A watcher is told that an entry has expired when its memory is freed.
//!
//! # Limits
//!
//! However many tasks write at once, there are never more than `max_entries` entries, [`DEFAULT_MAX_ENTRIES`] by
//! default, and never more than `max_bytes` bytes of keys and values, without a limit by default. A write that would
//! exceed one of them while no entry has expired fails with an error of kind
//! [`Unavailable`](session_core::ErrorKind::Unavailable) and is not applied. No live entry is evicted: a flood of new
//! sessions logs nobody out. An overwrite adds no entry, and fails only if its value is larger than the old one.
//!
//! An entry takes about 200 bytes beside its key and its value, which `max_bytes` does not count. The tables keep their
//! size when entries go, for those that come.
//!
//! # Values
//!
//! A value is kept as it is given and shared with its readers, not copied. A [`Bytes`](session_core::Bytes) that is a
//! slice of a larger buffer therefore keeps the whole buffer alive; to avoid that, pass a copy: `Bytes::copy_from_slice`.

mod config;
mod driver;
mod entries;
mod watchers;

pub use config::MemoryOptions;
pub use driver::MemoryDriver;

/// The default of `max_entries`: a million.
pub const DEFAULT_MAX_ENTRIES: usize = 1_000_000;

const NAME: &str = "memory";

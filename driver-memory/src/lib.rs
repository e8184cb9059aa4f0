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
//! The entries end with the process, and no other process sees them: for tests, development, and servers that run alone.
//!
//! **Concurrency.** Entries are in a [`DashMap`](https://docs.rs/dashmap): callers with different keys seldom wait for
//! each other, and of two writers with the same version one wins. No lock is held across an `.await` or for a walk over
//! all entries.
//!
//! **Expiry.** An entry expires at its millisecond: from then on no read, listing or condition sees it. Its memory is
//! freed later, when watchers are told: by a change of its key; by writes of new keys, each of which frees up to two
//! entries; by a write that would exceed a limit; or by the sweeper, a task that looks twice a second. The sweeper starts
//! with the first write that has an expiry, if it is made within a tokio runtime (with its timer enabled), and ends when
//! the driver is closed or dropped.
//!
//! # Limits
//!
//! However many tasks write at once, there are never more than `max_entries` entries ([`DEFAULT_MAX_ENTRIES`] by
//! default) nor more than `max_bytes` bytes of keys and values (any number by default). A write that would exceed a limit
//! while no entry has expired fails with an error of kind [`Unavailable`](session_core::ErrorKind::Unavailable) and is
//! not applied. No live entry is evicted: a flood of new sessions logs nobody out. An overwrite fails only if it would
//! exceed `max_bytes` by a larger value. An entry takes about 210 bytes beside its key and its value, which `max_bytes`
//! does not count.
//!
//! A value is shared with its readers, not copied: a [`Bytes`](session_core::Bytes) that is a slice of a larger buffer
//! keeps the whole buffer alive. To avoid that, pass a copy.

mod config;
mod driver;
mod entries;
mod watchers;

pub use config::MemoryOptions;
pub use driver::MemoryDriver;

/// The default of `max_entries`: a million.
pub const DEFAULT_MAX_ENTRIES: usize = 1_000_000;

const NAME: &str = "memory";

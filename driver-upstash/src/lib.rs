//! A driver for [`session_core`] on Upstash Redis, over its REST API, with the keys and values that unstorage and Astro
//! write there.
//!
//! ```
//! use driver_upstash::{UpstashDriver, UpstashOptions};
//! use session_core::{Driver, Result};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let options = UpstashOptions::new("https://eu1-example.upstash.io", "from the environment");
//! let driver = UpstashDriver::open(options).await?;
//! assert!(driver.capabilities().touch);
//! driver.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! It suits servers that cannot hold a connection to a Redis open, or have none near. Conditions hold among all writers.
//! The REST API can be had over any Redis or Valkey by a gateway that speaks it.
//!
//! # Requests
//!
//! Calls of all tasks share requests to `/pipeline`. One that finds nothing under way goes out at once; those that come
//! while its answer is awaited go out together when it is there, up to 256 commands or 512 KiB in one request. So many
//! tasks cost few requests, and each has its own result or error. A request that has no answer after a quarter of a
//! second is not waited for: the next ones go out beside it, up to 8.
//!
//! A read is a `GET` and a `PTTL` (a `GET` alone where the end is not asked for), a write a `SET`, and each is one
//! request. A page of a listing is one request, and so is the removal of one page together with the look for the next.
//!
//! What failed is repeated as [`RetryPolicy`](session_core::RetryPolicy) says: reads and writes without a condition after
//! every error that may pass, those with a condition only if they were certainly not applied. Where the answer of one of
//! these was lost, its error says that the outcome is unknown.
//!
//! # What is stored
//!
//! An entry is a string of Redis under `base`, `:` and the key, as unstorage's drivers `upstash` and `redis` have it. Text
//! is stored as it is; bytes that are not UTF-8, and text that could be taken for such, as unstorage's `base64:` and the
//! encoding. The version is the stored string itself, so a write of anybody changes it, and conditions are checked by a
//! script, in one step with the change.
//!
//! # Expiry
//!
//! The database ends entries, at a millisecond that it reckons from when the write arrives. It is told what remains of the
//! life and not a time, so that a wrong clock here ends nothing too early; an entry ends later by as long as the write
//! was on its way, for which the declared granularity of 100 ms stands.
//!
//! # Replicas
//!
//! A database with read regions answers reads from the nearest one. The token that each answer has for it is sent with the
//! next request, so a driver sees its own writes (`read_your_writes`); those of other servers it may see late. With
//! `read_regions` the driver says so in its capabilities, and asks the primary once more for what it did not find, since
//! a missing session is a lost login. Conditions are always checked on the primary.
//!
//! # Limits
//!
//! The plan of the database limits requests and their size; what is over that is an error of kind
//! [`RateLimited`](session_core::ErrorKind::RateLimited) or [`TooLarge`](session_core::ErrorKind::TooLarge). The tasks
//! run on the runtime on which the driver was opened.

mod command;
mod config;
mod driver;
mod error;
mod listing;
mod pipeline;
mod reply;
mod scripts;
mod value;

pub use config::{TOKEN_VARIABLE, URL_VARIABLE, UpstashOptions};
pub use driver::UpstashDriver;
pub use http_support::SecretString;

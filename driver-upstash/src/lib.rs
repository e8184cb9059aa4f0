//! A [`session_core`] driver that keeps entries in Upstash Redis, over its REST API.
//!
//! Keys and values are those of unstorage's drivers `upstash` and `redis`, and so of Astro.
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
//! Use it where a server cannot keep a connection to a Redis open. Conditions hold among all writers. A gateway that
//! speaks the REST API can run in front of any Redis or Valkey.
//!
//! # Requests
//!
//! Concurrent calls share requests to `/pipeline`. A call is sent at once if no request is running. Calls that arrive in
//! the meantime are sent together when the response arrives, up to 256 commands or 512 KiB in one request. So many tasks
//! need few requests, and each call has its own result or error. After a quarter of a second without a response, further
//! requests are sent beside the slow one, up to 8 in total.
//!
//! A read is a `GET` and a `PTTL` (only a `GET` if the expiry is not needed), and a write is a `SET`. Each is one request.
//! A page of a listing is one request. A clear removes the keys of one page in the request that lists the next.
//!
//! Failed requests are retried according to the [`RetryPolicy`](session_core::RetryPolicy): reads and unconditional writes
//! after every transient error, conditional writes only if they were certainly not applied. If the response to a
//! conditional write is lost, the outcome in its error is unknown.
//!
//! # Stored form
//!
//! An entry is a Redis string whose key is the prefix, `:` and the key. Text is stored as it is. Bytes that are not UTF-8
//! are stored as `base64:` and their base64, as unstorage stores them, and so is text that could be mistaken for that.
//! The version is the stored string itself, so every write changes it, and a script checks conditions and applies the
//! change in one step.
//!
//! # Expiry
//!
//! The database expires entries to the millisecond. It is sent the remaining time to live and not a time, so a wrong clock
//! of this machine never expires an entry too early. The time counts from when the write arrives, so an entry may expire
//! later by the latency of the write. The capabilities declare 100 ms for that.
//!
//! # Replicas
//!
//! A database with read regions serves reads from the nearest one. Each response has a token that is sent with the next
//! request, so that a driver sees its own writes (`read_your_writes`). Writes of other servers may be visible later. With
//! `read_regions` the capabilities say so, and each miss is confirmed by the primary, since a missing session is a lost
//! login. Conditions are always checked by the primary.
//!
//! # Limits
//!
//! The plan of the database limits the number and the size of requests. Beyond these limits the error is of kind
//! [`RateLimited`](session_core::ErrorKind::RateLimited) or [`TooLarge`](session_core::ErrorKind::TooLarge). The tasks run
//! on the runtime on which the driver was opened.

mod command;
mod config;
mod driver;
mod error;
mod listing;
mod pipeline;
mod reply;
mod rows;
mod scripts;
mod value;

pub use config::{TOKEN_VARIABLE, URL_VARIABLE, UpstashOptions};
pub use driver::UpstashDriver;
pub use http_support::{ApplicationClient, SecretString, reqwest};

//! A driver for [`session_core`] that keeps its entries in Cloudflare KV, over the REST API: the keys and values that
//! unstorage's `cloudflare-kv-http` and `cloudflare-kv-binding` drivers write, and Astro with them.
//!
//! ```
//! use driver_cloudflare_kv::{CloudflareKvDriver, CloudflareKvOptions};
//! use session_core::{Driver, DriverExt, Result};
//! use std::time::Duration;
//!
//! async fn greet(api_token: String) -> Result<()> {
//!     let account = "0123456789abcdef0123456789abcdef";
//!     let namespace = "fedcba9876543210fedcba9876543210";
//!     let options = CloudflareKvOptions {
//!         base: Some("app".to_owned()),
//!         ..CloudflareKvOptions::new(account, namespace, api_token)
//!     };
//!     let driver = CloudflareKvDriver::open(options)?;
//!     driver.put_with_ttl("greeting", "hello", Duration::from_secs(5)).await?;
//!     assert_eq!(driver.get("greeting").await?.unwrap(), "hello");
//!     driver.close().await
//! }
//! ```
//!
//! It suits a Rust server that shares its sessions with an application on Cloudflare's network. Where nothing is
//! shared, a backend with conditional writes keeps more promises, at less cost.
//!
//! # What Cloudflare KV does not promise
//!
//! There are **no conditional writes and no touch**, and reads are only **eventually consistent**: what one server wrote
//! another may see up to a minute later, and a listing later still. A key may be **written once a second**; more is
//! refused, tried again (see [`CloudflareKvOptions::retry`]), and in the end an error of kind
//! [`RateLimited`](session_core::ErrorKind::RateLimited). For sessions that means:
//!
//! - Within one process no update is lost: commits of one session queue up, and each reads the record once more right
//!   before it writes. But that read may be an old one, so a change that another server, or this one through
//!   another of Cloudflare's sites, made within the last minute can be overwritten: the last writer wins.
//! - A session that was destroyed can be seen by others for up to a minute, and a request that was under way
//!   elsewhere can bring it back. The same goes for the tombstone that a regenerated session leaves: for up to a minute
//!   the old id may still show the old data. Keep short what must end at once, and check it anew where it matters.
//! - An idle timeout is moved on by writing the record anew, since there is no touch. It is throttled
//!   (`touch_interval`), and below the limit of a write a second.
//!
//! # Requests
//!
//! Cloudflare limits the requests to its API (1,200 in five minutes for a user), so calls made at the same time share
//! them. A call that finds no request under way goes out at once. What comes meanwhile goes out together as soon as
//! a request comes back, or after 100 ms: reads as a bulk get of up to 100 keys with their values and metadata,
//! writes and removals as bulk calls of up to 1,000 keys. Reads of one key share a place in it; of several writes
//! to one key that wait together only the last one is sent, and no two requests change one key at a time, so the
//! later call wins. Each caller gets its own result, and a key that Cloudflare leaves out is tried again by itself.
//!
//! A read is one request. What a bulk get cannot carry takes two or three: values that together exceed Cloudflare's 25 MB
//! for an answer, and bytes that are no text and that somebody else wrote. Everything here is safe to repeat, and is
//! repeated after errors that may pass; a caller who is dropped leaves the old value or the new one.
//!
//! # What is stored
//!
//! The key is `base`, `:` and the key; the value is the bytes of a text. Bytes that are no text are stored as unstorage
//! stores them, as `base64:` and their base64, and so is a text that itself begins with `base64:` or with a byte order
//! mark. A value with an end has the metadata `{"expiresAtMs":…}`, in milliseconds since 1970; one without has none, and
//! is byte for byte what unstorage writes. Metadata is replaced by every write, so one by somebody else clears
//! the end. An end that somebody else set by Cloudflare's own `expiration` counts too.
//!
//! unstorage and Workers see an entry that has ended until Cloudflare removes it. With `base` `app`, unstorage also
//! lists and clears the keys of `app2`; this driver does not.
//!
//! # Expiry
//!
//! An entry ends at its millisecond by the clock of the machine that reads it, also after 5 s. Cloudflare is told how
//! many seconds remain, never less than the 60 s that it takes at least, and removes it some time after.
//!
//! # Limits
//!
//! A key has 512 bytes at most with its base, no control characters, and is neither `.` nor `..`; a value has 25 MiB, or 18.75 MiB if it is no
//! text. Longer ones are refused before anything is sent. A byte order mark at the beginning of a text that somebody
//! else wrote is lost. The tasks run on the runtime on which the driver was opened.

mod api;
mod config;
mod driver;
mod error;
mod gather;
mod protocol;
mod reads;
mod stored;
mod writes;

pub use config::{CloudflareKvOptions, DEFAULT_API_URL, SHORTEST_TTL};
pub use driver::CloudflareKvDriver;
pub use http_support::SecretString;

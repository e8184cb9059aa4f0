//! A [`session_core`] driver that keeps entries in Cloudflare KV, over its REST API.
//!
//! Keys and values are those of unstorage's drivers `cloudflare-kv-http` and `cloudflare-kv-binding`, and so of Astro.
//!
//! ```
//! use driver_cloudflare_kv::{CloudflareKvDriver, CloudflareKvOptions};
//! use session_core::{Driver, DriverExt, Result};
//! use std::time::Duration;
//!
//! async fn greet(api_token: String) -> Result<()> {
//!     let account = "0123456789abcdef0123456789abcdef";
//!     let namespace = "fedcba9876543210fedcba9876543210";
//!     let options = CloudflareKvOptions::new(account, namespace, api_token).with_prefix("app");
//!     let driver = CloudflareKvDriver::open(options)?;
//!     driver.put_with_ttl("greeting", "hello", Duration::from_secs(5)).await?;
//!     assert_eq!(driver.get("greeting").await?.unwrap(), "hello");
//!     driver.close().await
//! }
//! ```
//!
//! Use it for a server that shares its sessions with an application on Cloudflare's network. Otherwise a backend with
//! conditional writes promises more and costs less.
//!
//! # What Cloudflare KV does not promise
//!
//! There are **no conditional writes and no touch**, and reads are only **eventually consistent**: a write can take up to
//! a minute to be visible to other servers, and longer to be visible in a listing. A key may be **written once a
//! second**. Cloudflare refuses further writes, which are retried (see [`CloudflareKvOptions::retry`]) and finally fail
//! with an error of kind [`RateLimited`](session_core::ErrorKind::RateLimited). For sessions this means:
//!
//! - Within one process no update is lost: commits of one session are queued, and each reads the record again right
//!   before it writes. But that read may return an old record. So a change that another server made within the last
//!   minute can be overwritten, as can one of this server that went to another of Cloudflare's sites. The last writer
//!   wins.
//! - A destroyed session can be visible to others for up to a minute, and a request that runs elsewhere can bring it back.
//!   The same holds for the tombstone of a regenerated session: the old id may show the old data for up to a minute. Keep
//!   the lifetime of sensitive data short, and verify it again where it matters.
//! - An idle timeout is renewed by writing the record again, since there is no touch. The session's `touch_interval`
//!   keeps this below one write a second.
//!
//! # Requests
//!
//! Cloudflare limits the requests to its API (1,200 in five minutes for a user), so concurrent calls share them. A call is
//! sent at once if no request is running. Calls that arrive in the meantime are sent together when a request completes,
//! or after 100 ms: reads as a bulk get of up to 100 keys with values and metadata, writes and removals as bulk calls of
//! up to 1,000 keys. Reads of one key are combined. If several writes of one key wait together, only the last one is
//! sent, and no two requests change one key at the same time, so the later call wins. Each caller gets a result of its
//! own, and a key that Cloudflare does not process is retried alone.
//!
//! A read is one request. Two or three are needed if a bulk get cannot return the value: values that together exceed
//! Cloudflare's limit of 25 MB for a response, and bytes that another program wrote and that are not text. All requests
//! are safe to repeat, and are retried after transient errors. If a caller is dropped, the key has the old value or the
//! new one.
//!
//! # Stored form
//!
//! The key is the prefix, `:` and the key. The value is the bytes of a text. Bytes that are not text are stored as
//! unstorage stores them, as `base64:` and their base64, and so is text that begins with `base64:` or with a byte order
//! mark. A value with an expiry has the metadata `{"expiresAtMs":…}`, in milliseconds since 1970. A value without an
//! expiry has no metadata and is byte for byte what unstorage writes. Each write replaces the metadata, so a write by
//! another program clears the expiry. An expiry that another program set as Cloudflare's own `expiration` counts too.
//!
//! unstorage and Workers see an expired entry until Cloudflare removes it. With the prefix `app`, unstorage also lists and
//! clears the keys of `app2`. This driver does not.
//!
//! # Expiry
//!
//! An entry expires to the millisecond by the clock of the machine that reads it, even after 5 s. Cloudflare is sent the
//! remaining seconds, at least 60, and removes the entry some time later.
//!
//! # Limits
//!
//! A key with its prefix has at most 512 bytes and no control characters, and is not `.` or `..`. A value has at most
//! 25 MiB, or 18.75 MiB if it is not text. Longer ones are refused before anything is sent. A byte order mark at the
//! beginning of a text of another program is lost. The tasks run on the runtime on which the driver was opened.

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
pub use http_support::{ApplicationClient, SecretString, reqwest};

//! A driver for [`session_core`] that keeps its entries on another server, by the HTTP protocol of unstorage's
//! storage server.
//!
//! ```
//! use driver_http::{HttpDriver, HttpOptions, SecretString};
//! use session_core::Driver;
//!
//! let options = HttpOptions {
//!     token: Some(SecretString::from("from the environment")),
//!     ..HttpOptions::new("https://storage.example/kv")
//! };
//! let driver = HttpDriver::open(options)?;
//! assert!(!driver.capabilities().touch);
//! # Ok::<(), session_core::Error>(())
//! ```
//!
//! It suits servers that share what a JavaScript server keeps and that cannot reach its backend themselves.
//!
//! # The protocol
//!
//! | operation | request |
//! |---|---|
//! | read | `GET /a/b` with `accept: application/octet-stream` |
//! | write | `PUT /a/b`; text as such, other bytes with `content-type: application/octet-stream`; `x-ttl` in seconds |
//! | removal | `DELETE /a/b` |
//! | existence | `HEAD /a/b` |
//! | listing | `GET /a/:` |
//!
//! The text that Rust writes unstorage's `getItem` reads, and the other way round, byte for byte. Bytes that are not
//! UTF-8 go by `setItemRaw` and `getItemRaw`, and so does text that begins as unstorage marks its own encoding of
//! bytes (`base64:`), so that no backend of the server mistakes it.
//!
//! What is read is asked for as raw bytes, since the server parses text and writes it anew: `1e3` would come back as
//! `1000`. Backends in which raw bytes have a place of their own, as the column of unstorage's `db0`, know nothing of
//! the text then. So a miss is asked for once more as text, which costs a miss a second request.
//!
//! # What the server can and cannot do
//!
//! The protocol has no conditions and no touch. Of two servers that change one entry at the same time the last one
//! wins, and what the other one wrote is lost. A session keeps changes of requests in one process apart and reads
//! again before it writes, which makes the loss rare and not impossible.
//!
//! **`session-server`**, which speaks the same protocol over any driver of this project, takes conditions as HTTP has
//! them, by entity tags, and fractions of seconds. With [`Dialect::SessionServer`] conditions hold against all writers
//! of what it serves, and nothing is lost.
//!
//! **Expiry is the server's.** That of unstorage is given the remaining time in whole seconds, rounded up, so an entry
//! ends up to a second late. It hands that on to its own driver, and only some heed it: `redis`, `upstash`, `deno-kv`,
//! `cloudflare-kv` (at least a minute), `memory` from version 2 on (up to 24 days). With `fs`, `db0`, `mongodb`, `s3`
//! and others **entries never end**, without a word. Sessions end there only by what their own record says.
//!
//! Clearing lists and removes entries one by one, since unstorage's server acknowledges a `DELETE` of a base and does
//! nothing where the base is no mount. A listing is one answer, which has all keys of the prefix.
//!
//! # Versions of unstorage
//!
//! They differ in what they make of a path; [`Dialect`] says which server is meant. Keys of letters, digits, `-`, `_`,
//! `.` and `:`, as those of sessions are, stay the same in both.
//!
//! # Limits
//!
//! - A segment of a key that is `.` or `..` cannot be sent, since every HTTP client resolves it; it is refused.
//! - A key that ends in `$` is refused too: unstorage keeps the metadata of another key there, and does not list it.
//! - Under [`Dialect::V1`] the server drops empty values, so one is stored as the text `base64:=`, which unstorage reads
//!   as no bytes; that text itself is refused as a value.
//! - A value or a listing has 64 MiB at most, and 16 requests of a batch run at the same time.
//!
//! A 404 is a miss only if it comes from unstorage (it says `KV value not found`): one of a proxy is an error.

mod condition;
mod config;
mod driver;
mod path;
mod value;

pub use config::{Dialect, HttpOptions};
pub use driver::HttpDriver;
pub use http_support::SecretString;

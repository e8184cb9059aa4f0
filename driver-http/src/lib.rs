//! A [`session_core`] driver that keeps entries on another server, over the HTTP protocol of unstorage's storage server.
//!
//! ```
//! use driver_http::{HttpDriver, HttpOptions};
//! use session_core::Driver;
//!
//! let options = HttpOptions::new("https://storage.example/kv").with_token("from the environment");
//! let driver = HttpDriver::open(options)?;
//! assert!(!driver.capabilities().touch);
//! # Ok::<(), session_core::Error>(())
//! ```
//!
//! Use it to share the storage of a JavaScript server whose backend you cannot reach directly.
//!
//! # The protocol
//!
//! | operation | request |
//! |---|---|
//! | read | `GET /a/b` with `accept: application/octet-stream` |
//! | write | `PUT /a/b`; text as it is, other bytes with `content-type: application/octet-stream`; `x-ttl` in seconds |
//! | remove | `DELETE /a/b` |
//! | exists | `HEAD /a/b` |
//! | list | `GET /a/:` |
//!
//! Text that Rust writes is read by unstorage's `getItem`, and the other way round, byte for byte. Bytes that are not
//! UTF-8 use `setItemRaw` and `getItemRaw`. So does text that begins with `base64:`, unstorage's mark for encoded bytes,
//! so that no backend of the server mistakes it for such.
//!
//! Reads request raw bytes, since the server parses text and serializes it again: `1e3` would come back as `1000`. Some
//! backends store raw bytes apart from text, such as unstorage's `db0` in another column, and do not find text that way.
//! So after a miss the item is requested once more as text, which costs a miss a second request. Text that is found that
//! way is requested twice, to tell it from text that was written in between.
//!
//! # What the server can and cannot do
//!
//! The protocol of unstorage has no conditions and no touch. If two servers change one entry at the same time, the last
//! write wins and the other is lost. A session orders the changes of requests in one process and reads again before it
//! writes, which makes such a loss rare but not impossible.
//!
//! **`session-server`** speaks the same protocol over any driver of this project. It also supports conditions, by entity
//! tags, and fractions of seconds. It says when an entry expires (`x-ttl-ms`), and moves that by a touch (`PATCH /a/b` with
//! `x-ttl`). With [`Dialect::SessionServer`] conditions hold against all writers, and no change is lost.
//!
//! **The server handles expiry.** unstorage is sent the remaining time in whole seconds, rounded up, so an entry expires
//! up to a second late. It passes the time on to its own driver, and only some drivers use it: `redis`, `upstash`,
//! `deno-kv`, `cloudflare-kv` (at least a minute), and `memory` since version 2 (up to 24 days). With `fs`, `db0`,
//! `mongodb`, `s3` and others **entries never expire**, and no error is reported. Sessions still expire there by the
//! expiry in their own record.
//!
//! Clearing lists entries and removes them one by one, since unstorage's server accepts a `DELETE` of a base and does
//! nothing unless the base is a mount. A listing is one response with all keys of the prefix.
//!
//! # Versions of unstorage
//!
//! [`Dialect`] says which server is meant; it is that of the `unstorage` package in the server's `package.json`. Servers
//! before 1.17.6 and 2.0.0-beta.0 treat the percent-encoding of a path in ways of their own: use them only with keys of
//! letters, digits, `-`, `_`, `.` and `:`, such as those of sessions, which all versions have in common. Other keys are
//! then listed under another name, and a clear does not remove them.
//!
//! # Limits
//!
//! - A segment of a key cannot be `.` or `..`, since HTTP clients resolve these and servers refuse them. Such a key is
//!   refused before it is sent.
//! - A key that ends in `$` can be read, written and removed, but is not listed, since unstorage keeps metadata there.
//! - With [`Dialect::V1`] the server drops empty values, so an empty value is stored as the text `base64:=`, which
//!   unstorage reads as no bytes. That text itself is refused as a value.
//! - A value or a listing has at most 64 MiB, and a listing at most a million keys. Up to 16 requests of a batch run concurrently.
//! - A 404 is a miss only if it comes from unstorage, with the text `KV value not found`. A 404 of a proxy is an error.

mod condition;
mod config;
mod driver;
mod names;
mod path;
mod value;

pub use config::{Dialect, HttpOptions};
pub use driver::HttpDriver;
pub use http_support::{ApplicationClient, SecretString, reqwest};

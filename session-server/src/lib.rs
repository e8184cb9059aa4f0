//! A tower service that serves a [`Storage`] with the HTTP protocol of unstorage's server.
//!
//! Clients are unstorage's `http` driver in JavaScript, and the `driver-http` crate in Rust.
//!
//! ```
//! use std::sync::Arc;
//! use axum::Router;
//! use driver_memory::MemoryDriver;
//! use session_core::Result;
//! use session_server::{Authorization, Storage, StorageService};
//!
//! fn app(token: &str) -> Result<Router> {
//!     let storage = Storage::new(Arc::new(MemoryDriver::new()));
//!     let service = StorageService::new(storage, Authorization::token(token)?);
//!     Ok(Router::new().nest_service("/kv", service))
//! }
//! ```
//!
//! In JavaScript:
//!
//! ```js
//! createStorage({ driver: http({ base: "http://localhost:3000/kv", headers: { authorization: `Bearer ${token}` } }) })
//! ```
//!
//! It is a [tower](https://docs.rs/tower) service for requests with any body. Use it as a route of axum, directly on hyper,
//! or below any tower layer. [`Authorization`] says who may use it, and is required.
//!
//! # The protocol
//!
//! The path is the key, with `/` or `:` between its segments. A path that ends with either is a base. `PUT` and `HEAD` have
//! no meaning for a base, and address the item of that name.
//!
//! | request | response |
//! |---|---|
//! | `GET` of a key | the value: `application/octet-stream` if `Accept` asks for it or if it is not UTF-8, else `text/plain` |
//! | `HEAD` of a key | the same headers without the value |
//! | `PUT` to a key | stores the body, for `x-ttl` seconds if that header is present; `OK` |
//! | `PATCH` of a key | changes when the item expires, to `x-ttl` seconds from now; `OK` |
//! | `DELETE` of a key | removes the item and its metadata; `OK`, also if there is none |
//! | `GET` of a base | a JSON array of the full keys below it, with `/` as the separator |
//! | `DELETE` of a base | removes all items below it; `OK` |
//!
//! `GET` and `HEAD` of a key return the time of the last change in `last-modified`, if the driver or the metadata has it,
//! and the remaining seconds in `x-ttl`. Metadata is a separate item, under the key with `$` appended.
//!
//! # Expiry
//!
//! This extends unstorage's protocol, whose clients ignore it. `x-ttl` of a request may have a fraction, or be `never` for an
//! item that never expires. If the driver reports expiry, responses to `GET` and `HEAD` have the remaining milliseconds or
//! `never` in `x-ttl-ms`. `PATCH` has no body, and changes neither the value nor its tag.
//!
//! # Conditional requests
//!
//! This extends unstorage's protocol. `GET`, `HEAD` and `PUT` of a key return its version as an `etag`. `PUT` with
//! `if-none-match: *` stores the value only if the key is absent. `PUT` and `DELETE` with `if-match` change the item only if
//! it still has that tag. If the condition fails, the response is 412 and nothing is changed. A driver without conditional
//! writes returns no tags, and responds to conditions with 501. `PATCH` takes `if-match` too. The `session-server` dialect of `driver-http` uses this, so
//! that the sessions of several servers lose no update.
//!
//! # Status codes
//!
//! | status | reason |
//! |---|---|
//! | 400 | the key is invalid, a text is not UTF-8, or `x-ttl` is not a number of seconds |
//! | 401, 403 | denied by [`Authorization`] |
//! | 404 | there is no such item |
//! | 405 | another method; `Allow` lists the valid ones |
//! | 408 | the body took longer than [`DEFAULT_BODY_TIMEOUT`] |
//! | 412 | the condition failed |
//! | 413, 414 | the body is larger than [`DEFAULT_MAX_BODY`] or the key longer than [`DEFAULT_MAX_KEY`]; or larger than the driver allows |
//! | 501 | the driver does not support the operation or the condition |
//! | 504 | the storage took longer than [`DEFAULT_OPERATION_TIMEOUT`], or the driver longer than its own timeout |
//! | 500 to 503 | the driver failed; the log has the error |
//!
//! An error is JSON with the fields of both unstorage 1 and 2: `statusCode` and `statusMessage`, `status`, `statusText` and
//! `message`.
//!
//! # Differences from unstorage's servers
//!
//! The clients of unstorage 1.17 and 2.0 send and expect different headers. One response works for both. Where their
//! servers differ, or both have a bug:
//!
//! | | 1.17 | 2.0 | here |
//! |---|---|---|---|
//! | percent-encoding in the path | decoded | part of the key | decoded once |
//! | `PUT` with an empty body | does nothing | stores an empty text | stores an empty text |
//! | `GET` of a text | parsed and serialized again | the same | as stored |
//! | `GET` of the text `null` | 404, but `HEAD` returns 200 | the same | 200 |
//! | `DELETE` of a base | does nothing unless it is a mount | the same | clears it |
//! | `Accept` with several types | not understood | the same | understood |
//! | `x-ttl` that is not a number, or negative | ignored, or passed on | the same | 400 |
//! | 405 | without `Allow` | the same | with `Allow` |
//! | `cache-control` | `max-age`, although values may change | the same | `no-store` |
//! | content type of a value | `text/html` | `text/plain` | `text/plain` with `nosniff` |
//! | errors | with a stack trace | without | without, and without the driver's error |
//!
//! # Limits
//!
//! A listing is streamed, and needs little memory whatever its length. If it fails after it has started, the connection is
//! closed. A value is held in memory as a whole, one per request: limit the number of concurrent requests with a layer. The
//! HTTP server must limit the size of the request head, the time it takes, and the number of connections.

mod authorization;
mod body;
mod headers;
mod listing;
mod local;
mod precondition;
mod response;
mod service;
mod target;

pub use authorization::{Access, AccessKind, AccessTarget, Authorization, Denied};
pub use body::ResponseBody;
pub use secrecy::SecretString;
pub use service::{
    DEFAULT_BODY_TIMEOUT, DEFAULT_MAX_BODY, DEFAULT_MAX_KEY, DEFAULT_OPERATION_TIMEOUT,
    StorageService,
};

#[doc(no_inline)]
pub use session_core::DEFAULT_CLEAR_TIMEOUT;
#[doc(no_inline)]
pub use session_storage::Storage;

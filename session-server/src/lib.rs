//! Serves a [`Storage`] by the HTTP protocol of unstorage's server, so that its `http` driver works on it from
//! JavaScript.
//!
//! ```
//! use std::sync::Arc;
//! use axum::Router;
//! use driver_memory::MemoryDriver;
//! use session_core::{Result, storage::Storage};
//! use session_server::{Authorization, StorageService};
//!
//! fn app(token: &str) -> Result<Router> {
//!     let storage = Storage::new(Arc::new(MemoryDriver::new()));
//!     let service = StorageService::new(storage, Authorization::token(token)?);
//!     Ok(Router::new().nest_service("/kv", service))
//! }
//! ```
//!
//! and in JavaScript:
//!
//! ```js
//! createStorage({ driver: http({ base: "http://localhost:3000/kv", headers: { authorization: `Bearer ${token}` } }) })
//! ```
//!
//! It is a [tower](https://docs.rs/tower) service of any body, so it goes into axum, onto hyper, and below any layer.
//! Who may do what has to be [said](Authorization) when it is made.
//!
//! # The protocol
//!
//! The path is the key, with `/` or `:` between its segments. One that ends with either is a base.
//!
//! | request | answer |
//! |---|---|
//! | `GET` of a key | its value: `text/plain`, or `application/octet-stream` if `Accept` asks for that or it is no text |
//! | `HEAD` of a key | the same without the value |
//! | `PUT` to a key | stores the body for `x-ttl` seconds, if that header is there; `OK` |
//! | `DELETE` of a key | removes the item and its metadata, if there are any; `OK` |
//! | `GET` of a base | a JSON array of the keys below it, whole and with `/` |
//! | `DELETE` of a base | removes all below it; `OK` |
//!
//! `GET` and `HEAD` of a key tell by `last-modified` when it was last written, where the driver or its metadata says,
//! and by `x-ttl` how many seconds it still has. Metadata is an item of its own, under the key with `$` behind.
//!
//! # Conditions
//!
//! Beyond unstorage's protocol, `GET`, `HEAD` and `PUT` of a key tell its version as an `etag`, and a change takes
//! conditions as HTTP has them: `PUT` with `if-none-match: *` stores only where nothing is, and `PUT` and `DELETE` with
//! `if-match` and a tag change only what still has it. One that does not hold is answered by 412, and nothing is changed.
//! A driver without conditions has no tags, and answers them by 501. `driver-http` uses this under the dialect
//! `session-server`, so that sessions of many servers lose no update over it.
//!
//! # Statuses
//!
//! | status | when |
//! |---|---|
//! | 400 | the key cannot be used, a text is not UTF-8, or `x-ttl` is not a number of seconds |
//! | 401, 403 | [`Authorization`] says no |
//! | 404 | there is no such item |
//! | 405 | the method is none of these; `Allow` has those |
//! | 408 | the body took longer than [`DEFAULT_BODY_TIMEOUT`] |
//! | 412 | the condition does not hold |
//! | 413, 414 | the body is over [`DEFAULT_MAX_BODY`], or the key over [`DEFAULT_MAX_KEY`]; or over what the driver takes |
//! | 501 | what is stored cannot be changed or listed so, or not on a condition |
//! | 500 to 504 | the driver failed; the log says how |
//!
//! An error is JSON with the fields that unstorage 1 and 2 give: `statusCode` and `statusMessage`, and `status`,
//! `statusText` and `message`.
//!
//! # Two dialects, and neither's faults
//!
//! Clients of unstorage 1.17 and 2.0 differ in the headers that they send and expect; one answer serves both. Where
//! the servers do, or both are wrong:
//!
//! | | 1.17 | 2.0 | here |
//! |---|---|---|---|
//! | percent-encoding in the path | decoded | part of the key | decoded, once |
//! | `PUT` of nothing | does nothing | stores an empty text | stores an empty text |
//! | `GET` of a text | parsed and written anew | the same | as it is stored |
//! | `GET` of the text `null` | 404, where `HEAD` gives 200 | the same | 200 |
//! | `DELETE` of a base | does nothing, where it is no mount | the same | clears it |
//! | `Accept` with more than one type | not understood | the same | understood |
//! | an `x-ttl` that is no number, or negative | ignored, or passed on | the same | 400 |
//! | 405 | without `Allow` | the same | with it |
//! | `cache-control` | `max-age`, though the value may change | the same | `no-store` |
//! | content type of a value | `text/html` | `text/plain` | `text/plain`, never to be sniffed |
//! | errors | the stack, too | no stack | no stack, and nothing of the driver's error |
//!
//! # Limits
//!
//! A listing streams, and takes as little memory for a million keys as for one; an error after it has begun breaks
//! the connection off. A value is in memory as a whole, one for each request: limit the number of requests by a
//! layer. The head of a request is for the server below to limit, in size and time; connections are, too.

mod answer;
mod authorization;
mod body;
mod headers;
mod listing;
mod precondition;
mod service;
mod target;

pub use authorization::{Access, AccessKind, Authorization, Denied};
pub use body::ResponseBody;
pub use service::{DEFAULT_BODY_TIMEOUT, DEFAULT_MAX_BODY, DEFAULT_MAX_KEY, StorageService};

#[doc(no_inline)]
pub use session_core::storage::Storage;

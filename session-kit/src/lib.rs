//! Sessions for Rust servers: every driver and integration behind one dependency.
//!
//! ```
//! # #[cfg(all(feature = "axum", feature = "memory"))]
//! # mod app {
//! use axum::{Router, routing::get};
//! use session_kit::{Session, SessionLayer};
//!
//! async fn visits(session: Session) -> Result<String, session_kit::Error> {
//!     let n = session.update("visits", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
//!     Ok(format!("visit number {n}"))
//! }
//!
//! async fn app() -> Result<Router, session_kit::Error> {
//!     let sessions = SessionLayer::from_toml("session.toml").await?;
//!     Ok(Router::new().route("/", get(visits)).layer(sessions))
//! }
//! # }
//! ```
//!
//! with a `session.toml` of
//!
//! ```toml
//! driver = "sqlite"
//!
//! [options]
//! path = "sessions.db"
//! ```
//!
//! - [`session`] documents the methods of a [`Session`].
//! - [`SessionSettings`] lists the settings.
//! - [`Driver`] is the contract of a driver, with an example of your own.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `axum` | yes | [`Session`] as an axum extractor, [`Error`] as an axum response |
//! | `tower` | with `axum` | the layer for any tower HTTP service |
//! | `cloudflare-kv` | no | `driver = "cloudflare-kv"`: Cloudflare KV over its REST API |
//! | `dynamodb` | no | `driver = "dynamodb"`: a table of Amazon DynamoDB; the AWS SDK is slow to compile |
//! | `fs` | no | `driver = "fs"`: a folder of files, as unstorage and Astro write them |
//! | `server` | no | [`server`]: serves a [`Storage`](storage::Storage) over HTTP, with the protocol of unstorage |
//! | `actix` | no | the middleware for actix-web, and [`Session`] as its extractor: the module `actix` |
//! | `cookie` | no | `driver = "cookie"`: the session is stored in the visitor's cookie only |
//! | `http` | no | `driver = "http"`: an HTTP server with the protocol of unstorage |
//! | `memory` | yes | `driver = "memory"`: the memory of the process |
//! | `near-cache` | no | `near_cache = true`: entries that are read often stay in the memory of the process, see [`decorators`] |
//! | `postgres` | no | `driver = "postgres"`: a PostgreSQL database, with unstorage's table |
//! | `redis` | no | `driver = "redis"`: Redis or Valkey, standalone, with Sentinel or as a cluster, with unstorage's keys |
//! | `sqlite` | no | `driver = "sqlite"`: a SQLite file, with unstorage's table |
//! | `upstash` | no | `driver = "upstash"`: Upstash Redis over its REST API, with unstorage's keys |

#[cfg(feature = "actix")]
pub mod actix;
pub mod drivers;
#[cfg(feature = "tower")]
mod layer;
mod open;
mod registry;

pub use session_core::session::{
    self, Lifetime, Session, SessionEvent, SessionId, SessionManager, SessionManagerBuilder,
    SessionStorage, TypedSession, create_session_storage,
};
// The whole contract, so that a driver can be written against this crate alone.
pub use session_core::{
    BoxStream, Bytes, Capabilities, Change, ChangeKind, Clock, Conditions, ConflictState,
    Consistency, CookieOptions, Cursor, DEFAULT_CLEAR_TIMEOUT, DEFAULT_COOKIE_NAME,
    DEFAULT_PAGE_SIZE, DEFAULT_TIMEOUT, Driver, DriverExt, DriverFuture, Entry, Error, ErrorKind,
    Expiry, Fingerprint, Idempotency, InvalidationListener, Key, ListOptions, ListPage, Listing,
    ManualClock, Metadata, OnCommitError, OnCorruptRecord, OnLostChange, Operations, Outcome,
    Prefix, PreviousCookie, RemoveOptions, RemoveOutcome, Result, RetryPolicy, SameSite,
    SessionSettings, SystemClock, Timestamp, TouchOptions, Version, Write, WriteCondition,
    WriteOptions, WriteOutcome, async_trait, config, decorators, delegate_driver, session_data,
    worker,
};
#[cfg(feature = "server")]
pub use session_server as server;
pub use session_storage as storage;
#[cfg(feature = "tower")]
pub use session_tower::{CommitError, Sessions};
#[cfg(feature = "axum")]
pub use session_tower::{MissingSessionLayer, ResponseError};

#[cfg(feature = "tower")]
pub use layer::SessionLayer;
#[cfg(feature = "memory")]
pub use open::create_memory_session_storage;
pub use open::open_manager;
pub use registry::registry;
#[cfg(feature = "cookie")]
pub use session_core::session::create_cookie_session_storage;

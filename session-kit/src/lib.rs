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
//! What a [`Session`] does is in the documentation of [`session`]; what a driver must do, and how to write one,
//! in that of [`Driver`].
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `axum` | yes | [`Session`] as an axum extractor, [`Error`] as an axum response |
//! | `tower` | with `axum` | the layer for any tower HTTP service |
//! | `dynamodb` | no | `driver = "dynamodb"`: a table of Amazon DynamoDB; AWS's SDK takes a while to compile |
//! | `fs` | no | `driver = "fs"`: a folder of files, as unstorage and Astro write them |
//! | `server` | no | [`server`]: a [`Storage`](storage::Storage) over HTTP, by the protocol of unstorage |
//! | `http` | no | `driver = "http"`: a server that speaks the protocol of unstorage's |
//! | `memory` | yes | `driver = "memory"`: the memory of the process |
//! | `redis` | no | `driver = "redis"`: Redis or Valkey, alone, under sentinels or as a cluster, on the keys that unstorage writes |
//! | `sqlite` | no | `driver = "sqlite"`: a SQLite file, on the table that unstorage writes |

pub mod drivers;
#[cfg(feature = "tower")]
mod layer;
mod registry;

pub use session_core::session::{self, Session, SessionStore};
pub use session_core::{
    Bytes, Capabilities, Change, ChangeKind, Conditions, Consistency, Driver, DriverExt, Entry,
    Error, ErrorKind, Expiry, Fingerprint, Key, Listing, Metadata, Outcome, Prefix, Result,
    Timestamp, Version, WriteCondition, WriteOptions, WriteOutcome, config, decorators, storage,
};
#[cfg(feature = "server")]
pub use session_server as server;
#[cfg(feature = "tower")]
pub use session_tower::{CommitError, Sessions};
#[cfg(feature = "axum")]
pub use session_tower::{MissingSessionLayer, ResponseError};

#[cfg(feature = "tower")]
pub use layer::SessionLayer;
pub use registry::registry;

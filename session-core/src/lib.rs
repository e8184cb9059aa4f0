//! Session storage for Rust servers with pluggable drivers.
//!
//! ```
//! use std::sync::Arc;
//! use session_core::{Driver, DriverExt, Result};
//!
//! async fn greet(driver: Arc<dyn Driver>) -> Result<()> {
//!     driver.put("greeting", "hello").await?;
//!     assert_eq!(driver.get("greeting").await?.as_deref(), Some(b"hello".as_slice()));
//!     Ok(())
//! }
//! ```
//!
//! Without features this crate is what a driver needs: the [`Driver`] trait with its types, and the
//! [`decorators`]. Typed values by key, over any driver and without sessions, are in the `session-storage` crate. An
//! application usually takes the `session-kit` crate, which brings drivers and integrations along.
//!
//! | feature | adds |
//! |---|---|
//! | `config` | drivers picked by name, typed options, configuration from TOML |
//! | `session` | sessions, their manager and their cookie |
//! | `cookie-session` | sessions whose data lives in the cookie |
//! | `actix` | the session as an actix-web extractor, errors as its responses |
//! | `axum` | the session as an axum extractor, errors as axum responses |

#[cfg(feature = "actix")]
pub mod actix;
#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "config")]
pub mod config;
pub mod decorators;
#[cfg(feature = "session")]
pub mod session;
pub mod worker;

mod capabilities;
mod clock;
mod condition;
mod delegate;
mod driver;
mod driver_ext;
#[cfg(any(feature = "config", feature = "session"))]
pub mod durations;
mod entry;
mod error;
mod expiry;
#[cfg(feature = "config")]
mod file_mode;
mod fingerprint;
#[cfg(any(feature = "config", feature = "session"))]
mod into_arc;
mod invalidation;
mod key;
mod list;
mod operations;
#[cfg(any(feature = "config", feature = "session"))]
mod policies;
mod retry;
#[cfg(any(feature = "config", feature = "session"))]
mod settings;
#[cfg(test)]
mod test_support;
mod timestamp;
mod version;

pub use async_trait::async_trait;
pub use bytes::Bytes;
pub use futures_core::stream::BoxStream;

pub use capabilities::{Capabilities, Conditions, Consistency, Listing};
pub use clock::{Clock, ManualClock, SystemClock};
pub use condition::{
    ConflictState, RemoveOptions, RemoveOutcome, TouchOptions, WriteCondition, WriteOptions,
    WriteOutcome,
};
pub use driver::{Change, ChangeKind, Driver, DriverFuture, Write};
pub use driver_ext::DriverExt;
pub use entry::{Entry, Metadata};
pub use error::{Error, ErrorKind, Outcome, Result};
pub use expiry::Expiry;
pub use fingerprint::Fingerprint;
pub use invalidation::InvalidationListener;
pub use key::{Key, Prefix};
pub use list::{Cursor, DEFAULT_PAGE_SIZE, ListOptions, ListPage};
pub use operations::{DEFAULT_CLEAR_TIMEOUT, DEFAULT_TIMEOUT, Operations};
#[cfg(any(feature = "config", feature = "session"))]
pub use policies::{OnCommitError, OnCorruptRecord, OnLostChange};
pub use retry::{Idempotency, RetryPolicy};
#[cfg(any(feature = "config", feature = "session"))]
pub use settings::{CookieOptions, DEFAULT_COOKIE_NAME, PreviousCookie, SameSite, SessionSettings};
pub use timestamp::Timestamp;
pub use version::Version;

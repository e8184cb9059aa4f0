//! Drivers that wrap other drivers: key prefix, timeout, tracing, retries, layers, read-only access, a cache in memory.
//!
//! Each wraps a [`Driver`](crate::Driver) and implements `Driver`, so they nest. The recommended order, from the caller
//! to the backend, is:
//!
//! ```text
//! Prefixed → Traced → NearCache → Timeout → Retry → backend
//! ```
//!
//! [`Retry`] is next to the backend, inside [`Timeout`]: the timeout then limits all attempts together, and one
//! operation is one span of a trace. A backend that can hang also needs a timeout for each attempt. Network drivers have
//! one; for other drivers, put a second, shorter [`Timeout`] inside [`Retry`].
//!
//! `NearCache`, with feature `near-cache`, is outside [`Timeout`], so that its probes and the reads that several callers
//! share are limited too, and inside [`Traced`], which then shows what callers see.
//!
//! [`Traced`] is outside [`Timeout`], so that an operation that timed out is traced with the error that its caller got.
//! The other way round, its span would end without an outcome. [`Prefixed`] is outside both, so that traces show the
//! fingerprint of the backend's key. [`ReadOnly`] and [`Overlay`] are outermost, over drivers that are decorated.

#[cfg(feature = "near-cache")]
mod near_cache;
mod overlay;
mod prefix;
mod read_only;
mod retry;
mod timeout;
mod trace;

#[cfg(feature = "near-cache")]
pub use near_cache::{NearCache, NearCacheOptions};
pub use overlay::Overlay;
pub use prefix::Prefixed;
pub use read_only::ReadOnly;
pub use retry::Retry;
pub use timeout::Timeout;
pub use trace::Traced;

//! Drivers over drivers: a key prefix, a timeout, tracing.
//!
//! Each wraps any [`Driver`](crate::Driver) and is one, so they nest. From the caller to the backend the
//! order is:
//!
//! ```text
//! Prefixed → Traced → Timeout → backend
//! ```
//!
//! [`Traced`] stands outside of [`Timeout`], so that an operation which ran out of time is traced as the
//! error that its caller got; the other way round its span would be cut off without a word.
//! [`Prefixed`] stands outside of both, so that traces show the fingerprint of the key as the backend
//! has it.

mod prefix;
mod timeout;
mod trace;

pub use prefix::Prefixed;
pub use timeout::{DEFAULT_CLEAR_TIMEOUT, DEFAULT_TIMEOUT, Timeout};
pub use trace::Traced;

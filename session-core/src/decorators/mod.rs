//! Drivers over drivers: a key prefix, a timeout, tracing, retries, layers, and one that only reads.
//!
//! Each wraps any [`Driver`](crate::Driver) and is one, so they nest. From the caller to the backend the
//! order is:
//!
//! ```text
//! Prefixed → Traced → Timeout → Retry → backend
//! ```
//!
//! [`Retry`] stands next to the backend, within [`Timeout`]: then a caller waits for all tries together no longer
//! than the set time, and one operation is one span of a trace, however often it was tried. A backend that can hang
//! needs a time for each try too. Drivers over a network bring their own; for one that does not, a second
//! [`Timeout`], shorter than the first, goes below [`Retry`].
//!
//! [`Traced`] stands outside of [`Timeout`], so that an operation which ran out of time is traced as the
//! error that its caller got; the other way round its span would be cut off without a word.
//! [`Prefixed`] stands outside of both, so that traces show the fingerprint of the key as the backend
//! has it. [`ReadOnly`] and [`Overlay`] stand outermost, each over drivers that are decorated as they are.

mod overlay;
mod prefix;
mod read_only;
mod retry;
mod timeout;
mod trace;

pub use overlay::Overlay;
pub use prefix::Prefixed;
pub use read_only::ReadOnly;
pub use retry::Retry;
pub use timeout::Timeout;
pub use trace::Traced;

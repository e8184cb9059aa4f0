//! Times of configuration as [`Duration`]s, for `#[serde(deserialize_with = …)]` in the options of a driver.
//!
//! ```
//! use serde::Deserialize;
//! use session_core::config::durations;
//! use std::time::Duration;
//!
//! #[derive(Deserialize)]
//! struct ShelfOptions {
//!     #[serde(deserialize_with = "durations::seconds")]
//!     timeout: Duration,
//!     #[serde(default, deserialize_with = "durations::optional_seconds")]
//!     ttl: Option<Duration>,
//! }
//! ```

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::{Lifetime, Seconds};

/// A number of [`Seconds`].
pub fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    Seconds::deserialize(from).map(Seconds::as_duration)
}

/// A number of [`Seconds`], for a field that has `#[serde(default)]`.
pub fn optional_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    seconds(from).map(Some)
}

/// A [`Lifetime`]: `None` for `"never"`.
pub fn lifetime<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    Lifetime::deserialize(from).map(Lifetime::as_duration)
}

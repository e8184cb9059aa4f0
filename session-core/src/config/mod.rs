//! Drivers by name, typed options, and configuration from TOML.
//!
//! ```
//! use session_core::config::SessionConfig;
//!
//! let config = SessionConfig::from_toml_str(r#"
//!     driver = "upstash"            # or { name = "upstash", … } with the options in it
//!     ttl = 3600                    # seconds
//!     cookie = "my-session-id"      # or a table
//!
//!     [options]                     # the driver's own
//!     base = "sessions"
//!     token = { env = "UPSTASH_REDIS_REST_TOKEN" }
//! "#)?;
//! assert_eq!(config.driver, "upstash");
//! assert_eq!(config.settings.cookie.name, "my-session-id");
//! # Ok::<(), session_core::Error>(())
//! ```
//!
//! [`SessionConfig`] is the configuration of an application. [`Registry`] knows the drivers. A driver implements
//! [`DriverOptions`] to be registered. A configuration becomes a driver in these steps:
//!
//! 1. [`SessionConfig::from_toml_str`] reads the TOML and the settings.
//! 2. [`SessionConfig::open_driver`] passes the name and the options to [`Registry::open`].
//! 3. [`Registry::open`] parses the options into the driver's own type with [`Options::parse`], and calls its
//!    [`DriverOptions::open`].
//!
//! Every mistake is an error of kind [`InvalidConfig`](crate::ErrorKind::InvalidConfig) that names the setting, or the
//! driver and the option, and the most similar valid name. No error and no `Debug` output of this module shows the value
//! of an option, which may be a secret. They do show the names of settings, options, drivers, environment variables and
//! files.

mod context;
#[cfg(test)]
mod hostile_toml;
mod names;
mod options;
mod problem;
mod registry;
mod session_config;
mod toml_text;
mod typed;

pub use context::ConfigContext;
pub use options::{OptionValue, Options};
pub use registry::{DriverOptions, NoOptions, Registry};
pub use session_config::{Backend, SessionConfig};

pub use crate::file_mode::file_mode;

/// Durations in the options of a driver, for `#[serde(deserialize_with = …)]`.
///
/// ```
/// use serde::Deserialize;
/// use session_core::config::durations;
/// use std::time::Duration;
///
/// #[derive(Deserialize)]
/// struct ShelfOptions {
///     #[serde(deserialize_with = "durations::seconds")]
///     timeout: Duration,
///     #[serde(default, deserialize_with = "durations::optional_seconds")]
///     ttl: Option<Duration>,
/// }
/// ```
pub mod durations {
    pub use crate::durations::{lifetime, optional_seconds, seconds};
}

//! Drivers by name, typed options, and configuration from TOML.
//!
//! ```
//! use session_core::config::{Lifetime, SessionConfig};
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
//! assert_eq!(config.cookie.name.as_deref(), Some("my-session-id"));
//! # Ok::<(), session_core::Error>(())
//! ```
//!
//! [`SessionConfig`] is what an application configures, [`Registry`] knows the drivers, and
//! [`DriverOptions`] is what a driver implements to be in it.
//!
//! Every mistake is an error of kind [`InvalidConfig`](crate::ErrorKind::InvalidConfig) that names the setting,
//! or the driver and the option, and the nearest right name. No error and no `Debug` of this module shows a
//! configured value, which may be a secret; names of settings, options, drivers, environment variables and
//! files are shown.

mod context;
mod cookie;
pub mod durations;
mod env;
#[cfg(test)]
mod hostile_toml;
mod names;
mod options;
mod problem;
mod registry;
mod seconds;
mod session_config;
mod toml_text;
mod typed;
mod value;

pub use context::ConfigContext;
pub use cookie::{CookieConfig, SameSiteConfig};
pub use options::{OptionValue, Options};
pub use registry::{DriverOptions, NoOptions, Registry};
pub use seconds::{Lifetime, Seconds};
pub use session_config::{Backend, SessionConfig};

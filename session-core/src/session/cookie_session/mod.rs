//! Sessions that are stored in the visitor's cookie only.

mod backing;
#[cfg(feature = "config")]
mod config;
mod jwt;
mod jwt_record;
mod options;
mod request;
mod sealed;
mod secret;

pub(crate) use backing::CookieBacking;
#[cfg(feature = "config")]
pub(crate) use config::options_from;
pub use options::{CookieFormat, CookieSessionOptions, MAX_PARTS};
pub use secret::{SHORTEST_SECRET, Secret};

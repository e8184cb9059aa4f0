//! Cookies that a deploy has replaced.

use serde::Deserialize;

use super::CookieOptions;
use super::cookie_scope::{CookieScope, is_bound_to_host};

/// A session cookie of an earlier version of the application, which responses remove.
///
/// Browsers tell cookies apart by name, domain and path. If a deploy changes one of these, visitors who were there before
/// have two cookies, and send both.
///
/// ```
/// use session_core::{CookieOptions, PreviousCookie};
///
/// // It was `sid` for all of example.com.
/// let previous = PreviousCookie::default().with_name("sid").with_domain("example.com");
/// let cookie = CookieOptions::default().with_name("__Host-shop").with_previous(previous);
/// assert!(cookie.validate().is_ok());
/// ```
///
/// Name only what has changed: a part that is `None` is as in [`CookieOptions`]. If these have a domain, a previous cookie
/// without one is removed for the host alone as well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PreviousCookie {
    /// The name that the cookie had.
    pub name: Option<String>,
    /// The domain that the cookie had.
    pub domain: Option<String>,
    /// The path that the cookie had.
    pub path: Option<String>,
}

impl PreviousCookie {
    /// Sets the [name](Self::name).
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the [domain](Self::domain).
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sets the [path](Self::path).
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// What browsers know the cookie by, where `now` is the cookie of today.
    pub(super) fn scope<'a>(&'a self, now: &'a CookieOptions) -> CookieScope<'a> {
        let name = self.name.as_deref().unwrap_or(&now.name);
        let (domain, path) = match is_bound_to_host(name) {
            true => (None, "/"),
            false => (now.domain.as_deref(), now.path.as_str()),
        };
        CookieScope {
            name,
            domain: self.domain.as_deref().or(domain),
            path: self.path.as_deref().unwrap_or(path),
        }
    }
}

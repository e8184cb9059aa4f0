use std::sync::Arc;

use super::cookie_session::CookieBacking;
use crate::{Capabilities, Driver, Error, ErrorKind, Result};

/// Where the sessions of a manager are stored: in a driver, or in the cookies of the visitors.
#[derive(Clone, Debug)]
pub(crate) enum Backing<C = CookieBacking> {
    Driver(Arc<dyn Driver>),
    /// The cookie backing; before the manager is built, only its options.
    #[cfg_attr(
        not(feature = "cookie-session"),
        expect(dead_code, reason = "C is empty")
    )]
    Cookie(C),
}

impl<C> Backing<C> {
    pub(crate) fn cookie(&self) -> Option<&C> {
        match self {
            Self::Cookie(cookie) => Some(cookie),
            Self::Driver(_) => None,
        }
    }

    /// The driver; an error where sessions are stored in cookies.
    pub(crate) fn driver(&self) -> Result<&Arc<dyn Driver>> {
        match self {
            Self::Driver(driver) => Ok(driver),
            Self::Cookie(_) => Err(Error::new(
                ErrorKind::Unsupported,
                "sessions are stored in the visitors' cookies, so the server has only that of the request; store \
                 them in a driver to open, list or destroy others",
            )
            .with_context("cookie", "open")),
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Driver(driver) => driver.name(),
            Self::Cookie(_) => "cookie",
        }
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        match self {
            Self::Driver(driver) => driver.capabilities(),
            Self::Cookie(_) => Capabilities::default()
                .with_reports_expiry(true)
                .with_touch(true),
        }
    }
}

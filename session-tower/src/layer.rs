//! The session layer.

use std::time::Duration;

use session_core::session::{CookieOptions, SessionManager, SessionSettings};
use session_core::{Driver, Result};
use tower_layer::Layer;

use crate::SessionService;

/// A layer that gives each request a [`Session`](crate::Session) and commits it before the response is sent.
///
/// ```
/// use axum::{routing::get, Router};
/// use driver_memory::MemoryDriver;
/// use session_tower::{Session, SessionLayer};
///
/// async fn visits(session: Session) -> Result<String, session_core::Error> {
///     let n = session.update("visits", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
///     Ok(format!("visit number {n}"))
/// }
///
/// # fn app() -> Router {
/// let sessions = SessionLayer::new(MemoryDriver::new());
/// Router::new().route("/", get(visits)).layer(sessions)
/// # }
/// ```
///
/// It is cheap to clone; clones share one layer. Keep a clone and call [`close`](Self::close) when the server has
/// stopped.
#[derive(Clone, Debug)]
pub struct SessionLayer {
    manager: SessionManager,
}

impl SessionLayer {
    /// Creates a layer with sessions in `driver` and default settings.
    pub fn new(driver: impl Driver) -> Self {
        Self::from_manager(SessionManager::new(driver))
    }

    /// Creates a layer with the sessions and settings of `manager`.
    pub fn from_manager(manager: SessionManager) -> Self {
        Self { manager }
    }

    /// Creates a layer from `config`, with the driver that it names.
    #[cfg(feature = "config")]
    pub async fn from_config(
        config: &session_core::config::SessionConfig,
        registry: &session_core::config::Registry,
    ) -> Result<Self> {
        SessionManager::from_config(config, registry)
            .await
            .map(Self::from_manager)
    }

    /// Sets the cookie.
    ///
    /// A cookie that browsers would reject is an error of kind [`InvalidConfig`](session_core::ErrorKind::InvalidConfig).
    ///
    /// ```
    /// use driver_memory::MemoryDriver;
    /// use session_core::session::CookieOptions;
    /// use session_tower::{Error, SessionLayer};
    ///
    /// fn sessions() -> Result<SessionLayer, Error> {
    ///     SessionLayer::new(MemoryDriver::new()).with_cookie(CookieOptions::default().with_name("shop"))
    /// }
    /// ```
    pub fn with_cookie(self, cookie: CookieOptions) -> Result<Self> {
        self.with(|settings| settings.cookie = cookie)
    }

    /// Sets the [idle timeout](SessionSettings::idle_timeout); `None` disables it, zero is an error.
    pub fn with_idle_timeout(self, timeout: impl Into<Option<Duration>>) -> Result<Self> {
        self.with(|settings| settings.idle_timeout = timeout.into())
    }

    /// Sets the [absolute timeout](SessionSettings::absolute_timeout); `None` disables it, zero is an error.
    pub fn with_absolute_timeout(self, timeout: impl Into<Option<Duration>>) -> Result<Self> {
        self.with(|settings| settings.absolute_timeout = timeout.into())
    }

    fn with(self, change: impl FnOnce(&mut SessionSettings)) -> Result<Self> {
        let mut settings = self.manager.settings().clone();
        change(&mut settings);
        self.with_settings(settings)
    }

    /// Replaces all settings; an error if they are not valid together.
    ///
    /// The result does not share state with earlier clones, so set everything before you clone the layer.
    pub fn with_settings(self, settings: SessionSettings) -> Result<Self> {
        self.manager.with_settings(settings).map(Self::from_manager)
    }

    /// Returns the manager, for work outside of requests.
    pub fn manager(&self) -> &SessionManager {
        &self.manager
    }

    /// Waits for running commits, including those of disconnected clients, at most for `timeout`, and closes the driver.
    pub async fn close(&self, timeout: Duration) -> Result<()> {
        self.manager.close(timeout).await
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> SessionService<S> {
        SessionService::new(inner, self.manager.clone())
    }
}

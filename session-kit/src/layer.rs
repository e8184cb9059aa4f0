//! The session layer, with constructors from a configuration.

use std::path::Path;
use std::time::Duration;

use session_core::config::{Registry, SessionConfig};
use session_core::session::{CookieOptions, SessionManager, SessionSettings};
use session_core::{Driver, Result};
use tower_layer::Layer;

use crate::registry;

/// A layer that gives each request a [`Session`](crate::Session) and commits it before the response is sent.
///
/// ```
/// use axum::{Router, routing::get};
/// use session_kit::{Session, SessionLayer};
///
/// async fn visits(session: Session) -> Result<String, session_kit::Error> {
///     let n = session.update("visits", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
///     Ok(format!("visit number {n}"))
/// }
///
/// async fn app() -> Result<Router, session_kit::Error> {
///     let sessions = SessionLayer::from_toml("session.toml").await?;
///     Ok(Router::new().route("/", get(visits)).layer(sessions))
/// }
/// ```
///
/// It is the layer of `session-tower`, with constructors for a configuration that names any driver of this build. The
/// [documentation of that crate](session_tower) describes its behaviour. Keep a clone and call [`close`](Self::close)
/// when the server has stopped.
#[derive(Clone, Debug)]
pub struct SessionLayer(session_tower::SessionLayer);

impl SessionLayer {
    /// Creates a layer from the TOML file at `path`. Relative paths in it are relative to its folder.
    pub async fn from_toml(path: impl AsRef<Path> + Send) -> Result<Self> {
        let config = SessionConfig::from_toml_file(path).await?;
        Self::from_config(&config).await
    }

    /// Creates a layer from `config`, with a driver of this build.
    pub async fn from_config(config: &SessionConfig) -> Result<Self> {
        Self::from_config_with(config, &registry()).await
    }

    /// Creates a layer from `config`, with a driver of `registry`, which may include your own drivers.
    pub async fn from_config_with(config: &SessionConfig, registry: &Registry) -> Result<Self> {
        session_tower::SessionLayer::from_config(config, registry)
            .await
            .map(Self)
    }

    /// Creates a layer with sessions in `driver` and default settings.
    pub fn new(driver: impl Driver) -> Self {
        Self(session_tower::SessionLayer::new(driver))
    }

    /// Creates a layer with the sessions and settings of `manager`.
    pub fn from_manager(manager: SessionManager) -> Self {
        Self(session_tower::SessionLayer::from_manager(manager))
    }

    /// Sets the cookie.
    ///
    /// A cookie that browsers would reject is an error of kind [`InvalidConfig`](crate::ErrorKind::InvalidConfig).
    ///
    /// ```
    /// use session_kit::{CookieOptions, Result, SessionLayer, drivers::MemoryDriver};
    ///
    /// fn sessions() -> Result<SessionLayer> {
    ///     SessionLayer::new(MemoryDriver::new()).with_cookie(CookieOptions::default().with_name("shop"))
    /// }
    /// ```
    pub fn with_cookie(self, cookie: CookieOptions) -> Result<Self> {
        self.0.with_cookie(cookie).map(Self)
    }

    /// Sets the [idle timeout](SessionSettings::idle_timeout); `None` disables it, zero is an error.
    pub fn with_idle_timeout(self, timeout: impl Into<Option<Duration>>) -> Result<Self> {
        self.0.with_idle_timeout(timeout).map(Self)
    }

    /// Sets the [absolute timeout](SessionSettings::absolute_timeout); `None` disables it, zero is an error.
    pub fn with_absolute_timeout(self, timeout: impl Into<Option<Duration>>) -> Result<Self> {
        self.0.with_absolute_timeout(timeout).map(Self)
    }

    /// Replaces all settings; an error if they are not valid together.
    ///
    /// The result does not share state with earlier clones, so set everything before you clone the layer.
    pub fn with_settings(self, settings: SessionSettings) -> Result<Self> {
        self.0.with_settings(settings).map(Self)
    }

    /// Returns the manager, for work outside of requests.
    pub fn manager(&self) -> &SessionManager {
        self.0.manager()
    }

    /// Waits for running commits, including those of disconnected clients, at most for `timeout`, and closes the driver.
    pub async fn close(&self, timeout: Duration) -> Result<()> {
        self.0.close(timeout).await
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = session_tower::SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        self.0.layer(inner)
    }
}

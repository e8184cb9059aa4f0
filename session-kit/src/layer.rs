use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use session_core::config::{Registry, SessionConfig};
use session_core::session::SessionManager;
use session_core::{Driver, Result};
use tower_layer::Layer;

use crate::registry;

/// Gives each request a [`Session`](crate::Session), and commits it before the response goes out.
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
/// It is the layer of `session-tower`, made from a configuration that names any driver of this build; what the
/// layer does when is in [that crate's documentation](session_tower). Keep a clone of it and call
/// [`close`](session_tower::SessionLayer::close) when the server has stopped.
#[derive(Clone, Debug)]
pub struct SessionLayer(session_tower::SessionLayer);

impl SessionLayer {
    /// The sessions that the TOML file at `path` describes. Relative paths in it are relative to its folder.
    pub async fn from_toml(path: impl AsRef<Path> + Send) -> Result<Self> {
        let config = SessionConfig::from_toml_file(path).await?;
        Self::from_config(&config).await
    }

    /// The sessions that `config` describes, in a driver of this build.
    pub async fn from_config(config: &SessionConfig) -> Result<Self> {
        Self::from_config_with(config, &registry()).await
    }

    /// The sessions that `config` describes, in a driver of `registry`, which may have drivers of your own.
    pub async fn from_config_with(config: &SessionConfig, registry: &Registry) -> Result<Self> {
        session_tower::SessionLayer::from_config(config, registry)
            .await
            .map(Self)
    }

    /// Sessions in `driver` with default settings.
    pub fn new(driver: Arc<dyn Driver>) -> Self {
        Self(session_tower::SessionLayer::new(driver))
    }

    /// The sessions of `store`, with its settings.
    pub fn from_store(store: SessionManager) -> Self {
        Self(session_tower::SessionLayer::from_store(store))
    }
}

impl Deref for SessionLayer {
    type Target = session_tower::SessionLayer;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = session_tower::SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        self.0.layer(inner)
    }
}

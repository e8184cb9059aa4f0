use std::sync::Arc;

use session_core::session::SessionManager;
use session_core::{Driver, Result};
use tower_layer::Layer;

use crate::SessionService;

/// Gives each request a [`Session`](crate::Session), and commits it before the response goes out.
///
/// ```
/// use std::sync::Arc;
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
/// let sessions = SessionLayer::new(Arc::new(MemoryDriver::new()));
/// Router::new().route("/", get(visits)).layer(sessions)
/// # }
/// ```
///
/// It is cheap to clone; all clones are the same layer. Keep one and call [`close`](Self::close) when the
/// server has stopped.
#[derive(Clone, Debug)]
pub struct SessionLayer {
    store: SessionManager,
}

impl SessionLayer {
    /// Sessions in `driver` with default settings.
    pub fn new(driver: Arc<dyn Driver>) -> Self {
        Self::from_store(SessionManager::new(driver))
    }

    /// The sessions of `store`, with its settings.
    pub fn from_store(store: SessionManager) -> Self {
        Self { store }
    }

    /// The sessions that `config` describes, in the driver that it names.
    #[cfg(feature = "config")]
    pub async fn from_config(
        config: &session_core::config::SessionConfig,
        registry: &session_core::config::Registry,
    ) -> Result<Self> {
        SessionManager::from_config(config, registry)
            .await
            .map(Self::from_store)
    }

    /// The sessions, for what happens outside of requests.
    pub fn store(&self) -> &SessionManager {
        &self.store
    }

    /// Waits for the commits that still run, those of clients that have gone among them, and closes the driver.
    pub async fn close(&self) -> Result<()> {
        self.store.close().await
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> SessionService<S> {
        SessionService::new(inner, self.store.clone())
    }
}

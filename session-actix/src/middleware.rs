use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use session_core::session::SessionManager;
use session_core::{Driver, Result};
use tokio::runtime::Handle;

use crate::SessionService;

/// Gives each request a [`Session`](crate::Session), and commits it before the response goes out.
///
/// ```
/// use std::sync::Arc;
/// use actix_web::{App, web};
/// use driver_memory::MemoryDriver;
/// use session_actix::{Error, Session, SessionMiddleware};
///
/// async fn visits(session: Session) -> Result<String, Error> {
///     let n = session.update("visits", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
///     Ok(format!("visit number {n}"))
/// }
///
/// let sessions = SessionMiddleware::new(Arc::new(MemoryDriver::new()));
/// let app = App::new().route("/", web::get().to(visits)).wrap(sessions.clone());
/// # let _ = app;
/// ```
///
/// It is cheap to clone; all clones are the same middleware. Make it where the server is started, and not within the closure
/// that makes the `App` of each worker: what a client left behind goes on where it was made. Call [`close`](Self::close) when
/// the server has stopped.
#[derive(Clone, Debug)]
pub struct SessionMiddleware {
    store: SessionManager,
    runtime: Option<Handle>,
}

impl SessionMiddleware {
    /// Sessions in `driver` with default settings.
    pub fn new(driver: Arc<dyn Driver>) -> Self {
        Self::from_store(SessionManager::new(driver))
    }

    /// The sessions of `store`, with its settings.
    pub fn from_store(store: SessionManager) -> Self {
        Self {
            store,
            runtime: Handle::try_current().ok(),
        }
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

impl<S, B> Transform<S, ServiceRequest> for SessionMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Transform = SessionService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let service = SessionService::new(service, self.store.clone(), self.runtime.clone());
        ready(Ok(service))
    }
}

//! The session middleware.

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use session_core::session::{CookieOptions, SessionManager, SessionSettings};
use session_core::{Driver, Result};
use tokio::runtime::Handle;

use crate::SessionService;

/// A middleware that gives each request a [`Session`](crate::Session) and commits it before the response is sent.
///
/// ```
/// use actix_web::{App, web};
/// use driver_memory::MemoryDriver;
/// use session_actix::{Error, Session, SessionMiddleware};
///
/// async fn visits(session: Session) -> Result<String, Error> {
///     let n = session.update("visits", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
///     Ok(format!("visit number {n}"))
/// }
///
/// let sessions = SessionMiddleware::new(MemoryDriver::new());
/// let app = App::new().route("/", web::get().to(visits)).wrap(sessions.clone());
/// # let _ = app;
/// ```
///
/// It is cheap to clone; clones share one middleware. Create it where the server is started, not in the closure that
/// creates the `App` of each worker: the commit of a disconnected client continues on the runtime where the middleware
/// was created. Call [`close`](Self::close) when the server has stopped.
#[derive(Clone, Debug)]
pub struct SessionMiddleware {
    manager: SessionManager,
    runtime: Option<Handle>,
}

impl SessionMiddleware {
    /// Creates a middleware with sessions in `driver` and default settings.
    pub fn new(driver: impl Driver) -> Self {
        Self::from_manager(SessionManager::new(driver))
    }

    /// Creates a middleware with the sessions and settings of `manager`.
    pub fn from_manager(manager: SessionManager) -> Self {
        Self {
            manager,
            runtime: Handle::try_current().ok(),
        }
    }

    /// Creates a middleware from `config`, with the driver that it names.
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
    /// use session_actix::{Error, SessionMiddleware};
    ///
    /// fn sessions() -> Result<SessionMiddleware, Error> {
    ///     SessionMiddleware::new(MemoryDriver::new()).with_cookie(CookieOptions::default().with_name("shop"))
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
    /// The result does not share state with earlier clones, so set everything before you clone the middleware.
    pub fn with_settings(self, settings: SessionSettings) -> Result<Self> {
        let manager = self.manager.with_settings(settings)?;
        Ok(Self { manager, ..self })
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
        let service = SessionService::new(service, self.manager.clone(), self.runtime.clone());
        ready(Ok(service))
    }
}

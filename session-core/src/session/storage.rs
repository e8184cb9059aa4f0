//! Sessions without an integration: explicit calls to get, commit and destroy them.

use std::fmt;
use std::marker::PhantomData;

use http::HeaderMap;

use super::{ResponseHeaders, SessionData, SessionManager, TypedSession};
use crate::{Driver, OnLostChange, Result};

/// Sessions for any server, by explicit calls: get the session of a request, commit it, destroy it.
///
/// ```
/// use http::{HeaderMap, Request, Response};
/// use session_core::session::SessionStorage;
/// use session_core::session_data;
///
/// session_data! {
///     struct Visitor {
///         count: u32 = 0,
///     }
/// }
///
/// async fn index(
///     sessions: &SessionStorage<Visitor>,
///     request: Request<()>,
/// ) -> session_core::Result<Response<String>> {
///     let session = sessions.get_session(request.headers());
///     session.update(Visitor::count, |count| count + 1).await?;
///
///     let mut response = Response::new(format!("visit {}", session.get(Visitor::count).await?));
///     sessions.commit_session(&session).await?.apply(response.headers_mut());
///     Ok(response)
/// }
/// ```
///
/// Nothing is written before [`commit_session`](Self::commit_session). With an integration (the tower layer, the
/// actix-web middleware) this type is not needed: the integration commits the sessions and sets the headers. It is cheap
/// to clone.
pub struct SessionStorage<D> {
    manager: SessionManager,
    data: PhantomData<fn() -> D>,
}

/// Creates a storage of sessions with the values of `D`, which `manager` stores in a driver or in the cookie.
pub fn create_session_storage<D: SessionData>(manager: SessionManager) -> SessionStorage<D> {
    SessionStorage {
        manager,
        data: PhantomData,
    }
}

/// Creates a storage of sessions with the values of `D` in the visitors' cookies.
///
/// The limits of such sessions are in the documentation of [`CookieSessionOptions`](super::CookieSessionOptions). For
/// timeouts and a hook, build a manager with [`SessionManager::in_cookies`] and pass it to [`create_session_storage`].
///
/// ```
/// use session_core::session::{
///     create_cookie_session_storage, CookieOptions, CookieSessionOptions, SessionStorage,
/// };
/// use session_core::session_data;
///
/// session_data! {
///     struct Visitor {
///         count: u32 = 0,
///     }
/// }
///
/// fn sessions(secret: String) -> session_core::Result<SessionStorage<Visitor>> {
///     let cookie = CookieOptions::default().with_name("__Host-visitor");
///     create_cookie_session_storage(CookieSessionOptions::new([secret]), cookie)
/// }
/// ```
#[cfg(feature = "cookie-session")]
pub fn create_cookie_session_storage<D: SessionData>(
    options: super::CookieSessionOptions,
    cookie: super::CookieOptions,
) -> Result<SessionStorage<D>> {
    let manager = SessionManager::in_cookies(options).cookie(cookie).build()?;
    Ok(create_session_storage(manager))
}

impl<D: SessionData> SessionStorage<D> {
    /// Creates a storage of sessions in `driver`, with default settings.
    pub fn over(driver: impl Driver) -> Self {
        create_session_storage(SessionManager::new(driver))
    }

    /// Creates a storage of sessions in the visitors' cookies. See [`create_cookie_session_storage`].
    #[cfg(feature = "cookie-session")]
    pub fn in_cookies(
        options: super::CookieSessionOptions,
        cookie: super::CookieOptions,
    ) -> Result<Self> {
        create_cookie_session_storage(options, cookie)
    }

    /// Returns the session of a request with these headers, without I/O.
    pub fn get_session(&self, headers: &HeaderMap) -> TypedSession<D> {
        self.manager.session_from_headers(headers).typed()
    }

    /// Writes the changes and returns the headers for the response: the cookie if it changed, and cache headers.
    ///
    /// Once the commit has begun to write, it completes even if the future is dropped. After an error, do not send a response
    /// that says that the changes were stored; [`Error::http_status`](crate::Error::http_status) is the status for it.
    /// Changes that were lost to another request are an error of kind [`Gone`](crate::ErrorKind::Gone) or
    /// [`Stale`](crate::ErrorKind::Stale), unless [`OnLostChange::Report`](super::OnLostChange::Report) is set.
    pub async fn commit_session(&self, session: &TypedSession<D>) -> Result<ResponseHeaders> {
        let committed = session.session().commit_now().await?;
        let is_reported_only = self.manager.settings().on_lost_change == OnLostChange::Report;
        match committed.outcome.lost() {
            Some(lost) if committed.lost && !is_reported_only => Err(lost),
            _ => Ok(session.session().response_headers()),
        }
    }

    /// Removes the session and returns the headers for the response, which remove the cookie.
    pub async fn destroy_session(&self, session: &TypedSession<D>) -> Result<ResponseHeaders> {
        session.destroy().await?;
        Ok(session.session().response_headers())
    }

    /// Returns the manager, for work outside of requests.
    pub fn manager(&self) -> &SessionManager {
        &self.manager
    }
}

impl<D> Clone for SessionStorage<D> {
    fn clone(&self) -> Self {
        Self {
            manager: self.manager.clone(),
            data: PhantomData,
        }
    }
}

impl<D> fmt::Debug for SessionStorage<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionStorage")
            .field(&self.manager)
            .finish()
    }
}

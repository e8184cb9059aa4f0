use std::fmt;
use std::marker::PhantomData;

use http::HeaderMap;

use super::{ResponseHeaders, SessionData, SessionManager, TypedSession};
use crate::Result;

/// Sessions for a server of any kind, by three calls: get the request's, commit it, destroy it.
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
/// Nothing is written before [`commit_session`](Self::commit_session), and nothing commits by itself: a server with an
/// integration (the tower layer, the actix-web middleware) has its sessions committed and its headers set for it. It is
/// cheap to clone.
pub struct SessionStorage<D> {
    manager: SessionManager,
    data: PhantomData<fn() -> D>,
}

/// Sessions with the values of `D` where `manager` stores them: in a driver, or in the cookie.
pub fn create_session_storage<D: SessionData>(manager: SessionManager) -> SessionStorage<D> {
    SessionStorage {
        manager,
        data: PhantomData,
    }
}

/// Sessions with the values of `D` in the visitors' cookies.
///
/// What such sessions cannot do is in the documentation of [`CookieSessionOptions`](super::CookieSessionOptions). For
/// timeouts and a hook, build a manager by [`SessionManager::in_cookies`] and give it to [`create_session_storage`].
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
    /// The session of a request with these headers. It costs no I/O.
    pub fn get_session(&self, headers: &HeaderMap) -> TypedSession<D> {
        self.manager.session_from_headers(headers).typed()
    }

    /// Writes what was changed, and gives what the response must carry: the `Set-Cookie` header, where one is due, and what
    /// keeps shared caches from storing it.
    ///
    /// It runs to its end once it has begun, also if it is dropped. After an error, send no page that says that
    /// something was stored.
    pub async fn commit_session(&self, session: &TypedSession<D>) -> Result<ResponseHeaders> {
        session.save().await?;
        Ok(session.session().response_headers())
    }

    /// Removes the session, and gives what the response must carry: the `Set-Cookie` header that takes the cookie away.
    pub async fn destroy_session(&self, session: &TypedSession<D>) -> Result<ResponseHeaders> {
        session.destroy().await?;
        Ok(session.session().response_headers())
    }

    /// The sessions, for what happens outside of requests.
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

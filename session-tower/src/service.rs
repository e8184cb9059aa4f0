//! The service that puts the session into each request.

use std::task::{Context, Poll};

use http::{Extensions, Request, Response};
use session_core::session::{Session, SessionManager};
use tower_service::Service;

use crate::ResponseFuture;
use crate::sessions::OuterSessions;

/// A service whose requests have a session. It is created by [`SessionLayer`](crate::SessionLayer).
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    inner: S,
    manager: SessionManager,
}

impl<S> SessionService<S> {
    pub(crate) fn new(inner: S, manager: SessionManager) -> Self {
        Self { inner, manager }
    }

    /// Puts the session of this request into its extensions and returns it; `None` if an outer layer with the same cookie
    /// name has done so.
    fn attach<B>(&self, request: &mut Request<B>) -> Option<Session> {
        let session = self.manager.session_from_headers(request.headers());
        let extensions = request.extensions_mut();
        match extensions.insert(session.clone()) {
            None => Some(session),
            Some(outer) => self.attach_within(outer, session, extensions),
        }
    }

    /// The same, if `session` has replaced `outer`, the session of an outer layer.
    #[cold]
    fn attach_within(
        &self,
        outer: Session,
        session: Session,
        extensions: &mut Extensions,
    ) -> Option<Session> {
        let others = extensions.get_or_insert_default::<OuterSessions>();
        let same = others.with(&outer).find(|other| {
            let other = other.manager();
            other.cookie_name() == self.manager.cookie_name()
        });
        let Some(same) = same else {
            others.push(outer);
            return Some(session);
        };
        if !same.manager().ptr_eq(&self.manager) {
            tracing::warn!(
                cookie = self.manager.cookie_name(),
                "two session layers have the same cookie name; the inner one does nothing"
            );
        }
        extensions.insert(outer);
        None
    }
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for SessionService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    ResponseBody: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResponseBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let session = self.attach(&mut request);
        ResponseFuture::new(self.inner.call(request), session)
    }
}

//! The service that puts the session into each request.

use std::task::{Context, Poll};

use http::{Extensions, Request, Response};
use session_core::session::{Session, SessionManager, Sessions};
use tower_service::Service;

use crate::{ResponseBody, ResponseFuture};

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
        let session = self
            .manager
            .session_from_request(request.method(), request.headers());
        let extensions = request.extensions_mut();
        match extensions.insert(session.clone()) {
            None => Some(session),
            Some(outer) => Self::attach_within(outer, session, extensions),
        }
    }

    /// The same, if `session` has replaced `outer`, the session of an outer layer.
    #[cold]
    fn attach_within(
        outer: Session,
        session: Session,
        extensions: &mut Extensions,
    ) -> Option<Session> {
        let sessions = extensions.get_or_insert_with(|| Sessions::from(outer.clone()));
        if sessions.enter(&session) {
            return Some(session);
        }
        extensions.insert(outer);
        None
    }
}

impl<S, RequestBody, B> Service<Request<RequestBody>> for SessionService<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let session = self.attach(&mut request);
        ResponseFuture::new(self.inner.call(request), session)
    }
}

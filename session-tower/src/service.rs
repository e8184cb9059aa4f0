use std::task::{Context, Poll};

use http::{Request, Response};
use session_core::session::{Session, SessionStore};
use tower_service::Service;

use crate::ResponseFuture;
use crate::sessions::{OuterSessions, Sessions};

/// A service whose requests have a session; made by [`SessionLayer`](crate::SessionLayer).
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    inner: S,
    store: SessionStore,
}

impl<S> SessionService<S> {
    pub(crate) fn new(inner: S, store: SessionStore) -> Self {
        Self { inner, store }
    }

    /// The session of this request, put where handlers find it; `None` if a layer further out with the same
    /// cookie has done so.
    fn attach<B>(&self, request: &mut Request<B>) -> Option<Session> {
        let sessions = Sessions::from_extensions(request.extensions());
        if let Some(outer) = sessions.by_cookie(self.store.cookie_name()) {
            if !outer.store().is(&self.store) {
                tracing::warn!(
                    cookie = self.store.cookie_name(),
                    "two session layers have the same cookie name; the inner one does nothing"
                );
            }
            return None;
        }
        let session = self.store.session_of(request.headers());
        let extensions = request.extensions_mut();
        if let Some(outer) = extensions.insert(session.clone()) {
            extensions
                .get_or_insert_default::<OuterSessions>()
                .push(outer);
        }
        Some(session)
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

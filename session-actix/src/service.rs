//! The service that puts the session into each request, commits it and adds its headers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::{HttpMessage, ResponseError};
use session_core::session::{
    CommitFuture, CommitResult, ResponseHeaders, Session, SessionManager, Sessions,
};
use tokio::runtime::Handle;

use crate::{CommitError, headers};

/// A service whose requests have a session. It is created by [`SessionMiddleware`](crate::SessionMiddleware).
#[derive(Debug)]
pub struct SessionService<S> {
    inner: S,
    manager: SessionManager,
    runtime: Option<Handle>,
}

impl<S> SessionService<S> {
    pub(crate) fn new(inner: S, manager: SessionManager, runtime: Option<Handle>) -> Self {
        Self {
            inner,
            manager,
            runtime,
        }
    }

    /// Puts the session of this request into its extensions and returns it; `None` if an outer middleware with the same
    /// cookie name has done so.
    fn attach(&self, request: &ServiceRequest) -> Option<Session> {
        let method = headers::method_of(request.method());
        let cookies = headers::cookies_of(request.headers());
        let session = self.manager.session_from_request(&method, &cookies);
        let mut extensions = request.extensions_mut();
        let Some(outer) = extensions.insert(session.clone()) else {
            return Some(session);
        };
        let sessions = extensions.remove::<Sessions>();
        let mut sessions = sessions.unwrap_or_else(|| outer.clone().into());
        let is_another = sessions.enter(&session);
        extensions.insert(sessions);
        if !is_another {
            extensions.insert(outer);
        }
        is_another.then_some(session)
    }
}

impl<S, B> Service<ServiceRequest> for SessionService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>>>>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let session = self.attach(&request);
        let runtime = self.runtime.clone();
        let handling = self.inner.call(request);
        Box::pin(async move {
            let response = handling.await?;
            let Some(session) = session else {
                return Ok(response.map_into_left_body());
            };
            let commit = session.commit(status_of(&response));
            let finished = Committing { commit, runtime }.await;
            Ok(complete(response, finished))
        })
    }
}

/// A commit that continues on the server's runtime, not on the worker's, if the client disconnects or the worker stops.
struct Committing {
    commit: CommitFuture,
    runtime: Option<Handle>,
}

impl Future for Committing {
    type Output = CommitResult;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CommitResult> {
        let runtime = self.runtime.clone();
        let _entered = runtime.as_ref().map(Handle::enter);
        Pin::new(&mut self.commit).poll(cx)
    }
}

fn status_of<B>(response: &ServiceResponse<B>) -> http::StatusCode {
    http::StatusCode::from_u16(response.status().as_u16()).unwrap_or_default()
}

/// The headers that session middlewares have added to a response.
///
/// If an outer middleware replaces the response, the new response must still carry the cookies of the inner middlewares.
#[derive(Clone, Debug, Default)]
struct Applied(Vec<ResponseHeaders>);

fn complete<B>(
    response: ServiceResponse<B>,
    finished: CommitResult,
) -> ServiceResponse<EitherBody<B>> {
    let applied: Option<Applied> = response.response().extensions().get().cloned();
    let mut applied = applied.unwrap_or_default();
    let mut response = match finished.failure {
        None => response.map_into_left_body(),
        Some(failure) => {
            let mut failed = failure.error().error_response();
            failed
                .extensions_mut()
                .insert(CommitError(Arc::clone(failure.error())));
            for session_headers in &applied.0 {
                headers::apply(session_headers, failed.headers_mut());
            }
            response.into_response(failed).map_into_right_body()
        }
    };
    headers::apply(&finished.headers, response.headers_mut());
    if finished.headers.sets_cookie() {
        applied.0.push(finished.headers);
    }
    if !applied.0.is_empty() {
        let mut extensions = response.response_mut().extensions_mut();
        extensions.insert(applied);
    }
    response
}

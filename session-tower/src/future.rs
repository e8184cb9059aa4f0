//! The response future: it runs the handler, commits the session and adds its headers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Response, StatusCode};
use pin_project_lite::pin_project;
use session_core::Error;
use session_core::session::{CommitFuture, CommitResult, ResponseHeaders, Session};

use crate::CommitError;

pin_project! {
    /// The future of [`SessionService`](crate::SessionService).
    ///
    /// If it is dropped while the handler runs, nothing is committed. If it is dropped while the commit runs, the commit
    /// continues in the background.
    pub struct ResponseFuture<F, B> {
        #[pin]
        step: Step<F, B>,
    }
}

pin_project! {
    #[project = StepProjection]
    enum Step<F, B> {
        Handling { #[pin] handler: F, session: Option<Session> },
        Committing { commit: CommitFuture, response: Option<Response<B>> },
    }
}

impl<F, B> ResponseFuture<F, B> {
    pub(crate) fn new(handler: F, session: Option<Session>) -> Self {
        Self {
            step: Step::Handling { handler, session },
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Default,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        match this.step.as_mut().project() {
            StepProjection::Handling { handler, session } => {
                let response = ready!(handler.poll(cx))?;
                let Some(session) = session.take() else {
                    return Poll::Ready(Ok(response));
                };
                // Usually the commit completes at once.
                let mut commit = session.commit();
                if let Poll::Ready(finished) = Pin::new(&mut commit).poll(cx) {
                    return Poll::Ready(Ok(complete(response, finished)));
                }
                let response = Some(response);
                this.step.set(Step::Committing { commit, response });
                Poll::Pending
            }
            StepProjection::Committing { commit, response } => {
                let finished = ready!(Pin::new(commit).poll(cx));
                match response.take() {
                    Some(response) => Poll::Ready(Ok(complete(response, finished))),
                    None => Poll::Pending,
                }
            }
        }
    }
}

fn complete<B: Default>(mut response: Response<B>, finished: CommitResult) -> Response<B> {
    if let Some(error) = finished.error {
        response = failed(error, response.extensions_mut().remove::<Applied>());
    }
    finished.headers.apply(response.headers_mut());
    if finished.headers.sets_cookie() {
        response
            .extensions_mut()
            .get_or_insert_default::<Applied>()
            .0
            .push(finished.headers);
    }
    response
}

/// The headers that session layers have added to a response.
///
/// If an outer layer replaces the response, the new response must still carry the cookies of the inner layers.
#[derive(Clone, Debug, Default)]
struct Applied(Vec<ResponseHeaders>);

fn failed<B: Default>(error: Error, applied: Option<Applied>) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
        .extensions_mut()
        .insert(CommitError(Arc::new(error)));
    if let Some(applied) = applied {
        for headers in &applied.0 {
            headers.apply(response.headers_mut());
        }
        response.extensions_mut().insert(applied);
    }
    response
}

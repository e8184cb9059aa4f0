//! The response future: it runs the handler, commits the session and adds its headers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;
use session_core::session::{CommitFailure, CommitFuture, CommitResult, ResponseHeaders, Session};

use crate::{CommitError, ResponseBody};

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
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        match this.step.as_mut().project() {
            StepProjection::Handling { handler, session } => {
                let response = ready!(handler.poll(cx))?;
                let Some(session) = session.take() else {
                    return Poll::Ready(Ok(response.map(ResponseBody::new)));
                };
                // Usually the commit completes at once.
                let mut commit = session.commit(response.status());
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

fn complete<B>(mut response: Response<B>, finished: CommitResult) -> Response<ResponseBody<B>> {
    let mut response = match finished.failure {
        None => response.map(ResponseBody::new),
        Some(failure) => replacement(&failure, response.extensions_mut().remove()),
    };
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

/// The response that is sent in place of the handler's.
fn replacement<B>(failure: &CommitFailure, applied: Option<Applied>) -> Response<ResponseBody<B>> {
    let mut response = Response::new(ResponseBody::default());
    *response.status_mut() = failure.status();
    failure.apply(response.headers_mut());
    response
        .extensions_mut()
        .insert(CommitError(Arc::clone(failure.error())));
    if let Some(applied) = applied {
        for headers in &applied.0 {
            headers.apply(response.headers_mut());
        }
        response.extensions_mut().insert(applied);
    }
    response
}

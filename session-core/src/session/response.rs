//! The commit at the end of a request, and the headers that it adds to the response.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue};

use super::Session;
use super::cookie::CookieChange;
use super::detach_on_drop::DetachOnDrop;
use super::handle::Inner;
use super::headers;
use super::state::{Base, State};
use crate::{Error, OnCommitError};

/// The headers that a session adds to its response, for authors of integrations.
#[derive(Clone, Debug, Default)]
#[must_use = "a session whose cookie is not sent is lost"]
pub struct ResponseHeaders {
    set_cookie: Option<HeaderValue>,
    /// The other cookies of a session that is split over several.
    more_cookies: Vec<HeaderValue>,
    varies: bool,
}

impl ResponseHeaders {
    /// Returns whether the response sets or removes the session's cookie.
    pub fn sets_cookie(&self) -> bool {
        self.set_cookie.is_some()
    }

    /// Returns the values of the `Set-Cookie` headers: several for a session that is split over several cookies.
    pub fn set_cookies(&self) -> impl Iterator<Item = &HeaderValue> {
        self.set_cookie.iter().chain(&self.more_cookies)
    }

    /// Returns whether the response depends on the request's cookies and needs `Vary: Cookie`.
    pub fn varies(&self) -> bool {
        self.varies
    }

    /// Adds the cookie, `Cache-Control: private` if there is a cookie, and `Vary: Cookie` if the session was used.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for cookie in self.set_cookies() {
            headers::set_cookie(headers, cookie.clone());
        }
        if self.varies {
            headers::vary_by_cookie(headers);
        }
    }
}

/// The output of [`Session::commit`].
#[derive(Debug)]
pub struct CommitResult {
    /// The headers to add to the response, including one that replaces the handler's.
    pub headers: ResponseHeaders,
    /// The commit's error, if the response must be replaced by an empty one with status 500.
    pub error: Option<Error>,
}

/// The error of a failed commit, in the extensions of the response that an integration sends in place of the handler's.
///
/// ```
/// use http::Response;
/// use session_core::session::CommitError;
///
/// fn log_failure<B>(response: &Response<B>) {
///     if let Some(CommitError(error)) = response.extensions().get() {
///         eprintln!("a session was not written: {error}");
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct CommitError(pub Arc<Error>);

/// The future of [`Session::commit`]. Once polled, the commit completes even if the future is dropped.
pub struct CommitFuture(Step);

enum Step {
    Done(Option<CommitResult>),
    Running(DetachOnDrop<CommitResult>),
}

impl Future for CommitFuture {
    type Output = CommitResult;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CommitResult> {
        match &mut self.0 {
            Step::Done(finished) => match finished.take() {
                Some(finished) => Poll::Ready(finished),
                None => Poll::Pending,
            },
            Step::Running(running) => Pin::new(running).poll(cx),
        }
    }
}

impl Session {
    /// Commits the session and returns the headers for its response, for authors of integrations.
    ///
    /// Call it after the handler and before the headers are sent, whatever the response's status. Do not call it if the
    /// handler failed without a response. After the call, changes through this handle are errors. A session with nothing
    /// to write costs no allocation.
    pub fn commit(&self) -> CommitFuture {
        let headers = {
            let mut state = self.inner().state();
            state.sealed = true;
            // If the session is unused, no clone reads or writes it either.
            let idle = !state.used
                || state.changes.is_none()
                    && !state.regenerate
                    && !self.touch_is_due(&state.base)
                    && !self.inner().is_busy();
            idle.then(|| response_headers(self.inner(), &state))
        };
        if let Some(headers) = headers {
            let error = None;
            return CommitFuture(Step::Done(Some(CommitResult { headers, error })));
        }
        let inner = Arc::clone(self.inner());
        let tasks = &self.manager().inner().tasks;
        CommitFuture(Step::Running(DetachOnDrop::new(tasks, async move {
            let committed = inner.commit(false).await;
            let policy = inner.manager().inner().settings.on_commit_error;
            CommitResult {
                error: committed.err().filter(|_| policy == OnCommitError::Fail),
                headers: response_headers(&inner, &inner.state()),
            }
        })))
    }

    /// The headers for the response in the current state.
    pub(crate) fn response_headers(&self) -> ResponseHeaders {
        response_headers(self.inner(), &self.inner().state())
    }

    fn touch_is_due(&self, base: &Base) -> bool {
        match base {
            Base::Present(snapshot) => self.manager().inner().renewal_is_due(snapshot),
            _ => false,
        }
    }
}

fn response_headers(inner: &Inner, state: &State) -> ResponseHeaders {
    let manager = inner.manager().inner();
    let (set_cookie, more_cookies) = match &state.response_cookie {
        None => (None, Vec::new()),
        Some(CookieChange::Set { id, max_age }) => {
            let cookie = manager
                .cookie
                .set(manager.cookie.name(), id.expose(), *max_age);
            (cookie.ok(), Vec::new())
        }
        #[cfg(feature = "cookie-session")]
        Some(CookieChange::Hold(cookies)) => first_and_more(cookies.iter().cloned()),
        Some(CookieChange::Remove) => match manager.backing.cookie() {
            Some(backing) => first_and_more(backing.removals(manager, &state.request_cookies)),
            None => (
                manager.cookie.removal(manager.cookie.name()).ok(),
                Vec::new(),
            ),
        },
    };
    ResponseHeaders {
        set_cookie,
        more_cookies,
        varies: state.used,
    }
}

fn first_and_more(
    cookies: impl IntoIterator<Item = HeaderValue>,
) -> (Option<HeaderValue>, Vec<HeaderValue>) {
    let mut cookies = cookies.into_iter();
    (cookies.next(), cookies.collect())
}

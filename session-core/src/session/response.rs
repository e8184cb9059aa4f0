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

/// What a session adds to its response's headers, for authors of integrations.
#[derive(Clone, Debug, Default)]
#[must_use = "a session whose cookie is not sent is lost"]
pub struct ResponseHeaders {
    set_cookie: Option<HeaderValue>,
    /// Where one cookie is not enough.
    more_cookies: Vec<HeaderValue>,
    varies: bool,
}

impl ResponseHeaders {
    /// Whether the response sets the session's cookie, or takes it away.
    pub fn sets_cookie(&self) -> bool {
        self.set_cookie.is_some()
    }

    /// The values of the `Set-Cookie` headers: none or one, and more for a session that is split over several cookies.
    pub fn set_cookies(&self) -> impl Iterator<Item = &HeaderValue> {
        self.set_cookie.iter().chain(&self.more_cookies)
    }

    /// Whether the response depends on the request's cookies, so that it must carry `Vary: Cookie`.
    pub fn varies(&self) -> bool {
        self.varies
    }

    /// Adds the cookie, keeps shared caches from storing the response, and says what it depends on.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for cookie in self.set_cookies() {
            headers::set_cookie(headers, cookie.clone());
        }
        if self.varies {
            headers::vary_by_cookie(headers);
        }
    }
}

/// What [`Session::commit`] comes to.
#[derive(Debug)]
pub struct CommitResult {
    /// What goes into the headers of the response, whichever it is.
    pub headers: ResponseHeaders,
    /// The error for which the response is to be replaced by an empty one with status 500.
    pub error: Option<Error>,
}

/// The future of [`Session::commit`]. Once polled it runs to its end, also if it is dropped.
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
    /// Commits the session and says what its response must carry, for authors of integrations.
    ///
    /// Call it when the handler is done and before the headers go out, whatever the response's status; not
    /// when the handler failed without a response. From the call on, changes by this handle are errors. A
    /// session with nothing to write costs no allocation.
    pub fn commit(&self) -> CommitFuture {
        let headers = {
            let mut state = self.inner().state();
            state.sealed = true;
            // What was not used is not read or written by a clone either.
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

    /// What the response must carry as things stand.
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
    let store = inner.manager().inner();
    let (set_cookie, more_cookies) = match &state.response_cookie {
        None => (None, Vec::new()),
        Some(CookieChange::Set { id, max_age }) => {
            let cookie = store.cookie.set(store.cookie.name(), id.expose(), *max_age);
            (cookie.ok(), Vec::new())
        }
        #[cfg(feature = "cookie-session")]
        Some(CookieChange::Hold(cookies)) => first_and_more(cookies.iter().cloned()),
        Some(CookieChange::Remove) => match store.backing.cookie() {
            Some(backing) => first_and_more(backing.removals(store, &state.request_cookies)),
            None => (store.cookie.removal(store.cookie.name()).ok(), Vec::new()),
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

//! The commit at the end of a request, and the headers that it adds to the response.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue, StatusCode};
use smallvec::SmallVec;

use super::commit::{Claim, CommitOutput};
use super::cookie::CookieChange;
use super::detach_on_drop::DetachOnDrop;
use super::headers;
use super::inner::Inner;
use super::state::{Base, State};
use super::{CommitFailure, Session};
use crate::{Error, OnCommitError, OnLostChange, Result};

/// The headers that a session adds to its response, for authors of integrations.
#[derive(Clone, Debug, Default)]
#[must_use = "a session whose cookie is not sent is lost"]
pub struct ResponseHeaders {
    set_cookies: SmallVec<[HeaderValue; 1]>,
    varies: bool,
}

impl ResponseHeaders {
    /// Returns whether the response sets or removes the session's cookie.
    pub fn sets_cookie(&self) -> bool {
        !self.set_cookies.is_empty()
    }

    /// Returns the values of the `Set-Cookie` headers, in the order in which they must be sent.
    ///
    /// There are several for a session that is split over several cookies, and if cookies that were
    /// [replaced](crate::CookieOptions::previous) are removed.
    pub fn set_cookies(&self) -> impl Iterator<Item = &HeaderValue> {
        self.set_cookies.iter()
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
    /// The response to send in place of the handler's, if the session's changes are not stored.
    pub failure: Option<CommitFailure>,
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

/// The future of [`Session::commit`].
///
/// If it is dropped before the commit begins to write, nothing is written. After that, the commit completes even if it is
/// dropped.
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
    /// Call it after the handler and before the headers are sent, with the status of the handler's response. Do not call it
    /// if the handler failed without a response. After the call, changes through this handle are errors. A session with
    /// nothing to write costs no allocation.
    ///
    /// | the changes | [`CommitResult::failure`] |
    /// |---|---|
    /// | are stored, or there are none | `None` |
    /// | were lost: the session is gone, or a value was [stale](crate::ErrorKind::Stale) | 409; `None` for `GET`, `HEAD` and upgrades, or with [`OnLostChange::Report`] |
    /// | were certainly not written, and a later attempt may help | 503 with `Retry-After`; `None` with [`OnCommitError::Keep`] |
    /// | may have been written, or cannot be written | 500; `None` with [`OnCommitError::Keep`] |
    ///
    /// What a handler was told by [`save`](Session::save) is no failure here.
    pub fn commit(&self, status: StatusCode) -> CommitFuture {
        let headers = {
            let mut state = self.inner().state();
            state.sealed = true;
            // If the session is unused, no clone reads or writes it either.
            let idle = !state.used
                || state.changes.is_none()
                    && state.moves.is_none()
                    && !state.followed
                    && !self.renewal_is_due(&state.base)
                    && !self.inner().is_busy();
            idle.then(|| response_headers(self.inner(), &state))
        };
        let manager = self.manager().inner();
        let skipped = || {
            manager
                .commit_when
                .as_ref()
                .is_some_and(|when| !when(status))
        };
        if headers.is_some() || skipped() {
            let headers = headers.unwrap_or_else(|| self.response_headers());
            let failure = None;
            return CommitFuture(Step::Done(Some(CommitResult { headers, failure })));
        }
        let inner = Arc::clone(self.inner());
        let claim = Claim::default();
        let claimed = claim.clone();
        let commit = async move {
            let committed = inner.commit(claimed).await;
            CommitResult {
                failure: failure(&inner, committed, status),
                headers: response_headers(&inner, &inner.state()),
            }
        };
        CommitFuture(Step::Running(DetachOnDrop::new(manager, claim, commit)))
    }

    /// The headers for the response in the current state.
    pub(crate) fn response_headers(&self) -> ResponseHeaders {
        response_headers(self.inner(), &self.inner().state())
    }

    fn renewal_is_due(&self, base: &Base) -> bool {
        match base {
            Base::Present(snapshot) => self.manager().inner().renewal(snapshot).is_some(),
            _ => false,
        }
    }
}

/// The response that replaces the handler's after this commit; see [`Session::commit`].
fn failure(
    inner: &Inner,
    committed: Result<CommitOutput>,
    status: StatusCode,
) -> Option<CommitFailure> {
    let settings = &inner.manager().inner().settings;
    match committed {
        Ok(output) if output.lost => {
            let ignored = status == StatusCode::SWITCHING_PROTOCOLS
                || settings.on_lost_change == OnLostChange::Report
                || inner.state().ignores_lost_changes;
            let lost = output.outcome.lost().filter(|_| !ignored);
            lost.map(CommitFailure::new)
        }
        Ok(_) => None,
        Err(error) => match settings.on_commit_error {
            OnCommitError::Fail => Some(CommitFailure::new(error)),
            OnCommitError::Keep => None,
        },
    }
}

fn response_headers(inner: &Inner, state: &State) -> ResponseHeaders {
    let manager = inner.manager().inner();
    let cookie = &manager.cookie;
    let names = |name: &str| match manager.backing.cookie() {
        Some(backing) => backing.names(&state.request_cookies, name),
        None => vec![name.to_owned()],
    };
    let mut set_cookies = SmallVec::new();
    if let Some(change) = &state.response_cookie {
        // First, since some browsers take a cookie with `Domain` for one without, such as on `localhost`.
        set_cookies.extend(cookie.removals_of_replaced(names));
        match change {
            CookieChange::Set { id, max_age } => {
                set_cookies.extend(cookie.set(cookie.name(), id.expose(), *max_age));
            }
            #[cfg(feature = "cookie-session")]
            CookieChange::Hold(cookies) => set_cookies.extend(cookies.iter().cloned()),
            CookieChange::Remove => {
                let names = names(cookie.name()).into_iter();
                set_cookies.extend(names.filter_map(|name| cookie.removal(&name).ok()));
            }
        }
    }
    ResponseHeaders {
        set_cookies,
        varies: state.used,
    }
}

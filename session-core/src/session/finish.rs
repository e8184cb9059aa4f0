use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue};

use super::Session;
use super::handle::Inner;
use super::headers;
use super::run_to_end::RunToEnd;
use super::state::{Base, State};
use super::store::CommitFailure;
use crate::Error;

/// What a session adds to its response's headers, for authors of integrations.
#[derive(Clone, Debug, Default)]
#[must_use = "a session whose cookie is not sent is lost"]
pub struct ResponseEffects {
    set_cookie: Option<HeaderValue>,
    varies: bool,
}

impl ResponseEffects {
    /// Whether the response sets the session's cookie, or takes it away.
    pub fn sets_cookie(&self) -> bool {
        self.set_cookie.is_some()
    }

    /// Adds the cookie, keeps shared caches from storing the response, and says what it depends on.
    pub fn apply(&self, headers: &mut HeaderMap) {
        if let Some(cookie) = &self.set_cookie {
            headers::set_cookie(headers, cookie.clone());
        }
        if self.varies {
            headers::vary_by_cookie(headers);
        }
    }
}

/// What [`Session::finish`] comes to.
#[derive(Debug)]
pub struct Finished {
    /// What goes into the headers of the response, whichever it is.
    pub effects: ResponseEffects,
    /// The error for which the response is to be replaced by an empty one with status 500.
    pub error: Option<Error>,
}

/// The future of [`Session::finish`]. Once polled it runs to its end, also if it is dropped.
pub struct Finish(Step);

enum Step {
    Done(Option<Finished>),
    Running(RunToEnd<Finished>),
}

impl Future for Finish {
    type Output = Finished;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Finished> {
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
    pub fn finish(&self) -> Finish {
        let effects = {
            let mut state = self.inner().state();
            state.sealed = true;
            // What was not used is not read or written by a clone either.
            let idle = !state.used
                || state.changes.is_none()
                    && !state.regenerate
                    && !self.touch_is_due(&state.base)
                    && !self.inner().is_busy();
            idle.then(|| effects_of(self.inner(), &state))
        };
        if let Some(effects) = effects {
            let error = None;
            return Finish(Step::Done(Some(Finished { effects, error })));
        }
        let inner = Arc::clone(self.inner());
        let tasks = &self.store().inner().tasks;
        Finish(Step::Running(RunToEnd::new(tasks, async move {
            let committed = inner.commit(false).await;
            let policy = inner.store().inner().commit_failure;
            Finished {
                error: committed
                    .err()
                    .filter(|_| policy == CommitFailure::FailResponse),
                effects: effects_of(&inner, &inner.state()),
            }
        })))
    }

    fn touch_is_due(&self, base: &Base) -> bool {
        match base {
            Base::Present(snapshot) => self.store().inner().keep_alive_is_due(snapshot),
            _ => false,
        }
    }
}

fn effects_of(inner: &Inner, state: &State) -> ResponseEffects {
    let set_cookie = state
        .response_cookie
        .as_ref()
        .and_then(|change| inner.store().inner().cookie.write(change).ok());
    ResponseEffects {
        set_cookie,
        varies: state.used,
    }
}

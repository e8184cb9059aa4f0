use std::fmt;
use std::sync::Arc;

use super::CookieRejection;
use crate::{Error, Fingerprint};

/// What happened to a session that its handler may not hear of.
///
/// Give [`SessionManagerBuilder::on_event`](super::SessionManagerBuilder::on_event) a function to count or log
/// these. Each is also a `tracing` event, at level `WARN` for failures and `DEBUG` for the rest.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionEvent<'a> {
    /// The session's record could not be read. The handler got the error too.
    LoadFailed(&'a Error),
    /// The session's changes could not be written. Its [`outcome`](Error::outcome) says whether they may
    /// have been all the same.
    CommitFailed(&'a Error),
    /// The session could not be kept from ending for want of activity. It was not changed.
    TouchFailed(&'a Error),
    /// After [`regenerate`](super::Session::regenerate), the record under the old id could not be put away, and
    /// lives until its own end, while the new session is good; or, if the session was gone by then, the record that
    /// was written under the new id could not be removed again, and lives unknown to anybody.
    CleanupFailed(&'a Error),
    /// A cookie that should hold the session was not taken, and the visitor has an empty one.
    CookieRejected(CookieRejection),
    /// The session had ended or was destroyed elsewhere when its changes were to be written, so they were
    /// dropped.
    Gone,
}

pub(crate) type EventHook = Arc<dyn Fn(&SessionEvent<'_>) + Send + Sync>;

impl fmt::Display for SessionEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoadFailed(error) => write!(f, "the session could not be read: {error}"),
            Self::CommitFailed(error) => write!(f, "the session could not be written: {error}"),
            Self::TouchFailed(error) => write!(f, "the session could not be kept alive: {error}"),
            Self::CleanupFailed(error) => {
                write!(f, "the session's old record could not be put away: {error}")
            }
            Self::CookieRejected(rejection) => {
                write!(f, "the session's cookie was not taken: {rejection}")
            }
            Self::Gone => f.write_str("the session was gone, and its changes were dropped"),
        }
    }
}

impl SessionEvent<'_> {
    pub(crate) fn trace(&self, session: Option<Fingerprint>) {
        let session = session.map(tracing::field::display);
        match self {
            Self::Gone | Self::CookieRejected(_) => tracing::debug!(session, "{self}"),
            _ => tracing::warn!(session, "{self}"),
        }
    }
}

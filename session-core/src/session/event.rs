//! The events that a manager reports to its hook.

use std::fmt;
use std::sync::Arc;

use super::CookieRejection;
use crate::{Error, Fingerprint};

/// An event of a session that its handler may not learn of, such as a failed commit.
///
/// Pass a function to [`SessionManagerBuilder::on_event`](super::SessionManagerBuilder::on_event) to count or log
/// events. Each is also a `tracing` event, at level `WARN` for failures and `DEBUG` for the rest.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionEvent<'a> {
    /// The session's record could not be read. The handler also gets the error.
    LoadFailed(&'a Error),
    /// The session's changes could not be written. The [`outcome`](Error::outcome) of the error says whether they may
    /// have been written nevertheless.
    CommitFailed(&'a Error),
    /// The session's expiry could not be renewed. The session was not changed.
    TouchFailed(&'a Error),
    /// A [`regenerate`](super::Session::regenerate) left a record behind, which stays until it expires.
    ///
    /// Either the record of the old id could not be replaced, and the new session works. Or the session was destroyed
    /// meanwhile, and the record of the new id, which no client knows, could not be removed.
    CleanupFailed(&'a Error),
    /// A cookie that should contain the session was rejected. The visitor has an empty session.
    CookieRejected(CookieRejection),
    /// The session had expired or was destroyed elsewhere before its changes were written. They were dropped.
    Gone,
}

pub(crate) type EventHook = Arc<dyn Fn(&SessionEvent<'_>) + Send + Sync>;

impl fmt::Display for SessionEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoadFailed(error) => write!(f, "the session could not be read: {error}"),
            Self::CommitFailed(error) => write!(f, "the session could not be written: {error}"),
            Self::TouchFailed(error) => write!(f, "the session could not be renewed: {error}"),
            Self::CleanupFailed(error) => {
                write!(
                    f,
                    "a record left over by `regenerate` could not be removed: {error}"
                )
            }
            Self::CookieRejected(rejection) => {
                write!(f, "the session's cookie was rejected: {rejection}")
            }
            Self::Gone => {
                f.write_str("the session had expired or was destroyed; its changes were dropped")
            }
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

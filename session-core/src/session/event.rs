//! The events that a manager reports to its hook.

use std::fmt;
use std::sync::Arc;

use super::CookieRejection;
use crate::{Error, Fingerprint};

/// An event of a session that its handler may not learn of, such as a failed commit.
///
/// Pass a function to [`SessionManagerBuilder::on_event`](super::SessionManagerBuilder::on_event) to count or log
/// events. Each is also a `tracing` event, at level `WARN` for failures and lost changes, `ERROR` for
/// [`ManyCorruptRecords`](Self::ManyCorruptRecords), and `DEBUG` for a rejected cookie.
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
    /// Another request changed a value that this request had read and then set. The changes were dropped.
    Stale,
    /// A request had cookies of several sessions. The first of them was used.
    ///
    /// A deploy that changed the domain or the path of the cookie may be the cause, or another site of the domain.
    SeveralSessions,
    /// A stored record cannot be parsed and was passed over, because of
    /// [`OnCorruptRecord::Discard`](super::OnCorruptRecord::Discard).
    CorruptRecord(&'a Error),
    /// This many records were passed over within a minute. Perhaps a deploy changed the secret, or another program
    /// writes under the same keys.
    ManyCorruptRecords(u32),
    /// The stored value of a [lenient](super::TypedKey::lenient) key has another type. It was taken as missing.
    WrongType(&'a Error),
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
            Self::Stale => f.write_str(
                "another request changed a session value that this one had read; its changes were dropped",
            ),
            Self::SeveralSessions => {
                f.write_str("the request has cookies of several sessions; the first was used")
            }
            Self::CorruptRecord(error) => {
                write!(f, "a session was passed over, since its record cannot be parsed: {error}")
            }
            Self::ManyCorruptRecords(count) => write!(
                f,
                "{count} sessions were passed over within a minute, since their records cannot be parsed; check \
                 what else writes to this storage"
            ),
            Self::WrongType(error) => write!(f, "a session value was taken as missing: {error}"),
        }
    }
}

impl SessionEvent<'_> {
    pub(crate) fn trace(&self, session: Option<Fingerprint>) {
        let session = session.map(tracing::field::display);
        match self {
            Self::CookieRejected(_) => tracing::debug!(session, "{self}"),
            Self::ManyCorruptRecords(_) => tracing::error!("{self}"),
            _ => tracing::warn!(session, "{self}"),
        }
    }
}

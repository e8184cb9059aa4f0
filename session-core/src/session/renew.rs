//! Renewal of the expiry of sessions that are only read.

use std::time::Duration;

use super::commit::{CommitOutput, unchanged};
use super::cookie::CookieChange;
use super::lifetime::record_expiry;
use super::manager::ManagerInner;
use super::state::{Base, Snapshot};
use super::{SessionEvent, SessionId};
use crate::{Driver, Expiry, Result, Timestamp, TouchOptions, Version, WriteOptions, WriteOutcome};

impl ManagerInner {
    /// When a record that is used now expires.
    pub(crate) fn expiry_of(&self, snapshot: &Snapshot) -> Option<Timestamp> {
        let lifetime = snapshot.record.lifetime();
        let last_value_expiry = snapshot.record.last_value_expiry();
        self.rules
            .expires_at(lifetime.as_ref(), last_value_expiry, self.now())
    }

    /// Whether the expiry of a record that was only read should be renewed.
    ///
    /// A driver that does not report the expiry of entries is asked to touch the record each time. If it cannot touch, the
    /// record is not renewed: a write with every read would be expensive and could undo changes of others.
    pub(crate) fn renewal_is_due(&self, snapshot: &Snapshot) -> bool {
        if !self.capabilities.reports_expiry && !self.capabilities.touch {
            return false;
        }
        let lifetime = snapshot.record.lifetime();
        let expires_at = self.expiry_of(snapshot);
        self.rules
            .touch_is_due(lifetime.as_ref(), snapshot.expires_at, expires_at)
    }

    /// The Max-Age of the cookie of a session that is used now.
    pub(crate) fn max_age_of(&self, snapshot: &Snapshot) -> Option<Duration> {
        let lifetime = snapshot.record.lifetime();
        let persistent = lifetime.is_some_and(|lifetime| lifetime.persistent);
        self.max_age(persistent, self.expiry_of(snapshot))
    }

    pub(crate) fn max_age(
        &self,
        persistent: bool,
        expires_at: Option<Timestamp>,
    ) -> Option<Duration> {
        let left = || Some(expires_at?.saturating_since(self.now()));
        self.cookie.max_age(persistent, left)
    }

    /// Renews the expiry of a record that was only read, if it is due.
    pub(crate) async fn renew(&self, id: SessionId, snapshot: Snapshot) -> Result<CommitOutput> {
        if !self.renewal_is_due(&snapshot) {
            return Ok(unchanged(Some(id), Base::Present(snapshot)));
        }
        match self.queue.enter(id, self.settings.commit_deadline).await {
            Ok(_turn) => self.renew_in_turn(id, snapshot).await,
            // This does not fail a request that only reads. The next request tries again.
            Err(error) => {
                self.report(Some(id.fingerprint()), &SessionEvent::TouchFailed(&error));
                Ok(unchanged(Some(id), Base::Present(snapshot)))
            }
        }
    }

    /// The same, for a caller that has the turn in the session's queue.
    pub(crate) async fn renew_in_turn(
        &self,
        id: SessionId,
        mut snapshot: Snapshot,
    ) -> Result<CommitOutput> {
        if !self.renewal_is_due(&snapshot) {
            return Ok(unchanged(Some(id), Base::Present(snapshot)));
        }
        let expires_at = self.expiry_of(&snapshot);
        let mut cookie = None;
        match self.extend(id, &snapshot, record_expiry(expires_at)).await {
            Ok(None) => {}
            Ok(Some(version)) => {
                snapshot.version = version;
                snapshot.expires_at = expires_at;
                let max_age = self.max_age_of(&snapshot);
                cookie = max_age.map(|_| CookieChange::Set { id, max_age });
            }
            Err(error) => self.report(Some(id.fingerprint()), &SessionEvent::TouchFailed(&error)),
        }
        Ok(CommitOutput {
            cookie,
            ..unchanged(Some(id), Base::Present(snapshot))
        })
    }

    /// Sets the expiry of a record and returns its version; `None` if the record was changed by another request.
    ///
    /// On a driver that cannot touch, this writes the same bytes again.
    async fn extend(
        &self,
        id: SessionId,
        snapshot: &Snapshot,
        expiry: Expiry,
    ) -> Result<Option<Option<Version>>> {
        let key = id.key();
        if self.capabilities.touch {
            let options = TouchOptions::to(expiry).with_version(match self.has_conditions() {
                true => snapshot.version.clone(),
                false => None,
            });
            let touched = self.driver()?.touch(&key, options).await?;
            return Ok(touched.then(|| snapshot.version.clone()));
        }
        if !self.has_conditions() {
            match self.read(id).await? {
                Base::Present(fresh) if fresh.record.bytes() == snapshot.record.bytes() => {}
                _ => return Ok(None),
            }
        }
        let options = WriteOptions::default()
            .with_expiry(expiry)
            .with_condition(self.unchanged_since(snapshot)?);
        let outcome = self
            .driver()?
            .write(&key, snapshot.record.bytes().clone(), options)
            .await?;
        match outcome {
            WriteOutcome::Written { version, .. } => Ok(Some(version)),
            WriteOutcome::Conflict(_) => Ok(None),
        }
    }
}

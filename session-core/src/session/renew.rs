//! Renewal of the expiry of sessions that are only read, and of their cookie.

use std::time::Duration;

use super::SessionEvent;
use super::SessionId;
use super::changes::Changes;
use super::commit::{CommitInput, CommitOutput, unchanged};
use super::cookie::CookieChange;
use super::encode::{self, Outcome};
use super::lifetime::record_expiry;
use super::manager::ManagerInner;
use super::state::{Base, Snapshot};
use crate::{Driver, Result, Timestamp, TouchOptions, WriteOptions, WriteOutcome};

/// How a session is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// The driver moves the expiry of the entry.
    Touch,
    /// The record is written again, with the time of its renewal.
    Write,
}

impl ManagerInner {
    /// When a record that is used `now` expires.
    pub(crate) fn expiry_of(&self, snapshot: &Snapshot, now: Timestamp) -> Option<Timestamp> {
        let lifetime = snapshot.record.lifetime();
        let last_value_expiry = snapshot.record.last_value_expiry();
        self.rules
            .expires_at(lifetime.as_ref(), last_value_expiry, now)
    }

    /// How a record that was only read is to be renewed now, if it is.
    pub(crate) fn renewal(&self, snapshot: &Snapshot) -> Option<Renewal> {
        let now = self.now();
        let wanted = self.expiry_of(snapshot, now);
        // All of its values have expired: a read neither ends nor keeps it.
        if wanted.is_some_and(|wanted| wanted <= now) {
            return None;
        }
        let stored = snapshot.record.lifetime();
        let lifetime = stored.unwrap_or_else(|| self.rules.begin(now));
        let interval = self.rules.stamp_interval(&lifetime);
        // A record that Astro wrote gets our entry where a timeout depends on it.
        if stored.is_none() && (interval.is_some() || self.rules.absolute.is_some()) {
            return Some(Renewal::Write);
        }
        if let Some(interval) = interval {
            let renewed = lifetime.renewed.unwrap_or(lifetime.created);
            return (now.saturating_since(renewed) >= interval).then_some(Renewal::Write);
        }
        let is_due = self.rules.can_touch
            && self
                .rules
                .touch_is_due(&lifetime, snapshot.expires_at, wanted);
        is_due.then_some(Renewal::Touch)
    }

    /// The Max-Age of the cookie of a session that is used now.
    pub(crate) fn max_age_of(&self, snapshot: &Snapshot) -> Option<Duration> {
        let lifetime = snapshot.record.lifetime();
        let persistent = lifetime.is_some_and(|lifetime| lifetime.persistent);
        self.max_age(persistent, self.expiry_of(snapshot, self.now()))
    }

    pub(crate) fn max_age(
        &self,
        persistent: bool,
        expires_at: Option<Timestamp>,
    ) -> Option<Duration> {
        let left = || Some(expires_at?.saturating_since(self.now()));
        self.cookie.max_age(persistent, left)
    }

    /// Renews a record that was only read, if it is due.
    ///
    /// A failure does not fail the request. The next request tries again.
    pub(crate) async fn renew(
        &self,
        id: SessionId,
        snapshot: &Snapshot,
        input: &CommitInput,
    ) -> Result<CommitOutput> {
        let same = || unchanged(Some(id), Base::Present(snapshot.clone()));
        // A client that has an id from before a `rotate` gets the new one, but only if it still names the session.
        let followed = input.followed.then_some(Renewal::Write);
        let Some(renewal) = self.renewal(snapshot).or(followed) else {
            return Ok(same());
        };
        // Whoever writes the session now renews it as well.
        let Some(_turn) = self.queue.try_enter(id) else {
            return Ok(same());
        };
        input.claim.set();
        let renewed = match renewal {
            Renewal::Touch => self.touch(id, snapshot).await,
            Renewal::Write => self.rewrite(id, snapshot).await,
        };
        match renewed {
            Ok(Some(renewed)) => {
                let max_age = self.max_age_of(&renewed);
                let send = max_age.is_some() || input.followed;
                Ok(CommitOutput {
                    cookie: send.then_some(CookieChange::Set { id, max_age }),
                    ..unchanged(Some(id), Base::Present(renewed))
                })
            }
            Ok(None) => Ok(same()),
            Err(error) => {
                self.report(Some(id.fingerprint()), &SessionEvent::TouchFailed(&error));
                Ok(same())
            }
        }
    }

    /// Moves the expiry of a record; `None` if another request has changed the record.
    async fn touch(&self, id: SessionId, snapshot: &Snapshot) -> Result<Option<Snapshot>> {
        let expires_at = self.expiry_of(snapshot, self.now());
        let version = snapshot.version.clone().filter(|_| self.has_conditions());
        let options = TouchOptions::to(record_expiry(expires_at)).with_version(version);
        let touched = self.driver()?.touch(&id.key(), options).await?;
        Ok(touched.then(|| Snapshot {
            expires_at,
            ..snapshot.clone()
        }))
    }

    /// Writes a record with the time of its renewal; `None` if another request has changed the record.
    async fn rewrite(&self, id: SessionId, snapshot: &Snapshot) -> Result<Option<Snapshot>> {
        if !self.has_conditions() {
            match self.read(id).await? {
                Base::Present(fresh) if fresh.record.is_same(&snapshot.record) => {}
                _ => return Ok(None),
            }
        }
        let encoded = encode::encode(
            Some(&snapshot.record),
            &Changes::default(),
            true,
            &self.rules,
            self.settings.max_record_size,
            self.now(),
        )?;
        let Outcome::Changed(encoded) = encoded else {
            return Ok(None);
        };
        let options = WriteOptions::default()
            .with_expiry(record_expiry(encoded.expires_at))
            .with_condition(self.unchanged_since(snapshot.version.as_ref())?);
        let outcome = self
            .driver()?
            .write(&id.key(), encoded.record.bytes().clone(), options)
            .await?;
        let WriteOutcome::Written { version, .. } = outcome else {
            return Ok(None);
        };
        Ok(Some(Snapshot {
            record: encoded.record,
            version,
            expires_at: encoded.expires_at,
        }))
    }
}

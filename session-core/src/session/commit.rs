//! The commit protocol: it writes the changes of a request without losing those of other requests.
//!
//! A commit writes on condition that the record has the version that the request read. On a conflict it replays the
//! changes on the new record and tries again, until the commit deadline. Commits of one session in one process queue up
//! (see [`queue`](super::queue)), so they conflict with those of other processes only. Without conditional writes the
//! record is read once more right before the write.

use std::borrow::Cow;
use std::sync::Arc;

use super::backoff::Backoff;
use super::changes::Changes;
use super::cookie::CookieChange;
use super::encode::{self, Encoded};
use super::lifetime::{RecordLifetime, record_expiry};
use super::manager::ManagerInner;
use super::record::{self, Stored, TOMBSTONE};
use super::state::{Base, Snapshot};
use super::{SessionEvent, SessionId};
use crate::{
    ConflictState, Driver, Error, ErrorKind, Expiry, Outcome, RemoveOptions, Result, Version,
    WriteCondition, WriteOptions, WriteOutcome,
};

/// The outcome of saving a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SaveOutcome {
    /// There was nothing to write.
    Unchanged,
    /// The changes are stored.
    Written,
    /// The session had expired or was destroyed elsewhere, and the changes were dropped.
    Gone,
}

/// The input of a commit.
pub(crate) struct CommitInput {
    pub(crate) id: Option<SessionId>,
    pub(crate) base: Base,
    /// Whether this request has seen a record.
    pub(crate) had_record: bool,
    pub(crate) changes: Option<Arc<Changes>>,
    pub(crate) regenerate: bool,
    pub(crate) next_id: Option<SessionId>,
    /// Whether a session without a record may be created under a new id.
    pub(crate) may_create: bool,
    /// Whether the handle is used after the commit, and so needs the written record.
    pub(crate) keep_snapshot: bool,
}

/// The output of a commit.
pub(crate) struct CommitOutput {
    pub(crate) outcome: SaveOutcome,
    pub(crate) id: Option<SessionId>,
    pub(crate) base: Base,
    pub(crate) cookie: Option<CookieChange>,
}

/// Runs the commit protocol. The futures of rare cases are boxed, so that common commits stay small.
pub(crate) async fn commit(manager: &ManagerInner, input: &CommitInput) -> Result<CommitOutput> {
    let keep_snapshot = input.keep_snapshot;
    let read;
    let base = match (&input.base, input.id) {
        (Base::Unread, Some(id)) if input.changes.is_some() || input.regenerate => {
            read = Box::new(match Box::pin(manager.read(id)).await? {
                Base::Absent if input.had_record => Base::Gone,
                base => base,
            });
            &*read
        }
        (base, _) => base,
    };
    match (base, input.id, &input.changes) {
        (Base::Present(snapshot), Some(id), changes) if input.regenerate => {
            let next_id = input.next_id.unwrap_or_else(SessionId::random);
            let commit = Commit {
                manager,
                keep_snapshot,
            };
            let snapshot = snapshot.clone();
            Box::pin(commit.regenerate(id, snapshot, next_id, changes.as_deref())).await
        }
        (Base::Present(snapshot), Some(id), Some(changes)) => {
            let commit = Commit {
                manager,
                keep_snapshot,
            };
            commit.update(id, snapshot, changes).await
        }
        (Base::Present(snapshot), Some(id), None) => {
            Box::pin(manager.renew(id, snapshot.clone())).await
        }
        (base, id, Some(changes)) => {
            let lost = matches!(base, Base::Tombstone | Base::Gone) || !input.may_create;
            if lost && !input.regenerate {
                return Ok(gone(id, base));
            }
            let commit = Commit {
                manager,
                keep_snapshot,
            };
            Box::pin(commit.create(id, base, input.next_id, changes)).await
        }
        (base, id, None) => Ok(unchanged(id, base.clone())),
    }
}

/// Whether the response sets the cookie of a written session.
#[derive(Clone, Copy)]
enum SendCookie {
    /// Always: the browser does not have this id or this lifetime yet.
    Always,
    /// Only if the cookie has a Max-Age, which must be renewed.
    IfLimited,
}

#[derive(Clone, Copy)]
struct Commit<'a> {
    manager: &'a ManagerInner,
    keep_snapshot: bool,
}

pub(crate) fn unchanged(id: Option<SessionId>, base: Base) -> CommitOutput {
    CommitOutput {
        outcome: SaveOutcome::Unchanged,
        id,
        base,
        cookie: None,
    }
}

fn gone(id: Option<SessionId>, base: &Base) -> CommitOutput {
    let base = match base {
        Base::Tombstone => Base::Tombstone,
        _ => Base::Gone,
    };
    CommitOutput {
        outcome: SaveOutcome::Gone,
        id,
        base,
        cookie: None,
    }
}

impl Commit<'_> {
    /// Writes a session that has no record yet under a new id.
    async fn create(
        self,
        id: Option<SessionId>,
        base: &Base,
        next_id: Option<SessionId>,
        changes: &Changes,
    ) -> Result<CommitOutput> {
        let manager = self.manager;
        let changes = match base {
            Base::Absent => Cow::Borrowed(changes),
            // Values that an update computed from the destroyed record must not come back.
            _ => Cow::Owned(changes.replayed(None, manager.default_expires(), manager.now())?),
        };
        let Some(encoded) = self.encode(None, &changes)? else {
            return Ok(unchanged(id, base.clone()));
        };
        let mut backoff = Backoff::new(manager.settings.commit_deadline);
        let mut new_id = next_id.unwrap_or_else(SessionId::random);
        loop {
            match self.write_new(new_id, &encoded).await? {
                WriteOutcome::Written { version, .. } => {
                    return self.written(new_id, &encoded, version, SendCookie::Always);
                }
                WriteOutcome::Conflict(_) => {
                    backoff.wait().await?;
                    new_id = SessionId::random();
                }
            }
        }
    }

    /// Writes changes on condition that the record is unchanged, and replays them on the new record after a conflict.
    async fn update(
        self,
        id: SessionId,
        snapshot: &Snapshot,
        changes: &Changes,
    ) -> Result<CommitOutput> {
        let manager = self.manager;
        let _turn = manager
            .queue
            .enter(id, manager.settings.commit_deadline)
            .await?;
        let mut backoff = Backoff::new(manager.settings.commit_deadline);
        // The record that another request wrote meanwhile, and the changes replayed on it.
        let mut fresh: Option<Box<(Snapshot, Changes)>> = None;
        if !manager.has_conditions() {
            match Box::pin(self.refresh(id, changes)).await? {
                Ok(refreshed) => fresh = Some(Box::new(refreshed)),
                Err(base) => return Ok(gone(Some(id), &base)),
            }
        }
        loop {
            let (current, replayed) = match &fresh {
                Some(fresh) => (&fresh.0, &fresh.1),
                None => (snapshot, changes),
            };
            let Some(encoded) = self.encode(Some(current), replayed)? else {
                return Box::pin(manager.renew_in_turn(id, current.clone())).await;
            };
            let send_cookie = match changes.lifetime() {
                Some(_) => SendCookie::Always,
                None => SendCookie::IfLimited,
            };
            let options = WriteOptions::default()
                .with_expiry(record_expiry(encoded.expires_at))
                .with_condition(manager.unchanged_since(current)?);
            match manager
                .driver()?
                .write(&id.key(), encoded.bytes.clone(), options)
                .await?
            {
                WriteOutcome::Written { version, .. } => {
                    return self.written(id, &encoded, version, send_cookie);
                }
                WriteOutcome::Conflict(found) => match Box::pin(resolve(manager, id, found)).await?
                {
                    Base::Present(found) => {
                        let replayed = self.replay(changes, &found)?;
                        fresh = Some(Box::new((found, replayed)));
                    }
                    base => return Ok(gone(Some(id), &base)),
                },
            }
            Box::pin(backoff.wait()).await?;
        }
    }

    /// Moves a session to a new id: writes the new record, then replaces the old one by a tombstone.
    async fn regenerate(
        self,
        old_id: SessionId,
        snapshot: Snapshot,
        new_id: SessionId,
        changes: Option<&Changes>,
    ) -> Result<CommitOutput> {
        let manager = self.manager;
        let none = Changes::default();
        let changes = changes.unwrap_or(&none);
        let _turn = manager
            .queue
            .enter(old_id, manager.settings.commit_deadline)
            .await?;
        let mut backoff = Backoff::new(manager.settings.commit_deadline);
        let mut current = snapshot;
        let mut encoded = if manager.has_conditions() {
            self.encode_whole(&current, changes)?
        } else {
            match self.refresh(old_id, changes).await? {
                Ok((fresh, replayed)) => {
                    current = fresh;
                    self.encode_whole(&current, &replayed)?
                }
                Err(base) => return Ok(gone(Some(old_id), &base)),
            }
        };
        let mut version = match self.write_new(new_id, &encoded).await? {
            WriteOutcome::Written { version, .. } => version,
            WriteOutcome::Conflict(_) => return Err(id_taken()),
        };
        manager.recent.forget(old_id);
        // The new record is written. Errors with the old record are only reported. A logout that happened meanwhile removes
        // the new record again.
        loop {
            match self.replace_by_tombstone(old_id, &current).await {
                Ok(None) => break,
                Ok(Some(Base::Present(fresh))) => {
                    let merged = self.merge(new_id, &fresh, changes, version.as_ref()).await;
                    match merged {
                        Ok((merged, merged_version)) => {
                            (encoded, version, current) = (merged, merged_version, fresh);
                        }
                        Err(error) => {
                            self.cleanup_failed(old_id, &error);
                            break;
                        }
                    }
                }
                Ok(Some(base)) => {
                    let removed = manager
                        .driver()?
                        .remove(&new_id.key(), RemoveOptions::default())
                        .await;
                    if let Err(error) = removed {
                        self.cleanup_failed(new_id, &error);
                    }
                    return Ok(gone(Some(old_id), &base));
                }
                Err(error) => {
                    self.cleanup_failed(old_id, &error);
                    break;
                }
            }
            if let Err(error) = backoff.wait().await {
                self.cleanup_failed(old_id, &error);
                break;
            }
        }
        self.written(new_id, &encoded, version, SendCookie::Always)
    }

    /// Replaces the old record by a tombstone. If another request changed, moved or destroyed it first, returns what is
    /// there now.
    async fn replace_by_tombstone(
        &self,
        old_id: SessionId,
        current: &Snapshot,
    ) -> Result<Option<Base>> {
        let grace = self
            .manager
            .now()
            .saturating_add(self.manager.settings.regenerate_grace);
        let options = WriteOptions::default()
            .with_expiry(Expiry::At(grace))
            .with_condition(self.manager.unchanged_since(current)?);
        let outcome = self
            .manager
            .driver()?
            .write(&old_id.key(), TOMBSTONE, options)
            .await?;
        match outcome {
            WriteOutcome::Written { .. } => Ok(None),
            WriteOutcome::Conflict(found) => resolve(self.manager, old_id, found).await.map(Some),
        }
    }

    /// Writes changes that the old record received meanwhile to the new record as well.
    async fn merge(
        &self,
        new_id: SessionId,
        fresh: &Snapshot,
        changes: &Changes,
        version: Option<&Version>,
    ) -> Result<(Encoded, Option<Version>)> {
        let encoded = self.encode_whole(fresh, &self.replay(changes, fresh)?)?;
        let options = WriteOptions::default()
            .with_expiry(record_expiry(encoded.expires_at))
            .with_condition(
                version
                    .cloned()
                    .map_or(WriteCondition::Always, WriteCondition::IfVersion),
            );
        let outcome = self
            .manager
            .driver()?
            .write(&new_id.key(), encoded.bytes.clone(), options)
            .await?;
        match outcome {
            WriteOutcome::Written { version, .. } => Ok((encoded, version)),
            WriteOutcome::Conflict(_) => Err(id_taken()),
        }
    }

    /// Reads the record once more right before it is written, on a driver without conditions.
    ///
    /// The later writer wins, and this keeps the time short in which a change can be lost. The inner error is what was
    /// found in place of a record.
    async fn refresh(
        &self,
        id: SessionId,
        changes: &Changes,
    ) -> Result<Result<(Snapshot, Changes), Base>> {
        match self.manager.read(id).await? {
            Base::Present(fresh) => {
                let replayed = self.replay(changes, &fresh)?;
                Ok(Ok((fresh, replayed)))
            }
            base => Ok(Err(base)),
        }
    }

    fn replay(&self, changes: &Changes, on: &Snapshot) -> Result<Changes> {
        let manager = self.manager;
        changes.replayed(Some(&on.record), manager.default_expires(), manager.now())
    }

    fn encode(&self, base: Option<&Snapshot>, changes: &Changes) -> Result<Option<Encoded>> {
        let manager = self.manager;
        let record = base.map(|snapshot| &snapshot.record);
        match encode::encode(
            record,
            changes,
            &manager.rules,
            manager.settings.max_record_size,
            manager.now(),
        )? {
            encode::Outcome::Unchanged => Ok(None),
            encode::Outcome::Changed(encoded) => Ok(Some(encoded)),
        }
    }

    /// Encodes the record with the changes, even if these change nothing.
    fn encode_whole(&self, base: &Snapshot, changes: &Changes) -> Result<Encoded> {
        if let Some(encoded) = self.encode(Some(base), changes)? {
            return Ok(encoded);
        }
        let manager = self.manager;
        let lifetime = base.record.lifetime();
        Ok(Encoded {
            bytes: base.record.bytes().clone(),
            record: Some(base.record.clone()),
            expires_at: manager.expiry_of(base),
            lifetime: lifetime.unwrap_or_else(|| manager.rules.begin(manager.now())),
        })
    }

    async fn write_new(&self, id: SessionId, encoded: &Encoded) -> Result<WriteOutcome> {
        let condition = if self.manager.has_conditions() {
            WriteCondition::IfAbsent
        } else {
            WriteCondition::Always
        };
        let options = WriteOptions::default()
            .with_expiry(record_expiry(encoded.expires_at))
            .with_condition(condition);
        self.manager
            .driver()?
            .write(&id.key(), encoded.bytes.clone(), options)
            .await
    }

    fn written(
        &self,
        id: SessionId,
        encoded: &Encoded,
        version: Option<Version>,
        send_cookie: SendCookie,
    ) -> Result<CommitOutput> {
        let record = match &encoded.record {
            Some(record) => Some(record.clone()),
            None if self.keep_snapshot => match record::parse(encoded.bytes.clone())? {
                Stored::Record(record) => Some(record),
                Stored::Nothing | Stored::Tombstone => None,
            },
            None => None,
        };
        let base = match record {
            Some(record) => {
                self.manager.recent.keep(id, &record);
                Base::Present(Snapshot {
                    record,
                    version,
                    expires_at: encoded.expires_at,
                })
            }
            None => Base::Unread,
        };
        let RecordLifetime { persistent, .. } = encoded.lifetime;
        let max_age = self.manager.max_age(persistent, encoded.expires_at);
        let send = match send_cookie {
            SendCookie::Always => true,
            SendCookie::IfLimited => max_age.is_some(),
        };
        Ok(CommitOutput {
            outcome: SaveOutcome::Written,
            id: Some(id),
            base,
            cookie: send.then_some(CookieChange::Set { id, max_age }),
        })
    }

    fn cleanup_failed(&self, id: SessionId, error: &Error) {
        let event = SessionEvent::CleanupFailed(error);
        self.manager.report(Some(id.fingerprint()), &event);
    }
}

impl ManagerInner {
    /// The condition that the record is unchanged since `snapshot`; none on a driver without conditions.
    pub(crate) fn unchanged_since(&self, snapshot: &Snapshot) -> Result<WriteCondition> {
        if !self.has_conditions() {
            return Ok(WriteCondition::Always);
        }
        version_of(self, snapshot.version.as_ref()).map(WriteCondition::IfVersion)
    }
}

/// The record that caused a conflict. It is read again if the driver did not return it.
async fn resolve(manager: &ManagerInner, id: SessionId, found: ConflictState) -> Result<Base> {
    match found {
        ConflictState::Absent => Ok(Base::Absent),
        ConflictState::Present(entry) => manager.interpret(Some(id), entry),
        ConflictState::Unknown => manager.read(id).await,
    }
}

pub(crate) fn version_of(manager: &ManagerInner, version: Option<&Version>) -> Result<Version> {
    version.cloned().ok_or_else(|| {
        Error::new(
            ErrorKind::Backend,
            "the driver declares conditions but returned an entry without a version; \
            run the conformance suite on it",
        )
        .with_outcome(Outcome::NotApplied)
        .with_context(manager.backing.name(), "read")
    })
}

fn id_taken() -> Error {
    Error::new(
        ErrorKind::Backend,
        "a newly generated session id is already in use; \
        check the random number generator of this machine",
    )
    .with_outcome(Outcome::NotApplied)
}

pub(crate) fn not_applied(error: Error) -> Error {
    error.with_outcome(Outcome::NotApplied)
}

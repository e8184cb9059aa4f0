//! The commit protocol: how the changes of a request reach the store without losing anybody's.

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

/// What became of a session's changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SaveOutcome {
    /// There was nothing to write.
    Unchanged,
    /// The changes are stored.
    Written,
    /// The session had ended or was destroyed elsewhere, and the changes were dropped.
    Gone,
}

/// What a commit starts from.
pub(crate) struct CommitInput {
    pub(crate) id: Option<SessionId>,
    pub(crate) base: Base,
    /// Whether there was a record that this request saw.
    pub(crate) had_record: bool,
    pub(crate) changes: Option<Arc<Changes>>,
    pub(crate) regenerate: bool,
    pub(crate) next_id: Option<SessionId>,
    /// Whether a session without a record may be given one under a new id.
    pub(crate) may_create: bool,
    /// Whether the handle goes on being used, and so needs what was written.
    pub(crate) keep_snapshot: bool,
}

/// What a commit came to.
pub(crate) struct CommitOutput {
    pub(crate) outcome: SaveOutcome,
    pub(crate) id: Option<SessionId>,
    pub(crate) base: Base,
    pub(crate) cookie: Option<CookieChange>,
}

/// Runs the commit protocol. The futures of what is rare are boxed, so that the others' commits do not pay for
/// their size.
pub(crate) async fn commit(store: &ManagerInner, work: &CommitInput) -> Result<CommitOutput> {
    let keep_snapshot = work.keep_snapshot;
    let read;
    let base = match (&work.base, work.id) {
        (Base::Unread, Some(id)) if work.changes.is_some() || work.regenerate => {
            read = Box::new(match Box::pin(store.read(id)).await? {
                Base::Absent if work.had_record => Base::Gone,
                base => base,
            });
            &*read
        }
        (base, _) => base,
    };
    match (base, work.id, &work.changes) {
        (Base::Present(snapshot), Some(id), changes) if work.regenerate => {
            let next_id = work.next_id.unwrap_or_else(SessionId::random);
            let commit = Commit {
                store,
                keep_snapshot,
            };
            let snapshot = snapshot.clone();
            Box::pin(commit.regenerate(id, snapshot, next_id, changes.as_deref())).await
        }
        (Base::Present(snapshot), Some(id), Some(changes)) => {
            let commit = Commit {
                store,
                keep_snapshot,
            };
            commit.update(id, snapshot, changes).await
        }
        (Base::Present(snapshot), Some(id), None) => {
            Box::pin(store.renew(id, snapshot.clone())).await
        }
        (base, id, Some(changes)) => {
            let lost = matches!(base, Base::Tombstone | Base::Gone) || !work.may_create;
            if lost && !work.regenerate {
                return Ok(gone(id, base));
            }
            let commit = Commit {
                store,
                keep_snapshot,
            };
            Box::pin(commit.create(id, base, work.next_id, changes)).await
        }
        (base, id, None) => Ok(unchanged(id, base.clone())),
    }
}

/// Whether a written session's cookie goes out.
#[derive(Clone, Copy)]
enum SendCookie {
    /// The browser does not have this id or this lifetime yet.
    Always,
    /// The browser has it, and must only hear of the new end, if its cookie has a Max-Age.
    IfLimited,
}

#[derive(Clone, Copy)]
struct Commit<'a> {
    store: &'a ManagerInner,
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
        let store = self.store;
        let changes = match base {
            Base::Absent => Cow::Borrowed(changes),
            // What an update made of the record that is gone must not come back.
            _ => Cow::Owned(changes.replayed(None, store.default_expires(), store.now())?),
        };
        let Some(encoded) = self.encode(None, &changes)? else {
            return Ok(unchanged(id, base.clone()));
        };
        let mut backoff = Backoff::new(store.settings.commit_deadline);
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

    /// Writes changes to a record on condition that nobody else has changed it, and makes them again on top
    /// of what somebody else wrote.
    async fn update(
        self,
        id: SessionId,
        snapshot: &Snapshot,
        changes: &Changes,
    ) -> Result<CommitOutput> {
        let store = self.store;
        let _turn = store
            .queue
            .enter(id, store.settings.commit_deadline)
            .await?;
        let mut backoff = Backoff::new(store.settings.commit_deadline);
        // What somebody else wrote meanwhile, and the changes on top of it.
        let mut fresh: Option<Box<(Snapshot, Changes)>> = None;
        if !store.has_conditions() {
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
                return Box::pin(store.renew_in_turn(id, current.clone())).await;
            };
            let send_cookie = match changes.lifetime() {
                Some(_) => SendCookie::Always,
                None => SendCookie::IfLimited,
            };
            let options = WriteOptions::default()
                .with_expiry(record_expiry(encoded.expires_at))
                .with_condition(store.unchanged_since(current)?);
            match store
                .driver()?
                .write(&id.key(), encoded.bytes.clone(), options)
                .await?
            {
                WriteOutcome::Written { version, .. } => {
                    return self.written(id, &encoded, version, send_cookie);
                }
                WriteOutcome::Conflict(found) => match Box::pin(resolve(store, id, found)).await? {
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

    /// Moves a session to a new id: writes the new record, then puts a tombstone in the place of the old one.
    async fn regenerate(
        self,
        old_id: SessionId,
        snapshot: Snapshot,
        new_id: SessionId,
        changes: Option<&Changes>,
    ) -> Result<CommitOutput> {
        let store = self.store;
        let none = Changes::default();
        let changes = changes.unwrap_or(&none);
        let _turn = store
            .queue
            .enter(old_id, store.settings.commit_deadline)
            .await?;
        let mut backoff = Backoff::new(store.settings.commit_deadline);
        let mut current = snapshot;
        let mut encoded = if store.has_conditions() {
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
        store.recent.forget(old_id);
        // The new record is certain: whatever happens to the old one from here on is reported and does not
        // undo it, but for a logout that came in between.
        loop {
            match self.put_away(old_id, &current).await {
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
                    let removed = store
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

    /// Replaces the old record by a tombstone, unless somebody changed, moved or destroyed it first; gives what is
    /// there then.
    async fn put_away(&self, old_id: SessionId, current: &Snapshot) -> Result<Option<Base>> {
        let grace = self
            .store
            .now()
            .saturating_add(self.store.settings.regenerate_grace);
        let options = WriteOptions::default()
            .with_expiry(Expiry::At(grace))
            .with_condition(self.store.unchanged_since(current)?);
        let outcome = self
            .store
            .driver()?
            .write(&old_id.key(), TOMBSTONE, options)
            .await?;
        match outcome {
            WriteOutcome::Written { .. } => Ok(None),
            WriteOutcome::Conflict(found) => resolve(self.store, old_id, found).await.map(Some),
        }
    }

    /// Writes what came into the old record meanwhile into the new one as well.
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
            .store
            .driver()?
            .write(&new_id.key(), encoded.bytes.clone(), options)
            .await?;
        match outcome {
            WriteOutcome::Written { version, .. } => Ok((encoded, version)),
            WriteOutcome::Conflict(_) => Err(id_taken()),
        }
    }

    /// On a driver without conditions, reads the record once more right before it is written: the later
    /// writer wins, but over as short a time as can be had. Where there is none any more, gives what there is.
    async fn refresh(
        &self,
        id: SessionId,
        changes: &Changes,
    ) -> Result<Result<(Snapshot, Changes), Base>> {
        match self.store.read(id).await? {
            Base::Present(fresh) => {
                let replayed = self.replay(changes, &fresh)?;
                Ok(Ok((fresh, replayed)))
            }
            base => Ok(Err(base)),
        }
    }

    fn replay(&self, changes: &Changes, on: &Snapshot) -> Result<Changes> {
        let store = self.store;
        changes.replayed(Some(&on.record), store.default_expires(), store.now())
    }

    fn encode(&self, base: Option<&Snapshot>, changes: &Changes) -> Result<Option<Encoded>> {
        let store = self.store;
        let record = base.map(|snapshot| &snapshot.record);
        match encode::encode(
            record,
            changes,
            &store.rules,
            store.settings.max_record_size,
            store.now(),
        )? {
            encode::Outcome::Unchanged => Ok(None),
            encode::Outcome::Changed(encoded) => Ok(Some(encoded)),
        }
    }

    /// The record with the changes, also where these change nothing.
    fn encode_whole(&self, base: &Snapshot, changes: &Changes) -> Result<Encoded> {
        if let Some(encoded) = self.encode(Some(base), changes)? {
            return Ok(encoded);
        }
        let store = self.store;
        let lifetime = base.record.lifetime();
        Ok(Encoded {
            bytes: base.record.bytes().clone(),
            record: Some(base.record.clone()),
            expires_at: store.expiry_of(base),
            lifetime: lifetime.unwrap_or_else(|| store.rules.begin(store.now())),
        })
    }

    async fn write_new(&self, id: SessionId, encoded: &Encoded) -> Result<WriteOutcome> {
        let condition = if self.store.has_conditions() {
            WriteCondition::IfAbsent
        } else {
            WriteCondition::Always
        };
        let options = WriteOptions::default()
            .with_expiry(record_expiry(encoded.expires_at))
            .with_condition(condition);
        self.store
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
                self.store.recent.keep(id, &record);
                Base::Present(Snapshot {
                    record,
                    version,
                    expires_at: encoded.expires_at,
                })
            }
            None => Base::Unread,
        };
        let RecordLifetime { persistent, .. } = encoded.lifetime;
        let max_age = self.store.max_age(persistent, encoded.expires_at);
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
        self.store.report(Some(id.fingerprint()), &event);
    }
}

impl ManagerInner {
    /// The condition that nobody has changed the record since `snapshot`, on a driver that has conditions.
    pub(crate) fn unchanged_since(&self, snapshot: &Snapshot) -> Result<WriteCondition> {
        if !self.has_conditions() {
            return Ok(WriteCondition::Always);
        }
        version_of(self, snapshot.version.as_ref()).map(WriteCondition::IfVersion)
    }
}

/// What a failed condition found, read anew where the driver did not say.
async fn resolve(store: &ManagerInner, id: SessionId, found: ConflictState) -> Result<Base> {
    match found {
        ConflictState::Absent => Ok(Base::Absent),
        ConflictState::Present(entry) => store.interpret(Some(id), entry),
        ConflictState::Unknown => store.read(id).await,
    }
}

pub(crate) fn version_of(store: &ManagerInner, version: Option<&Version>) -> Result<Version> {
    version.cloned().ok_or_else(|| {
        Error::new(
            ErrorKind::Backend,
            "the driver says that it has conditions and gave an entry without a version; \
             run the conformance suite on it",
        )
        .with_outcome(Outcome::NotApplied)
        .with_context(store.backing.name(), "read")
    })
}

fn id_taken() -> Error {
    Error::new(
        ErrorKind::Backend,
        "something is stored under a session id that was just drawn at random; \
         check the random number generator of this machine",
    )
    .with_outcome(Outcome::NotApplied)
}

pub(crate) fn not_applied(error: Error) -> Error {
    error.with_outcome(Outcome::NotApplied)
}

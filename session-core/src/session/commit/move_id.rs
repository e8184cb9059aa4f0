//! Moves a session to a new id, by `regenerate` or `rotate`.
//!
//! The new record is written first. Then a tombstone takes the place of the old one, on condition that it is unchanged.
//! What came in between is merged into the new record before the next attempt. Until the tombstone is there, the old id
//! works, and the call has not succeeded: if it cannot be written in time, the new record is removed again.

use std::borrow::Cow;

use tokio::time::Instant;

use super::{
    Backoff, CommitInput, CommitOutput, Written, combine, contended, encode, gone, id_taken, stale,
    unchanged, write_new,
};
use crate::session::changes::Changes;
use crate::session::cookie::CookieChange;
use crate::session::encode::Encoded;
use crate::session::lifetime::record_expiry;
use crate::session::manager::ManagerInner;
use crate::session::state::{Base, CorruptRecord, Moved, Snapshot};
use crate::session::tombstone::{MoveKind, Tombstone};
use crate::session::{SessionEvent, SessionId};
use crate::{
    Driver, Expiry, RemoveOptions, Result, Version, WriteCondition, WriteOptions, WriteOutcome,
};

/// Moves the session of `id` to a new id with the changes of `input`.
pub(super) async fn move_id(
    manager: &ManagerInner,
    id: SessionId,
    kind: MoveKind,
    input: &CommitInput,
) -> Result<CommitOutput> {
    let (deadline, limit) = manager.commit_deadline();
    let _turn = manager
        .queue
        .enter_alone(id, false, deadline, limit)
        .await?;
    input.claim.set();
    let none = Changes::default();
    let changes = input.changes.as_deref().unwrap_or(&none);
    let mut base = input.base.clone();
    let mut old_id = id;
    if !manager.has_conditions() {
        (old_id, base) = manager.load(id).await?;
    }
    let old = match base {
        Base::Present(snapshot) => Old::Record(snapshot),
        Base::Corrupt(corrupt) => Old::Corrupt(corrupt),
        base => return Ok(lost(id, &base)),
    };
    let replays = !manager.has_conditions();
    let Some(encoded) = old.encode(manager, changes, replays)? else {
        return Ok(stale(id, input.base.clone()));
    };
    let new_id = input.next_id.unwrap_or_else(SessionId::random);
    let version = match write_new(manager, new_id, &encoded).await? {
        WriteOutcome::Written { version, .. } => version,
        WriteOutcome::Conflict(_) => return Err(id_taken()),
    };
    manager.records.forget(old_id);
    let mut moving = Moving {
        manager,
        kind,
        changes,
        old_id,
        old,
        new_id,
        encoded,
        version,
    };
    let ended = moving
        .put_tombstone(deadline, Backoff::new(deadline, limit))
        .await;
    match ended {
        Ok(Ended::Moved) => {
            let written = Written {
                id: new_id,
                encoded: &moving.encoded,
                version: moving.version.clone(),
            };
            Ok(written.output(manager, true))
        }
        Ok(Ended::Gone(base)) => {
            moving.remove_new().await;
            Ok(lost(id, &base))
        }
        Ok(Ended::Stale(base)) => {
            moving.remove_new().await;
            Ok(stale(id, base))
        }
        Ok(Ended::Joined(id, fresh)) => {
            moving.remove_new().await;
            join(manager, id, fresh, input).await
        }
        Err(error) => {
            moving.remove_new().await;
            Err(error)
        }
    }
}

/// Another request has rotated the session at the same time: the changes go to where it is now.
async fn join(
    manager: &ManagerInner,
    id: SessionId,
    fresh: Snapshot,
    input: &CommitInput,
) -> Result<CommitOutput> {
    let max_age = manager.max_age_of(&fresh);
    let cookie = Some(CookieChange::Set { id, max_age });
    let Some(changes) = &input.changes else {
        return Ok(CommitOutput {
            cookie,
            ..unchanged(Some(id), Base::Present(fresh))
        });
    };
    let expires = manager.default_expires();
    let Some(replayed) = changes.replayed(Some(&fresh.record), expires, manager.now())? else {
        return Ok(stale(id, Base::Present(fresh)));
    };
    let output = combine::commit(manager, id, &fresh, &replayed.into(), input).await?;
    Ok(CommitOutput {
        replayed: true,
        cookie: output.cookie.or(cookie),
        ..output
    })
}

/// The output of a move that found its session gone: the caller wanted a new id, and has none.
fn lost(id: SessionId, base: &Base) -> CommitOutput {
    CommitOutput {
        lost: true,
        ..gone(id, base, None)
    }
}

/// What is stored under the old id.
enum Old {
    Record(Snapshot),
    /// The new session begins empty, since nobody can read the old one.
    Corrupt(CorruptRecord),
}

impl Old {
    fn version(&self) -> Option<&Version> {
        match self {
            Self::Record(snapshot) => snapshot.version.as_ref(),
            Self::Corrupt(corrupt) => corrupt.version.as_ref(),
        }
    }

    /// The record with the changes, even if these change nothing; `None` if a change is stale.
    fn encode(
        &self,
        manager: &ManagerInner,
        changes: &Changes,
        replays: bool,
    ) -> Result<Option<Encoded>> {
        let record = match self {
            Self::Record(snapshot) => Some(&snapshot.record),
            Self::Corrupt(_) => None,
        };
        let (expires, now) = (manager.default_expires(), manager.now());
        let changes = match replays {
            false => Cow::Borrowed(changes),
            true => match changes.replayed(record, expires, now)? {
                Some(replayed) => Cow::Owned(replayed),
                None => return Ok(None),
            },
        };
        if let Some(encoded) = encode(manager, record, &changes)? {
            return Ok(Some(encoded));
        }
        let Self::Record(snapshot) = self else {
            return encode_empty(manager).map(Some);
        };
        let lifetime = snapshot.record.lifetime();
        Ok(Some(Encoded {
            record: snapshot.record.clone(),
            expires_at: manager.expiry_of(snapshot, manager.now()),
            lifetime: lifetime.unwrap_or_else(|| manager.rules.begin(now)),
        }))
    }
}

/// A record without values, in place of one that cannot be parsed.
fn encode_empty(manager: &ManagerInner) -> Result<Encoded> {
    let mut changes = Changes::default();
    changes.set_lifetime(crate::session::Lifetime::configured());
    encode(manager, None, &changes)?.ok_or_else(id_taken)
}

/// How a move ended.
enum Ended {
    Moved,
    /// The session was destroyed, or moved to an id that is not followed.
    Gone(Base),
    Stale(Base),
    /// Another request has rotated the session to this id.
    Joined(SessionId, Snapshot),
}

/// A move whose new record is written.
struct Moving<'a> {
    manager: &'a ManagerInner,
    kind: MoveKind,
    changes: &'a Changes,
    old_id: SessionId,
    old: Old,
    new_id: SessionId,
    encoded: Encoded,
    version: Option<Version>,
}

impl Moving<'_> {
    /// Replaces the old record by a tombstone.
    ///
    /// After a conflict it tries again at once: with a pause, somebody who writes often could keep the old id alive.
    async fn put_tombstone(&mut self, deadline: Instant, mut backoff: Backoff) -> Result<Ended> {
        loop {
            let tombstone = Tombstone::new(self.kind, self.new_id);
            let attempt = self.write_tombstone(&tombstone, self.old.version()).await;
            let found = match attempt {
                Ok(WriteOutcome::Written { .. }) => return Ok(Ended::Moved),
                Ok(WriteOutcome::Conflict(found)) => self.manager.resolve(self.old_id, found).await,
                Err(error) => Err(error),
            };
            let ended = match found {
                Ok(base) => self.go_on(base).await?,
                // A tombstone whose answer was lost is written again: it is the same.
                Err(error) if error.is_transient() => {
                    if backoff.wait().await.is_err() {
                        return Err(error);
                    }
                    None
                }
                Err(error) => return Err(error),
            };
            if let Some(ended) = ended {
                return Ok(ended);
            }
            if Instant::now() >= deadline {
                return Err(contended(self.manager.settings.commit_deadline));
            }
        }
    }

    /// Decides what to do about what was found in place of the old record; `None` is another attempt.
    async fn go_on(&mut self, found: Base) -> Result<Option<Ended>> {
        match found {
            Base::Present(fresh) => self.merge(fresh).await,
            Base::Corrupt(corrupt) => {
                self.old = Old::Corrupt(corrupt);
                Ok(None)
            }
            Base::Tombstone(moved) if moved.tombstone.successors.contains(&self.new_id) => {
                Ok(Some(Ended::Moved))
            }
            Base::Tombstone(moved) => match moved.tombstone.kind {
                MoveKind::Rotated => self.was_rotated(moved).await,
                MoveKind::Regenerated => self.was_regenerated(moved).await,
            },
            base => Ok(Some(Ended::Gone(base))),
        }
    }

    /// Another request has rotated the session. A `rotate` joins it; a `regenerate` ends that id as well.
    async fn was_rotated(&mut self, moved: Box<Moved>) -> Result<Option<Ended>> {
        let base = Base::Tombstone(moved.clone());
        match self.manager.follow(self.old_id, base).await? {
            (id, Base::Present(fresh)) if self.kind == MoveKind::Rotated => {
                Ok(Some(Ended::Joined(id, fresh)))
            }
            (id, Base::Present(fresh)) => {
                self.old_id = id;
                self.merge(fresh).await
            }
            (_, base) => match self.kind {
                MoveKind::Rotated => Ok(Some(Ended::Gone(base))),
                MoveKind::Regenerated => self.was_regenerated(moved).await,
            },
        }
    }

    /// Another request has regenerated the session: two logins at once. Both stand, unless one was followed by a logout.
    async fn was_regenerated(&mut self, moved: Box<Moved>) -> Result<Option<Ended>> {
        let is_login = self.kind == MoveKind::Regenerated;
        if !is_login || !self.manager.is_alive(&moved).await? {
            return Ok(Some(Ended::Gone(Base::Tombstone(moved))));
        }
        // A logout under the old id must find this session as well.
        let Some(both) = moved.tombstone.with_successor(self.new_id) else {
            return Ok(Some(Ended::Moved));
        };
        match self.write_tombstone(&both, moved.version.as_ref()).await? {
            WriteOutcome::Written { .. } => Ok(Some(Ended::Moved)),
            WriteOutcome::Conflict(_) => Ok(None),
        }
    }

    async fn write_tombstone(
        &self,
        tombstone: &Tombstone,
        version: Option<&Version>,
    ) -> Result<WriteOutcome> {
        let manager = self.manager;
        let grace = manager
            .now()
            .saturating_add(manager.settings.regenerate_grace);
        let options = WriteOptions::default()
            .with_expiry(Expiry::At(grace))
            .with_condition(manager.unchanged_since(version)?);
        manager
            .driver()?
            .write(&self.old_id.key(), tombstone.encode(), options)
            .await
    }

    /// Merges what the old record has received meanwhile into the new one.
    async fn merge(&mut self, fresh: Snapshot) -> Result<Option<Ended>> {
        self.old = Old::Record(fresh.clone());
        let Some(encoded) = self.old.encode(self.manager, self.changes, true)? else {
            return Ok(Some(Ended::Stale(Base::Present(fresh))));
        };
        let condition = self
            .version
            .clone()
            .map_or(WriteCondition::Always, WriteCondition::IfVersion);
        let options = WriteOptions::default()
            .with_expiry(record_expiry(encoded.expires_at))
            .with_condition(condition);
        let key = self.new_id.key();
        let written = self
            .manager
            .driver()?
            .write(&key, encoded.record.bytes().clone(), options)
            .await?;
        match written {
            WriteOutcome::Written { version, .. } => {
                (self.encoded, self.version) = (encoded, version);
                Ok(None)
            }
            WriteOutcome::Conflict(_) => Err(id_taken()),
        }
    }

    /// Removes the new record, of which no client knows.
    async fn remove_new(&self) {
        let removed = match self.manager.driver() {
            Ok(driver) => {
                driver
                    .remove(&self.new_id.key(), RemoveOptions::default())
                    .await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            let session = Some(self.new_id.fingerprint());
            self.manager
                .report(session, &SessionEvent::CleanupFailed(&error));
        }
    }
}

//! The commit protocol: it writes the changes of a request without losing those of other requests.
//!
//! A commit writes on condition that the record has the version that the request read. On a conflict it replays the
//! changes on the new record and tries again, until the commit deadline. A value that was computed from an old one is not
//! replayed: the commit is stale. Commits of one session in one process queue up (see [`queue`]) and are written together
//! (see [`combine`]). A session that gets a new id is in [`move_id`]. Without conditional writes the record is read once
//! more right before the write.

mod backoff;
mod combine;
mod move_id;
mod queue;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::SessionId;
use super::changes::Changes;
use super::cookie::CookieChange;
use super::encode::{self, Encoded};
use super::lifetime::record_expiry;
use super::manager::ManagerInner;
use super::record::Record;
use super::state::{Base, CorruptRecord, Snapshot};
use super::tombstone::MoveKind;
use crate::{
    Driver, Error, ErrorKind, Outcome, Result, Version, WriteCondition, WriteOptions, WriteOutcome,
};

pub(crate) use backoff::Backoff;
pub(crate) use queue::CommitQueue;

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
    /// Another request changed a value that this request had read and then set, and the changes were dropped.
    Stale,
}

impl SaveOutcome {
    /// The error that says that changes were dropped, if they were.
    pub(crate) fn lost(self) -> Option<Error> {
        match self {
            Self::Unchanged | Self::Written => None,
            Self::Gone => Some(Error::new(
                ErrorKind::Gone,
                "the session was destroyed or has expired, so its changes were not stored; start a new session",
            )),
            Self::Stale => Some(Error::new(
                ErrorKind::Stale,
                "another request changed a value after this one had read it, so its changes were not stored; \
                 reload the session and repeat them, or change the value with `update`",
            )),
        }
    }
}

/// Says that a commit has begun to write, so that it runs to its end even if its caller has gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claim(Arc<AtomicBool>);

impl Claim {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The input of a commit.
pub(crate) struct CommitInput {
    pub(crate) id: Option<SessionId>,
    /// What is stored, which was read if there are changes.
    pub(crate) base: Base,
    pub(crate) changes: Option<Arc<Changes>>,
    pub(crate) moves: Option<MoveKind>,
    pub(crate) next_id: Option<SessionId>,
    /// Whether a session without a record may be created under a new id.
    pub(crate) may_create: bool,
    /// Whether the client has another id than `id`, from before a `rotate`.
    pub(crate) followed: bool,
    pub(crate) claim: Claim,
}

/// The output of a commit.
#[derive(Clone, Debug)]
pub(crate) struct CommitOutput {
    pub(crate) outcome: SaveOutcome,
    /// Whether changes were dropped that the application would miss.
    pub(crate) lost: bool,
    /// Whether the changes were applied to another record than the request has seen.
    pub(crate) replayed: bool,
    pub(crate) id: Option<SessionId>,
    pub(crate) base: Base,
    pub(crate) cookie: Option<CookieChange>,
}

impl Default for CommitOutput {
    fn default() -> Self {
        unchanged(None, Base::Absent)
    }
}

pub(crate) fn unchanged(id: Option<SessionId>, base: Base) -> CommitOutput {
    CommitOutput {
        outcome: SaveOutcome::Unchanged,
        lost: false,
        replayed: false,
        id,
        base,
        cookie: None,
    }
}

/// The output of a commit that found its session gone or moved.
fn gone(id: SessionId, base: &Base, changes: Option<&Changes>) -> CommitOutput {
    let base = match base {
        Base::Tombstone(moved) => Base::Tombstone(moved.clone()),
        _ => Base::Gone,
    };
    // What was to be removed is not there.
    if changes.is_some_and(Changes::only_remove) {
        return unchanged(Some(id), base);
    }
    CommitOutput {
        outcome: SaveOutcome::Gone,
        lost: changes.is_some_and(Changes::would_be_missed),
        ..unchanged(Some(id), base)
    }
}

fn stale(id: SessionId, base: Base) -> CommitOutput {
    CommitOutput {
        outcome: SaveOutcome::Stale,
        lost: true,
        ..unchanged(Some(id), base)
    }
}

/// Runs the commit protocol. The futures of rare cases are boxed, so that common commits stay small.
pub(crate) async fn commit(manager: &ManagerInner, input: &CommitInput) -> Result<CommitOutput> {
    match (&input.base, input.id, &input.changes, input.moves) {
        (Base::Present(snapshot), Some(id), Some(changes), None) => {
            combine::commit(manager, id, snapshot, changes, input).await
        }
        (Base::Present(snapshot), Some(id), None, None) => {
            Box::pin(manager.renew(id, snapshot, input)).await
        }
        (Base::Present(_) | Base::Corrupt(_), Some(id), _, Some(kind)) => {
            Box::pin(move_id::move_id(manager, id, kind, input)).await
        }
        (Base::Corrupt(corrupt), _, Some(_), None) => Err(corrupt_again(corrupt)),
        (base, id, Some(changes), moves) => {
            let is_gone = matches!(base, Base::Tombstone(_) | Base::Gone) || !input.may_create;
            match (id, moves) {
                (Some(id), None | Some(MoveKind::Rotated)) if is_gone => {
                    Ok(gone(id, base, Some(changes)))
                }
                _ => Box::pin(create(manager, changes, input)).await,
            }
        }
        (base, id, None, _) => Ok(unchanged(id, base.clone())),
    }
}

/// Writes a session that has no record yet under a new id.
async fn create(
    manager: &ManagerInner,
    changes: &Changes,
    input: &CommitInput,
) -> Result<CommitOutput> {
    let changes = match (&input.base, input.id) {
        // Values that an update computed from the destroyed record must not come back.
        (Base::Tombstone(_) | Base::Gone, Some(id)) => {
            match changes.replayed(None, manager.default_expires(), manager.now())? {
                Some(replayed) => Cow::Owned(replayed),
                None => return Ok(stale(id, input.base.clone())),
            }
        }
        _ => Cow::Borrowed(changes),
    };
    let Some(encoded) = encode(manager, None, &changes)? else {
        return Ok(unchanged(input.id, input.base.clone()));
    };
    input.claim.set();
    let mut backoff = manager.backoff();
    let mut new_id = input.next_id.unwrap_or_else(SessionId::random);
    loop {
        match write_new(manager, new_id, &encoded).await? {
            WriteOutcome::Written { version, .. } => {
                let written = Written {
                    id: new_id,
                    encoded: &encoded,
                    version,
                };
                return Ok(written.output(manager, true));
            }
            WriteOutcome::Conflict(_) => {
                backoff.wait().await?;
                new_id = SessionId::random();
            }
        }
    }
}

/// A record that was written.
struct Written<'a> {
    id: SessionId,
    encoded: &'a Encoded,
    version: Option<Version>,
}

impl Written<'_> {
    fn snapshot(&self) -> Snapshot {
        Snapshot {
            record: self.encoded.record.clone(),
            version: self.version.clone(),
            expires_at: self.encoded.expires_at,
        }
    }

    /// The output of its commit.
    ///
    /// The cookie is sent if `new_cookie`, because the browser does not have this id or this lifetime yet, or if it has a
    /// Max-Age, which must be renewed.
    fn output(&self, manager: &ManagerInner, new_cookie: bool) -> CommitOutput {
        let id = self.id;
        let persistent = self.encoded.lifetime.persistent;
        let max_age = manager.max_age(persistent, self.encoded.expires_at);
        let send = new_cookie || max_age.is_some();
        manager.records.keep(id, &self.encoded.record);
        CommitOutput {
            outcome: SaveOutcome::Written,
            cookie: send.then_some(CookieChange::Set { id, max_age }),
            ..unchanged(Some(id), Base::Present(self.snapshot()))
        }
    }
}

fn encode(
    manager: &ManagerInner,
    record: Option<&Record>,
    changes: &Changes,
) -> Result<Option<Encoded>> {
    let outcome = encode::encode(
        record,
        changes,
        false,
        &manager.rules,
        manager.settings.max_record_size,
        manager.now(),
    )?;
    match outcome {
        encode::Outcome::Unchanged => Ok(None),
        encode::Outcome::Changed(encoded) => Ok(Some(encoded)),
    }
}

async fn write_new(
    manager: &ManagerInner,
    id: SessionId,
    encoded: &Encoded,
) -> Result<WriteOutcome> {
    let condition = match manager.has_conditions() {
        true => WriteCondition::IfAbsent,
        false => WriteCondition::Always,
    };
    let options = WriteOptions::default()
        .with_expiry(record_expiry(encoded.expires_at))
        .with_condition(condition);
    manager
        .driver()?
        .write(&id.key(), encoded.record.bytes().clone(), options)
        .await
}

impl ManagerInner {
    /// The condition that an entry still has this version; none on a driver without conditions.
    pub(crate) fn unchanged_since(&self, version: Option<&Version>) -> Result<WriteCondition> {
        if !self.has_conditions() {
            return Ok(WriteCondition::Always);
        }
        version_of(self, version).map(WriteCondition::IfVersion)
    }

    /// The deadline of a commit that begins now.
    pub(crate) fn commit_deadline(&self) -> (Instant, Duration) {
        let limit = self.settings.commit_deadline;
        let now = Instant::now();
        // A limit that no clock can count to is as good as none.
        let deadline = now
            .checked_add(limit)
            .unwrap_or_else(|| now + Duration::from_secs(365 * 24 * 60 * 60));
        (deadline, limit)
    }

    pub(crate) fn backoff(&self) -> Backoff {
        let (deadline, limit) = self.commit_deadline();
        Backoff::new(deadline, limit)
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

/// The error of an operation on a record that cannot be parsed.
pub(crate) fn corrupt_again(corrupt: &CorruptRecord) -> Error {
    Error::repeated(&corrupt.error)
}

pub(crate) fn contended(limit: Duration) -> Error {
    Error::new(
        ErrorKind::Contended,
        format!(
            "other requests were writing the session for {limit:?}, so its changes were not written; store data that \
             changes often elsewhere, or raise `commit_deadline`"
        ),
    )
}

fn id_taken() -> Error {
    Error::new(
        ErrorKind::Backend,
        "a newly generated session id is already in use; \
        check the random number generator of this machine",
    )
    .with_outcome(Outcome::NotApplied)
}

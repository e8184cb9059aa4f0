//! Writes the changes of several commits of one session together.

use std::borrow::Cow;
use std::sync::Arc;

use super::queue::{Claimed, Entered, Turn};
use super::{
    Backoff, CommitInput, CommitOutput, Written, corrupt_again, encode, gone, stale, unchanged,
};
use crate::session::SessionId;
use crate::session::changes::Changes;
use crate::session::encode::Encoded;
use crate::session::lifetime::record_expiry;
use crate::session::manager::ManagerInner;
use crate::session::record::Record;
use crate::session::state::{Base, Snapshot};
use crate::{Driver, Error, Result, Version, WriteOptions, WriteOutcome};

/// The changes of one commit, which are applied as a whole or not at all.
#[derive(Debug)]
pub(super) struct Unit {
    base: Snapshot,
    changes: Arc<Changes>,
    /// Whether the browser must get a new cookie.
    new_cookie: bool,
}

impl Unit {
    /// The bytes that it occupies while it waits, about.
    pub(super) fn size(&self) -> usize {
        self.changes.size()
    }
}

/// Commits changes of a session that exists.
pub(super) async fn commit(
    manager: &ManagerInner,
    id: SessionId,
    base: &Snapshot,
    changes: &Arc<Changes>,
    input: &CommitInput,
) -> Result<CommitOutput> {
    let unit = Box::new(Unit {
        base: base.clone(),
        changes: Arc::clone(changes),
        new_cookie: input.followed || changes.lifetime().is_some(),
    });
    let (deadline, limit) = manager.commit_deadline();
    let (turn, unit) = match manager.queue.enter(id, unit, deadline, limit).await? {
        Entered::Turn(turn, unit) => (turn, unit),
        Entered::Done(result) => return result,
    };
    input.claim.set();
    let claimed = turn.claim();
    let mut batch = Batch {
        manager,
        turn,
        id,
        units: vec![&*unit],
    };
    let others = claimed.iter().map(|claimed| &*claimed.unit);
    batch.units.extend(others);
    // In two parts, a commit's future is not so large that an allocator takes a slower path for it.
    let results = Box::pin(batch.write(Backoff::new(deadline, limit))).await;
    let mut results = results.into_iter();
    let own = results.next();
    for (claimed, result) in claimed.into_iter().zip(results) {
        Claimed::answer(claimed, result);
    }
    own.unwrap_or_else(|| Ok(unchanged(Some(id), Base::Unread)))
}

/// Units that are written together, by the first of them.
struct Batch<'a> {
    manager: &'a ManagerInner,
    turn: Turn,
    /// Where the session is now. It may have been rotated since.
    id: SessionId,
    units: Vec<&'a Unit>,
}

/// What becomes of a unit if the write succeeds.
enum Applied {
    Changed { replayed: bool, after: Record },
    Unchanged,
    Stale,
    Failed(Error),
}

/// What a commit found in place of the record that it expected: another record, or the reason why there is none.
type Found = std::result::Result<Snapshot, Base>;

impl Batch<'_> {
    /// Writes the units, and returns the result of each.
    async fn write(&mut self, mut backoff: Backoff) -> Vec<Result<CommitOutput>> {
        let mut current = match self.first_base().await {
            Ok(Ok(current)) => current,
            Ok(Err(base)) => return self.all_gone(&base),
            Err(error) => return self.all_failed(error),
        };
        loop {
            let (encoded, applied) = self.apply(&current.record);
            let Some(encoded) = encoded else {
                return self.without_write(current, applied);
            };
            match self.attempt(&current, &encoded).await {
                Ok(Attempt::Written(version)) => {
                    return self.written(&current, &encoded, version, applied);
                }
                Ok(Attempt::Conflict(Ok(fresh))) => current = fresh,
                Ok(Attempt::Conflict(Err(base))) => return self.all_gone(&base),
                Err(error) => return self.failed(error, applied),
            }
            if let Err(error) = Box::pin(backoff.wait()).await {
                return self.all_failed(error);
            }
        }
    }

    /// The record to begin with: the one that was just written here, or the one that the first unit has read.
    async fn first_base(&mut self) -> Result<Found> {
        if !self.manager.has_conditions() {
            // The later writer wins, and this keeps the time short in which a change can be lost.
            let read = Box::pin(self.manager.load(self.id)).await?;
            return self.found(read);
        }
        let latest = self.turn.take_latest();
        let read = self.units.first().map(|unit| unit.base.clone());
        Ok(latest.or(read).ok_or(Base::Absent))
    }

    /// Moves on to the record that was found, which may have another id since a `rotate`.
    fn found(&mut self, (id, base): (SessionId, Base)) -> Result<Found> {
        match base {
            Base::Present(fresh) => {
                self.id = id;
                Ok(Ok(fresh))
            }
            Base::Corrupt(corrupt) => Err(corrupt_again(&corrupt)),
            base => Ok(Err(base)),
        }
    }

    /// Applies the units one after another, and returns the record after all of them if it has changed.
    fn apply(&self, record: &Record) -> (Option<Encoded>, Vec<Applied>) {
        let mut encoded: Option<Encoded> = None;
        let mut applied = Vec::with_capacity(self.units.len());
        for unit in &self.units {
            let current = encoded.as_ref().map_or(record, |encoded| &encoded.record);
            applied.push(match self.apply_one(unit, current) {
                Ok(Step::Changed(encoded_after, replayed)) => {
                    let after = encoded_after.record.clone();
                    encoded = Some(encoded_after);
                    Applied::Changed { replayed, after }
                }
                Ok(Step::Unchanged) => Applied::Unchanged,
                Ok(Step::Stale) => Applied::Stale,
                Err(error) => Applied::Failed(error),
            });
        }
        (encoded, applied)
    }

    fn apply_one(&self, unit: &Unit, record: &Record) -> Result<Step> {
        let manager = self.manager;
        let replayed = !unit.base.record.is_same(record);
        let changes = match replayed {
            false => Cow::Borrowed(&*unit.changes),
            true => {
                let (expires, now) = (manager.default_expires(), manager.now());
                match unit.changes.replayed(Some(record), expires, now)? {
                    Some(changes) => Cow::Owned(changes),
                    None => return Ok(Step::Stale),
                }
            }
        };
        Ok(match encode(manager, Some(record), &changes)? {
            Some(encoded) => Step::Changed(encoded, replayed),
            None => Step::Unchanged,
        })
    }

    async fn attempt(&mut self, current: &Snapshot, encoded: &Encoded) -> Result<Attempt> {
        let manager = self.manager;
        let options = WriteOptions::default()
            .with_expiry(record_expiry(encoded.expires_at))
            .with_condition(manager.unchanged_since(current.version.as_ref())?);
        let key = self.id.key();
        let driver = manager.driver()?;
        match driver
            .write(&key, encoded.record.bytes().clone(), options)
            .await?
        {
            WriteOutcome::Written { version, .. } => Ok(Attempt::Written(version)),
            WriteOutcome::Conflict(found) => {
                let base = Box::pin(manager.resolve(self.id, found)).await?;
                let found = Box::pin(manager.follow(self.id, base)).await?;
                self.found(found).map(Attempt::Conflict)
            }
        }
    }

    /// The results of units that were written. Each handle sees the record as its own unit left it, without those after it.
    fn written(
        &mut self,
        before: &Snapshot,
        encoded: &Encoded,
        version: Option<Version>,
        applied: Vec<Applied>,
    ) -> Vec<Result<CommitOutput>> {
        let id = self.id;
        let followed = id != self.turn.id();
        let written = Written {
            id,
            encoded,
            version,
        };
        self.turn.set_latest(id, written.snapshot());
        let result = |(unit, applied): (&&Unit, Applied)| {
            let output = written.output(self.manager, unit.new_cookie || followed);
            match applied {
                Applied::Changed { replayed, after } => Ok(CommitOutput {
                    replayed,
                    base: own_view(output.base, after, before),
                    ..output
                }),
                Applied::Unchanged => Ok(unchanged(Some(id), output.base)),
                Applied::Stale => Ok(stale(id, output.base)),
                Applied::Failed(error) => Err(error),
            }
        };
        self.units.iter().zip(applied).map(result).collect()
    }

    /// The results of units that leave the record as it is.
    fn without_write(
        &mut self,
        current: Snapshot,
        applied: Vec<Applied>,
    ) -> Vec<Result<CommitOutput>> {
        let id = self.id;
        self.turn.set_latest(id, current.clone());
        let result = |applied| match applied {
            Applied::Changed { .. } | Applied::Unchanged => {
                Ok(unchanged(Some(id), Base::Present(current.clone())))
            }
            Applied::Stale => Ok(stale(id, Base::Present(current.clone()))),
            Applied::Failed(error) => Err(error),
        };
        applied.into_iter().map(result).collect()
    }

    fn all_gone(&self, base: &Base) -> Vec<Result<CommitOutput>> {
        let units = self.units.iter();
        units
            .map(|unit| Ok(gone(self.turn.id(), base, Some(&unit.changes))))
            .collect()
    }

    fn all_failed(&self, error: Error) -> Vec<Result<CommitOutput>> {
        let error = Arc::new(error);
        let units = self.units.iter();
        units.map(|_| Err(Error::repeated(&error))).collect()
    }

    /// The results after a write that failed. Of a lost answer, nobody knows whether it was applied.
    fn failed(&self, error: Error, applied: Vec<Applied>) -> Vec<Result<CommitOutput>> {
        let error = Arc::new(error);
        let result = |applied| match applied {
            Applied::Changed { .. } | Applied::Unchanged | Applied::Stale => {
                Err(Error::repeated(&error))
            }
            Applied::Failed(own) => Err(own),
        };
        applied.into_iter().map(result).collect()
    }
}

/// The record as a unit left it. If others were applied after it, it has the version from before the write, so that the
/// next commit of the handle finds a conflict and reads what is stored.
fn own_view(written: Base, own: Record, before: &Snapshot) -> Base {
    match written {
        Base::Present(last) if !own.is_same(&last.record) => Base::Present(Snapshot {
            record: own,
            version: before.version.clone(),
            expires_at: last.expires_at,
        }),
        written => written,
    }
}

/// What a unit does to a record.
enum Step {
    /// The record after it, and whether it is another record than the one that the request has read.
    Changed(Encoded, bool),
    Unchanged,
    Stale,
}

/// What an attempt to write found.
enum Attempt {
    Written(Option<Version>),
    Conflict(Found),
}

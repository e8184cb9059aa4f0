//! Reads records, follows sessions that were rotated, and chooses between several cookies.

use std::sync::Arc;

use smallvec::SmallVec;

use super::manager::ManagerInner;
use super::record::{self, Record, Stored};
use super::state::{Base, CorruptRecord, Moved, Snapshot};
use super::tombstone::MoveKind;
use super::{SessionEvent, SessionId};
use crate::{ConflictState, Driver, Entry, Error, ErrorKind, OnCorruptRecord, Outcome, Result};

/// A session that is rotated with every request has a chain of tombstones. This many are followed.
pub(crate) const MOST_MOVES: usize = 16;

impl ManagerInner {
    /// Reads the record of `id`.
    pub(crate) async fn read(&self, id: SessionId) -> Result<Base> {
        let entry = self.driver()?.read(&id.key()).await.map_err(not_applied)?;
        Ok(self.interpret_found(id, entry))
    }

    /// Reads the session that `id` names, and returns its id. A session that was rotated is followed.
    pub(crate) async fn load(&self, id: SessionId) -> Result<(SessionId, Base)> {
        match self.read(id).await? {
            base @ Base::Tombstone(_) => Box::pin(self.follow(id, base)).await,
            base => Ok((id, base)),
        }
    }

    /// Follows the tombstone of a rotated session to the session that it became.
    ///
    /// Where it has been destroyed or regenerated since, the result is the tombstone, which names no session.
    pub(crate) async fn follow(&self, id: SessionId, base: Base) -> Result<(SessionId, Base)> {
        if !matches!(base, Base::Tombstone(_)) {
            return Ok((id, base));
        }
        let mut place = (id, base.clone());
        for _ in 0..MOST_MOVES {
            match &place.1 {
                Base::Tombstone(moved) => match successor(moved) {
                    Some(next) => place = (next, Box::pin(self.read(next)).await?),
                    None => return Ok((id, base)),
                },
                Base::Absent if place.0 != id => return Ok((id, base)),
                _ => return Ok(place),
            }
        }
        Ok((id, base))
    }

    /// Reads the sessions of several ids and returns the first one that exists.
    pub(crate) async fn load_first(&self, ids: &[SessionId]) -> Result<(SessionId, Base)> {
        match ids {
            [id] => self.load(*id).await,
            ids => Box::pin(self.load_first_of_several(ids)).await,
        }
    }

    async fn load_first_of_several(&self, ids: &[SessionId]) -> Result<(SessionId, Base)> {
        let keys: Vec<_> = ids.iter().map(SessionId::key).collect();
        let entries = self.driver()?.read_many(&keys).await.map_err(not_applied)?;
        let mut live: Option<(SessionId, Base)> = None;
        let mut other: Option<(SessionId, Base)> = None;
        for (id, entry) in ids.iter().zip(entries) {
            let base = self.interpret_found(*id, entry);
            let (id, base) = self.follow(*id, base).await?;
            match (&base, &live) {
                (Base::Present(_), None) => live = Some((id, base)),
                (Base::Present(_), Some((first, _))) if *first != id => {
                    self.report(Some(id.fingerprint()), &SessionEvent::SeveralSessions);
                }
                _ => {
                    // An id that names a tombstone creates nothing, and a damaged record is not passed over in silence.
                    let rank = |base: &Base| match base {
                        Base::Corrupt(_) => 2,
                        Base::Tombstone(_) => 1,
                        _ => 0,
                    };
                    if other
                        .as_ref()
                        .is_none_or(|(_, found)| rank(&base) > rank(found))
                    {
                        other = Some((id, base));
                    }
                }
            }
        }
        live.or(other).ok_or_else(|| {
            Error::new(
                ErrorKind::Backend,
                "the driver answered a batch of reads with no entry",
            )
            .with_outcome(Outcome::NotApplied)
        })
    }

    /// Whether a session that `moved` names exists.
    pub(crate) async fn is_alive(&self, moved: &Moved) -> Result<bool> {
        let mut ids: SmallVec<[SessionId; 1]> = moved.tombstone.successors.clone();
        for _ in 0..MOST_MOVES {
            let Some(id) = ids.pop() else {
                return Ok(false);
            };
            match self.read(id).await? {
                Base::Present(_) | Base::Corrupt(_) => return Ok(true),
                Base::Tombstone(moved) => ids.extend(moved.tombstone.successors),
                _ => {}
            }
        }
        Ok(false)
    }

    /// The record that caused a conflict. It is read again if the driver did not return it.
    pub(crate) async fn resolve(&self, id: SessionId, found: ConflictState) -> Result<Base> {
        match found {
            ConflictState::Absent => Ok(Base::Absent),
            ConflictState::Present(entry) => Ok(self.interpret(Some(id), entry)),
            ConflictState::Unknown => self.read(id).await,
        }
    }

    fn interpret_found(&self, id: SessionId, entry: Option<Entry>) -> Base {
        entry.map_or(Base::Absent, |entry| self.interpret(Some(id), entry))
    }

    /// Parses an entry of the driver, or of a cookie.
    pub(crate) fn interpret(&self, id: Option<SessionId>, entry: Entry) -> Base {
        let limit = self.settings.max_record_size;
        if entry.value.len() > limit {
            return self.corrupt(id, entry.version, too_large(entry.value.len(), limit));
        }
        let cached = id.and_then(|id| self.records.find(id, &entry.value));
        let record = match cached {
            Some(record) => record,
            None => match record::parse(entry.value) {
                Ok(Stored::Nothing) => return Base::Absent,
                Ok(Stored::Tombstone(tombstone)) => {
                    let version = entry.version;
                    return Base::Tombstone(Box::new(Moved { tombstone, version }));
                }
                Ok(Stored::Record(record)) => {
                    if let Some(id) = id {
                        self.records.keep(id, &record);
                    }
                    record
                }
                Err(error) => return self.corrupt(id, entry.version, error),
            },
        };
        if self.is_past_deadline(&record) {
            return Base::Absent;
        }
        Base::Present(Snapshot {
            record,
            version: entry.version,
            expires_at: entry.expires_at,
        })
    }

    fn corrupt(
        &self,
        id: Option<SessionId>,
        version: Option<crate::Version>,
        error: Error,
    ) -> Base {
        let fingerprint = id.map(|id| id.fingerprint());
        if id.is_some() && self.settings.on_corrupt_record == OnCorruptRecord::Discard {
            self.report(fingerprint, &SessionEvent::CorruptRecord(&error));
            if let Some(count) = self.corrupt_records.count(self.now()) {
                self.report(None, &SessionEvent::ManyCorruptRecords(count));
            }
            return Base::Absent;
        }
        let error = Arc::new(error);
        Base::Corrupt(CorruptRecord { version, error })
    }

    fn is_past_deadline(&self, record: &Record) -> bool {
        let lifetime = record.lifetime();
        let deadline = lifetime.and_then(|lifetime| self.rules.deadline_of(&lifetime));
        deadline.is_some_and(|deadline| deadline <= self.now())
    }
}

fn too_large(size: usize, limit: usize) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!(
            "the stored session takes {size} bytes, and the limit is {limit}; it was not changed. Raise \
             `max_record_size`, or destroy the session"
        ),
    )
}

/// Where a rotated session is now; `None` if it moved by `regenerate`, which is not followed.
fn successor(moved: &Moved) -> Option<SessionId> {
    match moved.tombstone.kind {
        MoveKind::Rotated => moved.tombstone.successors.first().copied(),
        MoveKind::Regenerated => None,
    }
}

pub(crate) fn not_applied(error: Error) -> Error {
    error.with_outcome(Outcome::NotApplied)
}

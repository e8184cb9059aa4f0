//! Destruction of a session's record.

use smallvec::SmallVec;

use super::SessionId;
use super::commit::{CommitOutput, SaveOutcome, unchanged, version_of};
use super::load::{MOST_MOVES, not_applied};
use super::manager::ManagerInner;
use super::record::{self, Stored};
use super::state::{Base, Snapshot};
use super::tombstone::Tombstone;
use crate::{ConflictState, Driver, Entry, RemoveOptions, RemoveOutcome, Result};

/// Removes the record of `id`, whatever its content.
///
/// If the session has moved, this ends what it became. The tombstones stay, and name no session then.
pub(crate) async fn destroy(
    manager: &ManagerInner,
    id: SessionId,
    known: Option<&Snapshot>,
) -> Result<()> {
    let mut ids: SmallVec<[SessionId; 1]> = SmallVec::from_slice(&[id]);
    let mut known = known;
    for _ in 0..MOST_MOVES {
        let Some(id) = ids.pop() else {
            break;
        };
        if let Some(tombstone) = destroy_one(manager, id, known.take()).await? {
            ids.extend(tombstone.successors);
        }
    }
    Ok(())
}

/// Removes the record of `id`. If it has moved, returns where.
async fn destroy_one(
    manager: &ManagerInner,
    id: SessionId,
    known: Option<&Snapshot>,
) -> Result<Option<Tombstone>> {
    let key = id.key();
    let (deadline, limit) = manager.commit_deadline();
    let turn = manager.queue.enter_alone(id, true, deadline, limit).await?;
    manager.records.forget(id);
    let driver = manager.driver()?;
    if !manager.has_conditions() {
        let stored = driver.read(&key).await.map_err(not_applied)?;
        if let Some(tombstone) = stored.as_ref().and_then(tombstone_in) {
            return Ok(Some(tombstone));
        }
        let _unconditional = driver.remove(&key, RemoveOptions::default()).await?;
        turn.answer_waiting(|| ended(id));
        return Ok(None);
    }
    // After a conflict it tries again at once: with a pause, somebody who writes often could keep the session alive.
    let backoff = manager.backoff();
    let mut version = known.and_then(|snapshot| snapshot.version.clone());
    loop {
        let expected = match version.take() {
            Some(version) => version,
            None => match driver.read(&key).await.map_err(not_applied)? {
                None => break,
                Some(entry) => match tombstone_in(&entry) {
                    Some(tombstone) => return Ok(Some(tombstone)),
                    None => version_of(manager, entry.version.as_ref())?,
                },
            },
        };
        let options = RemoveOptions::if_version(expected);
        match driver.remove(&key, options).await? {
            RemoveOutcome::Removed | RemoveOutcome::Conflict(ConflictState::Absent) => break,
            RemoveOutcome::Conflict(ConflictState::Present(entry)) => match tombstone_in(&entry) {
                Some(tombstone) => return Ok(Some(tombstone)),
                None => version = entry.version,
            },
            RemoveOutcome::Conflict(ConflictState::Unknown) => {}
        }
        backoff.check()?;
    }
    turn.answer_waiting(|| ended(id));
    Ok(None)
}

/// The result of commits that waited while the session was destroyed.
fn ended(id: SessionId) -> CommitOutput {
    CommitOutput {
        outcome: SaveOutcome::Gone,
        lost: true,
        ..unchanged(Some(id), Base::Gone)
    }
}

fn tombstone_in(entry: &Entry) -> Option<Tombstone> {
    match record::parse(entry.value.clone()) {
        Ok(Stored::Tombstone(tombstone)) => Some(tombstone),
        _ => None,
    }
}

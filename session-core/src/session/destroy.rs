//! Destruction of a session's record.

use super::SessionId;
use super::backoff::Backoff;
use super::commit::{not_applied, version_of};
use super::manager::ManagerInner;
use super::record::{self, Stored};
use super::state::Snapshot;
use crate::{ConflictState, Driver, Entry, RemoveOptions, RemoveOutcome, Result};

/// The outcome of destroying a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destroyed {
    Removed,
    HadMoved,
}

/// Removes the record of `id`, whatever its content, unless it is the tombstone of a session that has moved.
///
/// The tombstone stays, so that a late request with the old id does not log out the browser of the new session.
pub(crate) async fn destroy(
    manager: &ManagerInner,
    id: SessionId,
    known: Option<&Snapshot>,
) -> Result<Destroyed> {
    let key = id.key();
    let _turn = manager
        .queue
        .enter(id, manager.settings.commit_deadline)
        .await?;
    manager.recent.forget(id);
    if !manager.has_conditions() {
        if let Some(entry) = manager.driver()?.read(&key).await.map_err(not_applied)?
            && is_tombstone(&entry)
        {
            return Ok(Destroyed::HadMoved);
        }
        let _unconditional = manager
            .driver()?
            .remove(&key, RemoveOptions::default())
            .await?;
        return Ok(Destroyed::Removed);
    }
    let mut backoff = Backoff::new(manager.settings.commit_deadline);
    let mut version = known.and_then(|snapshot| snapshot.version.clone());
    loop {
        let expected = match version.take() {
            Some(version) => version,
            None => match manager.driver()?.read(&key).await.map_err(not_applied)? {
                None => return Ok(Destroyed::Removed),
                Some(entry) if is_tombstone(&entry) => return Ok(Destroyed::HadMoved),
                Some(entry) => version_of(manager, entry.version.as_ref())?,
            },
        };
        match manager
            .driver()?
            .remove(&key, RemoveOptions::if_version(expected))
            .await?
        {
            RemoveOutcome::Removed | RemoveOutcome::Conflict(ConflictState::Absent) => {
                return Ok(Destroyed::Removed);
            }
            RemoveOutcome::Conflict(ConflictState::Present(entry)) if is_tombstone(&entry) => {
                return Ok(Destroyed::HadMoved);
            }
            RemoveOutcome::Conflict(ConflictState::Present(entry)) => version = entry.version,
            RemoveOutcome::Conflict(ConflictState::Unknown) => {}
        }
        backoff.wait().await?;
    }
}

fn is_tombstone(entry: &Entry) -> bool {
    matches!(record::parse(entry.value.clone()), Ok(Stored::Tombstone))
}

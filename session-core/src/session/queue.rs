use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::SessionId;

/// Lets the commits of one session in this process go one after another, so that they need not fight over
/// its record. Sessions do not wait for one another.
#[derive(Debug, Default)]
pub(crate) struct CommitQueue {
    sessions: DashMap<SessionId, Arc<Mutex<()>>>,
}

impl CommitQueue {
    /// Waits until it is this caller's turn, in the order of the calls.
    pub(crate) async fn enter(&self, id: SessionId) -> Turn<'_> {
        let session = Arc::clone(&self.sessions.entry(id).or_default());
        // Made before waiting, so that a caller who gives up waiting cleans up as well.
        let mut turn = Turn {
            queue: self,
            id,
            guard: None,
        };
        turn.guard = Some(session.lock_owned().await);
        turn
    }
}

/// A place at the head of a session's queue, given up when dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    queue: &'a CommitQueue,
    id: SessionId,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.guard = None;
        // Whoever waits holds a clone, which was made under the map's lock.
        self.queue
            .sessions
            .remove_if(&self.id, |_, session| Arc::strong_count(session) == 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_kept_of_a_session_that_nobody_commits() {
        let queue = CommitQueue::default();
        let id = SessionId::random();
        let turn = queue.enter(id).await;
        assert_eq!(queue.sessions.len(), 1);
        drop(turn);
        assert!(queue.sessions.is_empty());
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_waiting_leaves_nothing_behind() {
        let queue = CommitQueue::default();
        let id = SessionId::random();
        let turn = queue.enter(id).await;
        let mut waiting = Box::pin(queue.enter(id));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(turn);
        drop(waiting);
        assert!(queue.sessions.is_empty());
    }

    #[tokio::test]
    async fn sessions_do_not_wait_for_one_another() {
        let queue = CommitQueue::default();
        let _first = queue.enter(SessionId::random()).await;
        let _second = queue.enter(SessionId::random()).await;
        assert_eq!(queue.sessions.len(), 2);
    }
}

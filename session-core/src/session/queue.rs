//! The queue of commits of one session in this process.

use std::collections::VecDeque;
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use foldhash::quality::RandomState;
use tokio::sync::oneshot::{self, Receiver, Sender};
use tokio::time::timeout;

use super::SessionId;
use crate::{Error, ErrorKind, Result};

/// A queue for each session, so that its commits in this process run one after another and do not conflict.
///
/// Different sessions do not wait for each other.
#[derive(Debug, Default)]
pub(crate) struct CommitQueue {
    /// The sessions with a running commit, and the waiting commits of each.
    sessions: DashMap<SessionId, VecDeque<Sender<()>>, RandomState>,
}

impl CommitQueue {
    /// Waits for this caller's turn, in the order of the calls, for at most `limit`.
    ///
    /// The error is of kind [`Contended`](ErrorKind::Contended).
    pub(crate) async fn enter(&self, id: SessionId, limit: Duration) -> Result<Turn<'_>> {
        let receiver = match self.sessions.entry(id) {
            Entry::Vacant(free) => {
                free.insert(VecDeque::new());
                None
            }
            Entry::Occupied(mut others) => {
                let (sender, receiver) = oneshot::channel();
                others.get_mut().push_back(sender);
                Some(receiver)
            }
        };
        if let Some(receiver) = receiver {
            let queue = self;
            let mut waiting = Waiting {
                queue,
                id,
                receiver,
            };
            // A sender is never dropped unused.
            if timeout(limit, &mut waiting.receiver).await.is_err() {
                return Err(still_waiting(limit));
            }
        }
        Ok(Turn { queue: self, id })
    }

    /// Passes the turn to the caller that has waited longest.
    fn pass_on(&self, id: SessionId) {
        loop {
            let next = match self.sessions.entry(id) {
                Entry::Vacant(_) => return,
                Entry::Occupied(mut waiting) => match waiting.get_mut().pop_front() {
                    Some(next) => next,
                    None => {
                        waiting.remove();
                        return;
                    }
                },
            };
            // Outside the map's lock, since this wakes a task. It fails if the caller has stopped waiting.
            if next.send(()).is_ok() {
                return;
            }
        }
    }
}

fn still_waiting(limit: Duration) -> Error {
    Error::new(
        ErrorKind::Contended,
        format!(
            "other requests were writing the session for {limit:?}, so its changes were not written; store data that \
             changes often elsewhere, or raise `commit_deadline`"
        ),
    )
}

/// A place in a session's queue.
struct Waiting<'a> {
    queue: &'a CommitQueue,
    id: SessionId,
    receiver: Receiver<()>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // If the turn arrived at the moment when the caller stopped waiting, pass it on.
        self.receiver.close();
        if self.receiver.try_recv().is_ok() {
            self.queue.pass_on(self.id);
        }
    }
}

/// The place at the head of a session's queue. Dropping it passes the turn on.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    queue: &'a CommitQueue,
    id: SessionId,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.queue.pass_on(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);

    #[test_support::test]
    async fn nothing_is_kept_of_a_session_that_nobody_commits() {
        let queue = CommitQueue::default();
        let id = SessionId::random();
        let turn = queue.enter(id, LIMIT).await.unwrap();
        assert_eq!(queue.sessions.len(), 1);
        drop(turn);
        assert!(queue.sessions.is_empty());
    }

    #[test_support::test]
    async fn a_caller_that_gives_up_waiting_leaves_nothing_behind() {
        let queue = CommitQueue::default();
        let id = SessionId::random();
        let turn = queue.enter(id, LIMIT).await.unwrap();
        let mut waiting = Box::pin(queue.enter(id, LIMIT));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(turn);
        drop(waiting);
        assert!(queue.sessions.is_empty());
    }

    #[test_support::test]
    async fn the_turn_goes_to_who_waited_longest_and_has_not_given_up() {
        let queue = CommitQueue::default();
        let id = SessionId::random();
        let turn = queue.enter(id, LIMIT).await.unwrap();
        let mut first = Box::pin(queue.enter(id, LIMIT));
        let mut second = Box::pin(queue.enter(id, LIMIT));
        let mut third = Box::pin(queue.enter(id, LIMIT));
        for waiting in [&mut first, &mut second, &mut third] {
            assert!(futures_util::poll!(waiting).is_pending());
        }
        drop(first);
        drop(turn);
        assert!(futures_util::poll!(&mut third).is_pending());
        let turn = second.await.unwrap();
        assert!(futures_util::poll!(&mut third).is_pending());
        drop(turn);
        drop(third.await.unwrap());
        assert!(queue.sessions.is_empty());
    }

    #[test_support::test]
    async fn a_turn_that_came_too_late_goes_to_the_next() {
        let queue = CommitQueue::default();
        let id = SessionId::random();
        let turn = queue.enter(id, LIMIT).await.unwrap();
        let mut first = Box::pin(queue.enter(id, LIMIT));
        let mut second = Box::pin(queue.enter(id, LIMIT));
        assert!(futures_util::poll!(&mut first).is_pending());
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(turn);
        drop(first);
        drop(second.await.unwrap());
        assert!(queue.sessions.is_empty());
    }

    #[test_support::test]
    async fn sessions_do_not_wait_for_one_another() {
        let queue = CommitQueue::default();
        let _first = queue.enter(SessionId::random(), LIMIT).await.unwrap();
        let _second = queue.enter(SessionId::random(), LIMIT).await.unwrap();
        assert_eq!(queue.sessions.len(), 2);
    }

    #[test_support::test(start_paused = true)]
    async fn a_caller_waits_no_longer_than_its_limit_and_leaves_nothing_behind() {
        let queue = CommitQueue::default();
        let id = SessionId::random();
        let turn = queue.enter(id, LIMIT).await.unwrap();
        let started = tokio::time::Instant::now();
        let error = queue.enter(id, LIMIT).await.unwrap_err();
        assert_eq!(started.elapsed(), LIMIT);
        assert_eq!(error.kind(), ErrorKind::Contended);
        drop(turn);
        assert!(queue.sessions.is_empty());
    }
}

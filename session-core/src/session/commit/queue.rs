//! The queue of commits of one session in this process.
//!
//! Commits of a session run one after another, so that they conflict with those of other processes only. Changes that
//! wait are written together: who gets the turn also takes the changes that stand next to it in the queue. A `regenerate`,
//! a `rotate` and a `destroy` have a turn of their own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use foldhash::quality::RandomState;
use tokio::time::Instant;

use super::combine::Unit;
use super::{CommitOutput, contended};
use crate::session::SessionId;
use crate::session::state::Snapshot;
use crate::worker::{Pending, Reply, Ticket, ticket};
use crate::{Error, ErrorKind, Outcome, Result};

/// The most commits of one session that wait.
const MOST_WAITING: usize = 1_024;
/// The most bytes of changes of one session that wait.
const MOST_BYTES: usize = 1024 * 1024;

/// A queue for each session. Different sessions do not wait for each other.
#[derive(Debug, Default)]
pub(crate) struct CommitQueue {
    /// The sessions with a running commit.
    sessions: DashMap<SessionId, Waiting, RandomState>,
}

#[derive(Debug, Default)]
struct Waiting {
    commits: VecDeque<Waiter>,
    /// The bytes of the changes that wait.
    bytes: usize,
}

#[derive(Debug)]
struct Waiter {
    /// The changes to write; `None` for a commit that needs a turn of its own.
    unit: Option<Box<Unit>>,
    ticket: Ticket<Signal>,
}

impl Waiter {
    fn size(&self) -> usize {
        self.unit.as_ref().map_or(0, |unit| unit.size())
    }
}

impl Waiting {
    fn pop(&mut self) -> Option<Waiter> {
        let waiter = self.commits.pop_front()?;
        self.bytes = self.bytes.saturating_sub(waiter.size());
        Some(waiter)
    }

    fn is_full(&self, bytes: usize) -> bool {
        self.commits.len() >= MOST_WAITING || self.bytes.saturating_add(bytes) > MOST_BYTES
    }

    fn push(&mut self, unit: Option<Box<Unit>>, first: bool) -> Result<Pending<Signal>> {
        let bytes = unit.as_ref().map_or(0, |unit| unit.size());
        if self.is_full(bytes) && !first {
            self.drop_given_up();
            if self.is_full(bytes) {
                return Err(full());
            }
        }
        let (pending, ticket) = ticket();
        let waiter = Waiter { unit, ticket };
        self.bytes += bytes;
        match first {
            true => self.commits.push_front(waiter),
            false => self.commits.push_back(waiter),
        }
        Ok(pending)
    }

    /// Drops the commits whose callers have gone.
    fn drop_given_up(&mut self) {
        self.commits.retain(|waiter| !waiter.ticket.is_given_up());
        self.bytes = self.commits.iter().map(Waiter::size).sum();
    }
}

/// What a waiting commit is told.
#[derive(Debug)]
enum Signal {
    /// It is its turn. A unit is handed back.
    Turn(Turn, Option<Box<Unit>>),
    /// Another commit has written the unit, or destroyed the session.
    Done(Result<CommitOutput>),
}

/// How a unit left the queue.
#[derive(Debug)]
pub(super) enum Entered {
    /// Its caller writes it, and may claim others.
    Turn(Turn, Box<Unit>),
    /// Another commit has written it.
    Done(Result<CommitOutput>),
}

/// A unit that another commit writes, with the reply to its caller.
pub(super) struct Claimed {
    pub(super) unit: Box<Unit>,
    reply: Reply<Signal>,
}

impl Claimed {
    pub(super) fn answer(self, result: Result<CommitOutput>) {
        self.reply.send(Signal::Done(result));
    }
}

impl CommitQueue {
    /// Hands in changes to be written, and waits until `deadline`. `limit` is what a message names.
    ///
    /// The error is of kind [`Contended`](ErrorKind::Contended). Its outcome says whether the changes may be written.
    pub(super) async fn enter(
        self: &Arc<Self>,
        id: SessionId,
        unit: Box<Unit>,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Entered> {
        match self.wait(id, Some(unit), false, deadline, limit).await? {
            Signal::Turn(turn, Some(unit)) => Ok(Entered::Turn(turn, unit)),
            Signal::Turn(_, None) => Err(contended(limit)),
            Signal::Done(result) => Ok(Entered::Done(result)),
        }
    }

    /// Waits for a turn of one's own, in the order of the calls, or before all others if `first`.
    pub(crate) async fn enter_alone(
        self: &Arc<Self>,
        id: SessionId,
        first: bool,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Turn> {
        match self.wait(id, None, first, deadline, limit).await? {
            Signal::Turn(turn, _) => Ok(turn),
            Signal::Done(_) => Err(contended(limit)),
        }
    }

    /// Takes the turn if nobody else has it.
    pub(crate) fn try_enter(self: &Arc<Self>, id: SessionId) -> Option<Turn> {
        match self.sessions.entry(id) {
            Entry::Occupied(_) => None,
            Entry::Vacant(free) => {
                free.insert(Waiting::default());
                Some(self.turn(id))
            }
        }
    }

    fn turn(self: &Arc<Self>, id: SessionId) -> Turn {
        Turn {
            queue: Arc::clone(self),
            id,
            latest: None,
        }
    }

    async fn wait(
        self: &Arc<Self>,
        id: SessionId,
        unit: Option<Box<Unit>>,
        first: bool,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Signal> {
        let pending = match self.sessions.entry(id) {
            Entry::Vacant(free) => {
                free.insert(Waiting::default());
                return Ok(Signal::Turn(self.turn(id), unit));
            }
            Entry::Occupied(mut others) => others.get_mut().push(unit, first)?,
        };
        let answer = Box::pin(pending.answer(deadline, limit)).await;
        answer.map_err(|error| contended(limit).with_outcome(error.outcome()))
    }

    /// Passes the turn to the commit that has waited longest.
    fn pass_on(self: &Arc<Self>, id: SessionId, latest: Option<Snapshot>) {
        loop {
            let next = match self.sessions.entry(id) {
                Entry::Vacant(_) => return,
                Entry::Occupied(mut waiting) => match waiting.get_mut().pop() {
                    Some(next) => next,
                    None => {
                        waiting.remove();
                        return;
                    }
                },
            };
            // Outside the map's lock, since this wakes a task. If that task has just gone, the turn is dropped with the
            // signal, and so passed on.
            if let Some(reply) = next.ticket.begin() {
                let mut turn = self.turn(id);
                turn.latest = latest;
                return reply.send(Signal::Turn(turn, next.unit));
            }
        }
    }
}

fn full() -> Error {
    Error::new(
        ErrorKind::Contended,
        format!(
            "{MOST_WAITING} commits or {MOST_BYTES} bytes of one session are waiting already, so the changes were not \
             written; store data that changes often elsewhere"
        ),
    )
    .with_outcome(Outcome::NotApplied)
}

/// The place at the head of a session's queue. Dropping it passes the turn on.
#[derive(Debug)]
pub(crate) struct Turn {
    queue: Arc<CommitQueue>,
    id: SessionId,
    /// The record that the turn before this one has written, if it is known.
    latest: Option<Snapshot>,
}

impl Turn {
    /// Takes the units that stand at the front of the queue, to write them too.
    pub(super) fn claim(&self) -> Vec<Claimed> {
        let Some(mut waiting) = self.queue.sessions.get_mut(&self.id) else {
            return Vec::new();
        };
        let mut claimed = Vec::new();
        while waiting
            .commits
            .front()
            .is_some_and(|next| next.unit.is_some())
        {
            let Some(Waiter { unit, ticket }) = waiting.pop() else {
                break;
            };
            if let (Some(unit), Some(reply)) = (unit, ticket.begin()) {
                claimed.push(Claimed { unit, reply });
            }
        }
        claimed
    }

    /// Answers every unit that waits with `result`, without writing it.
    pub(crate) fn answer_waiting(&self, result: impl Fn() -> CommitOutput) {
        let Some(mut waiting) = self.queue.sessions.get_mut(&self.id) else {
            return;
        };
        let (units, others): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut waiting.commits)
            .into_iter()
            .partition(|waiter| waiter.unit.is_some());
        waiting.commits = others;
        waiting.bytes = 0;
        drop(waiting);
        for waiter in units {
            if let Some(reply) = waiter.ticket.begin() {
                reply.send(Signal::Done(Ok(result())));
            }
        }
    }

    pub(super) fn id(&self) -> SessionId {
        self.id
    }

    pub(super) fn take_latest(&mut self) -> Option<Snapshot> {
        self.latest.take()
    }

    pub(super) fn set_latest(&mut self, id: SessionId, written: Snapshot) {
        if id == self.id {
            self.latest = Some(written);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.queue.pass_on(self.id, self.latest.take());
    }
}

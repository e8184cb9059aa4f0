//! One call between a caller and a worker, which either side can give up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::sync::Mutex;
use crate::operations::timed_out;
use crate::{Error, ErrorKind, Outcome, Result};

/// Makes the two halves of one call: the caller keeps the [`Pending`], and the worker gets the [`Ticket`].
pub fn ticket<R>() -> (Pending<R>, Ticket<R>) {
    let (sender, receiver) = oneshot::channel();
    let state = Arc::new(Mutex::new(State::Waiting));
    let pending = Pending {
        state: Arc::clone(&state),
        receiver,
    };
    (pending, Ticket { state, sender })
}

/// How far a call has come. Exactly one side leaves [`Waiting`](Self::Waiting).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The worker has not begun it.
    Waiting,
    /// The worker has begun it.
    Begun,
    /// The caller gave it up before it began.
    GivenUp,
}

/// Leaves [`State::Waiting`] for `next`, and says whether this call did so.
fn leave_waiting(state: &Mutex<State>, next: State) -> bool {
    let mut state = state
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let is_waiting = *state == State::Waiting;
    if is_waiting {
        *state = next;
    }
    is_waiting
}

/// Why a call has no answer, and whether it may have been carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    GivenUp(Outcome),
    WorkerEnded(Outcome),
}

/// The caller's half of a call. Dropping it gives the call up.
#[derive(Debug)]
#[must_use = "a call that nobody waits for is given up"]
pub struct Pending<R> {
    state: Arc<Mutex<State>>,
    receiver: oneshot::Receiver<R>,
}

impl<R> Pending<R> {
    /// Waits for the answer until `deadline`.
    ///
    /// After the deadline the error is of kind [`TimedOut`](ErrorKind::TimedOut). If the worker ended, or dropped the
    /// call, it is of kind [`Closed`](ErrorKind::Closed). `timeout` is what the message names.
    pub async fn answer(self, deadline: Instant, timeout: Duration) -> Result<R> {
        match self.answer_unless(sleep_until(deadline)).await {
            Ok(answer) => Ok(answer),
            Err(Unanswered::GivenUp(outcome)) => Err(timed_out(timeout).with_outcome(outcome)),
            Err(Unanswered::WorkerEnded(outcome)) => Err(worker_ended().with_outcome(outcome)),
        }
    }

    /// Waits for the answer until `gives_up` is ready.
    pub(super) async fn answer_unless(
        self,
        gives_up: impl Future<Output = ()>,
    ) -> Result<R, Unanswered> {
        let mut this = self;
        tokio::select! {
            // An answer that came in the same moment counts.
            biased;
            answer = &mut this.receiver => {
                answer.map_err(|_| Unanswered::WorkerEnded(this.give_up()))
            }
            () = gives_up => Err(Unanswered::GivenUp(this.give_up())),
        }
    }

    /// Gives the call up, and says whether the worker may have carried it out.
    fn give_up(&self) -> Outcome {
        match leave_waiting(&self.state, State::GivenUp) {
            true => Outcome::NotApplied,
            false => Outcome::Unknown,
        }
    }
}

impl<R> Drop for Pending<R> {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// The worker's half of a call. Dropping it tells the caller that the call did not begin.
#[derive(Debug)]
pub struct Ticket<R> {
    state: Arc<Mutex<State>>,
    sender: oneshot::Sender<R>,
}

impl<R> Ticket<R> {
    /// Begins the call; `None` if the caller has given it up.
    pub fn begin(self) -> Option<Reply<R>> {
        leave_waiting(&self.state, State::Begun).then_some(Reply(self.sender))
    }

    /// Whether the caller has given the call up.
    pub fn is_given_up(&self) -> bool {
        self.sender.is_closed()
    }
}

/// A call that has begun. Dropping it tells the caller that it may have been carried out.
#[derive(Debug)]
pub struct Reply<R>(oneshot::Sender<R>);

impl<R> Reply<R> {
    /// Whether the caller no longer waits.
    pub fn is_given_up(&self) -> bool {
        self.0.is_closed()
    }

    /// Answers the call. A caller that no longer waits gets nothing.
    pub fn send(self, answer: R) {
        let _the_caller_may_have_gone = self.0.send(answer);
    }
}

pub(super) fn worker_ended() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the driver was closed, or the runtime that it was opened on has ended",
    )
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use shuttle::future::block_on;
    use shuttle::thread;

    use super::*;

    /// Runs `test` in every order of its steps that the depth-first search reaches.
    fn in_any_order(test: impl Fn() + Send + Sync + 'static) {
        shuttle::check_dfs(test, Some(20_000));
    }

    #[test]
    fn a_call_either_begins_or_is_given_up() {
        in_any_order(|| {
            let (pending, ticket) = ticket::<u32>();
            let worker = thread::spawn(move || match ticket.begin() {
                Some(reply) => {
                    reply.send(7);
                    true
                }
                None => false,
            });
            let answer = block_on(pending.answer_unless(ready(())));
            let has_begun = worker.join().unwrap();
            match answer {
                Ok(7) | Err(Unanswered::GivenUp(Outcome::Unknown)) => assert!(has_begun),
                Err(Unanswered::GivenUp(Outcome::NotApplied)) => assert!(!has_begun),
                other => panic!("{other:?}"),
            }
        });
    }

    #[test]
    fn a_worker_that_drops_a_call_tells_its_caller_how_far_it_came() {
        in_any_order(|| {
            let (pending, ticket) = ticket::<u32>();
            let worker = thread::spawn(move || drop(ticket));
            let answer = block_on(pending.answer_unless(std::future::pending()));
            assert_eq!(answer, Err(Unanswered::WorkerEnded(Outcome::NotApplied)));
            worker.join().unwrap();
        });
        in_any_order(|| {
            let (call, ticket) = ticket::<u32>();
            let worker = thread::spawn(move || drop(ticket.begin()));
            let answer = block_on(call.answer_unless(pending()));
            assert_eq!(answer, Err(Unanswered::WorkerEnded(Outcome::Unknown)));
            worker.join().unwrap();
        });
    }

    #[test]
    fn a_dropped_call_does_not_begin() {
        in_any_order(|| {
            let (pending, ticket) = ticket::<u32>();
            drop(pending);
            assert!(ticket.is_given_up());
            assert!(ticket.begin().is_none());
        });
    }
}
